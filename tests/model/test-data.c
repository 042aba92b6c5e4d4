/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files against arrays of bytes: written, punched, truncated, allocated and read at random across
 * many groups, with flushes, merges, files that leave memory, clean closes and crashes. After a
 * crash the files are as they were at the end of some group not older than the last acknowledged
 * one. Whenever all is durable: live bytes, allocated bytes and usage are exact.
 */
#include "core/data/verify.h"
#include "core/seal/frame.h"
#include "tests/model/data-world.h"
#include "tests/unit/seal-fixture.h"

#define FILE_MAX (3u << 20)
#define STATES 64

struct state {
	uint64_t size[WORLD_FILES];
	uint8_t *bytes[WORLD_FILES]; /* FILE_MAX each; zeros behind the size */
};

struct model {
	struct world *w;
	struct rng rng;
	struct state now;
	/* State at the end of each recent group that changed something. */
	struct {
		uint64_t group;
		struct state state;
	} past[STATES];
	size_t npast;
	uint64_t last_group; /* of the last operation */
	uint8_t *scratch;    /* FILE_MAX */
};

/* ---- states ---- */

static void state_copy(struct state *to, const struct state *from)
{
	for (size_t i = 0; i < WORLD_FILES; i++) {
		uint64_t keep = to->bytes[i] ? to->size[i] : 0;

		if (!to->bytes[i])
			to->bytes[i] = calloc(1, FILE_MAX);
		memcpy(to->bytes[i], from->bytes[i], from->size[i]);
		if (keep > from->size[i])
			memset(to->bytes[i] + from->size[i], 0, keep - from->size[i]);
		to->size[i] = from->size[i];
	}
}

static void state_free(struct state *s)
{
	for (size_t i = 0; i < WORLD_FILES; i++)
		free(s->bytes[i]);
}

/* The state before an operation that went into `group`: the end of the group of the operation
 * before. */
static void remember(struct model *m, const struct state *before, uint64_t group)
{
	if (group == m->last_group)
		return;
	if (m->npast == STATES) {
		struct state oldest = m->past[0].state;

		memmove(m->past, m->past + 1, (STATES - 1) * sizeof(m->past[0]));
		m->past[STATES - 1].state = oldest;
		m->npast--;
	}
	state_copy(&m->past[m->npast].state, before);
	m->past[m->npast++].group = m->last_group;
	m->last_group = group;
}

/* ---- operations ---- */

static uint64_t random_offset(struct model *m, size_t i)
{
	uint64_t size = m->now.size[i];

	switch (rng_below(&m->rng, 6)) {
	case 0:
	case 1:
		return size; /* append */
	case 2:
		return rng_below(&m->rng, 3000);
	case 3:
		return rng_below(&m->rng, FILE_MAX / 4096) * 4096;
	case 4:
		return rng_below(&m->rng, size + 1);
	default:
		return rng_below(&m->rng, FILE_MAX);
	}
}

static uint64_t random_len(struct model *m)
{
	switch (rng_below(&m->rng, 8)) {
	case 0:
		return rng_range(&m->rng, 1, 10);
	case 1:
		return 4096 * rng_range(&m->rng, 1, 4);
	case 2:
		return rng_range(&m->rng, 1, 600000);
	case 3:
		return 131072;
	default:
		return rng_range(&m->rng, 1, 3000);
	}
}

static void random_bytes(struct model *m, uint8_t *out, uint64_t len)
{
	switch (rng_below(&m->rng, 6)) {
	case 0: /* incompressible */
		rng_fill(&m->rng, out, len);
		break;
	case 1: /* zeros become holes, or do not */
		memset(out, 0, len);
		break;
	default: {
		uint8_t byte = (uint8_t)rng_range(&m->rng, 1, 255);

		for (uint64_t i = 0; i < len; i++)
			out[i] = (uint8_t)(byte + (i >> 9));
	}
	}
}

