/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_STORE_FILE_INTERNAL_H
#define CORE_STORE_FILE_INTERNAL_H
/*
 * The parts of the file backend: file.c the operations, file_dirs.c open directories and their
 * shared fsync, file_fds.c open objects, file_list.c LIST, file_path.c names and errors. Paths are
 * relative to the root directory, which is open once.
 */
#include "core/base/thread.h"
#include "core/store/file.h"
#include "core/store/store_internal.h"

#include <sys/types.h>

#define FILE_PATH_MAX (STORE_KEY_MAX + 16) /* a key, the extra level of the log, the terminator */
#define FILE_DIRS_MAX 64		   /* directories kept open */
#define FILE_FDS_MAX 64			   /* objects kept open */
#define FILE_LOG_EPOCH 16		   /* hex digits of an epoch and of a sequence */
#define FILE_LOG_EPOCH_KEY 21		   /* bytes of log/<epoch>/ */
#define FILE_LOG_GROUP 13		   /* of these name the directory that a sequence lies in */

/*
 * An open directory. Its own name is durable: whoever opens it first sees to that.
 *
 * Shared fsync: rounds are numbered; a request that needs its change on disk waits for the first
 * round that begins after it asked, and runs that round itself when nobody runs one. begun - 1 <=
 * ended <= begun.
 */
struct file_dir {
	struct file_dir *next; /* most recently used first; guarded by dirs_lock, like all but `fd`
				  and `path` */
	unsigned refs;	       /* users now; kept open without any while there is room */
	bool forgotten;	       /* not in the list any more */
	uint64_t begun, ended, failed; /* rounds; `failed`: the newest one that failed */
	struct cond round_ended;
	int fd;
	char path[FILE_PATH_MAX]; /* "" is the root */
};

/* An open object. */
struct file_fd {
	struct file_fd *next; /* most recently used first; guarded by fds_lock, like `refs` */
	unsigned refs;	      /* the list's own included */
	int fd;
	dev_t dev;
	ino_t ino;
	char path[FILE_PATH_MAX];
};

struct file_store {
	struct store store;
	/* immutable after open */
	char *root;
	int root_fd;
	struct file_sync sync;
	/* atomic */
	atomic_bool named_temp; /* O_TMPFILE does not work here */
	atomic_bool cancelled;
	/* guarded by `dirs_lock` */
	struct mutex dirs_lock;
	struct file_dir *dirs;
	/* guarded by `fds_lock` */
	struct mutex fds_lock;
	struct file_fd *fds;
};

/* file_path.c */

/* The path of an object. -EINVAL for a key that has no place in this layout. */
int file_path_of(const char *key, char path[static FILE_PATH_MAX], struct error *err);
/* Whether `s` begins with `n` lower-case hex digits. */
bool file_is_hex(const char *s, size_t n);
/* Whether `s` begins with log/<epoch>/. */
bool file_in_log_epoch(const char *s);
/* Maps errno `e` (positive) to the errors of store.h and sets the text. `path` may be "". */
int file_error(
	const struct file_store *fs, struct error *err, int e, const char *what, const char *path);
/* Whether the root directory itself is gone: then that an object is missing says nothing. */
bool file_root_removed(const struct file_store *fs);
/* openat(2), close-on-exec; gives up cached descriptors when there are none left. Negative errno.
 */
int file_openat(struct file_store *fs, int at, const char *path, int flags);

/* file_dirs.c */

/*
 * A reference to the directory `path`, whose name is on disk. With `make` it is made where missing,
 * and so are those above it. -ENOENT: missing; with `make`: one above was removed under our feet.
 */
int file_dir_get(struct file_store *fs, const char *path, bool make, struct file_dir **ret,
	struct error *err);
void file_dir_put(struct file_store *fs, struct file_dir *d);
/* Does not find `d` again: it was removed under our feet. */
void file_dir_forget(struct file_store *fs, struct file_dir *d);
/* Returns when all changes of names in `d` so far are on disk. Negative errno, not mapped;
 * -ECANCELED. */
int file_dir_sync(struct file_store *fs, struct file_dir *d);
/* Closes the directories nobody uses. */
void file_dirs_drop(struct file_store *fs);
/* Wakes everybody in file_dir_sync(), after `cancelled` was set. */
void file_dirs_wake(struct file_store *fs);

/* file_fds.c */

/* The object at `path`, open for reading, and its size. `keep`: it is immutable and may stay open.
 * Mapped errors. */
int file_fd_get(struct file_store *fs, const char *path, bool keep, struct file_fd **ret,
	uint64_t *ret_size, struct error *err);
void file_fd_put(struct file_store *fs, struct file_fd *f);
void file_fd_forget(struct file_store *fs, const char *path);
/* Closes the objects nobody uses. */
void file_fds_drop(struct file_store *fs);

/* file_list.c */
int file_list(struct store *s, const char *prefix, const char *after, struct store_list *out,
	struct error *err);

#endif
