/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FUSE_OPTIONS_H
#define FUSE_OPTIONS_H
/* The command line of zerofs-mount, also as mount(8) calls it: SOURCE MOUNTPOINT [-o a,b,...] [long
 * options]. */
#include "core/base/error.h"
#include "core/volume.h"

#include <stdbool.h>
#include <stdint.h>

struct options {
	const char *source, *mountpoint;
	const char *password_file, *compression;
	uint64_t memory, max_size; /* bytes, 0 = default / none */
	bool foreground, debug, create, read_only, force, accept_rollback, strict_lease, sync;
	bool dev, suid; /* asked for by name */
	bool exclusive;
	struct atime_policy atime;
	int verbose;
	char mount_options[1024]; /* for the kernel and fusermount3, comma-separated */
	bool help, version;
};

/* 0, or -EINVAL with what is wrong; then exit with status 2. Strings point into argv. */
int options_parse(int argc, char **argv, struct options *ret, struct error *err);
void options_usage(void);

#endif
