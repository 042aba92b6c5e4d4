/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Supplementary groups of a caller, from /proc, only when they can matter. */
#include "fuse/ops_internal.h"

#include <stdio.h>
#include <stdlib.h>

/* Parses the "Groups:" line behind its label. 0 and a new array (NULL when empty), or -ENOMEM. */
static int parse_groups(const char *s, uint32_t **ret, uint32_t *ret_n)
{
	CLEANUP(free_p) uint32_t *groups = NULL;
	uint32_t n = 0, cap = 0;

	for (;;) {
		char *end;
		unsigned long g = strtoul(s, &end, 10);

		if (end == s || n == VFS_GROUPS_MAX)
			break;
		s = end;
		if (n == cap) {
			uint32_t *more =
				reallocarray(groups, cap = cap ? cap * 2 : 16, sizeof *groups);

			if (!more)
				return -ENOMEM;
			groups = more;
		}
		groups[n++] = (uint32_t)g;
	}
	*ret = TAKE(groups);
	*ret_n = n;
	return 0;
}

void call_load_groups(struct call *c)
{
	char path[64];
	CLEANUP(free_p) char *line = NULL;
	size_t cap = 0;
	uint32_t *groups = NULL;

	if (!c->cred.partial)
		return;
	c->cred.partial = false;
	if (c->header.pid == 0)
		return;
	(void)snprintf(path, sizeof path, "/proc/%u/status", c->header.pid);

	FILE *f = fopen(path, "re");

	if (!f)
		return; /* the caller has gone, or lives in another pid namespace: its primary group
			   must do */
	while (getline(&line, &cap, f) > 0)
		if (strncmp(line, "Groups:", 7) == 0) {
			if (parse_groups(line + 7, &groups, &c->cred.ngroups) == 0)
				c->cred.groups = groups;
			break;
		}
	(void)fclose(f); /* read only */
}

bool call_retry_with_groups(struct call *c, int r)
{
	if ((r != -EACCES && r != -EPERM) || !c->cred.partial)
		return false;
	call_load_groups(c);
	return true;
}

void call_done(struct call *c)
{
	free((void *)(uintptr_t)c->cred.groups);
}
