/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_MAINTENANCE_H
#define CORE_MAINTENANCE_H
/*
 * The writer's background tasks over index and log: flush memtables to tables, merge levels, settle
 * dropped references, sweep garbage. Two named threads, plain loops. They stop for good when the
 * writer is fenced.
 */
#include "core/data/data.h"
#include "core/index/maintain.h"

struct maintenance;

struct maintenance_options {
	struct store *store; /* borrowed, as all others */
	const struct volume_keys *keys;
	struct index *index;
	struct log *log;
	uint64_t epoch;
	uint64_t last_group;	  /* groups up to this were replayed from earlier epochs */
	uint64_t segments_behind; /* flush when so many segments lie behind the replay start, 256 */
	uint64_t idle_flush_ms;	  /* flush this long after the last change, 600000 */
	uint64_t sweep_ms;	  /* between two sweeps, 60000 */
	unsigned collect_segments; /* dead segments that are worth a scan of the index, 32 ... */
	uint64_t collect_bytes;	   /* ... or so many bytes of them, 64 MiB */
	void (*fenced)(void *arg); /* a commit found a newer epoch */
	void (*tick)(void *arg);   /* about once a second, from the flusher; may be NULL */
	void *arg;
};

int maintenance_start(
	const struct maintenance_options *o, struct maintenance **ret, struct error *err);
/* Ends the threads; waits for what they are doing. NULL is fine. */
void maintenance_stop(struct maintenance *m);
/* Looks for work now. Never waits. */
void maintenance_poke(struct maintenance *m);
/* Closes the open group and writes everything acknowledged to tables. Waits for the store. */
int maintenance_flush(struct maintenance *m, struct error *err);
/* One unit of merging, settling what is needed for it: 1 = did something, 0 = nothing left. Waits
 * for the store. */
int maintenance_merge(struct maintenance *m, struct error *err);
/* Deletes tables, manifests, claims and segments that nobody needs (D4, M5, T8, D7, D8). Waits for
 * the store. */
int maintenance_sweep(struct maintenance *m, struct error *err);
/* The last error of a background task, empty when the last attempt went well. */
void maintenance_last_error(struct maintenance *m, struct error *ret);

#endif
