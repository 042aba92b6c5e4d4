/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/model/data-world.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define MIB (1ull << 20)
#define RECORD_BYTES_MAX (64 + INLINE_BYTES_MAX)

static void must(int r, const struct error *err, const char *what)
{
	if (r < 0)
		ck_abort_msg("%s: %s (%d)", what, error_text(err, r), r);
}

/* ---- files as vfs keeps them ---- */

static struct world_file *file_of(struct file_data *f)
{
	return container_of(f, struct world_file, data);
}

static void world_file_ref(struct file_data *f)
{
	atomic_fetch_add(&file_of(f)->refs, 1);
}

static void world_file_unref(struct file_data *f)
{
	atomic_fetch_sub(&file_of(f)->refs, 1);
}

static void put_record(struct index_group *records, struct world_file *f, uint64_t allocated)
{
	struct key k = key_inode(f->inode);
	uint8_t value[RECORD_BYTES_MAX];
	size_t len = 17;

	put_le64(value, f->size);
	put_le64(value + 8, allocated);
	value[16] = f->data.is_inline;
	if (f->data.is_inline) {
		ck_assert_uint_eq(f->data.inline_len, f->size);
		if (f->data.inline_len)
			memcpy(value + len, f->data.inline_bytes, f->data.inline_len);
		len += f->data.inline_len;
	}
	must(index_reserve(records, k.len + len, 1), NULL, "index_reserve");
	index_put(records, key_slice(&k), SLICE(value, len));
}

static void encode_file(struct world_file *f)
{
	put_record(group_records(f->group), f, f->data.allocated);
	f->group = NULL;
}

/* The record that was encoded on touch, once data has found what was counted wrongly. */
static void correct(struct group *g, struct world_file *f)
{
	struct key k = key_inode(f->inode);
	int64_t by = (int64_t)f->data.allocated - f->moved - f->touched;
	uint8_t copy[RECORD_BYTES_MAX];
	struct slice value;

	f->corrected_late = false;
	if (by == 0)
		return;
	ck_assert_int_eq(index_group_find(group_records(g), key_slice(&k), &value), RECORD_PUT);
	memcpy(copy, value.data, value.len);
	put_le64(copy + 8, get_le64(copy + 8) + (uint64_t)by);
	must(index_reserve(group_records(g), k.len + value.len, 1), NULL, "index_reserve");
	index_put(group_records(g), key_slice(&k), SLICE(copy, value.len));
}

static int world_encode(void *arg, struct group *g)
{
	struct world *w = arg;

	for (size_t i = 0; i < WORLD_FILES; i++) {
		struct world_file *f = &w->files[i];

		rwlock_wrlock(&f->lock);
		if (f->group == g)
			encode_file(f);
		else if (f->corrected_late)
			correct(g, f);
		rwlock_unlock(&f->lock);
	}
	return 0;
}

static void world_acked(void *arg, struct group *g)
{
	(void)arg;
	(void)g;
}

/* ---- open and close ---- */

static bool always_gone(int64_t pid, uint64_t started)
{
	(void)pid;
	(void)started;
	return true;
}

static void close_group(void *arg, enum budget_class c)
{
	struct world *w = arg;

	if (w->log && c == BUDGET_DIRTY)
		log_close_group(w->log);
	if (w->log && c == BUDGET_COMMIT)
		log_pressure(w->log);
}

struct world *world_new(uint64_t memory)
{
	static unsigned count;
	struct world *w = calloc(1, sizeof(*w));
	char name[32];

	ck_assert_ptr_nonnull(w);
	w->memory = memory;
	snprintf(name, sizeof(name), "data-%u", count++);
	mem_store_forget(name);
	must(mem_store_open(name, &w->store, NULL), NULL, "mem_store_open");
	for (size_t i = 0; i < WORLD_FILES; i++) {
		w->files[i].inode = 10 + i;
		rwlock_init(&w->files[i].lock, RANK_INODE_NESTS);
	}
	return w;
}

void world_free(struct world *w)
{
	for (size_t i = 0; i < WORLD_FILES; i++)
		rwlock_done(&w->files[i].lock);
	store_close(w->store);
	free(w);
}