/* Many tiny writes into one chunk: too many pieces for one record. */
static void scatter(struct model *m, size_t i)
{
	uint64_t base = rng_below(&m->rng, 8) * CHUNK_BYTES, n = rng_range(&m->rng, 20, 300);
	struct state before = {0};
	uint8_t bytes[64];

	for (uint64_t k = 0; k < n; k++) {
		uint64_t at = base + rng_below(&m->rng, CHUNK_BYTES - sizeof(bytes));
		uint64_t len = rng_range(&m->rng, 1, sizeof(bytes));

		rng_fill(&m->rng, bytes, len);
		state_copy(&before, &m->now);
		uint64_t g = world_write(m->w, &m->w->files[i], at, bytes, len);

		remember(m, &before, g);
		memcpy(m->now.bytes[i] + at, bytes, len);
		if (at + len > m->now.size[i])
			m->now.size[i] = at + len;
	}
	state_free(&before);
}

static void zero(struct state *s, size_t i, uint64_t offset, uint64_t end)
{
	if (end > FILE_MAX)
		end = FILE_MAX;
	if (offset < end)
		memset(s->bytes[i] + offset, 0, end - offset);
}

static void change(struct model *m, size_t i)
{
	static struct state before;
	struct world_file *f = &m->w->files[i];
	uint64_t offset = random_offset(m, i), len = random_len(m), group;

	if (offset >= FILE_MAX)
		offset = FILE_MAX - 1;
	if (len > FILE_MAX - offset)
		len = FILE_MAX - offset;
	state_copy(&before, &m->now);
	switch (rng_below(&m->rng, 12)) {
	case 0:
		group = world_punch(m->w, f, offset, len);
		zero(&m->now, i, offset,
			offset + len < m->now.size[i] ? offset + len : m->now.size[i]);
		break;
	case 1:
		if (rng_chance(&m->rng, 1, 3))
			offset = 0;
		group = world_truncate(m->w, f, offset);
		zero(&m->now, i, offset, FILE_MAX);
		m->now.size[i] = offset;
		break;
	case 2:
		group = world_allocate(m->w, f, offset, len);
		if (offset + len > m->now.size[i])
			m->now.size[i] = offset + len;
		break;
	default:
		random_bytes(m, m->scratch, len);
		group = world_write(m->w, f, offset, m->scratch, len);
		memcpy(m->now.bytes[i] + offset, m->scratch, len);
		if (offset + len > m->now.size[i])
			m->now.size[i] = offset + len;
	}
	remember(m, &before, group);
}

/* ---- comparing ---- */

static void compare_range(struct model *m, size_t i, uint64_t offset, size_t len)
{
	struct error err = {0};
	uint64_t size = m->now.size[i];
	size_t want = offset >= size ? 0 : size - offset < len ? size - offset : len, got;

	memset(m->scratch, 0xee, len);
	int r = data_read(&m->w->files[i].data, GROUP_NOW, offset, len, m->scratch, world_size_of,
		&got, &err);

	ck_assert_msg(r == 0, "read: %s", error_text(&err, r));
	ck_assert_uint_eq(got, want);
	for (size_t k = 0; k < want; k++)
		if (m->scratch[k] != m->now.bytes[i][offset + k])
			ck_abort_msg("file %zu byte %llu: %02x, not %02x", i,
				(unsigned long long)(offset + k), m->scratch[k],
				m->now.bytes[i][offset + k]);
}

static bool is_zero(struct model *m, size_t i, uint64_t offset, uint64_t end)
{
	return bytes_are_zero(m->now.bytes[i] + offset, end - offset);
}

