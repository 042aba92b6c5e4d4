/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include "core/dump.h"

#include <stdio.h>

static void print_line(void *arg, const char *text)
{
	(void)arg;
	puts(text);
}

int cmd_debug(struct cli *c)
{
	const struct dump_sink sink = {.line = print_line};
	struct volume_config config;
	struct error e = {0};
	int r = cli_config(c, c->argv[0], false, &config, &e);

	if (r == 0) {
		r = c->argc > 1 ? dump_object(&config, c->argv[1], &sink, &e)
				: dump_list(&config, &sink, &e);
		cli_config_done(&config);
	}
	return r < 0 ? cli_fail(c, r, &e) : EXIT_OK;
}
