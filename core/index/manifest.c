/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The manifest as a value: life, copies, invariants, and the small steps of which edits are made.
 * Reading and writing is in manifest_json.c, the protocol in manifest_commit.c.
 */
#include "core/index/manifest_internal.h"

#include "core/index/record.h"

#include <assert.h>

static void table_meta_done(struct table_meta *t)
{
	buf_done(&t->first);
	buf_done(&t->last);
}

static int table_meta_copy(struct table_meta *to, const struct table_meta *from)
{
	*to = *from;
	to->first = to->last = (struct buf)BUF_INIT;
	if (buf_append_slice(&to->first, buf_slice(&from->first)) == 0 &&
		buf_append_slice(&to->last, buf_slice(&from->last)) == 0)
		return 0;
	table_meta_done(to);
	return -ENOMEM;
}

struct manifest *manifest_new(void)
{
	struct manifest *m = calloc(1, sizeof *m);

	if (m)
		refcount_init(&m->refs);
	return m;
}

struct manifest *manifest_ref(struct manifest *m)
{
	refcount_ref(&m->refs);
	return m;
}

void manifest_unref(struct manifest *m)
{
	if (!m || !refcount_unref(&m->refs))
		return;
	for (unsigned level = 0; level < MANIFEST_LEVELS; level++) {
		for (size_t i = 0; i < m->nlevel[level]; i++)
			table_meta_done(&m->levels[level][i]);
		free(m->levels[level]);
	}
	free(m->ends);
	free(m->jobs);
	free(m->retired);
	free(m->pins);
	free(m);
}

/* A copy of an array; NULL for an empty one. */
static int copy_array(void *ret, const void *from, size_t n, size_t size)
{
	void *p;

	if (n == 0)
		return 0;
	p = malloc(n * size);
	if (!p)
		return -ENOMEM;
	memcpy(p, from, n * size);
	memcpy(ret, &p, sizeof p);
	return 0;
}

static int copy_level(struct manifest *to, const struct manifest *from, unsigned level)
{
	size_t n = from->nlevel[level];

	if (n == 0)
		return 0;
	to->levels[level] = calloc(n, sizeof *to->levels[level]);
	if (!to->levels[level])
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int r = table_meta_copy(&to->levels[level][i], &from->levels[level][i]);

		if (r < 0)
			return r;
		to->nlevel[level] = i + 1;
	}
	return 0;
}

int manifest_copy(const struct manifest *m, struct manifest **ret)
{
	CLEANUP(manifest_unref_p) struct manifest *c = manifest_new();

	if (!c)
		return -ENOMEM;
	c->number = m->number;
	c->epoch = m->epoch;
	memcpy(c->previous, m->previous, sizeof c->previous);
	memcpy(c->digest, m->digest, sizeof c->digest);
	memcpy(c->term, m->term, sizeof c->term);
	c->replay = m->replay;
	c->last_group = m->last_group;
	c->settled = m->settled;
	c->next_job = m->next_job;
	c->pin_generation = m->pin_generation;
	c->read_only = m->read_only;
	if (copy_array(&c->ends, m->ends, m->nends, sizeof *m->ends) < 0 ||
		copy_array(&c->jobs, m->jobs, m->njobs, sizeof *m->jobs) < 0 ||
		copy_array(&c->retired, m->retired, m->nretired, sizeof *m->retired) < 0 ||
		copy_array(&c->pins, m->pins, m->npins, sizeof *m->pins) < 0)
		return -ENOMEM;
	c->nends = m->nends;
	c->njobs = m->njobs;
	c->nretired = m->nretired;
	c->npins = m->npins;
	for (unsigned level = 0; level < MANIFEST_LEVELS; level++)
		if (copy_level(c, m, level) < 0)
			return -ENOMEM;
	*ret = TAKE(c);
	return 0;
}

/* ---- invariants ---- */

static int bad(struct error *err, const char *what)
{
	return error_set(err, -EBADMSG, "manifest: %s", what);
}

static bool in_range(uint64_t v)
{
	return v <= MANIFEST_NUMBER_MAX;
}

