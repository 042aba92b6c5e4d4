/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The writer's lease (L1, L2, L4). One thread asks for newer claims and writes the heartbeat. Only
 * the question renews: the lease runs from the moment at which a request was *sent* that found no
 * newer claim. The heartbeat tells others that somebody is there.
 *
 * The end of the lease is one atomic number, so that every answer can check it without a lock.
 */
#include "core/log/epoch_internal.h"

#include "core/base/diag.h"
#include "core/base/planted.h"

#include <assert.h>
#include <stdlib.h>

#define MS 1000000ull
#define RENEW_RETRY_MS 500 /* after a renewal that failed: the retry layer below waited before */

struct lease {
	struct lease_options o; /* immutable */
	struct thread thread;

	struct mutex lock;   /* RANK_EPOCH */
	struct cond wake;    /* the thread has something to do before its time */
	struct cond renewed; /* renewed, ended or cancelled */
	/* guarded by lock */
	bool stop, idle, wanted; /* wanted: somebody waits for a renewal */
	enum heartbeat_state state;
	enum heartbeat_state told; /* the state of the newest heartbeat sent */

	/* thread only (lease_stop: after the thread's end) */
	uint64_t counter;
	struct diag_limit failing;

	/* atomic */
	_Atomic uint64_t valid_until_ns; /* an answer is covered strictly before */
	_Atomic uint64_t renewed_ns;	 /* when the newest renewal was sent */
	_Atomic bool fenced, cancelled;
};

static uint64_t beat_ms_locked(const struct lease *l)
{
	return l->idle ? l->o.idle_beat_ms : l->o.beat_ms;
}

static uint64_t silence_ms_locked(const struct lease *l)
{
	return l->idle ? l->o.idle_ttl_ms : l->o.ttl_ms;
}

/* ---- the thread ---- */

static void end_for_good(struct lease *l)
{
	if (atomic_exchange(&l->fenced, true))
		return;
	diag(DIAG_WARNING, "log", "epoch=%llu another writer claims the volume: no more answers",
		(unsigned long long)l->o.epoch);
	mutex_lock(&l->lock);
	cond_broadcast(&l->renewed);
	mutex_unlock(&l->lock);
	l->o.fenced(l->o.arg);
}

/* L2. False: no answer. */
static bool renew(struct lease *l)
{
	uint64_t sent = env_now_ns(), *epochs = NULL;
	struct error err = {0};
	size_t n = 0;
	int r = claims_list(l->o.store, l->o.epoch, &epochs, &n, &err);

	free(epochs);
	if (r == 0 && planted(PLANTED_RULE_L2)) {
		sent = env_now_ns();
		n = 0;
	}
	if (r == 0 && n > 0) {
		end_for_good(l);
		return true;
	}
	if (r == -ECANCELED) { /* the store was told to shut down */
		lease_cancel(l);
		return false;
	}
	if (r < 0) {
		diag_limited(&l->failing, DIAG_WARNING, "log", "epoch=%llu lease not renewed: %s",
			(unsigned long long)l->o.epoch, error_text(&err, r));
		return false;
	}
	/* A tenth less than what a successor waits: clocks run at different rates. */
	atomic_store(&l->valid_until_ns, sent + l->o.ttl_ms * MS / 10 * 9);
	atomic_store(&l->renewed_ns, sent);
	mutex_lock(&l->lock);
	l->wanted = false;
	cond_broadcast(&l->renewed);
	mutex_unlock(&l->lock);
	return true;
}

static void beat(struct lease *l, enum heartbeat_state state, bool served)
{
	struct heartbeat b = {.counter = ++l->counter, .state = state, .served = served};

	mutex_lock(&l->lock);
	b.silence_ms = silence_ms_locked(l);
	l->told = state;
	mutex_unlock(&l->lock);
	/* L1: nothing depends on it. A store that fails shows in the renewals, too. */
	(void)heartbeat_put(l->o.store, l->o.keys, l->o.epoch, &b, NULL);
}

/* Waits until the next heartbeat is due, or until somebody wants something: false = stop. */
static bool wait_until_due(
	struct lease *l, uint64_t last_ns, bool failed, enum heartbeat_state *ret_state)
{
	uint64_t retry_ns = env_now_ns() + RENEW_RETRY_MS * MS;
	bool in_time = true;

