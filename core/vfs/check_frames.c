/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fsck --data: every frame that a file uses is read from the store and opened. */
#include "core/data/verify.h"
#include "core/vfs/check_internal.h"

typedef unsigned long long ull;

struct frames {
	struct check *c;
	struct verify *verify;
	int r; /* of asking about a segment that is gone */
	/* faults of one kind in one segment of one file make one finding */
	struct {
		enum check_class class;
		uint64_t inode, epoch, sequence, from, bytes, ordinal;
		char why[160];
		bool any;
	} last;
	uint64_t gone_epoch, gone_sequence; /* the last one that was asked about, and ... */
	bool gone_missing;		    /* ... whether it should be there */
};

static void tell_last(struct frames *f)
{
	char key[LOG_KEY_MAX];

	if (!f->last.any)
		return;
	log_key(key, f->last.epoch, f->last.sequence);
	check_tell_object(f->c, f->last.class, f->last.inode, key,
		"%llu bytes from offset %llu on, frame %llu: %s", (ull)f->last.bytes,
		(ull)f->last.from, (ull)f->last.ordinal, f->last.why);
	f->last.any = false;
}

static void tell(struct frames *f, enum check_class class, uint64_t inode, uint64_t chunk,
	const struct extent *e, const char *why)
{
	if (f->last.any && f->last.class == class && f->last.inode == inode &&
		f->last.epoch == e->epoch && f->last.sequence == e->sequence) {
		f->last.bytes += e->len;
		return;
	}
	tell_last(f);
	f->last.any = true;
	f->last.class = class;
	f->last.inode = inode;
	f->last.epoch = e->epoch;
	f->last.sequence = e->sequence;
	f->last.from = chunk * CHUNK_BYTES + e->offset;
	f->last.bytes = e->len;
	f->last.ordinal = e->ordinal;
	(void)snprintf(f->last.why, sizeof(f->last.why), "%s", why); /* cut where it is long */
}

/* Collected meanwhile, or lost? */
static bool is_missing(struct frames *f, const struct extent *e)
{
	if (!f->c->o->store)
		return true;
	if (f->gone_epoch != e->epoch || f->gone_sequence != e->sequence) {
		int r = check_newest(f->c);

		if (r == 0)
			r = check_segment_missing(f->c, e->epoch, e->sequence);
		if (r < 0 && f->r == 0)
			f->r = r;
		f->gone_epoch = e->epoch;
		f->gone_sequence = e->sequence;
		f->gone_missing = r > 0;
	}
	return f->gone_missing;
}

static void bad_frame(void *arg, uint64_t inode, uint64_t chunk, const struct extent *e,
	enum verify_fault fault, const char *why)
{
	struct frames *f = arg;
	struct segment_usage *s = usage_find(&f->c->usage, e->epoch, e->sequence);
	char key[LOG_KEY_MAX];

	/* Told when the extents were looked at. */
	if (s && (!s->record || !s->base || s->damaged || s->mark & CHECK_SEGMENT_MISSING))
		return;
	switch (fault) {
	case VERIFY_GONE:
		if (is_missing(f, e))
			tell(f, CHECK_EXTENT_SEGMENT, inode, chunk, e, why);
		return;
	case VERIFY_FRAME:
		if (!s || !s->size || e->place + e->sealed_len <= s->size)
			tell(f, CHECK_FRAME, inode, chunk, e, why);
		return;
	case VERIFY_DIRECTORY:
		tell(f, CHECK_EXTENT_DIRECTORY, inode, chunk, e, why);
		return;
	case VERIFY_SEGMENT:
		if (s && s->mark & CHECK_SEGMENT_UNREADABLE)
			return;
		if (s)
			s->mark |= CHECK_SEGMENT_UNREADABLE;
		log_key(key, e->epoch, e->sequence);
		check_tell_object(f->c, CHECK_OBJECT_DAMAGED, 0, key, "%s", why);
		return;
	}
}

static int check_one(struct frames *f, const struct record *rec)
{
	struct chunk x = {0};
	struct key_parts k;
	int r;

	if (!key_parse(rec->key, &k) || k.kind != KEY_CHUNK)
		return 0;
	r = chunk_decode(rec->value, true, &x);
	if (r == 0)
		r = verify_chunk(f->verify, k.inode, k.a, &x, f->c->err);
	else if (r == -ENOMEM)
		(void)error_set(f->c->err, r, "no memory for a chunk"); /* is in r */
	chunk_done(&x);
	return r == -EBADMSG ? 0 : r < 0 ? r : f->r;
}

int check_frames(struct check *c)
{
	struct frames f = {.c = c};
	const struct verify_ops ops = {.bad = bad_frame, .arg = &f};
	struct check_walk w = {0};
	struct record rec;
	uint64_t n = 0;
	int r = verify_new(c->engine->data, &ops, &f.verify);

	if (r < 0)
		return error_set(c->err, r, "no memory to read frames");
	r = check_walk_open(c, key_kind_first(INODE_ROOT, 0), key_kind_first(INODE_MAX + 1, 0), &w);
	while (r == 0 && (r = check_walk_next(&w, &rec)) > 0) {
		r = check_one(&f, &rec);
		if (++n % 256 == 0)
			check_progress(c, "reading files", verify_bytes(f.verify) >> 20, "MiB");
	}
	if (r == 0)
		r = verify_flush(f.verify, c->err);
	if (r == 0)
		r = f.r;
	tell_last(&f);
	c->result->read = verify_bytes(f.verify);
	verify_free(f.verify);
	check_walk_close(&w);
	return r;
}