static void open_keys(struct world *w)
{
	struct keys_options ko = {.password = "test", .kdf_memory = 8192, .kdf_passes = 1};
	struct error err = {0};
	bool read_only;
	int r = keys_open(w->store, &ko, &w->keys, &read_only, &err);

	if (r != -ENOENT) {
		must(r, &err, "keys_open");
		return;
	}
	must(keys_create(w->store, &ko, &w->keys, &err), &err, "keys_create");
	must(manifest_create_first(w->store, w->keys, &err), &err, "manifest_create_first");
}

static void take_over(struct world *w)
{
	struct identity me = {.host = "test", .boot_id = "test", .pid = 1, .is_gone = always_gone};
	struct claim holder;
	struct takeover_options o = {
		.store = w->store,
		.keys = w->keys,
		.me = &me,
		.index = {.store = w->store,
			.keys = w->keys,
			.fold = &data_fold,
			.budget = w->budget,
			.memtable_bytes = MIB,
			.table_bytes = MIB,
			.level1_bytes = 4 * MIB,
			.block_bytes = 4096,
			.block_cache_bytes = 16384,
			.codec = {CODEC_LZ4, 0}},
		.force = true,
		.patience_ms = 1000,
		.ttl_ms = 1,
	};
	struct error err = {0};

	env_random(me.holder, sizeof(me.holder));
	must(takeover(&o, &w->t, &holder, &err), &err, "takeover");
	w->index = w->t.index;
	index_set_writer(w->index, &w->t.writer);
}

static void load_file(struct world *w, struct world_file *f)
{
	struct key k = key_inode(f->inode);
	struct buf value = BUF_INIT;
	struct error err = {0};
	int r = index_get(w->index, GROUP_NOW, key_slice(&k), 0, &value, NULL, &err);

	f->group = NULL;
	f->moved = f->touched = 0;
	f->corrected_late = false;
	if (r == -ENOENT) {
		f->size = 0;
		data_file_init(&f->data, w->data, f->inode, &f->lock, true, 0);
		return;
	}
	must(r, &err, "index_get");
	f->size = get_le64(value.data);
	data_file_init(&f->data, w->data, f->inode, &f->lock, false, get_le64(value.data + 8));
	f->moved = (int64_t)f->data.allocated;
	if (value.data[16])
		must(data_file_set_inline(&f->data, SLICE(value.data + 17, value.len - 17)), NULL,
			"inline");
	buf_done(&value);
}

void world_open(struct world *w)
{
	struct data_owner_ops owner = {.file_ref = world_file_ref,
		.file_unref = world_file_unref,
		.encode = world_encode,
		.acked = world_acked,
		.arg = w};
	struct budget_pressure pressure = {.full = close_group, .arg = w};
	struct error err = {0};

	w->budget = budget_new(w->memory);
	budget_set_pressure(w->budget, &pressure);
	open_keys(w);
	take_over(w);
	struct data_options o = {.store = w->store,
		.keys = w->keys,
		.index = w->index,
		.budget = w->budget,
		.codec = {CODEC_LZ4, 0},
		.owner = &owner,
		.seal_threads = 2,
		.frame_cache_bytes = w->memory / 16};

	must(data_open(&o, &w->data, &err), &err, "data_open");
	struct log_options lo = {.store = w->store,
		.keys = w->keys,
		.budget = w->budget,
		.ops = data_group_ops(w->data),
		.epoch = w->t.claim.epoch,
		.next_group = w->t.last_group + 1,
		.last_group = w->t.last_group,
		.segment_bytes = 2 * MIB,
		.flush_interval_ms = 200,
		.quiet_ms = 50,
		.fsync_timeout_ms = 60000,
		.uploads = 4};

	must(log_open(&lo, &w->log, &err), &err, "log_open");
	data_set_log(w->data, w->log);
	for (size_t i = 0; i < WORLD_FILES; i++)
		load_file(w, &w->files[i]);
}

void world_close(struct world *w, bool crash)
{
	struct error err = {0};

	if (crash)
		log_fence(w->log);
	data_stop(w->data);
	int r = log_close(w->log, crash, &err);

	if (!crash)
		must(r, &err, "log_close");
	w->log = NULL;
	for (size_t i = 0; i < WORLD_FILES; i++) {
		ck_assert_uint_eq(w->files[i].refs, 0);
		data_file_done(&w->files[i].data);
	}
	data_close(w->data);
	index_close(w->index);
	manifest_unref(w->t.manifest);
	keys_free(w->keys);
	budget_free(w->budget); /* asserts that everything was given back */
}

