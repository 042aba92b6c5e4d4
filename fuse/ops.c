/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Dispatch, INIT, and the encodings that all operations share. */
#include "fuse/ops_internal.h"

#include "core/base/diag.h"
#include "fuse/errmap.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#define PROVISIONAL_MS 1000

static void time_out(uint64_t ms, uint64_t *seconds, uint32_t *ns)
{
	*seconds = ms / 1000;
	*ns = (uint32_t)(ms % 1000) * 1000000;
}

/* Blocks become exact when the group closes, of which the kernel is not told: it had better ask
 * again. */
static uint64_t attr_valid_ms(const struct call *c, const struct vfs_attr *a)
{
	return a->provisional && c->ops->valid_ms > PROVISIONAL_MS ? PROVISIONAL_MS
								   : c->ops->valid_ms;
}

void reply_result(struct call *c, int r)
{
	loop_reply(c->request, errmap_fuse(r), NULL, 0);
}

void reply_data(struct call *c, const void *data, size_t len)
{
	loop_reply(c->request, 0, data, len);
}

/* The kernel's own packing of device numbers (new_encode_dev). */
static uint32_t rdev_encode(uint64_t rdev)
{
	unsigned ma = major(rdev), mi = minor(rdev);

	return (mi & 0xff) | ma << 8 | (mi & ~0xffu) << 12;
}

void attr_encode(const struct vfs_attr *a, struct fuse_attr *out)
{
	*out = (struct fuse_attr){
		.ino = a->inode,
		.size = a->size,
		.blocks = a->allocated / 512,
		.atime = (uint64_t)a->atime.tv_sec,
		.mtime = (uint64_t)a->mtime.tv_sec,
		.ctime = (uint64_t)a->ctime.tv_sec,
		.atimensec = (uint32_t)a->atime.tv_nsec,
		.mtimensec = (uint32_t)a->mtime.tv_nsec,
		.ctimensec = (uint32_t)a->ctime.tv_nsec,
		.mode = a->mode,
		.nlink = a->nlink,
		.uid = a->uid,
		.gid = a->gid,
		.rdev = rdev_encode(a->rdev),
		.blksize = 4096,
	};
}

void entry_encode(const struct call *c, const struct vfs_attr *a, struct fuse_entry_out *out)
{
	memset(out, 0, sizeof *out);
	out->nodeid = a->inode;
	out->generation = a->generation;
	time_out(c->ops->valid_ms, &out->entry_valid, &out->entry_valid_nsec);
	time_out(attr_valid_ms(c, a), &out->attr_valid, &out->attr_valid_nsec);
	attr_encode(a, &out->attr);
}

void reply_entry(struct call *c, const struct vfs_attr *a)
{
	struct fuse_entry_out out;

	entry_encode(c, a, &out);
	reply_data(c, &out, sizeof out);
}

void attr_valid(const struct call *c, const struct vfs_attr *a, uint64_t *seconds, uint32_t *ns)
{
	time_out(attr_valid_ms(c, a), seconds, ns);
}

void reply_attr(struct call *c, const struct vfs_attr *a)
{
	struct fuse_attr_out out = {0};

	attr_valid(c, a, &out.attr_valid, &out.attr_valid_nsec);
	attr_encode(a, &out.attr);
	reply_data(c, &out, sizeof out);
}

int open_flags(const struct call *c, uint32_t flags)
{
	int r = (int)flags;

	if (c->ops->writeback && (r & O_ACCMODE) == O_WRONLY)
		r |= VFS_OPEN_READ_BACK;
	return r;
}

struct fuse_open_out open_encode(const struct call *c, struct vfs_file *f, int flags)
{
	struct fuse_open_out out = {.fh = (uint64_t)(uintptr_t)f};

	if (c->ops->keep_pages)
		out.open_flags |= FOPEN_KEEP_CACHE;
	out.open_flags |=
		FOPEN_PARALLEL_DIRECT_WRITES; /* overlapping ones are ordered by the inode's lock */
	/* close has nothing to tell a reader: one round trip less. But FLUSH is all by which the
	 * kernel tells that a process closed a file, and so lost its POSIX locks on it. */
	if ((flags & O_ACCMODE) == O_RDONLY && !c->ops->locks)
		out.open_flags |= FOPEN_NOFLUSH;
	return out;
}

void reply_open(struct call *c, struct vfs_file *f, int flags)
{
	struct fuse_open_out out = open_encode(c, f, flags);

	reply_data(c, &out, sizeof out);
}

struct vfs_file *file_of(uint64_t handle)
{
	return (struct vfs_file *)(uintptr_t)handle;
}

bool call_args(struct call *c, void *out, size_t len)
{
	if (c->arg_len < len) {
		reply_result(c, -EINVAL);
		return false;
	}
	memcpy(out, c->arg, len);
	return true;
}

bool call_string(struct call *c, size_t *at, struct slice *ret)
{
	const uint8_t *end = *at < c->arg_len ? memchr(c->arg + *at, 0, c->arg_len - *at) : NULL;

	if (!end) {
		reply_result(c, -EINVAL);
		return false;
	}
	*ret = SLICE(c->arg + *at, (size_t)(end - (c->arg + *at)));
	*at += ret->len + 1;
	return true;
}

static void req_destroy(struct call *c)
{
	reply_result(c, 0);
}

/* What we ask for; the kernel's offer limits it. */
static const uint64_t init_wanted =
	FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_EXPORT_SUPPORT | FUSE_BIG_WRITES |
	FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS |
	FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS | FUSE_EXPLICIT_INVAL_DATA | FUSE_HANDLE_KILLPRIV_V2 |
	FUSE_INIT_EXT | FUSE_POSIX_ACL | FUSE_DONT_MASK | FUSE_SETXATTR_EXT;

