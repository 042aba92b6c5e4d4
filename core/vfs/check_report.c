/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fsck: findings and their paths. A finding knows an inode, or an entry of a directory; names lie
 * in the index under their directories only. So findings are gathered, the inodes whose names are
 * needed (with all directories above them) are marked, and one walk over all entries finds them. A
 * directory above whose inode is not known makes one more walk.
 */
#include "core/base/cleanup.h"
#include "core/vfs/check_internal.h"

#include <stdlib.h>

#define GATHER_MAX 32768u     /* findings that are held at a time */
#define PATH_BYTES_MAX 65536u /* of a path that is shown; its beginning is left out beyond */
#define LEVELS_MAX 100000u    /* of a path: more is a ring */
#define WALKS_MAX 64u	      /* for one batch of findings */

struct gathered {
	enum check_class class;
	uint64_t inode, dir; /* dir != 0: an entry of it, `name` */
	struct buf name;
	char *text, *object;
};

/* An inode whose name is needed. */
struct wanted {
	uint64_t inode, dir; /* dir 0 = not found */
	struct buf name;
};

struct check_report {
	struct gathered *list;
	size_t n;
	struct wanted *wanted; /* rising numbers */
	size_t nwanted, cap;
	bool emitted, no_memory;
};

int check_report_new(struct check *c)
{
	struct check_report *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->list = calloc(GATHER_MAX, sizeof(*r->list));
	c->report = r;
	return r->list ? 0 : -ENOMEM;
}

static void gathered_clear(struct check_report *r)
{
	for (size_t i = 0; i < r->n; i++) {
		buf_done(&r->list[i].name);
		free(r->list[i].text);
		free(r->list[i].object);
	}
	r->n = 0;
}

static void wanted_clear(struct check_report *r)
{
	for (size_t i = 0; i < r->nwanted; i++)
		buf_done(&r->wanted[i].name);
	free(r->wanted);
	r->wanted = NULL;
	r->nwanted = r->cap = 0;
}

void check_report_free(struct check_report *r)
{
	if (!r)
		return;
	gathered_clear(r);
	wanted_clear(r);
	free(r->list);
	free(r);
}

bool check_emitted(const struct check *c)
{
	return c->report->emitted;
}

void check_forget(struct check *c)
{
	gathered_clear(c->report);
}

/* ---- gathering ---- */

/* Errors of reading an object begin with its name, which stands in the finding already. */
static void drop_prefix(char *text, const char *object)
{
	size_t n = text && object ? strlen(object) : 0;

	if (n && strncmp(text, object, n) == 0 && strncmp(text + n, ": ", 2) == 0)
		memmove(text, text + n + 2, strlen(text + n + 2) + 1);
}

static void gather(struct check *c, struct gathered f, const char *object, const char *format,
	va_list args) __attribute__((format(printf, 4, 0)));

static void gather(
	struct check *c, struct gathered f, const char *object, const char *format, va_list args)
{
	struct check_report *r = c->report;

	if (r->n == GATHER_MAX && check_emit(c) < 0)
		r->no_memory = true; /* check_emit told why; the next one does again */
	if (r->no_memory)
		return;
	if (vasprintf(&f.text, format, args) < 0)
		f.text = NULL;
	f.object = object ? strdup(object) : NULL;
	drop_prefix(f.text, object);
	r->list[r->n++] = f;
	if (!f.text || (object && !f.object))
		r->no_memory = true;
}

void check_tell(struct check *c, enum check_class class, uint64_t inode, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	gather(c, (struct gathered){.class = class, .inode = inode}, NULL, format, args);
	va_end(args);
}

void check_tell_entry(struct check *c, enum check_class class, uint64_t dir, struct slice name,
	uint64_t inode, const char *format, ...)
{
	struct gathered f = {.class = class, .inode = inode, .dir = dir};
	va_list args;

	if (buf_append_slice(&f.name, name) < 0)
		c->report->no_memory = true;
	va_start(args, format);
	gather(c, f, NULL, format, args);
	va_end(args);
}

void check_tell_object(struct check *c, enum check_class class, uint64_t inode, const char *object,
	const char *format, ...)
{
	va_list args;

	va_start(args, format);
	gather(c, (struct gathered){.class = class, .inode = inode}, object, format, args);
	va_end(args);
}

/* ---- which names are needed ---- */

