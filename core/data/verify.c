/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/data/verify.h"

#include "core/data/data_internal.h"

#include <stdlib.h>

#define BATCH 4096	      /* extents */
#define RUN_BYTES (4u << 20)  /* of one GET */
#define GAP_BYTES (64u << 10) /* between two frames, read over */
#define DIRECTORIES 16	      /* held at a time */
#define SHORT_BODY_TRIES 3

struct item {
	struct extent e;
	uint64_t inode, chunk;
	unsigned faults; /* bits of enum verify_fault */
	struct error why;
};

struct held_directory {
	uint64_t epoch, sequence; /* epoch 0 = free */
	struct segment_directory d;
	bool bad;
};

struct verify {
	/* immutable */
	struct data *data;
	struct verify_ops ops;
	struct item *items;  /* in order of arrival */
	struct item **order; /* as they lie in the store */
	uint8_t *buf;	     /* of one run */
	uint8_t *sealed, *plain;

	size_t n;
	uint64_t bytes;
	struct held_directory directories[DIRECTORIES];
	unsigned next; /* directory to let go */
};

int verify_new(struct data *d, const struct verify_ops *ops, struct verify **ret)
{
	struct verify *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->data = d;
	v->ops = *ops;
	v->items = calloc(BATCH, sizeof(*v->items));
	v->order = calloc(BATCH, sizeof(struct item *));
	v->buf = malloc(RUN_BYTES);
	v->sealed = malloc(frame_bound(FRAME_PLAIN_MAX));
	v->plain = malloc(FRAME_PLAIN_MAX);
	if (!v->items || !v->order || !v->buf || !v->sealed || !v->plain) {
		verify_free(v);
		return -ENOMEM;
	}
	*ret = v;
	return 0;
}

void verify_free(struct verify *v)
{
	if (!v)
		return;
	for (unsigned i = 0; i < DIRECTORIES; i++)
		segment_directory_done(&v->directories[i].d);
	free(v->items);
	free(v->order);
	free(v->buf);
	free(v->sealed);
	free(v->plain);
	free(v);
}

uint64_t verify_bytes(const struct verify *v)
{
	return v->bytes;
}

static void fault(struct item *x, enum verify_fault f, const char *why)
{
	if (!x->faults)
		(void)error_set(&x->why, -EBADMSG, "%s", why);
	x->faults |= 1u << f;
}

/* ---- directories ---- */

static int hold_directory(
	struct verify *v, struct item *x, struct held_directory **ret, struct error *err)
{
	struct held_directory *h = &v->directories[v->next];
	const struct extent *e = &x->e;
	uint8_t salt[AEAD_SALT_BYTES];
	struct error why = {0};
	int r = segments_salt(v->data->segments, e->epoch, e->sequence, salt, &why);

	segment_directory_done(&h->d);
	*h = (struct held_directory){0};
	if (r == 0)
		r = segment_read_directory(v->data->o.store, v->data->o.keys, e->epoch, e->sequence,
			salt, &h->d, &why);
	if (r == -EBADMSG)
		fault(x, VERIFY_SEGMENT, why.text);
	else if (r < 0 && r != -ENOENT)
		return error_set(err, r, "%s", error_text(&why, r));
	h->epoch = e->epoch;
	h->sequence = e->sequence;
	h->bad = r < 0;
	v->next = (v->next + 1) % DIRECTORIES;
	*ret = h;
	return 0;
}

static int check_directory(struct verify *v, struct item *x, struct error *err)
{
	const struct segment_directory_entry *f;
	struct held_directory *h = NULL;
	const struct extent *e = &x->e;

	for (unsigned i = 0; i < DIRECTORIES && !h; i++)
		if (v->directories[i].epoch == e->epoch &&
			v->directories[i].sequence == e->sequence)
			h = &v->directories[i];
	if (!h) {
		int r = hold_directory(v, x, &h, err);

		if (r < 0)
			return r;
	}
	if (h->bad)
		return 0;
	f = e->ordinal < h->d.n ? &h->d.frames[e->ordinal] : NULL;
	if (!f || f->offset != e->place || f->sealed_len != e->sealed_len ||
		f->plain_len != e->plain_len)
		fault(x, VERIFY_DIRECTORY, "the directory of the segment says otherwise");
	return 0;
}

/* ---- runs ---- */

