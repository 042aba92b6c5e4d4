/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include "core/base/diag.h"
#include "core/base/sizes.h"

#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const struct command {
	const char *name;
	int (*run)(struct cli *c);
	int min, max; /* operands */
	const char *operands, *help;
} commands[] = {
	{"format", cmd_format, 1, 1, "VOLUME", "make a new, empty volume"},
	{"info", cmd_info, 1, 1, "VOLUME", "what a volume holds"},
	{"status", cmd_status, 1, 1, "MOUNTPOINT|VOLUME",
		"what the process that holds the volume is doing"},
	{"flush", cmd_flush, 1, 1, "MOUNTPOINT|VOLUME", "wait until everything is stored"},
	{"umount", cmd_umount, 1, 1, "MOUNTPOINT", "unmount, wait until everything is stored"},
	{"put", cmd_put, 3, 3, "VOLUME FILE PATH",
		"copy a local file (- = standard input) into an unmounted volume"},
	{"get", cmd_get, 2, 3, "VOLUME PATH [FILE]",
		"copy a file out of a volume (to standard output)"},
	{"ls", cmd_ls, 1, 2, "VOLUME [PATH]", "list a directory of a volume"},
	{"fsck", cmd_fsck, 1, 1, "VOLUME", "check a volume; --data opens every frame"},
	{"debug", cmd_debug, 1, 2, "VOLUME [KEY]", "list the stored objects, or dump one readably"},
};

enum {
	OPT_JSON = 256,
	OPT_DATA,
	OPT_FORCE,
	OPT_ACCEPT_ROLLBACK,
	OPT_PASSWORD_FILE,
	OPT_MEMORY,
	OPT_MAX_SIZE,
	OPT_COMPRESSION,
};

static const struct option long_options[] = {
	{"json", no_argument, NULL, OPT_JSON},
	{"data", no_argument, NULL, OPT_DATA},
	{"force", no_argument, NULL, OPT_FORCE},
	{"accept-rollback", no_argument, NULL, OPT_ACCEPT_ROLLBACK},
	{"password-file", required_argument, NULL, OPT_PASSWORD_FILE},
	{"memory", required_argument, NULL, OPT_MEMORY},
	{"max-size", required_argument, NULL, OPT_MAX_SIZE},
	{"compression", required_argument, NULL, OPT_COMPRESSION},
	{"parents", no_argument, NULL, 'p'},
	{"all", no_argument, NULL, 'a'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static void usage(void)
{
	puts("Usage: zerofs COMMAND [options] OPERANDS\n");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		printf("  %-7s %-20s %s\n", commands[i].name, commands[i].operands,
			commands[i].help);
	puts("\n"
	     "A VOLUME is an address: file:///path, /path or ./path.\n"
	     "\n"
	     "      --password-file FILE   read the password from FILE (else $ZEROFS_PASSWORD,\n"
	     "                             $ZEROFS_PASSWORD_FILE, or the terminal)\n"
	     "      --json                 info, status: as one JSON object\n"
	     "      --data                 fsck: open every frame\n"
	     "  -p, --parents              put: make missing directories\n"
	     "  -a, --all                  ls: with inode, owner, times\n"
	     "      --memory SIZE          memory of the process (256M)\n"
	     "      --max-size SIZE        put: quota of the volume\n"
	     "      --compression NAME     put: auto, lz4, zstd-1 to zstd-22, none (auto)\n"
	     "      --force                put: take over from a writer that seems alive\n"
	     "      --accept-rollback      open a store that is older than this machine remembers\n"
	     "  -v, --verbose              more messages\n"
	     "  -h, --help                 this text\n"
	     "  -V, --version              the version\n"
	     "\n"
	     "Exit status: 0 success, 1 failed, 2 usage, 3 works but degraded, 4 data damaged.");
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int bad_size(const char *option, const char *value)
{
	(void)fprintf(stderr, "zerofs: --%s %s is not a size\n", option, value);
	return -1;
}

/* 0; 1 = done, exit with success; -1 = usage error, said. */
static int one_option(struct cli *c, int o)
{
	switch (o) {
	case OPT_JSON:
		c->json = true;
		return 0;
	case OPT_DATA:
		c->data = true;
		return 0;
	case OPT_FORCE:
		c->force = true;
		return 0;
	case OPT_ACCEPT_ROLLBACK:
		c->accept_rollback = true;
		return 0;
	case OPT_PASSWORD_FILE:
		c->password_file = optarg;
		return 0;
	case OPT_MEMORY:
		return size_parse(optarg, &c->memory) < 0 ? bad_size("memory", optarg) : 0;
	case OPT_MAX_SIZE:
		return size_parse(optarg, &c->max_size) < 0 ? bad_size("max-size", optarg) : 0;
	case OPT_COMPRESSION:
		c->compression = optarg;
		return 0;
	case 'p':
		c->parents = true;
		return 0;
	case 'a':
		c->all = true;
		return 0;
	case 'v':
		c->verbose++;
		return 0;
	case 'h':
		usage();
		return 1;
	case 'V':
		puts("zerofs " ZEROFS_VERSION);
		return 1;
	default:
		(void)fputs("zerofs: see zerofs --help\n", stderr);
		return -1;
	}
}

int main(int argc, char **argv)
{
	struct cli c = {0};
	int o;

	while ((o = getopt_long(argc, argv, "pavhV", long_options, NULL)) != -1) {
		int r = one_option(&c, o);

		if (r)
			return r > 0 ? EXIT_OK : EXIT_USAGE;
	}
	if (optind == argc) {
		(void)fputs("zerofs: which command? see zerofs --help\n", stderr);
		return EXIT_USAGE;
	}
	const struct command *command = find_command(argv[optind]);

	c.argc = argc - optind - 1;
	c.argv = argv + optind + 1;
	if (!command) {
		(void)fprintf(stderr, "zerofs: unknown command \"%s\"; see zerofs --help\n",
			argv[optind]);
		return EXIT_USAGE;
	}
	if (c.argc < command->min || c.argc > command->max) {
		(void)fprintf(stderr, "zerofs %s: the operands are %s\n", command->name,
			command->operands);
		return EXIT_USAGE;
	}
	if (sodium_init() < 0) {
		(void)fputs("zerofs: libsodium cannot be initialised\n", stderr);
		return EXIT_FAILED;
	}
	c.command = command->name;
	diag_set_level(c.verbose ? DIAG_INFO : DIAG_WARNING);
	(void)signal(SIGPIPE, SIG_IGN);
	return command->run(&c);
}
