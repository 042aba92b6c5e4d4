/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One writer after the other. The main fibre belongs to no volume: it starts writers, lets them
 * work, ends them in one of several ways, and changes the weather of the store. A writer process
 * opens the volume, shows what it recovered to the oracle, checks it, and runs its clients.
 */
#include "tests/sim/world.h"

#include "core/base/diag.h"
#include "core/base/thread.h"
#include "core/log/epoch.h"
#include "core/volume_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000ull
#define STEP_MS 50
#define ROUNDS_MAX 100
#define FOLLOWER_RETRIES 12
#define STARTED 1000
#define PIDS_MAX 512

/* ---- who is who ---- */

static struct {
	struct sim_process *process;
	char host[16];
} pids[PIDS_MAX];
static int npids;

static void forget_pids(void)
{
	npids = 0;
}

static int pid_of(struct sim_process *p)
{
	for (int i = 0; i < npids; i++)
		if (pids[i].process == p)
			return i;
	return -1;
}

void world_identity(const char *host, struct sim_process *p)
{
	if (npids == PIDS_MAX)
		sim_fail("too many processes");
	pids[npids].process = p;
	(void)snprintf(pids[npids].host, sizeof(pids[npids].host), "%s", host);
	npids++;
}

static bool sim_is_gone(int64_t pid, uint64_t started)
{
	return started != STARTED || pid < 1 || pid > npids ||
	       sim_process_fibres(pids[pid - 1].process) == 0;
}

void __real_identity_of_process(struct identity *ret);
void __wrap_identity_of_process(struct identity *ret);

/* The linker puts it in the place of the real one, which asks the kernel. */
void __wrap_identity_of_process(struct identity *ret)
{
	int i = pid_of(sim_process_current());
	struct identity me = {.pid = i + 1, .started = STARTED, .is_gone = sim_is_gone};

	if (i < 0)
		sim_fail("a process without identity opens a volume");
	env_random(me.holder, sizeof(me.holder));
	(void)snprintf(me.host, sizeof(me.host), "%s", pids[i].host);
	(void)snprintf(me.boot_id, sizeof(me.boot_id), "boot-%s", pids[i].host);
	*ret = me;
}

/* ---- configuration ---- */

void world_say(struct world *w, const char *format, ...)
{
	va_list ap;

	if (!w->o.verbose)
		return;
	fprintf(stderr, "%12.6f ", (double)sim_now_ns() / 1e9);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\n");
}

static void choose_sizes(struct world *w)
{
	struct volume_config *c = &w->sizes;
	struct rng *r = &w->rng;

	volume_config_init(c);
	c->password = "simulated";
	c->compression = rng_chance(r, 1, 4) ? "none" : "lz4";
	c->memory = 8u << 20;
	c->segment_bytes = 64u << 10;
	c->memtable_bytes = rng_range(r, 3, 32) << 10;
	c->table_bytes = 16u << 10;
	c->level1_bytes = rng_range(r, 16, 64) << 10;
	c->flush_interval_ms = rng_range(r, 200, 5000);
	c->quiet_ms = rng_range(r, 50, 1000);
	c->ttl_ms = 6000;
	c->beat_ms = 2000;
	c->kdf_memory = 8192;
	c->kdf_passes = 1;
	c->uploads = 3;
	c->seal_threads = 1;
	c->collect_segments = rng_range(r, 1, 16);
	c->strict_lease = w->o.strict;
}

void world_config(struct world *w, struct volume_config *c, struct store *store)
{
	*c = w->sizes;
	c->store = store;
}

static struct sim_faults choose_faults(struct world *w)
{
	struct rng *r = &w->rng;
	struct sim_faults f = {.latency_us = rng_range(r, 200, 30000), .late_ms = 120000};

	if (rng_chance(r, 1, 6))
		return f;
	f.slow = (unsigned)rng_below(r, 40000);
	f.error = (unsigned)rng_below(r, 20000);
	f.lost_reply = (unsigned)rng_below(r, 30000);
	f.late_effect = (unsigned)rng_below(r, 10000);
	f.short_body = (unsigned)rng_below(r, 10000);
	f.late_copy = (unsigned)rng_below(r, 80000);
	f.old_copy = (unsigned)rng_below(r, 40000);
	return f;
}

/* ---- a writer ---- */

bool world_rivals(const struct writer *wr)
{
	return wr->w->o.two_writers && wr->w->nwriters > 1;
}

