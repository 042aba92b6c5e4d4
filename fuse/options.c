/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuse/options.h"

#include "core/base/sizes.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum {
	OPT_CREATE = 256,
	OPT_PASSWORD_FILE,
	OPT_MEMORY,
	OPT_MAX_SIZE,
	OPT_COMPRESSION,
	OPT_FORCE,
	OPT_ACCEPT_ROLLBACK,
	OPT_LEASE,
};

static const struct option long_options[] = {
	{"create", no_argument, NULL, OPT_CREATE},
	{"password-file", required_argument, NULL, OPT_PASSWORD_FILE},
	{"memory", required_argument, NULL, OPT_MEMORY},
	{"max-size", required_argument, NULL, OPT_MAX_SIZE},
	{"compression", required_argument, NULL, OPT_COMPRESSION},
	{"force", no_argument, NULL, OPT_FORCE},
	{"accept-rollback", no_argument, NULL, OPT_ACCEPT_ROLLBACK},
	{"lease", required_argument, NULL, OPT_LEASE},
	{"foreground", no_argument, NULL, 'f'},
	{"debug", no_argument, NULL, 'd'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

void options_usage(void)
{
	puts("Usage: zerofs-mount [options] SOURCE MOUNTPOINT\n"
	     "\n"
	     "Mounts the volume at SOURCE (file:///path, /path, ./path) on the directory MOUNTPOINT.\n"
	     "\n"
	     "      --create               make the volume when there is none at SOURCE\n"
	     "      --password-file FILE   read the password from FILE (else $ZEROFS_PASSWORD,\n"
	     "                             $ZEROFS_PASSWORD_FILE, or the terminal)\n"
	     "  -o OPTION[,OPTION...]      ro rw suid nosuid dev nodev exec noexec atime noatime relatime sync\n"
	     "                             strictatime nodiratime exclusive\n"
	     "                             allow_other allow_root default_permissions fsname= subtype=\n"
	     "      --memory SIZE          memory of the whole process (256M)\n"
	     "      --max-size SIZE        quota of the volume (none)\n"
	     "      --compression NAME     auto, lz4, zstd-1 to zstd-22, none (auto)\n"
	     "      --lease MODE           available or strict (available)\n"
	     "      --force                take over from a writer that seems alive\n"
	     "      --accept-rollback      open a store that is older than this machine remembers\n"
	     "  -f, --foreground           stay in the foreground\n"
	     "  -d, --debug                foreground, with debug messages\n"
	     "  -v, --verbose              more messages\n"
	     "  -h, --help                 this text\n"
	     "  -V, --version              the version\n"
	     "\n"
	     "Unmount with: zerofs umount MOUNTPOINT (waits until everything is stored), or fusermount3 -u.");
}

/* Adds to the kernel's options. */
static int pass_on(struct options *o, const char *option, struct error *err)
{
	size_t n = strlen(o->mount_options);

	if (n + strlen(option) + 2 > sizeof o->mount_options)
		return error_set(err, -EINVAL, "too many -o options");
	if (n)
		o->mount_options[n++] = ',';
	strcpy(o->mount_options + n, option);
	return 0;
}

/* The last one counts, as for mount(8). */
static bool atime_option(struct options *o, const char *option)
{
	if (strcmp(option, "noatime") == 0)
		o->atime.mode = ATIME_NEVER;
	else if (strcmp(option, "strictatime") == 0)
		o->atime.mode = ATIME_ALWAYS;
	else if (strcmp(option, "relatime") == 0 || strcmp(option, "atime") == 0)
		o->atime.mode = ATIME_RELATIVE;
	else if (strcmp(option, "nodiratime") == 0)
		o->atime.no_directories = true;
	else
		return false;
	return true;
}

static int mount_option(struct options *o, const char *option, struct error *err)
{
	/* For mount(8) and fstab only; they mean nothing here. */
	static const char *const ignored[] = {"rw", "defaults", "auto", "noauto", "user", "nouser",
		"users", "_netdev", "nofail", "async", "default_permissions", "diratime"};
	static const char *const passed[] = {
		"nosuid", "nodev", "exec", "noexec", "allow_other", "allow_root", "dirsync"};

	if (atime_option(o, option))
		return strcmp(option, "noatime") == 0 ? pass_on(o, option, err) : 0;
	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		if (strcmp(option, ignored[i]) == 0)
			return 0;
	for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
		if (strcmp(option, passed[i]) == 0)
			return pass_on(o, option, err);
	if (strncmp(option, "fsname=", 7) == 0 || strncmp(option, "subtype=", 8) == 0)
		return pass_on(o, option, err);
	if (strncmp(option, "x-", 2) == 0)
		return 0;
	if (strcmp(option, "ro") == 0)
		o->read_only = true;
	else if (strcmp(option, "suid") == 0)
		o->suid = true;
	else if (strcmp(option, "dev") == 0)
		o->dev = true;
	else if (strcmp(option, "exclusive") == 0)
		o->exclusive = true;
	else if (strcmp(option, "sync") == 0)
		o->sync = true;
	else
		return error_set(err, -EINVAL, "unknown option -o %s", option);
	return option[0] == 'r' || option[0] == 's' || option[0] == 'd' ? pass_on(o, option, err)
									: 0;
}

static int mount_options(struct options *o, char *list, struct error *err)
{
	char *save = NULL;

	for (char *one = strtok_r(list, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
		int r = mount_option(o, one, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int one_option(struct options *o, int c, char *arg, struct error *err)
{
	switch (c) {
	case 'o':
		return mount_options(o, arg, err);
	case 'f':
		o->foreground = true;
		return 0;
	case 'd':
		o->foreground = o->debug = true;
		return 0;
	case 'v':
		o->verbose++;
		return 0;
	case 'h':
		o->help = true;
		return 0;
	case 'V':
		o->version = true;
		return 0;
	case OPT_CREATE:
		o->create = true;
		return 0;
	case OPT_PASSWORD_FILE:
		o->password_file = arg;
		return 0;
	case OPT_MEMORY:
		return size_parse(arg, &o->memory) < 0
			       ? error_set(err, -EINVAL, "--memory %s is not a size", arg)
			       : 0;
	case OPT_MAX_SIZE:
		return size_parse(arg, &o->max_size) < 0
			       ? error_set(err, -EINVAL, "--max-size %s is not a size", arg)
			       : 0;
	case OPT_COMPRESSION:
		o->compression = arg;
		return 0;
	case OPT_FORCE:
		o->force = true;
		return 0;
	case OPT_ACCEPT_ROLLBACK:
		o->accept_rollback = true;
		return 0;
	case OPT_LEASE:
		o->strict_lease = strcmp(arg, "strict") == 0;
		return o->strict_lease || strcmp(arg, "available") == 0
			       ? 0
			       : error_set(err, -EINVAL, "--lease %s: it is strict or available",
					 arg);
	default:
		return error_set(err, -EINVAL, "see zerofs-mount --help");
	}
}

int options_parse(int argc, char **argv, struct options *ret, struct error *err)
{
	struct options o = {0};
	int c;

	while ((c = getopt_long(argc, argv, "o:fdvhV", long_options, NULL)) != -1) {
		int r = one_option(&o, c, optarg, err);

		if (r < 0)
			return r;
	}
	if (!o.help && !o.version) {
		if (argc - optind != 2)
			return error_set(err, -EINVAL,
				"needed are SOURCE and MOUNTPOINT; see zerofs-mount --help");
		o.source = argv[optind];
		o.mountpoint = argv[optind + 1];
	}
	*ret = o;
	return 0;
}
