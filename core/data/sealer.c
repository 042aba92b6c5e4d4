/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When bytes are sealed: full chunks of a stream early, by jobs of the open group; the rest when
 * the group closes.
 *
 * The two have separate pools. An early job may wait in log_turn until an older group has closed,
 * so the closing group must not need its threads; and jobs that nobody has begun when their group
 * closes are called off, since they may stand in the queue behind jobs of the next group that wait
 * for this very close.
 */
#include "core/data/sealer.h"

#include <assert.h>
#include <stdlib.h>

#define BATCHES_AHEAD 2u /* per closing thread */

/* ---- early ---- */

struct seal_job {
	struct work work;
	struct data *data;
	struct group_data *group; /* NULL: called off (guarded by data.lock) */
	struct pending *map;
	uint64_t offset, end;
	struct list link; /* in group_data.jobs until it begins */
};

static bool job_begin(struct seal_job *j)
{
	MUTEX_GUARD(&j->data->lock);
	if (!j->group)
		return false;
	list_remove(&j->link);
	j->group->jobs_running++;
	return true;
}

static void job_end(struct seal_job *j)
{
	MUTEX_GUARD(&j->data->lock);
	if (--j->group->jobs_running == 0)
		cond_broadcast(&j->data->sealed);
}

/* What fails here is done, or reported, when the group closes. */
static void job_run(struct work *w)
{
	struct seal_job *j = container_of(w, struct seal_job, work);

	if (job_begin(j)) {
		uint64_t at = j->offset;
		int r = 0;

		while (r == 0 && at < j->end) {
			struct seal_batch b;

			seal_batch_init(&b, j->group);
			r = seal_collect(&b, j->map, &at, j->end);
			if (r == 0 && b.nframes)
				r = seal_batch_run(&b);
			seal_batch_done(&b);
		}
		job_end(j);
	}
	free(j);
}

static void job_submit(struct pending *map, uint64_t first, uint64_t end)
{
	struct data *d = map->file->data;
	struct seal_job *j = calloc(1, sizeof(*j));

	if (!j)
		return;
	j->work.run = job_run;
	j->data = d;
	j->group = map->group;
	j->map = map;
	j->offset = first * CHUNK_BYTES;
	j->end = end * CHUNK_BYTES;
	mutex_lock(&d->lock);
	list_push_back(&map->group->jobs, &j->link);
	mutex_unlock(&d->lock);
	workers_submit(d->sealers, &j->work);
}

/* Whether the map holds bytes for the whole chunk. */
static bool chunk_is_full(const struct pending *map, uint64_t chunk)
{
	uint64_t at = chunk * CHUNK_BYTES, end = at + CHUNK_BYTES;
	const struct piece *p = pieces_find(&map->pieces, at);

	for (; p && p->kind == PIECE_BYTES && p->offset <= at; p = piece_next(p)) {
		at = p->end;
		if (at >= end)
			return true;
	}
	return false;
}

void sealer_after_write(struct pending *map, uint64_t offset, uint64_t end)
{
	uint64_t per_job = SEAL_FRAMES_MAX * FRAME_PLAIN_MAX / CHUNK_BYTES;

	/* A chunk counts as complete when its last byte is written, as streams do it. */
	for (uint64_t c = chunk_of(offset), last = end / CHUNK_BYTES; c < last;) {
		uint64_t n = 0;

		while (n < per_job && c + n < last && chunk_is_full(map, c + n))
			n++;
		if (n)
			job_submit(map, c, c + n);
		c += n ? n : 1;
	}
}

void sealer_stop(struct group_data *gd)
{
	struct data *d = gd->data;
	struct seal_job *j;

	mutex_lock(&d->lock);
	while ((j = list_first(&gd->jobs, struct seal_job, link)) != NULL) {
		list_remove(&j->link);
		j->group = NULL;
	}
	while (gd->jobs_running)
		cond_wait(&d->sealed, &d->lock);
	mutex_unlock(&d->lock);
}