	MUTEX_GUARD(&l->lock);
	while (failed && !l->stop && in_time)
		in_time = cond_wait_until(&l->wake, &l->lock, retry_ns);
	in_time = true;
	while (!l->stop && !l->wanted && l->state == l->told && in_time)
		in_time = cond_wait_until(&l->wake, &l->lock, last_ns + beat_ms_locked(l) * MS);
	*ret_state = l->state;
	return !l->stop;
}

static void lease_main(void *arg)
{
	struct lease *l = arg;
	enum heartbeat_state state = HEARTBEAT_ALIVE;
	uint64_t beat_ns = 0, begin;
	bool failed;

	do {
		begin = env_now_ns();
		failed = atomic_load(&l->cancelled) || !renew(l);
		if (atomic_load(&l->fenced))
			return;
		mutex_lock(&l->lock);
		bool due = beat_ns == 0 || state != l->told ||
			   begin - beat_ns >= beat_ms_locked(l) * MS / 2;

		mutex_unlock(&l->lock);
		/* A renewal that an answer waited for needs no heartbeat of its own. */
		if (due && !atomic_load(&l->cancelled)) {
			beat(l, state, false);
			beat_ns = begin;
		}
	} while (wait_until_due(l, begin, failed, &state));
}

/* ---- interface ---- */

int lease_start(const struct lease_options *o, struct lease **ret, struct error *err)
{
	struct lease *l = calloc(1, sizeof(*l));

	assert(o->ttl_ms > 0 && o->beat_ms > 0 && o->idle_beat_ms > 0 && o->fenced);
	if (!l)
		return error_set(err, -ENOMEM, "no memory for a lease");
	l->o = *o;
	l->counter = o->beats;
	l->state = l->told = HEARTBEAT_ALIVE;
	atomic_init(&l->renewed_ns, env_now_ns());
	mutex_init(&l->lock, RANK_EPOCH);
	cond_init(&l->wake);
	cond_init(&l->renewed);
	int r = thread_start(&l->thread, "lease", lease_main, l);

	if (r < 0) {
		cond_done(&l->wake);
		cond_done(&l->renewed);
		mutex_done(&l->lock);
		free(l);
		return error_set(err, r, "the lease thread cannot be started");
	}
	*ret = l;
	return 0;
}

void lease_stop(struct lease *l, bool release)
{
	if (!l)
		return;
	mutex_lock(&l->lock);
	l->stop = true;
	cond_broadcast(&l->wake);
	mutex_unlock(&l->lock);
	thread_join(&l->thread);
	/* L4. Before its own wait was over (L3) it cannot vouch for its predecessors. */
	if (release && !atomic_load(&l->fenced))
		beat(l, HEARTBEAT_RELEASED, env_now_ns() >= l->o.serve_after_ns);
	cond_done(&l->wake);
	cond_done(&l->renewed);
	mutex_done(&l->lock);
	free(l);
}

void lease_set_idle(struct lease *l, bool idle)
{
	MUTEX_GUARD(&l->lock);

	if (l->idle && !idle)
		l->wanted = true; /* the interval that runs is too long from now on */
	l->idle = idle;
	cond_broadcast(&l->wake);
}

void lease_closing(struct lease *l)
{
	MUTEX_GUARD(&l->lock);

	l->state = HEARTBEAT_CLOSING;
	cond_broadcast(&l->wake);
}

void lease_cancel(struct lease *l)
{
	MUTEX_GUARD(&l->lock);

	atomic_store(&l->cancelled, true);
	cond_broadcast(&l->renewed);
	cond_broadcast(&l->wake);
}

static bool covered(struct lease *l)
{
	return env_now_ns() < atomic_load(&l->valid_until_ns);
}

int lease_check(struct lease *l)
{
	if (atomic_load(&l->fenced))
		return -ESTALE;
	if (!l->o.strict || covered(l))
		return 0;
	MUTEX_GUARD(&l->lock);
	while (!atomic_load(&l->fenced) && !atomic_load(&l->cancelled) && !covered(l)) {
		l->wanted = true;
		cond_signal(&l->wake);
		cond_wait(&l->renewed, &l->lock);
	}
	if (atomic_load(&l->fenced))
		return -ESTALE;
	return covered(l) ? 0 : -ECANCELED;
}

bool lease_partitioned(struct lease *l)
{
	MUTEX_GUARD(&l->lock);

	return env_now_ns() - atomic_load(&l->renewed_ns) >= silence_ms_locked(l) * MS;
}
