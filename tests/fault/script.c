/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/fault/script.h"
#include "tests/fault/script_lock.h"
#include "tests/fault/script_xattr.h"

#include <fcntl.h>
#include <unistd.h>

#define BIG (600u << 10) /* bytes: several chunks */

static const struct vfs_cred root = {0};
static const uint32_t user_groups[] = {50, 60};
static const struct vfs_cred user = {.uid = 1000, .gid = 1000, .ngroups = 2, .groups = user_groups};

/* Walks to `path` ("a/b"). */
static int walk(struct script *s, const char *path, uint64_t *ret)
{
	struct vfs_attr a;
	uint64_t at = VFS_ROOT;

	while (*path) {
		size_t n = strcspn(path, "/");
		int r = vfs_lookup(s->vfs, &root, at, SLICE(path, n), &a);

		if (r < 0)
			return r;
		at = a.inode;
		path += n + (path[n] == '/');
	}
	*ret = at;
	return 0;
}

/* The directory of `path` and its last name. */
static int split(struct script *s, const char *path, uint64_t *ret_dir, struct slice *ret_name)
{
	char parent[256];
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	memcpy(parent, path, n);
	parent[n] = 0;
	*ret_name = SLICE_STR(slash ? slash + 1 : path);
	return walk(s, parent, ret_dir);
}

static int make_directory(struct script *s, const char *path)
{
	struct vfs_attr a;
	struct slice name;
	uint64_t dir;
	int r = split(s, path, &dir, &name);

	return r < 0 ? r : vfs_mkdir(s->vfs, &root, dir, name, 0755, &a);
}

static int make_file(struct script *s, const char *path, int flags, int slot)
{
	struct vfs_file *f;
	struct vfs_attr a;
	struct slice name;
	uint64_t dir;
	int r = split(s, path, &dir, &name);

	if (r == 0)
		r = vfs_create(s->vfs, &root, dir, name, 0644, flags, &a, &f, NULL);
	if (r < 0)
		return r;
	if (slot >= 0)
		s->files[slot] = f;
	else
		vfs_release(s->vfs, f);
	return 0;
}

static int write_bytes(struct script *s, int slot, uint64_t offset, size_t len, unsigned flags)
{
	static uint8_t bytes[BIG];
	struct slice parts[2];

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)((i * 2654435761u + offset + len) >> 7);
	parts[0] = SLICE(bytes, len / 3);
	parts[1] = SLICE(bytes + len / 3, len - len / 3);

	int64_t n = vfs_write(s->vfs, &root, s->files[slot], offset, parts, 2, flags, NULL);

	return n < 0 ? (int)n : n == (int64_t)len ? 0 : -EPROTO;
}

static int rename_path(struct script *s, const char *from, const char *to, unsigned flags)
{
	struct slice name, to_name;
	uint64_t dir, to_dir;
	int r = split(s, from, &dir, &name);

	if (r == 0)
		r = split(s, to, &to_dir, &to_name);
	return r < 0 ? r : vfs_rename(s->vfs, &root, dir, name, to_dir, to_name, flags);
}

static int remove_path(struct script *s, const char *path, bool directory)
{
	struct slice name;
	uint64_t dir;
	int r = split(s, path, &dir, &name);

	if (r < 0)
		return r;
	return directory ? vfs_rmdir(s->vfs, &root, dir, name)
			 : vfs_unlink(s->vfs, &root, dir, name);
}

static int set_attributes(
	struct script *s, const char *path, unsigned set, const struct vfs_attr *in)
{
	struct vfs_attr out;
	uint64_t inode;
	int r = walk(s, path, &inode);

	return r < 0 ? r : vfs_setattr(s->vfs, &root, inode, NULL, set, in, &out);
}

/* A refusal that must come: anything else is the script's failure. */
static int expect(int r, int wanted)
{
	return r == wanted ? 0 : r < 0 ? r : -EPROTO;
}

/* The engine offers it or not; both are fine here, errors of the store are not. */
static int offered(int r)
{
	return r == -EOPNOTSUPP ? 0 : r;
}

