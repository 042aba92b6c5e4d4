/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * T4: the end of an epoch is its lowest fence above the replay start, whoever made it. The walk
 * goes upward position by position and never skips a gap: objects above a gap were never
 * acknowledged and do not count.
 *
 * A LIST shows which positions are taken and how large the objects are; a fence is smaller than any
 * segment, so the kind of most positions is known without a request each. Replay proves the
 * segments afterwards; a fence is proven here.
 */
#include "core/log/epoch.h"

#include "core/base/planted.h"
#include "core/log/segment_format.h"

#define FENCE_PAUSE_MS 200
#define FENCE_ATTEMPTS 50 /* at one position, unanswered */

/* Objects that a LIST showed from some position on. */
struct listed {
	struct store_list names;
	size_t next; /* the first entry not passed yet */
};

static int list_from(
	struct store *s, uint64_t epoch, uint64_t from, struct listed *ret, struct error *err)
{
	char prefix[LOG_KEY_MAX], after[LOG_KEY_MAX];

	log_key(prefix, epoch, 0);
	prefix[strlen(prefix) - 16] = '\0'; /* "log/E/" */
	if (from > 0)
		log_key(after, epoch, from - 1);
	return store_list_all(s, prefix, from > 0 ? after : NULL, &ret->names, err);
}

/* Whether the LIST showed a segment at this position. Asked for rising positions. */
static bool listed_segment(struct listed *l, uint64_t epoch, uint64_t sequence)
{
	for (; l->next < l->names.n; l->next++) {
		const struct store_list_entry *e = &l->names.entries[l->next];
		uint64_t at_epoch, at;

		if (!log_key_parse(e->key, &at_epoch, &at) || at_epoch != epoch || at < sequence)
			continue;
		return at == sequence && e->size != FENCE_BYTES;
	}
	return false;
}

/* What lies at the position, proven. */
static int kind_at(struct store *s, const struct volume_keys *k, uint64_t epoch, uint64_t sequence,
	enum log_object *ret, struct error *err)
{
	struct journal j = {0};
	bool has_journal = false;
	int r = segment_read_tail(s, k, epoch, sequence, NULL, ret, &has_journal, &j, NULL, err);

	if (r == 0 && has_journal)
		journal_done(&j);
	if (r == 0 && *ret == LOG_FENCE && planted(PLANTED_RULE_T4))
		*ret = LOG_SEGMENT; /* "occupied" */
	return r;
}

/*
 * One position: what lies there, after a fence was created where nothing was. "If answered exists
 * or not at all, walk on from there": what counts is what lies there afterwards. The same bytes
 * again when there was no answer (S3).
 */
static int fence_position(struct store *s, const struct volume_keys *k, uint64_t epoch,
	uint64_t sequence, enum log_object *ret, struct error *err)
{
	struct buf fence = BUF_INIT;
	char key[LOG_KEY_MAX];
	int r = kind_at(s, k, epoch, sequence, ret, err);

	if (r < 0 || *ret != LOG_ABSENT)
		return r;
	if (planted(PLANTED_SKIP_FENCE)) {
		*ret = LOG_FENCE;
		return 0;
	}
	log_key(key, epoch, sequence);
	r = fence_build(k, epoch, sequence, &fence, err);
	for (unsigned i = 0; r == 0 && *ret == LOG_ABSENT; i++) {
		struct slice part = buf_slice(&fence);
		struct error why = {0};

		r = store_create(s, key, &part, 1, &why);
		if (r == 0) {
			*ret = LOG_FENCE;
			break;
		}
		if (r != -EEXIST && r != -EAGAIN && (r != -ETIMEDOUT || i == FENCE_ATTEMPTS)) {
			r = error_set(err, r == -ETIMEDOUT ? -EIO : r, "%s: %s", key,
				error_text(&why, r));
			break;
		}
		if (r == -ETIMEDOUT)
			env_sleep_ms(FENCE_PAUSE_MS);
		r = kind_at(s, k, epoch, sequence, ret, err);
	}
	buf_done(&fence);
	return r;
}

int epoch_close_log(struct store *s, const struct volume_keys *k, uint64_t epoch, uint64_t from,
	uint64_t *ret_end, struct error *err)
{
	struct listed l = {.next = 0};
	int r = list_from(s, epoch, from, &l, err);

	if (r < 0)
		return r;
	for (uint64_t at = from;; at++) {
		enum log_object kind;

		if (listed_segment(&l, epoch, at))
			continue;
		r = fence_position(s, k, epoch, at, &kind, err);
		if (r < 0)
			break;
		if (kind == LOG_FENCE) {
			*ret_end = at;
			break;
		}
	}
	store_list_done(&l.names);
	return r;
}

int epoch_sweep_log(struct store *s, uint64_t epoch, uint64_t end, unsigned max, struct error *err)
{
	struct listed l = {.next = 0};
	unsigned deleted = 0;
	int r = list_from(s, epoch, end, &l, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < l.names.n && deleted < max; i++) {
		const struct store_list_entry *e = &l.names.entries[i];
		uint64_t at_epoch, at;

		/* D8, and T8: fences are never deleted, wherever they lie. */
		if (!log_key_parse(e->key, &at_epoch, &at) || at_epoch != epoch || at <= end ||
			e->size == FENCE_BYTES)
			continue;
		r = store_delete(s, e->key, err);
		deleted++;
	}
	store_list_done(&l.names);
	return r < 0 ? r : (int)deleted;
}
