/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What happens to a group in data: opened, closed into records, acknowledged. Closing works without
 * failing: for want of memory it waits; only a log that has stopped ends it.
 *
 * The order of closing: bytes are sealed; chunk records; segment records (so that whoever finds an
 * extent finds the key); the maps leave their files; the layer above encodes inodes, whose counts
 * are final now; the usage counter; the journal block.
 */
#include "core/base/planted.h"
#include "core/data/chunk_cache.h"
#include "core/data/encode.h"

#include <assert.h>
#include <stdlib.h>

/* ---- for the layer above ---- */

struct index_group *group_records(struct group *g)
{
	return group_data_of(g)->records;
}

void group_usage_add(struct group *g, int64_t bytes, int64_t inodes)
{
	struct group_data *gd = group_data_of(g);

	atomic_fetch_add(&gd->usage_bytes, bytes);
	atomic_fetch_add(&gd->usage_inodes, inodes);
}

int64_t group_usage_bytes(struct group *g)
{
	return atomic_load(&group_data_of(g)->usage_bytes);
}

void **group_vfs(struct group *g)
{
	return &group_data_of(g)->vfs;
}

int group_book_refs(struct group *g, const struct segment_refs *refs)
{
	struct group_data *gd = group_data_of(g);
	struct segment_refs sum = {0};

	if (planted(PLANTED_FORGET_DEBIT))
		return 0;
	MUTEX_GUARD(&gd->lock);
	/* Into a copy first: all or nothing. */
	int r = segment_refs_merge(&sum, &gd->refs, 1);

	if (r == 0)
		r = segment_refs_merge(&sum, refs, 1);
	if (r < 0) {
		segment_refs_done(&sum);
		return r;
	}
	segment_refs_done(&gd->refs);
	gd->refs = sum;
	return 0;
}

/* ---- open ---- */

static int group_close_open(void *arg, struct group *g)
{
	struct data *d = arg;
	struct group_data *gd = calloc(1, sizeof(*gd));

	if (!gd)
		return -ENOMEM;
	int r = index_group_begin(d->o.index, g->number, &gd->records);

	if (r < 0) {
		free(gd);
		return r;
	}
	gd->data = d;
	gd->group = g;
	mutex_init(&gd->lock, RANK_DIRTY);
	list_init(&gd->maps);
	list_init(&gd->jobs);
	g->payload = gd;
	return 0;
}

static void group_data_free(struct group_data *gd)
{
	assert(list_empty(&gd->maps) && list_empty(&gd->jobs) && gd->jobs_running == 0);
	segment_refs_done(&gd->refs);
	mutex_done(&gd->lock);
	free(gd);
}

/* ---- close ---- */

/* Whether to try again after -ENOMEM: 0, or why the log has stopped. */
static int pause_for_memory(struct group_data *gd)
{
	env_sleep_ms(RETRY_MS);
	return log_turn(gd->data->log, gd->group);
}

/* Runs of pieces of one kind in the chunk, up to one more than REFRAME_PIECES. *p: a piece that
 * overlaps it; moves to the first that ends behind. */
static unsigned count_runs(const struct piece **p, uint64_t chunk)
{
	uint64_t limit = (chunk + 1) * CHUNK_BYTES, end = 0;
	enum piece_kind kind = PIECE_HOLE;
	unsigned n = 0;

	for (; *p && (*p)->offset < limit && n <= REFRAME_PIECES; *p = piece_next(*p)) {
		n += n == 0 || (*p)->offset != end || (*p)->kind != kind;
		end = (*p)->end;
		kind = (*p)->kind;
		if (end > limit)
			break;
	}
	return n;
}

/* Chunks that this group left in too many pieces become a few. */
static int gather_pieces(struct pending *map)
{
	const struct piece *p = pieces_find(&map->pieces, 0);
	uint64_t chunk = 0;

	while (p) {
		if (chunk < chunk_of(p->offset))
			chunk = chunk_of(p->offset);
		else if (p->kind == PIECE_HOLE && chunk < chunk_of(p->end - 1))
			chunk = chunk_of(p->end - 1); /* nothing else lies in the chunks between */
		if (count_runs(&p, chunk) > REFRAME_PIECES) {
			int r = reframe_closing(map, chunk);

			if (r < 0)
				return r;
			p = pieces_find(&map->pieces, (chunk + 1) * CHUNK_BYTES);
		}
		if (chunk == chunk_of(UINT64_MAX))
			break;
		chunk++;
	}
	return 0;
}

