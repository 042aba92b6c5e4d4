/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copies that share frames: pieces of the copy name the frames of the source. What the source holds
 * as bytes in memory is copied, holes stay holes.
 *
 * A frame may then be named by several files. Each mention counts for the live bytes of its
 * segment, so the counters need nothing special; that the segment stays is argued here.
 *
 * C1  The segment of a shared frame belongs to the group of the copy or to an older one: the source
 * shows only what its maps and records of such groups say, and maps rise with their groups. So
 * whenever the copy's group counts, the segment is stored (W4).
 *
 * C2  Until the group of the copy is encoded, no record names the copy's frames, and the collector
 * looks at records (D7). What keeps the segment meanwhile is the source, which showed the frame
 * under its lock when it was copied: from a record, from a piece that is a copy itself and for
 * which the same holds, or from a piece of a group that is not in the tables, whose segments are
 * not below the replay start. A record version that named the frame goes only in a merge of groups
 * that are acknowledged, and the debit for it is booked in a group that is open then
 * (maintenance.c). As long as the copy's group is open this is that group or a newer one; and a
 * group's chunk records are in the index before its changes of live bytes. So a segment whose live
 * bytes are seen to be gone has no copies that are still to be encoded, and with no source left it
 * never gets one again. It takes both, the counter and the scan: the scan alone would miss that a
 * closing group gathers a chunk (reframe_closing), by which frames lose their names in an older
 * group than that of the copy.
 */
#include "core/data/share.h"

#include "core/data/chunk_cache.h"
#include "core/data/reader.h"
#include "core/data/reserve.h"

#include <assert.h>
#include <stdlib.h>

#define SPANS_MAX 512u	     /* of one step */
#define SPANS_MORE 8u	     /* beyond what was seen when it was prepared */
#define CHUNKS_MAX 32u	     /* of the source, so that they always fit the cache */
#define BYTES_MAX (1u << 20) /* copied in one step */
#define ABSENT_MAX 16u	     /* stretches of chunks that do not exist, in one step */
#define LOADS_MAX 64u	     /* chunks that a step loads without pause */
#define LOADS_GIVE_UP 1000u  /* they were loaded and are missing again: no memory for them */

struct share_span {
	enum piece_kind kind;
	uint64_t offset, end; /* in the source */
	size_t start;	      /* PIECE_BYTES: in the block */
	struct extent extent;
};

struct data_share {
	struct data_reserve *reserve;
	struct file_data *from;
	struct reader_absent absent[ABSENT_MAX];
	size_t nabsent;
	uint64_t charge; /* for nodes */
	size_t cap;	 /* spans, and bytes that are copied */
	size_t bytes_cap;
	bool partial;	   /* less than what was prepared is fine */
	uint64_t prepared; /* where that ended */
	/* of the last plan */
	uint64_t offset, end;
	size_t n, nbytes;
	struct share_span spans[];
};

void data_share_free(struct data_share *s)
{
	if (!s)
		return;
	if (s->charge)
		budget_put(s->from->data->o.budget, BUDGET_DIRTY, s->charge);
	data_reserve_free(s->reserve);
	free(s);
}

/* ---- planning ---- */

static void add_span(struct data_share *s, const struct reader_span *span, uint64_t to)
{
	struct share_span *last = s->n ? &s->spans[s->n - 1] : NULL;

	if (last && last->kind == span->kind && span->kind != PIECE_EXTENT)
		last->end = to; /* bytes follow each other in the block as well */
	else
		s->spans[s->n++] = (struct share_span){.kind = span->kind,
			.offset = s->end,
			.end = to,
			.start = s->nbytes,
			.extent = span->extent};
}

/* Takes up to `len` bytes of a piece; copies them where there is a block. Returns how many. */
static size_t take_bytes(struct data_share *s, const uint8_t *bytes, uint64_t len)
{
	struct dirty_block *b = s->reserve ? s->reserve->block : NULL;

	if (len > s->bytes_cap - s->nbytes)
		len = s->bytes_cap - s->nbytes;
	if (b && len)
		memcpy(b->data + s->nbytes, bytes, len);
	return (size_t)len;
}

static void plan_inline(struct data_share *s, uint64_t end)
{
	const struct file_data *f = s->from;
	struct reader_span span = {.kind = PIECE_BYTES};

	if (end > f->inline_len)
		end = f->inline_len;
	if (s->end >= end)
		return;
	size_t n = take_bytes(s, f->inline_bytes + s->end, end - s->end);

	if (n) {
		add_span(s, &span, s->end + n);
		s->nbytes += n;
		s->end += n;
	}
}

