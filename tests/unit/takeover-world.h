/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_TAKEOVER_WORLD_H
#define TESTS_UNIT_TAKEOVER_WORLD_H
/*
 * A volume of numbers, for tests of take-over and followers inside the simulator. Nodes put numbers
 * into the index, commit them through the log, flush, collect; candidates take over; followers
 * poll. The world knows which numbers were acknowledged or shown, and every later writer, and every
 * poll that begins later, must have them.
 *
 * Each node reaches the store through a wrapper of its own that can hold a request, kill the node
 * at its n-th request (from then on whatever it asks for is refused without effect), lose replies,
 * and let copies land late (S2).
 */
#include "core/base/bytes.h"
#include "core/base/diag.h"
#include "core/base/planted.h"
#include "core/follower.h"
#include "core/log/log.h"
#include "core/log/segment_format.h"
#include "core/takeover.h"
#include "tests/unit/log-fixture.h"
#include "tests/unit/script-store.h"

#include <signal.h>
#include <sys/wait.h>

#define WORLD_NUMBERS 4096
#define WORLD_FLIGHTS 512
#define NODE_TTL_MS 3000
#define SECOND_NS 1000000000ull

struct flight {
	char *key;
	struct buf data; /* of a create */
	bool deletes;
};

struct world {
	struct script *script;
	struct volume_keys *keys;
	uint64_t next;		  /* the next number */
	bool need[WORLD_NUMBERS]; /* acknowledged or shown: must never vanish */
	uint64_t acks;
	struct flight flights[WORLD_FLIGHTS];
	size_t nflights;
	bool chaos, ended;
	struct log_place
		ends[256]; /* by epoch: the first end that was recorded; sequence + 1, 0 = none */
	uint64_t manifest; /* the highest number whose ends were looked at */
};

static struct world *world;

struct gate {
	enum store_op op;
	const char *prefix;
	bool after;
	unsigned skip; /* so many requests that match pass first */
	bool closed, reached;
	unsigned number; /* the next gate opens the one before */
};

struct node {
	struct store store; /* must be first: the wrapper */
	const char *name;
	bool dead;
	uint64_t left;	 /* requests until it dies; 0 = it does not */
	bool after_last; /* the last one takes effect first */
	uint64_t requests;
	struct gate gate;
	bool lose_reply;	      /* of the next create under log/ */
	uint64_t log_creates, writes; /* sent; creates, puts and deletes */

	struct sim_process *process;
	void (*task)(void *arg); /* what node_run runs; its threads may outlive it */
	bool done;
	struct identity me;
	bool force;
	uint64_t patience_ms;
	struct budget *budget;
	struct takeover_result t;
	struct claim holder;
	struct error err;
	int result; /* of the take-over */
	bool serving;
	struct log *log;
	struct lease *lease;
	struct group_ops ops;
	unsigned fenced;
};

/* What a group holds. */
struct numbers {
	struct index_group *records;
	uint64_t v[256];
	size_t n;
	bool sealed;
};

/* ---- the store of a node ---- */

static inline int node_arrive(struct node *n, enum store_op op, const char *key, bool after)
{
	struct gate *g = &n->gate;

	if (g->closed && !g->reached && g->op == op && g->after == after &&
		strncmp(key, g->prefix, strlen(g->prefix)) == 0 && g->skip-- == 0) {
		unsigned number = g->number;

		g->reached = true;
		while (g->closed && g->number == number)
			env_sleep_ms(1);
	}
	if (!after) {
		n->requests++;
		if (!n->dead && n->left && --n->left == 0 && !n->after_last)
			n->dead = true;
	} else if (n->after_last && n->left == 0 && !n->dead) {
		n->dead = true;
	}
	return n->dead ? -ECANCELED : 0;
}

static inline bool world_chance(unsigned percent)
{
	return world->chaos && !world->ended && rng_chance(sim_rng(), percent, 100);
}

