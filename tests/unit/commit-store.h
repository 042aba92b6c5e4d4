/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_COMMIT_STORE_H
#define TESTS_UNIT_COMMIT_STORE_H
/*
 * A store for tests of manifest commits, inside the simulator. It does what rule S2 allows: any PUT
 * or DELETE that was sent may land again at any later time, or only then; replies are lost;
 * requests take their time. It watches every manifest that becomes the newest: the history must not
 * fork, the epoch not go back, no live table be missing, no table become live twice.
 *
 * Fibres only switch where they sleep, so nothing here needs a lock. A process may be given a
 * number of requests after which it is dead: whatever it asks for later is refused without effect.
 */
#include "core/index/manifest_internal.h"
#include "tests/sim/env_sim.h"
#include "tests/unit/seal-fixture.h"

#define HUB_NAMES 4096
#define HUB_FLIGHTS 4096
#define HUB_TRUTH 512
#define HUB_GATES 8

struct hub_object {
	char key[64];
	struct buf data;
};

/* A request whose effect comes later (again). */
struct hub_flight {
	enum store_op op;
	char key[64];
	struct buf data;
};

/* Stops a process at one request until it is opened. */
struct hub_gate {
	const char *process;
	enum store_op op;
	const char *prefix;
	bool after; /* the effect, before the reply */
	bool closed, reached;
};

struct hub {
	struct store store;
	const struct volume_keys *keys; /* NULL: not watching yet */
	struct hub_object objects[HUB_NAMES];
	size_t nobjects;
	struct hub_flight flights[HUB_FLIGHTS];
	size_t nflights;
	struct hub_gate gates[HUB_GATES];
	size_t ngates;
	struct manifest *truth[HUB_TRUTH]; /* the history */
	uint64_t top;
	bool chaos;
	unsigned lose_replies; /* so many creates take effect and time out */
	unsigned creates, lists;
};

static struct hub *hub;

/* Of each simulated process. */
struct hub_process {
	struct sim_process *p;
	const char *name;
	bool mortal;
	unsigned requests_left;
};

static struct hub_process hub_processes[32];
static size_t hub_nprocesses;

static inline struct hub_process *hub_self(void)
{
	for (size_t i = 0; i < hub_nprocesses; i++)
		if (hub_processes[i].p == sim_process_current())
			return &hub_processes[i];
	return NULL;
}

static inline bool hub_chance(unsigned percent)
{
	return hub->chaos && rng_chance(sim_rng(), percent, 100);
}

static inline void hub_delay(void)
{
	if (hub_chance(3))
		env_sleep_ms(rng_below(sim_rng(), 3000)); /* asleep */
	else if (hub->chaos)
		env_sleep_ms(rng_below(sim_rng(), 4));
}

static inline struct hub_object *hub_find(const char *key)
{
	for (size_t i = 0; i < hub->nobjects; i++)
		if (strcmp(hub->objects[i].key, key) == 0)
			return &hub->objects[i];
	return NULL;
}

static inline bool hub_has_table(struct table_id id)
{
	char key[64];

	snprintf(key, sizeof key, "table/%016llx%016llx", (unsigned long long)id.job,
		(unsigned long long)id.counter);
	return hub_find(key) != NULL;
}

static inline bool hub_live(const struct manifest *m, struct table_id id)
{
	return manifest_find_table(m, id, NULL) != NULL;
}

/* Manifests of the true history in which the table became live. */
static inline unsigned hub_times_added(struct table_id id)
{
	unsigned n = 0;

	for (uint64_t i = 1; i <= hub->top; i++)
		n += hub_live(hub->truth[i], id) && (i == 1 || !hub_live(hub->truth[i - 1], id));
	return n;
}

static inline void hub_check_tables(void)
{
	const struct manifest *m = hub->truth[hub->top];

	for (unsigned l = 0; m && l < MANIFEST_LEVELS; l++)
		for (size_t i = 0; i < m->nlevel[l]; i++)
			if (!hub_has_table(m->levels[l][i].id))
				sim_fail("a live table is missing");
}