/* What is known of a chunk that is not cached. */
static const struct reader_absent *absent_of(const struct data_share *s, uint64_t chunk)
{
	static const struct reader_absent none;

	for (size_t i = 0; i < s->nabsent; i++)
		if (chunk >= s->absent[i].from && chunk < s->absent[i].to)
			return &s->absent[i];
	return &none;
}

/* Looks at the source from s->offset on until something ends the step; s->end: how far. True:
 * chunk *missing must be loaded to go on. (S) */
static bool plan_spans(struct data_share *s, uint64_t end, uint64_t *missing)
{
	const struct reader_source source = {.file = s->from, .view = GROUP_NOW};
	uint64_t last = UINT64_MAX;
	unsigned chunks = 0;

	s->end = s->offset;
	s->n = s->nbytes = 0;
	if (s->from->is_inline) {
		plan_inline(s, end);
		return false;
	}
	while (s->end < end && s->n < s->cap) {
		uint64_t at = s->end, to, taken;
		struct reader_span span;

		if (chunk_of(at) != last && ++chunks > CHUNKS_MAX)
			break;
		last = chunk_of(at);
		if (!reader_span_at(&source, absent_of(s, last), at, &span)) {
			*missing = last;
			return true;
		}
		to = span.end < end ? span.end : end;
		if (span.kind == PIECE_BYTES) {
			taken = take_bytes(s,
				span.piece->block->data + span.piece->start +
					(at - span.piece->offset),
				to - at);
			if (taken == 0)
				break;
			to = at + taken;
		}
		add_span(s, &span, to);
		if (span.kind == PIECE_BYTES)
			s->nbytes += to - at;
		s->end = to;
	}
	return false;
}

/* ---- preparing ---- */

/* Chunks do not stay as long as a step needs them: memory is short. */
static int pause_for(struct data *d)
{
	if (log_fenced(d->log))
		return -ECANCELED;
	env_blocking();
	env_sleep_ms(1);
	return 0;
}

/* Loads a chunk, or learns that it does not exist. (0) */
static int load_chunk(struct data_share *s, uint64_t chunk)
{
	const struct reader_source source = {.file = s->from, .view = GROUP_NOW};
	struct reader_absent a = {0};
	int r = reader_span_load(&source, chunk, &a, NULL);

	if (r < 0 || a.from == a.to)
		return r;
	if (s->nabsent && s->absent[0].encoded != a.encoded)
		s->nabsent = 0; /* they do not count any more */
	if (s->nabsent == ABSENT_MAX)
		s->nabsent = 0;
	s->absent[s->nabsent++] = a;
	return 0;
}

/* What the source holds, as far as one step goes; loads chunks. (0) */
static int look(struct data_share *s, uint64_t end)
{
	struct data *d = s->from->data;
	unsigned loads = 0;
	int r = 0;

	while (r == 0) {
		uint64_t missing;

		rwlock_rdlock(s->from->lock);
		bool load = plan_spans(s, end, &missing);
		bool enough = s->end > s->offset && (s->partial || s->nabsent == ABSENT_MAX);

		rwlock_unlock(s->from->lock);
		if (!load || enough)
			return 0;
		if (loads > LOADS_MAX)
			r = loads < LOADS_GIVE_UP ? pause_for(d) : -ENOMEM;
		if (r == 0)
			r = load_chunk(s, missing);
		loads++;
	}
	return r;
}

static int reserve_share(struct data_share *s)
{
	struct data *d = s->from->data;
	uint64_t nodes = 2 * s->cap + RESERVE_NODES, charge = nodes * sizeof(struct piece);
	struct dirty_block *b;
	int r = reserve_room(d, charge + s->bytes_cap + WRITE_OVERHEAD);

	if (r < 0)
		return r;
	s->charge = charge;
	b = dirty_block_new(d->o.budget, s->bytes_cap);
	if (!b) {
		budget_put(d->o.budget, BUDGET_DIRTY, s->bytes_cap + WRITE_OVERHEAD);
		return -ENOMEM;
	}
	b->charge = s->bytes_cap + WRITE_OVERHEAD;
	s->reserve = reserve_new(d, INLINE_BYTES_MAX);
	if (!s->reserve) {
		dirty_block_unref(b);
		return -ENOMEM;
	}
	s->reserve->block = b;
	return piece_pool_fill(&s->reserve->pool, nodes);
}

int data_share_prepare(struct file_data *from, uint64_t offset, uint64_t len, bool partial,
	struct data_share **ret)
{
	struct data_share *s = calloc(1, sizeof(*s) + SPANS_MAX * sizeof(s->spans[0])), *fit;

