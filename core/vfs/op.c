/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The operation object. Invariants:
 *   1 an inode's `group` is the group whose list holds it, and that list's reference; NULL when its
 * record is in the index 2 the index room for its record is reserved in that group (`reserved`) 3
 * `group` is the group that is open or the one that is closing: op_join and the closing group's
 * encode (owner.c) see to it
 */
#include "core/vfs/op.h"
#include "core/base/cleanup.h"
#include "core/vfs/kept.h"
#include "core/vfs/xattr.h"

#include <assert.h>
#include <stdlib.h>

#define LAZY_MAX 1024u	    /* access times that a group gathers before they ask for a commit */
#define COUNTER_BYTES 24    /* key and value of the counter of inode numbers */
#define RECORD_OVERHEAD 200 /* bytes of a memtable beside keys and values, about */

int op_begin(struct op *op, struct vfs_engine *e)
{
	uint64_t before;
	int r;

	*op = (struct op){.engine = e};
	if (e->o.read_only || !e->log)
		return -EROFS;
	if (log_fenced(e->log))
		return -ESTALE;
	before = env_now_ms();
	r = index_throttle(e->index);
	engine_raise(&e->longest_wait_ms, env_now_ms() - before);
	if (r < 0)
		return r;
	op->spare = calloc(1, sizeof(*op->spare));
	return op->spare ? 0 : -ENOMEM;
}

int op_may_add(const struct op *op)
{
	return log_refused(op->engine->log);
}

void op_add(struct op *op, struct inode *i)
{
	unsigned at = 0;

	assert(!op->locked);
	while (at < op->n && op->inodes[at]->number < i->number)
		at++;
	if (at < op->n && op->inodes[at] == i)
		return;
	assert(op->n < OP_INODES_MAX);
	memmove(op->inodes + at + 1, op->inodes + at, (op->n - at) * sizeof(*op->inodes));
	op->inodes[at] = i;
	op->n++;
}

void op_lock(struct op *op)
{
	assert(!op->locked);
	for (unsigned k = 0; k < op->n; k++)
		rwlock_wrlock(&op->inodes[k]->lock);
	op->locked = true;
}

void op_unlock(struct op *op)
{
	assert(!op->group && !op->fresh);
	op->source = NULL;
	if (op->locked)
		for (unsigned k = op->n; k > 0; k--)
			rwlock_unlock(&op->inodes[k - 1]->lock);
	op->locked = false;
	op->n = 0;
}

/* ---- members of a group ---- */

struct group_inodes *op_group_members(struct group *g)
{
	return *group_vfs(g);
}

/* The group's part of the vfs; the operation brought one along in case that it is the first. */
static struct group_inodes *join_members(struct op *op)
{
	struct vfs_engine *e = op->engine;
	void **slot = group_vfs(op->group);

	MUTEX_GUARD(&e->groups_lock);
	if (!*slot) {
		struct group_inodes *gi = TAKE(op->spare);

		list_init(&gi->inodes);
		list_init(&gi->touched);
		list_push_back(&e->groups, &gi->all);
		*slot = gi;
	}
	return *slot;
}

static void enter_list(struct op *op, struct inode *i)
{
	inode_ref(i);
	MUTEX_GUARD(&op->engine->groups_lock);
	i->group = op->group;
	list_push_back(&op->members->inodes, &i->changed);
}

static void leave_list(struct inode *i)
{
	mutex_lock(&i->engine->groups_lock);
	list_remove(&i->changed);
	i->group = NULL;
	mutex_unlock(&i->engine->groups_lock);
	i->reserved = 0;
	i->orphan_room = false;
	inode_unref(i);
}

void op_encode(struct inode *i)
{
	struct index_group *records = group_records(i->group);
	bool room = i->orphan_room;
	size_t used = inode_encode(i, records);

	if (room && i->nlink == 0 && !i->gone) {
		struct key k = key_orphan(i->number);

		index_put(records, key_slice(&k), (struct slice){0});
		used += k.len;
		i->orphan = true;
		room = false;
	}
	assert(used <= i->reserved);
	index_unreserve(records, i->reserved - used, room);
	leave_list(i);
}

void op_forget(struct inode *i)
{
	index_unreserve(group_records(i->group), i->reserved, 1 + i->orphan_room);
	leave_list(i);
}

/* Encode on touch; the close of that group looks at the file again when its bytes have been
 * encoded. */
static void encode_older(struct inode *i)
{
	struct group_inodes *gi = op_group_members(i->group);

	if (S_ISREG(i->mode) && data_file_busy(&i->data)) {
		inode_ref(i);
		i->touched_moved = i->moved;
		MUTEX_GUARD(&i->engine->groups_lock);
		assert(list_empty(&i->touched));
		list_push_back(&gi->touched, &i->touched);
	}
	op_encode(i);
}

