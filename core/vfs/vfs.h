/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_VFS_H
#define CORE_VFS_VFS_H
/*
 * The file system as front ends see it: FUSE, NBD, 9P, NFS and commands all speak to this interface
 * and decide nothing by themselves. `struct vfs` has two implementations: the engine (core/vfs)
 * and, for a process that is attached to the writer, a 9P client.
 *
 * Semantics are POSIX as ext4 has them. Permissions are checked here with the credentials given
 * (the kernel does it for the FUSE front end: default_permissions, vfs_cred.checked; root is uid
 * 0). Names: 1..255 bytes without '/' and NUL, not "." or
 * ".."; -EINVAL, -ENAMETOOLONG. Symlink targets: 1..4095 bytes. Times are given and kept in full
 * nanoseconds, seconds are signed 64 bit.
 *
 * Durability: a change is visible at once to everybody, and durable after vfs_fsync of a file or
 * directory that it touched, after vfs_sync, or some seconds later. What is durable is always a
 * consistent cut of the order of all changes.
 *
 * Thread-safe. Operations may wait for the store or for memory (they call env_blocking() before),
 * never for each other beyond the inodes that they share. All return 0 (or a count where said) or a
 * negative errno; -EIO the store is unreachable, -ESTALE this process was replaced as writer or the
 * inode number is not known, -EROFS read-only volume, -EBADMSG damaged, -ENOSPC / -EDQUOT, -ENOMEM.
 * A member of vfs_ops may be NULL: the wrapper then answers -EOPNOTSUPP.
 */
#include "core/base/buf.h"
#include "core/base/error.h"

#include <sys/stat.h>
#include <time.h>

#define VFS_ROOT 1ull /* inode of the root directory */
#define VFS_NAME_MAX 255
#define VFS_SYMLINK_MAX 4095
#define VFS_FILE_MAX INT64_MAX /* bytes of a file */
#define VFS_LINK_MAX 0xffffffffu
#define VFS_GROUPS_MAX 65536

struct vfs;
struct vfs_file; /* an open file or directory */

/* Who asks. Plain data, borrowed for the call. */
struct vfs_cred {
	uint32_t uid, gid;
	/* Whoever asks for the caller has checked permissions, capabilities included: only what a
	 * file's flags and kind forbid is refused, and set-id bits stay unless a request says that
	 * they go. */
	bool checked;
	bool kills_setid; /* with `checked`: O_TRUNC clears set-id bits */
	uint32_t pid;	  /* 0 = unknown; for locks */
	uint32_t ngroups; /* supplementary groups */
	const uint32_t *groups;
	/* Of what is created, where the directory has no default ACL; 0: `mode` has it applied. */
	uint32_t umask;
	bool partial; /* supplementary groups are not known: -EPERM or -EACCES where they matter */
	bool keeps;   /* the front end goes on using numbers of what it removes, until vfs_forget */
};

/* As docs/format.md has them. Only root sets and clears the first two. */
enum vfs_flag {
	VFS_FLAG_IMMUTABLE = 1, /* nothing of it changes, for nobody */
	VFS_FLAG_APPEND = 2,	/* bytes, or entries, are only added */
	VFS_FLAG_NODUMP = 4,
	VFS_FLAG_NOATIME = 8,
};

struct vfs_attr {
	uint64_t inode, generation;
	uint32_t mode; /* type and permissions, as st_mode */
	uint32_t uid, gid;
	uint32_t nlink;
	uint64_t rdev;	    /* as makedev() */
	uint64_t size;	    /* bytes */
	uint64_t allocated; /* bytes, a multiple of 512 */
	bool provisional; /* `allocated` is an estimate until the group of the last change closes */
	struct timespec atime, mtime, ctime, btime;
	uint32_t flags;	 /* enum vfs_flag */
	uint64_t change; /* rises with every change of data or attributes */
};

