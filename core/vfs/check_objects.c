/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fsck: what lies in the store against what the manifest and the segment records name. One LIST
 * between two manifests: the snapshot's, whose tables were there before the LIST began, and one
 * read after it, which knows every job under which a listed table can have been written. So nothing
 * that a writer does meanwhile looks wrong.
 *
 * What sweeps delete as a matter of course (manifests below the newest, claims below its epoch,
 * retired tables, segments that nothing refers to) is only counted. What they delete after an
 * accident is a leftover, unless a writer lives, whose next sweep takes it.
 */
#include "core/base/cleanup.h"
#include "core/base/hex.h"
#include "core/log/epoch.h"
#include "core/vfs/check_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define CLAIM_BYTES_MAX (128u << 10)

typedef unsigned long long ull;

/* Numbers of objects of one kind; `b` as the kind has it. */
struct numbers {
	size_t n, cap;
	struct number {
		uint64_t a, b;
	} * v;
};

struct listing {
	struct check *c;
	const struct manifest *before;		     /* NULL: none opens */
	struct manifest *after;			     /* reference; NULL: none opens */
	struct numbers tables, claims, beats, later; /* later: segments of epochs above `before` */
	size_t usage; /* segments come in order: where the last one stood */
};

static int add(struct numbers *l, uint64_t a, uint64_t b)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct number *more = reallocarray(l->v, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->v = more;
		l->cap = cap;
	}
	l->v[l->n++] = (struct number){a, b};
	return 0;
}

static bool has(const struct numbers *l, uint64_t a, uint64_t b)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct number *x = &l->v[middle];

		if (x->a == a && x->b == b)
			return true;
		if (x->a < a || (x->a == a && x->b < b))
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* ---- names ---- */

/* "<prefix>X", or with `between` "<prefix>X<between>X"; X: 16 digits. `suffix` may be "". */
static bool name_is(const char *key, const char *prefix, const char *between, const char *suffix,
	uint64_t *a, uint64_t *b)
{
	size_t n = strlen(prefix);

	if (strncmp(key, prefix, n) != 0)
		return false;
	key += n;
	if (strlen(key) < HEX_U64_DIGITS || !hex_decode_u64(key, HEX_U64_DIGITS, a))
		return false;
	key += HEX_U64_DIGITS;
	if (between) {
		n = strlen(between);
		if (strncmp(key, between, n) != 0 || strlen(key + n) < HEX_U64_DIGITS ||
			!hex_decode_u64(key + n, HEX_U64_DIGITS, b))
			return false;
		key += n + HEX_U64_DIGITS;
	}
	return strcmp(key, suffix) == 0;
}

/* ---- what can be judged when it is seen ---- */

static void leftover(struct listing *l, enum check_class class, const char *key, const char *text)
{
	if (l->c->o->writer_lives)
		l->c->result->waiting++;
	else
		check_tell_object(l->c, class, 0, key, "%s", text);
}

static int see_key_file(struct listing *l, const char *key, uint64_t number)
{
	struct check *c = l->c;
	uint64_t counts = keys_file_number(c->o->keys);
	struct error why = {0};
	int r;

	if (number < counts)
		leftover(l, CHECK_KEY_FILE_OLD, key, "a newer key file counts");
	if (number <= counts)
		return 0;
	r = keys_verify_file(c->o->store, c->o->keys, number, &why);
	if (r == -EBADMSG)
		check_tell_object(c, CHECK_OBJECT_DAMAGED, 0, key,
			"the newest key file does not count: %s", why.text);
	return r == 0 || r == -EBADMSG || r == -ENOENT
		       ? 0
		       : error_set(c->err, r, "%s", error_text(&why, r));
}

/* The record of the segment, which `l->usage` has reached in the order of the listing. */
static struct segment_usage *recorded(struct listing *l, uint64_t epoch, uint64_t sequence)
{
	const struct segment_usages *u = &l->c->usage;

	while (l->usage < u->n &&
		(u->v[l->usage].epoch < epoch ||
			(u->v[l->usage].epoch == epoch && u->v[l->usage].sequence < sequence)))
		l->usage++;
	if (l->usage == u->n || u->v[l->usage].epoch != epoch ||
		u->v[l->usage].sequence != sequence)
		return NULL;
	return &u->v[l->usage];
}

static int see_segment(
	struct listing *l, const char *key, uint64_t epoch, uint64_t sequence, uint64_t size)
{
	const struct log_place place = {.epoch = epoch, .sequence = sequence};
	struct segment_usage *s = recorded(l, epoch, sequence);
	const struct manifest *m = l->before;
	uint64_t end;

