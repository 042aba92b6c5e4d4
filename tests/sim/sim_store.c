/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A write is a message with a time at which it lands. Messages land in the order of these times,
 * whenever somebody looks at the objects or time has passed; the fibre that sent one sleeps until
 * its time and reads the result from it. So a message needs no fibre to land: it outlives its
 * sender.
 */
#include "tests/sim/sim_store.h"

#include "core/base/rng.h"
#include "core/store/retry.h"
#include "core/store/store_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define SALT_OFFSET 32
#define SALT_BYTES 16
#define HEADER_MIN 96
#define KIND_OFFSET 8
#define KIND_SEGMENT 1
#define MS 1000000ull
#define HANG_STEP_MS 50
#define MILLION 1000000u

struct sim_blob {
	size_t len;
	uint64_t hash;
	uint8_t data[];
};

struct object {
	const char *key; /* of the message that created it */
	struct sim_blob *blob;
};

/* A message, or a copy of it, that has not landed. */
struct flight {
	uint64_t due_ns, order;
	struct sim_message *message;
	bool copy;
};

struct salt {
	uint8_t salt[SALT_BYTES];
	uint64_t hash;
};

struct sim_store {
	struct rng rng;
	struct sim_faults faults;
	sim_hook_fn *hook;
	void *hook_arg;
	uint64_t outage_until_ns, order;
	unsigned links;
	struct sim_message **messages;
	size_t nmessages, messages_cap;
	struct object *objects; /* by key */
	size_t nobjects, objects_cap;
	struct flight *flights; /* binary heap by (due, order) */
	size_t nflights, flights_cap;
	struct salt *salts; /* open addressing */
	size_t nsalts, salts_cap;
};

/* What a process holds. */
struct handle {
	struct layer layer;
	struct sim_store *s;
	struct sim_link *link;
	bool cancelled;
};

static void *grown(void *array, size_t n, size_t *cap, size_t item)
{
	if (n < *cap)
		return array;
	*cap = *cap ? *cap * 2 : 64;
	void *p = reallocarray(array, *cap, item);

	if (!p)
		sim_fail("out of memory in the simulated store");
	return p;
}

static uint64_t hash_of(const uint8_t *p, size_t len)
{
	uint64_t h = 0x9e3779b97f4a7c15ull ^ len, v;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&v, p, 8);
		h = (h ^ v) * 0xff51afd7ed558ccdull;
		h ^= h >> 32;
	}
	for (; len; p++, len--)
		h = (h ^ *p) * 0x100000001b3ull;
	return h ^ h >> 29;
}

static struct sim_blob *blob_of(const struct slice *parts, size_t nparts)
{
	size_t len = (size_t)store_parts_size(parts, nparts), at = 0;
	struct sim_blob *b = malloc(sizeof(*b) + len);

	if (!b)
		sim_fail("out of memory in the simulated store");
	for (size_t i = 0; i < nparts; i++) {
		if (parts[i].len)
			memcpy(b->data + at, parts[i].data, parts[i].len);
		at += parts[i].len;
	}
	b->len = len;
	b->hash = hash_of(b->data, len);
	return b;
}

/* ---- objects ---- */