static void req_init(struct call *c)
{
	struct fuse_init_in in = {0};

	memcpy(&in, c->arg, c->arg_len < sizeof in ? c->arg_len : sizeof in);
	if (in.major < FUSE_KERNEL_VERSION ||
		(in.major == FUSE_KERNEL_VERSION && in.minor < PROTO_MINOR_MIN)) {
		diag(DIAG_ERROR, "fuse",
			"this kernel speaks FUSE %u.%u; 7.%u (Linux 5.8) or newer is needed",
			in.major, in.minor, PROTO_MINOR_MIN);
		reply_result(c, -EPROTO);
		return;
	}

	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION};

	if (in.major > FUSE_KERNEL_VERSION) { /* the kernel will ask again with our major */
		reply_data(c, &out, sizeof out);
		return;
	}

	uint64_t offered = in.flags;

	if (in.flags & FUSE_INIT_EXT)
		offered |= (uint64_t)in.flags2 << 32;

	uint64_t flags = init_wanted & offered;

	c->ops->writeback = c->ops->writeback && (offered & FUSE_WRITEBACK_CACHE);
	/* Times are the kernel's then, those of a truncate too: it is to come apart from the open.
	 */
	if (c->ops->writeback)
		flags = (flags | FUSE_WRITEBACK_CACHE) & ~(uint64_t)FUSE_ATOMIC_O_TRUNC;
	if (c->ops->locks)
		flags |= (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS) & offered;

	out.max_readahead = in.max_readahead;
	out.flags = (uint32_t)flags;
	out.flags2 = (uint32_t)(flags >> 32);
	out.max_background = 64;
	out.congestion_threshold = 48;
	out.max_write = OPS_MAX_WRITE;
	out.time_gran = 1;
	out.max_pages = OPS_MAX_PAGES;
	atomic_store(&c->ops->minor, in.minor);
	atomic_store(&c->ops->flags, flags);
	reply_data(c, &out, sizeof out);
}

static req_fn *const operations[] = {
	[FUSE_LOOKUP] = req_lookup,
	[FUSE_FORGET] = req_forget,
	[FUSE_GETATTR] = req_getattr,
	[FUSE_SETATTR] = req_setattr,
	[FUSE_READLINK] = req_readlink,
	[FUSE_SYMLINK] = req_symlink,
	[FUSE_MKNOD] = req_mknod,
	[FUSE_MKDIR] = req_mkdir,
	[FUSE_UNLINK] = req_unlink,
	[FUSE_RMDIR] = req_rmdir,
	[FUSE_RENAME] = req_rename,
	[FUSE_LINK] = req_link,
	[FUSE_OPEN] = req_open,
	[FUSE_READ] = req_read,
	[FUSE_WRITE] = req_write,
	[FUSE_STATFS] = req_statfs,
	[FUSE_RELEASE] = req_release,
	[FUSE_FSYNC] = req_fsync,
	[FUSE_SETXATTR] = req_setxattr,
	[FUSE_GETXATTR] = req_getxattr,
	[FUSE_LISTXATTR] = req_listxattr,
	[FUSE_REMOVEXATTR] = req_removexattr,
	[FUSE_FLUSH] = req_flush,
	[FUSE_INIT] = req_init,
	[FUSE_OPENDIR] = req_opendir,
	[FUSE_READDIR] = req_readdir,
	[FUSE_RELEASEDIR] = req_releasedir,
	[FUSE_FSYNCDIR] = req_fsync,
	[FUSE_ACCESS] = req_access,
	[FUSE_CREATE] = req_create,
	[FUSE_GETLK] = req_getlk,
	[FUSE_SETLK] = req_setlk,
	[FUSE_SETLKW] = req_setlkw,
	[FUSE_INTERRUPT] = req_interrupt,
	[FUSE_DESTROY] = req_destroy,
	[FUSE_BATCH_FORGET] = req_batch_forget,
	[FUSE_IOCTL] = req_ioctl,
	[FUSE_FALLOCATE] = req_fallocate,
	[FUSE_READDIRPLUS] = req_readdirplus,
	[FUSE_RENAME2] = req_rename2,
	[FUSE_LSEEK] = req_lseek,
	[FUSE_COPY_FILE_RANGE] = req_copy_file_range,
	[FUSE_TMPFILE] = req_tmpfile,
	[PROTO_STATX] = req_statx,
	[PROTO_COPY_FILE_RANGE_64] = req_copy_file_range_64,
};

void ops_handle(void *arg, struct loop_request *r)
{
	struct call c = {.ops = arg, .request = r};

	if (r->in_len < sizeof c.header)
		return; /* nobody to answer */
	memcpy(&c.header, r->in, sizeof c.header);
	c.vfs = c.ops->vfs;
	c.arg = r->in + sizeof c.header;
	c.arg_len = r->in_len - sizeof c.header;
	c.cred = (struct vfs_cred){.uid = c.header.uid,
		.gid = c.header.gid,
		.checked = true, /* mount.c asks for default_permissions */
		.pid = c.header.pid,
		.partial = true,
		.keeps = true};

	uint32_t opcode = c.header.opcode;
	req_fn *fn = opcode < sizeof operations / sizeof *operations ? operations[opcode] : NULL;

	if (fn)
		fn(&c);
	else
		loop_reply(r, -ENOSYS, NULL, 0); /* the kernel does it by itself, and remembers */
	call_done(&c);
}