static int open_writer(struct writer *wr)
{
	struct world *w = wr->w;
	struct volume_config c;
	struct volume_holder holder;
	struct store *store = sim_link_open(w->store, wr->link, false);

	world_config(w, &c, store);
	c.create = wr->number == 1 || !w->current;
	c.force = wr->force;
	return volume_open(&c, &wr->volume, &holder, &wr->error);
}

static void writer_main(void *arg)
{
	struct writer *wr = arg;
	struct world *w = wr->w;
	int r = open_writer(wr);

	if (r < 0) {
		world_say(w, "%s: open: %s", wr->link->name, error_text(&wr->error, r));
		wr->result = r;
		wr->done = true;
		return;
	}
	wr->epoch = wr->volume->claim.epoch;
	world_say(w, "%s: open, epoch %llu", wr->link->name, (unsigned long long)wr->epoch);
	if (!w->set_up) {
		r = clients_set_up(wr->volume);
		if (r < 0)
			sim_fail("the directories cannot be made: %s", strerror(-r));
		w->set_up = true;
	}
	verify_recovered(wr);
	if (rng_chance(&wr->rng, 1, 2))
		verify_check(wr->volume);
	wr->opened = true;
	if (!wr->replaced && w->current == wr)
		clients_run(wr);
	if (wr->close) {
		world_say(w, "%s: closing", wr->link->name);
		struct oracle_cut all;

		bool mine = !wr->replaced && w->current == wr;

		oracle_returned(w->oracle, &all);
		r = volume_close(wr->volume, &wr->error);
		world_say(w, "%s: closed: %d", wr->link->name, r);
		wr->result = r;
		for (unsigned i = 0; r == 0 && mine && i < ORACLE_DOMAINS; i++)
			if (wr->replaced && all.n[i] > wr->limit.n[i])
				sim_fail("%s closed well although it was replaced", wr->link->name);
		if (r == 0 && mine && !wr->replaced)
			oracle_pin_all(w->oracle, &all);
	}
	wr->done = true;
}

static struct writer *start_writer(struct world *w)
{
	struct writer *wr = calloc(1, sizeof(*wr));
	char name[32];

	if (!wr || w->nwriters == WORLD_WRITERS_MAX)
		sim_fail("too many writers");
	wr->w = w;
	wr->rng = rng_of(rng_next(&w->rng));
	w->writers[w->nwriters++] = wr;
	wr->number = w->nwriters;
	(void)snprintf(name, sizeof(name), "writer-%u", wr->number);
	wr->process = sim_process_new(name, (int)rng_range(&w->rng, 0, 80000) - 40000);
	wr->link = sim_link_new(w->store, wr->process, name);
	(void)snprintf(wr->host, sizeof(wr->host), "host-%u", rng_chance(&w->rng, 1, 4) ? 2 : 1);
	world_identity(wr->host, wr->process);
	wr->ops_per_client = (unsigned)rng_range(&w->rng, 5, 70);
	world_say(w, "%s on %s", name, wr->host);
	return wr;
}

static void launch(struct writer *wr)
{
	sim_process_start(wr->process, "main", writer_main, wr);
}

static void kill_writer(struct world *w, struct writer *wr)
{
	if (sim_process_killed(wr->process))
		return;
	world_say(w, "%s: killed", wr->link->name);
	sim_link_died(w->store, wr->link);
	sim_process_kill(wr->process);
}

/* ---- a follower ---- */

static bool follow_once(struct world *w, struct volume *v, struct oracle_cut *seen, bool last)
{
	struct oracle_cut floor, cut, lowest;
	struct tree *trees[ORACLE_DOMAINS];
	struct error e = {0};
	bool ok;
	int r;

	oracle_pinned(w->oracle, &floor);
	for (unsigned i = 0; i < ORACLE_DOMAINS; i++)
		if (floor.n[i] < seen->n[i])
			floor.n[i] = seen->n[i];
	r = volume_poll(v, &e);
	if (r < 0) {
		if (last)
			sim_fail("a follower's poll: %s", error_text(&e, r));
		return false;
	}
	r = read_trees(volume_vfs(v), trees);
	if (r < 0) {
		if (last)
			sim_fail("a follower cannot read: %s", strerror(-r));
		return false;
	}
	ok = oracle_match(w->oracle, trees, &floor, &cut, &lowest, NULL, false);
	if (!ok)
		sim_fail("a follower shows what never was, or what has been overtaken");
	free_trees(trees);
	*seen = lowest;
	oracle_pin_all(w->oracle, &lowest); /* R1: what was shown stays */
	w->polls++;
	return true;
}

