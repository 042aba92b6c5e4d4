/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/dump.h"

#include "core/base/budget.h"
#include "core/base/cleanup.h"
#include "core/base/hex.h"
#include "core/data/fold.h"
#include "core/dump_record.h"
#include "core/index/block.h"
#include "core/index/manifest.h"
#include "core/index/table_read.h"
#include "core/log/epoch.h"
#include "core/log/segment.h"
#include "core/seal/envelope.h"
#include "core/store/url.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define DUMP_CACHE_BYTES (4u << 20)

struct dump {
	struct store_stack stack;
	struct volume_keys *keys;
	const struct dump_sink *sink;
	const char *key;
	struct buf object;
};

static void print(const struct dump *d, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void print(const struct dump *d, const char *format, ...)
{
	CLEANUP(free_p) char *text = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text)
		d->sink->line(d->sink->arg, text);
}

static int print_record(const struct dump *d, const struct record *r)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return -ENOMEM;
	dump_record(r, f);
	(void)fclose(f); /* memory only: a short line is seen as such */
	if (text)
		d->sink->line(d->sink->arg, text);
	free(text);
	return 0;
}

static int dump_open(const struct volume_config *c, const struct dump_sink *sink, struct dump *d,
	struct error *err)
{
	struct store_options so = {0};
	struct keys_options ko = {.password = c->password};
	bool read_only;

	*d = (struct dump){.sink = sink};
	int r = store_open(c->url, &so, &d->stack, err);

	return r < 0 ? r : keys_open(d->stack.top, &ko, &d->keys, &read_only, err);
}

static void dump_done(struct dump *d)
{
	buf_done(&d->object);
	keys_free(d->keys);
	store_stack_close(&d->stack);
}

int dump_list(const struct volume_config *c, const struct dump_sink *sink, struct error *err)
{
	struct store_list list = {0};
	struct dump d;
	int r = dump_open(c, sink, &d, err);

	if (r == 0)
		r = store_list_all(d.stack.top, "", NULL, &list, err);
	for (size_t i = 0; r == 0 && i < list.n; i++)
		print(&d, "%10" PRIu64 " %s", list.entries[i].size, list.entries[i].key);
	store_list_done(&list);
	dump_done(&d);
	return r;
}

static int dump_journal(struct dump *d, const struct journal *j, struct error *err)
{
	struct block_iter it;

	print(d, "journal of group %" PRIu64 ", after %" PRIu64 ", time %" PRId64 " ns", j->group,
		j->previous, j->time_ns);
	for (size_t i = 0; i < j->nsegments; i++)
		print(d, "  segment %" PRIu64, j->segments[i].sequence);
	int r = block_iter_init(&it, j->block);

	if (r == 0)
		r = block_iter_first(&it);
	while (r == 0 && it.valid) {
		r = print_record(d, &it.rec);
		if (r == 0)
			r = block_iter_next(&it);
	}
	return r < 0 ? error_set(err, r, "%s: the journal's records do not decode", d->key) : 0;
}

static int dump_log(struct dump *d, uint64_t epoch, uint64_t sequence, struct error *err)
{
	struct segment_directory directory = {0};
	struct journal journal = {0};
	enum log_object kind;
	int r = segment_parse(
		d->keys, epoch, sequence, buf_slice(&d->object), &kind, &directory, &journal, err);

	if (r < 0)
		return r;
	print(d, "%s, epoch %" PRIu64 ", sequence %" PRIu64,
		kind == LOG_FENCE ? "fence" : "segment", epoch, sequence);
	for (size_t i = 0; i < directory.n; i++) {
		const struct segment_directory_entry *e = &directory.frames[i];

		print(d,
			"frame %zu at %" PRIu64 "+%u: inode %" PRIu64 " offset %" PRIu64
			" plain %u",
			i, e->offset, e->sealed_len, e->inode, e->file_offset, e->plain_len);
	}
	if (journal.group)
		r = dump_journal(d, &journal, err);
	segment_directory_done(&directory);
	journal_done(&journal);
	return r;
}

static int dump_manifest(struct dump *d, uint64_t number, struct error *err)
{
	struct buf json = BUF_INIT;
	struct manifest *m;
	int r = manifest_open(d->keys, number, buf_slice(&d->object), &m, err);

	if (r < 0)
		return r;
	r = manifest_encode(m, &json, err);
	if (r == 0)
		print(d, "%.*s", (int)json.len, (const char *)json.data);
	buf_done(&json);
	manifest_unref(m);
	return r;
}

static int dump_claim(struct dump *d, uint64_t epoch, struct error *err)
{
	struct claim c;
	int r = claim_open(d->keys, epoch, buf_slice(&d->object), &c, err);

	if (r < 0)
		return r;
	print(d,
		"claim of epoch %" PRIu64 " by process %" PRId64
		" on %s since %s, boot %s, endpoint \"%s\"%s",
		c.epoch, c.pid, c.host, c.since, c.boot_id, c.endpoint,
		c.exclusive ? ", exclusive" : "");
	return 0;
}