static inline void world_fly(
	const char *key, const struct slice *parts, size_t nparts, bool deletes)
{
	struct flight *f = &world->flights[world->nflights];

	if (world->nflights == WORLD_FLIGHTS)
		return;
	world->nflights++;
	*f = (struct flight){.key = strdup(key), .deletes = deletes};
	for (size_t i = 0; i < nparts; i++)
		ck_assert_int_eq(buf_append_slice(&f->data, parts[i]), 0);
}

/* A copy of something sent long ago takes effect; perhaps not for the last time. */
static inline void world_land_late(void)
{
	if (world->nflights == 0)
		return;
	size_t at = rng_below(sim_rng(), world->nflights);
	struct flight *f = &world->flights[at];

	if (f->deletes)
		script_remove(world->script, f->key);
	else
		(void)script_land(world->script, f->key, buf_slice(&f->data), false);
	if (rng_chance(sim_rng(), 1, 2)) {
		free(f->key);
		buf_done(&f->data);
		*f = world->flights[--world->nflights];
	}
}

static inline int node_create(struct store *s, const char *key, const struct slice *parts,
	size_t nparts, struct error *err)
{
	struct node *n = (struct node *)s;
	bool log = strncmp(key, "log/", 4) == 0;
	int r = node_arrive(n, STORE_CREATE, key, false);

	n->log_creates += r == 0 && log;
	n->writes += r == 0;
	if (r == 0 && world_chance(6)) {
		world_fly(key, parts, nparts, false);
		r = -ETIMEDOUT;
	} else if (r == 0) {
		r = script_create(&world->script->store, key, parts, nparts, err);
		if (world_chance(12))
			world_fly(key, parts, nparts, false);
		if (world_chance(6) || (log && n->lose_reply)) {
			n->lose_reply = false;
			r = -ETIMEDOUT;
		}
	}
	int other = node_arrive(n, STORE_CREATE, key, true);

	r = other < 0 ? other : r;
	return r < 0 ? error_set(err, r, "%s: create %s", n->name, key) : 0;
}

static inline int node_put(struct store *s, const char *key, const struct slice *parts,
	size_t nparts, struct error *err)
{
	struct node *n = (struct node *)s;
	int r = node_arrive(n, STORE_PUT, key, false);

	n->writes += r == 0;
	if (r == 0)
		r = script_put(&world->script->store, key, parts, nparts, err);
	int other = node_arrive(n, STORE_PUT, key, true);

	r = other < 0 ? other : r;
	return r < 0 ? error_set(err, r, "%s: put %s", n->name, key) : 0;
}

static inline int node_get(struct store *s, const char *key, uint64_t offset, bool from_end,
	void *buf, size_t len, size_t *ret_len, uint64_t *ret_size, struct error *err)
{
	struct node *n = (struct node *)s;
	int r = node_arrive(n, STORE_GET, key, false);

	if (r == 0)
		r = script_get(&world->script->store, key, offset, from_end, buf, len, ret_len,
			ret_size, err);
	int other = node_arrive(n, STORE_GET, key, true);

	r = other < 0 ? other : r;
	return r < 0 ? error_set(err, r, "%s: get %s", n->name, key) : 0;
}

static inline int node_del(struct store *s, const char *key, struct error *err)
{
	struct node *n = (struct node *)s;
	int r = node_arrive(n, STORE_DELETE, key, false);

	n->writes += r == 0;
	if (r == 0 && world_chance(20))
		world_fly(key, NULL, 0, true);
	if (r == 0)
		r = script_del(&world->script->store, key, err);
	int other = node_arrive(n, STORE_DELETE, key, true);

	r = other < 0 ? other : r;
	return r < 0 ? error_set(err, r, "%s: delete %s", n->name, key) : 0;
}

static inline int node_list(struct store *s, const char *prefix, const char *after,
	struct store_list *out, struct error *err)
{
	struct node *n = (struct node *)s;
	int r = node_arrive(n, STORE_LIST, prefix, false);

	if (r == 0)
		r = script_list(&world->script->store, prefix, after, out, err);
	int other = node_arrive(n, STORE_LIST, prefix, true);

	r = other < 0 ? other : r;
	return r < 0 ? error_set(err, r, "%s: list %s", n->name, prefix) : 0;
}