/* Zeros may count as data, but data never as a hole. */
static void check_seek(struct model *m, size_t i)
{
	uint64_t size = m->now.size[i], at = rng_below(&m->rng, size + 10), found;
	struct file_data *f = &m->w->files[i].data;

	if (at >= size) {
		ck_assert_int_eq(data_seek(f, size, at, false, &found, NULL), -ENXIO);
		ck_assert_int_eq(data_seek(f, size, at, true, &found, NULL), -ENXIO);
		return;
	}
	int r = data_seek(f, size, at, false, &found, NULL);

	if (r == -ENXIO)
		found = size;
	else
		ck_assert_int_eq(r, 0);
	ck_assert(found >= at && found <= size && is_zero(m, i, at, found));
	ck_assert_int_eq(data_seek(f, size, at, true, &found, NULL), 0);
	ck_assert(found >= at && found <= size);
	if (found < size)
		ck_assert_uint_eq(m->now.bytes[i][found], 0);
}

static void compare_all(struct model *m)
{
	for (size_t i = 0; i < WORLD_FILES; i++) {
		ck_assert_uint_eq(m->w->files[i].size, m->now.size[i]);
		compare_range(m, i, 0, FILE_MAX);
	}
}

/* ---- ends ---- */

static void reopen(struct model *m, bool crash)
{
	uint64_t acked = log_acked(m->w->log), group;

	world_close(m->w, crash);
	world_open(m->w);
	group = m->w->t.last_group;
	ck_assert_uint_ge(group, acked);
	if (group < m->last_group) {
		/* The newest remembered state of a group that is there. */
		size_t k = m->npast;

		while (k > 0 && m->past[k - 1].group > group)
			k--;
		ck_assert_uint_gt(k, 0);
		state_copy(&m->now, &m->past[k - 1].state);
	}
	m->npast = 0;
	m->last_group = group;
	compare_all(m);
}

static void model_begin(struct model *m, struct rng rng, uint64_t memory)
{
	memset(m, 0, sizeof(*m));
	m->rng = rng;
	m->w = world_new(memory);
	world_open(m->w);
	m->scratch = malloc(FILE_MAX);
	for (size_t i = 0; i < WORLD_FILES; i++)
		m->now.bytes[i] = calloc(1, FILE_MAX);
	m->last_group = m->w->t.last_group;
}

static void model_end(struct model *m)
{
	world_close(m->w, false);
	world_free(m->w);
	state_free(&m->now);
	for (size_t i = 0; i < STATES; i++)
		state_free(&m->past[i].state);
	free(m->scratch);
}

static void step(struct model *m)
{
	size_t i = rng_below(&m->rng, WORLD_FILES);

	switch (rng_below(&m->rng, 40)) {
	case 0:
	case 1:
	case 2:
		world_sync(m->w);
		world_check(m->w);
		break;
	case 3:
		log_close_group(m->w->log);
		break;
	case 4:
		world_sync(m->w);
		world_maintain(m->w);
		world_check(m->w);
		break;
	case 5:
	case 6:
		world_sync(m->w);
		world_forget(m->w, &m->w->files[i]);
		break;
	case 7:
		scatter(m, i);
		break;
	case 8:
		if (rng_chance(&m->rng, 1, 3))
			reopen(m, rng_chance(&m->rng, 2, 3));
		break;
	case 9:
	case 10:
		check_seek(m, i);
		break;
	case 11:
	case 12:
	case 13:
	case 14:
	case 15:
		compare_range(
			m, i, rng_below(&m->rng, m->now.size[i] + 1), rng_below(&m->rng, 300000));
		break;
	default:
		change(m, i);
	}
}

static void run(struct rng rng, unsigned steps, uint64_t memory)
{
	struct model m;

	model_begin(&m, rng, memory);
	for (unsigned i = 0; i < steps; i++)
		step(&m);
	world_sync(m.w);
	world_check(m.w);
	compare_all(&m);
	reopen(&m, false);
	world_check(m.w);
	model_end(&m);
}

START_TEST(random_ops)
{
	run(fixture_rng(), 700, 32 << 20);
}
END_TEST

START_TEST(little_memory)
{
	run(fixture_rng(), 250, 6 << 20);
}
END_TEST