/* A manifest that was never the newest before: it must be the child of the newest. */
static inline void hub_new_manifest(uint64_t number, struct slice bytes)
{
	struct manifest *m = NULL;

	if (number <= hub->top)
		return; /* false: somebody slept too long. Nobody may believe it. */
	if (number != hub->top + 1 || number >= HUB_TRUTH)
		sim_fail("manifest %llu after %llu", (unsigned long long)number,
			(unsigned long long)hub->top);
	if (manifest_open(hub->keys, number, bytes, &m, NULL) < 0)
		sim_fail("a manifest that nobody can read");
	if (number > 1 && memcmp(m->previous, hub->truth[number - 1]->digest, DIGEST_BYTES) != 0)
		sim_fail("the history forks");
	if (number > 1 && m->epoch < hub->truth[number - 1]->epoch)
		sim_fail("the epoch goes back");
	hub->truth[number] = m;
	hub->top = number;
	for (unsigned l = 0; l < MANIFEST_LEVELS; l++)
		for (size_t i = 0; i < m->nlevel[l]; i++)
			if (hub_times_added(m->levels[l][i].id) > 1)
				sim_fail("an edit is applied twice");
	hub_check_tables();
}

static inline void hub_land(enum store_op op, const char *key, struct slice data, bool *ret_exists)
{
	struct hub_object *o = hub_find(key);
	uint64_t number;

	*ret_exists = o != NULL;
	if (op == STORE_DELETE && o) {
		buf_done(&o->data);
		*o = hub->objects[--hub->nobjects];
		if (hub->top && manifest_key_parse(key, &number) && number == hub->top)
			sim_fail("the newest manifest is deleted");
		hub_check_tables();
	}
	if (op != STORE_CREATE || o)
		return;
	if (hub->nobjects == HUB_NAMES)
		sim_fail("too many objects");
	o = &hub->objects[hub->nobjects++];
	*o = (struct hub_object){0};
	snprintf(o->key, sizeof o->key, "%s", key);
	if (buf_append_slice(&o->data, data) < 0)
		sim_fail("no memory");
	if (hub->keys && manifest_key_parse(key, &number))
		hub_new_manifest(number, data);
}

static inline void hub_fly(enum store_op op, const char *key, struct slice data)
{
	struct hub_flight *f = &hub->flights[hub->nflights];

	if (hub->nflights == HUB_FLIGHTS)
		return;
	hub->nflights++;
	*f = (struct hub_flight){.op = op};
	snprintf(f->key, sizeof f->key, "%s", key);
	if (buf_append_slice(&f->data, data) < 0)
		sim_fail("no memory");
}

/* One late request takes effect; perhaps it stays, to do so again. */
static inline void hub_land_late(void)
{
	size_t at;
	struct hub_flight *f;
	bool exists;

	if (hub->nflights == 0)
		return;
	at = rng_below(sim_rng(), hub->nflights);
	f = &hub->flights[at];
	hub_land(f->op, f->key, buf_slice(&f->data), &exists);
	if (rng_chance(sim_rng(), 2, 3)) {
		buf_done(&f->data);
		*f = hub->flights[--hub->nflights];
	}
}

static inline void hub_pass_gates(enum store_op op, const char *key, bool after)
{
	const struct hub_process *self = hub_self();

	for (size_t i = 0; self && i < hub->ngates; i++) {
		struct hub_gate *g = &hub->gates[i];

		if (!g->closed || g->reached || g->op != op || g->after != after ||
			strcmp(g->process, self->name) != 0 ||
			strncmp(key, g->prefix, strlen(g->prefix)) != 0)
			continue;
		g->reached = true;
		while (g->closed)
			env_sleep_ms(1);
	}
}

/* Before a request takes effect: -ECANCELED when its process is dead. */
static inline int hub_arrive(enum store_op op, const char *key)
{
	struct hub_process *self = hub_self();

	hub_delay();
	hub_pass_gates(op, key, false);
	if (self && self->mortal && self->requests_left-- == 0)
		self->requests_left = 0;
	return self && self->mortal && self->requests_left == 0 ? -ECANCELED : 0;
}

static inline int hub_reply(enum store_op op, const char *key, int r)
{
	struct hub_process *self = hub_self();

	hub_pass_gates(op, key, true);
	hub_delay();
	return self && self->mortal && self->requests_left == 0 ? -ECANCELED : r;
}

static inline int hub_create(struct store *s, const char *key, const struct slice *parts,
	size_t nparts, struct error *err)
{
	struct buf data = BUF_INIT;
	bool exists = false;
	int r = hub_arrive(STORE_CREATE, key);

	(void)s;
	hub->creates++;
	for (size_t i = 0; i < nparts; i++)
		ck_assert_int_eq(buf_append_slice(&data, parts[i]), 0);
	if (r == 0 && hub_chance(8)) {
		hub_fly(STORE_CREATE, key, buf_slice(&data));
		r = -ETIMEDOUT;
	} else if (r == 0) {
		hub_land(STORE_CREATE, key, buf_slice(&data), &exists);
		if (hub_chance(15))
			hub_fly(STORE_CREATE, key, buf_slice(&data));
		r = exists ? -EEXIST : 0;
		if (hub_chance(8) || (hub->lose_replies && hub->lose_replies--))
			r = -ETIMEDOUT;
	}
	buf_done(&data);
	r = hub_reply(STORE_CREATE, key, r);
	return r < 0 ? error_set(err, r, "create %s", key) : 0;
}

