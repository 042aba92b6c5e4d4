/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See small_volume.h. */
#include "tests/lib/small_volume.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define MIB (1ull << 20)

const struct vfs_cred test_root = {.uid = 0, .gid = 0, .pid = 1};

static void must(int r, const struct error *err, const char *what)
{
	if (r < 0)
		ck_abort_msg("%s: %s (%d)", what, error_text(err, r), r);
}

static bool always_gone(int64_t pid, uint64_t started)
{
	(void)pid;
	(void)started;
	return true;
}

static struct index_options index_options(struct small_volume *v)
{
	return (struct index_options){
		.store = v->store,
		.keys = v->keys,
		.fold = &data_fold,
		.budget = v->budget,
		.memtable_bytes = MIB,
		.table_bytes = MIB,
		.level1_bytes = 4 * MIB,
		.block_bytes = 4096,
		.block_cache_bytes = 4 * MIB,
		.codec = {CODEC_LZ4, 0},
	};
}

static void open_keys(struct small_volume *v)
{
	struct keys_options ko = {.password = "test", .kdf_memory = 8192, .kdf_passes = 1};
	struct error err = {0};
	bool read_only;
	int r = keys_open(v->store, &ko, &v->keys, &read_only, &err);

	if (r != -ENOENT) {
		must(r, &err, "keys_open");
		return;
	}
	must(keys_create(v->store, &ko, &v->keys, &err), &err, "keys_create");
	must(manifest_create_first(v->store, v->keys, &err), &err, "manifest_create_first");
}

static void take_over(struct small_volume *v)
{
	struct identity me = {.host = "test", .boot_id = "test", .pid = 1, .is_gone = always_gone};
	struct claim holder;
	struct takeover_options o = {
		.store = v->store,
		.keys = v->keys,
		.me = &me,
		.index = index_options(v),
		.force = true,
		.patience_ms = 1000,
		.ttl_ms = 1,
	};
	struct error err = {0};

	env_random(me.holder, sizeof(me.holder));
	must(takeover(&o, &v->t, &holder, &err), &err, "takeover");
	v->index = v->t.index;
	index_set_writer(v->index, &v->t.writer);
}

static void close_group(void *arg, enum budget_class c)
{
	struct small_volume *v = arg;

	if (v->log && c == BUDGET_DIRTY)
		log_close_group(v->log);
}

static void open_engine(struct small_volume *v, const struct small_volume_options *o)
{
	struct vfs_engine_options eo = {
		.index = v->index,
		.keys = v->keys,
		.budget = v->budget,
		.max_bytes = o->max_bytes,
		.inode_cache_bytes = o->inode_cache_bytes ? o->inode_cache_bytes : 8 * MIB,
		.atime = o->atime,
	};
	struct error err = {0};

	must(vfs_engine_new(&eo, &v->engine, &err), &err, "vfs_engine_new");
	struct data_options dopt = {
		.store = v->store,
		.keys = v->keys,
		.index = v->index,
		.budget = v->budget,
		.codec = {CODEC_LZ4, 0},
		.owner = vfs_engine_owner(v->engine),
		.seal_threads = 2,
		.frame_cache_bytes = 4 * MIB,
		.max_gap_bytes = 16384,
	};
	must(data_open(&dopt, &v->data, &err), &err, "data_open");
	struct log_options lo = {
		.store = v->store,
		.keys = v->keys,
		.budget = v->budget,
		.ops = data_group_ops(v->data),
		.epoch = v->t.claim.epoch,
		.next_group = v->t.last_group + 1,
		.last_group = v->t.last_group,
		.segment_bytes = SEGMENT_TARGET_BYTES,
		.flush_interval_ms = o->flush_interval_ms ? o->flush_interval_ms : 5000,
		.quiet_ms = o->quiet_ms ? o->quiet_ms : 1000,
		.fsync_timeout_ms = 60000,
		.uploads = 4,
	};
	must(log_open(&lo, &v->log, &err), &err, "log_open");
	data_set_log(v->data, v->log);
	must(vfs_engine_start(v->engine, v->data, v->log, 0, 0, &err), &err, "vfs_engine_start");
	v->vfs = vfs_engine_vfs(v->engine);
}

