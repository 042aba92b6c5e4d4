/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fsck: the order of its passes, findings and paths. Nobody changes the volume meanwhile. */
#include "core/base/cleanup.h"
#include "core/vfs/check_internal.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX 4096

void check_finding(struct check *c, const char *format, ...)
{
	char text[CHECK_PATH_MAX + 512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args); /* cut where it is too long */
	va_end(args);
	c->result->findings++;
	if (c->o->finding)
		c->o->finding(c->o->arg, text);
}

static int compare_number(const void *key, const void *member)
{
	uint64_t number = *(const uint64_t *)key;
	const struct check_inode *i = member;

	return number < i->number ? -1 : number > i->number;
}

struct check_inode *check_find(struct check *c, uint64_t number)
{
	return c->n ? bsearch(&number, c->inodes, c->n, sizeof(*c->inodes), compare_number) : NULL;
}

/* ---- paths ---- */

/* Puts "/name" before what `out` holds from *at on; false when it is full. */
static bool prepend(char *out, size_t *at, struct slice name)
{
	if (*at < name.len + 1)
		return false;
	*at -= name.len + 1;
	out[*at] = '/';
	for (size_t k = 0; k < name.len; k++)
		out[*at + 1 + k] = (char)(isprint(name.data[k]) ? name.data[k] : '?');
	return true;
}

/* Under which name `dir` has `child`: prepends it. */
static bool prepend_name(struct check *c, uint64_t dir, uint64_t child, char *out, size_t *at)
{
	struct key low = key_kind_first(dir, KEY_DIRENT),
		   high = key_kind_first(dir, KEY_DIRENT + 1);
	struct index_scan *s;
	struct record rec;
	struct key_parts k;
	uint64_t inode;
	uint8_t type;
	bool found = false;

	if (index_scan_open(c->engine->index, GROUP_NOW, key_slice(&low), key_slice(&high), 0, &s,
		    NULL) < 0)
		return false;
	while (!found && index_scan_next(s, &rec, NULL) > 0)
		if (dirent_value_decode(rec.value, &inode, &type) == 0 && inode == child &&
			key_parse(rec.key, &k))
			found = prepend(out, at, k.name);
	index_scan_close(s);
	return found;
}

const char *check_path(struct check *c, uint64_t dir, struct slice name, char out[CHECK_PATH_MAX])
{
	size_t at = CHECK_PATH_MAX - 1;

	out[at] = 0;
	if (name.len)
		(void)prepend(out, &at, name); /* the only part so far: fits */
	for (unsigned depth = 0; dir != INODE_ROOT && depth < DEPTH_MAX; depth++) {
		const struct check_inode *i = check_find(c, dir);

		if (!i || i->type != IFTODT(S_IFDIR) ||
			!prepend_name(c, i->parent, dir, out, &at)) {
			char lost[32];
			int len = snprintf(
				lost, sizeof(lost), "(inode %llu)", (unsigned long long)dir);

			(void)prepend(out, &at, SLICE(lost, (size_t)len));
			break;
		}
		dir = i->parent;
	}
	if (!out[at])
		out[--at] = '/';
	return out + at;
}

/* ---- the whole ---- */

/* Damage that ends a pass is a finding; what other passes can tell is told all the same. */
static int tolerate(struct check *c, int r, const char *what)
{
	struct error e = {0};

	if (r != -EBADMSG)
		return r;
	if (c->err)
		e = *c->err;
	check_finding(c, "%s: %s", what, error_text(&e, r));
	if (c->err)
		*c->err = (struct error){0};
	return 0;
}

static int check_metadata(struct check *c)
{
	int r = check_collect(c);

	if (r == 0)
		r = check_entries(c);
	if (r == 0)
		r = check_orphans(c);
	if (r == 0)
		check_shape(c);
	if (r == 0)
		r = check_counters(c);
	return r;
}

int vfs_check(struct vfs_engine *e, const struct check_options *o, struct check_result *ret,
	struct error *err)
{
	struct error own = {0};
	struct check c = {.engine = e, .o = o, .result = ret, .err = err ? err : &own};
	int r;

	*ret = (struct check_result){0};
	/* What is only in memory goes into the index first. */
	r = engine_sync(&e->vfs, c.err);
	if (r == 0)
		r = tolerate(&c, check_metadata(&c), "the index");
	if (r == 0)
		r = tolerate(&c, check_live_bytes(&c), "counting live bytes");
	if (r == 0 && o->data)
		r = tolerate(&c, check_frames(&c), "reading frames");
	free(c.inodes);
	return r;
}
