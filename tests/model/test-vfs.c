/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random operations of several threads on one volume, each against a model tree of its own. The
 * threads meet in one directory that they share, under names of their own. Then power is cut,
 * somewhere: after reopening, what each thread had must equal its model after some number of its
 * operations, no fewer than it knows to be durable; fsck finds nothing. Several such rounds on one
 * volume, with tables flushed and merged in between.
 *
 * Threads are real, so that a seed does not repeat a run exactly: it repeats what each thread
 * tries.
 */
#include "core/base/rng.h"
#include "tests/lib/small_volume.h"
#include "tests/model/vfs-model.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 3
#define ROUNDS 4
#define OPERATIONS 400
#define NAMES 12
#define HANDLES 3
#define WRITE_MAX 90000u

struct handle {
	struct vfs_file *file;
	struct model_node *node;
	uint64_t inode;
};

struct player {
	struct thread thread;
	struct small_volume *v;
	struct rng rng;
	unsigned id;
	uint64_t own, shared;	  /* directories */
	struct model_node *model; /* of the own one; the shared one's part of ours below "shared" */
	struct model_node *model_shared;
	struct handle handles[HANDLES];
	uint64_t states[OPERATIONS + 1]; /* hash of the description after each */
	unsigned n, durable;
	bool stopped;
	uint8_t bytes[WRITE_MAX], back[MODEL_FILE_MAX], bytes_of_copy[MODEL_FILE_MAX];
};

static struct player players[THREADS];

/* ---- where an operation happens ---- */

struct place {
	uint64_t dir;
	struct model_node *model;
	char name[24];
};

/* A random directory of ours and a random name in it. */
static struct place choose(struct player *p)
{
	struct place at = {.dir = p->own, .model = p->model};
	bool shared = rng_chance(&p->rng, 1, 3);
	struct vfs_attr a;

	if (shared)
		at = (struct place){.dir = p->shared, .model = p->model_shared};
	while (!shared && at.model->n && rng_chance(&p->rng, 1, 2)) {
		struct model_entry *e = &at.model->entries[rng_below(&p->rng, at.model->n)];

		if (!S_ISDIR(e->node->mode))
			break;
		if (vfs_lookup(p->v->vfs, &test_root, at.dir, SLICE_STR(e->name), &a) < 0) {
			p->stopped = true;
			break;
		}
		at.dir = a.inode;
		at.model = e->node;
	}
	/* Names in the shared directory carry their owner. */
	if (shared)
		snprintf(at.name, sizeof(at.name), "t%u-%u", p->id,
			(unsigned)rng_below(&p->rng, NAMES));
	else
		snprintf(at.name, sizeof(at.name), "%c", (int)('a' + rng_below(&p->rng, NAMES)));
	return at;
}

/* The real result against the model's; false: cut off. */
static bool same(struct player *p, const char *what, int real, int model)
{
	if (real == -ESTALE && log_fenced(p->v->log)) {
		p->stopped = true;
		return false;
	}
	if (real != model)
		ck_abort_msg("thread %u operation %u: %s gives %d, the model %d", p->id, p->n, what,
			real, model);
	return true;
}

/* ---- operations ---- */

static struct handle *some_handle(struct player *p)
{
	struct handle *h = &p->handles[rng_below(&p->rng, HANDLES)];

	return h->file ? h : NULL;
}

static void close_handle(struct player *p, struct handle *h)
{
	vfs_release(p->v->vfs, h->file);
	model_put(h->node);
	h->file = NULL;
}

