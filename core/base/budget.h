/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_BUDGET_H
#define CORE_BASE_BUDGET_H
/*
 * One byte budget for the process, in classes. A class is a reservation: what one class uses is
 * never taken from another, so a stage never waits for a stage upstream of it. Caches use what is
 * left and give it back on demand. Thread-safe. Sizes in bytes.
 */
#include "core/base/thread.h"

enum budget_class {
	BUDGET_COMMIT,	 /* segment buffers, journals, sealing scratch */
	BUDGET_MEMTABLE, /* records not yet in tables */
	BUDGET_MERGE,	 /* flush and merge buffers */
	BUDGET_REQUEST,	 /* buffers of front-end requests */
	BUDGET_DIRTY,	 /* plain bytes not sealed yet */
	BUDGET_CACHE,	 /* frames, blocks, inodes: whatever can be dropped */
	BUDGET_CLASSES
};

struct budget;

/*
 * Divides `total` among the classes: commit 1/4, memtable 1/8, merge 1/8, request 1/16, dirty at
 * most 1/4, and what is left (3/16, plus whatever dirty does not use right now) for caches. `total`
 * at least 1 MiB. NULL on ENOMEM.
 */
struct budget *budget_new(uint64_t total);
void budget_free(struct budget *b); /* everything must have been put back */

/* Takes `n` bytes of the class, waiting while there is no room. A request above the class limit is
 * granted when the class is otherwise empty. 0; -ECANCELED after budget_cancel(); the code of
 * budget_refuse(). Calls env_blocking() before it waits. */
int budget_get(struct budget *b, enum budget_class c, uint64_t n);
/* The same, never waits: false when there is no room. */
bool budget_try(struct budget *b, enum budget_class c, uint64_t n);
/* Takes without asking, beyond the limit if need be: for what cannot be refused any more. */
void budget_force(struct budget *b, enum budget_class c, uint64_t n);
void budget_put(struct budget *b, enum budget_class c, uint64_t n);

uint64_t budget_used(struct budget *b, enum budget_class c);
uint64_t budget_limit(struct budget *b, enum budget_class c);
uint64_t budget_peak(struct budget *b, enum budget_class c);
/* Bytes held above the limit right now: what a cache should drop next. */
uint64_t budget_excess(struct budget *b, enum budget_class c);
/*
 * Lowers or raises the limit of a class (the commit layer bounds dirty bytes by store bandwidth).
 * Dirty never gets more than its share of the total. What is held already stays.
 */
void budget_set_limit(struct budget *b, enum budget_class c, uint64_t limit);
/*
 * What the class holds will not come back for now (the store takes nothing): everybody who waits
 * for its room, and whoever would have to, gets `code` (negative). 0 ends this.
 */
void budget_refuse(struct budget *b, enum budget_class c, int code);
/* Everybody who waits, and whoever will, gets -ECANCELED. */
void budget_cancel(struct budget *b);
/*
 * Called (without locks) when a class is full, by the thread that is about to wait: e.g. "close the
 * group". Waiters are served in the order in which they came; the first of them calls again after
 * every budget_put that did not help it, and every 100 ms. `full` must not call budget_get for the
 * same class.
 */
struct budget_pressure {
	void (*full)(void *arg, enum budget_class c);
	void *arg;
};
void budget_set_pressure(struct budget *b, const struct budget_pressure *p);

#endif