static int by_place(const void *a, const void *b)
{
	const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;

	if (x->e.epoch != y->e.epoch)
		return x->e.epoch < y->e.epoch ? -1 : 1;
	if (x->e.sequence != y->e.sequence)
		return x->e.sequence < y->e.sequence ? -1 : 1;
	if (x->e.place != y->e.place)
		return x->e.place < y->e.place ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* How many items from `first` on one request gets, and the bytes of it. */
static size_t run_length(const struct verify *v, size_t first, size_t *ret_len)
{
	const struct extent *a = &v->order[first]->e;
	uint64_t end = a->place + a->sealed_len;
	size_t n = 1;

	for (; first + n < v->n; n++) {
		const struct extent *b = &v->order[first + n]->e;
		uint64_t reach = b->place + b->sealed_len;

		if (b->epoch != a->epoch || b->sequence != a->sequence ||
			(b->place > end && b->place - end > GAP_BYTES) ||
			reach - a->place > RUN_BYTES)
			break;
		end = reach > end ? reach : end;
	}
	*ret_len = (size_t)(end - a->place);
	return n;
}

static int read_run(struct verify *v, const struct extent *first, size_t len, size_t *ret_got,
	struct error *err)
{
	char name[LOG_KEY_MAX];
	uint64_t size;

	log_key(name, first->epoch, first->sequence);
	for (int i = 0; i < SHORT_BODY_TRIES; i++) {
		int r = store_get(
			v->data->o.store, name, first->place, v->buf, len, ret_got, &size, err);

		if (r < 0)
			return r;
		v->bytes += *ret_got;
		if (*ret_got == len || size < first->place + len)
			return 0;
	}
	return error_set(err, -EIO, "%s: the store gives fewer bytes than there are", name);
}

/* The frame at `at` of the run. */
static int open_item(
	struct verify *v, struct item *x, size_t at, struct aead_object *key, struct error *err)
{
	const struct extent *e = &x->e;
	int r = -EBADMSG;

	for (bool again = true; again && r == -EBADMSG;) {
		memcpy(v->sealed, v->buf + at, e->sealed_len);
		r = frame_open(key, keys_lineage(v->data->o.keys), e->ordinal, v->sealed,
			e->sealed_len, v->plain, e->plain_len);
		again = r == -EBADMSG &&
			segments_rekey(v->data->segments, e->epoch, e->sequence, NULL) == 1;
		if (again && segments_key(v->data->segments, e->epoch, e->sequence, key, err) < 0)
			again = false;
	}
	if (r == -EBADMSG)
		fault(x, VERIFY_FRAME, "the frame does not open");
	return r == -EBADMSG ? 0 : r < 0 ? error_set(err, r, "no memory for a frame") : 0;
}

static bool in_memory(const struct data *d, const struct extent *e)
{
	struct segment *s = d->log ? log_find_segment(d->log, e->epoch, e->sequence) : NULL;

	if (s)
		segment_unref(s);
	return s != NULL;
}

static bool same_frame(const struct extent *a, const struct extent *b)
{
	return a->epoch == b->epoch && a->sequence == b->sequence && a->ordinal == b->ordinal &&
	       a->place == b->place && a->sealed_len == b->sealed_len &&
	       a->plain_len == b->plain_len;
}

static int check_item(struct verify *v, struct item *x, const struct extent *first, size_t got,
	struct aead_object *key, struct error *err)
{
	size_t at = (size_t)(x->e.place - first->place);

	if (at + x->e.sealed_len > got) {
		fault(x, VERIFY_FRAME, "the segment ends before the frame does");
		return 0;
	}
	int r = open_item(v, x, at, key, err);

	return r < 0 ? r : check_directory(v, x, err);
}

/* The key from the segment's record; without one nothing of the segment opens. */
static int run_key(
	struct verify *v, struct item **items, size_t n, struct aead_object *key, struct error *err)
{
	const struct extent *e = &items[0]->e;
	struct error why = {0};
	int r = segments_key(v->data->segments, e->epoch, e->sequence, key, &why);

	if (r != -EBADMSG)
		return r < 0 ? error_set(err, r, "%s", error_text(&why, r)) : 1;
	for (size_t i = 0; i < n; i++)
		fault(items[i], VERIFY_FRAME, why.text);
	return 0;
}

static int check_run(struct verify *v, struct item **items, size_t n, size_t len, struct error *err)
{
	const struct extent *first = &items[0]->e;
	struct aead_object key;
	struct error why = {0};
	size_t got = 0;
	int r = read_run(v, first, len, &got, &why);

	if (r == -ENOENT) {
		for (size_t i = 0; i < n && !in_memory(v->data, first); i++)
			fault(items[i], VERIFY_GONE, "the segment is not in the store");
		return 0;
	}
	if (r < 0)
		return error_set(err, r, "%s", error_text(&why, r));
	r = run_key(v, items, n, &key, err);
	for (size_t i = 0; r == 1 && i < n; i++) {
		if (i && same_frame(&items[i]->e, &items[i - 1]->e)) {
			items[i]->faults = items[i - 1]->faults & ~(1u << VERIFY_SEGMENT);
			items[i]->why = items[i - 1]->why;
			continue;
		}
		int e = check_item(v, items[i], first, got, &key, err);

		if (e < 0)
			return e;
	}
	return r < 0 ? r : 0;
}

int verify_flush(struct verify *v, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < v->n; i++)
		v->order[i] = &v->items[i];
	if (v->n)
		qsort(v->order, v->n, sizeof(struct item *), by_place);
	for (size_t i = 0, n, len; r == 0 && i < v->n; i += n) {
		n = run_length(v, i, &len);
		r = check_run(v, v->order + i, n, len, err);
	}
	for (size_t i = 0; r == 0 && i < v->n; i++)
		for (unsigned f = VERIFY_GONE; f <= VERIFY_SEGMENT; f++)
			if (v->items[i].faults & 1u << f)
				v->ops.bad(v->ops.arg, v->items[i].inode, v->items[i].chunk,
					&v->items[i].e, (enum verify_fault)f, v->items[i].why.text);
	v->n = 0;
	return r;
}

int verify_chunk(
	struct verify *v, uint64_t inode, uint64_t chunk, const struct chunk *c, struct error *err)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->extents[i].form != EXTENT_FRAME)
			continue;
		if (v->n == BATCH) {
			int r = verify_flush(v, err);

			if (r < 0)
				return r;
		}
		struct item *x = &v->items[v->n++];

		x->e = c->extents[i];
		x->inode = inode;
		x->chunk = chunk;
		x->faults = 0;
		x->why.code = 0;
	}
	return 0;
}
