/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The calls of vfs.h: arguments are checked here, once for both implementations. */
#include "core/vfs/vfs.h"

#include <unistd.h>

#define CALL(v, member, ...) ((v)->ops->member ? (v)->ops->member((v), ##__VA_ARGS__) : -EOPNOTSUPP)

static bool is_dots(struct slice name)
{
	return slice_eq(name, SLICE_STR(".")) || slice_eq(name, SLICE_STR(".."));
}

/* Of an entry that is looked for. */
static int check_lookup_name(struct slice name)
{
	if (name.len == 0)
		return -EINVAL;
	if (name.len > VFS_NAME_MAX)
		return -ENAMETOOLONG;
	if (memchr(name.data, '/', name.len) || memchr(name.data, 0, name.len))
		return -EINVAL;
	return 0;
}

/* Of an entry that is made, taken away or moved. */
static int check_name(struct slice name)
{
	int r = check_lookup_name(name);

	return r == 0 && is_dots(name) ? -EINVAL : r;
}

static bool time_valid(struct timespec t)
{
	return t.tv_nsec >= 0 && t.tv_nsec < 1000000000;
}

int vfs_lookup(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	struct vfs_attr *ret)
{
	int r = check_lookup_name(name);

	return r < 0 ? r : CALL(v, lookup, c, dir, name, ret);
}

int vfs_create(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	uint32_t mode, int flags, struct vfs_attr *ret, struct vfs_file **ret_file,
	bool *ret_created)
{
	int r = check_name(name);

	return r < 0 ? r : CALL(v, create, c, dir, name, mode, flags, ret, ret_file, ret_created);
}

int vfs_mknod(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	uint32_t mode, uint64_t rdev, struct vfs_attr *ret)
{
	int r = check_name(name);

	return r < 0 ? r : CALL(v, mknod, c, dir, name, mode, rdev, ret);
}

int vfs_mkdir(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	uint32_t mode, struct vfs_attr *ret)
{
	int r = check_name(name);

	return r < 0 ? r : CALL(v, mkdir, c, dir, name, mode, ret);
}

int vfs_symlink(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	struct slice target, struct vfs_attr *ret)
{
	int r = check_name(name);

	if (r < 0)
		return r;
	if (target.len == 0)
		return -ENOENT;
	if (target.len > VFS_SYMLINK_MAX)
		return -ENAMETOOLONG;
	if (memchr(target.data, 0, target.len))
		return -EINVAL;
	return CALL(v, symlink, c, dir, name, target, ret);
}

int vfs_tmpfile(struct vfs *v, const struct vfs_cred *c, uint64_t dir, uint32_t mode, int flags,
	struct vfs_attr *ret, struct vfs_file **ret_file)
{
	return CALL(v, tmpfile, c, dir, mode, flags, ret, ret_file);
}

int vfs_link(struct vfs *v, const struct vfs_cred *c, uint64_t inode, uint64_t dir,
	struct slice name, struct vfs_attr *ret)
{
	int r = check_name(name);

	return r < 0 ? r : CALL(v, link, c, inode, dir, name, ret);
}

int vfs_unlink(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name)
{
	int r = check_name(name);

	return r < 0 ? r : CALL(v, unlink, c, dir, name);
}

int vfs_rmdir(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name)
{
	int r = check_lookup_name(name);

	if (r < 0)
		return r;
	if (is_dots(name)) /* POSIX wants these two told apart */
		return name.len == 1 ? -EINVAL : -ENOTEMPTY;
	return CALL(v, rmdir, c, dir, name);
}

int vfs_rename(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	uint64_t to_dir, struct slice to_name, unsigned flags)
{
	int r = check_name(name);

	if (r == 0)
		r = check_name(to_name);
	if (r < 0)
		return r;
	if ((flags & ~(VFS_RENAME_NOREPLACE | VFS_RENAME_EXCHANGE | VFS_RENAME_WHITEOUT)) ||
		((flags & VFS_RENAME_EXCHANGE) && flags != VFS_RENAME_EXCHANGE))
		return -EINVAL;
	return CALL(v, rename, c, dir, name, to_dir, to_name, flags);
}

int vfs_readlink(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct buf *out)
{
	return CALL(v, readlink, c, inode, out);
}

int vfs_getattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct vfs_attr *ret)
{
	return CALL(v, getattr, c, inode, ret);
}

int vfs_setattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct vfs_file *f,
	unsigned set, const struct vfs_attr *in, struct vfs_attr *ret)
{
	if ((set & VFS_SET_SIZE) && in->size > VFS_FILE_MAX)
		return -EFBIG;
	if (((set & VFS_SET_ATIME) && !time_valid(in->atime)) ||
		((set & VFS_SET_MTIME) && !time_valid(in->mtime)) ||
		((set & VFS_SET_CTIME) && !time_valid(in->ctime)))
		return -EINVAL;
	return CALL(v, setattr, c, inode, f, set, in, ret);
}