static int dump_records(struct dump *d, struct table *t, struct error *err)
{
	struct iter *it = NULL;
	int r = table_iter_new(t, SLICE(NULL, 0), 0, &it);

	if (r == 0)
		r = iter_seek(it, SLICE(NULL, 0), err);
	while (r == 0 && it->valid) {
		r = print_record(d, &it->rec);
		if (r == 0)
			r = iter_next(it, err);
	}
	iter_close(it);
	return r;
}

/* The salt and digest of a table stand in the manifest, so only tables of the newest one can be
 * read. */
static int dump_table(struct dump *d, struct table_id id, struct error *err)
{
	struct budget *budget = budget_new(4 * DUMP_CACHE_BYTES);
	struct block_cache *cache = budget ? block_cache_new(budget, DUMP_CACHE_BYTES) : NULL;
	struct table_pool *pool =
		cache ? table_pool_new(d->stack.top, d->keys, budget, cache, DUMP_CACHE_BYTES)
		      : NULL;
	struct manifest *m = NULL;
	struct table *t = NULL;
	int r = pool ? manifest_read(d->stack.top, d->keys, &m, err)
		     : error_set(err, -ENOMEM, "out of memory");
	const struct table_meta *meta = r == 0 ? manifest_find_table(m, id, NULL) : NULL;

	if (r == 0 && !meta)
		r = error_set(err, -ENOENT,
			"%s is not in the newest manifest, which alone knows how to open it",
			d->key);
	if (r == 0 && !(t = table_new(pool, meta)))
		r = error_set(err, -ENOMEM, "out of memory");
	if (r == 0) {
		print(d, "table of groups %" PRIu64 " to %" PRIu64 ", added by manifest %" PRIu64,
			meta->group_low, meta->group_high, meta->added);
		r = dump_records(d, t, err);
	}
	table_unref(t);
	manifest_unref(m);
	table_pool_free(pool);
	block_cache_free(cache);
	budget_free(budget);
	return r;
}

static int dump_header(struct dump *d, struct error *err)
{
	struct header h;
	int r = header_decode(
		SLICE(d->object.data, d->object.len < HEADER_BYTES ? d->object.len : HEADER_BYTES),
		&h, err);

	if (r < 0)
		return error_prefix(err, "%s", d->key), r;
	print(d, "header: kind %d, key %u, place %" PRIu64 "/%" PRIu64 ", %zu bytes", h.kind,
		h.key_id, h.a, h.b, d->object.len);
	return 0;
}

/* Whether `key` is `prefix` and one or two numbers of 16 digits, with `between` before the second
 * (NULL = there is none). */
static bool key_is(
	const char *key, const char *prefix, const char *between, uint64_t *a, uint64_t *b)
{
	size_t n = strlen(prefix), gap = between ? strlen(between) : 0;
	size_t want = n + 16 + (between ? gap + 16 : 0);

	if (strlen(key) != want || strncmp(key, prefix, n) != 0 || !hex_decode_u64(key + n, 16, a))
		return false;
	return !between || (strncmp(key + n + 16, between, gap) == 0 &&
				   hex_decode_u64(key + n + 16 + gap, 16, b));
}

static int dump_by_key(struct dump *d, struct error *err)
{
	uint64_t a = 0, b = 0;

	if (key_is(d->key, "keys/", NULL, &a, &b) && d->object.len > HEADER_BYTES + 32) {
		print(d, "%.*s", (int)(d->object.len - HEADER_BYTES - 32),
			(const char *)d->object.data + HEADER_BYTES);
		return 0;
	}
	if (key_is(d->key, "log/", "/", &a, &b))
		return dump_log(d, a, b, err);
	if (key_is(d->key, "manifest/", NULL, &a, &b))
		return dump_manifest(d, a, err);
	if (key_is(d->key, "writer/", NULL, &a, &b))
		return dump_claim(d, a, err);
	if (key_is(d->key, "table/", "", &a, &b))
		return dump_table(d, (struct table_id){.job = a, .counter = b}, err);
	return 0; /* a heartbeat, or nothing of ours: its header says all */
}

int dump_object(const struct volume_config *c, const char *key, const struct dump_sink *sink,
	struct error *err)
{
	struct dump d;
	int r = dump_open(c, sink, &d, err);

	d.key = key;
	if (r == 0 && !store_key_valid(key))
		r = error_set(err, -EINVAL, "\"%s\" is not the name of an object", key);
	if (r == 0)
		r = store_get_all(d.stack.top, key, STORE_OBJECT_MAX, &d.object, err);
	if (r == 0 && strcmp(key, "zerofs.json") == 0) {
		print(&d, "%.*s", (int)d.object.len, (const char *)d.object.data);
	} else if (r == 0) {
		r = dump_header(&d, err);
		if (r == 0)
			r = dump_by_key(&d, err);
	}
	dump_done(&d);
	return r;
}
