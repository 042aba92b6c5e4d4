/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FUSE_OPTIONS_H
#define FUSE_OPTIONS_H
/*
 * The command line of zerofs-mount: [SOURCE] MOUNTPOINT [-o a,b,...] [long options]. Called as
 * mount.zerofs or mount.fuse.zerofs it is what mount(8) calls: SOURCE MOUNTPOINT [-sfnv] [-o
 * a,b,...] [-t TYPE], where -f means to do nothing and what stands in long options otherwise stands
 * in -o.
 */
#include "core/base/error.h"
#include "core/volume.h"

#include <stdbool.h>
#include <stdint.h>

struct config;

struct options {
	const char *program;		 /* for messages */
	const char *source, *mountpoint; /* source NULL: the configuration names it */
	struct config *config;		 /* what the command line sets; options_done frees it */
	const char *config_path;	 /* NULL = look it up */
	bool foreground, debug, create, read_only, force, accept_rollback, sync;
	bool dev, suid;	   /* asked for by name */
	bool helper;	   /* called by mount(8) */
	bool fake, sloppy; /* -f and -s of mount(8): all but the mount; unknown -o options are
			      nothing */
	bool remount;	   /* change a mount that exists */
	bool exclusive;
	struct atime_policy atime;
	int verbose;
	char mount_options[1024]; /* for the kernel and fusermount3, comma-separated */
	bool help, version;
};

/* 0, or -EINVAL with what is wrong; then exit with status 2. Strings point into argv. Call
 * options_done in any case. */
int options_parse(int argc, char **argv, struct options *ret, struct error *err);
void options_done(struct options *o);
void options_usage(void);

/* One list of -o options; takes `list` apart. -EINVAL names the option. */
int mount_options_parse(struct options *o, char *list, struct error *err);

#endif