static void op_create(struct player *p)
{
	struct handle *h = &p->handles[rng_below(&p->rng, HANDLES)];
	struct place at = choose(p);
	struct model_entry *e = model_find(at.model, at.name);
	struct vfs_file *f;
	struct vfs_attr a;
	bool created;
	int r, want = 0;

	if (p->stopped)
		return;
	if (e && S_ISDIR(e->node->mode))
		want = -EISDIR;
	else if (e && S_ISLNK(e->node->mode))
		want = -ELOOP;
	else if (e && S_ISCHR(e->node->mode))
		want = -ENXIO;
	r = vfs_create(
		p->v->vfs, &test_root, at.dir, SLICE_STR(at.name), 0640, O_RDWR, &a, &f, &created);
	if (!same(p, "create", r, want) || r < 0)
		return;
	ck_assert_int_eq(created, !e);
	if (!e) {
		struct model_node *n = model_new(S_IFREG | 0640);

		ck_assert_int_eq(model_add(at.model, at.name, n), 0);
		e = model_find(at.model, at.name);
	}
	if (h->file)
		close_handle(p, h);
	*h = (struct handle){f, e->node, a.inode};
	h->node->refs++;
}

static void op_write(struct player *p)
{
	struct handle *h = some_handle(p);
	size_t len = rng_chance(&p->rng, 1, 4) ? rng_range(&p->rng, 1, WRITE_MAX)
					       : rng_range(&p->rng, 1, 900);
	uint64_t offset;
	unsigned flags = rng_chance(&p->rng, 1, 3) ? VFS_WRITE_APPEND : 0;
	struct slice s = SLICE(p->bytes, len);
	int64_t r;

	if (!h)
		return;
	offset = flags ? h->node->bytes.len
		       : rng_below(&p->rng, rng_chance(&p->rng, 1, 2) ? 2000 : 300000);
	if (offset + len > MODEL_FILE_MAX)
		return;
	memset(p->bytes, (int)rng_below(&p->rng, 256), len);
	rng_fill(&p->rng, p->bytes, len < 64 ? len : 64);
	r = vfs_write(p->v->vfs, &test_root, h->file, flags ? 0 : offset, &s, 1, flags, NULL);
	if (!same(p, "write", r == (int64_t)len ? 0 : (int)r, 0))
		return;
	model_write(h->node, offset, p->bytes, len);
	if (rng_chance(&p->rng, 1, 6) && same(p, "fsync", vfs_fsync(p->v->vfs, h->file, false), 0))
		p->durable = p->n + 1; /* the operation that is just being made */
}

static void op_read(struct player *p)
{
	struct handle *h = some_handle(p);
	int64_t r;

	if (!h)
		return;
	r = vfs_read(p->v->vfs, h->file, 0, p->back, sizeof(p->back));
	if (!same(p, "read", r < 0 ? (int)r : 0, 0))
		return;
	ck_assert_int_eq(r, (int64_t)h->node->bytes.len);
	ck_assert(slice_eq(SLICE(p->back, (size_t)r), buf_slice(&h->node->bytes)));
}

static void op_truncate(struct player *p)
{
	struct handle *h = some_handle(p);
	uint64_t size = rng_below(&p->rng, rng_chance(&p->rng, 1, 2) ? 3000 : 300000);
	struct vfs_attr a = {.size = size};

	if (!h)
		return;
	if (same(p, "truncate",
		    vfs_setattr(p->v->vfs, &test_root, h->inode, h->file, VFS_SET_SIZE, &a, &a), 0))
		model_resize(h->node, size);
}

static void op_allocate(struct player *p)
{
	static const unsigned modes[] = {VFS_FALLOC_PUNCH | VFS_FALLOC_KEEP_SIZE, 0,
		VFS_FALLOC_KEEP_SIZE, VFS_FALLOC_ZERO, VFS_FALLOC_ZERO | VFS_FALLOC_KEEP_SIZE};
	struct handle *h = some_handle(p);
	uint64_t offset = rng_below(&p->rng, rng_chance(&p->rng, 1, 2) ? 3000 : 300000);
	uint64_t len = rng_range(&p->rng, 1, rng_chance(&p->rng, 1, 2) ? 3000 : 100000);
	unsigned mode = modes[rng_below(&p->rng, 5)];

	if (!h || !same(p, "fallocate",
			  vfs_fallocate(p->v->vfs, &test_root, h->file, mode, offset, len), 0))
		return;
	if (mode & (VFS_FALLOC_PUNCH | VFS_FALLOC_ZERO))
		model_zero(h->node, offset, len);
	if (!(mode & VFS_FALLOC_KEEP_SIZE) && offset + len > h->node->bytes.len)
		model_resize(h->node, offset + len);
}