/* ---- join ---- */

/* What this operation must reserve for the record of `i` beyond what its group has already. */
static size_t record_need(const struct op *op, const struct inode *i, size_t *n)
{
	size_t need = inode_encode_bound(i, op->inline_after) + op->tags_more;

	if (i->group == op->group) {
		need += i->orphan_room ? OP_DROP_BYTES : 0;
		return need > i->reserved ? need - i->reserved : 0;
	}
	*n += 1;
	return need;
}

static void mark(struct op *op, struct inode *i)
{
	size_t n = 0, need = record_need(op, i, &n);

	rwlock_assert_write(&i->lock);
	if (i->group && i->group != op->group) {
		assert(i->group->number < op->group->number);
		if (planted(PLANTED_NO_ENCODE_ON_TOUCH)) {
			op_forget(i);
		} else {
			encode_older(i);
		}
	}
	if (!i->group)
		enter_list(op, i);
	i->reserved += need;
	op->bytes -= need;
	op->nrecords -= n;
	if (op->lazy)
		return;
	i->last_group = op->group->number;
	i->change++;
	if (i->change < i->last_group << INODE_CHANGE_SHIFT)
		i->change = i->last_group << INODE_CHANGE_SHIFT;
}

/* The first operation of a group that makes an inode leaves room for the counter of numbers
 * (owner.c). */
static void keep_counter_room(struct op *op)
{
	if (atomic_exchange(&op->members->created, true))
		return;
	op->bytes -= COUNTER_BYTES;
	op->nrecords--;
}

/*
 * A memtable can be flushed only when its groups are closed and acknowledged, so a group that goes
 * on for the whole interval at full speed would fill the share of all memtables and stop everybody.
 * Whoever crosses the limit closes it.
 */
static void note_records(struct op *op, size_t bytes, size_t n)
{
	uint64_t cost = bytes + n * RECORD_OVERHEAD;
	uint64_t was = atomic_fetch_add(&op->members->record_bytes, cost),
		 max = op->engine->group_records_max;

	op->crowded = was < max && was + cost >= max;
}

int op_join(struct op *op, size_t nentries, size_t bytes)
{
	struct group *g;
	int r;

	assert(op->locked && !op->group);
	g = group_join(op->engine->log);
	op->group = g;
	op->records = group_records(g);
	for (unsigned k = 0; k < op->n; k++)
		if (op->inodes[k] != op->source)
			bytes += record_need(op, op->inodes[k], &nentries);
	if (op->fresh) {
		bytes += record_need(op, op->fresh, &nentries) + COUNTER_BYTES;
		nentries++;
	}
	r = index_reserve(op->records, bytes, nentries);
	if (r < 0) {
		op->group = NULL;
		group_leave(g, false);
		return r;
	}
	op->bytes = bytes;
	op->nrecords = nentries;
	op->number = g->number;
	op->members = join_members(op);
	note_records(op, bytes, nentries);
	op->now = env_realtime();
	for (unsigned k = 0; k < op->n; k++)
		if (op->inodes[k] != op->source)
			mark(op, op->inodes[k]);
	if (op->fresh) {
		mark(op, op->fresh);
		keep_counter_room(op);
	}
	return 0;
}

/* Whether the group is to be committed for what this operation did. */
static bool asks_for_commit(struct op *op)
{
	struct vfs_engine *e = op->engine;

	if (!op->lazy) {
		engine_raise(&e->last_changed, op->number);
		atomic_fetch_add_explicit(&e->changes, 1, memory_order_relaxed);
		return true;
	}
	engine_raise(&e->lazy_group, op->number);
	/* Reading ever more files must not keep ever more inodes in memory. */
	return atomic_fetch_add(&op->members->lazy, 1) >= LAZY_MAX;
}

static void leave(struct op *op)
{
	bool changed = asks_for_commit(op);

	if (op->bytes || op->nrecords)
		index_unreserve(op->records, op->bytes, op->nrecords);
	group_leave(op->group, changed);
	if (op->crowded)
		log_close_group(op->engine->log);
	op->group = NULL;
}

void op_end(struct op *op)
{
	struct inode *fresh = op->fresh;

	if (fresh && !op->group)
		fresh->gone = true; /* it got a number and nothing else */
	if (op->group)
		leave(op);
	op->fresh = NULL;
	if (fresh)
		rwlock_unlock(&fresh->lock);
	op_unlock(op);
	free(TAKE(op->spare));
}

/* ---- apply ---- */

static void spend(struct op *op, size_t bytes)
{
	assert(op->bytes >= bytes && op->nrecords > 0);
	op->bytes -= bytes;
	op->nrecords--;
}

void op_put(struct op *op, const struct key *k, struct slice value)
{
	spend(op, k->len + value.len);
	index_put(op->records, key_slice(k), value);
}

