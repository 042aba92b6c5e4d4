/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Frames that a plan needs: from the frame cache, from segments still in memory, from the store.
 * Neighbouring bytes of one segment are one GET; several are asked for in parallel when the store
 * is slow; who misses the same frame shares the request.
 */
#include "core/base/planted.h"
#include "core/data/reader.h"

#include <assert.h>
#include <stdlib.h>

#define RUN_BYTES_MAX (4u << 20)   /* of one GET */
#define SLOW_GET_NS 1000000u	   /* from here on runs go to other threads */
#define EMERGENCY_BYTES (8u << 20) /* all reads together that found no cache room */
#define SHORT_BODY_TRIES 3

struct want {
	struct extent e;
	struct frame_key key;
	struct flight *flight;
	struct frame *frame; /* a reference, once it is there */
	bool mine;
};

/* Neighbouring frames of one segment. */
struct run {
	struct work work;
	struct work_wait *wait;
	struct data *data;
	struct want **wants;
	size_t n;
	uint64_t offset;
	size_t len;
	struct error err; /* of the first failure */
};

/* ---- memory ---- */

enum budget_class reader_memory_get(struct data *d, uint64_t n)
{
	if (budget_try(d->o.budget, BUDGET_CACHE, n))
		return BUDGET_CACHE;
	frame_cache_shrink(d->frames, n);
	if (budget_try(d->o.budget, BUDGET_CACHE, n))
		return BUDGET_CACHE;
	mutex_lock(&d->reader_lock);
	while (d->emergency && d->emergency + n > EMERGENCY_BYTES)
		cond_wait(&d->reader_room, &d->reader_lock);
	d->emergency += n;
	mutex_unlock(&d->reader_lock);
	return BUDGET_CLASSES;
}

void reader_memory_put(struct data *d, enum budget_class where, uint64_t n)
{
	if (where == BUDGET_CACHE) {
		budget_put(d->o.budget, BUDGET_CACHE, n);
		return;
	}
	mutex_lock(&d->reader_lock);
	d->emergency -= n;
	cond_broadcast(&d->reader_room);
	mutex_unlock(&d->reader_lock);
}

/* ---- one frame ---- */

static int bad_frame(const struct extent *e, struct error *err)
{
	return error_set(err, -EBADMSG, "segment %016llx/%016llx: frame %llu is damaged",
		(unsigned long long)e->epoch, (unsigned long long)e->sequence,
		(unsigned long long)e->ordinal);
}

/* Opens the sealed bytes, which are spoiled, into a frame that goes to the cache too. */
static int open_frame(struct data *d, const struct aead_object *key, struct want *w,
	uint8_t *sealed, struct error *err)
{
	struct frame *f = frame_new(&w->key, w->e.plain_len);

	if (!f)
		return error_set(err, -ENOMEM, "no memory for a frame");
	int r = frame_open(key, keys_lineage(d->o.keys), w->e.ordinal, sealed, w->e.sealed_len,
		f->bytes, w->e.plain_len);

	if (r < 0) {
		frame_unref(f);
		return r == -EBADMSG ? bad_frame(&w->e, err)
				     : error_set(err, r, "no memory for a frame");
	}
	frame_cache_put(d->frames, f);
	w->frame = f;
	return 0;
}

/* ---- runs ---- */

/* -ENOENT: the segment is not in memory. */
static int run_from_memory(struct run *run, struct error *err)
{
	struct data *d = run->data;
	const struct extent *e = &run->wants[0]->e;
	struct segment *s = d->log ? log_find_segment(d->log, e->epoch, e->sequence) : NULL;
	uint8_t *scratch;
	int r = 0;

	if (!s)
		return -ENOENT;
	scratch = malloc(frame_bound(FRAME_PLAIN_MAX));
	if (!scratch)
		r = error_set(err, -ENOMEM, "no memory for a frame");
	for (size_t i = 0; r == 0 && i < run->n; i++) {
		struct want *w = run->wants[i];
		struct slice sealed;
		uint32_t plain;

		if (segment_frame(s, w->e.ordinal, &sealed, &plain) < 0 ||
			plain != w->e.plain_len || sealed.len != w->e.sealed_len) {
			r = bad_frame(&w->e, err);
			break;
		}
		memcpy(scratch, sealed.data, sealed.len);
		r = open_frame(d, segment_key(s), w, scratch, err);
	}
	free(scratch);
	segment_unref(s);
	return r;
}