static inline int hub_del(struct store *s, const char *key, struct error *err)
{
	bool exists;
	int r = hub_arrive(STORE_DELETE, key);

	(void)s;
	if (r == 0) {
		if (!hub_chance(20))
			hub_land(STORE_DELETE, key, SLICE(NULL, 0), &exists);
		if (hub_chance(30))
			hub_fly(STORE_DELETE, key, SLICE(NULL, 0));
	}
	r = hub_reply(STORE_DELETE, key, r);
	return r < 0 ? error_set(err, r, "delete %s", key) : 0;
}

static inline int hub_get(struct store *s, const char *key, uint64_t offset, bool from_end,
	void *buf, size_t len, size_t *ret_len, uint64_t *ret_size, struct error *err)
{
	const struct hub_object *o;
	int r = hub_arrive(STORE_GET, key);

	(void)s;
	ck_assert(!from_end);
	o = hub_find(key);
	if (r == 0 && !o)
		r = -ENOENT;
	if (r == 0) {
		size_t size = o->data.len, at = offset < size ? (size_t)offset : size;

		*ret_len = size - at < len ? size - at : len;
		*ret_size = size;
		memcpy(buf, o->data.data + at, *ret_len);
	}
	r = hub_reply(STORE_GET, key, r);
	return r < 0 ? error_set(err, r, "get %s", key) : 0;
}

static inline int hub_name_cmp(const void *a, const void *b)
{
	return strcmp(((const struct store_list_entry *)a)->key,
		((const struct store_list_entry *)b)->key);
}

static inline int hub_list(struct store *s, const char *prefix, const char *after,
	struct store_list *out, struct error *err)
{
	int r = hub_arrive(STORE_LIST, prefix);

	(void)s;
	hub->lists++;
	for (size_t i = 0; r == 0 && i < hub->nobjects; i++) {
		const struct hub_object *o = &hub->objects[i];

		if (strncmp(o->key, prefix, strlen(prefix)) == 0 &&
			(!after || strcmp(o->key, after) > 0))
			ck_assert_int_eq(store_list_append(out, o->key, o->data.len), 0);
	}
	if (out->n > 1)
		qsort(out->entries, out->n, sizeof *out->entries, hub_name_cmp);
	ck_assert_uint_le(out->n, STORE_LIST_PAGE);
	r = hub_reply(STORE_LIST, prefix, r);
	return r < 0 ? error_set(err, r, "list %s", prefix) : 0;
}

static const struct store_ops hub_ops = {
	.name = "hub", .create = hub_create, .del = hub_del, .get = hub_get, .list = hub_list};

static inline void hub_open(void)
{
	hub = calloc(1, sizeof *hub);
	ck_assert_ptr_nonnull(hub);
	hub->store.ops = &hub_ops;
	hub_nprocesses = 0;
}

static inline void hub_close(void)
{
	for (size_t i = 0; i < hub->nobjects; i++)
		buf_done(&hub->objects[i].data);
	for (size_t i = 0; i < hub->nflights; i++)
		buf_done(&hub->flights[i].data);
	for (uint64_t i = 1; i <= hub->top; i++)
		manifest_unref(hub->truth[i]);
	free(hub);
	hub = NULL;
}

/* A simulated process that runs `fn`. `requests`: dies after so many; 0 = never. */
static inline struct sim_process *hub_start(
	const char *name, void (*fn)(void *arg), void *arg, unsigned requests)
{
	struct sim_process *p = sim_process_new(name, 0);

	hub_processes[hub_nprocesses++] = (struct hub_process){
		.p = p, .name = name, .mortal = requests > 0, .requests_left = requests};
	sim_process_start(p, name, fn, arg);
	return p;
}

static inline struct hub_gate *hub_gate(
	const char *process, enum store_op op, const char *prefix, bool after)
{
	struct hub_gate *g = &hub->gates[hub->ngates++];

	*g = (struct hub_gate){
		.process = process, .op = op, .prefix = prefix, .after = after, .closed = true};
	return g;
}

static inline void hub_wait_at(const struct hub_gate *g)
{
	while (!g->reached)
		env_sleep_ms(1);
}

#endif