void op_delete(struct op *op, const struct key *k)
{
	spend(op, k->len);
	index_delete(op->records, key_slice(k));
}

void op_range_delete(struct op *op, const struct key *first, const struct key *end)
{
	spend(op, first->len + end->len);
	index_range_delete(op->records, key_slice(first), key_slice(end));
}

static bool earlier(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

void op_touch(struct op *op, struct inode *i, bool mtime)
{
	rwlock_assert_write(&i->lock);
	if (earlier(i->ctime, op->now))
		i->ctime = op->now;
	if (mtime)
		i->mtime = op->now;
}

size_t op_entry_bytes(struct slice name)
{
	return 17 + name.len + DIRENT_VALUE_MAX;
}

void op_put_entry(struct op *op, struct inode *dir, uint64_t cookie, struct slice name,
	const struct inode *child)
{
	struct key k = key_dirent(dir->number, cookie, name);
	uint8_t value[DIRENT_VALUE_MAX];
	size_t len = dirent_value_encode(child->number, dirent_type_of_mode(child->mode), value);

	rwlock_assert_write(&dir->lock);
	op_put(op, &k, SLICE(value, len));
	/* Only now: who read the version before sees that it rose (dir_find). */
	atomic_fetch_add_explicit(&dir->entries_version, 1, memory_order_release);
}

void op_delete_entry(struct op *op, struct inode *dir, uint64_t cookie, struct slice name)
{
	struct key k = key_dirent(dir->number, cookie, name);

	rwlock_assert_write(&dir->lock);
	op_delete(op, &k);
	atomic_fetch_add_explicit(&dir->entries_version, 1, memory_order_release);
}

void op_write(struct op *op, struct inode *i, struct data_reserve *r)
{
	uint64_t before = i->data.allocated;

	data_write(&i->data, op->group, i->size, r);
	i->moved += (int64_t)(i->data.allocated - before);
}

void op_punch(struct op *op, struct inode *i, uint64_t offset, uint64_t len, struct data_reserve *r)
{
	uint64_t before = i->data.allocated;

	data_punch(&i->data, op->group, i->size, offset, len, r);
	i->moved += (int64_t)(i->data.allocated - before);
}

void op_allocate(
	struct op *op, struct inode *i, uint64_t offset, uint64_t len, struct data_reserve *r)
{
	uint64_t before = i->data.allocated;

	data_allocate(&i->data, op->group, i->size, offset, len, r);
	i->moved += (int64_t)(i->data.allocated - before);
}

void op_share(struct op *op, struct inode *i, uint64_t offset, struct data_share *s)
{
	uint64_t before = i->data.allocated;

	data_share_put(&i->data, op->group, i->size, offset, s);
	i->moved += (int64_t)(i->data.allocated - before);
}

/* Most orphans are gone before their group closes: the record waits until then. */
void op_become_orphan(struct op *op, struct inode *i)
{
	assert(i->group == op->group && op->bytes >= OP_DROP_BYTES && op->nrecords > 0);
	op->bytes -= OP_DROP_BYTES;
	op->nrecords--;
	i->reserved += OP_DROP_BYTES;
	i->orphan_room = true;
	atomic_fetch_add_explicit(&op->engine->orphans, 1, memory_order_relaxed);
}

/* Neither record nor the room for one is needed any more. */
static void end_orphan(struct op *op, struct inode *i)
{
	struct key k = key_orphan(i->number);

	if (!i->orphan && !i->orphan_room)
		return;
	atomic_fetch_sub_explicit(&op->engine->orphans, 1, memory_order_relaxed);
	if (i->orphan)
		op_delete(op, &k);
	i->orphan = false;
}

void op_name_orphan(struct op *op, struct inode *i)
{
	end_orphan(op, i);
	if (!i->orphan_room)
		return;
	assert(i->group == op->group);
	i->orphan_room = false;
	i->reserved -= OP_DROP_BYTES;
	op->bytes += OP_DROP_BYTES;
	op->nrecords++;
}

void op_drop(struct op *op, struct inode *i, struct data_reserve *r)
{
	rwlock_assert_write(&i->lock);
	assert(i->nlink == 0 && !i->gone);
	if (op->keeps)
		kept_add(i);
	if (atomic_load(&i->opens) > 0 || kept(i)) {
		data_reserve_free(r);
		if (!i->orphan && !i->orphan_room)
			op_become_orphan(op, i);
		return;
	}
	if (S_ISREG(i->mode))
		op_punch(op, i, 0, UINT64_MAX, r);
	else
		data_reserve_free(r);
	xattr_drop_all(op, i);
	end_orphan(op, i);
	i->gone = true;
	group_usage_add(op->group, 0, -1);
	atomic_fetch_sub_explicit(&op->engine->quota.used_inodes, 1, memory_order_relaxed);
}
