/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fsck: the extents of a file against its size, the segment records and the segments' objects. */
#include "core/vfs/check_internal.h"

typedef unsigned long long ull;

#define EOF_BLOCK 4096u

/* How far an extent may reach: what is preallocated, to the end of the last block. */
static uint64_t end_of(const struct check_chunks *w, const struct extent *e)
{
	const uint64_t block = EOF_BLOCK;

	return e->form == EXTENT_ALLOCATED ? (w->size + block - 1) & ~(block - 1) : w->size;
}

static const char *extent_text(enum check_class class, bool missing)
{
	if (class == CHECK_EXTENT_OUTSIDE)
		return "lie beyond the end of their segment";
	return missing ? "lie in a segment that is not in the store"
		       : "lie in a segment that has no record";
}

/* Tells the last fault with all that joined it. */
void check_chunks_end(struct check_chunks *w)
{
	char key[LOG_KEY_MAX];

	if (!w->last.any)
		return;
	const struct segment_usage *s = usage_find(&w->c->usage, w->last.epoch, w->last.sequence);

	log_key(key, w->last.epoch, w->last.sequence);
	check_tell_object(w->c, w->last.class, w->inode, key, "%llu bytes from offset %llu on %s",
		(ull)w->last.bytes, (ull)w->last.from,
		extent_text(w->last.class, s && s->mark & CHECK_SEGMENT_MISSING));
	w->last.any = false;
}

static void fault(
	struct check_chunks *w, enum check_class class, uint64_t chunk, const struct extent *e)
{
	if (w->last.any && w->last.class == class && w->last.epoch == e->epoch &&
		w->last.sequence == e->sequence) {
		w->last.bytes += e->len;
		return;
	}
	check_chunks_end(w);
	w->last.any = true;
	w->last.class = class;
	w->last.epoch = e->epoch;
	w->last.sequence = e->sequence;
	w->last.from = chunk * CHUNK_BYTES + e->offset;
	w->last.bytes = e->len;
}

static void check_frame(struct check_chunks *w, uint64_t chunk, const struct extent *e)
{
	struct segment_usage *s = usage_find(&w->c->usage, e->epoch, e->sequence);

	if (!s || !s->record) {
		if (s)
			s->mark |= CHECK_SEGMENT_TOLD;
		fault(w, CHECK_EXTENT_SEGMENT, chunk, e);
	} else if (s->mark & CHECK_SEGMENT_MISSING) {
		fault(w, CHECK_EXTENT_SEGMENT, chunk, e);
	} else if (w->c->listed && !(s->mark & CHECK_SEGMENT_GONE) && s->size &&
		   e->place + e->sealed_len > s->size) {
		fault(w, CHECK_EXTENT_OUTSIDE, chunk, e);
	}
}

int check_chunk(struct check_chunks *w, uint64_t chunk, struct slice value)
{
	struct check *c = w->c;
	struct chunk x = {0};
	const struct extent *last;
	int r = chunk_decode(value, true, &x);

	if (r == -ENOMEM)
		return error_set(c->err, r, "no memory for a chunk");
	if (r < 0) {
		w->damaged = true;
		check_tell(c, CHECK_EXTENTS_DAMAGED, w->inode,
			"the extents of bytes %llu to %llu do not decode",
			(ull)(chunk * CHUNK_BYTES), (ull)((chunk + 1) * CHUNK_BYTES - 1));
		return 0;
	}
	c->result->extents += x.n;
	last = x.n ? &x.extents[x.n - 1] : NULL;
	if (last && (chunk > INT64_MAX / CHUNK_BYTES ||
			    chunk * CHUNK_BYTES + last->offset + last->len > end_of(w, last)))
		check_tell(c, CHECK_EXTENT_END, w->inode,
			"an extent ends at %llu, beyond the end of the file at %llu",
			(ull)(chunk * CHUNK_BYTES + last->offset + last->len), (ull)w->size);
	for (size_t i = 0; i < x.n; i++)
		if (x.extents[i].form == EXTENT_FRAME)
			check_frame(w, chunk, &x.extents[i]);
	w->allocated += chunk_allocated(&x);
	chunk_done(&x);
	return 0;
}