static int want(struct check_report *r, uint64_t inode)
{
	if (r->nwanted == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 256;
		struct wanted *more = reallocarray(r->wanted, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		r->wanted = more;
		r->cap = cap;
	}
	r->wanted[r->nwanted++] = (struct wanted){.inode = inode};
	return 0;
}

/* The inode and the directories above it, as far as they are known. */
static int want_with_parents(struct check *c, uint64_t number)
{
	while (number && number != INODE_ROOT) {
		struct check_inode *i = check_find(c, number);
		int r;

		if (i && i->wanted)
			return 0;
		r = want(c->report, number);
		if (r < 0 || !i)
			return r;
		i->wanted = true;
		number = i->parent; /* 0 where it is no directory */
	}
	return 0;
}

static int wanted_order(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return x->dir != 0 ? (y->dir != 0 ? 0 : -1) : y->dir != 0; /* found ones first */
}

static struct wanted *find_wanted(const struct check_report *r, uint64_t inode)
{
	size_t low = 0, high = r->nwanted;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (r->wanted[middle].inode == inode)
			return &r->wanted[middle];
		if (r->wanted[middle].inode < inode)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Sorted, each once. */
static void sort_wanted(struct check_report *r)
{
	size_t n = 0;

	if (r->nwanted)
		qsort(r->wanted, r->nwanted, sizeof(*r->wanted), wanted_order);
	for (size_t i = 0; i < r->nwanted; i++) {
		if (n && r->wanted[n - 1].inode == r->wanted[i].inode)
			buf_done(&r->wanted[i].name);
		else
			r->wanted[n++] = r->wanted[i];
	}
	r->nwanted = n;
}

static int want_all(struct check *c)
{
	struct check_report *r = c->report;
	int e = 0;

	for (size_t i = 0; e == 0 && i < r->n; i++)
		e = want_with_parents(c, r->list[i].dir ? r->list[i].dir : r->list[i].inode);
	for (size_t i = 0; i < r->nwanted; i++) {
		struct check_inode *found = check_find(c, r->wanted[i].inode);

		if (found)
			found->wanted = false;
	}
	sort_wanted(r);
	return e;
}

/* ---- finding them ---- */

static int note_name(struct check_report *r, const struct record *rec, const struct key_parts *k)
{
	struct wanted *w;
	uint64_t inode;
	uint8_t type;

	if (dirent_value_decode(rec->value, &inode, &type) < 0)
		return 0;
	w = find_wanted(r, inode);
	if (!w || w->dir)
		return 0;
	w->dir = k->inode;
	return buf_append_slice(&w->name, k->name);
}

static int walk_entries(struct check *c)
{
	struct key_parts k;
	struct check_walk w;
	struct record rec;
	uint64_t n = 0;
	int r = check_walk_open(
		c, key_kind_first(INODE_ROOT, 0), key_kind_first(INODE_MAX + 1, 0), &w);

	while (r == 0 && (r = check_walk_next(&w, &rec)) > 0) {
		r = 0;
		if (++n % 65536 == 0)
			check_progress(c, "looking for names", n, "records");
		if (key_parse(rec.key, &k) && k.kind == KEY_DIRENT &&
			note_name(c->report, &rec, &k))
			r = error_set(c->err, -ENOMEM, "no memory for paths");
	}
	check_walk_close(&w);
	/* Without an index that can be read there are no names; findings are told all the same. */
	return r == -EBADMSG || r == -EAGAIN ? 0 : r;
}

/* Directories that names led to and nobody looks for yet. Returns how many, or -ENOMEM. */
static int want_more(struct check *c)
{
	struct check_report *r = c->report;
	size_t n = r->nwanted;

	for (size_t i = 0; i < n; i++)
		if (r->wanted[i].dir && r->wanted[i].dir != INODE_ROOT &&
			!find_wanted(&(struct check_report){.wanted = r->wanted, .nwanted = n},
				r->wanted[i].dir) &&
			want(r, r->wanted[i].dir) < 0)
			return -ENOMEM;
	if (r->nwanted == n)
		return 0;
	sort_wanted(r);
	return (int)(r->nwanted - n);
}

static int find_names(struct check *c)
{
	int r = want_all(c), more = c->report->nwanted > 0;

	for (unsigned i = 0; r == 0 && more > 0 && i < WALKS_MAX; i++) {
		*c->err = (struct error){0};
		r = c->snapshot && c->engine ? walk_entries(c) : 0;
		more = r == 0 ? want_more(c) : 0;
	}
	return r < 0 || more < 0 ? error_set(c->err, r < 0 ? r : more, "no memory for paths") : 0;
}

/* ---- paths ---- */

/* How many bytes of well-formed UTF-8 begin at `p`, 0 = none, or a control character. */
static size_t utf8_length(const uint8_t *p, size_t len)
{
	size_t n = p[0] < 0x80	 ? 1
		   : p[0] < 0xc2 ? 0
		   : p[0] < 0xe0 ? 2
		   : p[0] < 0xf0 ? 3
		   : p[0] < 0xf5 ? 4
				 : 0;

	if (n == 0 || n > len || p[0] < 0x20 || p[0] == 0x7f || p[0] == '\\')
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0) /* C1 controls */
		return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
		(p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

static int append_name(struct buf *out, struct slice name)
{
	int r = buf_append_u8(out, '/');

	for (size_t i = 0, n; r == 0 && i < name.len; i += n) {
		char escaped[8];

		n = utf8_length(name.data + i, name.len - i);
		if (n) {
			r = buf_append(out, name.data + i, n);
			continue;
		}
		n = 1;
		(void)snprintf(escaped, sizeof(escaped), "\\x%02x", name.data[i]); /* fits */
		r = buf_append(out, escaped, 4);
	}
	return r;
}

/* How many levels `dir` lies below the root; -1 = it does not hang on it. */
static int64_t depth_of(const struct check_report *r, uint64_t dir)
{
	int64_t n = 0;

	for (; dir != INODE_ROOT; n++) {
		const struct wanted *w = find_wanted(r, dir);

		if (!w || !w->dir || n > LEVELS_MAX)
			return -1;
		dir = w->dir;
	}
	return n;
}

/* Appends "/a/b" of a directory; "(inode N)" stands for what does not hang on the root. */
static int append_directory(const struct check_report *r, uint64_t dir, struct buf *out)
{
	int64_t depth = depth_of(r, dir), shown = 0;
	CLEANUP(free_p) const struct wanted **up = NULL;
	size_t bytes = 0;
	char lost[40];
	int e = 0;

	if (depth < 0)
		return buf_append(out, lost,
			(size_t)snprintf(
				lost, sizeof(lost), "(inode %llu)", (unsigned long long)dir));
	up = calloc((size_t)depth + 1, sizeof(*up));
	if (!up)
		return -ENOMEM;
	for (; dir != INODE_ROOT && bytes < PATH_BYTES_MAX; dir = up[shown++]->dir) {
		up[shown] = find_wanted(r, dir);
		bytes += up[shown]->name.len + 1;
	}
	if (dir != INODE_ROOT)
		e = buf_append(out, "...", 3);
	while (e == 0 && shown-- > 0)
		e = append_name(out, buf_slice(&up[shown]->name));
	return e;
}

/* The path of a finding into the empty `out`; nothing where it has none. 0, -ENOMEM. */
static int path_of(const struct check_report *r, const struct gathered *f, struct buf *out)
{
	const struct wanted *w = f->dir || !f->inode ? NULL : find_wanted(r, f->inode);
	int e = 0;

	if (!f->dir && f->inode == INODE_ROOT)
		e = buf_append_u8(out, '/');
	else if (f->dir) {
		e = append_directory(r, f->dir, out);
		e = e < 0 ? e : append_name(out, buf_slice(&f->name));
	} else if (w && w->dir) {
		e = append_directory(r, w->dir, out);
		e = e < 0 ? e : append_name(out, buf_slice(&w->name));
	}
	return e == 0 && out->len ? buf_append_u8(out, 0) : e;
}

/* ---- telling ---- */

static int emit_one(struct check *c, const struct gathered *g)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT;
	struct check_finding f = {.class = g->class, .inode = g->inode, .object = g->object};
	int r = path_of(c->report, g, &path);

	if (r < 0)
		return error_set(c->err, r, "no memory for a path");
	check_describe(&f);
	f.path = path.len ? (const char *)path.data : NULL;
	f.text = g->text;
	if (f.damage)
		c->result->damage++;
	else
		c->result->leftovers++;
	c->report->emitted = true;
	if (c->o->finding)
		c->o->finding(c->o->arg, &f);
	return 0;
}

int check_emit(struct check *c)
{
	struct check_report *r = c->report;
	struct error before = *c->err;
	int e = 0;

	if (r->no_memory)
		return error_set(c->err, -ENOMEM, "no memory for findings");
	if (r->n == 0)
		return 0;
	e = find_names(c);
	for (size_t i = 0; e == 0 && i < r->n; i++)
		e = emit_one(c, &r->list[i]);
	gathered_clear(r);
	wanted_clear(r);
	if (e == 0)
		*c->err = before;
	return e;
}