static void note_get(struct data *d, uint64_t ns, size_t bytes)
{
	uint64_t old = atomic_load(&d->get_ns);

	atomic_store(
		&d->get_ns, old ? old - old / 8 + ns / 8 : ns); /* a lost update does no harm */
	atomic_fetch_add(&d->gets, 1);
	atomic_fetch_add(&d->get_bytes, bytes);
}

/* All `len` bytes, or an error: a body that ends early is not the object's end. */
static int get_range(struct data *d, const struct extent *e, uint64_t offset, uint8_t *buf,
	size_t len, size_t *ret_len, struct error *err)
{
	uint64_t size;
	char name[64];

	log_key(name, e->epoch, e->sequence);
	for (int i = 0; i < SHORT_BODY_TRIES; i++) {
		uint64_t began = env_now_ns();
		int r = store_get(d->o.store, name, offset, buf, len, ret_len, &size, err);

		if (r < 0)
			return r;
		note_get(d, env_now_ns() - began, *ret_len);
		if (*ret_len == len || planted(PLANTED_SHORT_BODY))
			return 0;
		if (size < offset + len)
			return error_set(err, -EBADMSG, "%s ends at %llu, before frame %llu", name,
				(unsigned long long)size, (unsigned long long)e->ordinal);
	}
	return error_set(err, -EIO, "%s: the store gives fewer bytes than there are", name);
}