/* What vfs_setattr changes. */
enum vfs_set {
	VFS_SET_MODE = 1 << 0,
	VFS_SET_UID = 1 << 1,
	VFS_SET_GID = 1 << 2,
	VFS_SET_SIZE = 1 << 3,
	VFS_SET_ATIME = 1 << 4,
	VFS_SET_MTIME = 1 << 5,
	VFS_SET_ATIME_NOW = 1 << 6,
	VFS_SET_MTIME_NOW = 1 << 7,
	VFS_SET_CTIME = 1 << 8,	    /* by a kernel that keeps times itself */
	VFS_SET_KILL_PRIV = 1 << 9, /* clear set-id bits as a write by this caller would */
	VFS_SET_FLAGS = 1 << 10,
	/* By a kernel that owns times, which has checked what its user may do. Who asks matters for
	 * set-id bits only. */
	VFS_SET_CHECKED = 1 << 12,
	VFS_SET_CHOWN = 1 << 11, /* chown(2) of nothing: what it does to set-id bits */
};

#define VFS_RENAME_NOREPLACE 1u
#define VFS_RENAME_EXCHANGE 2u
#define VFS_RENAME_WHITEOUT 4u /* a character device 0:0 takes the old name: for overlayfs */

#define VFS_WRITE_APPEND 1u    /* at the end of the file, atomically; offset is ignored */
#define VFS_WRITE_SYNC 2u      /* durable, data and all metadata, before it returns (O_SYNC, FUA) */
#define VFS_WRITE_DSYNC 4u     /* durable as O_DSYNC asks */
#define VFS_WRITE_KILL_PRIV 8u /* clear set-id bits */
/* Pages that a kernel kept: at `offset` however the file was opened. Rights and set-id bits were
 * looked after when they were changed. */
#define VFS_WRITE_CACHED 16u
#define VFS_WRITE_KEEP_TIMES 32u /* mtime and ctime come by vfs_setattr */

/* With O_WRONLY in vfs_open and vfs_create: a kernel that keeps pages reads what surrounds a write.
 */
#define VFS_OPEN_READ_BACK (1 << 30)

#define VFS_FALLOC_KEEP_SIZE 1u
#define VFS_FALLOC_PUNCH 2u /* with KEEP_SIZE */
#define VFS_FALLOC_ZERO 4u
#define VFS_FALLOC_COLLAPSE 8u
#define VFS_FALLOC_INSERT 16u

#define VFS_SEEK_DATA 0
#define VFS_SEEK_HOLE 1

#define VFS_XATTR_CREATE 1u
#define VFS_XATTR_REPLACE 2u
#define VFS_XATTR_KILL_SGID 4u /* an access ACL clears the set-gid bit, whoever asks */
#define VFS_XATTR_VALUE_MAX 65536
#define VFS_XATTR_LIST_MAX 65536 /* bytes of all names with their NULs */

struct vfs_statfs {
	uint64_t total_bytes, free_bytes,
		available_bytes;      /* of the quota, or of 2^60 bytes without one */
	uint64_t inodes, free_inodes; /* in use, and how many more there can be */
	uint32_t name_max, block_size;
};

/* Entries for vfs_readdir, in the order of cookies. */
struct vfs_dirent {
	struct slice name; /* borrowed for the call of `emit` */
	uint64_t inode;
	uint64_t cookie; /* give it to vfs_readdir to go on behind this entry */
	uint8_t type;	 /* DT_* */
	const struct vfs_attr *
		attr; /* NULL unless asked for, or when the inode went in between; never for ".." */
};
/* Takes an entry: true = it fitted, go on; false = it did not fit, stop before it. Must not call
 * the vfs. */
typedef bool vfs_emit_fn(void *arg, const struct vfs_dirent *e);

enum vfs_lock_type { VFS_LOCK_READ, VFS_LOCK_WRITE, VFS_UNLOCK };
struct vfs_lock {
	enum vfs_lock_type type;
	uint64_t start, end; /* inclusive; UINT64_MAX = to the end of all */
	uint64_t owner;	     /* opaque to the vfs; unique per front end by `owner_domain` */
	uint32_t owner_domain, pid;
	bool flock; /* BSD lock: whole file, apart from POSIX ones */
};

/* Told to a front end after the change was answered, from one thread that holds no lock
 * (vfs_set_events). */
enum vfs_event_kind {
	VFS_EVENT_DATA,
	VFS_EVENT_ATTR,
	VFS_EVENT_ENTRY,
	VFS_EVENT_ALL,
	VFS_EVENT_LOCK_GRANTED,
	VFS_EVENT_LOCK_LOST /* a wait ended without the lock: events stop */
};
struct vfs_event {
	enum vfs_event_kind kind;
	uint64_t inode;	   /* the directory for ENTRY; 0 for ALL */
	struct slice name; /* ENTRY */
	uint64_t token;	   /* LOCK_*: as given to vfs_setlk */
};