void vfs_forget(struct vfs *v, uint64_t inode)
{
	if (v->ops->forget)
		v->ops->forget(v, inode);
}

int vfs_access(struct vfs *v, const struct vfs_cred *c, uint64_t inode, int mask)
{
	return mask & ~(R_OK | W_OK | X_OK) ? -EINVAL : CALL(v, access, c, inode, mask);
}

int vfs_statfs(struct vfs *v, struct vfs_statfs *ret)
{
	return CALL(v, statfs, ret);
}

int vfs_open(
	struct vfs *v, const struct vfs_cred *c, uint64_t inode, int flags, struct vfs_file **ret)
{
	return CALL(v, open, c, inode, flags, ret);
}

void vfs_release(struct vfs *v, struct vfs_file *f)
{
	if (f)
		v->ops->release(v, f);
}

int64_t vfs_read(struct vfs *v, struct vfs_file *f, uint64_t offset, void *buf, size_t len)
{
	return offset > VFS_FILE_MAX ? -EINVAL : CALL(v, read, f, offset, buf, len);
}

int64_t vfs_write(struct vfs *v, const struct vfs_cred *c, struct vfs_file *f, uint64_t offset,
	const struct slice *parts, size_t nparts, unsigned flags, uint64_t *ret_size)
{
	return CALL(v, write, c, f, offset, parts, nparts, flags, ret_size);
}

int vfs_fsync(struct vfs *v, struct vfs_file *f, bool datasync)
{
	return CALL(v, fsync, f, datasync);
}

int vfs_flush(struct vfs *v, struct vfs_file *f)
{
	return CALL(v, flush, f);
}

int vfs_fallocate(struct vfs *v, const struct vfs_cred *c, struct vfs_file *f, unsigned mode,
	uint64_t offset, uint64_t len)
{
	return CALL(v, fallocate, c, f, mode, offset, len);
}

int64_t vfs_seek(struct vfs *v, struct vfs_file *f, uint64_t offset, int whence)
{
	if (whence != VFS_SEEK_DATA && whence != VFS_SEEK_HOLE)
		return -EINVAL;
	return offset > VFS_FILE_MAX ? -ENXIO : CALL(v, seek, f, offset, whence);
}

int64_t vfs_copy_range(struct vfs *v, const struct vfs_cred *c, struct vfs_file *from,
	uint64_t offset, struct vfs_file *to, uint64_t to_offset, uint64_t len)
{
	if (offset > VFS_FILE_MAX || len > UINT64_MAX - to_offset)
		return -EINVAL;
	return CALL(v, copy_range, c, from, offset, to, to_offset, len);
}

int vfs_readdir(struct vfs *v, const struct vfs_cred *c, struct vfs_file *f, uint64_t cookie,
	bool with_attr, vfs_emit_fn *emit, void *arg)
{
	if (cookie > INT64_MAX) /* behind every entry */
		return 0;
	return CALL(v, readdir, c, f, cookie, with_attr, emit, arg);
}

static int check_xattr_name(struct slice name)
{
	if (name.len == 0 || memchr(name.data, 0, name.len))
		return -EINVAL;
	return name.len > VFS_NAME_MAX ? -ERANGE : 0;
}

int vfs_getxattr(
	struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct slice name, struct buf *out)
{
	int r = check_xattr_name(name);

	return r < 0 ? r : CALL(v, getxattr, c, inode, name, out);
}

int vfs_setxattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct slice name,
	struct slice value, unsigned flags)
{
	int r = check_xattr_name(name);

	if (r == 0 && (flags & ~(VFS_XATTR_CREATE | VFS_XATTR_REPLACE | VFS_XATTR_KILL_SGID)))
		r = -EINVAL;
	if (r == 0 && value.len > VFS_XATTR_VALUE_MAX)
		r = -E2BIG;
	return r < 0 ? r : CALL(v, setxattr, c, inode, name, value, flags);
}

int vfs_listxattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct buf *out)
{
	return CALL(v, listxattr, c, inode, out);
}

int vfs_removexattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct slice name)
{
	int r = check_xattr_name(name);

	return r < 0 ? r : CALL(v, removexattr, c, inode, name);
}

int vfs_getlk(struct vfs *v, struct vfs_file *f, struct vfs_lock *lock)
{
	return lock->start > lock->end ? -EINVAL : CALL(v, getlk, f, lock);
}

int vfs_setlk(struct vfs *v, struct vfs_file *f, const struct vfs_lock *lock, uint64_t wait_token)
{
	return lock->start > lock->end ? -EINVAL : CALL(v, setlk, f, lock, wait_token);
}

int vfs_cancel_lk(struct vfs *v, uint64_t wait_token)
{
	return CALL(v, cancel_lk, wait_token);
}

int vfs_sync(struct vfs *v, struct error *err)
{
	return CALL(v, sync, err);
}

int vfs_set_events(struct vfs *v, void (*event)(void *arg, const struct vfs_event *e), void *arg)
{
	return CALL(v, set_events, event, arg);
}