static void op_copy(struct player *p)
{
	struct handle *h = some_handle(p), *to = some_handle(p);
	uint64_t offset, to_offset, len;
	int64_t r;

	if (!h || !to || h->node->bytes.len == 0)
		return;
	offset = rng_below(&p->rng, h->node->bytes.len);
	len = rng_range(&p->rng, 1, h->node->bytes.len - offset);
	to_offset = rng_below(&p->rng, rng_chance(&p->rng, 1, 2) ? 2000 : 300000);
	if (to_offset + len > MODEL_FILE_MAX ||
		(h->node == to->node && offset < to_offset + len && to_offset < offset + len))
		return;
	r = vfs_copy_range(p->v->vfs, &test_root, h->file, offset, to->file, to_offset, len);
	if (!same(p, "copy", r == (int64_t)len ? 0 : (int)r, 0))
		return;
	memcpy(p->bytes_of_copy, h->node->bytes.data + offset, len); /* the model may move them */
	model_write(to->node, to_offset, p->bytes_of_copy, len);
}

static void op_unlink(struct player *p)
{
	struct place at = choose(p);
	struct model_entry *e = model_find(at.model, at.name);
	bool dir = e && S_ISDIR(e->node->mode);

	if (p->stopped)
		return;
	if (!e || rng_chance(&p->rng, 1, 8))
		dir = rng_chance(&p->rng, 1, 2);
	if (dir) {
		int want = !e			     ? -ENOENT
			   : !S_ISDIR(e->node->mode) ? -ENOTDIR
			   : e->node->n		     ? -ENOTEMPTY
						     : 0;

		if (same(p, "rmdir", vfs_rmdir(p->v->vfs, &test_root, at.dir, SLICE_STR(at.name)),
			    want) &&
			!want)
			(void)model_rmdir(at.model, at.name);
	} else {
		int want = !e ? -ENOENT : S_ISDIR(e->node->mode) ? -EISDIR : 0;

		if (same(p, "unlink", vfs_unlink(p->v->vfs, &test_root, at.dir, SLICE_STR(at.name)),
			    want) &&
			!want)
			(void)model_unlink(at.model, at.name);
	}
}

static void op_mkdir(struct player *p)
{
	struct place at = choose(p);
	struct vfs_attr a;
	int want = model_find(at.model, at.name) ? -EEXIST : 0;

	if (p->stopped || at.model == p->model_shared)
		return;
	if (same(p, "mkdir", vfs_mkdir(p->v->vfs, &test_root, at.dir, SLICE_STR(at.name), 0750, &a),
		    want) &&
		!want)
		(void)model_add(at.model, at.name, model_new(S_IFDIR | 0750));
}

static void op_symlink(struct player *p)
{
	struct place at = choose(p);
	struct vfs_attr a;
	int want = model_find(at.model, at.name) ? -EEXIST : 0;

	if (p->stopped)
		return;
	if (same(p, "symlink",
		    vfs_symlink(p->v->vfs, &test_root, at.dir, SLICE_STR(at.name),
			    SLICE_STR("to/here"), &a),
		    want) &&
		!want) {
		struct model_node *n = model_new(S_IFLNK | 0777);

		model_write(n, 0, (const uint8_t *)"to/here", 7);
		(void)model_add(at.model, at.name, n);
	}
}

