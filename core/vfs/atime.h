/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_ATIME_H
#define CORE_VFS_ATIME_H
/*
 * When reading changes access times. The policy alone is here, as a pure function; attr_accessed
 * (attr.h) carries it out lazily: no request to the store is made for an access time.
 */
#include <stdbool.h>
#include <time.h>

enum atime_mode {
	ATIME_RELATIVE, /* what was changed since it was last read, or read more than a day ago */
	ATIME_NEVER,
	ATIME_ALWAYS,
};

struct atime_policy {
	enum atime_mode mode;
	bool no_directories;
};

/* Whether reading at `now` changes the access time of a file or directory with these times. */
bool atime_changes(const struct atime_policy *p, bool directory, struct timespec atime,
	struct timespec mtime, struct timespec ctime, struct timespec now);

#endif