/* ---- operations ---- */

/* Lock, join, encode on touch. */
static struct group *begin(struct world *w, struct world_file *f)
{
	rwlock_wrlock(&f->lock);
	struct group *g = group_join(w->log);

	if (f->group && f->group != g) {
		if (data_file_busy(&f->data)) {
			ck_assert(!f->corrected_late);
			f->corrected_late = true;
			f->touched = (int64_t)f->data.allocated - f->moved;
		}
		encode_file(f);
	}
	f->group = g;
	return g;
}

static uint64_t end(struct world_file *f, struct group *g, uint64_t before)
{
	uint64_t number = g->number;

	f->moved += (int64_t)(f->data.allocated - before);
	group_leave(g, true);
	rwlock_unlock(&f->lock);
	return number;
}

uint64_t world_write(
	struct world *w, struct world_file *f, uint64_t offset, const uint8_t *bytes, size_t len)
{
	/* In parts, as requests of front ends come. */
	struct slice parts[3] = {SLICE(bytes, len / 3), SLICE(bytes + len / 3, 0),
		SLICE(bytes + len / 3, len - len / 3)};
	struct data_reserve *r;

	must(data_prepare_write(w->data, offset, parts, 3, &r), NULL, "data_prepare_write");
	struct group *g = begin(w, f);
	uint64_t before = f->data.allocated;

	data_write(&f->data, g, f->size, r);
	if (offset + len > f->size)
		f->size = offset + len;
	return end(f, g, before);
}

uint64_t world_punch(struct world *w, struct world_file *f, uint64_t offset, uint64_t len)
{
	struct data_reserve *r;

	must(data_prepare_change(w->data, &r), NULL, "data_prepare_change");
	struct group *g = begin(w, f);
	uint64_t before = f->data.allocated;

	data_punch(&f->data, g, f->size, offset, len, r);
	return end(f, g, before);
}

uint64_t world_truncate(struct world *w, struct world_file *f, uint64_t size)
{
	struct data_reserve *r;

	must(data_prepare_change(w->data, &r), NULL, "data_prepare_change");
	struct group *g = begin(w, f);
	uint64_t before = f->data.allocated;

	data_punch(&f->data, g, f->size, size, UINT64_MAX, r);
	f->size = size;
	return end(f, g, before);
}

uint64_t world_allocate(struct world *w, struct world_file *f, uint64_t offset, uint64_t len)
{
	struct data_reserve *r;

	must(data_prepare_change(w->data, &r), NULL, "data_prepare_change");
	struct group *g = begin(w, f);
	uint64_t before = f->data.allocated;

	data_allocate(&f->data, g, f->size, offset, len, r);
	if (offset + len > f->size)
		f->size = offset + len;
	return end(f, g, before);
}

void world_sync(struct world *w)
{
	struct error err = {0};

	must(log_wait(w->log, log_open_group(w->log), &err), &err, "log_wait");
}

void world_forget(struct world *w, struct world_file *f)
{
	bool busy;

	rwlock_rdlock(&f->lock);
	busy = data_file_busy(&f->data) || f->group || f->refs;
	rwlock_unlock(&f->lock);
	if (busy)
		return;
	data_file_done(&f->data);
	load_file(w, f);
}

/* ---- maintenance ---- */

static uint64_t settled_at(struct world *w, uint64_t view)
{
	struct key k = key_counter(COUNTER_SETTLED);
	struct buf value = BUF_INIT;
	uint64_t n = 0;
	struct error err = {0};
	int r = index_get(w->index, view, key_slice(&k), 0, &value, NULL, &err);

	if (r != -ENOENT) {
		must(r, &err, "counter \"settled\"");
		struct cursor c = cursor_of(buf_slice(&value));

		n = cursor_varint(&c);
	}
	buf_done(&value);
	return n;
}