static const struct store_ops node_store_ops = {.name = "node",
	.create = node_create,
	.put = node_put,
	.get = node_get,
	.del = node_del,
	.list = node_list};

/* ---- the index ---- */

static inline int test_fold(const struct record *versions, size_t n, bool complete, struct buf *out,
	enum record_op *ret_op)
{
	(void)complete;
	if (n != 1 || versions->op != RECORD_PUT)
		return -EBADMSG;
	*ret_op = RECORD_PUT;
	return buf_append_slice(out, versions->value);
}

static inline int test_references(const struct record *r, int sign, struct segment_refs *refs)
{
	(void)r;
	(void)sign;
	(void)refs;
	return 0;
}

static inline size_t test_prefix(struct slice key, uint8_t *out)
{
	(void)key;
	(void)out;
	return 0;
}

static const struct index_fold test_index_fold = {
	.fold = test_fold, .references = test_references, .filter_prefix = test_prefix};

static inline struct index_options index_options_of(struct store *s, struct budget *b)
{
	return (struct index_options){.store = s,
		.keys = world->keys,
		.fold = &test_index_fold,
		.budget = b,
		.memtable_bytes = 1 << 20,
		.table_bytes = 1 << 20,
		.level1_bytes = 8 << 20,
		.block_bytes = 4096,
		.block_cache_bytes = 1 << 20,
		.codec = {.codec = CODEC_LZ4}};
}

static inline void number_key(uint64_t number, uint8_t key[8])
{
	put_be64(key, number);
}

