/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/vfs/inode_tags.h"
#include "core/vfs/engine_internal.h"

#include <assert.h>
#include <stdlib.h>

size_t inode_tag_bytes(uint64_t tag, size_t len)
{
	return varint_len(tag) + varint_len(len) + len;
}

/* ---- editing ---- */

/* Where a field begins and how long it is, with its tag; false when it is absent. */
static bool find(const struct buf *tags, uint64_t tag, size_t *ret_at, size_t *ret_len)
{
	struct slice field = inode_record_tag(buf_slice(tags), tag);

	if (!field.data)
		return false;
	*ret_len = inode_tag_bytes(tag, field.len);
	*ret_at = (size_t)(field.data + field.len - tags->data) - *ret_len;
	return true;
}

uint8_t *inode_tag_data(struct buf *tags, uint64_t tag, size_t *ret_len)
{
	struct slice field = inode_record_tag(buf_slice(tags), tag);

	*ret_len = field.len;
	return field.data ? tags->data + (field.data - tags->data) : NULL;
}

void inode_tag_remove(struct buf *tags, uint64_t tag)
{
	size_t at, len;

	if (!find(tags, tag, &at, &len))
		return;
	memmove(tags->data + at, tags->data + at + len, tags->len - at - len);
	tags->len -= len;
}

void inode_tag_set(struct buf *tags, uint64_t tag, struct slice bytes)
{
	uint8_t *p;

	inode_tag_remove(tags, tag);
	assert(tags->cap - tags->len >= inode_tag_bytes(tag, bytes.len));
	p = tags->data + tags->len;
	p += put_varint(p, tag);
	p += put_varint(p, bytes.len);
	if (bytes.len)
		memcpy(p, bytes.data, bytes.len);
	tags->len += inode_tag_bytes(tag, bytes.len);
}

/* ---- room ---- */

int inode_tags_encode_room(uint32_t mode, size_t tags_len, uint8_t **ret)
{
	size_t bound = inode_record_bound(
		INODE_INLINE_MAX, S_ISLNK(mode) ? INODE_SYMLINK_MAX : 0, tags_len);

	if (bound <= INODE_STACK_ROOM)
		return 0;
	*ret = malloc(bound);
	return *ret ? 0 : -ENOMEM;
}

int inode_tags_prepare(struct inode *i, size_t more, struct inode_tags_room *r)
{
	size_t len;

	rwlock_rdlock(&i->lock);
	len = i->tags.len + more;
	rwlock_unlock(&i->lock);
	if (r->tags.cap >= len)
		return 0;
	inode_tags_room_done(r);
	if (buf_reserve(&r->tags, len) < 0)
		return -ENOMEM;
	return inode_tags_encode_room(i->mode, r->tags.cap, &r->room);
}

bool inode_tags_fit(const struct inode *i, size_t more, const struct inode_tags_room *r)
{
	return r->tags.cap >= i->tags.len + more;
}

/* The inode's share of the cache follows. */
static void recharge(struct inode *i, size_t before, size_t after)
{
	struct vfs_engine *e = i->engine;

	if (after > before)
		budget_force(e->o.budget, BUDGET_CACHE, after - before);
	else
		budget_put(e->o.budget, BUDGET_CACHE, before - after);
	atomic_fetch_add_explicit(&i->charge, after - before, memory_order_relaxed);
	atomic_fetch_add_explicit(&e->table.bytes, after - before, memory_order_relaxed);
}

void inode_tags_exchange(struct inode *i, struct buf *tags)
{
	struct buf old = i->tags;

	rwlock_assert_write(&i->lock);
	recharge(i, old.cap, tags->cap);
	i->tags = *tags;
	*tags = old;
}

void inode_tags_take(struct inode *i, struct inode_tags_room *r)
{
	uint8_t *old = i->room;

	assert(r->tags.len == 0 && r->tags.cap >= i->tags.len);
	if (i->tags.len)
		memcpy(r->tags.data, i->tags.data, i->tags.len);
	r->tags.len = i->tags.len;
	inode_tags_exchange(i, &r->tags);
	i->room = r->room;
	r->room = old;
}

void inode_tags_room_done(struct inode_tags_room *r)
{
	buf_done(&r->tags);
	free(r->room);
	r->room = NULL;
}
