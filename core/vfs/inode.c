/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inode cache: finding, loading, evicting. Eviction is a clock per shard whose hand takes two
 * inodes for each one that comes while the cache is above its limit; one that was found only once
 * goes before one that was found again.
 */
#include "core/vfs/inode.h"
#include "core/vfs/engine_internal.h"
#include "core/vfs/inode_tags.h"

#include <assert.h>
#include <stdlib.h>

#define INODE_OVERHEAD 64 /* bytes: slot of the map, allocator */
#define EVICT_STEPS 32	  /* how far the hand moves at most */

static struct inode_shard *shard_of(struct inode_table *t, uint64_t number)
{
	return &t->shards[(number * 0x9e3779b97f4a7c15ull) >> 58];
}
static_assert(INODE_SHARDS == 64, "shard_of takes six bits");

static size_t charge_of(const struct inode *i)
{
	return sizeof(*i) + INODE_OVERHEAD + (S_ISLNK(i->mode) ? i->size : 0) + i->tags.cap;
}

void inode_table_init(struct inode_table *t, uint64_t limit_bytes)
{
	for (size_t s = 0; s < INODE_SHARDS; s++) {
		mutex_init(&t->shards[s].lock, RANK_INODE_TABLE);
		cond_init(&t->shards[s].loaded);
		t->shards[s].map = (struct map)MAP_INIT;
		list_init(&t->shards[s].clock);
	}
	t->limit_bytes = limit_bytes;
	atomic_init(&t->bytes, 0);
	atomic_init(&t->count, 0);
}

/* ---- one inode ---- */

static struct inode *inode_alloc(struct vfs_engine *e)
{
	struct inode *i = calloc(1, sizeof(*i));

	if (!i)
		return NULL;
	i->engine = e;
	atomic_init(&i->refs, 1);
	atomic_init(&i->hot, false);
	atomic_init(&i->opens, 0);
	atomic_init(&i->entries_version, 1);
	list_init(&i->clock);
	list_init(&i->changed);
	list_init(&i->touched);
	list_init(&i->kept_link);
	atomic_init(&i->kept, false);
	rwlock_init(&i->lock, RANK_INODE_NESTS);
	return i;
}

struct inode *inode_new(struct vfs_engine *e, uint32_t mode)
{
	struct inode *i = inode_alloc(e);
	uint32_t generation;

	if (!i)
		return NULL;
	env_random(&generation, sizeof(generation));
	i->mode = mode;
	i->generation = generation;
	i->state = INODE_READY;
	return i;
}

void inode_free(struct inode *i)
{
	if (!i)
		return;
	if (S_ISREG(i->mode) && i->number)
		data_file_done(&i->data);
	rwlock_done(&i->lock);
	buf_done(&i->tags);
	free(i->symlink);
	free(i->room);
	free(i);
}

void inode_ref(struct inode *i)
{
	uint32_t old = atomic_fetch_add_explicit(&i->refs, 1, memory_order_relaxed);

	assert(old > 0);
}

void inode_unref(struct inode *i)
{
	uint32_t old;

	if (!i)
		return;
	/* Whoever evicts looks at refs under the shard's lock; from here on the inode may be gone.
	 */
	old = atomic_fetch_sub_explicit(&i->refs, 1, memory_order_release);
	assert(old > 0);
}

uint64_t inode_size_of(const struct file_data *f)
{
	const char *p = (const char *)f - offsetof(struct inode, data);

	return ((const struct inode *)(const void *)p)->size;
}

/* ---- evicting ---- */

static bool over_limit(struct vfs_engine *e)
{
	return atomic_load_explicit(&e->table.bytes, memory_order_relaxed) > e->table.limit_bytes ||
	       budget_excess(e->o.budget, BUDGET_CACHE) > 0;
}

static void evict_locked(struct inode_shard *s, unsigned want, struct list *victims)
{
	mutex_assert_held(&s->lock);
	for (unsigned step = 0; step < EVICT_STEPS && want && !list_empty(&s->clock); step++) {
		struct inode *i = list_first(&s->clock, struct inode, clock);

		/* Only under this lock does a count rise from zero. */
		if (atomic_load_explicit(&i->refs, memory_order_acquire) > 0 ||
			atomic_exchange_explicit(&i->hot, false, memory_order_relaxed)) {
			list_move_back(&s->clock, &i->clock);
			continue;
		}
		assert(!i->group);
		(void)map_remove(&s->map, i->number);
		list_move_back(victims, &i->clock);
		want--;
	}
}