struct vfs {
	const struct vfs_ops *ops;
};

struct vfs_ops {
	/* ---- names ---- */
	/* Finds `name` ("." and ".." too) in directory `dir`; needs search permission. *ret is what
	 * getattr gives. "." of something else than a directory is that itself. */
	int (*lookup)(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
		struct vfs_attr *ret);
	/*
	 * Creates a regular file and opens it with `flags` (O_*; O_EXCL: -EEXIST when the name
	 * exists; else an existing regular file is opened, and truncated with O_TRUNC). `mode`:
	 * permissions, less
	 * the umask of `c` or what a default ACL of `dir`, which is inherited, leaves. setgid
	 * directories pass their group on.
	 * *ret_created (may be NULL) tells which.
	 */
	int (*create)(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
		uint32_t mode, int flags, struct vfs_attr *ret, struct vfs_file **ret_file,
		bool *ret_created);
	/* Any type but directory and symlink; regular files too. `rdev` for devices. Devices need
	 * root. */
	int (*mknod)(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
		uint32_t mode, uint64_t rdev, struct vfs_attr *ret);
	int (*mkdir)(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
		uint32_t mode, struct vfs_attr *ret);
	int (*symlink)(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
		struct slice target, struct vfs_attr *ret);
	/* An unnamed file of the directory's group and volume (O_TMPFILE); gone on last close, and
	 * after a crash, unless it was linked, which O_EXCL in `flags` forbids. */
	int (*tmpfile)(struct vfs *v, const struct vfs_cred *c, uint64_t dir, uint32_t mode,
		int flags, struct vfs_attr *ret, struct vfs_file **ret_file);
	/* Not for directories (-EPERM). */
	int (*link)(struct vfs *v, const struct vfs_cred *c, uint64_t inode, uint64_t dir,
		struct slice name, struct vfs_attr *ret);
	/* An open file lives on until its last close (also after a crash it is gone at the next
	 * open of the volume). */
	int (*unlink)(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name);
	int (*rmdir)(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name);
	/* Atomic, also across a crash. `flags` VFS_RENAME_*. -EINVAL: a directory into its own
	 * descendant. */
	int (*rename)(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
		uint64_t to_dir, struct slice to_name, unsigned flags);
	/* Appends the target to `out`. */
	int (*readlink)(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct buf *out);

	/* ---- attributes ---- */
	int (*getattr)(
		struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct vfs_attr *ret);
	/* `f`: an open file by which the caller has the right to truncate, or NULL. ctime changes
	 * with everything. */
	int (*setattr)(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct vfs_file *f,
		unsigned set, const struct vfs_attr *in, struct vfs_attr *ret);
	/*
	 * The front end has no use for the number of an inode any more. Of one that it removed
	 * (vfs_cred.keeps) the last trace goes now, unless it is open; nothing happens to others.
	 */
	void (*forget)(struct vfs *v, uint64_t inode);
	/* access(2): R_OK | W_OK | X_OK; -EACCES, -EROFS. */
	int (*access)(struct vfs *v, const struct vfs_cred *c, uint64_t inode, int mask);
	int (*statfs)(struct vfs *v, struct vfs_statfs *ret);

