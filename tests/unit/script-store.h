/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_SCRIPT_STORE_H
#define TESTS_UNIT_SCRIPT_STORE_H
/*
 * A store in memory for scripted schedules inside the simulator. A hook sees every request before
 * and after its effect: it may sleep, which holds the request there while others go on; land or
 * remove objects, as late copies and collectors do (S2); kill the process; or give the request
 * another result. Fibres switch only where they sleep, so nothing here needs a lock.
 */
#include "core/store/store.h"
#include "tests/sim/env_sim.h"
#include "tests/unit/seal-fixture.h"

#define SCRIPT_OBJECTS 4096

struct script_object {
	char *key;
	struct buf data;
};

struct script {
	struct store store;
	struct script_object objects[SCRIPT_OBJECTS]; /* by key */
	size_t n;
	/* After: the effect has happened. A negative result replaces the request's. */
	int (*hook)(void *arg, enum store_op op, const char *key, bool after);
	void *arg;
	uint64_t jitter_us; /* each request takes up to so long, half of it before its effect */
	uint64_t calls[STORE_OPS];
};

/* Where the key is or belongs. */
static inline size_t script_at(const struct script *s, const char *key, bool *ret_found)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(s->objects[mid].key, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_found = lo < s->n && strcmp(s->objects[lo].key, key) == 0;
	return lo;
}

static inline struct script_object *script_find(struct script *s, const char *key)
{
	bool found;
	size_t at = script_at(s, key, &found);

	return found ? &s->objects[at] : NULL;
}

/* Lands an object; false when the name is taken and `replace` is not set. */
static inline bool script_land(struct script *s, const char *key, struct slice data, bool replace)
{
	bool found;
	size_t at = script_at(s, key, &found);

	if (found && !replace)
		return false;
	if (!found) {
		ck_assert_uint_lt(s->n, SCRIPT_OBJECTS);
		memmove(&s->objects[at + 1], &s->objects[at], (s->n - at) * sizeof(*s->objects));
		s->objects[at] = (struct script_object){.key = strdup(key)};
		s->n++;
	}
	buf_clear(&s->objects[at].data);
	ck_assert_int_eq(buf_append_slice(&s->objects[at].data, data), 0);
	return true;
}

static inline void script_remove(struct script *s, const char *key)
{
	bool found;
	size_t at = script_at(s, key, &found);

	if (!found)
		return;
	free(s->objects[at].key);
	buf_done(&s->objects[at].data);
	memmove(&s->objects[at], &s->objects[at + 1], (--s->n - at) * sizeof(*s->objects));
}

static inline int script_pass(struct script *s, enum store_op op, const char *key, bool after)
{
	if (s->jitter_us)
		env->sleep_ns(rng_below(sim_rng(), s->jitter_us * 500 + 1));
	if (!after)
		s->calls[op]++;
	return s->hook ? s->hook(s->arg, op, key, after) : 0;
}

static inline int script_end(
	struct script *s, enum store_op op, const char *key, int r, struct error *err)
{
	int other = script_pass(s, op, key, true);

	r = other < 0 ? other : r;
	return r < 0 ? error_set(err, r, "script: %s", key) : 0;
}

static inline int script_write(struct store *st, enum store_op op, const char *key,
	const struct slice *parts, size_t nparts, struct error *err)
{
	struct script *s = (struct script *)st;
	struct buf data = BUF_INIT;
	int r;

	for (size_t i = 0; i < nparts; i++)
		ck_assert_int_eq(buf_append_slice(&data, parts[i]), 0);
	r = script_pass(s, op, key, false);
	if (r == 0 && !script_land(s, key, buf_slice(&data), op == STORE_PUT))
		r = -EEXIST;
	buf_done(&data);
	return script_end(s, op, key, r, err);
}

static inline int script_create(struct store *st, const char *key, const struct slice *parts,
	size_t nparts, struct error *err)
{
	return script_write(st, STORE_CREATE, key, parts, nparts, err);
}

static inline int script_put(struct store *st, const char *key, const struct slice *parts,
	size_t nparts, struct error *err)
{
	return script_write(st, STORE_PUT, key, parts, nparts, err);
}

static inline int script_get(struct store *st, const char *key, uint64_t offset, bool from_end,
	void *buf, size_t len, size_t *ret_len, uint64_t *ret_size, struct error *err)
{
	struct script *s = (struct script *)st;
	int r = script_pass(s, STORE_GET, key, false);
	const struct script_object *o = script_find(s, key);

	if (r == 0 && !o)
		r = -ENOENT;
	if (r == 0) {
		size_t size = o->data.len, at = offset < size ? (size_t)offset : size;

		if (from_end)
			at = size > len ? size - len : 0;
		*ret_len = size - at < len ? size - at : len;
		*ret_size = size;
		memcpy(buf, o->data.data + at, *ret_len);
	}
	return script_end(s, STORE_GET, key, r, err);
}

static inline int script_del(struct store *st, const char *key, struct error *err)
{
	struct script *s = (struct script *)st;
	int r = script_pass(s, STORE_DELETE, key, false);

	if (r == 0)
		script_remove(s, key);
	return script_end(s, STORE_DELETE, key, r, err);
}

static inline int script_list(struct store *st, const char *prefix, const char *after,
	struct store_list *out, struct error *err)
{
	struct script *s = (struct script *)st;
	int r = script_pass(s, STORE_LIST, prefix, false);

	for (size_t i = 0; r == 0 && i < s->n && !out->more; i++) {
		const struct script_object *o = &s->objects[i];

		if (strncmp(o->key, prefix, strlen(prefix)) != 0 ||
			(after && strcmp(o->key, after) <= 0))
			continue;
		ck_assert_int_eq(store_list_append(out, o->key, o->data.len), 0);
		out->more = out->n == STORE_LIST_PAGE;
	}
	return script_end(s, STORE_LIST, prefix, r, err);
}

static inline void script_close(struct store *st)
{
	struct script *s = (struct script *)st;

	while (s->n > 0)
		script_remove(s, s->objects[s->n - 1].key);
	free(s);
}

static const struct store_ops script_ops = {.name = "script",
	.create = script_create,
	.put = script_put,
	.get = script_get,
	.del = script_del,
	.list = script_list,
	.close = script_close};

static inline struct script *script_new(void)
{
	struct script *s = calloc(1, sizeof(*s));

	ck_assert_ptr_nonnull(s);
	s->store.ops = &script_ops;
	return s;
}

#endif
