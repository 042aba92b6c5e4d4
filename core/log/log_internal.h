/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_LOG_LOG_INTERNAL_H
#define CORE_LOG_LOG_INTERNAL_H
/*
 * The writer's log from inside: log.c (open, close, stop, numbers), group.c (who is in which group;
 * the committer), positions.c (which segment has which position), commit.c (uploads,
 * acknowledgements).
 *
 * Locks, outermost first: `lock` (groups, acknowledgements), `positions_lock` (positions, open
 * segments), a segment's own. None is held over a request, a call of group_ops, or a wait for
 * memory.
 *
 * A group: open -> (swapped out by the committer) closing, in `flight` -> its journal bound ->
 * every position up to it known stored
 * -> acknowledged. Or dropped, once the log has stopped.
 */
#include "core/base/diag.h"
#include "core/log/log.h"
#include "core/log/refusal_internal.h"
#include "core/log/segment_internal.h"

/*
 * Groups closed and not acknowledged. More would not make a commit faster, since all begin at once;
 * fewer would make an fsync wait for an unrelated one. Beyond it concurrent fsyncs gather in the
 * next group and share its commit.
 */
#define GROUPS_IN_FLIGHT_MAX 8
/* Bytes under way that show the bandwidth of the store rather than its latency; bytes that make a
 * first estimate; busy time after which older times count half. */
#define BANDWIDTH_BUSY_BYTES (1u << 20)
#define BANDWIDTH_SAMPLE_BYTES (8u << 20)
#define BANDWIDTH_MEMORY_NS 2000000000ull
#define UNSENT_BOUND_MIN (16ull << 20)

/* Where replay would start if the tables held everything up to `group` (W7). */
struct mark {
	struct mark *next;
	uint64_t group, start;
};

struct group_private {
	struct group *group;
	/* guarded by log.lock */
	struct list flight; /* in log.flight */
	uint64_t first_change_ns, last_change_ns;
	struct mark *mark; /* allocated with the group, so that acknowledging cannot fail; given to
			      log.marks */
	/* guarded by log.positions_lock */
	struct segment **segments; /* one hold each */
	size_t nsegments, segments_cap;
	struct segment *open; /* takes reservations; kept by its position */
	uint64_t journal;     /* position of its journal; written before the group's journal is
				 submitted */
};

struct position {
	struct segment *segment; /* NULL once known stored; one reference */
	bool stored;
	uint64_t journal_of; /* the group that ends here, 0 = none */
};

struct log {
	/* immutable after open */
	struct log_options o;
	uint64_t target; /* bytes of a segment: segment_bytes, or less where memory is small */
	struct workers *pool;
	struct thread committer;
	/* committer only */
	uint64_t previous;    /* the newest group that has a journal */
	struct mutex lock;    /* RANK_GROUP */
	struct cond work;     /* the committer may have something to do */
	struct cond left;     /* the last operation left the closing group */
	struct cond progress; /* a group was acknowledged, or the log stopped */
	struct cond stop;     /* the log stopped: ends pauses between attempts */
	/* guarded by lock */
	struct group *open;
	struct list flight; /* struct group_private, oldest first */
	unsigned nflight;
	uint64_t close_request; /* groups up to this are to be closed at once */
	bool acknowledging;	/* a thread is calling group_ops.acked */
	bool closing;		/* log_close: no more groups after the open one */
	unsigned waiting;	/* threads in log_wait */
	struct mark *marks; /* rising groups; the first is the lowest that may still be asked for */
	struct mark *last_mark;
	uint64_t busy_mark_ns, busy_ns, busy_bytes, moving_bytes, bandwidth;
	uint64_t last_ack_ns, commits, segments, bytes_put;
	struct refusal refusal;
	struct diag_limit refused;   /* messages about uploads that fail */
	struct mutex positions_lock; /* RANK_SEGMENT */
	struct cond turn_came;	     /* the next group may create segments */
	struct cond appended;	     /* a reservation was redeemed */
	/* guarded by positions_lock */
	struct position *positions; /* [base, next_sequence) */
	size_t positions_cap;
	uint64_t base, next_sequence;
	uint64_t turn; /* the group that may create segments; all before it have bound their
			  journals */

	/* atomic */
	_Atomic int stopped;	  /* 0; -ESTALE fenced; -ECANCELED abandoned */
	_Atomic uint64_t durable; /* W4 holds for groups up to this */
	_Atomic uint64_t acked, closed_group, open_number, unsent;
	_Atomic unsigned uploading; /* jobs submitted and not finished */
};

/* ---- log.c ---- */

/* 0, or why nothing is sent any more. */
int log_stopped(struct log *l);
/* Stops for good with `code`; true for the one call that did it. */
bool log_stop(struct log *l, int code);
/* W3, W5: something else lies in our place, or a newer epoch was seen. */
void log_replaced(struct log *l, const char *why);
/* A pause that ends early when the log stops. */
void log_pause(struct log *l, uint64_t ms);

/* ---- group.c ---- */

struct group *group_new(struct log *l, uint64_t number); /* NULL on ENOMEM; payload not opened */
void group_free(struct group *g);
void committer_main(void *arg);
/* The group will not be acknowledged. */
void group_drop(struct group *g);

/* ---- positions.c ---- */

/* Called by segment_append: `bytes` are in memory, `ready`: closed, and this was the last
 * reservation. */
void log_appended(struct log *l, struct segment *s, size_t bytes, bool ready);
/*
 * Binds the journal of `g` to a position: its open segment, or a new one. After that later groups
 * create segments. `block`: plain bytes of its records. The segment is closed, ready, and borrowed
 * from its position. 0, -ENOMEM, -EBADMSG.
 */
int log_bind_journal(struct log *l, struct group *g, size_t block, struct segment **ret);
/* Notes that the position is known stored, lets its bytes go, and moves l->durable (W4). */
void log_position_stored(struct log *l, struct segment *s);
/* Lets go what is in memory: nothing will be uploaded any more. */
void log_forget_positions(struct log *l);

/* ---- commit.c ---- */

/* Submits a ready segment to the pool. */
void log_submit(struct log *l, struct segment *s);
/* Journal bytes count as unsent as well. */
int log_commit_group(struct log *l, struct group *g, struct buf *block);
/* Calls group_ops.acked for what is durable, in order, one thread at a time. */
void log_acknowledge(struct log *l);

#endif