static size_t lower_bound(const struct sim_store *s, const char *key)
{
	size_t lo = 0, hi = s->nobjects;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(s->objects[mid].key, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct object *find_object(struct sim_store *s, const char *key)
{
	size_t i = lower_bound(s, key);

	return i < s->nobjects && strcmp(s->objects[i].key, key) == 0 ? &s->objects[i] : NULL;
}

static int take_effect(struct sim_store *s, const struct sim_message *m)
{
	struct object *o = find_object(s, m->key);

	if (m->op == STORE_DELETE) {
		if (o) {
			memmove(o, o + 1, (size_t)(s->objects + --s->nobjects - o) * sizeof(*o));
		}
		return 0;
	}
	if (o && m->op == STORE_CREATE)
		return -EEXIST;
	if (o) {
		o->blob = m->blob;
		return 0;
	}
	size_t i = lower_bound(s, m->key);

	s->objects = grown(s->objects, s->nobjects, &s->objects_cap, sizeof(*s->objects));
	memmove(s->objects + i + 1, s->objects + i, (s->nobjects++ - i) * sizeof(*s->objects));
	s->objects[i] = (struct object){.key = m->key, .blob = m->blob};
	return 0;
}

/* ---- messages under way ---- */

static bool before(const struct flight *a, const struct flight *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void flight_add(struct sim_store *s, struct sim_message *m, uint64_t due_ns, bool copy)
{
	struct flight f = {.due_ns = due_ns, .order = ++s->order, .message = m, .copy = copy};
	size_t i = s->nflights++;

	s->flights = grown(s->flights, i, &s->flights_cap, sizeof(*s->flights));
	for (; i && before(&f, &s->flights[(i - 1) / 2]); i = (i - 1) / 2)
		s->flights[i] = s->flights[(i - 1) / 2];
	s->flights[i] = f;
}

static struct flight flight_first(struct sim_store *s)
{
	struct flight first = s->flights[0], last = s->flights[--s->nflights];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < s->nflights && before(&s->flights[child + 1], &s->flights[child]))
			child++;
		if (child >= s->nflights || !before(&s->flights[child], &last))
			break;
		s->flights[i] = s->flights[child];
		i = child;
	}
	s->flights[i] = last;
	return first;
}

static void land_until(struct sim_store *s, uint64_t ns)
{
	while (s->nflights && s->flights[0].due_ns <= ns) {
		struct flight f = flight_first(s);
		int r = take_effect(s, f.message);

		if (f.copy)
			continue;
		f.message->landed = true;
		f.message->result = r;
	}
}

static uint64_t late_ns(struct sim_store *s)
{
	uint64_t most = (s->faults.late_ms ? s->faults.late_ms : 1) * MS;

	/* Half of them soon: most races are short. */
	return rng_chance(&s->rng, 1, 2) ? rng_below(&s->rng, most / 64 + 1)
					 : rng_below(&s->rng, most);
}

static bool chance(struct sim_store *s, unsigned per_million)
{
	return per_million && rng_below(&s->rng, MILLION) < per_million;
}

/* ---- what legitimate senders never do ---- */

static void check_salt(struct sim_store *s, const struct sim_message *m)
{
	const uint8_t *salt = m->blob->data + SALT_OFFSET;
	uint64_t at;

	if (m->blob->len < HEADER_MIN || strcmp(m->key, "zerofs.json") == 0)
		return;
	if (s->nsalts * 2 >= s->salts_cap) {
		struct salt *old = s->salts;
		size_t n = s->salts_cap;

		s->salts_cap = n ? n * 2 : 1024;
		s->salts = calloc(s->salts_cap, sizeof(*s->salts));
		if (!s->salts)
			sim_fail("out of memory in the simulated store");
		for (size_t i = 0; i < n; i++) {
			if (!old[i].hash)
				continue;
			memcpy(&at, old[i].salt, 8);
			while (s->salts[at % s->salts_cap].hash)
				at++;
			s->salts[at % s->salts_cap] = old[i];
		}
		free(old);
	}
	memcpy(&at, salt, 8);
	for (;; at++) {
		struct salt *e = &s->salts[at % s->salts_cap];

		if (!e->hash) {
			memcpy(e->salt, salt, SALT_BYTES);
			e->hash = m->blob->hash | 1;
			s->nsalts++;
			return;
		}
		if (memcmp(e->salt, salt, SALT_BYTES) != 0)
			continue;
		if (e->hash != (m->blob->hash | 1))
			sim_fail("%s of %s uses the salt of another object", m->key, m->link->name);
		return;
	}
}

/* Names of segments and tables never have two contents (fences, claims and manifests are raced
 * for). */
static void check_unique(struct sim_store *s, const struct sim_message *m)
{
	bool table = strncmp(m->key, "table/", 6) == 0, log = strncmp(m->key, "log/", 4) == 0;

	if (!table &&
		!(log && m->blob->len > KIND_OFFSET && m->blob->data[KIND_OFFSET] == KIND_SEGMENT))
		return;
	for (size_t i = s->nmessages; i-- > 0;) {
		const struct sim_message *o = s->messages[i];

		if (o == m || o->op != STORE_CREATE || strcmp(o->key, m->key) != 0)
			continue;
		if (log && o->blob->data[KIND_OFFSET] != KIND_SEGMENT)
			continue;
		if (o->blob->hash != m->blob->hash)
			sim_fail("%s was created by %s, and again with other bytes by %s", m->key,
				o->link->name, m->link->name);
		return;
	}
}

/* ---- requests ---- */

static int no_reply(struct error *err, const char *key)
{
	return error_set(err, -ETIMEDOUT, "%s: no reply", key);
}

static struct sim_message *message_new(struct handle *h, const struct store_call *c)
{
	struct sim_store *s = h->s;
	struct sim_message *m = calloc(1, sizeof(*m));

	if (!m || !(m->key = strdup(c->key)))
		sim_fail("out of memory in the simulated store");
	m->op = c->op;
	m->link = h->link;
	m->sent_ns = sim_now_ns();
	if (c->op != STORE_DELETE)
		m->blob = blob_of(c->parts, c->nparts);
	s->messages = grown(s->messages, s->nmessages, &s->messages_cap, sizeof(*s->messages));
	s->messages[s->nmessages++] = m;
	if (c->op == STORE_CREATE) {
		check_salt(s, m);
		check_unique(s, m);
	}
	return m;
}

/* Sleeps in global time, whatever the clock of the process. False: cancelled. */
static bool sleep_until(struct handle *h, uint64_t ns)
{
	uint64_t now;

	while ((now = sim_now_ns()) < ns && !h->cancelled) {
		uint64_t left = ns - now;

		env_sleep_ms(left < 200 * MS ? 0 : 200);
		if (left < 200 * MS) {
			env->sleep_ns(left);
			break;
		}
	}
	while (h->link->hang && !h->cancelled)
		env_sleep_ms(HANG_STEP_MS);
	return !h->cancelled;
}

static uint64_t latency(struct sim_store *s)
{
	uint64_t us = s->faults.latency_us;

	if (!us)
		return 0;
	us = rng_range(&s->rng, us / 4, us * 2);
	if (chance(s, s->faults.slow))
		us *= rng_range(&s->rng, 2, 60);
	return us * 1000;
}

static enum sim_verdict ask_hook(struct handle *h, enum sim_stage stage, const struct store_call *c,
	const struct sim_message *m, int result)
{
	struct sim_store *s = h->s;
	struct sim_request r = {.op = c->op, .key = c->key, .link = h->link, .result = result};

	r.after = c->op == STORE_LIST ? c->after : NULL;

	if (!s->hook)
		return SIM_PASS;
	if (m && m->blob)
		r.body = SLICE(m->blob->data, m->blob->len);
	return s->hook(s->hook_arg, stage, &r);
}

static void kill_now(struct handle *h)
{
	h->link->kill_after = 0;
	sim_link_died(h->s, h->link);
	sim_process_kill(h->link->process);
}

static bool is_write(const struct store_call *c)
{
	return c->op == STORE_CREATE || c->op == STORE_PUT || c->op == STORE_DELETE;
}

/* The reading half: sees everything that has landed. */
static int read_objects(struct sim_store *s, struct store_call *c, struct error *err)
{
	if (c->op == STORE_GET) {
		const struct object *o = find_object(s, c->key);

		if (!o)
			return error_set(err, -ENOENT, "%s: no such object", c->key);
		c->offset =
			store_read_range(o->blob->len, c->offset, c->from_end, c->len, &c->ret_len);
		c->ret_size = o->blob->len;
		if (c->ret_len > 1 && chance(s, s->faults.short_body))
			c->ret_len /= 2;
		if (c->ret_len)
			memcpy(c->buf, o->blob->data + c->offset, c->ret_len);
		return 0;
	}
	size_t len = strlen(c->key), i;

	i = lower_bound(s, c->after && strcmp(c->after, c->key) > 0 ? c->after : c->key);
	for (; i < s->nobjects && strncmp(s->objects[i].key, c->key, len) == 0; i++) {
		if (c->after && strcmp(s->objects[i].key, c->after) <= 0)
			continue;
		if (c->out->n == STORE_LIST_PAGE) {
			c->out->more = true;
			break;
		}
		if (store_list_append(c->out, s->objects[i].key, s->objects[i].blob->len) < 0)
			return error_set(err, -ENOMEM, "no memory");
	}
	return 0;
}

/* Copies of this and of older writes that land some time. */
static void draw_copies(struct sim_store *s, struct sim_message *m)
{
	if (chance(s, s->faults.late_copy))
		flight_add(s, m, sim_now_ns() + late_ns(s), true);
	if (chance(s, s->faults.old_copy))
		flight_add(s, s->messages[rng_below(&s->rng, s->nmessages)],
			sim_now_ns() + late_ns(s), true);
}

/* A write that leaves: 0 or its result, -ETIMEDOUT without a reply. */
static int run_write(struct handle *h, struct store_call *c, struct error *err)
{
	struct sim_store *s = h->s;
	struct sim_link *l = h->link;
	bool kill = l->kill_after && ++l->writes == l->kill_after;
	struct sim_message *m;

	if (!l->kill_after)
		l->writes++;
	if (kill && !l->kill_late)
		kill_now(h);
	m = message_new(h, c);
	enum sim_verdict v = ask_hook(h, SIM_SEND, c, m, 0);

	if (v == SIM_FAIL || (v == SIM_PASS && chance(s, s->faults.error))) {
		s->nmessages -= s->messages[s->nmessages - 1] == m; /* it was never sent */
		if (!sleep_until(h, sim_now_ns() + latency(s)))
			return error_set(err, -ECANCELED, "cancelled");
		return error_set(err, -EIO, "%s: refused", c->key);
	}
	m->due_ns = sim_now_ns() + latency(s);
	if (v == SIM_HOLD)
		return no_reply(err, c->key);
	if (chance(s, s->faults.late_effect)) {
		flight_add(s, m, sim_now_ns() + late_ns(s), false);
		(void)sleep_until(h, m->due_ns + 1000 * MS); /* cancelled: no reply either */
		return no_reply(err, c->key);
	}
	flight_add(s, m, m->due_ns, false);
	draw_copies(s, m);
	bool goes_on = sleep_until(h, m->due_ns);

	if (kill) {
		land_until(s, m->due_ns);
		kill_now(h);
	}
	if (!goes_on)
		return error_set(err, -ECANCELED, "cancelled");
	land_until(s, sim_now_ns() > m->due_ns ? sim_now_ns() : m->due_ns);
	if (v == SIM_LOSE || chance(s, s->faults.lost_reply))
		return no_reply(err, c->key);
	v = ask_hook(h, SIM_REPLY, c, m, m->result);
	if (v == SIM_LOSE)
		return no_reply(err, c->key);
	if (v == SIM_FAIL)
		return error_set(err, -EIO, "%s: the connection broke", c->key);
	if (!sleep_until(h, sim_now_ns() + latency(s)))
		return error_set(err, -ECANCELED, "cancelled");
	return m->result < 0 ? error_set(err, m->result, "%s: exists", c->key) : 0;
}

static int run_read(struct handle *h, struct store_call *c, struct error *err)
{
	struct sim_store *s = h->s;
	enum sim_verdict v = ask_hook(h, SIM_SEND, c, NULL, 0);

	if (!sleep_until(h, sim_now_ns() + latency(s)))
		return error_set(err, -ECANCELED, "cancelled");
	if (v == SIM_FAIL || chance(s, s->faults.error))
		return error_set(err, -EIO, "%s: refused", c->key);
	if (v != SIM_PASS || chance(s, s->faults.lost_reply))
		return no_reply(err, c->key);
	land_until(s, sim_now_ns());
	int r = read_objects(s, c, err);

	v = ask_hook(h, SIM_REPLY, c, NULL, r);
	if (!sleep_until(h, sim_now_ns() + latency(s)))
		r = error_set(err, -ECANCELED, "cancelled");
	else if (v != SIM_PASS)
		r = no_reply(err, c->key);
	if (r < 0 && c->op == STORE_LIST)
		store_list_done(c->out);
	return r;
}

static int handle_call(struct layer *layer, struct store_call *c, struct error *err)
{
	struct handle *h = (struct handle *)layer;

	env_blocking();
	h->link->requests++;
	if (!sleep_until(h, 0))
		return error_set(err, -ECANCELED, "cancelled");
	if (h->link->cut || sim_now_ns() < h->s->outage_until_ns) {
		if (!sleep_until(h, sim_now_ns() + 100 * MS + latency(h->s)))
			return error_set(err, -ECANCELED, "cancelled");
		return error_set(err, -EIO, "%s: the store cannot be reached", c->key);
	}
	return is_write(c) ? run_write(h, c, err) : run_read(h, c, err);
}

static void handle_close(struct store *store)
{
	free(store);
}

static void handle_cancel(struct store *store)
{
	((struct handle *)store)->cancelled = true;
}

static const struct store_ops handle_ops = {
	.name = "simulated",
	.create = layer_create,
	.put = layer_put,
	.get = layer_get,
	.del = layer_del,
	.list = layer_list,
	.close = handle_close,
	.cancel = handle_cancel,
};

/* ---- interface ---- */

struct sim_store *sim_store_new(uint64_t seed, const struct sim_faults *faults)
{
	struct sim_store *s = calloc(1, sizeof(*s));

	if (!s)
		sim_fail("out of memory in the simulated store");
	s->rng = rng_of(seed);
	s->faults = *faults;
	return s;
}

void sim_store_faults(struct sim_store *s, const struct sim_faults *faults)
{
	s->faults = *faults;
}

void sim_store_hook(struct sim_store *s, sim_hook_fn *hook, void *arg)
{
	s->hook = hook;
	s->hook_arg = arg;
}

void sim_store_outage(struct sim_store *s, uint64_t ns)
{
	s->outage_until_ns = sim_now_ns() + ns;
}

struct sim_link *sim_link_new(struct sim_store *s, struct sim_process *p, const char *name)
{
	struct sim_link *l = calloc(1, sizeof(*l));

	if (!l)
		sim_fail("out of memory in the simulated store");
	(void)snprintf(l->name, sizeof(l->name), "%s", name); /* cut when too long */
	l->id = ++s->links;
	l->process = p;
	return l;
}

struct store *sim_link_open(struct sim_store *s, struct sim_link *l, bool raw)
{
	struct handle *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->layer.store.ops = &handle_ops;
	h->layer.call = handle_call;
	h->s = s;
	h->link = l;
	return raw ? &h->layer.store
		   : retry_new(&h->layer.store, &(struct retry_options){.timeout_ms = 0});
}

void sim_link_died(struct sim_store *s, struct sim_link *l)
{
	size_t n = s->nflights;
	struct flight *old = s->flights;

	if (l->dead)
		return;
	l->dead = true;
	land_until(s, sim_now_ns());
	n = s->nflights;
	s->flights = NULL;
	s->nflights = s->flights_cap = 0;
	for (size_t i = 0; i < n; i++) {
		struct flight *f = &old[i];
		uint64_t fate = rng_below(&s->rng, 3);

		if (f->copy || f->message->link != l || fate == 0)
			flight_add(s, f->message, f->due_ns, f->copy);
		else if (fate == 1)
			flight_add(s, f->message, f->due_ns + late_ns(s), f->copy);
	}
	free(old);
}

size_t sim_store_messages(struct sim_store *s)
{
	return s->nmessages;
}

const struct sim_message *sim_store_message(struct sim_store *s, size_t i)
{
	return s->messages[i];
}

int sim_store_land(struct sim_store *s, size_t i)
{
	land_until(s, sim_now_ns());
	return take_effect(s, s->messages[i]);
}

void sim_store_settle(struct sim_store *s)
{
	land_until(s, UINT64_MAX);
}

bool sim_store_has(struct sim_store *s, const char *key, struct slice *ret_body)
{
	land_until(s, sim_now_ns());
	const struct object *o = find_object(s, key);

	if (o && ret_body)
		*ret_body = SLICE(o->blob->data, o->blob->len);
	return o != NULL;
}

const char *sim_store_name(struct sim_store *s, const char *prefix, size_t n)
{
	land_until(s, sim_now_ns());
	size_t i = lower_bound(s, prefix) + n;

	return i < s->nobjects && strncmp(s->objects[i].key, prefix, strlen(prefix)) == 0
		       ? s->objects[i].key
		       : NULL;
}

size_t sim_store_count(struct sim_store *s, const char *prefix)
{
	size_t n = 0;

	while (sim_store_name(s, prefix, n))
		n++;
	return n;
}

void sim_store_delete(struct sim_store *s, const char *key)
{
	struct object *o = find_object(s, key);

	if (o)
		memmove(o, o + 1, (size_t)(s->objects + --s->nobjects - o) * sizeof(*o));
}

void sim_store_force(struct sim_store *s, const char *key, struct slice body)
{
	struct sim_message m = {.op = STORE_PUT, .key = strdup(key), .blob = blob_of(&body, 1)};

	if (!m.key)
		sim_fail("out of memory in the simulated store");
	land_until(s, sim_now_ns());
	(void)take_effect(s, &m); /* a PUT always does */
}

void sim_store_forget(struct sim_store *s)
{
	s->nmessages = 0;
	free(s->salts);
	s->salts = NULL;
	s->nsalts = s->salts_cap = 0;
}

void sim_store_free(struct sim_store *s)
{
	free(s->objects);
	free(s->flights);
	free(s->salts);
	free(s->messages);
	free(s);
}