/* A base that is being read while the group closes. */
struct cold_read {
	struct work work;
	struct work_wait *wait;
	const struct deferred_chunk *chunk;
};

static void cold_read_run(struct work *w)
{
	struct cold_read *c = container_of(w, struct cold_read, work);

	/* What cannot be read now is tried once more when it is encoded. */
	(void)chunk_load(c->chunk->map->file, GROUP_NOW, c->chunk->chunk, NULL);
	work_wait_finish(c->wait, 0);
}

/* Reads the bases of what was put off, in parallel. Without memory for that they are read one by
 * one, later. */
static void read_cold(struct data *d, const struct deferred *list)
{
	struct cold_read *reads = calloc(list->n, sizeof(*reads));
	struct work_wait wait;

	if (!reads)
		return;
	work_wait_init(&wait);
	for (size_t i = 0; i < list->n; i++) {
		if (list->chunks[i].worn)
			continue;
		reads[i] = (struct cold_read){
			.work.run = cold_read_run, .wait = &wait, .chunk = &list->chunks[i]};
		work_wait_add(&wait, 1);
		workers_submit(d->fetchers, &reads[i].work);
	}
	(void)work_wait_all(&wait); /* always 0 */
	work_wait_done(&wait);
	free(reads);
}

/* Chunks with too many extents get their bytes again, in fewer pieces. */
static int gather_worn(struct group_data *gd, const struct deferred *list)
{
	bool any = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->n; i++)
		if (list->chunks[i].worn) {
			r = reframe_closing(list->chunks[i].map, list->chunks[i].chunk);
			any = true;
		}
	return r == 0 && any ? sealer_finish(gd) : r;
}

/* Cold chunks may turn out to be worn; after that nothing is put off any more. */
#define ENCODE_ROUNDS 3

static int encode_maps(struct group_data *gd)
{
	struct deferred list = {0};
	struct pending *map;
	int r = 0;

	list_for_each (map, &gd->maps, link) {
		r = encode_map(map, &gd->refs, &list);
		if (r < 0)
			break;
	}
	for (int round = 1; r == 0 && list.n; round++) {
		struct deferred again = {0};

		if (list.ncold)
			read_cold(gd->data, &list);
		r = gather_worn(gd, &list);
		for (size_t i = 0; r == 0 && i < list.n; i++)
			r = encode_deferred(
				&list.chunks[i], &gd->refs, &again, round == ENCODE_ROUNDS);
		free(list.chunks);
		list = again;
	}
	free(list.chunks);
	return r;
}

/* The group's own segment of this sequence, or NULL. They are in order. */
static struct segment *own_segment(struct segment *const *segments, size_t n, uint64_t sequence)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (segment_sequence(segments[middle]) < sequence)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && segment_sequence(segments[low]) == sequence ? segments[low] : NULL;
}

static int add_record(struct index_group *records, const struct key *k, const struct buf *value,
	enum record_op op)
{
	int r = index_reserve(records, k->len + value->len, 1);

	if (r < 0)
		return r;
	if (op == RECORD_PUT)
		index_put(records, key_slice(k), buf_slice(value));
	else
		index_delta(records, key_slice(k), buf_slice(value));
	return 0;
}

static int add_segment_record(
	struct group_data *gd, uint64_t epoch, uint64_t sequence, const struct segment_record *s)
{
	struct key k = key_segment(epoch, sequence);
	struct buf value = BUF_INIT;
	int r;

	do {
		buf_clear(&value);
		r = segment_record_encode(s, &value);
		if (r == 0)
			r = add_record(
				gd->records, &k, &value, s->has_base ? RECORD_PUT : RECORD_DELTA);
	} while (r == -ENOMEM && (r = pause_for_memory(gd)) == 0);
	buf_done(&value);
	return r;
}

static int64_t refs_of(const struct segment_refs *refs, uint64_t epoch, uint64_t sequence)
{
	for (size_t i = refs->n; i-- > 0;) /* own segments are the newest */
		if (refs->refs[i].epoch == epoch && refs->refs[i].sequence == sequence)
			return refs->refs[i].bytes;
	return 0;
}