/* fsck beside whoever writes: whatever is being flushed, merged, settled, taken over or collected,
 * it finds nothing. That a store which is away for a while ends it is no finding. */
static void check_beside(struct world *w, struct volume *v)
{
	if (verify_beside(v))
		w->checks++;
}

static void follower_main(void *arg)
{
	struct world *w = arg;
	struct oracle_cut seen = {{0}};
	struct volume_config c;
	struct volume_holder holder;
	struct volume *v = NULL;
	struct error e = {0};
	struct sim_link *l = sim_link_new(w->store, sim_process_current(), "follower");
	struct rng rng = rng_of(~w->o.seed);
	int r;

	while (!w->current && !w->over)
		env_sleep_ms(1000);
	if (w->over)
		return;
	world_config(w, &c, sim_link_open(w->store, l, false));
	c.read_only = true;
	r = volume_open(&c, &v, &holder, &e);
	if (r < 0)
		sim_fail("a follower cannot open: %s", error_text(&e, r));
	while (!w->over) {
		unsigned tries = 0;

		while (!follow_once(w, v, &seen, ++tries == FOLLOWER_RETRIES))
			env_sleep_ms(500);
		if (rng_range(&rng, 0, 3) == 0)
			check_beside(w, v);
		env_sleep_ms(rng_range(&rng, 200, 8000));
	}
	(void)volume_close(v, &e); /* a follower has nothing to store */
}

/* ---- the main fibre ---- */

static bool is_alive(const struct writer *wr)
{
	return !sim_process_killed(wr->process) && sim_process_fibres(wr->process) > 0;
}

static void weather(struct world *w)
{
	if (rng_chance(&w->rng, 1, 4000))
		sim_store_outage(w->store, rng_range(&w->rng, 1, 30000) * MS);
}

/* Waits for the writer to end, at most so long; false = it goes on. */
static bool wait_for(struct world *w, struct writer *wr, uint64_t ms)
{
	uint64_t until = sim_now_ns() + ms * MS;

	while (is_alive(wr) && !wr->done) {
		if (sim_now_ns() >= until)
			return false;
		weather(w);
		env_sleep_ms(STEP_MS);
	}
	while (is_alive(wr) && wr->done && wr->close)
		env_sleep_ms(STEP_MS); /* its last fibre is about to return */
	return true;
}

/* What opening may fail with: somebody else holds it (force is off), or was faster. */
static void check_result(struct writer *wr)
{
	int r = wr->result;

	if (r == 0 || (r == -ESTALE && world_rivals(wr)))
		return;
	if (r == -EBUSY && !wr->force)
		return;
	sim_fail("%s: %s", wr->link->name, error_text(&wr->error, r));
}

/* A whole life of one writer. */
static void run_one(struct world *w, bool last)
{
	struct writer *wr = start_writer(w);
	uint64_t how = rng_below(&w->rng, 10), ms = rng_range(&w->rng, 20, 90000);

	wr->force = rng_chance(&w->rng, 1, 6);
	if (last) {
		how = 9;
		wr->force = wr->gentle = true;
		wr->ops_per_client = 4;
	}
	wr->close = how == 9 || how == 8;
	if (how < 4) {
		wr->link->kill_after = rng_range(&w->rng, 1, rng_chance(&w->rng, 1, 3) ? 12 : 150);
		wr->link->kill_late = rng_chance(&w->rng, 1, 2);
		ms = UINT64_MAX / MS / 4;
	} else if (how >= 8) {
		ms = UINT64_MAX / MS / 4;
	}
	launch(wr);
	(void)wait_for(w, wr, ms); /* it ended, or is killed now */
	if (wr->done)
		check_result(wr);
	if (wr->done && wr->close) {
		w->closes++;
		return;
	}
	w->opens_killed += !wr->opened;
	kill_writer(w, wr);
	w->crashes++;
}