/* 1, 0, or an error. */
static inline int has_number(struct index *ix, uint64_t number)
{
	struct buf value = BUF_INIT;
	uint8_t key[8];

	number_key(number, key);
	int r = index_get(ix, GROUP_NOW, SLICE(key, 8), 0, &value, NULL, NULL);

	buf_done(&value);
	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

/* All that was needed when `need` was copied. `gone` (store errors of a node that died, or objects
 * collected under a reader) ends it. */
static inline bool check_numbers(struct index *ix, const bool *need, const char *who)
{
	for (uint64_t i = 1; i < world->next; i++) {
		if (!need[i])
			continue;
		int r = has_number(ix, i);

		if (r < 0)
			return false;
		if (r == 0)
			sim_fail("%s lacks number %llu, which was acknowledged or shown", who,
				(unsigned long long)i);
	}
	return true;
}

/* ---- the log of a node ---- */

static inline int numbers_open(void *arg, struct group *g)
{
	struct node *n = arg;
	struct numbers *v = calloc(1, sizeof(*v));

	ck_assert_int_eq(index_group_begin(n->t.index, g->number, &v->records), 0);
	g->payload = v;
	return 0;
}

static inline int numbers_close(void *arg, struct group *g, struct buf *journal)
{
	struct numbers *v = g->payload;

	(void)arg;
	v->sealed = true;
	return index_group_seal(v->records, journal);
}

static inline void numbers_acked(void *arg, struct group *g)
{
	struct node *n = arg;
	struct numbers *v = g->payload;

	for (size_t i = 0; i < v->n; i++)
		world->need[v->v[i]] = true;
	world->acks++;
	index_group_acked(n->t.index, v->records);
	free(v);
}

static inline void numbers_dropped(void *arg, struct group *g)
{
	struct node *n = arg;
	struct numbers *v = g->payload;
	struct buf block = BUF_INIT;

	if (!v->sealed)
		ck_assert_int_eq(index_group_seal(v->records, &block), 0);
	index_group_acked(n->t.index, v->records); /* only frees: nothing is flushed any more */
	buf_done(&block);
	free(v);
}

static inline void node_fenced(void *arg)
{
	struct node *n = arg;

	n->fenced++;
	if (n->log)
		log_fence(n->log);
}

static inline int node_still_owner(void *arg)
{
	struct node *n = arg;
	struct manifest *m;
	int r = manifest_read(&n->store, world->keys, &m, NULL);

	if (r < 0)
		return r;
	r = m->epoch > n->t.claim.epoch ? -ESTALE : 0;
	manifest_unref(m);
	return r;
}

/* A number into the open group; the group. 0: the node has no room. */
static inline uint64_t node_add(struct node *n)
{
	struct group *g = group_join(n->log);
	struct numbers *v = g->payload;
	uint64_t number = world->next, group = g->number;
	uint8_t key[8];

	if (v->n == 256 || world->next == WORLD_NUMBERS) {
		group_leave(g, false);
		return 0;
	}
	world->next++;
	v->v[v->n++] = number;
	number_key(number, key);
	ck_assert_int_eq(index_reserve(v->records, 16, 1), 0);
	index_put(v->records, SLICE(key, 8), SLICE(key, 8));
	group_leave(g, true);
	return group;
}

static inline int node_commit(struct node *n)
{
	uint64_t g = node_add(n);

	return g ? log_wait(n->log, g, NULL) : 0;
}

/* Asks for everything that is acknowledged: where the open group stands in the way, one more
 * commit. */
static inline int node_flush(struct node *n)
{
	uint64_t upto = index_flushable(n->t.index, true);

	if (upto == 0) {
		int r = node_commit(n);

		if (r < 0)
			return r;
		upto = index_flushable(n->t.index, true);
	}
	if (upto == 0)
		return 0;
	uint64_t covered = upto > n->t.last_group ? upto : n->t.last_group;
	const struct log_place start = {
		.epoch = n->t.claim.epoch, .sequence = log_replay_start(n->log, covered)};

	return index_flush(n->t.index, upto, start, 0, NULL);
}

/* D7 and D8 for a log whose segments hold no frames: everything below the replay start goes, and
 * what lies above an end. */
static inline int node_collect(struct node *n)
{
	struct store_list names = {0};
	struct manifest *m;
	int r = manifest_read(&n->store, world->keys, &m, NULL);

	if (r < 0)
		return r;
	for (size_t i = 0; r >= 0 && i < m->nends; i++)
		r = epoch_sweep_log(&n->store, m->ends[i].epoch, m->ends[i].sequence, 100, NULL);
	if (r >= 0)
		r = store_list_all(&n->store, "log/", NULL, &names, NULL);
	for (size_t i = 0; r >= 0 && i < names.n; i++) {
		struct log_place at;

		if (log_key_parse(names.entries[i].key, &at.epoch, &at.sequence) &&
			names.entries[i].size != FENCE_BYTES && log_place_cmp(at, m->replay) < 0)
			r = store_delete(&n->store, names.entries[i].key, NULL);
	}
	store_list_done(&names);
	manifest_unref(m);
	return r < 0 ? r : 0;
}

/* T8: what was recorded once stays; and a fence lies there. */
static inline void check_ends(const struct manifest *m)
{
	for (size_t i = 0; i < m->nends; i++) {
		struct log_place *known = &world->ends[m->ends[i].epoch];
		char key[LOG_KEY_MAX];

		ck_assert_uint_lt(m->ends[i].epoch, 256);
		if (known->sequence && known->sequence != m->ends[i].sequence + 1)
			sim_fail("the recorded end of epoch %llu changed",
				(unsigned long long)m->ends[i].epoch);
		known->sequence = m->ends[i].sequence + 1;
		log_key(key, m->ends[i].epoch, m->ends[i].sequence);
		const struct script_object *o = script_find(world->script, key);

		if (!o || o->data.len != FENCE_BYTES)
			sim_fail("no fence at the recorded end of epoch %llu",
				(unsigned long long)m->ends[i].epoch);
	}
}

/* ---- nodes ---- */

static inline bool nobody_is_gone(int64_t pid, uint64_t started)
{
	(void)pid;
	(void)started;
	return false;
}

static inline struct node *node_new(const char *name, int clock_ppm)
{
	struct node *n = calloc(1, sizeof(*n));

	n->store.ops = &node_store_ops;
	n->name = name;
	n->process = sim_process_new(name, clock_ppm);
	n->me = (struct identity){.pid = 1, .started = 1, .is_gone = nobody_is_gone};
	snprintf(n->me.host, sizeof(n->me.host), "%s", name);
	snprintf(n->me.boot_id, sizeof(n->me.boot_id), "boot of %.20s", name);
	n->force = true;
	n->result = 1;
	return n;
}

/* Takes over and begins to serve (after L3). In the node's process. */
static inline int node_begin(struct node *n)
{
	n->budget = budget_new(16 << 20);
	struct takeover_options o = {.store = &n->store,
		.keys = world->keys,
		.me = &n->me,
		.index = index_options_of(&n->store, n->budget),
		.force = n->force,
		.patience_ms = n->patience_ms,
		.ttl_ms = NODE_TTL_MS};

	n->result = takeover(&o, &n->t, &n->holder, &n->err);
	if (n->result < 0) {
		budget_free(n->budget);
		return n->result;
	}
	n->ops = (struct group_ops){.open = numbers_open,
		.close = numbers_close,
		.acked = numbers_acked,
		.dropped = numbers_dropped,
		.arg = n};
	const struct log_options l = {.store = &n->store,
		.keys = world->keys,
		.budget = n->budget,
		.ops = &n->ops,
		.epoch = n->t.claim.epoch,
		.next_group = n->t.last_group + 1,
		.last_group = n->t.last_group,
		.segment_bytes = SEGMENT_TARGET_BYTES,
		.flush_interval_ms = 5000,
		.quiet_ms = 1000,
		.fsync_timeout_ms = 60000,
		.uploads = 4,
		.fenced = node_fenced,
		.fenced_arg = n,
		.still_owner = node_still_owner,
		.still_owner_arg = n};
	const struct lease_options e = {.store = &n->store,
		.keys = world->keys,
		.epoch = n->t.claim.epoch,
		.ttl_ms = NODE_TTL_MS,
		.beat_ms = 500,
		.idle_ttl_ms = 6 * NODE_TTL_MS,
		.idle_beat_ms = 3000,
		.strict = true,
		.serve_after_ns = n->t.serve_after_ns,
		.beats = n->t.beats,
		.fenced = node_fenced,
		.arg = n};

	check_ends(n->t.manifest);
	ck_assert_int_eq(log_open(&l, &n->log, NULL), 0);
	ck_assert_int_eq(lease_start(&e, &n->lease, NULL), 0);
	if (n->t.serve_after_ns > env_now_ns()) /* L3 */
		env->sleep_ns(n->t.serve_after_ns - env_now_ns());
	n->serving = true;
	/* Every acknowledged or shown number is in the state of every later serving writer. */
	static bool need[WORLD_NUMBERS];

	memcpy(need, world->need, sizeof(need));
	if (lease_check(n->lease) == 0)
		(void)check_numbers(n->t.index, need, n->name);
	return 0;
}

/* An answer from memory: what anybody acknowledged before the question came must be in it (L2, L3).
 */
static inline void node_read(struct node *n)
{
	bool *need = malloc(sizeof(world->need));

	memcpy(need, world->need, sizeof(world->need));
	/* The answer is computed, then the lease is checked, then it is given. */
	uint64_t lacks = 0;

	for (uint64_t i = 1; i < world->next; i++)
		if (need[i] && has_number(n->t.index, i) == 0)
			lacks = i;
	if (lease_check(n->lease) == 0 && lacks)
		sim_fail("%s answers without number %llu", n->name, (unsigned long long)lacks);
	free(need);
}

/* Ends what node_begin began; `release`: in order. */
static inline void node_end(struct node *n, bool release)
{
	if (n->result < 0)
		return;
	n->serving = false;
	lease_cancel(n->lease);
	(void)log_close(n->log, !release, NULL);
	n->log = NULL;
	lease_stop(n->lease, release);
	index_close(n->t.index);
	manifest_unref(n->t.manifest);
	ck_assert_uint_eq(budget_used(n->budget, BUDGET_COMMIT), 0);
	budget_free(n->budget);
}

static inline void world_open(uint64_t jitter_us)
{
	world = calloc(1, sizeof(*world));
	world->script = script_new();
	world->keys = fixture_keys(&world->script->store);
	world->next = 1;
	world->script->jitter_us = jitter_us;
	ck_assert_int_eq(manifest_create_first(&world->script->store, world->keys, NULL), 0);
}

static inline void world_close(void)
{
	for (size_t i = 0; i < world->nflights; i++) {
		free(world->flights[i].key);
		buf_done(&world->flights[i].data);
	}
	keys_free(world->keys);
	store_close(&world->script->store);
	free(world);
}

static inline void node_task(void *arg)
{
	struct node *n = arg;

	n->task(n);
	n->done = true;
}

/* Starts `fn(n)` in the node's process. */
static inline void node_run(struct node *n, void (*fn)(void *arg))
{
	n->task = fn;
	n->done = false;
	sim_process_start(n->process, n->name, node_task, n);
}

/* Waits until it has returned. */
static inline void node_wait(const struct node *n)
{
	while (!n->done)
		env_sleep_ms(1);
}

static inline void node_hold(
	struct node *n, enum store_op op, const char *prefix, bool after, unsigned skip)
{
	n->gate = (struct gate){.op = op,
		.prefix = prefix,
		.after = after,
		.skip = skip,
		.closed = true,
		.number = n->gate.number + 1};
}

static inline void node_await(struct node *n)
{
	while (!n->gate.reached)
		env_sleep_ms(1);
}

/* What lies at a position: 's', 'f', '-'. */
static inline char log_at(uint64_t epoch, uint64_t sequence)
{
	char key[LOG_KEY_MAX];

	log_key(key, epoch, sequence);
	const struct script_object *o = script_find(world->script, key);

	return !o ? '-' : o->data.len == FENCE_BYTES ? 'f' : 's';
}

/* ---- what nodes do ---- */

static inline void commit_some(void *arg)
{
	struct node *n = arg;

	if (node_begin(n) < 0)
		return;
	for (unsigned i = 0; i < 5; i++)
		if (node_commit(n) < 0)
			return; /* replaced already */
}

static inline void just_begin(void *arg)
{
	(void)node_begin(arg);
}

/* Begins, commits, ends in order. */
static inline void whole_life(void *arg)
{
	struct node *n = arg;

	commit_some(n);
	if (n->result == 0)
		node_end(n, true);
}

static inline void try_to_begin(void *arg)
{
	struct node *n = arg;

	if (node_begin(n) == 0) {
		n->dead = true; /* "crashed" right behind */
		node_end(n, false);
	}
}

#ifdef PLANTED_BUGS
/* With a rule switched off some random schedule goes wrong; or the one that needs it, where chance
 * would rarely find it. */
struct broken {
	enum planted rule;
	void (*schedule)(void *arg);
	const void *arg;
};

/* In a process of its own: noticing is an abort. */
static inline bool goes_wrong(const struct broken *b, uint64_t seed)
{
	pid_t child = fork();
	siginfo_t info;

	if (child == 0) {
		ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
		ck_assert_ptr_nonnull(freopen("/dev/null", "w", stdout));
		planted_use(b->rule);
		sim_set_step_limit(5000000);
		union {
			const void *in;
			void *out;
		} arg = {.in = b->arg};

		sim_run(b->schedule, arg.out, seed);
		_exit(0);
	}
	ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED), 0);
	return info.si_code != CLD_EXITED || info.si_status != 0;
}

/* `chance`: the schedules of a rule that has none of its own. */
static inline void check_noticed(const struct broken *rule, void (*chance)(void *arg))
{
	struct broken b = *rule, sound;

	if (!b.schedule)
		b.schedule = chance;
	sound = b;
	sound.rule = PLANTED_NONE;
	ck_assert(!goes_wrong(&sound, 1));
	for (uint64_t seed = 1; seed <= 120; seed++)
		if (goes_wrong(&b, seed)) {
			printf("%s: noticed by seed %llu\n", planted_name(b.rule),
				(unsigned long long)seed);
			return;
		}
	ck_abort_msg("%s was not noticed", planted_name(b.rule));
}

#endif

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

#endif
