/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The part of the script about extended attributes and ACLs. */
#include "tests/fault/script_xattr.h"

#include <fcntl.h>

static const struct vfs_cred root = {0};

/* "a" or "a/b". */
static int find(struct script *s, const char *path, uint64_t *ret)
{
	const char *slash = strchr(path, '/');
	struct vfs_attr a;
	int r = vfs_lookup(s->vfs, &root, VFS_ROOT,
		SLICE(path, slash ? (size_t)(slash - path) : strlen(path)), &a);

	if (r == 0 && slash)
		r = vfs_lookup(s->vfs, &root, a.inode, SLICE_STR(slash + 1), &a);
	if (r == 0)
		*ret = a.inode;
	return r;
}

static int create(struct script *s, const char *in, const char *name)
{
	struct vfs_file *f;
	struct vfs_attr a;
	uint64_t dir = 0;
	int r = find(s, in, &dir);

	if (r == 0)
		r = vfs_create(s->vfs, &root, dir, SLICE_STR(name), 0644, O_RDWR | O_CREAT | O_EXCL,
			&a, &f, NULL);
	if (r == 0)
		vfs_release(s->vfs, f);
	return r;
}

static int change(struct script *s, const char *path, unsigned set, const struct vfs_attr *in)
{
	struct vfs_attr out;
	uint64_t inode = 0;
	int r = find(s, path, &inode);

	return r < 0 ? r : vfs_setattr(s->vfs, &root, inode, NULL, set, in, &out);
}

/* On a file that goes away again, and so do they. */
int script_xattr_file(struct script *s)
{
	return create(s, "a", "tagged");
}
static int set_xattr(struct script *s, const char *path, const char *name, struct slice value)
{
	uint64_t inode = 0;
	int r = find(s, path, &inode);

	return r < 0 ? r : vfs_setxattr(s->vfs, &root, inode, SLICE_STR(name), value, 0);
}
int script_xattr_set(struct script *s)
{
	return set_xattr(s, "a/tagged", "user.x", SLICE_STR("1"));
}
int script_xattr_set_again(struct script *s)
{
	return set_xattr(s, "a/tagged", "user.x", SLICE_STR("longer"));
}
int script_xattr_set_big(struct script *s)
{
	static uint8_t bytes[VFS_XATTR_VALUE_MAX];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 11);
	return set_xattr(s, "a/tagged", "user.big", SLICE(bytes, sizeof bytes));
}
int script_xattr_set_capability(struct script *s)
{
	return set_xattr(s, "a/small", "security.capability", SLICE_STR("capabilities"));
}
int script_xattr_set_capability_again(struct script *s)
{
	return set_xattr(s, "a/tagged", "security.capability", SLICE_STR("capabilities"));
}
int script_xattr_drop_capability(struct script *s)
{
	return change(s, "a/tagged", VFS_SET_UID, &(struct vfs_attr){.uid = 1000});
}
int script_xattr_get(struct script *s)
{
	struct buf out = BUF_INIT;
	uint64_t inode = 0;
	int r = find(s, "a/tagged", &inode);

	if (r == 0)
		r = vfs_getxattr(s->vfs, &root, inode, SLICE_STR("user.x"), &out);
	if (r == 0 && out.len != 6)
		r = -EPROTO;
	buf_done(&out);
	return r;
}
int script_xattr_list(struct script *s)
{
	struct buf out = BUF_INIT;
	uint64_t inode = 0;
	int r = find(s, "a/tagged", &inode);

	if (r == 0)
		r = vfs_listxattr(s->vfs, &root, inode, &out);
	if (r == 0 && out.len != 16)
		r = -EPROTO;
	buf_done(&out);
	return r;
}
int script_xattr_remove(struct script *s)
{
	uint64_t inode = 0;
	int r = find(s, "a/tagged", &inode);

	return r < 0 ? r : vfs_removexattr(s->vfs, &root, inode, SLICE_STR("user.x"));
}
int script_xattr_unlink(struct script *s)
{
	uint64_t dir = 0;
	int r = find(s, "a", &dir);

	return r < 0 ? r : vfs_unlink(s->vfs, &root, dir, SLICE_STR("tagged"));
}
/* owner rwx, user 1000 rwx, group r-x, mask rwx, others none */
static const uint8_t acl_bytes[] = {2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 0xe8, 3,
	0, 0, 4, 0, 5, 0, 255, 255, 255, 255, 16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255,
	255, 255, 255};
int script_acl_access(struct script *s)
{
	return set_xattr(s, "c", "system.posix_acl_access", SLICE(acl_bytes, sizeof acl_bytes));
}
int script_acl_default(struct script *s)
{
	return set_xattr(s, "c", "system.posix_acl_default", SLICE(acl_bytes, sizeof acl_bytes));
}
int script_acl_inherit_file(struct script *s)
{
	return create(s, "c", "heir");
}
int script_acl_inherit_directory(struct script *s)
{
	struct vfs_attr a;
	uint64_t dir = 0;
	int r = find(s, "c", &dir);

	return r < 0 ? r : vfs_mkdir(s->vfs, &root, dir, SLICE_STR("heirs"), 0755, &a);
}
int script_acl_chmod(struct script *s)
{
	return change(s, "c/heir", VFS_SET_MODE, &(struct vfs_attr){.mode = 0600});
}
int script_acl_remove(struct script *s)
{
	uint64_t inode = 0;
	int r = find(s, "c", &inode);

	return r < 0 ? r
		     : vfs_removexattr(s->vfs, &root, inode, SLICE_STR("system.posix_acl_default"));
}
