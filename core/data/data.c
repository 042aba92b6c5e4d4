/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening and closing the data layer, counters. */
#include "core/data/data_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#define FETCH_THREADS 16u
#define SEAL_THREADS_MAX 16u
#define MAX_GAP_DEFAULT 16384u
#define TAIL_BYTES_MAX (4ull << 20)

static void set_defaults(struct data *d)
{
	uint64_t commit = budget_limit(d->o.budget, BUDGET_COMMIT), frames;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (d->o.seal_threads == 0)
		d->o.seal_threads = cores > 0 ? (unsigned)cores : 1;
	if (d->o.seal_threads > SEAL_THREADS_MAX)
		d->o.seal_threads = SEAL_THREADS_MAX;
	if (d->o.max_gap_bytes == 0)
		d->o.max_gap_bytes = MAX_GAP_DEFAULT;
	/* All threads together seal at most a quarter of what the commit path may hold. */
	frames = commit / 4 / d->o.seal_threads / FRAME_PLAIN_MAX;
	d->seal_frames = frames < 1		    ? 1
			 : frames > SEAL_FRAMES_MAX ? SEAL_FRAMES_MAX
						    : (unsigned)frames;
	d->chunk_limit = budget_limit(d->o.budget, BUDGET_CACHE) / 4;
	d->tail_limit = budget_limit(d->o.budget, BUDGET_CACHE) / 8;
	if (d->tail_limit > TAIL_BYTES_MAX)
		d->tail_limit = TAIL_BYTES_MAX;
}

static int start_workers(struct data *d)
{
	d->fetchers = workers_new("fetch", FETCH_THREADS);
	if (!d->fetchers)
		return -ENOMEM;
	if (!d->o.owner)
		return 0;
	d->sealers = workers_new("seal", d->o.seal_threads);
	d->closers = workers_new("seal-close", d->o.seal_threads);
	d->reframers = workers_new("reframe", 1);
	return d->sealers && d->closers && d->reframers ? 0 : -ENOMEM;
}

int data_open(const struct data_options *o, struct data **ret, struct error *err)
{
	struct data *d = calloc(1, sizeof(*d));

	if (!d)
		return error_set(err, -ENOMEM, "no memory for the data layer");
	d->o = *o;
	if (o->owner)
		d->owner = *o->owner;
	mutex_init(&d->lock, RANK_DIRTY);
	cond_init(&d->sealed);
	mutex_init(&d->reader_lock, RANK_READER);
	cond_init(&d->reader_room);
	list_init(&d->reframes);
	set_defaults(d);
	group_ops_init(d);
	d->frames = frame_cache_new(o->budget, o->frame_cache_bytes);
	d->segments = segments_new(o->index, o->store, o->keys);
	d->flights = flights_new();
	if (!d->frames || !d->segments || !d->flights || start_workers(d) < 0) {
		data_close(d);
		return error_set(err, -ENOMEM, "no memory or threads for the data layer");
	}
	*ret = d;
	return 0;
}

const struct group_ops *data_group_ops(struct data *d)
{
	return &d->group_ops;
}

void data_set_log(struct data *d, struct log *l)
{
	d->log = l;
}

void data_stop(struct data *d)
{
	mutex_lock(&d->lock);
	d->stopping = true;
	mutex_unlock(&d->lock);
	if (d->reframers)
		workers_drain(d->reframers);
}

void data_close(struct data *d)
{
	if (!d)
		return;
	data_stop(d);
	workers_free(d->reframers);
	workers_free(d->sealers);
	workers_free(d->closers);
	workers_free(d->fetchers);
	flights_free(d->flights);
	frame_cache_free(d->frames);
	segments_free(d->segments);
	assert(list_empty(&d->reframes));
	cond_done(&d->reader_room);
	mutex_done(&d->reader_lock);
	cond_done(&d->sealed);
	mutex_done(&d->lock);
	free(d);
}

void data_invalidate(struct data *d)
{
	atomic_fetch_add(&d->generation, 1);
}

void data_trim(struct data *d, uint64_t keep)
{
	uint64_t have = frame_cache_bytes(d->frames);

	if (have > keep)
		frame_cache_shrink(d->frames, have - keep);
}

void data_stats(struct data *d, struct data_stats *ret)
{
	*ret = (struct data_stats){
		.dirty_bytes = budget_used(d->o.budget, BUDGET_DIRTY),
		.frames_sealed = atomic_load(&d->frames_sealed),
		.plain_sealed = atomic_load(&d->plain_sealed),
		.bytes_sealed = atomic_load(&d->bytes_sealed),
		.frame_hits = atomic_load(&d->frame_hits),
		.frame_misses = atomic_load(&d->frame_misses),
		.gets = atomic_load(&d->gets),
		.get_bytes = atomic_load(&d->get_bytes),
	};
}