/* ---- single behaviours ---- */

/* An append of a few bytes after each sync: the last block is sealed anew, so that extents stay few
 * and whole. */
START_TEST(small_appends)
{
	struct model m;
	struct chunk c = {0};
	struct key k;
	struct buf value = BUF_INIT;
	uint8_t line[100];

	model_begin(&m, fixture_rng(), 32 << 20);
	memset(line, 'l', sizeof(line));
	for (int i = 0; i < 200; i++) {
		(void)world_write(m.w, &m.w->files[0], m.w->files[0].size, line, sizeof(line));
		world_sync(m.w);
	}
	world_check(m.w);
	k = key_chunk(m.w->files[0].inode, 0);
	ck_assert_int_eq(index_get(m.w->index, GROUP_NOW, key_slice(&k), 0, &value, NULL, NULL), 0);
	ck_assert_int_eq(chunk_decode(buf_slice(&value), true, &c), 0);
	for (size_t i = 0; i + 1 < c.n; i++)
		ck_assert_uint_eq((c.extents[i].offset + c.extents[i].len) % 4096, 0);
	ck_assert_uint_le(c.n, 200 * 100 / 4096 + 1);
	chunk_done(&c);
	buf_done(&value);
	model_end(&m);
}
END_TEST

/* Unaligned overwrites, one per group: the chunk is re-framed before it passes the limit. */
START_TEST(reframing)
{
	struct model m;
	struct rng rng = fixture_rng();
	uint8_t *bytes = malloc(CHUNK_BYTES);

	model_begin(&m, rng, 32 << 20);
	rng_fill(&m.rng, bytes, CHUNK_BYTES);
	for (int dense = 0; dense < 2; dense++) {
		struct world_file *f = &m.w->files[dense];

		m.now.size[dense] = CHUNK_BYTES;
		(void)world_truncate(m.w, f, CHUNK_BYTES);
		if (dense) {
			(void)world_write(m.w, f, 0, bytes, CHUNK_BYTES);
			memcpy(m.now.bytes[dense], bytes, CHUNK_BYTES);
		}
		for (int i = 0; i < 300; i++) {
			uint64_t at = rng_below(&m.rng, CHUNK_BYTES - 100);

			(void)world_write(m.w, f, at, bytes + i, 100);
			memcpy(m.now.bytes[dense] + at, bytes + i, 100);
			world_sync(m.w);
			if (i % 50 == 49)
				world_forget(m.w, f);
			if (i % 20 == 0)
				world_check(m.w); /* not above the limit */
		}
		compare_range(&m, (size_t)dense, 0, CHUNK_BYTES);
	}
	world_maintain(m.w);
	world_check(m.w);
	compare_range(&m, 0, 0, CHUNK_BYTES);
	compare_range(&m, 1, 0, CHUNK_BYTES);
	free(bytes);
	model_end(&m);
}
END_TEST

/* Thousands of tiny writes to one chunk in one group: a few frames, not thousands. */
START_TEST(scattered)
{
	struct model m;
	struct data_stats before, after;
	uint8_t bytes[3];

	model_begin(&m, fixture_rng(), 32 << 20);
	(void)world_write(m.w, &m.w->files[0], 300000, (const uint8_t *)"x", 1);
	m.now.bytes[0][300000] = 'x';
	m.now.size[0] = 300001;
	world_sync(m.w);
	data_stats(m.w->data, &before);
	for (int i = 0; i < 3000; i++) {
		uint64_t at = rng_below(&m.rng, 250000);

		rng_fill(&m.rng, bytes, sizeof(bytes));
		(void)world_write(m.w, &m.w->files[0], at, bytes, sizeof(bytes));
		memcpy(m.now.bytes[0] + at, bytes, sizeof(bytes));
		if (i % 4 == 0) {
			at = rng_below(&m.rng, 250000);
			(void)world_punch(m.w, &m.w->files[0], at, 5);
			memset(m.now.bytes[0] + at, 0, 5);
		}
		if (i == 1500)
			world_sync(m.w);
	}
	world_sync(m.w);
	data_stats(m.w->data, &after);
	/* By the timer it may have been a few groups more. */
	ck_assert_uint_le(after.frames_sealed - before.frames_sealed, 600);
	world_check(m.w);
	compare_all(&m);
	reopen(&m, false);
	model_end(&m);
}
END_TEST

