/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuse/options.h"

#include "core/config/config.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum {
	OPT_CREATE = 256,
	OPT_FORCE,
	OPT_ACCEPT_ROLLBACK,
};

static const struct option own_options[] = {
	{"create", no_argument, NULL, OPT_CREATE},
	{"force", no_argument, NULL, OPT_FORCE},
	{"accept-rollback", no_argument, NULL, OPT_ACCEPT_ROLLBACK},
	{"config", required_argument, NULL, 'c'},
	{"foreground", no_argument, NULL, 'f'},
	{"debug", no_argument, NULL, 'd'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
};
#define OWN_OPTIONS (sizeof own_options / sizeof *own_options)

void options_usage(void)
{
	puts("Usage: zerofs-mount [options] [SOURCE] MOUNTPOINT\n"
	     "\n"
	     "Mounts the volume at SOURCE (file:///path, /path, ./path; else storage.url of the configuration) on\n"
	     "the directory MOUNTPOINT. As mount.zerofs it serves mount(8) and fstab.\n"
	     "\n"
	     "      --create               make the volume when there is none at SOURCE\n"
	     "  -o OPTION[,OPTION...]      ro rw suid nosuid dev nodev exec noexec atime noatime relatime sync\n"
	     "                             strictatime nodiratime exclusive\n"
	     "                             allow_other allow_root default_permissions fsname= subtype= remount,\n"
	     "                             and the options below with _ for -, as config=FILE,memory=64M\n"
	     "      --force                take over from a writer that seems alive\n"
	     "      --accept-rollback      open a store that is older than this machine remembers\n"
	     "  -f, --foreground           stay in the foreground\n"
	     "  -d, --debug                foreground, with debug messages\n"
	     "  -v, --verbose              more messages; twice: debug messages\n"
	     "  -h, --help                 this text\n"
	     "  -V, --version              the version");
	(void)fputs(config_options_help, stdout);
	puts("\nUnmount with: zerofs umount MOUNTPOINT (waits until everything is stored), or fusermount3 -u.");
}

static int one_option(struct options *o, int c, char *arg, struct error *err)
{
	if (c >= CONFIG_OPTION_FIRST)
		return config_set_option(o->config, c, arg, err);
	switch (c) {
	case 'o':
		return mount_options_parse(o, arg, err);
	case 'c':
		o->config_path = arg;
		return 0;
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
	case OPT_FORCE:
		o->force = true;
		return 0;
	case OPT_ACCEPT_ROLLBACK:
		o->accept_rollback = true;
		return 0;
	default:
		return error_set(err, -EINVAL, "see zerofs-mount --help");
	}
}

static int parse_own(int argc, char **argv, struct options *o, struct error *err)
{
	struct option all[OWN_OPTIONS + CONFIG_OPTIONS_MAX + 1] = {0};
	int c;

	memcpy(all, own_options, sizeof own_options);
	(void)config_add_options(all, OWN_OPTIONS); /* the rest stays zero: the end */
	while ((c = getopt_long(argc, argv, "o:c:fdvhV", all, NULL)) != -1) {
		int r = one_option(o, c, optarg, err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* As mount(8) calls its helpers. */
static int parse_helper(int argc, char **argv, struct options *o, struct error *err)
{
	int c, r = 0;

	/* -s tells how -o is to be read, wherever it stands. */
	for (int i = 1; i < argc; i++)
		o->sloppy =
			o->sloppy ||
			(argv[i][0] == '-' && strspn(argv[i] + 1, "sfnv") == strlen(argv[i] + 1) &&
				strchr(argv[i], 's'));
	while (r == 0 && (c = getopt(argc, argv, "o:t:sfnvhV")) != -1) {
		switch (c) {
		case 'f':
			o->fake = true;
			break;
		case 's': /* seen above */
		case 'n': /* there is no mtab to write */
		case 't': /* the type is known */
			break;
		case 'o':
		case 'v':
		case 'h':
		case 'V':
			r = one_option(o, c, optarg, err);
			break;
		default:
			r = error_set(err, -EINVAL,
				"usage: %s SOURCE MOUNTPOINT [-sfnv] [-o OPTION,...] [-t TYPE]",
				o->program);
		}
	}
	return r;
}

static int take_operands(int argc, char **argv, struct options *o, struct error *err)
{
	int n = argc - optind;

	if (o->help || o->version)
		return 0;
	if (n < (o->helper ? 2 : 1) || n > 2)
		return error_set(
			err, -EINVAL, "needed are SOURCE and MOUNTPOINT; see zerofs-mount --help");
	o->mountpoint = argv[argc - 1];
	if (n == 2)
		o->source = argv[optind];
	if (o->helper && strcmp(o->source, "none") == 0)
		o->source = NULL; /* fstab cannot leave it out */
	return 0;
}

int options_parse(int argc, char **argv, struct options *ret, struct error *err)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;

	*ret = (struct options){.program = "zerofs-mount", .config = config_new()};
	if (!ret->config)
		return error_set(err, -ENOMEM, "out of memory");
	if (argc && strncmp(slash ? slash + 1 : argv[0], "mount.", 6) == 0) {
		ret->helper = true;
		ret->program = slash ? slash + 1 : argv[0];
	}
	int r = ret->helper ? parse_helper(argc, argv, ret, err) : parse_own(argc, argv, ret, err);

	return r < 0 ? r : take_operands(argc, argv, ret, err);
}

void options_done(struct options *o)
{
	config_free(o->config);
	o->config = NULL;
}