	/* ---- open files ---- */
	/* `flags`: O_RDONLY.. with O_TRUNC, O_APPEND (kept for writes), O_DIRECTORY, O_NOATIME.
	 * Directories open read-only. */
	int (*open)(struct vfs *v, const struct vfs_cred *c, uint64_t inode, int flags,
		struct vfs_file **ret);
	/* Always succeeds and frees `f`; releases its locks. The last one of an unlinked file
	 * removes it. */
	void (*release)(struct vfs *v, struct vfs_file *f);
	/* Returns bytes read, fewer than `len` only at the end of the file. */
	int64_t (*read)(struct vfs *v, struct vfs_file *f, uint64_t offset, void *buf, size_t len);
	/* Returns bytes written: all of them or an error. *ret_size (may be NULL): the file's size
	 * after it. */
	int64_t (*write)(struct vfs *v, const struct vfs_cred *c, struct vfs_file *f,
		uint64_t offset, const struct slice *parts, size_t nparts, unsigned flags,
		uint64_t *ret_size);
	/* Durable: the file's data and metadata and every name change that named it. After a
	 * failure (reported once per open file) the data stay and are retried. Costs no request
	 * when the last change is durable. */
	int (*fsync)(struct vfs *v, struct vfs_file *f, bool datasync);
	/* close(2) of one descriptor: reports an error of writing back that nobody has been told;
	 * waits for nothing. */
	int (*flush)(struct vfs *v, struct vfs_file *f);
	int (*fallocate)(struct vfs *v, const struct vfs_cred *c, struct vfs_file *f, unsigned mode,
		uint64_t offset, uint64_t len);
	/* Returns the offset, -ENXIO beyond the end. */
	int64_t (*seek)(struct vfs *v, struct vfs_file *f, uint64_t offset, int whence);
	/*
	 * Copies by sharing extents where it can. Returns bytes copied: 0 at the end of `from`,
	 * fewer than `len` there and when it takes long (call again). -EINVAL: ranges of one file
	 * overlap. Steps of a long copy are durable one by one.
	 */
	int64_t (*copy_range)(struct vfs *v, const struct vfs_cred *c, struct vfs_file *from,
		uint64_t offset, struct vfs_file *to, uint64_t to_offset, uint64_t len);
	/*
	 * Entries behind `cookie` (0 = from the beginning), "." and ".." first. Cookies are stable
	 * for ever: an entry that stays is seen exactly once, whatever else changes. `with_attr`:
	 * attributes of each entry.
	 */
	int (*readdir)(struct vfs *v, const struct vfs_cred *c, struct vfs_file *f, uint64_t cookie,
		bool with_attr, vfs_emit_fn *emit, void *arg);

	/* ---- extended attributes ---- */
	/*
	 * Namespaces: user. (regular files and directories), trusted. (root), security. (root
	 * writes), and system.posix_acl_access and system.posix_acl_default, whose values are ACLs
	 * as Linux encodes them. -EOPNOTSUPP another namespace; -EINVAL nothing behind it; -EPERM.
	 * Appends the value to `out`. -ENODATA.
	 */
	int (*getxattr)(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct slice name,
		struct buf *out);
	/* `flags` VFS_XATTR_*, without meaning for ACLs but KILL_SGID. Values have at most
	 * VFS_XATTR_VALUE_MAX bytes (-E2BIG). -EEXIST, -ENODATA; -ENOSPC also an ACL of too many
	 * entries. */
	int (*setxattr)(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct slice name,
		struct slice value, unsigned flags);
	/* Appends the names, each with a terminating NUL; trusted ones for root only. -E2BIG: they
	 * take more than VFS_XATTR_LIST_MAX bytes. */
	int (*listxattr)(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct buf *out);
	int (*removexattr)(
		struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct slice name);

	/* ---- locks ---- */
	/*
	 * Advisory, on inodes: POSIX byte ranges, and BSD locks (`flock`) apart from them. An owner
	 * is who does not conflict with itself: a process for POSIX locks, an open file description
	 * for BSD locks and for those of fcntl(F_OFD_SETLK), which are byte ranges else. They live
	 * in memory, until they are unlocked or the file by which they were taken is released.
	 */
	/* *lock becomes the first conflicting lock, or type VFS_UNLOCK. */
	int (*getlk)(struct vfs *v, struct vfs_file *f, struct vfs_lock *lock);
	/*
	 * -EAGAIN conflict. `wait_token` != 0: -EINPROGRESS instead, and VFS_EVENT_LOCK_GRANTED
	 * with the token later (perhaps before this returns); no thread waits. Tokens are unique in
	 * the process while they wait (-EINVAL); without a listener (set_events) -EOPNOTSUPP. What
	 * the owner holds stays while it waits, but a BSD lock goes before one of another type is
	 * asked for, also when that is refused.
	 * -EDEADLK: POSIX locks, the owner would wait for itself; -ENOLCK: too many locks; -EBADF:
	 * a POSIX lock by a file that is not open for reading, or writing.
	 * VFS_UNLOCK: of a part of a range may fail with -ENOLCK; of everything (0..UINT64_MAX)
	 * never fails. That is what a front end owes whenever an owner closes any of its
	 * descriptors of the inode, whichever the locks were taken by; it costs nothing when nobody
	 * holds a lock.
	 */
	int (*setlk)(struct vfs *v, struct vfs_file *f, const struct vfs_lock *lock,
		uint64_t wait_token);
	/* Gives up a wait, of which nothing is heard then; -ENOENT when it was granted already, or
	 * never was. */
	int (*cancel_lk)(struct vfs *v, uint64_t wait_token);

