/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include <stdio.h>

int cmd_format(struct cli *c)
{
	struct volume_config config;
	struct error e = {0};
	int r = cli_config(c, c->argv[0], true, &config, &e);

	if (r == 0) {
		r = volume_format(&config, &e);
		cli_config_done(&config);
	}
	if (r < 0)
		return cli_fail(c, r, &e);
	printf("made a volume at %s\n", c->argv[0]);
	return EXIT_OK;
}