static void destroy(struct inode *i)
{
	struct vfs_engine *e = i->engine;
	size_t charge = atomic_load_explicit(&i->charge, memory_order_relaxed);

	inode_free(i);
	budget_put(e->o.budget, BUDGET_CACHE, charge);
	atomic_fetch_sub_explicit(&e->table.bytes, charge, memory_order_relaxed);
	atomic_fetch_sub_explicit(&e->table.count, 1, memory_order_relaxed);
}

static void destroy_all(struct list *victims)
{
	struct inode *i, *next;

	list_for_each_safe (i, next, victims, clock) {
		list_remove(&i->clock);
		destroy(i);
	}
}

/*
 * Accounts for an inode that is in the table now, and makes room for it. `charge` is what it had
 * before others could find it (settle_charge); what they add they account for themselves. No lock
 * held.
 */
static void admit(struct inode *i, size_t charge)
{
	struct vfs_engine *e = i->engine;
	struct inode_shard *s = shard_of(&e->table, i->number);
	struct list victims = LIST_INIT(victims);

	/* What is in use has to be somewhere: forced, and another one leaves instead. */
	if (!budget_try(e->o.budget, BUDGET_CACHE, charge))
		budget_force(e->o.budget, BUDGET_CACHE, charge);
	atomic_fetch_add_explicit(&e->table.bytes, charge, memory_order_relaxed);
	atomic_fetch_add_explicit(&e->table.count, 1, memory_order_relaxed);
	if (!over_limit(e))
		return;
	mutex_lock(&s->lock);
	evict_locked(s, 2, &victims);
	mutex_unlock(&s->lock);
	destroy_all(&victims);
}

void inode_table_trim(struct vfs_engine *e, uint64_t keep)
{
	for (size_t n = 0; n < INODE_SHARDS; n++) {
		struct inode_shard *s = &e->table.shards[n];
		struct list victims = LIST_INIT(victims);

		mutex_lock(&s->lock);
		/* Twice round at most: what was used lately goes in the second. */
		for (size_t left = 2 * s->map.count / EVICT_STEPS + 1; left; left--) {
			if (atomic_load_explicit(&e->table.bytes, memory_order_relaxed) <= keep)
				break;
			evict_locked(s, EVICT_STEPS, &victims);
		}
		mutex_unlock(&s->lock);
		destroy_all(&victims);
	}
}

/* Before others can find it: fixes what it is charged with. */
static size_t settle_charge(struct inode *i)
{
	size_t charge = charge_of(i);

	atomic_store_explicit(&i->charge, charge, memory_order_relaxed);
	return charge;
}

/* ---- loading ---- */

/* What needs no memory. */
static void adopt_fields(struct inode *i, const struct inode_record *r, uint64_t newest)
{
	i->mode = r->mode;
	i->uid = r->uid;
	i->gid = r->gid;
	i->nlink = r->nlink;
	i->size = r->size;
	i->rdev = r->rdev;
	i->generation = r->generation;
	i->parent = r->parent;
	i->flags = r->flags;
	i->atime = r->atime;
	i->mtime = r->mtime;
	i->ctime = r->ctime;
	i->btime = r->btime;
	i->orphan = r->nlink == 0;
	i->last_group = newest;
	i->change = newest << INODE_CHANGE_SHIFT | ((1u << INODE_CHANGE_SHIFT) - 1);
}

