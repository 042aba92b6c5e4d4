/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/fuzz/targets.h"

#include "core/data/extents.h"
#include "core/data/fold.h"
#include "core/data/keyspace.h"
#include "core/index/block.h"
#include "core/index/manifest.h"
#include "core/index/table_format.h"
#include "core/log/segment_format.h"
#include "core/seal/envelope.h"
#include "core/seal/superblock.h"
#include "core/vfs/acl.h"
#include "core/vfs/inode_codec.h"

#include <assert.h>
#include <stdlib.h>

static void run_header(struct slice in)
{
	uint8_t again[HEADER_BYTES];
	struct header h, h2;

	if (header_decode(in, &h, NULL) < 0)
		return;
	header_encode(&h, again);
	assert(header_decode(SLICE(again, sizeof again), &h2, NULL) == 0);
	assert(h.kind == h2.kind && h.a == h2.a && h.b == h2.b &&
		memcmp(h.salt, h2.salt, sizeof h.salt) == 0);
}

static bool seed_header(unsigned variant, struct buf *out)
{
	struct header h = {.kind = OBJECT_SEGMENT, .key_id = 1, .a = 3, .b = variant};
	uint8_t raw[HEADER_BYTES];

	header_encode(&h, raw);
	return variant < 2 && buf_append(out, raw, sizeof raw) == 0;
}

static void run_superblock(struct slice in)
{
	struct superblock sb;

	if (superblock_parse(in, &sb, NULL) == 0)
		superblock_done(&sb);
}

static void run_codec(struct slice in)
{
	int64_t n = codec_plain_len(in);

	if (n < 0 || n > 1 << 20)
		return;
	uint8_t *out = malloc((size_t)n + 1);

	if (out)
		(void)codec_unpack(
			in, out, (size_t)n); /* any result; only its memory accesses are on trial */
	free(out);
}

static bool seed_codec(unsigned variant, struct buf *out)
{
	static const struct codec_choice choices[] = {
		{CODEC_RAW, 0}, {CODEC_LZ4, 0}, {CODEC_ZSTD, 3}};
	uint8_t plain[3000], packed[4000];
	struct slice s = SLICE(plain, sizeof plain);

	if (variant >= 3)
		return false;
	for (size_t i = 0; i < sizeof plain; i++)
		plain[i] = (uint8_t)(i / 40);
	int64_t n = codec_pack(choices[variant], &s, 1, packed);

	return n > 0 && buf_append(out, packed, (size_t)n) == 0;
}

static bool same_chunk(const struct chunk *a, const struct chunk *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->extents[i].offset != b->extents[i].offset ||
			a->extents[i].len != b->extents[i].len ||
			a->extents[i].form != b->extents[i].form ||
			a->extents[i].ordinal != b->extents[i].ordinal)
			return false;
	return true;
}

/* A chunk that decodes is encoded and decoded to the same, and survives another put over it. */
static void run_chunk_as(struct slice in, bool full)
{
	struct chunk c = {0}, again = {0};
	struct segment_refs refs = {0};
	struct buf out = BUF_INIT;

	if (chunk_decode(in, full, &c) == 0) {
		struct extent e = {.offset = 1000, .len = 70000, .form = EXTENT_ALLOCATED};

		assert(chunk_encode(&c, full, &out) == 0);
		assert(chunk_decode(buf_slice(&out), full, &again) == 0);
		assert(full || same_chunk(&c, &again));
		assert(chunk_references(&c, 1, &refs) == 0);
		assert(chunk_put(&c, &e) == 0);
		assert(chunk_apply(&c, &again) == 0);
	}
	chunk_done(&c);
	chunk_done(&again);
	segment_refs_done(&refs);
	buf_done(&out);
}

static void run_chunk(struct slice in)
{
	if (in.len > 0)
		run_chunk_as(SLICE(in.data + 1, in.len - 1), in.data[0] & 1);
}