static void op_link(struct player *p)
{
	struct place from = choose(p), to = choose(p);
	struct model_entry *e = model_find(from.model, from.name);
	struct vfs_attr a;
	int want;

	if (p->stopped || !e)
		return;
	if (!same(p, "lookup",
		    vfs_lookup(p->v->vfs, &test_root, from.dir, SLICE_STR(from.name), &a), 0))
		return;
	want = S_ISDIR(e->node->mode) ? -EPERM : model_find(to.model, to.name) ? -EEXIST : 0;
	if (same(p, "link",
		    vfs_link(p->v->vfs, &test_root, a.inode, to.dir, SLICE_STR(to.name), &a),
		    want) &&
		!want)
		(void)model_link(e->node, to.model, to.name);
}

static void op_rename(struct player *p)
{
	static const unsigned kinds[] = {
		0, 0, VFS_RENAME_NOREPLACE, VFS_RENAME_EXCHANGE, VFS_RENAME_WHITEOUT};
	struct place from = choose(p), to = choose(p);
	struct model_entry *e = model_find(from.model, from.name),
			   *t = model_find(to.model, to.name);
	unsigned flags = kinds[rng_below(&p->rng, 5)];
	int real;

	if (p->stopped)
		return;
	/* Directories stay out of the shared one, whose links the others count. */
	if ((to.model == p->model_shared && e && S_ISDIR(e->node->mode)) ||
		(from.model == p->model_shared && t && S_ISDIR(t->node->mode)))
		return;
	real = vfs_rename(p->v->vfs, &test_root, from.dir, SLICE_STR(from.name), to.dir,
		SLICE_STR(to.name), flags);
	if (real == -ESTALE && log_fenced(p->v->log)) {
		p->stopped = true;
		return;
	}
	(void)same(
		p, "rename", real, model_rename(from.model, from.name, to.model, to.name, flags));
}

static void op_sync(struct player *p)
{
	if (rng_chance(&p->rng, 1, 4) && same(p, "sync", vfs_sync(p->v->vfs, NULL), 0))
		p->durable = p->n;
	else if (!p->stopped)
		log_close_group(p->v->log);
}

/* ---- descriptions ---- */

static uint64_t describe_model(struct player *p)
{
	struct buf text = BUF_INIT;
	uint64_t h;

	model_describe(p->model, "", &text);
	model_describe(p->model_shared, "shared", &text);
	h = model_hash(buf_slice(&text));
	buf_done(&text);
	return h;
}

struct listing {
	unsigned n;
	char names[2048][24];
};