/* ---- when the group closes ---- */

/* Batches under way of one group that closes. */
struct finish {
	struct data *data;
	struct mutex lock; /* RANK_WORKERS */
	struct cond ended;
	unsigned running; /* guarded by lock */
	int result;	  /* guarded by lock: the first failure that is not for want of memory */
};

struct finish_job {
	struct work work;
	struct finish *finish;
	struct seal_batch batch;
};

static void finish_run(struct work *w)
{
	struct finish_job *j = container_of(w, struct finish_job, work);
	struct finish *f = j->finish;
	int r = seal_batch_run(&j->batch);

	seal_batch_done(&j->batch);
	free(j);
	mutex_lock(&f->lock);
	if (r < 0 && r != -ENOMEM && f->result == 0)
		f->result = r;
	f->running--;
	cond_signal(&f->ended);
	mutex_unlock(&f->lock);
}

/* Waits until fewer than `limit` batches run; the result so far. */
static int finish_wait(struct finish *f, unsigned limit)
{
	MUTEX_GUARD(&f->lock);
	while (f->running >= limit)
		cond_wait(&f->ended, &f->lock);
	return f->result;
}

static int finish_submit(struct finish *f, struct finish_job *j)
{
	int r = finish_wait(f, BATCHES_AHEAD * f->data->o.seal_threads);

	if (r < 0) {
		seal_batch_done(&j->batch);
		free(j);
		return r;
	}
	mutex_lock(&f->lock);
	f->running++;
	mutex_unlock(&f->lock);
	workers_submit(f->data->closers, &j->work);
	return 0;
}

static struct finish_job *finish_job_new(struct finish *f, struct group_data *gd)
{
	struct finish_job *j = malloc(sizeof(*j));

	if (!j)
		return NULL;
	j->work.run = finish_run;
	j->finish = f;
	seal_batch_init(&j->batch, gd);
	return j;
}

/* One walk over all maps. What fails for want of memory is left for the next walk. */
static int finish_walk(struct finish *f, struct group_data *gd)
{
	struct finish_job *j = NULL;
	struct pending *map;
	int r = 0;

	/* The group is closed: nobody adds maps any more. */
	list_for_each (map, &gd->maps, link) {
		uint64_t at = 0;

		while (r == 0 && at != PIECE_FOREVER) {
			if (!j)
				j = finish_job_new(f, gd);
			r = j ? seal_collect(&j->batch, map, &at, PIECE_FOREVER) : -ENOMEM;
			if (r == 0 && j->batch.nframes == j->batch.max_frames)
				r = finish_submit(f, TAKE(j));
		}
		if (r < 0)
			break;
	}
	if (j && j->batch.nframes) {
		int e = finish_submit(f, TAKE(j));

		if (r == 0)
			r = e;
	}
	if (j) {
		seal_batch_done(&j->batch);
		free(j);
	}
	int e = finish_wait(f, 1);

	return e < 0 ? e : r == -ENOMEM ? 0 : r;
}

static bool all_sealed(const struct group_data *gd)
{
	struct pending *map;
	bool sealed = true;

	list_for_each (map, &gd->maps, link) {
		rwlock_rdlock(map->file->lock);
		sealed = map->pieces.nbytes == 0;
		rwlock_unlock(map->file->lock);
		if (!sealed)
			break;
	}
	return sealed;
}

int sealer_finish(struct group_data *gd)
{
	struct finish f = {.data = gd->data};
	int r = 0;

	mutex_init(&f.lock, RANK_WORKERS);
	cond_init(&f.ended);
	while (r == 0 && !all_sealed(gd)) {
		r = finish_walk(&f, gd);
		if (r == 0 && !all_sealed(gd))
			env_sleep_ms(RETRY_MS);
	}
	cond_done(&f.ended);
	mutex_done(&f.lock);
	return r;
}
