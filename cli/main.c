/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include "core/base/diag.h"
#include "core/base/process.h"
#include "core/config/config.h"

#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const struct command {
	const char *name;
	int (*run)(struct cli *c);
	int min, max; /* operands */
	const char *operands, *help;
} commands[] = {
	{"init", cmd_init, 0, 1, "[VOLUME]", "write a configuration to begin with"},
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
	{"change-password", cmd_change_password, 1, 1, "VOLUME", "set another password"},
	{"key", cmd_key, 1, 3, "list|add|remove|rotate [VOLUME] [SLOT]",
		"passwords, recovery keys, the key ring"},
	{"debug", cmd_debug, 1, 2, "VOLUME [KEY]", "list the stored objects, or dump one readably"},
};

enum {
	OPT_JSON = 256,
	OPT_DATA,
	OPT_FORCE,
	OPT_ACCEPT_ROLLBACK,
	OPT_DRY_RUN,
	OPT_RECOVERY,
	OPT_NEW_PASSWORD_FILE,
};

static const struct option own_options[] = {
	{"json", no_argument, NULL, OPT_JSON},
	{"data", no_argument, NULL, OPT_DATA},
	{"force", no_argument, NULL, OPT_FORCE},
	{"accept-rollback", no_argument, NULL, OPT_ACCEPT_ROLLBACK},
	{"dry-run", no_argument, NULL, OPT_DRY_RUN},
	{"recovery", no_argument, NULL, OPT_RECOVERY},
	{"new-password-file", required_argument, NULL, OPT_NEW_PASSWORD_FILE},
	{"config", required_argument, NULL, 'c'},
	{"parents", no_argument, NULL, 'p'},
	{"all", no_argument, NULL, 'a'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
};
#define OWN_OPTIONS (sizeof own_options / sizeof *own_options)

static void usage(void)
{
	puts("Usage: zerofs COMMAND [options] OPERANDS\n");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		printf("  %s %s\n      %s\n", commands[i].name, commands[i].operands,
			commands[i].help);
	puts("\n"
	     "A VOLUME is an address: file:///path, /path or ./path. It may be left out when the configuration\n"
	     "(storage.url) or $ZEROFS_VOLUME names one.\n"
	     "\n"
	     "      --json                 info, status, fsck, change-password, key: as one JSON object\n"
	     "      --data                 fsck: open every frame\n"
	     "  -p, --parents              put: make missing directories\n"
	     "  -a, --all                  ls: with inode, owner, times\n"
	     "      --dry-run              change-password, key: do everything but store it\n"
	     "      --new-password-file FILE  change-password, key add: the new password\n"
	     "      --recovery             key add: a recovery key, which is printed\n"
	     "      --force                put: take over from a writer that seems alive\n"
	     "      --accept-rollback      open a store that is older than this machine remembers\n"
	     "  -v, --verbose              more messages; twice: debug messages\n"
	     "  -h, --help                 this text\n"
	     "  -V, --version              the version");
	(void)fputs(config_options_help, stdout);
	puts("\nExit status: 0 success, 1 failed, 2 usage or configuration, 3 works but degraded, 4 data damaged.");
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* 0; 1 = done, exit with success; -1 = usage error, said. */
static int one_option(struct cli *c, int o)
{
	struct error e = {0};

	if (o >= CONFIG_OPTION_FIRST) {
		if (config_set_option(c->config, o, optarg, &e) < 0) {
			(void)fprintf(stderr, "zerofs: %s\n", e.text);
			return -1;
		}
		return 0;
	}
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
	case OPT_DRY_RUN:
		c->dry_run = true;
		return 0;
	case OPT_RECOVERY:
		c->recovery = true;
		return 0;
	case OPT_NEW_PASSWORD_FILE:
		c->new_password_file = optarg;
		return 0;
	case 'c':
		c->config_path = optarg;
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

/* 0; 1 = done, exit with success; -1 = usage error, said. */
static int parse_options(struct cli *c, int argc, char **argv)
{
	struct option all[OWN_OPTIONS + CONFIG_OPTIONS_MAX + 1] = {0};
	int o, r = 0;

	memcpy(all, own_options, sizeof own_options);
	(void)config_add_options(all, OWN_OPTIONS); /* the rest stays zero: the end */
	while (r == 0 && (o = getopt_long(argc, argv, "c:pavhV", all, NULL)) != -1)
		r = one_option(c, o);
	c->argc = argc - optind;
	c->argv = argv + optind;
	return r;
}

/* What was printed must have arrived: a list that was cut is no success. A reader that has gone
 * wants no message. */
static int finish_output(const struct cli *c, int status)
{
	struct error e = {0};

	errno = 0;
	bool failed = fflush(stdout) != 0;
	int why = failed ? errno : EIO;

	if (!failed && !ferror(stdout))
		return status;
	if (why == EPIPE)
		return status ? status : EXIT_FAILED;
	return cli_fail(c, error_set(&e, -why, "cannot write the output: %s", strerror(why)), &e);
}

static bool begins_with_volume(const struct command *command)
{
	return strncmp(command->operands, "VOLUME", 6) == 0 ||
	       strcmp(command->operands, "MOUNTPOINT|VOLUME") == 0;
}

/*
 * The volume of the configuration becomes the first operand when one is missing. argv[0] is that of
 * the command then, whose name is not needed any more.
 */
static int check_operands(const struct command *command, struct cli *c)
{
	const char *url = config_text(c->config, "storage.url");
	bool missing = begins_with_volume(command) && c->argc + 1 == command->min;

	if (missing && url) {
		c->argv--;
		c->argc++;
		c->argv[0] = (char *)(uintptr_t)url;
	}
	if (c->argc >= command->min && c->argc <= command->max)
		return 0;
	(void)fprintf(stderr, "zerofs %s: the operands are %s%s\n", command->name,
		command->operands, missing ? " (no configuration names a volume)" : "");
	return -1;
}

static int run_command(const struct command *command, struct cli *c)
{
	struct error e = {0};

	c->command = command->name;
	diag_set_level(c->verbose > 1 ? DIAG_DEBUG : c->verbose ? DIAG_INFO : DIAG_WARNING);
	bool makes_config = command->run == cmd_init;

	if (!makes_config && config_load(c->config, c->config_path, &e) < 0) {
		(void)fprintf(stderr, "zerofs: %s\n", e.text);
		return EXIT_USAGE;
	}
	if (check_operands(command, c) < 0)
		return EXIT_USAGE;
	config_warn(c->config);
	if (sodium_init() < 0) {
		(void)fputs("zerofs: libsodium cannot be initialised\n", stderr);
		return EXIT_FAILED;
	}
	return finish_output(c, command->run(c));
}

int main(int argc, char **argv)
{
	struct error e = {0};

	if (process_prepare(&e) < 0) {
		(void)fprintf(stderr, "zerofs: %s\n", e.text);
		return EXIT_FAILED;
	}
	struct cli c = {.config = config_new()};

	if (!c.config) {
		(void)fputs("zerofs: out of memory\n", stderr);
		return EXIT_FAILED;
	}
	int r = parse_options(&c, argc, argv);
	int status = r > 0 ? EXIT_OK : EXIT_USAGE;

	if (r == 0 && c.argc == 0) {
		(void)fputs("zerofs: which command? see zerofs --help\n", stderr);
	} else if (r == 0) {
		const struct command *command = find_command(c.argv[0]);

		if (command) {
			c.argc--;
			c.argv++;
			status = run_command(command, &c);
		} else {
			(void)fprintf(stderr, "zerofs: unknown command \"%s\"; see zerofs --help\n",
				c.argv[0]);
		}
	}
	config_free(c.config);
	return status;
}