/* What costs how many requests. */
START_TEST(requests)
{
	struct model m;
	struct data_stats before, after;
	const size_t len = 2 << 20;
	uint8_t *bytes = malloc(len);

	model_begin(&m, fixture_rng(), 64 << 20);
	rng_fill(&m.rng, bytes, len);
	(void)world_write(m.w, &m.w->files[0], 0, bytes, len);
	memcpy(m.now.bytes[0], bytes, len);
	m.now.size[0] = len;
	world_sync(m.w);
	reopen(&m, false);
	world_close(m.w, false);
	world_open(m.w);
	data_stats(m.w->data, &before);
	compare_range(&m, 0, 0, len);
	data_stats(m.w->data, &after);
	/* 2 MiB in at most three segments, each run one GET. */
	ck_assert_uint_le(after.gets - before.gets, 3);
	compare_range(&m, 0, 0, len);
	data_stats(m.w->data, &before);
	ck_assert_uint_eq(after.gets, before.gets); /* cached */
	free(bytes);
	model_end(&m);
}
END_TEST

/* ---- damage ---- */

static void count_bad(void *arg, uint64_t inode, uint64_t chunk, const struct extent *e,
	enum verify_fault fault, const char *why)
{
	ck_assert_uint_eq(inode, 1);
	ck_assert_ptr_nonnull(e);
	ck_assert_uint_eq(chunk, 0);
	ck_assert(fault == VERIFY_GONE || fault == VERIFY_FRAME);
	ck_assert_ptr_nonnull(why);
	++*(unsigned *)arg;
}

/* Faults among the frames of the file's first chunk. */
static unsigned verify_file(struct world *w, const struct world_file *f)
{
	struct key k = key_chunk(f->inode, 0);
	struct buf value = BUF_INIT;
	struct chunk c = {0};
	unsigned bad = 0;
	const struct verify_ops ops = {.bad = count_bad, .arg = &bad};
	struct verify *v;

	ck_assert_int_eq(index_get(w->index, GROUP_NOW, key_slice(&k), 0, &value, NULL, NULL), 0);
	ck_assert_int_eq(chunk_decode(buf_slice(&value), true, &c), 0);
	ck_assert_int_eq(verify_new(w->data, &ops, &v), 0);
	ck_assert_int_eq(verify_chunk(v, 1, 0, &c, NULL), 0);
	ck_assert_int_eq(verify_flush(v, NULL), 0);
	verify_free(v);
	chunk_done(&c);
	buf_done(&value);
	return bad;
}

/* Replaces the segment that holds the file's first byte: missing, or with one byte changed. */
static void damage(struct world *w, const struct world_file *f, bool missing)
{
	struct key k = key_chunk(f->inode, 0);
	struct buf value = BUF_INIT, object = BUF_INIT;
	struct chunk c = {0};
	char name[64];

	ck_assert_int_eq(index_get(w->index, GROUP_NOW, key_slice(&k), 0, &value, NULL, NULL), 0);
	ck_assert_int_eq(chunk_decode(buf_slice(&value), true, &c), 0);
	log_key(name, c.extents[0].epoch, c.extents[0].sequence);
	ck_assert_int_eq(store_get_all(w->store, name, STORE_OBJECT_MAX, &object, NULL), 0);
	ck_assert_int_eq(store_delete(w->store, name, NULL), 0);
	object.data[c.extents[0].place + 10] ^= 1;
	struct slice part = buf_slice(&object);

	if (!missing)
		ck_assert_int_eq(store_create(w->store, name, &part, 1, NULL), 0);
	chunk_done(&c);
	buf_done(&object);
	buf_done(&value);
}