static int run_open(
	struct run *run, const struct aead_object *key, uint8_t *buf, size_t got, struct error *err)
{
	for (size_t i = 0; i < run->n; i++) {
		struct want *w = run->wants[i];
		size_t at = (size_t)(w->e.place - run->offset);
		int r;

		if (w->frame)
			continue;
		if (at + w->e.sealed_len > got) {
			/* Only where the planted bug let a short body through. */
			w->frame = frame_new(&w->key, w->e.plain_len);
			if (!w->frame)
				return error_set(err, -ENOMEM, "no memory for a frame");
			memset(w->frame->bytes, 0, w->e.plain_len);
			continue;
		}
		r = open_frame(run->data, key, w, buf + at, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int run_from_store(struct run *run, struct error *err)
{
	struct data *d = run->data;
	const struct extent *e = &run->wants[0]->e;
	enum budget_class where = reader_memory_get(d, run->len);
	struct aead_object key;
	uint8_t *buf = malloc(run->len);
	bool again = true;
	size_t got;
	int r = buf ? 0 : error_set(err, -ENOMEM, "no memory for a read");

	while (r == 0 && again) {
		again = false;
		r = segments_key(d->segments, e->epoch, e->sequence, &key, err);
		if (r == 0)
			r = get_range(d, e, run->offset, buf, run->len, &got, err);
		if (r < 0)
			break;
		r = run_open(run, &key, buf, got, err);
		if (r == -EBADMSG &&
			segments_rekey(d->segments, e->epoch, e->sequence, NULL) == 1) {
			again = true;
			r = 0;
		}
	}
	free(buf);
	reader_memory_put(d, where, run->len);
	return r;
}

static int run_fetch(struct run *run)
{
	struct data *d = run->data;
	struct error err = {0};
	int r = run_from_memory(run, &err);

	if (r == -ENOENT)
		r = run_from_store(run, &err);
	for (size_t i = 0; i < run->n; i++) {
		struct want *w = run->wants[i];

		flight_land(d->flights, w->flight, w->frame ? 0 : r, w->frame, &err);
	}
	run->err = err;
	return r;
}

static void run_work(struct work *w)
{
	struct run *run = container_of(w, struct run, work);

	work_wait_finish(run->wait, run_fetch(run));
}

static int by_place(const void *a, const void *b)
{
	const struct extent *x = &(*(struct want *const *)a)->e,
			    *y = &(*(struct want *const *)b)->e;

	if (x->epoch != y->epoch)
		return x->epoch < y->epoch ? -1 : 1;
	if (x->sequence != y->sequence)
		return x->sequence < y->sequence ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

static bool run_takes(const struct run *run, const struct extent *e, uint64_t max_gap)
{
	const struct extent *last = &run->wants[run->n - 1]->e;
	uint64_t end = run->offset + run->len;

	return last->epoch == e->epoch && last->sequence == e->sequence && e->place >= end &&
	       e->place - end <= max_gap && e->place + e->sealed_len - run->offset <= RUN_BYTES_MAX;
}

/* Cuts the sorted wants into runs. Returns how many. */
static size_t make_runs(struct data *d, struct want **wants, size_t n, struct run *runs)
{
	size_t nruns = 0;

	for (size_t i = 0; i < n; i++) {
		const struct extent *e = &wants[i]->e;

		if (nruns == 0 || !run_takes(&runs[nruns - 1], e, d->o.max_gap_bytes))
			runs[nruns++] = (struct run){.work.run = run_work,
				.data = d,
				.wants = wants + i,
				.offset = e->place};
		runs[nruns - 1].n++;
		runs[nruns - 1].len = (size_t)(e->place + e->sealed_len - runs[nruns - 1].offset);
	}
	return nruns;
}

static int fetch_runs(struct data *d, struct run *runs, size_t n, struct error *err)
{
	bool parallel = n > 1 && atomic_load(&d->get_ns) >= SLOW_GET_NS;
	struct work_wait wait;
	int r = 0;

	work_wait_init(&wait);
	if (parallel)
		work_wait_add(&wait, (unsigned)(n - 1));
	for (size_t i = n; i-- > 0;) {
		runs[i].wait = &wait;
		if (parallel && i > 0) {
			workers_submit(d->fetchers, &runs[i].work);
			continue;
		}
		int e = run_fetch(&runs[i]);

		if (r == 0)
			r = e;
	}
	int e = work_wait_all(&wait);

	work_wait_done(&wait);
	if (r == 0)
		r = e;
	for (size_t i = 0; r < 0 && i < n; i++)
		if (runs[i].err.code) {
			r = error_set(err, runs[i].err.code, "%s", runs[i].err.text);
			break;
		}
	return r;
}

/* ---- plans ---- */

static int copy_out(struct plan_item *item, const struct frame *f, struct error *err)
{
	if (item->e.skip > f->len || item->len > f->len - item->e.skip)
		return bad_frame(&item->e, err); /* two records that disagree about the frame */
	memcpy(item->out, f->bytes + item->e.skip, item->len);
	item->len = 0;
	return 0;
}

static struct frame_key key_of(const struct extent *e)
{
	return (struct frame_key){
		.epoch = e->epoch, .sequence = e->sequence, .ordinal = e->ordinal};
}

/* What the cache has. Returns how many items are missing, or an error. */
static int64_t fetch_cached(struct data *d, struct plan *p, struct error *err)
{
	size_t missing = 0;

	for (size_t i = 0; i < p->n; i++) {
		struct frame_key k = key_of(&p->items[i].e);
		struct frame *f = frame_cache_get(d->frames, &k);

		if (!f) {
			missing++;
			continue;
		}
		int r = copy_out(&p->items[i], f, err);

		frame_unref(f);
		if (r < 0)
			return r;
	}
	atomic_fetch_add_explicit(&d->frame_hits, p->n - missing, memory_order_relaxed);
	atomic_fetch_add_explicit(&d->frame_misses, missing, memory_order_relaxed);
	return (int64_t)missing;
}

/* Everything one slow read needs, in one block of memory. */
struct fetch {
	size_t n, nmine;
	struct want *wants, **mine;
	struct run *runs;
};

static int fetch_begin(struct fetch *x, size_t max)
{
	*x = (struct fetch){.wants = calloc(max, sizeof(*x->wants)),
		.mine = calloc(max, sizeof(struct want *)),
		.runs = calloc(max, sizeof(*x->runs))};
	return x->wants && x->mine && x->runs ? 0 : -ENOMEM;
}

static void fetch_end(struct fetch *x)
{
	free(x->wants);
	free(x->mine);
	free(x->runs);
}

/* One want per frame; joins the flights. */
static int fetch_join(struct data *d, struct plan *p, struct fetch *x)
{
	for (size_t i = 0; i < p->n; i++) {
		struct plan_item *item = &p->items[i];
		struct frame_key k = key_of(&item->e);

		if (item->len == 0)
			continue;
		if (x->n == 0 || !frame_key_eq(&x->wants[x->n - 1].key, &k)) {
			struct want *w = &x->wants[x->n];

			*w = (struct want){.e = item->e, .key = k};
			w->flight = flights_join(d->flights, &k, &w->mine);
			if (!w->flight)
				return -ENOMEM;
			x->n++;
			if (w->mine)
				x->mine[x->nmine++] = w;
		}
		item->want = (uint32_t)(x->n - 1);
	}
	return 0;
}

/* Fetches what is ours, so that all our flights land, then waits for the others. */
static int fetch_all(struct data *d, struct fetch *x, int r, struct error *err)
{
	if (r < 0) {
		for (size_t i = 0; i < x->nmine; i++)
			flight_land(d->flights, x->mine[i]->flight, r, NULL, NULL);
	} else if (x->nmine) {
		qsort(x->mine, x->nmine, sizeof(*x->mine), by_place);
		r = fetch_runs(d, x->runs, make_runs(d, x->mine, x->nmine, x->runs), err);
	}
	for (size_t i = 0; i < x->n; i++) {
		struct want *w = &x->wants[i];

		if (w->mine || r < 0) {
			flight_leave(d->flights, w->flight);
			continue;
		}
		r = flight_wait(d->flights, w->flight, &w->frame, err);
	}
	return r;
}

int reader_fetch(struct data *d, struct plan *p, struct error *err)
{
	struct fetch x;
	int64_t missing = fetch_cached(d, p, err);

	if (missing <= 0)
		return (int)missing;
	int r = fetch_begin(&x, (size_t)missing);

	if (r == 0) {
		r = fetch_join(d, p, &x);
		r = fetch_all(d, &x, r, err);
	}
	for (size_t i = 0; r == 0 && i < p->n; i++)
		if (p->items[i].len)
			r = copy_out(&p->items[i], x.wants[p->items[i].want].frame, err);
	for (size_t i = 0; i < x.n; i++)
		frame_unref(x.wants[i].frame);
	fetch_end(&x);
	return r == -ENOMEM ? error_set(err, r, "no memory for a read") : r;
}

int reader_frame(struct data *d, const struct extent *e, struct frame **ret, struct error *err)
{
	struct want w = {.e = *e, .key = key_of(e)}, *mine = &w;
	struct run run = {
		.data = d, .wants = &mine, .n = 1, .offset = e->place, .len = e->sealed_len};
	struct frame *f = frame_cache_get(d->frames, &w.key);
	int r = 0;

	if (f && f->len != e->plain_len)
		r = bad_frame(e, err);
	if (!f) {
		r = run_from_memory(&run, err);
		if (r == -ENOENT)
			r = run_from_store(&run, err);
		f = w.frame;
	}
	if (r == 0)
		*ret = f;
	else
		frame_unref(f);
	return r;
}
