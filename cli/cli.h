/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLI_CLI_H
#define CLI_CLI_H
/*
 * The zerofs command: a table of subcommands (main.c), one file for each (cmd_*.c). What they
 * share: common options, the password, opening a volume, reaching the process that holds one.
 */
#include "core/volume.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_DEGRADED = 3, EXIT_DAMAGED = 4 };

/* Options that every subcommand knows, and what is left of the command line. */
struct config;

struct cli {
	const char *command;
	const char *config_path; /* NULL = look it up */
	struct config *config;	 /* options, then the file (not read for init) */
	const char *new_password_file;
	bool json, data, force, accept_rollback, parents, all, dry_run, recovery;
	int verbose;
	int argc;
	char **argv; /* operands; the first is the volume also when the configuration named it */
};

/* Prints "zerofs COMMAND: text" and returns the exit status for `r`. */
int cli_fail(const struct cli *c, int r, const struct error *e);
/* Opens `url`; messages are printed. 0 or an exit status. */
int cli_open(const struct cli *c, const char *url, bool read_only, struct volume **ret);
/* Closes; keeps `status` unless closing fails. */
int cli_close(const struct cli *c, struct volume *v, int status);
/* A volume_config from the common options, with the password read; cli_config_done wipes it. */
int cli_config(const struct cli *c, const char *url, bool create, struct volume_config *ret,
	struct error *err);
void cli_config_done(struct volume_config *c);

/*
 * The control socket of whoever holds the volume: `what` is a mount point or an address.
 * *ret_mountpoint (may be NULL): set when `what` is the mount point of a zerofs mount.
 */
int cli_find_holder(
	const char *what, char *ret_path, size_t size, bool *ret_mountpoint, struct error *err);

int cmd_format(struct cli *c);
int cmd_info(struct cli *c);
int cmd_status(struct cli *c);
int cmd_flush(struct cli *c);
int cmd_umount(struct cli *c);
int cmd_put(struct cli *c);
int cmd_get(struct cli *c);
int cmd_ls(struct cli *c);
int cmd_fsck(struct cli *c);
int cmd_debug(struct cli *c);
int cmd_init(struct cli *c);
int cmd_change_password(struct cli *c);
int cmd_key(struct cli *c);

#endif
