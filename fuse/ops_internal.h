/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FUSE_OPS_INTERNAL_H
#define FUSE_OPS_INTERNAL_H
/* Shared by ops.c (dispatch), ops_name.c, ops_attr.c, ops_file.c, ops_dir.c, ops_lock.c,
 * ops_xattr.c. */
#include "core/base/cleanup.h"
#include "fuse/ops.h"
#include "fuse/proto.h"

/* A decoded request. */
struct call {
	struct ops *ops;
	struct vfs *vfs;
	struct loop_request *request;
	struct fuse_in_header header;
	struct vfs_cred cred; /* without supplementary groups, see call_retry_with_groups */
	const uint8_t *arg;   /* behind the header */
	size_t arg_len;
};

/* Answers, once per request. `r`: 0 or a negative errno in core's vocabulary. */
void reply_result(struct call *c, int r);
void reply_data(struct call *c, const void *data, size_t len);
void reply_entry(struct call *c, const struct vfs_attr *a);
void reply_attr(struct call *c, const struct vfs_attr *a);
void reply_open(struct call *c, struct vfs_file *f, int flags);
/* How long the kernel may keep what the answer says. */
void attr_valid(const struct call *c, const struct vfs_attr *a, uint64_t *seconds, uint32_t *ns);
void attr_encode(const struct vfs_attr *a, struct fuse_attr *out);
void entry_encode(const struct call *c, const struct vfs_attr *a, struct fuse_entry_out *out);
/* The flags of an open for the vfs. */
int open_flags(const struct call *c, uint32_t flags);
struct fuse_open_out open_encode(const struct call *c, struct vfs_file *f, int flags);

/*
 * The fixed part of the arguments, copied to `out` of `len` bytes; shorter ones (older kernels) are
 * an error: false, answered with EINVAL.
 */
bool call_args(struct call *c, void *out, size_t len);
/* A NUL-terminated string at `*at` within the arguments; moves *at behind it. False, answered, when
 * it has no end. */
bool call_string(struct call *c, size_t *at, struct slice *ret);
struct vfs_file *file_of(uint64_t handle);

/*
 * The kernel does not send supplementary groups, and they matter only where access would be refused
 * or a set-gid bit be dropped. So an operation is first tried without; on `r` = -EACCES or -EPERM
 * this looks them up (/proc/PID/status) and returns true: the caller tries once more. Frees
 * nothing: call_done does.
 */
bool call_retry_with_groups(struct call *c, int r);
void call_load_groups(struct call *c);
void call_done(struct call *c);

/* r = expression, and once more with the caller's groups where that may help. */
#define TRY_WITH_GROUPS(c, r, expression)                                                          \
	((r) = (expression), call_retry_with_groups((c), (r)) ? ((r) = (expression)) : (r))

typedef void req_fn(struct call *c);
req_fn req_lookup, req_getattr, req_setattr, req_readlink, req_symlink, req_mknod, req_mkdir,
	req_unlink, req_rmdir, req_rename, req_rename2, req_link, req_create, req_tmpfile,
	req_access, req_statfs, req_forget, req_batch_forget;
req_fn req_open, req_read, req_write, req_release, req_fsync, req_flush, req_fallocate, req_lseek,
	req_copy_file_range, req_copy_file_range_64;
req_fn req_ioctl, req_statx;
req_fn req_opendir, req_readdir, req_readdirplus, req_releasedir;
/* A process closed one of its descriptors of the file: its POSIX locks go. */
void unlock_closed(struct call *c, struct vfs_file *f, uint64_t owner);
req_fn req_getlk, req_setlk, req_setlkw, req_interrupt;
req_fn req_getxattr, req_setxattr, req_listxattr, req_removexattr;

#endif