static int mkdir_a(struct script *s)
{
	return make_directory(s, "a");
}
static int mkdir_b(struct script *s)
{
	return make_directory(s, "a/b");
}
static int mkdir_c(struct script *s)
{
	return make_directory(s, "c");
}
static int create_small(struct script *s)
{
	return make_file(s, "a/small", O_RDWR | O_CREAT, 0);
}
static int write_inline(struct script *s)
{
	return write_bytes(s, 0, 0, 700, 0);
}
static int write_inline_more(struct script *s)
{
	return write_bytes(s, 0, 500, 900, 0);
}
static int fsync_small(struct script *s)
{
	return vfs_fsync(s->vfs, s->files[0], false);
}
static int spill_inline(struct script *s)
{
	return write_bytes(s, 0, 1400, 5000, 0);
}
static int create_big(struct script *s)
{
	return make_file(s, "a/b/big", O_RDWR | O_CREAT | O_EXCL, 1);
}
static int write_big(struct script *s)
{
	return write_bytes(s, 1, 0, BIG, 0);
}
static int overwrite_big(struct script *s)
{
	return write_bytes(s, 1, 100000, 70000, 0);
}
static int fsync_big(struct script *s)
{
	return vfs_fsync(s->vfs, s->files[1], true);
}
static int write_sparse(struct script *s)
{
	return write_bytes(s, 1, 5000000, 10, 0);
}
static int append_sync(struct script *s)
{
	return write_bytes(s, 1, 0, 3000, VFS_WRITE_APPEND | VFS_WRITE_SYNC);
}
static int append_again(struct script *s)
{
	return write_bytes(s, 1, 0, 3000, VFS_WRITE_APPEND);
}
static int unaligned(struct script *s)
{
	return write_bytes(s, 1, 262140, 9, 0);
}
static int create_exists(struct script *s)
{
	return expect(make_file(s, "a/b/big", O_RDWR | O_CREAT | O_EXCL, -1), -EEXIST);
}
static int create_open_existing(struct script *s)
{
	return make_file(s, "a/b/big", O_RDONLY | O_CREAT, -1);
}
static int flush_big(struct script *s)
{
	return vfs_flush(s->vfs, s->files[1]);
}

static int read_big(struct script *s)
{
	uint8_t bytes[5000];
	int64_t n = vfs_read(s->vfs, s->files[1], 99000, bytes, sizeof bytes);

	return n < 0 ? (int)n : n == sizeof bytes ? 0 : -EPROTO;
}

static int seek_data(struct script *s)
{
	int64_t at = vfs_seek(s->vfs, s->files[1], 1000000, VFS_SEEK_DATA);

	return at < 0 ? (int)at : at > 4000000 ? 0 : -EPROTO;
}

static int seek_hole(struct script *s)
{
	int64_t at = vfs_seek(s->vfs, s->files[1], 0, VFS_SEEK_HOLE);

	return at < 0 ? (int)at : at >= BIG ? 0 : -EPROTO;
}

static int punch(struct script *s)
{
	return vfs_fallocate(
		s->vfs, &root, s->files[1], VFS_FALLOC_PUNCH | VFS_FALLOC_KEEP_SIZE, 3000, 300000);
}
static int zero_range(struct script *s)
{
	return vfs_fallocate(s->vfs, &root, s->files[1], VFS_FALLOC_ZERO, 400000, 50000);
}
static int allocate(struct script *s)
{
	return vfs_fallocate(s->vfs, &root, s->files[1], 0, 6000000, 100000);
}
static int collapse(struct script *s)
{
	return offered(vfs_fallocate(s->vfs, &root, s->files[1], VFS_FALLOC_COLLAPSE, 0, 4096));
}

static int symlink_s(struct script *s)
{
	struct vfs_attr a;

	return vfs_symlink(s->vfs, &root, VFS_ROOT, SLICE_STR("link"), SLICE_STR("a/b/big"), &a);
}

static int readlink_s(struct script *s)
{
	struct buf target = BUF_INIT;
	uint64_t inode;
	int r = walk(s, "link", &inode);

	if (r == 0)
		r = vfs_readlink(s->vfs, &root, inode, &target);
	if (r == 0 && target.len != 7)
		r = -EPROTO;
	buf_done(&target);
	return r;
}

static int mknod_fifo(struct script *s)
{
	struct vfs_attr a;

	return vfs_mknod(s->vfs, &root, VFS_ROOT, SLICE_STR("fifo"), S_IFIFO | 0600, 0, &a);
}
static int mknod_device(struct script *s)
{
	struct vfs_attr a;

	return vfs_mknod(s->vfs, &root, VFS_ROOT, SLICE_STR("null"), S_IFCHR | 0666, 0x103, &a);
}
static int mknod_device_refused(struct script *s)
{
	struct vfs_attr a;

	return expect(vfs_mknod(s->vfs, &user, VFS_ROOT, SLICE_STR("zero"), S_IFCHR | 0666, 0x105,
			      &a),
		       -EPERM) == 0
		       ? 0
		       : expect(vfs_mknod(s->vfs, &user, VFS_ROOT, SLICE_STR("zero"),
					S_IFCHR | 0666, 0x105, &a),
				 -EACCES);
}

