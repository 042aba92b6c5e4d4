/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>

static void print_finding(void *arg, const char *what)
{
	(void)arg;
	puts(what);
}

int cmd_fsck(struct cli *c)
{
	struct volume *v;
	struct error e = {0};
	int status = cli_open(c, c->argv[0], true, &v);

	if (status)
		return status;
	int64_t n = volume_check(v, c->data, print_finding, NULL, &e);

	if (n < 0)
		status = cli_fail(c, (int)n, &e);
	else if (n > 0)
		status = EXIT_DAMAGED;
	if (n == 0)
		printf("%s: clean\n", c->argv[0]);
	else if (n > 0)
		printf("%s: %" PRId64 " findings\n", c->argv[0], n);
	return cli_close(c, v, status);
}