	if (s)
		s->size = size ? size : 1; /* 0 stands for none */
	if (s || size <= FENCE_BYTES || !m)
		return 0;
	if (epoch > m->epoch)
		return add(&l->later, epoch, sequence);
	if (manifest_end(m, epoch, &end) && sequence > end)
		leftover(l, CHECK_SEGMENT_UNUSED, key,
			"it lies above the recorded end of its epoch, so it was never acknowledged");
	else if (log_place_cmp(place, m->replay) < 0)
		l->c->result->waiting++;
	return 0;
}

static int see(struct listing *l, const char *key, uint64_t size)
{
	uint64_t a, b;

	if (name_is(key, "log/", "/", "", &a, &b))
		return see_segment(l, key, a, b, size);
	if (name_is(key, "table/", "", "", &a, &b))
		return add(&l->tables, a, b);
	if (name_is(key, "writer/", NULL, ".alive", &a, NULL))
		return add(&l->beats, a, 0);
	if (name_is(key, "writer/", NULL, "", &a, NULL))
		return add(&l->claims, a, 0);
	if (name_is(key, "keys/", NULL, "", &a, NULL))
		return see_key_file(l, key, a);
	if (name_is(key, "manifest/", NULL, "", &a, NULL))
		l->c->result->waiting += l->before && a < l->before->number;
	else if (strcmp(key, "zerofs.json") != 0)
		check_tell_object(
			l->c, CHECK_OBJECT_UNKNOWN, 0, key, "no part of a volume has this name");
	return 0;
}

static int list_all(struct listing *l)
{
	struct check *c = l->c;
	char after[STORE_KEY_MAX + 1] = "";
	bool more = true;
	int r = 0;

	while (r == 0 && more) {
		CLEANUP(store_list_done) struct store_list page = {0};

		r = store_list_page(c->o->store, "", after[0] ? after : NULL, &page, c->err);
		for (size_t i = 0; r == 0 && i < page.n; i++)
			r = see(l, page.entries[i].key, page.entries[i].size);
		more = page.more;
		if (r == 0 && page.n)
			(void)snprintf(after, sizeof(after), "%s",
				page.entries[page.n - 1].key); /* fits */
		c->result->objects += page.n;
		check_progress(c, "listing", c->result->objects, "objects");
	}
	return r == -ENOMEM ? error_set(c->err, r, "no memory for the names of objects") : r;
}

/* ---- what is judged by the manifest that was read afterwards ---- */

static bool is_retired(const struct manifest *m, struct table_id id)
{
	for (size_t i = 0; i < m->nretired; i++)
		if (m->retired[i].id.job == id.job && m->retired[i].id.counter == id.counter)
			return true;
	return false;
}

static void table_name(struct table_id id, char out[64])
{
	(void)snprintf(out, 64, "table/%016llx%016llx", (ull)id.job, (ull)id.counter); /* fits */
}

/* Nobody uploads under this job any more, though no take-over has closed it yet. */
static bool writer_has_gone(const struct listing *l, const struct manifest_job *job)
{
	return job->writer && !l->c->o->writer_lives && l->before && job->epoch <= l->before->epoch;
}

static void judge_table(struct listing *l, struct table_id id)
{
	const struct manifest *m = l->after;
	const struct manifest_job *job = manifest_find_job(m, id.job);
	char key[64];

	/* In use, or on its way. */
	if (manifest_find_table(m, id, NULL) ||
		(job && id.counter >= job->low && !writer_has_gone(l, job)))
		return;
	if (is_retired(m, id)) {
		l->c->result->waiting++;
		return;
	}
	table_name(id, key);
	leftover(l, CHECK_TABLE_UNUSED, key,
		id.job >= m->next_job
			? "no job has this number yet"
			: "no manifest names it, and its job has ended or is past it");
}

/* Tables that both manifests name: they were there before the LIST began, and nobody may have
 * deleted them since. */
static void judge_missing_tables(struct listing *l)
{
	const struct manifest *m = l->after;

	for (unsigned level = 0; level < MANIFEST_LEVELS; level++)
		for (size_t i = 0; i < m->nlevel[level]; i++) {
			struct table_id id = m->levels[level][i].id;
			char key[64];

			if (!manifest_find_table(l->before, id, NULL) ||
				has(&l->tables, id.job, id.counter))
				continue;
			table_name(id, key);
			check_tell_object(l->c, CHECK_OBJECT_MISSING, 0, key,
				"the table is not in the store, but manifest %llu names it",
				(ull)m->number);
		}
}