/* `i` takes over what the record says; `i` is not visible yet, or locked. 0, -ENOMEM. */
static int adopt_record(struct inode *i, const struct inode_record *r, uint64_t newest)
{
	bool is_inline = r->inline_data.len || (r->size == 0 && r->allocated == 0);

	if (buf_append_slice(&i->tags, r->tags) < 0)
		return -ENOMEM;
	if (inode_tags_encode_room(r->mode, i->tags.cap, &i->room) < 0)
		return -ENOMEM;
	if (r->symlink.len) {
		i->symlink = malloc(r->symlink.len);
		if (!i->symlink)
			return -ENOMEM;
		memcpy(i->symlink, r->symlink.data, r->symlink.len);
	}
	adopt_fields(i, r, newest);
	if (!S_ISREG(i->mode))
		return 0;
	data_file_init(&i->data, i->engine->data, i->number, &i->lock, false, r->allocated);
	return is_inline ? data_file_set_inline(&i->data, r->inline_data) : 0;
}

static int read_record(struct vfs_engine *e, uint64_t number, struct buf *value,
	struct inode_record *ret, uint64_t *ret_newest)
{
	struct key k = key_inode(number);
	struct index_info info = {0};
	int r = index_get(e->index, GROUP_NOW, key_slice(&k), 0, value, &info, NULL);

	*ret_newest = 0;
	if (r == -ENOENT)
		return -ESTALE;
	if (r < 0)
		return engine_read_error(r);
	r = inode_record_decode(buf_slice(value), ret);
	*ret_newest = info.newest;
	return r;
}

static int load(struct inode *i)
{
	CLEANUP(buf_done) struct buf value = BUF_INIT;
	struct inode_record record;
	uint64_t newest;
	int r = read_record(i->engine, i->number, &value, &record, &newest);

	return r < 0 ? r : adopt_record(i, &record, newest);
}

/* Loads the inode that the caller put into the table in state LOADING, with its one reference. */
static int finish_load(struct inode_shard *s, struct inode *i, struct inode **ret)
{
	int r = load(i);
	size_t charge = settle_charge(i);
	bool last;

	mutex_lock(&s->lock);
	if (r < 0) {
		i->state = INODE_FAILED;
		i->load_error = r;
		(void)map_remove(&s->map, i->number);
		list_remove(&i->clock);
		last = atomic_fetch_sub_explicit(&i->refs, 1, memory_order_acq_rel) == 1;
		cond_broadcast(&s->loaded);
		mutex_unlock(&s->lock);
		if (last)
			inode_free(i);
		return r;
	}
	i->state = INODE_READY;
	cond_broadcast(&s->loaded);
	mutex_unlock(&s->lock);
	admit(i, charge);
	*ret = i;
	return 0;
}

/* Somebody else is loading it: waits. Takes the lock over and releases it. */
static int wait_loaded_locked(struct inode_shard *s, struct inode *i, struct inode **ret)
{
	int r = 0;
	bool last = false;

	mutex_assert_held(&s->lock);
	while (i->state == INODE_LOADING)
		cond_wait(&s->loaded, &s->lock);
	if (i->state == INODE_FAILED) {
		r = i->load_error;
		last = atomic_fetch_sub_explicit(&i->refs, 1, memory_order_acq_rel) == 1;
	}
	mutex_unlock(&s->lock);
	if (last)
		inode_free(i);
	if (r == 0)
		*ret = i;
	return r;
}

static struct inode *find_locked(struct inode_shard *s, uint64_t number)
{
	struct inode *i = map_find(&s->map, number);

	if (i) {
		atomic_fetch_add_explicit(&i->refs, 1, memory_order_acquire);
		atomic_store_explicit(&i->hot, true, memory_order_relaxed);
	}
	return i;
}

struct inode *inode_find(struct vfs_engine *e, uint64_t number)
{
	struct inode_shard *s = shard_of(&e->table, number);
	struct inode *i;

	MUTEX_GUARD(&s->lock);
	i = map_find(&s->map, number);
	return i && i->state == INODE_READY ? find_locked(s, number) : NULL;
}

