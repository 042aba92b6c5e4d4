/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include "core/base/cleanup.h"
#include "core/base/sizes.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

static uint64_t member(json_t *o, const char *a, const char *b)
{
	return (uint64_t)json_integer_value(json_object_get(json_object_get(o, a), b));
}

static void print_info(const struct volume *v, json_t *o)
{
	char size[SIZE_TEXT_MAX], tables[SIZE_TEXT_MAX];

	printf("address      %s\n", volume_url(v));
	printf("volume       %s\n", volume_id(v));
	printf("files        %" PRIu64 ", %s\n", member(o, "files", "used_inodes"),
		size_format(size, member(o, "files", "used_bytes")));
	printf("manifest     %" PRIu64 ", groups up to %" PRIu64 "\n",
		member(o, "index", "manifest"), member(o, "index", "last_group"));
	printf("tables       %" PRIu64 ", %s\n", member(o, "index", "tables"),
		size_format(tables, member(o, "index", "table_bytes")));
}

int cmd_info(struct cli *c)
{
	struct volume *v;
	int status = cli_open(c, c->argv[0], true, &v);

	if (status)
		return status;
	CLEANUP(free_p) char *text = volume_status_json(v);
	json_t *o = text ? json_loads(text, 0, NULL) : NULL;

	if (!o)
		status = cli_fail(c, -ENOMEM, NULL);
	else if (c->json)
		puts(text);
	else
		print_info(v, o);
	json_decref(o);
	return cli_close(c, v, status);
}