START_TEST(damaged_segments)
{
	struct rng rng = fixture_rng();
	uint8_t bytes[100000];
	size_t got;

	for (int missing = 0; missing < 2; missing++) {
		struct world *w = world_new(32 << 20);
		struct world_file *f = &w->files[0];
		struct error err = {0};

		rng_fill(&rng, bytes, sizeof(bytes));
		world_open(w);
		(void)world_write(w, f, 0, bytes, sizeof(bytes));
		world_close(w, false);
		world_open(w);
		ck_assert_uint_eq(verify_file(w, f), 0);
		world_close(w, false);
		world_open(w);
		damage(w, f, missing);
		int r = data_read(
			&f->data, GROUP_NOW, 0, sizeof(bytes), bytes, world_size_of, &got, &err);

		ck_assert_int_eq(r, -EBADMSG);
		ck_assert_ptr_nonnull(strstr(err.text, missing ? "missing" : "frame 0"));
		ck_assert_uint_eq(verify_file(w, f), missing ? 2 : 1); /* both frames, or the one */
		world_close(w, false);
		world_free(w);
	}
}
END_TEST

/* ---- threads ---- */

#define THREADS 4
#define BLOCK 4096u
#define BLOCKS 400u

struct worker {
	struct world *w;
	struct rng rng;
	size_t file;
	uint32_t versions[BLOCKS]; /* of the file that this thread writes; 0 = never */
	_Atomic bool *stop;
};

static void fill_block(uint8_t *b, uint64_t n, uint32_t version)
{
	for (size_t i = 0; i < BLOCK; i += 8) {
		put_le32(b + i, (uint32_t)n);
		put_le32(b + i + 4, version);
	}
}

#define CHUNK_BLOCKS (CHUNK_BYTES / BLOCK)

static void write_blocks(
	struct worker *k, uint64_t n, uint64_t blocks, uint32_t version, uint8_t *b)
{
	for (uint64_t c = 0; c < blocks; c++) {
		fill_block(b + c * BLOCK, n + c, version);
		k->versions[n + c] = version;
	}
	(void)world_write(k->w, &k->w->files[k->file], n * BLOCK, b, blocks * BLOCK);
}

/* Whoever writes a file alone knows what he reads, whatever is being sealed, encoded or loaded at
 * the moment. */
static void read_own(struct worker *k, uint64_t n, uint8_t *b)
{
	struct world_file *f = &k->w->files[k->file];
	uint8_t want[BLOCK];
	struct error err = {0};
	size_t got;
	int r = data_read(&f->data, GROUP_NOW, n * BLOCK, 8 * BLOCK, b, world_size_of, &got, &err);

	ck_assert_msg(r == 0, "%s", error_text(&err, r));
	for (uint64_t c = 0; (c + 1) * BLOCK <= got; c++) {
		fill_block(want, n + c, k->versions[n + c]);
		if (k->versions[n + c] == 0)
			memset(want, 0, BLOCK);
		if (memcmp(want, b + c * BLOCK, BLOCK) != 0)
			ck_abort_msg("block %llu has version %u, not %u",
				(unsigned long long)(n + c), get_le32(b + c * BLOCK + 4),
				k->versions[n + c]);
	}
}