/* Own segments with salt and total, and what this group changed in others. */
static int encode_segments(struct group_data *gd)
{
	struct segment *const *own;
	size_t n = group_segments(gd->group, &own);
	uint64_t epoch = n ? segment_epoch(own[0]) : 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct segment_record s = {.has_base = true,
			.plain_total = segment_plain_total(own[i]),
			.live = refs_of(&gd->refs, epoch, segment_sequence(own[i]))};

		memcpy(s.salt, segment_salt(own[i]), sizeof(s.salt));
		r = add_segment_record(gd, epoch, segment_sequence(own[i]), &s);
	}
	for (size_t i = 0; r == 0 && i < gd->refs.n; i++) {
		const struct segment_ref *ref = &gd->refs.refs[i];
		struct segment_record s = {.live = ref->bytes};

		if (ref->epoch != epoch || !own_segment(own, n, ref->sequence))
			r = add_segment_record(gd, ref->epoch, ref->sequence, &s);
	}
	for (size_t i = 0; r == 0 && i < n; i++)
		segments_release(gd->data->segments, epoch, segment_sequence(own[i]));
	return r;
}

static void finish_maps(struct group_data *gd)
{
	struct pending *map;

	while ((map = list_first(&gd->maps, struct pending, link)) != NULL) {
		struct file_data *f = map->file;

		encode_finish(map);
		list_remove(&map->link);
		pending_free(map);
		f->data->owner.file_unref(f);
	}
}

static int encode_usage(struct group_data *gd)
{
	struct usage_record u = {
		.bytes = atomic_load(&gd->usage_bytes), .inodes = atomic_load(&gd->usage_inodes)};
	struct key k = key_counter(COUNTER_USAGE);
	struct buf value = BUF_INIT;
	int r = 0;

	if (u.bytes == 0 && u.inodes == 0)
		return 0;
	do {
		buf_clear(&value);
		r = usage_record_encode(&u, &value);
		if (r == 0)
			r = add_record(gd->records, &k, &value, RECORD_DELTA);
	} while (r == -ENOMEM && (r = pause_for_memory(gd)) == 0);
	buf_done(&value);
	return r;
}

static int group_close_close(void *arg, struct group *g, struct buf *journal)
{
	struct data *d = arg;
	struct group_data *gd = group_data_of(g);
	struct pending *map;
	int r = 0;

	sealer_stop(gd);
	list_for_each (map, &gd->maps, link) {
		r = gather_pieces(map);
		if (r < 0)
			return r;
	}
	r = sealer_finish(gd);
	if (r == 0)
		r = encode_maps(gd);
	if (r == 0)
		r = encode_segments(gd);
	if (r < 0)
		return r;
	finish_maps(gd);
	r = d->owner.encode(d->owner.arg, g);
	if (r == 0)
		r = encode_usage(gd);
	while (r == 0) {
		size_t before = journal->len;

		r = index_group_seal(gd->records, journal);
		if (r != -ENOMEM)
			break;
		journal->len = before;
		r = pause_for_memory(gd);
	}
	return r;
}

/* ---- end ---- */

static void group_close_acked(void *arg, struct group *g)
{
	struct data *d = arg;
	struct group_data *gd = group_data_of(g);

	index_group_acked(d->o.index, gd->records);
	d->owner.acked(d->owner.arg, g);
	group_data_free(gd);
	g->payload = NULL;
}

static void group_close_dropped(void *arg, struct group *g)
{
	struct data *d = arg;
	struct group_data *gd = group_data_of(g);
	struct pending *map;

	data_stop(d); /* the log has ended: nobody may join a group any more */
	sealer_stop(gd);
	while ((map = list_first(&gd->maps, struct pending, link)) != NULL) {
		struct file_data *f = map->file;

		rwlock_wrlock(f->lock);
		file_unlink_map(f, map);
		f->encoded++;
		rwlock_unlock(f->lock);
		list_remove(&map->link);
		pending_free(map);
		d->owner.file_unref(f);
	}
	if (d->owner.dropped)
		d->owner.dropped(d->owner.arg, g);
	index_group_abandon(d->o.index, gd->records);
	group_data_free(gd);
	g->payload = NULL;
}

void group_ops_init(struct data *d)
{
	d->group_ops = (struct group_ops){
		.open = group_close_open,
		.close = group_close_close,
		.acked = group_close_acked,
		.dropped = group_close_dropped,
		.arg = d,
	};
}