static bool bytes_all_zero(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum |= p[i];
	return sum == 0;
}

static int check_numbers(const struct manifest *m, struct error *err)
{
	if (m->number == 0 || !in_range(m->number))
		return bad(err, "number out of range");
	if (bytes_all_zero(m->previous, sizeof m->previous) != (m->number == 1))
		return bad(err, "only the first has no predecessor");
	if (!in_range(m->epoch) || !in_range(m->last_group) || !in_range(m->pin_generation))
		return bad(err, "epoch, last_group or pin_generation out of range");
	if (m->settled > m->number)
		return bad(err, "settled through a manifest that does not exist yet");
	if (m->next_job == 0 || !in_range(m->next_job))
		return bad(err, "next_job out of range");
	if (m->replay.epoch == 0 || !in_range(m->replay.epoch) || !in_range(m->replay.sequence))
		return bad(err, "replay start out of range");
	return 0;
}

static int check_ends_and_jobs(const struct manifest *m, struct error *err)
{
	for (size_t i = 0; i < m->nends; i++) {
		if (m->ends[i].epoch == 0 || !in_range(m->ends[i].epoch) ||
			!in_range(m->ends[i].sequence))
			return bad(err, "recorded end out of range");
		if (i && m->ends[i].epoch <= m->ends[i - 1].epoch)
			return bad(err, "recorded ends are not in order");
	}
	for (size_t i = 0; i < m->njobs; i++) {
		if (m->jobs[i].id == 0 || m->jobs[i].id >= m->next_job)
			return bad(err, "a job that was never given out");
		if (i && m->jobs[i].id <= m->jobs[i - 1].id)
			return bad(err, "jobs are not in order");
		if (!in_range(m->jobs[i].epoch) || !in_range(m->jobs[i].low))
			return bad(err, "job out of range");
	}
	return 0;
}

static int check_pins(const struct manifest *m, struct error *err)
{
	if (m->npins > MANIFEST_PINS_MAX)
		return bad(err, "too many pins");
	for (size_t i = 0; i < m->npins; i++) {
		const struct manifest_pin *p = &m->pins[i];

		if (p->id == 0 || !in_range(p->id) || !in_range(p->created))
			return bad(err, "pin out of range");
		if (p->group > m->last_group)
			return bad(err, "a pin of a group that is not in the tables");
		if (i && p->group < m->pins[i - 1].group)
			return bad(err, "pins are not in order");
		if (memchr(p->name, '\0', sizeof p->name) == NULL)
			return bad(err, "name of a pin too long");
	}
	return 0;
}

static int check_table(const struct manifest *m, const struct table_meta *t, struct error *err)
{
	if (t->size == 0 || t->size > STORE_OBJECT_MAX)
		return bad(err, "size of a table out of range");
	if (t->first.len > RECORD_KEY_MAX || t->last.len > RECORD_KEY_MAX)
		return bad(err, "key of a table too long");
	if (slice_cmp(buf_slice(&t->first), buf_slice(&t->last)) > 0)
		return bad(err, "keys of a table in wrong order");
	if (t->group_low > t->group_high || t->group_high > m->last_group)
		return bad(err, "groups of a table out of range");
	if (t->added == 0 || t->added > m->number)
		return bad(err, "a table that was added later");
	return 0;
}

static int check_level(const struct manifest *m, unsigned level, struct error *err)
{
	const struct table_meta *t = m->levels[level];

	for (size_t i = 0; i < m->nlevel[level]; i++) {
		int r = check_table(m, &t[i], err);

		if (r < 0)
			return r;
		if (level == 0 || i == 0)
			continue;
		/* Equal: the end of a range delete, exclusive, may be the next table's first key.
		 */
		if (slice_cmp(buf_slice(&t[i - 1].first), buf_slice(&t[i].first)) >= 0 ||
			slice_cmp(buf_slice(&t[i - 1].last), buf_slice(&t[i].first)) > 0)
			return bad(err, "tables of a level overlap");
	}
	return 0;
}

