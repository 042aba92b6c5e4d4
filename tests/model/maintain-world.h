/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_MODEL_MAINTAIN_WORLD_H
#define TESTS_MODEL_MAINTAIN_WORLD_H
/* A volume in memory beside its naive model, and what one does with the two. Every function fails
 * the test where they differ. */
#include "tests/model/maintain-model.h"

#include "core/base/planted.h"
#include "core/index/index_internal.h"
#include "core/index/manifest_internal.h"
#include "core/store/fault.h"
#include "tests/unit/seal-fixture.h"

/* A volume in memory, with its model. */
struct world {
	struct store *store; /* the fault layer */
	struct volume_keys *keys;
	struct budget *budget;
	struct index *ix;
	struct index_writer writer;
	struct model model;
	struct rng rng;
	uint64_t group;	    /* the newest one */
	uint64_t settled;   /* as booked in the model */
	struct buf *blocks; /* journal of each group */
	size_t cap_blocks;
	uint64_t next_pin;
};

/* An edit: `arg` is a struct index_writer, whose job it sets. */
int apply_take_over(void *arg, struct manifest *m, struct error *err);
/* As a new process: takes over, and replays what the tables do not have. */
void open_index(struct world *w);
void world_open(struct world *w, uint64_t seed);
void world_close(struct world *w);
void write_record(struct world *w, struct index_group *g, const struct model_record *r);
/* ---- groups ---- */
struct index_group *begin_group(struct world *w);
void end_group(struct world *w, struct index_group *g);
void random_group(struct world *w);
/* One record in a group of its own. */
void write_one(struct world *w, enum record_op op, const char *key, const void *value, size_t len);
/* ---- maintenance ---- */
struct manifest *newest(struct world *w);
int flush_now(struct world *w, struct error *err);
/* Books what folds dropped; as if the group that holds it were durable at once. */
void settle(struct world *w);
/* An edit: `arg` is the world. D9: the last group in the tables of the manifest that records it. */
int apply_pin(void *arg, struct manifest *m, struct error *err);
void commit_and_adopt(
	struct world *w, int (*apply)(void *arg, struct manifest *m, struct error *err), void *arg);
void pin_or_unpin(struct world *w);
/* ---- checks ---- */
void check_scan(struct world *w, uint64_t view, struct index_scan *scan);
struct index_scan *open_scan(struct world *w, uint64_t view);
void check_views(struct world *w);
/* After settling: what is booked is what all stored versions refer to, no more and no less. */
void check_references(struct world *w);
size_t count_names(struct world *w, const char *prefix);
void plant_table(struct world *w, struct table_id id);
bool has_table(struct world *w, struct table_id id);
void sweep_all(struct world *w);
/* Sweeps; then live tables, one manifest and what may still be on its way are left, nothing else.
 */
void check_swept(struct world *w);
void merge_until_done(struct world *w);
void reopen(struct world *w);

#endif