/* The first goes on, sleeps, or loses its connection, while another takes over. */
static void run_two(struct world *w)
{
	struct writer *a = start_writer(w), *b;
	uint64_t how = rng_below(&w->rng, 4);
	unsigned tries = 0;

	a->force = true;
	launch(a);
	if (wait_for(w, a, rng_range(&w->rng, 100, 60000)) && !a->opened) {
		check_result(a);
		kill_writer(w, a);
		return;
	}
	if (!is_alive(a))
		return;
	if (how == 0)
		sim_process_pause(a->process);
	else if (how == 1)
		a->link->hang = true;
	else if (how == 2)
		a->link->cut = true;
	w->takeovers++;
	do {
		b = start_writer(w);
		b->force = true;
		b->close = rng_chance(&w->rng, 1, 4);
		if (rng_chance(&w->rng, 1, 3)) {
			b->link->kill_after = rng_range(&w->rng, 1, 20);
			b->link->kill_late = rng_chance(&w->rng, 1, 2);
		}
		launch(b);
		(void)wait_for(w, b, rng_range(&w->rng, 10, 60000)); /* whatever it does */
		sim_process_resume(a->process);
		a->link->hang = a->link->cut = false;
		(void)wait_for(w, b, rng_range(&w->rng, 1000, 60000));
		(void)wait_for(w, a, rng_range(&w->rng, 1, 20000));
		if (b->done)
			check_result(b);
		kill_writer(w, b);
		w->crashes++;
	} while (!a->replaced && ++tries < 3);
	if (is_alive(a)) {
		a->stop = true;
		kill_writer(w, a);
		w->crashes++;
	}
}

static void finish(struct world *w)
{
	struct sim_faults calm = {.latency_us = 1000};

	sim_store_faults(w->store, &calm);
	run_one(w, true);
	/* What is left in the network lands; nothing of it may matter. */
	sim_store_settle(w->store);
	run_one(w, true);
	if (!w->writers[w->nwriters - 1]->opened)
		sim_fail("the volume could not be opened at the end");
}

static void world_main(void *arg)
{
	struct world *w = arg;
	struct sim_faults faults;
	struct sim_process *follower = NULL;

	forget_pids();
	w->rng = rng_of(w->o.seed * 2 + 1);
	faults = choose_faults(w);
	choose_sizes(w);
	w->store = sim_store_new(rng_next(&w->rng), &faults);
	w->oracle = oracle_new();
	if (w->o.follower) {
		follower = sim_process_new("follower", 0);
		world_identity("host-3", follower);
		sim_process_start(follower, "main", follower_main, w);
	}
	for (unsigned i = 0; oracle_total(w->oracle) < w->o.ops || w->crashes < w->o.crashes; i++) {
		if (i == ROUNDS_MAX || w->nwriters + 8 > WORLD_WRITERS_MAX)
			sim_fail("no end: %llu operations, %u crashes",
				(unsigned long long)oracle_total(w->oracle), w->crashes);
		if (w->o.two_writers && w->current && rng_chance(&w->rng, 1, 2))
			run_two(w);
		else
			run_one(w, false);
	}
	finish(w);
	w->over = true;
	if (follower)
		(void)sim_process_wait(follower); /* it sees that it is over */
}

static void be_quiet(void *arg, enum diag_level level, const char *component, const char *text)
{
	struct world *w = arg;

	(void)level;
	world_say(w, "%s: %s: %s", sim_process_name(sim_process_current()), component, text);
}

void world_run(const struct world_options *o)
{
	struct world *w = calloc(1, sizeof(*w));
	struct diag_sink sink = {.message = be_quiet, .arg = w};

	if (!w)
		abort();
	w->o = *o;
	diag_set_sink(&sink);
	sim_run(world_main, w, o->seed);
	if (o->verbose)
		fprintf(stderr,
			"seed %llu: %llu operations, %u writers, %u crashes (%u while opening), %u closed, %u take-overs, "
			"%u polls, %u checks, %zu writes, %.1f s, %llu steps\n",
			(unsigned long long)o->seed, (unsigned long long)oracle_total(w->oracle),
			w->nwriters, w->crashes, w->opens_killed, w->closes, w->takeovers, w->polls,
			w->checks, sim_store_messages(w->store), (double)sim_now_ns() / 1e9,
			(unsigned long long)sim_steps());
	diag_set_sink(NULL);
	oracle_free(w->oracle);
	sim_store_free(w->store);
	for (unsigned i = 0; i < w->nwriters; i++)
		free(w->writers[i]);
	free(w);
}