static bool collect(void *arg, const struct vfs_dirent *e)
{
	struct listing *l = arg;

	if (e->cookie < 8)
		return true;
	ck_assert_uint_lt(l->n, 2048);
	ck_assert_uint_lt(e->name.len, 24);
	memcpy(l->names[l->n], e->name.data, e->name.len);
	l->names[l->n++][e->name.len] = 0;
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void describe(struct player *p, struct vfs *v, uint64_t dir, const char *path,
	const char *prefix, struct buf *out);

static void describe_entry(struct player *p, struct vfs *v, uint64_t dir, const char *name,
	const char *path, struct buf *out)
{
	struct buf target = BUF_INIT;
	struct vfs_file *f;
	struct vfs_attr a;
	char below[400];

	(void)snprintf(below, sizeof(below), "%s/%s", path, name);
	ck_assert_int_eq(vfs_lookup(v, &test_root, dir, SLICE_STR(name), &a), 0);
	if (S_ISDIR(a.mode)) {
		model_line(out, below, a.mode, a.nlink, (struct slice){0});
		describe(p, v, a.inode, below, "", out);
	} else if (S_ISLNK(a.mode)) {
		ck_assert_int_eq(vfs_readlink(v, &test_root, a.inode, &target), 0);
		model_line(out, below, a.mode, a.nlink, buf_slice(&target));
		buf_done(&target);
	} else if (S_ISCHR(a.mode)) { /* a whiteout */
		ck_assert_uint_eq(a.rdev, 0);
		model_line(out, below, a.mode, a.nlink, (struct slice){0});
	} else {
		int64_t n;

		ck_assert_int_eq(vfs_open(v, &test_root, a.inode, O_RDONLY, &f), 0);
		n = vfs_read(v, f, 0, p->back, sizeof(p->back));
		ck_assert_int_eq(n, (int64_t)a.size);
		model_line(out, below, a.mode, a.nlink, SLICE(p->back, (size_t)n));
		vfs_release(v, f);
	}
}

static void describe(struct player *p, struct vfs *v, uint64_t dir, const char *path,
	const char *prefix, struct buf *out)
{
	struct listing *l = calloc(1, sizeof(*l));
	struct vfs_file *f;

	ck_assert_ptr_nonnull(l);
	ck_assert_int_eq(vfs_open(v, &test_root, dir, O_RDONLY, &f), 0);
	ck_assert_int_eq(vfs_readdir(v, &test_root, f, 0, false, collect, l), 0);
	vfs_release(v, f);
	qsort(l->names, l->n, sizeof(l->names[0]), by_name);
	for (unsigned i = 0; i < l->n; i++)
		if (strncmp(l->names[i], prefix, strlen(prefix)) == 0)
			describe_entry(p, v, dir, l->names[i], path, out);
	free(l);
}

static void describe_real(struct player *p, struct vfs *v, struct buf *out)
{
	char prefix[16];

	(void)snprintf(prefix, sizeof(prefix), "t%u-", p->id);
	describe(p, v, p->own, "", "", out);
	describe(p, v, p->shared, "shared", prefix, out);
}

/* ---- rounds ---- */

static void play(void *arg)
{
	static void (*const operations[])(struct player *) = {op_create, op_create, op_create,
		op_write, op_write, op_write, op_write, op_read, op_truncate, op_allocate, op_copy,
		op_unlink, op_unlink, op_mkdir, op_symlink, op_link, op_rename, op_rename,
		op_rename, op_sync};
	struct player *p = arg;

	while (p->n < OPERATIONS && !p->stopped) {
		operations[rng_below(&p->rng, sizeof(operations) / sizeof(*operations))](p);
		/* A last one that was cut off between change and sync counts as made. */
		p->states[++p->n] = describe_model(p);
	}
}

static void begin(struct player *p, struct small_volume *v, unsigned id, uint64_t seed,
	unsigned round, uint64_t shared)
{
	struct vfs_attr a;
	char name[24];

	memset(p, 0, sizeof(*p));
	p->v = v;
	p->id = id;
	p->shared = shared;
	p->rng = rng_of(seed * 1000 + round * 10 + id);
	(void)snprintf(name, sizeof(name), "r%u-t%u", round, id);
	ck_assert_int_eq(vfs_mkdir(v->vfs, &test_root, VFS_ROOT, SLICE_STR(name), 0755, &a), 0);
	p->own = a.inode;
	p->model = model_new(S_IFDIR | 0755);
	p->model_shared = model_new(S_IFDIR | 0755);
	p->states[0] = describe_model(p);
}

static void end(struct player *p)
{
	for (int i = 0; i < HANDLES; i++)
		if (p->handles[i].file)
			close_handle(p, &p->handles[i]);
	model_free_tree(p->model);
	model_free_tree(p->model_shared);
}

/* What is there now is one of the states that the thread went through, and not an older one than it
 * may be. */
static void verify(struct player *p, struct small_volume *v, bool cut)
{
	struct buf text = BUF_INIT;
	uint64_t h;

	describe_real(p, v->vfs, &text);
	h = model_hash(buf_slice(&text));
	for (unsigned k = cut ? p->durable : p->n; k <= p->n; k++) {
		if (p->states[k] == h) {
			buf_done(&text);
			return;
		}
	}
	fprintf(stderr, "thread %u, %u operations, %u durable; there is:\n%.*s", p->id, p->n,
		p->durable, (int)text.len, (const char *)text.data);
	ck_abort_msg("the volume is in a state that thread %u never saw", p->id);
}

static void wait_drained(struct small_volume *v)
{
	for (int i = 0; i < 1000; i++) {
		struct check_options o = {0};
		struct check_result result;

		ck_assert_int_eq(vfs_check(v->engine, &o, &result, NULL), 0);
		if (!result.damage && !result.leftovers)
			return;
		env_sleep_ms(5);
	}
}

static struct small_volume_options options_of(struct rng *rng)
{
	return (struct small_volume_options){
		.name = "model-vfs",
		.memory = rng_chance(rng, 1, 2) ? 16u << 20 : 64u << 20,
		.inode_cache_bytes = rng_chance(rng, 1, 3) ? 1 : 0,
		.flush_interval_ms = 50,
		.quiet_ms = 20,
	};
}

static void run_round(struct rng *rng, uint64_t seed, unsigned round)
{
	struct small_volume_options o = options_of(rng);
	struct small_volume *v = small_volume_open(&o);
	bool cut = rng_chance(rng, 3, 4);
	struct vfs_attr shared;
	char name[24];

	(void)snprintf(name, sizeof(name), "shared-%u", round);
	ck_assert_int_eq(
		vfs_mkdir(v->vfs, &test_root, VFS_ROOT, SLICE_STR(name), 0755, &shared), 0);
	for (unsigned i = 0; i < THREADS; i++)
		begin(&players[i], v, i, seed, round, shared.inode);
	ck_assert_int_eq(vfs_sync(v->vfs, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(thread_start(&players[i].thread, "player", play, &players[i]), 0);
	if (cut) {
		env_sleep_ms(rng_below(rng, 400));
		if (rng_chance(rng, 1, 4))
			small_volume_maintain(v);
		small_volume_cut(v);
	}
	for (unsigned i = 0; i < THREADS; i++)
		thread_join(&players[i].thread);
	if (!cut)
		for (unsigned i = 0; i < THREADS; i++)
			verify(&players[i], v, false);
	for (unsigned i = 0; i < THREADS; i++)
		end(&players[i]);
	if (!cut && rng_chance(rng, 1, 2))
		small_volume_maintain(v);
	if (!cut)
		ck_assert_uint_eq(small_volume_check(v), 0);
	small_volume_close(v);
	v = small_volume_open(&o);
	for (unsigned i = 0; i < THREADS; i++)
		verify(&players[i], v, cut);
	wait_drained(v);
	ck_assert_uint_eq(small_volume_check(v), 0);
	small_volume_close(v);
}

START_TEST(test_vfs)
{
	const char *env_seed = getenv("SEED");
	uint64_t seed = env_seed ? strtoull(env_seed, NULL, 0) : 1 + (uint64_t)_i;
	struct rng rng;

	if (!env_seed && _i > 1)
		env_random(&seed, 4);
	printf("test-vfs: SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	rng = rng_of(seed);
	mem_store_forget("model-vfs");
	for (unsigned round = 0; round < ROUNDS; round++)
		run_round(&rng, seed, round);
	mem_store_forget("model-vfs");
}
END_TEST

/* ---- many threads, few names ---- */

#define CROWD 4
#define CROWD_OPERATIONS 600
#define CROWD_NAMES 5

struct member {
	struct thread thread;
	struct vfs *v;
	struct rng rng;
	uint64_t dirs[2];
};

static bool expected(int r)
{
	return r == 0 || r == -ENOENT || r == -EEXIST || r == -EISDIR || r == -ENOTDIR ||
	       r == -ENOTEMPTY || r == -EINVAL || r == -ESTALE || r == -EPERM;
}

/* Something comes or goes in a directory that others are about to remove. */
static int crowd_inside(struct member *m, uint64_t dir, struct slice name)
{
	struct vfs_attr at;
	int r = vfs_lookup(m->v, &test_root, dir, name, &at);

	if (r < 0)
		return r;
	if (rng_chance(&m->rng, 1, 3))
		return vfs_mknod(
			m->v, &test_root, at.inode, SLICE_STR("x"), S_IFREG | 0600, 0, &at);
	r = vfs_unlink(m->v, &test_root, at.inode, SLICE_STR("x"));
	return r < 0 ? r : vfs_rmdir(m->v, &test_root, dir, name);
}

static void crowd_step(struct member *m)
{
	static const unsigned kinds[] = {0, VFS_RENAME_NOREPLACE, VFS_RENAME_EXCHANGE};
	uint64_t a = m->dirs[rng_below(&m->rng, 2)], b = m->dirs[rng_below(&m->rng, 2)];
	char from[8], to[8];
	struct vfs_attr at;
	struct vfs_file *f;
	int r;

	snprintf(from, sizeof(from), "%u", (unsigned)rng_below(&m->rng, CROWD_NAMES));
	snprintf(to, sizeof(to), "%u", (unsigned)rng_below(&m->rng, CROWD_NAMES));
	switch (rng_below(&m->rng, 8)) {
	case 6:
	case 7:
		r = crowd_inside(m, a, SLICE_STR(from));
		break;
	case 0:
		r = vfs_create(m->v, &test_root, a, SLICE_STR(from), 0600, O_RDWR, &at, &f, NULL);
		if (r == 0)
			vfs_release(m->v, f);
		break;
	case 1:
		r = vfs_mkdir(m->v, &test_root, a, SLICE_STR(from), 0700, &at);
		break;
	case 2:
		r = vfs_unlink(m->v, &test_root, a, SLICE_STR(from));
		break;
	case 3:
		r = vfs_rmdir(m->v, &test_root, a, SLICE_STR(from));
		break;
	case 4:
		r = vfs_lookup(m->v, &test_root, a, SLICE_STR(from), &at);
		if (r == 0)
			r = vfs_link(m->v, &test_root, at.inode, b, SLICE_STR(to), &at);
		break;
	default:
		r = vfs_rename(m->v, &test_root, a, SLICE_STR(from), b, SLICE_STR(to),
			kinds[rng_below(&m->rng, 3)]);
		break;
	}
	if (!expected(r))
		ck_abort_msg("an operation in the crowd gives %d", r);
}

static void crowd(void *arg)
{
	struct member *m = arg;

	for (int i = 0; i < CROWD_OPERATIONS; i++)
		crowd_step(m);
}

/* All fight for the same names; what counts is that the volume is whole. */
START_TEST(test_crowd)
{
	struct small_volume *v;
	struct member members[CROWD];
	struct vfs_attr a, b;

	mem_store_forget("model-vfs");
	v = small_volume_open(&(struct small_volume_options){.name = "model-vfs",
		.flush_interval_ms = 20,
		.quiet_ms = 5,
		.inode_cache_bytes = 1});
	ck_assert_int_eq(vfs_mkdir(v->vfs, &test_root, VFS_ROOT, SLICE_STR("a"), 0755, &a), 0);
	ck_assert_int_eq(vfs_mkdir(v->vfs, &test_root, a.inode, SLICE_STR("b"), 0755, &b), 0);
	for (unsigned i = 0; i < CROWD; i++) {
		members[i] = (struct member){
			.v = v->vfs, .rng = rng_of(i + 1), .dirs = {a.inode, b.inode}};
		ck_assert_int_eq(thread_start(&members[i].thread, "member", crowd, &members[i]), 0);
	}
	for (unsigned i = 0; i < CROWD; i++)
		thread_join(&members[i].thread);
	ck_assert_uint_eq(small_volume_check(v), 0);
	small_volume_close(v);
	mem_store_forget("model-vfs");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vfs");
	TCase *t = tcase_create("model");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 150);
	tcase_add_loop_test(t, test_vfs, 0, getenv("SEED") ? 1 : 4);
	tcase_add_test(t, test_crowd);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
