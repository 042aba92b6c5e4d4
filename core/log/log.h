/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_LOG_LOG_H
#define CORE_LOG_LOG_H
/*
 * The writer's log: operations join the open group; it closes, its journal goes into its last
 * segment, its segments upload in parallel while the next groups fill; it is acknowledged when
 * every position up to its journal is known stored, in order (W1-W5, W7-W9; docs/design.md
 * "Protocol").
 *
 * One committer thread closes groups, one at a time; a pool uploads. What a group's records are,
 * the layer above says through `struct group_ops`.
 *
 * Positions: a segment binds its position when it is created (its first frame is about to be
 * sealed), because extents name it from then on. group N+1 creates none before N's journal segment
 * is bound, so a group's journal lies above all its own segments and below all of later groups.
 */
#include "core/base/budget.h"
#include "core/log/refusal.h"
#include "core/log/segment.h"

struct log;

/* Plain bytes of one group's block; the layer above closes groups long before. */
#define LOG_JOURNAL_MAX (120u << 20)

/* The operations that become durable together. Its number orders the history of the volume. */
struct group {
	uint64_t number;	/* immutable */
	void *payload;		/* owned by the layer above (group_ops.open) */
	struct log *log;	/* immutable; the rest belongs to log/group.c */
	_Atomic uint64_t users; /* operations inside */
	_Atomic bool changed;	/* somebody changed something: it must be committed */
	struct group_private *private;
};

/* Given by the data layer. */
struct group_ops {
	/* A new group opens: make its payload. 0 or -ENOMEM (retried after a while). */
	int (*open)(void *arg, struct group *g);
	/*
	 * The group is closed and its last operation has left: seal what is dirty, add the final
	 * records, and append the journal's block to `journal`. Called by the committer, one group
	 * at a time, in order. It may create segments for the group (log_segment). Retries inside
	 * until it succeeds; a negative result means shutdown or fenced.
	 */
	int (*close)(void *arg, struct group *g, struct buf *journal);
	/* Acknowledged, in order of numbers, by the upload pool or committer without locks held. */
	void (*acked)(void *arg, struct group *g);
	/* It will never be acknowledged (fenced or shut down): release the payload. */
	void (*dropped)(void *arg, struct group *g);
	void *arg;
};

struct log_options {
	struct store *store;		/* borrowed */
	const struct volume_keys *keys; /* borrowed */
	struct budget *budget;		/* borrowed: COMMIT, DIRTY */
	const struct group_ops *ops;	/* borrowed */
	uint64_t epoch;
	uint64_t next_group;	    /* the first group's number */
	uint64_t last_group;	    /* the last group that has a journal, 0 = none */
	uint64_t segment_bytes;	    /* target, 16 MiB */
	uint64_t flush_interval_ms; /* a changed group closes at the latest after this, 5000 */
	uint64_t quiet_ms;	    /* or after this without a further change, 1000 */
	uint64_t fsync_timeout_ms;  /* log_wait gives up after this, 600000 */
	unsigned uploads;	    /* parallel PUTs, 16 */
	/* Once, without locks: something else lies in our place (W3), or a newer epoch was seen. */
	void (*fenced)(void *arg);
	void *fenced_arg;
	/* W3, "exists" and then nothing: reads the manifest. 0 no newer epoch; -ESTALE there is
	 * one; any other error: asked again. Upload threads, without locks. NULL = always 0. */
	int (*still_owner)(void *arg);
	void *still_owner_arg;
};

/* Starts committer and pool. 0, -ENOMEM, -EAGAIN. */
int log_open(const struct log_options *o, struct log **ret, struct error *err);
/*
 * Closes and commits the open group and waits for all acknowledgements, unless fenced or `abandon`.
 * Frees. NULL is fine. Waits for requests under way in any case (store_cancel ends them). 0;
 * -ESTALE fenced; -ECANCELED changes were given up.
 */
int log_close(struct log *l, bool abandon, struct error *err);
/* W5: stop sending. Groups that are not acknowledged are dropped: -ESTALE from log_wait. */
void log_fence(struct log *l);
bool log_fenced(struct log *l);
/* ---- groups ---- */

/* Joins the open group; never waits. Nothing that waits may happen until group_leave. */
struct group *group_join(struct log *l);
/* `changed`: this operation changed something durable. */
void group_leave(struct group *g, bool changed);
uint64_t log_open_group(struct log *l); /* its number, a moment ago */
uint64_t log_acked(struct log *l);	/* all groups up to this are acknowledged */
/* The highest group that log_close_group has begun to close. */
uint64_t log_closed(struct log *l);
/* Asks for the open group to be closed soon; never waits. Nothing happens when it has no change. */
void log_close_group(struct log *l);
/*
 * Makes group `number` (and all before) durable: closes it if it is open, waits for the
 * acknowledgement. 0 at once when it is durable. Concurrent callers share one commit. -EIO after
 * fsync_timeout_ms, -EIO, -ENOSPC when the store refuses (data stay); -ESTALE fenced; -ECANCELED.
 */
int log_wait(struct log *l, uint64_t number, struct error *err);
/* Streams do not delay fsync: the bound for dirty plus unsent bytes, max(16 MiB, 0.25 s of measured
 * bandwidth), and what is unsent now. */
uint64_t log_unsent_bound(struct log *l);
uint64_t log_unsent(struct log *l);

/* ---- segments of the closing or open group ---- */

/*
 * Who seals frames takes memory in this order, so that nobody who holds a reservation or a charge
 * waits for somebody who needs it: log_turn (may wait for older groups to close), then
 * BUDGET_COMMIT for the block of sealed bytes, then log_segment (never waits any more), seal,
 * segment_append.
 */
/* Until every group before `g` has bound its journal: then it may create segments. 0, -ESTALE,
 * -ECANCELED. */
int log_turn(struct log *l, struct group *g);
/*
 * Reserves `n` consecutive ordinals (n >= 1, together at most `plain` plain bytes) in the open
 * segment of group `g`, creating one when there is none or it is full. The caller then seals the
 * frames with segment_key()/ordinals and calls segment_append exactly once, also on failure (then
 * with n = 0 frames: the reservation becomes dead). Waits only as log_turn does. Returns a
 * referenced segment. -ESTALE, -ECANCELED, -ENOMEM, -EBADMSG (no current key).
 */
int log_segment(struct log *l, struct group *g, unsigned n, size_t plain, struct segment **ret,
	uint64_t *ret_ordinal);
/* BUDGET_COMMIT is short: uploads the open segment though it is not full. Never waits. */
void log_pressure(struct log *l);
/* A segment that is in memory (open, or not known stored), with a reference; else NULL. */
struct segment *log_find_segment(struct log *l, uint64_t epoch, uint64_t sequence);
/* All segments that group `g` created so far, in order, borrowed until it is acknowledged. */
size_t group_segments(struct group *g, struct segment *const **ret);

/* ---- for flush ---- */

/* W7: the lowest position that holds a segment of a group > `group`, or the next free one. `group`
 * is acknowledged and rises from call to call. */
uint64_t log_replay_start(struct log *l, uint64_t group);

struct log_stats {
	uint64_t open_group, closed_group, acked_group, next_sequence, unsent_bytes, in_flight;
	uint64_t segments, bytes_put, commits, fsyncs_waiting, last_ack_ns;
	uint64_t bandwidth; /* bytes per second, 0 = not measured yet */
};
void log_stats(struct log *l, struct log_stats *ret);

#endif