static int link_path(struct script *s, const char *from, const char *to)
{
	struct vfs_attr a;
	struct slice name;
	uint64_t inode, dir;
	int r = walk(s, from, &inode);

	if (r == 0)
		r = split(s, to, &dir, &name);
	return r < 0 ? r : vfs_link(s->vfs, &root, inode, dir, name, &a);
}
static int link_big(struct script *s)
{
	return link_path(s, "a/b/big", "c/second");
}
static int link_directory(struct script *s)
{
	return expect(link_path(s, "a", "c/dir"), -EPERM);
}
static int unlink_first(struct script *s)
{
	return remove_path(s, "a/b/big", false);
}
static int make_kept(struct script *s)
{
	return make_file(s, "kept", O_RDWR | O_CREAT, -1);
}
static int remove_kept(struct script *s)
{
	static const struct vfs_cred kernel = {.keeps = true};
	struct slice name;
	uint64_t dir;
	int r = walk(s, "kept", &s->kept);

	if (r == 0)
		r = split(s, "kept", &dir, &name);
	return r < 0 ? r : vfs_unlink(s->vfs, &kernel, dir, name);
}
static int use_kept(struct script *s)
{
	struct vfs_attr a;

	return s->kept ? vfs_getattr(s->vfs, &root, s->kept, &a) : 0;
}
static int forget_kept(struct script *s)
{
	vfs_forget(s->vfs, s->kept);
	return 0;
}
static int write_after_unlink(struct script *s)
{
	return write_bytes(s, 1, 20, 4096, 0);
}
static int create_temp(struct script *s)
{
	return make_file(s, "temp", O_RDWR | O_CREAT, 2);
}
static int write_temp(struct script *s)
{
	return write_bytes(s, 2, 0, 300000, 0);
}
static int sync_all(struct script *s)
{
	struct error e = {0};

	return vfs_sync(s->vfs, &e);
}
static int rename_plain(struct script *s)
{
	return rename_path(s, "temp", "c/kept", 0);
}
static int rename_over(struct script *s)
{
	return rename_path(s, "c/kept", "a/small", 0);
}
static int rename_noreplace(struct script *s)
{
	return expect(rename_path(s, "a/small", "c/second", VFS_RENAME_NOREPLACE), -EEXIST);
}
static int rename_exchange(struct script *s)
{
	return rename_path(s, "a/small", "c/second", VFS_RENAME_EXCHANGE);
}
static int rename_directory(struct script *s)
{
	return rename_path(s, "a/b", "c/b", 0);
}
static int rename_into_itself(struct script *s)
{
	return expect(rename_path(s, "c", "c/b/c", 0), -EINVAL);
}
static int rmdir_full(struct script *s)
{
	return expect(remove_path(s, "c", true), -ENOTEMPTY);
}
static int rmdir_b(struct script *s)
{
	return remove_path(s, "c/b", true);
}

static int chmod_small(struct script *s)
{
	const struct vfs_attr in = {.mode = 04711};

	return set_attributes(s, "a/small", VFS_SET_MODE, &in);
}
static int chown_small(struct script *s)
{
	const struct vfs_attr in = {.uid = 1000, .gid = 60};

	return set_attributes(s, "a/small", VFS_SET_UID | VFS_SET_GID, &in);
}
static int truncate_down(struct script *s)
{
	const struct vfs_attr in = {.size = 150000};

	return set_attributes(s, "a/small", VFS_SET_SIZE, &in);
}
static int truncate_up(struct script *s)
{
	const struct vfs_attr in = {.size = 900000};

	return set_attributes(s, "a/small", VFS_SET_SIZE, &in);
}
static int set_times(struct script *s)
{
	const struct vfs_attr in = {
		.atime = {.tv_sec = -5}, .mtime = {.tv_sec = 1ll << 33, .tv_nsec = 7}};

	return set_attributes(s, "a/small", VFS_SET_ATIME | VFS_SET_MTIME, &in);
}