static int id_cmp(const void *a, const void *b)
{
	const struct table_id *x = a, *y = b;

	if (x->job != y->job)
		return x->job < y->job ? -1 : 1;
	return x->counter < y->counter ? -1 : x->counter > y->counter;
}

/* No id twice among live and retired tables, and all from jobs that were given out. */
static int check_ids(const struct manifest *m, struct error *err)
{
	CLEANUP(free_p) struct table_id *ids = NULL;
	size_t total = m->nretired, n = 0;

	for (unsigned level = 0; level < MANIFEST_LEVELS; level++)
		total += m->nlevel[level];
	if (total == 0)
		return 0;
	ids = malloc(total * sizeof *ids);
	if (!ids)
		return error_set(err, -ENOMEM, "no memory");
	for (unsigned level = 0; level < MANIFEST_LEVELS; level++)
		for (size_t i = 0; i < m->nlevel[level]; i++)
			ids[n++] = m->levels[level][i].id;
	for (size_t i = 0; i < m->nretired; i++) {
		if (m->retired[i].number == 0 || m->retired[i].number > m->number)
			return bad(err, "a table that was retired later");
		ids[n++] = m->retired[i].id;
	}
	qsort(ids, n, sizeof *ids, id_cmp);
	for (size_t i = 0; i < n; i++) {
		if (ids[i].job == 0 || ids[i].job >= m->next_job)
			return bad(err, "a table of a job that was never given out");
		if (i && id_cmp(&ids[i - 1], &ids[i]) == 0)
			return bad(err, "a table is named twice");
	}
	return 0;
}

int manifest_check(const struct manifest *m, struct error *err)
{
	int r = check_numbers(m, err);

	if (r == 0)
		r = check_ends_and_jobs(m, err);
	if (r == 0)
		r = check_pins(m, err);
	for (unsigned level = 0; r == 0 && level < MANIFEST_LEVELS; level++)
		r = check_level(m, level, err);
	return r < 0 ? r : check_ids(m, err);
}

/* ---- steps of edits ---- */

/* Room for one more element; the array grows by one, because manifests are edited rarely and are
 * small. */
static int grow(void *array, size_t n, size_t size)
{
	void *p;

	memcpy(&p, array, sizeof p);
	p = realloc(p, (n + 1) * size);
	if (!p)
		return -ENOMEM;
	memcpy(array, &p, sizeof p);
	return 0;
}

static size_t level_position(const struct manifest *m, unsigned level, const struct table_meta *t)
{
	size_t i = 0;

	if (level > 0)
		while (i < m->nlevel[level] &&
			slice_cmp(buf_slice(&m->levels[level][i].first), buf_slice(&t->first)) < 0)
			i++;
	return i;
}

/* Takes what `t` owns. The level has room. */
static void place_table(struct manifest *m, unsigned level, const struct table_meta *t)
{
	size_t n = m->nlevel[level], at = level_position(m, level, t);

	memmove(&m->levels[level][at + 1], &m->levels[level][at], (n - at) * sizeof *t);
	m->levels[level][at] = *t;
	m->nlevel[level]++;
}

int manifest_add_table(struct manifest *m, unsigned level, const struct table_meta *t)
{
	struct table_meta copy;

	assert(level < MANIFEST_LEVELS);
	if (grow(&m->levels[level], m->nlevel[level], sizeof *t) < 0)
		return -ENOMEM;
	if (table_meta_copy(&copy, t) < 0)
		return -ENOMEM;
	copy.added = m->number;
	place_table(m, level, &copy);
	return 0;
}

const struct table_meta *manifest_find_table(
	const struct manifest *m, struct table_id id, unsigned *ret_level)
{
	for (unsigned level = 0; level < MANIFEST_LEVELS; level++)
		for (size_t i = 0; i < m->nlevel[level]; i++)
			if (id_cmp(&m->levels[level][i].id, &id) == 0) {
				if (ret_level)
					*ret_level = level;
				return &m->levels[level][i];
			}
	return NULL;
}