int inode_get(struct vfs_engine *e, uint64_t number, struct inode **ret)
{
	struct inode_shard *s = shard_of(&e->table, number);
	struct inode *fresh, *i;
	int r;

	if (number == 0 || number > INODE_MAX)
		return -ESTALE;
	mutex_lock(&s->lock);
	i = find_locked(s, number);
	if (i)
		return wait_loaded_locked(s, i, ret);
	mutex_unlock(&s->lock);
	fresh = inode_alloc(e);
	if (!fresh)
		return -ENOMEM;
	fresh->number = number;
	mutex_lock(&s->lock);
	i = find_locked(s, number);
	r = i ? 0 : map_insert(&s->map, number, fresh);
	if (r == 0 && !i) {
		list_push_back(&s->clock, &fresh->clock);
		mutex_unlock(&s->lock);
		return finish_load(s, fresh, ret);
	}
	if (i)
		r = wait_loaded_locked(s, i, ret);
	else
		mutex_unlock(&s->lock);
	inode_free(fresh);
	return r;
}

int inode_insert(struct inode *i, uint64_t number)
{
	struct inode_shard *s = shard_of(&i->engine->table, number);
	size_t charge = settle_charge(i);
	int r;

	i->number = number;
	if (S_ISREG(i->mode))
		data_file_init(&i->data, i->engine->data, number, &i->lock, true, 0);
	rwlock_wrlock(&i->lock); /* nobody else knows it: does not wait */
	mutex_lock(&s->lock);
	r = map_insert(&s->map, number, i);
	if (r == 0)
		list_push_back(&s->clock, &i->clock);
	mutex_unlock(&s->lock);
	if (r < 0) {
		rwlock_unlock(&i->lock);
		if (S_ISREG(i->mode))
			data_file_done(&i->data);
		i->number = 0;
		return r == -EEXIST ? -EBADMSG : r;
	}
	admit(i, charge);
	return 0;
}

/* ---- a follower's refresh, and the end ---- */

/* An inode number never stands for another type or target. */
static void adopt_again(struct inode *i, const struct inode_record *r, uint64_t newest)
{
	uint64_t encoded = i->data.encoded;

	adopt_fields(i, r, newest);
	if (!S_ISREG(i->mode))
		return;
	data_file_done(&i->data);
	data_file_init(&i->data, i->engine->data, i->number, &i->lock, false, r->allocated);
	i->data.encoded = encoded + 1; /* chunks that a reader is just fetching are stale */
	if (r->inline_data.len && data_file_set_inline(&i->data, r->inline_data) < 0)
		i->gone = true; /* no memory for the bytes: better no file than an empty one */
}

/* The view moved: what is stored now replaces what the inode says. Stays as it is where it cannot
 * be read. */
static void reload(struct inode *i)
{
	CLEANUP(buf_done) struct buf value = BUF_INIT, tags = BUF_INIT;
	struct inode_record record;
	uint64_t newest;
	int r = read_record(i->engine, i->number, &value, &record, &newest);

	if (r == 0)
		r = buf_append_slice(&tags, record.tags);
	if (r < 0 && r != -ESTALE)
		return;
	rwlock_wrlock(&i->lock);
	atomic_fetch_add_explicit(&i->entries_version, 1, memory_order_release);
	if (r < 0 || ((record.mode ^ i->mode) & S_IFMT) ||
		(S_ISLNK(i->mode) && record.size != i->size)) {
		i->gone = true;
	} else {
		adopt_again(i, &record, newest);
		inode_tags_exchange(i, &tags);
	}
	rwlock_unlock(&i->lock);
}

void inode_table_refresh(struct vfs_engine *e)
{
	for (size_t n = 0; n < INODE_SHARDS; n++) {
		struct inode_shard *s = &e->table.shards[n];
		struct list victims = LIST_INIT(victims);

		mutex_lock(&s->lock);
		for (size_t left = s->map.count; left; left--) {
			struct inode *i = list_first(&s->clock, struct inode, clock);

			if (!i)
				break; /* others evicted them while this thread was reading */
			list_move_back(&s->clock, &i->clock);
			if (i->state != INODE_READY)
				continue;
			if (atomic_load_explicit(&i->refs, memory_order_acquire) == 0) {
				(void)map_remove(&s->map, i->number);
				list_move_back(&victims, &i->clock);
				continue;
			}
			inode_ref(i);
			mutex_unlock(&s->lock);
			reload(i);
			inode_unref(i);
			mutex_lock(&s->lock);
		}
		mutex_unlock(&s->lock);
		destroy_all(&victims);
	}
}