static void writer_main(void *arg)
{
	struct worker *k = arg;
	uint8_t *b = malloc(CHUNK_BYTES);

	for (uint32_t i = 1; i <= 1500; i++) {
		uint64_t n = rng_below(&k->rng, BLOCKS - 8);

		if (rng_chance(&k->rng, 1, 8)) {
			/* A whole chunk is sealed early, and changed meanwhile. */
			n = rng_below(&k->rng, BLOCKS / CHUNK_BLOCKS) * CHUNK_BLOCKS;
			write_blocks(k, n, CHUNK_BLOCKS, i++, b);
			for (int c = 0; c < 4; c++)
				write_blocks(k, n + rng_below(&k->rng, CHUNK_BLOCKS), 1, i++, b);
		}
		write_blocks(k, n, rng_range(&k->rng, 1, 4), i, b);
		if (rng_chance(&k->rng, 1, 40))
			world_sync(k->w);
		if (rng_chance(&k->rng, 1, 10))
			log_close_group(k->w->log);
		read_own(k, rng_chance(&k->rng, 1, 2) ? n : rng_below(&k->rng, BLOCKS - 8), b);
	}
	free(b);
}

/* Blocks are never mixed: each is one version of itself, or was never written. */
static void reader_main(void *arg)
{
	struct worker *k = arg;
	uint8_t b[4 * BLOCK], want[BLOCK];

	while (!atomic_load(k->stop)) {
		struct world_file *f = &k->w->files[rng_below(&k->rng, 2)];
		uint64_t n = rng_below(&k->rng, BLOCKS - 4);
		size_t got;
		struct error err = {0};

		if (rng_chance(&k->rng, 1, 20))
			data_invalidate(
				k->w->data); /* all chunks are read again, while groups close */
		int r = data_read(
			&f->data, GROUP_NOW, n * BLOCK, sizeof(b), b, world_size_of, &got, &err);

		ck_assert_msg(r == 0, "%s", error_text(&err, r));
		for (uint64_t c = 0; (c + 1) * BLOCK <= got; c++) {
			uint32_t version = get_le32(b + c * BLOCK + 4);

			fill_block(want, n + c, version);
			if (version == 0)
				memset(want, 0, BLOCK);
			if (memcmp(want, b + c * BLOCK, BLOCK) != 0)
				ck_abort_msg("block %llu is mixed", (unsigned long long)(n + c));
		}
	}
}

START_TEST(threads)
{
	struct rng rng = fixture_rng();
	struct world *w = world_new(24 << 20);
	_Atomic bool stop = false;
	struct worker *k = calloc(THREADS, sizeof(*k));
	struct thread t[THREADS];
	uint8_t b[BLOCK], want[BLOCK];

	world_open(w);
	for (size_t i = 0; i < THREADS; i++) {
		k[i] = (struct worker){
			.w = w, .rng = rng_of(rng_next(&rng)), .file = i, .stop = &stop};
		ck_assert_int_eq(
			thread_start(&t[i], "worker", i < 2 ? writer_main : reader_main, &k[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		thread_join(&t[i]);
		if (i == 1)
			atomic_store(&stop, true);
	}
	world_sync(w);
	world_check(w);
	world_close(w, false);
	world_open(w);
	for (size_t i = 0; i < 2; i++)
		for (uint64_t n = 0; n < BLOCKS; n++) {
			size_t got;

			ck_assert_int_eq(data_read(&w->files[i].data, GROUP_NOW, n * BLOCK, BLOCK,
						 b, world_size_of, &got, NULL),
				0);
			fill_block(want, n, k[i].versions[n]);
			if (got == BLOCK && k[i].versions[n])
				ck_assert_mem_eq(b, want, BLOCK);
			else
				ck_assert_uint_eq(k[i].versions[n], 0);
		}
	world_check(w);
	world_close(w, false);
	world_free(w);
	free(k);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("data");

	tcase_add_test(t, random_ops);
	tcase_add_test(t, little_memory);
	tcase_add_test(t, small_appends);
	tcase_add_test(t, reframing);
	tcase_add_test(t, scattered);
	tcase_add_test(t, requests);
	tcase_add_test(t, damaged_segments);
	tcase_add_test(t, threads);
	tcase_set_timeout(t, 150);
	return t;
}

int main(void)
{
	return run_suite(make, "data");
}
