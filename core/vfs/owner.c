/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The close of a group, as far as inodes go: every inode that was changed last in it, and that no
 * later operation encoded on touch, is encoded; then the counter of inode numbers, when the group
 * made one.
 */
#include "core/vfs/owner.h"
#include "core/base/cleanup.h"
#include "core/vfs/op.h"

#include <assert.h>
#include <stdlib.h>

static struct inode *inode_of_file(struct file_data *f)
{
	return container_of(f, struct inode, data);
}

static void owner_file_ref(struct file_data *f)
{
	inode_ref(inode_of_file(f));
}

static void owner_file_unref(struct file_data *f)
{
	inode_unref(inode_of_file(f));
}

#define RETRY_MS 10 /* after -ENOMEM: the commit cannot give up */

/* The first inode of the list with a reference, or NULL. */
static struct inode *first_member(struct vfs_engine *e, struct group_inodes *gi)
{
	struct inode *i;

	MUTEX_GUARD(&e->groups_lock);
	i = list_first(&gi->inodes, struct inode, changed);
	if (i)
		inode_ref(i);
	return i;
}

/*
 * The value may be above what the group used: numbers are then left out, never given twice. It
 * cannot be below, for every operation of the group has left.
 */
static void encode_counter(struct vfs_engine *e, struct group *g)
{
	struct key k = key_counter(COUNTER_NEXT_INODE);
	uint8_t value[VARINT_MAX];
	size_t len = put_varint(value, alloc_high_water(&e->alloc));

	index_put(group_records(g), key_slice(&k), SLICE(value, len));
}

/* Takes the first inode out of the list of touched ones; the list's reference is the caller's. */
static struct inode *pop_touched(struct vfs_engine *e, struct group_inodes *gi)
{
	struct inode *i;

	MUTEX_GUARD(&e->groups_lock);
	i = list_first(&gi->touched, struct inode, touched);
	if (i)
		list_remove(&i->touched);
	return i;
}

/*
 * A record that was encoded on touch: when its chunks were encoded, data found what had been
 * counted wrongly, and booked that in this group. So the record says it too. 0, -ENOMEM.
 */
static int correct(struct inode *i, struct index_group *records, uint64_t allocated)
{
	CLEANUP(free_p) uint8_t *bytes = NULL;
	struct key k = key_inode(i->number);
	struct inode_record record;
	struct slice value;
	size_t bound, len;
	int r;

	if (index_group_find(records, key_slice(&k), &value) != RECORD_PUT)
		return 0;
	r = inode_record_decode(value, &record);
	assert(r == 0); /* it is our own encoding */
	if (record.allocated == allocated)
		return 0;
	record.allocated = allocated;
	bound = inode_record_bound(record.inline_data.len, record.symlink.len, record.tags.len);
	bytes = malloc(bound);
	if (!bytes || index_reserve(records, k.len + bound, 1) < 0)
		return -ENOMEM;
	len = inode_record_encode(&record, bytes);
	index_put(records, key_slice(&k), SLICE(bytes, len));
	index_unreserve(records, bound - len, 0);
	return 0;
}

static void correct_touched(struct vfs_engine *e, struct group *g, struct group_inodes *gi)
{
	struct inode *i;

	while ((i = pop_touched(e, gi))) {
		uint64_t allocated;

		rwlock_rdlock(&i->lock);
		allocated = inode_allocated(i, i->moved - i->touched_moved);
		rwlock_unlock(&i->lock);
		while (correct(i, group_records(g), allocated) < 0)
			env_sleep_ms(RETRY_MS);
		inode_unref(i);
	}
}

static int owner_encode(void *arg, struct group *g)
{
	struct vfs_engine *e = arg;
	struct group_inodes *gi = op_group_members(g);
	struct inode *i;

	if (!gi)
		return 0;
	while ((i = first_member(e, gi))) {
		rwlock_wrlock(&i->lock);
		if (i->group == g)
			op_encode(i);
		rwlock_unlock(&i->lock);
		inode_unref(i);
	}
	correct_touched(e, g, gi);
	if (atomic_load(&gi->created))
		encode_counter(e, g);
	return 0;
}

static void forget_members(struct vfs_engine *e, struct group *g, struct group_inodes *gi)
{
	atomic_fetch_sub(&e->quota.pending_bytes, atomic_load(&gi->pending_bytes));
	mutex_lock(&e->groups_lock);
	list_remove(&gi->all);
	*group_vfs(g) = NULL;
	mutex_unlock(&e->groups_lock);
	free(gi);
}

static void owner_acked(void *arg, struct group *g)
{
	struct vfs_engine *e = arg;
	struct group_inodes *gi = op_group_members(g);

	quota_acked(e, g);
	if (gi)
		forget_members(e, g, gi);
}

/* The log has ended (fenced, shut down): inodes stay as they are in memory, but no group holds them
 * any more. */
static void owner_dropped(void *arg, struct group *g)
{
	struct vfs_engine *e = arg;
	struct group_inodes *gi = op_group_members(g);
	struct inode *i;

	if (!gi)
		return;
	while ((i = first_member(e, gi))) {
		rwlock_wrlock(&i->lock);
		if (i->group == g)
			op_forget(i);
		rwlock_unlock(&i->lock);
		inode_unref(i);
	}
	while ((i = pop_touched(e, gi)))
		inode_unref(i);
	forget_members(e, g, gi);
}

void owner_init(struct vfs_engine *e, struct data_owner_ops *ret)
{
	*ret = (struct data_owner_ops){
		.file_ref = owner_file_ref,
		.file_unref = owner_file_unref,
		.encode = owner_encode,
		.acked = owner_acked,
		.dropped = owner_dropped,
		.arg = e,
	};
}