static bool seed_chunk(unsigned variant, struct buf *out)
{
	struct chunk c = {0};
	bool full = variant == 1;

	if (variant >= 2)
		return false;
	for (unsigned i = 0; i < 6; i++) {
		struct extent e = {
			.offset = i * 65536u / 2,
			.len = 32768,
			.form = i == 3 ? EXTENT_HOLE : EXTENT_FRAME,
			.plain_len = 32768,
			.sealed_len = 20000,
			.epoch = 1,
			.sequence = 7,
			.ordinal = i,
			.place = 96 + 20000ull * i,
		};

		if (i != 3 || !full)
			(void)chunk_put(&c, &e);
	}
	bool ok = buf_append_u8(out, full) == 0 && chunk_encode(&c, full, out) == 0;

	chunk_done(&c);
	return ok;
}

/* Folding takes whatever values the tables hold: the input is cut into versions of one chunk. */
static void run_fold(struct slice in)
{
	struct record versions[4];
	struct key key = key_chunk(5, 0);
	struct buf out = BUF_INIT;
	enum record_op op;
	size_t n = 0;

	while (n < 4 && in.len > 1) {
		size_t len = in.data[0] < in.len - 1 ? in.data[0] : in.len - 1;

		versions[n] = (struct record){
			.key = key_slice(&key), .group = 10 - n, .op = RECORD_DELTA};
		versions[n++].value = SLICE(in.data + 1, len);
		in = SLICE(in.data + 1 + len, in.len - 1 - len);
	}
	if (n > 0)
		(void)data_fold.fold(versions, n, true, &out, &op); /* any result */
	buf_done(&out);
}

static void run_inode(struct slice in)
{
	struct inode_record r, again;

	if (inode_record_decode(in, &r) < 0)
		return;
	uint8_t *out = malloc(inode_record_bound(r.inline_data.len, r.symlink.len, r.tags.len));

	if (!out)
		return;
	size_t n = inode_record_encode(&r, out);

	assert(inode_record_decode(SLICE(out, n), &again) == 0);
	assert(again.size == r.size && again.mode == r.mode &&
		again.mtime.tv_nsec == r.mtime.tv_nsec);
	(void)inode_record_tag(r.tags, 3);
	free(out);
}

static bool seed_inode(unsigned variant, struct buf *out)
{
	uint8_t bytes[400];
	struct inode_record r = {
		.mode = variant ? 0120777 : 0100644,
		.nlink = 1,
		.size = 5,
		.mtime = {.tv_sec = -7, .tv_nsec = 999},
		.inline_data = SLICE("hello", variant ? 0 : 5),
		.symlink = SLICE("there", variant ? 5 : 0),
	};

	return variant < 2 && buf_append(out, bytes, inode_record_encode(&r, bytes)) == 0;
}

/* What a user or a record gives as an ACL; what is taken can be used, and stays one. */
static void run_acl(struct slice in)
{
	const uint32_t groups[] = {7, 8};
	const struct vfs_cred c = {.uid = 5, .gid = 6, .ngroups = 2, .groups = groups};
	struct buf acl = BUF_INIT;

	if (acl_adopt(in, &acl) == 0 && acl.len) {
		uint32_t mode = acl_mode(buf_slice(&acl), 0100000);

		assert(acl_check(buf_slice(&acl)) == 0);
		for (uint32_t want = 0; want < 8; want++)
			(void)acl_permits(buf_slice(&acl), &c, 8, want); /* any answer */
		acl_set_mode(acl.data, acl.len, mode);
		assert(acl_mode(buf_slice(&acl), 0100000) == mode);
		mode = acl_inherit(acl.data, acl.len, 0100000 | in.data[in.len - 1]);
		assert(acl_check(buf_slice(&acl)) == 0);
		assert(acl_mode(buf_slice(&acl), mode) == mode);
	}
	buf_done(&acl);
}

static bool seed_acl(unsigned variant, struct buf *out)
{
	static const uint8_t bytes[] = {2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 6, 0, 5,
		0, 0, 0, 4, 0, 5, 0, 255, 255, 255, 255, 8, 0, 4, 0, 7, 0, 0, 0, 16, 0, 7, 0, 255,
		255, 255, 255, 32, 0, 1, 0, 255, 255, 255, 255};

	return variant == 0 && buf_append(out, bytes, sizeof bytes) == 0;
}

static void run_small_values(struct slice in)
{
	struct segment_record s;
	struct usage_record u;
	struct key_parts parts;
	uint64_t inode;
	uint8_t type;

	(void)segment_record_decode(in, &s); /* any result of all of these */
	(void)usage_record_decode(in, &u);
	(void)dirent_value_decode(in, &inode, &type);
	(void)key_parse(in, &parts);
}

