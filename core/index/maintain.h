/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_MAINTAIN_H
#define CORE_INDEX_MAINTAIN_H
/*
 * What background threads do to the tables: flush memtables, merge levels, sweep garbage. Each call
 * does one unit of work and waits for the store; flush, merge and sweep may run at the same time,
 * each at most once.
 *
 * Only the writer flushes. Tables are written under the writer's own job number (D1), whose counter
 * never goes back.
 */
#include "core/index/index.h"

/* Who this writer is, for preconditions. Immutable. */
struct index_writer {
	uint64_t epoch;
	uint8_t term[TERM_BYTES];
	uint64_t job; /* its writer job in the manifest */
};
/* Before any flush or merge: the writer's identity, from its take-over manifest. */
void index_set_writer(struct index *ix, const struct index_writer *w);

/*
 * Writes the memtables whose groups are all <= `upto` (from index_flushable) as level-0 tables and
 * commits a manifest with replay start `replay` and last group `upto`. Precondition (W6): the
 * newest manifest has own epoch and term, and the replay start this flush began from. -ESTALE:
 * fenced; -EAGAIN: earlier flushes keep turning up, try again. Then the memtables are dropped and
 * readers go to the new version. `settled`: the value that the manifest is to record ("settled
 * through", see index_unsettled).
 */
int index_flush(struct index *ix, uint64_t upto, struct log_place replay, uint64_t settled,
	struct error *err);
/*
 * Picks one merge (compact_pick.h) and carries it out: reads, writes tables, commits (D2: outputs
 * stored, job open, all inputs live, pin generation unchanged), installs. 1 = did something; 0 =
 * nothing to do; -EAGAIN inputs changed; -ESTALE fenced. Inputs whose dropped references are not
 * settled durably (added > settled) are not touched: 0, and *ret_blocked is set.
 */
int index_merge(struct index *ix, uint64_t settled, bool *ret_blocked, struct error *err);
/*
 * Dropped references of live tables that were added by manifests > `settled`, summed, and the
 * number of the newest manifest that they include. The writer books them in the open group together
 * with "settled through *ret_number" (docs/format.md counter 3).
 */
int index_unsettled(struct index *ix, uint64_t settled, struct segment_refs *out,
	uint64_t *ret_number, struct error *err);
/*
 * Sweep against a validated manifest: retired tables (D4a), tables of closed jobs and below the
 * low-water of the writer's own job that are not live (D4b), manifests below the newest (M5),
 * claims below the manifest's epoch (T8). Deletes at most `max` objects; returns how many. Also
 * drops what it deleted from `retired` by a commit when there are many. Late copies are found again
 * by the next sweep (D5).
 */
int index_sweep(struct index *ix, unsigned max, struct error *err);
/* Adopts a manifest committed by somebody else (follower, conflict). Takes a reference. */
int index_adopt(struct index *ix, struct manifest *m, struct error *err);
/* Follower only: forgets all memtables (it is about to replay from the manifest's replay start). */
void index_forget_memtables(struct index *ix, uint64_t upto_group);

#endif