	assert(len > 0 && offset <= UINT64_MAX - len);
	if (!s)
		return -ENOMEM;
	s->from = from;
	s->offset = offset;
	s->partial = partial;
	s->cap = SPANS_MAX;
	s->bytes_cap = BYTES_MAX;
	int r = look(s, offset + len);

	if (r == 0) {
		/* Others may change the source before it is locked: a little more than was seen. */
		s->cap = s->n + SPANS_MORE < SPANS_MAX ? s->n + SPANS_MORE : SPANS_MAX;
		s->bytes_cap = s->nbytes;
		s->prepared = s->end;
		fit = realloc(s, sizeof(*s) + s->cap * sizeof(s->spans[0]));
		s = fit ? fit : s;
		r = reserve_share(s);
	}
	if (r < 0) {
		data_share_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* Cuts the plan before more than `bytes` that are no holes. */
static void cut_bytes(struct data_share *s, uint64_t bytes)
{
	for (size_t i = 0; i < s->n; i++) {
		struct share_span *span = &s->spans[i];

		if (span->kind == PIECE_HOLE)
			continue;
		if (span->end - span->offset > bytes) {
			span->end = span->offset + bytes;
			s->end = span->end;
			s->n = bytes ? i + 1 : i;
			return;
		}
		bytes -= span->end - span->offset;
	}
}

uint64_t data_share_plan(struct data_share *s, uint64_t len, uint64_t bytes)
{
	uint64_t missing, end = s->offset + len;

	(void)plan_spans(s, end, &missing);
	if (!s->partial && s->end < (s->prepared < end ? s->prepared : end))
		return 0;
	cut_bytes(s, bytes);
	return s->end - s->offset;
}

uint64_t data_share_bytes(const struct data_share *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->spans[i].kind != PIECE_HOLE)
			sum += s->spans[i].end - s->spans[i].offset;
	return sum;
}

/* ---- applying ---- */

/* `by`: from places of the source to those of the copy, modulo 2^64. `size`: of the copy's file
 * before; nothing lies behind it. */
static void put_span(struct pending *map, const struct share_span *span, uint64_t by, uint64_t size,
	struct data_reserve *r)
{
	struct piece p = {.kind = span->kind, .offset = span->offset + by, .end = span->end + by};

	switch (span->kind) {
	case PIECE_BYTES:
		p.block = r->block;
		p.start = span->start;
		break;
	case PIECE_EXTENT:
		p.extent = span->extent;
		break;
	case PIECE_HOLE:
		if (p.end > size)
			p.end = size;
		if (p.offset >= p.end)
			return;
		if (map->reserved.n)
			pieces_clear(&map->reserved, p.offset, p.end, &r->pool);
		break;
	}
	pieces_put(&map->pieces, &p, &r->pool);
}

static void put_spans(
	struct file_data *f, struct group *g, uint64_t size, uint64_t offset, struct data_share *s)
{
	struct data_reserve *r = s->reserve;
	struct pending *map = reserve_map(f, g, size, r);
	uint64_t end = offset + (s->end - s->offset);
	size_t nodes = r->pool.n;

	if (f->is_inline)
		reserve_leave_inline(f, map, r);
	uint64_t before = file_charged(f, f->pending, offset, end);

	for (size_t i = 0; i < s->n; i++)
		put_span(map, &s->spans[i], offset - s->offset, size, r);
	map_account(map, (int64_t)(file_charged(f, f->pending, offset, end) - before));
	if (r->pool.n < nodes) {
		uint64_t used = (nodes - r->pool.n) * sizeof(struct piece);

		used = used < s->charge ? used : s->charge;
		map->charge += used;
		s->charge -= used;
	}
	if (f->tail && end > f->tail_start)
		file_tail_drop(f);
	if (s->nbytes)
		sealer_after_write(map, offset, end);
}

void data_share_put(
	struct file_data *f, struct group *g, uint64_t size, uint64_t offset, struct data_share *s)
{
	uint64_t len = s->end - s->offset;

	rwlock_assert_write(f->lock);
	assert(len > 0);
	s->reserve->block->len = s->nbytes;
	s->reserve->offset = offset;
	if (f->is_inline && offset + len <= INLINE_BYTES_MAX && s->n == 1 &&
		s->spans[0].kind == PIECE_BYTES && s->nbytes == len)
		reserve_write_inline(f, g, s->reserve);
	else
		put_spans(f, g, size, offset, s);
	data_share_free(s);
}
