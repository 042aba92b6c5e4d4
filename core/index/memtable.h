/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_MEMTABLE_H
#define CORE_INDEX_MEMTABLE_H
/*
 * The records of whole groups that are not in tables yet: a skip list of point records and a set of
 * range deletes. Readers take no lock: links are published with release stores, nothing is freed
 * before the memtable, values are replaced by exchanging one pointer. Writers hold one mutex for an
 * insertion. All memory comes from an arena that is filled in advance by memtable_reserve, so that
 * insertion cannot fail. Reference-counted: versions share it.
 */
#include "core/base/budget.h"
#include "core/index/iter.h"
#include "core/index/versions.h"

struct memtable;
struct memtable_group; /* the records of one group, for sealing its journal */

struct memtable *memtable_new(struct budget *budget); /* budget may be NULL; NULL on ENOMEM */
struct memtable *memtable_ref(struct memtable *m);
void memtable_unref(struct memtable *m); /* NULL is fine */

/* `number` is above all groups of this memtable. NULL on ENOMEM. */
struct memtable_group *memtable_group_new(struct memtable *m, uint64_t number);
void memtable_group_free(
	struct memtable_group *g); /* gives back what is still reserved; NULL is fine */

/* Memory that `n` records with `bytes` of keys and values may take at most. */
size_t memtable_cost(size_t bytes, size_t n);
/* Never waits: the budget is charged by force, what keeps it within its limit is index_throttle.
 * The group is not closed. 0, -ENOMEM. */
int memtable_reserve(struct memtable_group *g, size_t bytes, size_t n);
void memtable_unreserve(struct memtable_group *g, size_t bytes, size_t n);

/* Cannot fail; asserts that it was reserved. Rules of index.h for records of one group. */
void memtable_add(
	struct memtable_group *g, enum record_op op, struct slice key, struct slice value);
void memtable_range_delete(struct memtable_group *g, struct slice first, struct slice end);
enum record_op memtable_group_find(
	struct memtable_group *g, struct slice key, struct slice *ret_value);
uint64_t memtable_group_bytes(struct memtable_group *g);
size_t memtable_group_count(struct memtable_group *g);
/* Nothing is added any more: gives back what is still reserved. */
void memtable_group_close(struct memtable_group *g);
/* All records of the closed group as one block, appended to `out`. 0, -ENOMEM. */
int memtable_group_encode(const struct memtable_group *g, struct buf *out);

uint64_t memtable_bytes(const struct memtable *m); /* memory of what was added */
uint64_t memtable_records(const struct memtable *m);
uint64_t memtable_deletes(const struct memtable *m); /* how often a key was deleted */
/* Versions of v->key of groups above `floor` (older ones are in the tables already). 0, -ENOMEM. */
int memtable_get(struct memtable *m, uint64_t floor, struct versions *v);
/*
 * Iterates what is there at each step. Holds a reference. Groups up to `floor` are left out. A
 * record that a range delete of its own group removed comes out as a delete, so that a reader who
 * has passed the range delete's place does not see what the record had replaced; with `stored` it
 * is left out: for who reads groups that have ended. 0, -ENOMEM.
 */
int memtable_iter_new(struct memtable *m, uint64_t floor, bool stored, struct iter **ret);

#endif
