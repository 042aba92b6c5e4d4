/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See small_index.h. */
#include "tests/lib/small_index.h"

#include <check.h>

static void must(int r, const struct error *err, const char *what)
{
	if (r < 0)
		ck_abort_msg("%s: %s (%d)", what, error_text(err, r), r);
}

void small_index_open(struct small_index *s)
{
	struct keys_options ko = {.password = "test", .kdf_memory = 8192, .kdf_passes = 1};
	struct error err = {0};

	*s = (struct small_index){0};
	mem_store_forget("small-index");
	must(mem_store_open("small-index", &s->store, &err), &err, "mem_store_open");
	must(keys_create(s->store, &ko, &s->keys, &err), &err, "keys_create");
	must(manifest_create_first(s->store, s->keys, &err), &err, "manifest_create_first");
	must(manifest_read(s->store, s->keys, &s->manifest, &err), &err, "manifest_read");
	s->budget = budget_new(64u << 20);
	ck_assert_ptr_nonnull(s->budget);
	struct index_options o = {
		.store = s->store,
		.keys = s->keys,
		.fold = &data_fold,
		.budget = s->budget,
		.memtable_bytes = 16u << 20,
		.table_bytes = 1u << 20,
		.level1_bytes = 4u << 20,
		.block_bytes = 4096,
		.block_cache_bytes = 4u << 20,
		.codec = {CODEC_LZ4, 0},
	};
	must(index_open(&o, s->manifest, &s->index, &err), &err, "index_open");
}

void small_index_close(struct small_index *s)
{
	index_close(s->index);
	manifest_unref(s->manifest);
	keys_free(s->keys);
	store_close(s->store);
	budget_free(s->budget);
}

void small_index_begin(struct small_index *s)
{
	must(index_group_begin(s->index, ++s->group, &s->records), NULL, "index_group_begin");
}

void small_index_end(struct small_index *s)
{
	struct buf journal = BUF_INIT;

	must(index_group_seal(s->records, &journal), NULL, "index_group_seal");
	index_group_acked(s->index, s->records);
	buf_done(&journal);
}

void small_index_put(struct small_index *s, const struct key *k, struct slice value)
{
	must(index_reserve(s->records, k->len + value.len, 1), NULL, "index_reserve");
	index_put(s->records, key_slice(k), value);
}

void small_index_delete(struct small_index *s, const struct key *k)
{
	must(index_reserve(s->records, k->len, 1), NULL, "index_reserve");
	index_delete(s->records, key_slice(k));
}