static int set_flags(struct script *s)
{
	const struct vfs_attr in = {.flags = VFS_FLAG_IMMUTABLE | VFS_FLAG_NODUMP};

	return set_attributes(s, "a/small", VFS_SET_FLAGS, &in);
}
static int immutable_refused(struct script *s)
{
	return expect(remove_path(s, "a/small", false), -EPERM);
}
static int clear_flags(struct script *s)
{
	const struct vfs_attr in = {.flags = VFS_FLAG_NODUMP};

	return set_attributes(s, "a/small", VFS_SET_FLAGS, &in);
}

static int access_user(struct script *s)
{
	uint64_t inode;
	int r = walk(s, "a/small", &inode);

	return r < 0 ? r : vfs_access(s->vfs, &user, inode, R_OK);
}
static int access_refused(struct script *s)
{
	uint64_t inode;
	int r = walk(s, "c/second", &inode);

	return r < 0 ? r : expect(vfs_access(s->vfs, &user, inode, W_OK), -EACCES);
}
static int statfs_s(struct script *s)
{
	struct vfs_statfs st;

	return vfs_statfs(s->vfs, &st);
}
static int getattr_missing(struct script *s)
{
	struct vfs_attr a;

	return expect(vfs_getattr(s->vfs, &root, 999999, &a), -ESTALE);
}
static int lookup_missing(struct script *s)
{
	uint64_t inode;

	return expect(walk(s, "a/nothing", &inode), -ENOENT);
}

static int open_truncate(struct script *s)
{
	uint64_t inode;
	int r = walk(s, "c/second", &inode);

	return r < 0 ? r : vfs_open(s->vfs, &root, inode, O_RDWR | O_TRUNC, &s->files[3]);
}
static int write_fourth(struct script *s)
{
	return write_bytes(s, 3, 0, 64, 0);
}
static int release_unlinked(struct script *s)
{
	vfs_release(s->vfs, s->files[1]);
	s->files[1] = NULL;
	return 0;
}

static bool count_entry(void *arg, const struct vfs_dirent *e)
{
	(void)e;
	++*(int *)arg;
	return true;
}
static int readdir_root(struct script *s)
{
	struct vfs_file *f;
	int n = 0, r = vfs_open(s->vfs, &root, VFS_ROOT, O_RDONLY | O_DIRECTORY, &f);

	if (r < 0)
		return r;
	r = vfs_readdir(s->vfs, &root, f, 0, true, count_entry, &n);
	vfs_release(s->vfs, f);
	return r < 0 ? r : n >= 5 ? 0 : -EPROTO;
}

static int copy_bytes(
	struct script *s, int from, uint64_t offset, int to, uint64_t to_offset, uint64_t len)
{
	int64_t n =
		vfs_copy_range(s->vfs, &root, s->files[from], offset, s->files[to], to_offset, len);

	return n < 0 ? (int)n : n == (int64_t)len ? 0 : -EPROTO;
}
static int write_source(struct script *s)
{
	return write_bytes(s, 3, 0, 400000, 0);
}
static int copy_sealed(struct script *s)
{
	return copy_bytes(s, 3, 1000, 1, 4096, 300000);
}
static int copy_dirty(struct script *s)
{
	return copy_bytes(s, 3, 0, 0, 500000, 64);
}
static int copy_holes(struct script *s)
{
	return copy_bytes(s, 1, 250000, 3, 100000, 600000);
}
static int copy_within(struct script *s)
{
	return copy_bytes(s, 3, 4096, 3, 900000, 200000);
}
static int copy_refused(struct script *s)
{
	return expect(
		(int)vfs_copy_range(s->vfs, &root, s->files[3], 0, s->files[3], 10, 100), -EINVAL);
}
static int tmpfile_gone(struct script *s)
{
	struct vfs_file *f;
	struct vfs_attr a;
	int r = vfs_tmpfile(s->vfs, &root, VFS_ROOT, 0600, O_RDWR, &a, &f);

	if (r == 0)
		vfs_release(s->vfs, f);
	return r;
}
static int tmpfile_kept(struct script *s)
{
	struct vfs_attr a;

	if (s->files[2])
		vfs_release(s->vfs, s->files[2]);
	s->files[2] = NULL;
	int r = vfs_tmpfile(s->vfs, &root, VFS_ROOT, 0600, O_RDWR, &a, &s->files[2]);

	if (r == 0)
		s->unnamed = a.inode;
	return r;
}
static int tmpfile_write(struct script *s)
{
	return write_bytes(s, 2, 0, 100000, 0);
}
static int tmpfile_link(struct script *s)
{
	struct vfs_attr a;

	return vfs_link(s->vfs, &root, s->unnamed, VFS_ROOT, SLICE_STR("published"), &a);
}
#define STEP(fn)                                                                                   \
	{                                                                                          \
		.name = #fn, .run = fn                                                             \
	}