static void judge_later(struct listing *l)
{
	char key[LOG_KEY_MAX];

	for (size_t i = 0; i < l->later.n; i++) {
		if (l->later.v[i].a <= l->after->epoch)
			continue;
		log_key(key, l->later.v[i].a, l->later.v[i].b);
		leftover(l, CHECK_SEGMENT_UNUSED, key, "its epoch has not begun");
	}
}

static void claim_name(uint64_t epoch, const char *suffix, char out[64])
{
	(void)snprintf(out, 64, "writer/%016llx%s", (ull)epoch, suffix); /* fits */
}

/* 0, or an error of reading it. */
static int judge_claim(struct listing *l, uint64_t epoch)
{
	CLEANUP(buf_done) struct buf object = BUF_INIT;
	struct check *c = l->c;
	struct error why = {0};
	struct claim claim;
	char key[64];
	int r;

	if (epoch < l->after->epoch) { /* T8 */
		c->result->waiting++;
		return 0;
	}
	claim_name(epoch, "", key);
	r = store_get_all(c->o->store, key, CLAIM_BYTES_MAX, &object, &why);
	if (r == 0)
		r = claim_open(c->o->keys, epoch, buf_slice(&object), &claim, &why);
	if (r == -EBADMSG)
		check_tell_object(c, CHECK_OBJECT_DAMAGED, 0, key, "%s", why.text);
	else if (r < 0 && r != -ENOENT)
		return error_set(c->err, r, "%s: %s", key, error_text(&why, r));
	return 0;
}

/* 1 there, 0 not, or an error. One that is made while the LIST runs may be missing in it. */
static int claim_is_there(struct listing *l, uint64_t epoch)
{
	uint8_t byte;
	char key[64];
	size_t len;

	if (has(&l->claims, epoch, 0))
		return 1;
	claim_name(epoch, "", key);
	int r = store_get(l->c->o->store, key, 0, &byte, 1, &len, NULL, l->c->err);

	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

static int judge_beat(struct listing *l, uint64_t epoch)
{
	char key[64];
	int r;

	if (epoch <= l->after->epoch) {
		l->c->result->waiting += epoch < l->after->epoch;
		return 0;
	}
	r = claim_is_there(l, epoch);
	claim_name(epoch, ".alive", key);
	if (r == 0)
		leftover(l, CHECK_CLAIM_UNUSED, key, "a heartbeat without a claim");
	return r < 0 ? r : 0;
}

/* The newest claim is never deleted: else two writers could have one epoch. */
static int judge_newest_claim(struct listing *l)
{
	uint64_t epoch = l->before ? l->before->epoch : l->after->epoch;
	char key[64];
	int r;

	if (epoch == 0 || (l->claims.n && l->claims.v[l->claims.n - 1].a >= epoch))
		return 0;
	r = claim_is_there(l, epoch);
	claim_name(epoch, "", key);
	if (r == 0)
		check_tell_object(l->c, CHECK_OBJECT_MISSING, 0, key,
			"the claim of the newest epoch is not in the store");
	return r < 0 ? r : 0;
}

static int judge_claims(struct listing *l)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->claims.n; i++)
		r = judge_claim(l, l->claims.v[i].a);
	for (size_t i = 0; r == 0 && i < l->beats.n; i++)
		r = judge_beat(l, l->beats.v[i].a);
	return r == 0 ? judge_newest_claim(l) : r;
}

/* The text begins with its name. */
static void tell_manifest(struct check *c, const char *text)
{
	char key[64];

	if (sscanf(text, "%25[^:]:", key) != 1 || strlen(key) != 25)
		(void)snprintf(key, sizeof(key), "manifest"); /* none is there */
	check_tell_object(c, CHECK_OBJECT_DAMAGED, 0, key, "%s", text);
}

static int judge(struct listing *l)
{
	struct check *c = l->c;
	int r = manifest_read(c->o->store, c->o->keys, &l->after, c->err);

	if ((r == -EBADMSG || r == -ENOENT) && !l->before) {
		tell_manifest(c, error_text(c->err, r));
		*c->err = (struct error){0};
		return 0;
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i < l->tables.n; i++)
		judge_table(l, (struct table_id){l->tables.v[i].a, l->tables.v[i].b});
	if (l->before)
		judge_missing_tables(l);
	judge_later(l);
	return judge_claims(l);
}

int check_objects(struct check *c)
{
	struct listing l = {
		.c = c, .before = c->snapshot ? index_snapshot_manifest(c->snapshot) : NULL};
	int r = list_all(&l);

	if (r == 0)
		r = judge(&l);
	if (l.after)
		manifest_unref(l.after);
	free(l.tables.v);
	free(l.claims.v);
	free(l.beats.v);
	free(l.later.v);
	c->listed = r == 0;
	return r;
}