struct small_volume *small_volume_open(const struct small_volume_options *o)
{
	static const struct small_volume_options defaults = {.name = "test"};
	struct small_volume *v = calloc(1, sizeof(*v));
	struct budget_pressure pressure = {.full = close_group, .arg = v};
	struct error err = {0};

	ck_assert_ptr_nonnull(v);
	if (!o)
		o = &defaults;
	v->store = o->store;
	if (!v->store)
		must(mem_store_open(o->name ? o->name : "test", &v->store, &err), &err,
			"mem_store_open");
	v->budget = budget_new(o->memory ? o->memory : 64 * MIB);
	ck_assert_ptr_nonnull(v->budget);
	budget_set_pressure(v->budget, &pressure);
	open_keys(v);
	take_over(v);
	open_engine(v, o);
	return v;
}

void small_volume_cut(struct small_volume *v)
{
	log_fence(v->log);
}

void small_volume_close(struct small_volume *v)
{
	bool cut = log_fenced(v->log);
	struct error err = {0};
	int r;

	vfs_engine_stop(v->engine);
	data_stop(v->data);
	r = log_close(v->log, cut, &err);
	if (!cut)
		must(r, &err, "log_close");
	vfs_engine_free(v->engine);
	data_close(v->data);
	index_close(v->index);
	manifest_unref(v->t.manifest);
	keys_free(v->keys);
	store_close(v->store);
	budget_free(v->budget);
	free(v);
}

/* ---- maintenance ---- */

static uint64_t settled_at(struct small_volume *v, uint64_t view)
{
	struct key k = key_counter(COUNTER_SETTLED);
	struct buf value = BUF_INIT;
	struct cursor c;
	uint64_t n = 0;
	struct error err = {0};
	int r = index_get(v->index, view, key_slice(&k), 0, &value, NULL, &err);

	if (r != -ENOENT) {
		must(r, &err, "counter \"settled\"");
		c = cursor_of(buf_slice(&value));
		n = cursor_varint(&c);
		ck_assert(!c.bad);
	}
	buf_done(&value);
	return n;
}

/* Books what flushes and merges dropped, durably. */
static void settle(struct small_volume *v)
{
	struct segment_refs refs = {0};
	struct key k = key_counter(COUNTER_SETTLED);
	uint64_t from = settled_at(v, GROUP_NOW), upto = 0, number;
	uint8_t value[VARINT_MAX];
	size_t len;
	struct group *g;
	struct error err = {0};

	must(index_unsettled(v->index, from, &refs, &upto, &err), &err, "index_unsettled");
	if (upto > from) {
		len = put_varint(value, upto);
		g = group_join(v->log);
		number = g->number;
		must(index_reserve(group_records(g), k.len + len, 1), NULL, "index_reserve");
		must(group_book_refs(g, &refs), NULL, "group_book_refs");
		index_put(group_records(g), key_slice(&k), SLICE(value, len));
		group_leave(g, true);
		must(log_wait(v->log, number, &err), &err, "log_wait");
	}
	segment_refs_done(&refs);
}

static void flush(struct small_volume *v)
{
	uint64_t upto = index_flushable(v->index, true);
	struct error err = {0};

	if (upto)
		must(index_flush(v->index, upto,
			     (struct log_place){v->t.claim.epoch, log_replay_start(v->log, upto)},
			     settled_at(v, upto), &err),
			&err, "index_flush");
}

void small_volume_maintain(struct small_volume *v)
{
	struct error err = {0};
	bool blocked;
	int r;

	must(vfs_sync(v->vfs, &err), &err, "vfs_sync");
	flush(v);
	settle(v);
	do {
		blocked = false;
		r = index_merge(v->index, settled_at(v, GROUP_NOW), &blocked, &err);
		must(r, &err, "index_merge");
		settle(v);
	} while (r > 0);
}

static void print_finding(void *arg, const struct check_finding *f)
{
	(void)arg;
	check_print(f, stderr);
	fputc('\n', stderr);
}

uint64_t small_volume_check(struct small_volume *v)
{
	struct check_options o = {.data = true,
		.finding = print_finding,
		.store = v->store,
		.keys = v->keys,
		.writer_lives = true};
	struct check_result result;
	struct error err = {0};

	must(vfs_check(v->engine, &o, &result, &err), &err, "vfs_check");
	return result.damage + result.leftovers;
}