#define SYNC(fn)                                                                                   \
	{                                                                                          \
		.name = #fn, .run = fn, .syncs = true                                              \
	}

const struct script_step script_steps[] = {
	STEP(mkdir_a),
	STEP(mkdir_b),
	STEP(create_small),
	STEP(write_inline),
	STEP(write_inline_more),
	SYNC(fsync_small),
	STEP(spill_inline),
	STEP(mkdir_c),
	STEP(create_big),
	STEP(write_big),
	STEP(overwrite_big),
	STEP(read_big),
	SYNC(fsync_big),
	STEP(write_sparse),
	SYNC(append_sync),
	STEP(append_again),
	STEP(unaligned),
	STEP(create_exists),
	STEP(create_open_existing),
	STEP(flush_big),
	STEP(read_big),
	STEP(seek_data),
	STEP(seek_hole),
	STEP(punch),
	STEP(zero_range),
	STEP(allocate),
	STEP(collapse),
	STEP(symlink_s),
	STEP(readlink_s),
	STEP(mknod_fifo),
	STEP(mknod_device),
	STEP(mknod_device_refused),
	STEP(link_big),
	STEP(link_directory),
	SYNC(sync_all),
	STEP(unlink_first),
	STEP(write_after_unlink),
	STEP(make_kept),
	STEP(remove_kept),
	STEP(use_kept),
	STEP(forget_kept),
	STEP(create_temp),
	STEP(write_temp),
	STEP(fsync_big),
	STEP(rename_plain),
	STEP(rename_over),
	STEP(rename_noreplace),
	STEP(rename_exchange),
	STEP(rename_directory),
	STEP(rename_into_itself),
	STEP(rmdir_full),
	STEP(rmdir_b),
	STEP(chmod_small),
	STEP(chown_small),
	STEP(truncate_down),
	SYNC(sync_all),
	STEP(script_xattr_set_capability),
	STEP(truncate_up),
	STEP(set_times),
	STEP(set_flags),
	STEP(immutable_refused),
	STEP(clear_flags),
	STEP(access_user),
	STEP(access_refused),
	STEP(statfs_s),
	STEP(getattr_missing),
	STEP(lookup_missing),
	STEP(open_truncate),
	STEP(write_fourth),
	STEP(copy_dirty),
	STEP(write_source),
	SYNC(sync_all),
	STEP(copy_sealed),
	STEP(copy_holes),
	STEP(copy_within),
	STEP(copy_refused),
	STEP(release_unlinked),
	STEP(readdir_root),
	STEP(script_xattr_file),
	STEP(script_xattr_set),
	STEP(script_xattr_set_again),
	STEP(script_xattr_set_big),
	STEP(script_xattr_set_capability_again),
	STEP(script_xattr_get),
	STEP(script_xattr_drop_capability),
	STEP(script_xattr_list),
	STEP(script_xattr_remove),
	STEP(script_acl_access),
	STEP(script_acl_default),
	STEP(script_acl_inherit_file),
	STEP(script_acl_inherit_directory),
	STEP(script_acl_chmod),
	SYNC(sync_all),
	STEP(script_xattr_unlink),
	STEP(script_acl_remove),
	STEP(tmpfile_gone),
	STEP(tmpfile_kept),
	STEP(tmpfile_write),
	STEP(tmpfile_link),
	STEP(script_lock_set),
	STEP(script_lock_get),
	STEP(script_lock_split),
	STEP(script_lock_whole),
	STEP(script_lock_wait),
	STEP(script_lock_cancel),
	STEP(script_lock_end),
	STEP(script_events_none),
	SYNC(sync_all),
};
const size_t script_length = sizeof script_steps / sizeof *script_steps;

void script_close_files(struct script *s)
{
	for (int i = 0; i < SCRIPT_FILES; i++) {
		if (s->files[i])
			vfs_release(s->vfs, s->files[i]);
		s->files[i] = NULL;
	}
}