void inode_table_done(struct vfs_engine *e)
{
	for (size_t n = 0; n < INODE_SHARDS; n++) {
		struct inode_shard *s = &e->table.shards[n];

		destroy_all(&s->clock);
		map_done(&s->map);
		cond_done(&s->loaded);
		mutex_done(&s->lock);
	}
}

/* ---- what an inode says ---- */

uint64_t inode_allocated(const struct inode *i, int64_t later)
{
	int64_t n = (int64_t)i->data.allocated - later;

	return n > 0 ? (uint64_t)n : 0;
}

static uint64_t allocated_bytes(const struct inode *i)
{
	uint64_t n = 0;

	if (S_ISDIR(i->mode))
		return 4096;
	if (S_ISREG(i->mode))
		n = inode_allocated(i, 0);
	/* Programs take a file without blocks for one hole: inline bytes show as sectors. */
	if (S_ISREG(i->mode) && i->data.is_inline && n < i->size)
		n = i->size;
	return (n + 511) & ~511ull;
}

void inode_attr(const struct inode *i, struct vfs_attr *ret)
{
	*ret = (struct vfs_attr){
		.inode = i->number,
		.generation = i->generation,
		.mode = i->mode,
		.uid = i->uid,
		.gid = i->gid,
		.nlink = i->nlink,
		.rdev = i->rdev,
		.size = S_ISDIR(i->mode) ? 4096 : i->size,
		.allocated = allocated_bytes(i),
		.provisional = S_ISREG(i->mode) && data_file_busy(&i->data),
		.atime = i->atime,
		.mtime = i->mtime,
		.ctime = i->ctime,
		.btime = i->btime,
		.flags = (uint32_t)i->flags,
		.change = i->change,
	};
}

struct perm_node inode_perm(const struct inode *i)
{
	return (struct perm_node){
		.mode = i->mode,
		.uid = i->uid,
		.gid = i->gid,
		.flags = (uint32_t)i->flags,
		.acl = inode_record_tag(buf_slice(&i->tags), INODE_TAG_ACCESS_ACL),
	};
}

void inode_kill_setid(struct inode *i, const struct vfs_cred *c)
{
	struct perm_node n = inode_perm(i);

	rwlock_assert_write(&i->lock);
	i->mode = perm_kill_setid(c, &n);
}

static size_t symlink_len(const struct inode *i)
{
	return S_ISLNK(i->mode) ? i->size : 0;
}

size_t inode_encode_bound(const struct inode *i, size_t inline_len)
{
	struct key k = key_inode(i->number);

	if (!S_ISREG(i->mode))
		inline_len = 0;
	else if (i->data.inline_len > inline_len)
		inline_len = i->data.inline_len;
	return k.len + inode_record_bound(inline_len, symlink_len(i), i->tags.len);
}

static struct inode_record record_of(const struct inode *i)
{
	struct inode_record r = {
		.mode = i->mode,
		.uid = i->uid,
		.gid = i->gid,
		.nlink = i->nlink,
		.size = i->size,
		.rdev = i->rdev,
		.atime = i->atime,
		.mtime = i->mtime,
		.ctime = i->ctime,
		.btime = i->btime,
		.generation = i->generation,
		.parent = i->parent,
		.flags = i->flags,
		.symlink = SLICE(i->symlink, symlink_len(i)),
		.tags = buf_slice(&i->tags),
	};

	if (S_ISREG(i->mode)) {
		r.allocated = inode_allocated(i, 0);
		if (i->data.is_inline) {
			assert(i->data.inline_len == i->size);
			r.inline_data = SLICE(i->data.inline_bytes, i->data.inline_len);
		}
	}
	return r;
}

size_t inode_encode(struct inode *i, struct index_group *g)
{
	struct key k = key_inode(i->number);
	struct inode_record record;
	uint8_t stack[INODE_STACK_ROOM], *room = i->room ? i->room : stack;
	size_t len;

	rwlock_assert_write(&i->lock);
	if (i->gone) {
		index_delete(g, key_slice(&k));
		return k.len;
	}
	record = record_of(i);
	len = inode_record_encode(&record, room);
	index_put(g, key_slice(&k), SLICE(room, len));
	return k.len + len;
}
