/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_MAINTAIN_INTERNAL_H
#define CORE_INDEX_MAINTAIN_INTERNAL_H
/*
 * What flush, merge and sweep share: the numbers of this writer's tables, the tables that one flush
 * or merge wrote, and what is remembered about recent tables. Needs index_internal.h, which holds a
 * struct maintain.
 */
#include "core/index/maintain.h"
#include "core/index/merge.h"

#define MAINTAIN_NOTES 256

/* At most one of each runs at a time. */
enum maintain_task { MAINTAIN_FLUSH, MAINTAIN_MERGE, MAINTAIN_TASKS };

/* What a table that this process wrote is known to hold, without opening it. */
struct table_note {
	struct table_id id; /* job 0 = unused */
	bool drops;	    /* it has dropped references */
	bool heavy;	    /* many range deletes, or one that hides a whole table */
	bool deletes;	    /* mostly point deletes */
};

/* Zeros to begin with. Guarded by the index's lock. */
struct maintain {
	uint64_t busy[MAINTAIN_TASKS]; /* first counter that the task under way may upload, + 1; 0 =
					  none */
	struct table_note notes[MAINTAIN_NOTES]; /* the newest ones; a ring */
	unsigned next_note;
};

struct index_version;

/* The writer's identity. -EINVAL before index_set_writer. */
int maintain_writer(struct index *ix, struct index_writer *ret, struct error *err);
/* A task that will upload begins and ends; nothing of it is uploaded after its end, unless the
 * store is late (S2). */
void maintain_begin(struct index *ix, enum maintain_task task);
void maintain_end(struct index *ix, enum maintain_task task);
/* D1, S3: a table id that nobody ever had. Only between begin and end. */
struct table_id maintain_next_id(struct index *ix);
/* D3: counters below this are uploaded by nobody but `task` any more, whose edit names what it
 * uploaded. */
uint64_t maintain_low(struct index *ix, enum maintain_task task);
/* In an edit: the job must be open (D2); raises its low mark (D3). -ESTALE: closed. */
int maintain_raise_low(struct index *ix, enum maintain_task task, const struct index_writer *w,
	struct manifest *m, struct error *err);
/* In an edit, W5, M7: 0, or -ESTALE when the manifest is not this writer's any more. */
int maintain_check_owner(const struct index_writer *w, const struct manifest *m, struct error *err);
void maintain_add_note(struct index *ix, const struct table_note *note);
/* False: nothing is remembered. */
bool maintain_note(struct index *ix, struct table_id id, struct table_note *ret);
/* Reads the newest manifest and goes on with it: after an edit found that something else had
 * changed. */
int maintain_catch_up(struct index *ix, struct error *err);

/* The pinned groups of a manifest, each once, rising. *ret is for free(). 0, -ENOMEM. */
int manifest_pinned_groups(const struct manifest *m, uint64_t **ret, size_t *ret_n);

/* Tables that one flush or merge stored, in key order. */
struct table_run {
	struct table_meta *tables;
	struct table_note *notes;
	size_t n, cap;
	uint64_t bytes; /* of the objects */
};

struct table_run_source {
	struct merge_compact *merge;
	const struct manifest *base; /* whose tables range deletes may hide */
	unsigned below;		     /* of these levels and deeper ones */
	const uint64_t *pins;
	size_t npins;
	struct slice cover; /* the key of a table that has dropped references only */
};

/* Reads the merge to its end and stores what survives. On failure what was stored stays as garbage
 * (M4). */
int table_run_write(struct index *ix, const struct table_run_source *from, struct table_run *run,
	struct error *err);
/* In an edit: all of them to one level. 0, -ENOMEM. */
int table_run_add(const struct table_run *run, struct manifest *m, unsigned level);
/* Remembers what they hold: after the edit counts. */
void table_run_note(struct index *ix, const struct table_run *run);
void table_run_done(struct table_run *run);

#endif