/* Takes table `t` out of its level; what it owns is the caller's then. */
static struct table_meta remove_table(
	struct manifest *m, unsigned level, const struct table_meta *t)
{
	size_t at = (size_t)(t - m->levels[level]), n = m->nlevel[level];
	struct table_meta taken = *t;

	assert(at < n);
	memmove(&m->levels[level][at], &m->levels[level][at + 1], (n - at - 1) * sizeof *t);
	m->nlevel[level]--;
	return taken;
}

int manifest_retire_table(struct manifest *m, struct table_id id)
{
	unsigned level;
	const struct table_meta *t = manifest_find_table(m, id, &level);
	struct table_meta gone;

	if (!t)
		return -ENOENT;
	if (grow(&m->retired, m->nretired, sizeof *m->retired) < 0)
		return -ENOMEM;
	gone = remove_table(m, level, t);
	table_meta_done(&gone);
	/* D6: the edit that retires records its own number. */
	m->retired[m->nretired++] = (struct manifest_retired){.id = id, .number = m->number};
	return 0;
}

int manifest_move_table(struct manifest *m, struct table_id id, unsigned level)
{
	unsigned from;
	const struct table_meta *t = manifest_find_table(m, id, &from);
	struct table_meta moved;

	assert(level < MANIFEST_LEVELS);
	if (!t)
		return -ENOENT;
	if (grow(&m->levels[level], m->nlevel[level], sizeof *t) < 0)
		return -ENOMEM;
	t = manifest_find_table(m, id, &from); /* growing may have moved it */
	moved = remove_table(m, from, t);
	place_table(m, level, &moved);
	return 0;
}

int manifest_set_end(struct manifest *m, uint64_t epoch, uint64_t sequence)
{
	size_t i = 0;

	while (i < m->nends && m->ends[i].epoch < epoch)
		i++;
	if (i < m->nends && m->ends[i].epoch == epoch) /* T8: recorded ends are final */
		return m->ends[i].sequence == sequence ? 0 : -EBADMSG;
	if (grow(&m->ends, m->nends, sizeof *m->ends) < 0)
		return -ENOMEM;
	memmove(&m->ends[i + 1], &m->ends[i], (m->nends - i) * sizeof *m->ends);
	m->ends[i] = (struct log_place){.epoch = epoch, .sequence = sequence};
	m->nends++;
	return 0;
}

bool manifest_end(const struct manifest *m, uint64_t epoch, uint64_t *ret_sequence)
{
	for (size_t i = 0; i < m->nends; i++)
		if (m->ends[i].epoch == epoch) {
			*ret_sequence = m->ends[i].sequence;
			return true;
		}
	return false;
}

void manifest_drop_ends(struct manifest *m)
{
	size_t n = 0;

	while (n < m->nends && m->ends[n].epoch < m->replay.epoch)
		n++;
	if (n == 0)
		return;
	m->nends -= n;
	memmove(m->ends, m->ends + n, m->nends * sizeof *m->ends);
}

struct manifest_job *manifest_find_job(const struct manifest *m, uint64_t id)
{
	for (size_t i = 0; i < m->njobs; i++)
		if (m->jobs[i].id == id)
			return &m->jobs[i];
	return NULL;
}

int manifest_add_job(struct manifest *m, bool writer, uint64_t epoch, uint64_t *ret_id)
{
	if (grow(&m->jobs, m->njobs, sizeof *m->jobs) < 0)
		return -ENOMEM;
	/* D1: a number that was given out is never given again. */
	*ret_id = m->next_job++;
	m->jobs[m->njobs++] =
		(struct manifest_job){.id = *ret_id, .writer = writer, .epoch = epoch, .low = 0};
	return 0;
}

void manifest_close_job(struct manifest *m, uint64_t id)
{
	struct manifest_job *j = manifest_find_job(m, id);
	size_t at;

	if (!j)
		return;
	at = (size_t)(j - m->jobs);
	memmove(j, j + 1, (m->njobs - at - 1) * sizeof *j);
	m->njobs--;
}