static void settle(struct world *w)
{
	struct segment_refs refs = {0};
	struct key k = key_counter(COUNTER_SETTLED);
	uint64_t from = settled_at(w, GROUP_NOW), upto = 0;
	uint8_t value[VARINT_MAX];
	struct error err = {0};

	must(index_unsettled(w->index, from, &refs, &upto, &err), &err, "index_unsettled");
	if (upto > from) {
		size_t len = put_varint(value, upto);
		struct group *g = group_join(w->log);

		must(index_reserve(group_records(g), k.len + len, 1), NULL, "index_reserve");
		must(group_book_refs(g, &refs), NULL, "group_book_refs");
		index_put(group_records(g), key_slice(&k), SLICE(value, len));
		group_leave(g, true);
		world_sync(w);
	}
	segment_refs_done(&refs);
}

void world_maintain(struct world *w)
{
	struct error err = {0};
	bool blocked;
	int r;

	world_sync(w);
	uint64_t upto = index_flushable(w->index, true);

	if (upto)
		must(index_flush(w->index, upto,
			     (struct log_place){w->t.claim.epoch, log_replay_start(w->log, upto)},
			     settled_at(w, upto), &err),
			&err, "index_flush");
	settle(w);
	do {
		r = index_merge(w->index, settled_at(w, GROUP_NOW), &blocked, &err);
		must(r, &err, "index_merge");
		settle(w);
	} while (r > 0);
}

/* ---- checks ---- */

static void check_usage(struct world *w)
{
	struct index_snapshot *s = index_snapshot_take(w->index);
	struct segment_refs unsettled = {0};
	struct segment_usages u = {0};
	struct error err = {0};

	ck_assert_ptr_nonnull(s);
	must(index_snapshot_unsettled(s, settled_at(w, GROUP_NOW), &unsettled, &err), &err,
		"unsettled");
	must(usage_count(s, GROUP_NOW, &unsettled, &u, NULL, NULL, &err), &err, "usage_count");
	for (size_t i = 0; i < u.n; i++)
		ck_assert_msg(u.v[i].counted == u.v[i].recorded && !u.v[i].damaged,
			"segment %llu/%llu: %lld live bytes counted, %lld recorded",
			(unsigned long long)u.v[i].epoch, (unsigned long long)u.v[i].sequence,
			(long long)u.v[i].counted, (long long)u.v[i].recorded);
	usage_done(&u);
	segment_refs_done(&unsettled);
	index_snapshot_release(s);
}

/* What the extents of the file charge. */
static uint64_t charged(struct world *w, uint64_t inode)
{
	struct key a = key_kind_first(inode, KEY_CHUNK), b = key_kind_first(inode, KEY_CHUNK + 1);
	struct index_scan *s;
	struct record record;
	uint64_t sum = 0;
	struct error err = {0};

	must(index_scan_open(w->index, GROUP_NOW, key_slice(&a), key_slice(&b), 0, &s, &err), &err,
		"scan");
	while (index_scan_next(s, &record, NULL) == 1) {
		struct chunk c = {0};

		must(chunk_decode(record.value, true, &c), NULL, "chunk_decode");
		ck_assert_uint_le(c.n, CHUNK_EXTENTS_MAX);
		sum += chunk_allocated(&c);
		chunk_done(&c);
	}
	index_scan_close(s);
	return sum;
}

void world_check(struct world *w)
{
	struct key k = key_counter(COUNTER_USAGE);
	struct usage_record usage = {0};
	struct buf value = BUF_INIT;
	int64_t sum = 0;

	check_usage(w);
	for (size_t i = 0; i < WORLD_FILES; i++) {
		struct world_file *f = &w->files[i];
		uint64_t have = charged(w, f->inode);

		ck_assert(!f->group);
		if (f->data.is_inline)
			ck_assert_uint_eq(have, 0);
		ck_assert_uint_eq(f->data.allocated, f->data.is_inline ? f->data.inline_len : have);
		sum += (int64_t)f->data.allocated;
	}
	if (index_get(w->index, GROUP_NOW, key_slice(&k), 0, &value, NULL, NULL) == 0)
		must(usage_record_decode(buf_slice(&value), &usage), NULL, "usage");
	buf_done(&value);
	ck_assert_int_eq(usage.bytes, sum);
}
