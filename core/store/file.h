/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_STORE_FILE_H
#define CORE_STORE_FILE_H
/*
 * A store in a directory (file:///path): one file per object, under its name. Several processes may
 * use it at once. Thread-safe.
 *
 * Layout: the object log/<epoch>/<sequence> (16 lower-case hex digits each) is the file
 * log/<epoch>/<first 13 digits of sequence>/<sequence>, so that no directory of the log holds more
 * than 4096; every other object is the file of its name. An object cannot be named like a directory
 * that others lie in. Format source: docs/format.md, "Objects under the volume's prefix", file://.
 *
 * Durability: a file gets its name only when its bytes are on disk, and create, put and delete
 * report success only when the directory is on disk too; one directory fsync serves all requests
 * that wait for it. The same holds for directories made on the way, and for the answer -EEXIST:
 * what it reports would survive a power loss.
 *
 * Names that are not keys (temporary files left by a crash among them) are ignored.
 */
#include "core/store/store.h"

/* How bytes are made durable. Both give 0 or a negative errno. */
struct file_sync {
	int (*data)(void *arg, int fd);	     /* a file's bytes and size */
	int (*directory)(void *arg, int fd); /* a directory's names */
	void *arg;
};

struct file_options {
	bool create_root; /* make the directory, and those above it, when it is missing */
	bool named_temp;  /* do not try O_TMPFILE: for filesystems where it is known to fail */
	const struct file_sync
		*sync; /* NULL: fdatasync(2) and fsync(2); else must outlive the store */
};

/* Opens the store in the directory `path`. -ENOENT: there is no such directory; -EACCES, -ENOSPC,
 * -EIO, -ENOMEM. */
int file_store_open(
	const char *path, const struct file_options *o, struct store **ret, struct error *err);

#endif