static void run_block(struct slice in)
{
	struct block_iter it;

	if (block_iter_init(&it, in) < 0 || block_iter_first(&it) < 0)
		return;
	while (it.valid)
		if (block_iter_next(&it) < 0)
			return;
	if (in.len > 8)
		(void)block_iter_seek(&it, SLICE(in.data + 2, 5));
}

static bool seed_block(unsigned variant, struct buf *out)
{
	struct block_builder b;
	bool ok = variant == 0 && block_builder_init(&b, 9) == 0;

	if (!ok)
		return false;
	for (uint64_t i = 0; i < 40; i++) {
		struct key k = key_chunk(3, i);
		struct record r = {.key = key_slice(&k),
			.group = 9 - i % 3,
			.op = RECORD_PUT,
			.value = SLICE("value", 5)};

		ok = ok && block_builder_add(&b, &r) == 0;
	}
	ok = ok && block_builder_finish(&b) == 0 && buf_append_slice(out, buf_slice(&b.out)) == 0;
	block_builder_done(&b);
	return ok;
}

static void run_journal(struct slice in)
{
	struct journal j;

	if (journal_decode(in, &j, NULL) < 0)
		return;
	run_block(j.block);
	journal_done(&j);
}

static bool seed_journal(unsigned variant, struct buf *out)
{
	struct journal_segment segments[2] = {{.sequence = 4}, {.sequence = 5}};
	struct journal j = {
		.group = 7, .previous = 6, .time_ns = -1, .nsegments = 2, .segments = segments};
	struct buf block = BUF_INIT;
	bool ok = variant == 0 && seed_block(0, &block);

	j.block = buf_slice(&block);
	ok = ok && journal_encode(&j, out) == 0;
	buf_done(&block);
	return ok;
}

static void run_segment_parts(struct slice in)
{
	struct segment_directory d;
	struct segment_footer f;

	(void)segment_footer_decode(in, in.len, &f, NULL); /* any result */
	if (segment_directory_decode(in, 1u << 20, &d, NULL) == 0)
		segment_directory_done(&d);
}

static void run_table_parts(struct slice in)
{
	struct table_block *blocks = NULL;
	struct table_fragment *fragments = NULL;
	struct table_properties p;
	size_t n;

	if (table_index_decode(in, 1u << 20, &blocks, &n, NULL) == 0)
		free(blocks);
	if (table_ranges_decode(in, &fragments, &n, NULL) == 0)
		free(fragments);
	if (table_properties_decode(in, &p, NULL) == 0)
		table_properties_done(&p);
}

static void run_manifest(struct slice in)
{
	struct manifest *m;
	struct buf again = BUF_INIT;

	if (manifest_decode(in, &m, NULL) < 0)
		return;
	if (manifest_encode(m, &again, NULL) == 0) {
		struct manifest *m2;

		assert(manifest_decode(buf_slice(&again), &m2, NULL) == 0);
		assert(m2->number == m->number && m2->last_group == m->last_group);
		manifest_unref(m2);
	}
	buf_done(&again);
	manifest_unref(m);
}

const struct fuzz_target fuzz_targets[] = {
	{"header", run_header, seed_header},
	{"superblock", run_superblock, NULL},
	{"codec", run_codec, seed_codec},
	{"chunk", run_chunk, seed_chunk},
	{"fold", run_fold, NULL},
	{"inode", run_inode, seed_inode},
	{"acl", run_acl, seed_acl},
	{"small-values", run_small_values, NULL},
	{"block", run_block, seed_block},
	{"journal", run_journal, seed_journal},
	{"segment-parts", run_segment_parts, NULL},
	{"table-parts", run_table_parts, NULL},
	{"manifest", run_manifest, NULL},
	{"config", fuzz_config_run, fuzz_config_seed},
};
const size_t fuzz_target_count = sizeof fuzz_targets / sizeof *fuzz_targets;

const struct fuzz_target *fuzz_target_by_name(const char *name)
{
	for (size_t i = 0; i < fuzz_target_count; i++)
		if (strcmp(fuzz_targets[i].name, name) == 0)
			return &fuzz_targets[i];
	return NULL;
}