	/* ---- the volume ---- */
	/* Everything that was changed before the call is durable when it returns. */
	int (*sync)(struct vfs *v, struct error *err);
	/*
	 * Where to send events, from a thread of its own; -EBUSY when somebody listens already.
	 * NULL stops them: who still waits for a lock gets VFS_EVENT_LOCK_LOST, what was posted is
	 * delivered, and nothing comes after it returned. Not at the same time as setlk with a
	 * token.
	 */
	int (*set_events)(
		struct vfs *v, void (*event)(void *arg, const struct vfs_event *e), void *arg);
};

/* Calls with argument checks; see the members of struct vfs_ops. */
int vfs_lookup(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	struct vfs_attr *ret);
int vfs_create(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	uint32_t mode, int flags, struct vfs_attr *ret, struct vfs_file **ret_file,
	bool *ret_created);
int vfs_mknod(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	uint32_t mode, uint64_t rdev, struct vfs_attr *ret);
int vfs_mkdir(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	uint32_t mode, struct vfs_attr *ret);
int vfs_symlink(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	struct slice target, struct vfs_attr *ret);
int vfs_tmpfile(struct vfs *v, const struct vfs_cred *c, uint64_t dir, uint32_t mode, int flags,
	struct vfs_attr *ret, struct vfs_file **ret_file);
int vfs_link(struct vfs *v, const struct vfs_cred *c, uint64_t inode, uint64_t dir,
	struct slice name, struct vfs_attr *ret);
int vfs_unlink(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name);
int vfs_rmdir(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name);
int vfs_rename(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	uint64_t to_dir, struct slice to_name, unsigned flags);
int vfs_readlink(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct buf *out);
int vfs_getattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct vfs_attr *ret);
int vfs_setattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct vfs_file *f,
	unsigned set, const struct vfs_attr *in, struct vfs_attr *ret);
void vfs_forget(struct vfs *v, uint64_t inode);
int vfs_access(struct vfs *v, const struct vfs_cred *c, uint64_t inode, int mask);
int vfs_statfs(struct vfs *v, struct vfs_statfs *ret);
int vfs_open(
	struct vfs *v, const struct vfs_cred *c, uint64_t inode, int flags, struct vfs_file **ret);
void vfs_release(struct vfs *v, struct vfs_file *f);
int64_t vfs_read(struct vfs *v, struct vfs_file *f, uint64_t offset, void *buf, size_t len);
int64_t vfs_write(struct vfs *v, const struct vfs_cred *c, struct vfs_file *f, uint64_t offset,
	const struct slice *parts, size_t nparts, unsigned flags, uint64_t *ret_size);
int vfs_fsync(struct vfs *v, struct vfs_file *f, bool datasync);
int vfs_flush(struct vfs *v, struct vfs_file *f);
int vfs_fallocate(struct vfs *v, const struct vfs_cred *c, struct vfs_file *f, unsigned mode,
	uint64_t offset, uint64_t len);
int64_t vfs_seek(struct vfs *v, struct vfs_file *f, uint64_t offset, int whence);
int64_t vfs_copy_range(struct vfs *v, const struct vfs_cred *c, struct vfs_file *from,
	uint64_t offset, struct vfs_file *to, uint64_t to_offset, uint64_t len);
int vfs_readdir(struct vfs *v, const struct vfs_cred *c, struct vfs_file *f, uint64_t cookie,
	bool with_attr, vfs_emit_fn *emit, void *arg);
int vfs_getxattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct slice name,
	struct buf *out);
int vfs_setxattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct slice name,
	struct slice value, unsigned flags);
int vfs_listxattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct buf *out);
int vfs_removexattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct slice name);
int vfs_getlk(struct vfs *v, struct vfs_file *f, struct vfs_lock *lock);
int vfs_setlk(struct vfs *v, struct vfs_file *f, const struct vfs_lock *lock, uint64_t wait_token);
int vfs_cancel_lk(struct vfs *v, uint64_t wait_token);
int vfs_sync(struct vfs *v, struct error *err);
int vfs_set_events(struct vfs *v, void (*event)(void *arg, const struct vfs_event *e), void *arg);

#endif
