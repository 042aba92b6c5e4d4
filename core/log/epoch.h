/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_LOG_EPOCH_H
#define CORE_LOG_EPOCH_H
/*
 * Claims, heartbeats, the lease, fences (rules T1, T4, L1-L4). Claims and heartbeats are liveness
 * and discovery, never safety; safety is the fence (epoch_close_log) and the recorded end. Ages are
 * judged by the observer's own clock.
 */
#include "core/base/thread.h"
#include "core/seal/keys.h"
#include "core/store/store.h"

struct claim {
	uint64_t epoch;
	uint8_t term[16], holder[16];
	char host[256], boot_id[40], endpoint[256], since[32];
	int64_t pid;
	uint64_t started; /* clock ticks since boot, from /proc/PID/stat */
	bool exclusive;
};
enum heartbeat_state { HEARTBEAT_NONE, HEARTBEAT_ALIVE, HEARTBEAT_CLOSING, HEARTBEAT_RELEASED };
struct heartbeat {
	uint64_t counter;
	enum heartbeat_state state;
	uint64_t silence_ms; /* unchanged for so long: its owner has stopped */
	/*
	 * Its owner has waited as L3 demands: "released" then vouches for all earlier epochs too. A
	 * candidate that gave up before releases only itself.
	 */
	bool served;
};
#define HEARTBEAT_SILENCE_MAX_MS 600000

/* Who this process is; immutable. Filled from the system by identity_of_process; tests fill their
 * own. */
struct identity {
	uint8_t holder[16];
	char host[256], boot_id[40];
	int64_t pid;
	uint64_t started;
	/* Whether a process of this host and boot is provably gone (same boot id, pid absent or
	 * started at another time). */
	bool (*is_gone)(int64_t pid, uint64_t started);
};
void identity_of_process(struct identity *ret);

/* The newest claim and its heartbeat; ret->epoch = 0 when there is none. Waits for the store. */
int claim_newest(struct store *s, const struct volume_keys *k, struct claim *ret,
	struct heartbeat *ret_beat, struct error *err);
int claim_open(const struct volume_keys *k, uint64_t epoch, struct slice object, struct claim *ret,
	struct error *err);
/* T1: creates the claim of `c->epoch` (own term inside). 0 mine; -EEXIST somebody else won. */
int claim_create(
	struct store *s, const struct volume_keys *k, const struct claim *c, struct error *err);

/* Plain PUT of the heartbeat of an epoch. Liveness only (L1): callers go on when it fails. */
int heartbeat_put(struct store *s, const struct volume_keys *k, uint64_t epoch,
	const struct heartbeat *beat, struct error *err);

enum holder_state {
	HOLDER_NONE,  /* no claim, released, or provably dead on this host */
	HOLDER_ALIVE, /* heartbeat moved, or not observed long enough */
	HOLDER_CLOSING,
	HOLDER_SILENT, /* its heartbeat has not moved for a TTL while we watched */
};
/*
 * Observes the newest claim until its state is certain, at most `patience_ms` (a live local holder
 * is known at once: its process exists). Never writes.
 */
int claim_observe(struct store *s, const struct volume_keys *k, const struct identity *me,
	uint64_t patience_ms, struct claim *ret, enum holder_state *ret_state, struct error *err);

/*
 * L3: whether no claim below `epoch` can still have a valid lease: each is released or of a process
 * of this host that is provably gone, down to the first whose release vouches for the rest. False
 * when in doubt. Therefore a writer may delete old claims (T8) only after its own serve_after_ns.
 */
int claims_all_over(struct store *s, const struct volume_keys *k, const struct identity *me,
	uint64_t epoch, bool *ret_over, struct error *err);

/*
 * T4: closes the log of `epoch`: walks from `from` upward reading the kind of object at each
 * position; the lowest fence is the end; at the first missing position a fence is created. 0 and
 * the end. Waits for the store.
 */
int epoch_close_log(struct store *s, const struct volume_keys *k, uint64_t epoch, uint64_t from,
	uint64_t *ret_end, struct error *err);
/*
 * D8: deletes what lies above the recorded end of a closed epoch, fences excepted (T8), at most
 * `max` objects; late copies are found by the next call. Returns how many. Never for an epoch
 * without a recorded end.
 */
int epoch_sweep_log(struct store *s, uint64_t epoch, uint64_t end, unsigned max, struct error *err);

/*
 * The writer's lease and heartbeat (L2): one thread, every `beat_ms`: LIST of claims, then PUT of
 * the heartbeat; when no newer claim is there the lease runs TTL minus 10 % from the moment when
 * the LIST was sent. A newer claim: `fenced` is called once, the lease ends for good. The lease
 * never runs longer than `ttl_ms`, idle or not, because that is what a successor waits (L3); an
 * idle writer's lease has often expired, and the next answer from memory renews it first.
 */
struct lease;
struct lease_options {
	struct store *store;
	const struct volume_keys *keys;
	uint64_t epoch;
	uint64_t ttl_ms, beat_ms;	    /* 30000, 10000 */
	uint64_t idle_ttl_ms, idle_beat_ms; /* 180000, 60000: silence and interval of heartbeats
					       while lease_set_idle(true) */
	uint64_t serve_after_ns;	    /* L3, from the take-over */
	uint64_t beats; /* heartbeats that the take-over wrote: the counter goes on from there */
	bool strict; /* answers need a valid lease; else ("available") only a newer claim ends them
		      */
	void (*fenced)(void *arg);
	void *arg;
};
int lease_start(const struct lease_options *o, struct lease **ret, struct error *err);
/* Stops the thread, then writes "released" (L4) when `release` and not fenced, and frees. NULL is
 * fine. */
void lease_stop(struct lease *l, bool release);
void lease_set_idle(struct lease *l, bool idle);
void lease_closing(struct lease *l); /* heartbeat state "closing" from now on, written soon */
/*
 * L2: whether an answer from memory may be given now. 0; -ESTALE a newer claim was seen, for good.
 * Strict: waits while the lease has expired (-ECANCELED: lease_cancel). Available: never waits;
 * lease_partitioned() tells that renewals fail.
 */
int lease_check(struct lease *l);
bool lease_partitioned(struct lease *l);
/* Shutdown: whoever waits or will wait in lease_check gets -ECANCELED; the thread starts no more
 * requests. */
void lease_cancel(struct lease *l);

#endif
