/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fsck: segments: their live bytes, and whether their objects are there. */
#include "core/base/cleanup.h"
#include "core/vfs/check_internal.h"

typedef unsigned long long ull;

static void progress(void *arg, uint64_t records)
{
	check_progress(arg, "counting live bytes", records, "records");
}

static int settled_at_view(struct check *c, uint64_t *ret)
{
	CLEANUP(buf_done) struct buf value = BUF_INIT;
	struct key k = key_counter(COUNTER_SETTLED);
	struct cursor cur;
	int r = check_get(c, &k, &value);

	if (r < 0)
		return r;
	cur = cursor_of(buf_slice(&value));
	*ret = value.len ? cursor_varint(&cur) : 0;
	if (cur.bad) {
		check_tell(c, CHECK_COUNTER, 0, "counter %d (settled) does not decode",
			(int)COUNTER_SETTLED);
		*ret = 0;
	}
	return 0;
}

int check_usage(struct check *c)
{
	CLEANUP(segment_refs_done) struct segment_refs unsettled = {0};
	uint64_t settled = 0;
	int r = settled_at_view(c, &settled);

	if (r == 0)
		r = index_snapshot_unsettled(c->snapshot, settled, &unsettled, c->err);
	if (r == 0)
		r = usage_count(c->snapshot, c->view, &unsettled, &c->usage, progress, c, c->err);
	c->result->segments = c->usage.n;
	return r;
}

static void check_one(struct check *c, const struct segment_usage *s)
{
	char key[LOG_KEY_MAX];

	log_key(key, s->epoch, s->sequence);
	if (s->damaged) {
		check_tell_object(
			c, CHECK_SEGMENT_RECORD, 0, key, "the record of the segment is damaged");
	} else if (!s->record && s->counted) {
		if (!(s->mark & CHECK_SEGMENT_TOLD))
			check_tell_object(c, CHECK_LIVE_BYTES, 0, key,
				"%lld bytes are in use, but the segment has no record",
				(long long)s->counted);
	} else if (s->recorded != s->counted) {
		check_tell_object(c, CHECK_LIVE_BYTES, 0, key,
			"%lld live bytes recorded, %lld found", (long long)s->recorded,
			(long long)s->counted);
	}
	if (s->record && !s->damaged && !s->base && s->counted)
		check_tell_object(c, CHECK_SEGMENT_RECORD, 0, key,
			"the record of the segment has no salt, without which no frame opens");
}

void check_live_bytes(struct check *c)
{
	for (size_t i = 0; i < c->usage.n; i++)
		check_one(c, &c->usage.v[i]);
}

/* ---- objects ---- */

int check_segment_missing(struct check *c, uint64_t epoch, uint64_t sequence)
{
	CLEANUP(buf_done) struct buf value = BUF_INIT;
	struct key k = key_segment(epoch, sequence);
	char name[LOG_KEY_MAX];
	uint8_t byte;
	size_t len;
	int r = index_get(c->index, GROUP_NOW, key_slice(&k), 0, &value, NULL, c->err);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	log_key(name, epoch, sequence);
	r = store_get(c->o->store, name, 0, &byte, 1, &len, NULL, c->err);
	return r == -ENOENT ? 1 : r;
}

int check_newest(struct check *c)
{
	return c->o->refresh ? c->o->refresh(c->o->refresh_arg, c->err) : 0;
}

int check_missing_segments(struct check *c)
{
	bool asked = false;

	for (size_t i = 0; c->listed && i < c->usage.n; i++) {
		struct segment_usage *s = &c->usage.v[i];
		char key[LOG_KEY_MAX];
		int r = 0;

		/* Nothing is lost with what nothing refers to. */
		if (!s->record || s->size || (s->counted == 0 && s->recorded <= 0))
			continue;
		if (!asked) /* what was gone when it was listed has no record now */
			r = check_newest(c);
		asked = true;
		if (r == 0)
			r = check_segment_missing(c, s->epoch, s->sequence);
		if (r < 0)
			return r;
		s->mark |= r ? CHECK_SEGMENT_MISSING : CHECK_SEGMENT_GONE;
		log_key(key, s->epoch, s->sequence);
		if (r)
			check_tell_object(c, CHECK_OBJECT_MISSING, 0, key,
				"the segment is not in the store, and %lld bytes of files lie in it",
				(long long)s->counted);
	}
	return 0;
}
