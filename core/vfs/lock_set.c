/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/vfs/lock_set.h"

#include <assert.h>

/* ---- order ---- */

int lock_key_compare(const struct lock_key *a, const struct lock_key *b)
{
	if (a->domain != b->domain)
		return a->domain < b->domain ? -1 : 1;
	return a->owner == b->owner ? 0 : a->owner < b->owner ? -1 : 1;
}

static struct lock_range *range_of(const struct treap_node *n)
{
	return container_of(n, struct lock_range, in_set);
}

static struct lock_range *own_range_of(const struct treap_node *n)
{
	return container_of(n, struct lock_range, in_holder);
}

static struct lock_holder *holder_of(const struct treap_node *n)
{
	return container_of(n, struct lock_holder, in_set);
}

/* Ranges of one owner never begin at the same place. */
static int compare_ranges(const struct lock_range *a, const struct lock_range *b)
{
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return lock_key_compare(&a->holder->key, &b->holder->key);
}

static int compare_in_set(const struct treap_node *a, const struct treap_node *b)
{
	return compare_ranges(range_of(a), range_of(b));
}

static void fold_child(struct lock_range *r, const struct treap_node *child)
{
	const struct lock_range *c;

	if (!child)
		return;
	c = range_of(child);
	if (c->furthest > r->furthest)
		r->furthest = c->furthest;
	if (!c->any_write)
		return;
	if (!r->any_write || c->furthest_write > r->furthest_write)
		r->furthest_write = c->furthest_write;
	r->any_write = true;
}

static void update_in_set(struct treap_node *n)
{
	struct lock_range *r = range_of(n);

	r->furthest = r->end;
	r->any_write = r->write;
	r->furthest_write = r->write ? r->end : 0;
	fold_child(r, n->left);
	fold_child(r, n->right);
}

static int compare_in_holder(const struct treap_node *a, const struct treap_node *b)
{
	uint64_t x = own_range_of(a)->start, y = own_range_of(b)->start;

	return x == y ? 0 : x < y ? -1 : 1;
}

static int compare_holders(const struct treap_node *a, const struct treap_node *b)
{
	return lock_key_compare(&holder_of(a)->key, &holder_of(b)->key);
}

static const struct treap_ops set_ops = {.compare = compare_in_set, .update = update_in_set};
static const struct treap_ops own_ops = {.compare = compare_in_holder};
static const struct treap_ops holders_ops = {.compare = compare_holders};

void lock_set_init(struct lock_set *s, struct rng *rng)
{
	*s = (struct lock_set){.rng = rng};
}

static int holder_side(const struct treap_node *n, const void *arg)
{
	return lock_key_compare(&holder_of(n)->key, arg);
}

struct lock_holder *lock_set_holder(const struct lock_set *s, const struct lock_key *key)
{
	struct treap_node *n = treap_first(s->holders, holder_side, key);

	return n && holder_side(n, key) == 0 ? holder_of(n) : NULL;
}

struct lock_range *lock_holder_first(const struct lock_holder *h)
{
	const struct treap_node *n = h->ranges;

	while (n->left)
		n = n->left;
	return own_range_of(n);
}

/* ---- conflicts ---- */

struct search {
	const struct vfs_lock *want;
	struct lock_key key;
	bool write; /* then every range is in the way, else those for writing */
	const struct lock_range *after;
};

static bool conflicts(const struct lock_range *r, const struct search *q)
{
	return (q->write || r->write) && r->end >= q->want->start && r->start <= q->want->end &&
	       lock_key_compare(&r->holder->key, &q->key) != 0;
}

static struct lock_range *search(const struct treap_node *n, const struct search *q)
{
	struct lock_range *r, *found;
	bool behind;

	if (!n)
		return NULL;
	r = range_of(n);
	if (q->write ? r->furthest < q->want->start
		     : !r->any_write || r->furthest_write < q->want->start)
		return NULL;
	behind = !q->after || compare_ranges(r, q->after) > 0;
	if (behind) {
		found = search(n->left, q);
		if (found)
			return found;
		if (r->start > q->want->end)
			return NULL;
		if (conflicts(r, q))
			return r;
	}
	return search(n->right, q);
}

struct lock_range *lock_set_conflict(
	const struct lock_set *s, const struct vfs_lock *want, const struct lock_range *after)
{
	const struct search q = {
		.want = want,
		.key = lock_key_of(want),
		.write = want->type == VFS_LOCK_WRITE,
		.after = after,
	};

	return search(s->ranges, &q);
}

/* ---- changes ---- */

static void link_range(struct lock_range *r)
{
	struct lock_set *s = r->holder->set;

	treap_insert(&s->ranges, &set_ops, &r->in_set, (uint32_t)rng_next(s->rng));
	treap_insert(&r->holder->ranges, &own_ops, &r->in_holder, (uint32_t)rng_next(s->rng));
}

static void unlink_range(struct lock_range *r)
{
	treap_remove(&r->holder->set->ranges, &set_ops, &r->in_set);
	treap_remove(&r->holder->ranges, &own_ops, &r->in_holder);
}

static void drop_range(struct lock_range *r, struct lock_room *room)
{
	unlink_range(r);
	list_move_back(&room->ranges, &r->in_file);
}

static void drop_holder_if_empty(struct lock_holder *h, struct lock_room *room)
{
	if (h->ranges)
		return;
	treap_remove(&h->set->holders, &holders_ops, &h->in_set);
	assert(!room->holder);
	room->holder = h;
}

static void add_range(
	struct lock_holder *h, struct lock_range like, struct list *file, struct lock_room *room)
{
	struct lock_range *r = list_first(&room->ranges, struct lock_range, in_file);

	assert(r);
	list_remove(&r->in_file);
	*r = like;
	r->holder = h;
	list_init(&r->in_file);
	list_push_back(file, &r->in_file);
	link_range(r);
}

static struct lock_holder *make_holder(
	struct lock_set *s, const struct lock_key *key, struct lock_room *room)
{
	struct lock_holder *h = room->holder;

	assert(h);
	room->holder = NULL;
	*h = (struct lock_holder){.key = *key, .set = s};
	treap_insert(&s->holders, &holders_ops, &h->in_set, (uint32_t)rng_next(s->rng));
	return h;
}

/* Where a range lies of a place: before it when it ends before. */
static int end_side(const struct treap_node *n, const void *arg)
{
	return own_range_of(n)->end < *(const uint64_t *)arg ? -1 : 0;
}

static struct lock_range *first_ending_from(const struct lock_holder *h, uint64_t place)
{
	struct treap_node *n = treap_first(h->ranges, end_side, &place);

	return n ? own_range_of(n) : NULL;
}

/* Takes start..end out of a range that reaches into it. */
static void cut(struct lock_range *r, uint64_t start, uint64_t end, struct lock_room *room)
{
	struct lock_range rest = *r;

	if (r->start >= start && r->end <= end) {
		drop_range(r, room);
		return;
	}
	unlink_range(r);
	if (r->start < start) {
		r->end = start - 1;
		link_range(r);
		if (rest.end <= end)
			return;
		rest.start = end + 1;
		/* Beside `r` in its file's list: that is a place in a list as good as its head. */
		add_range(r->holder, rest, &r->in_file, room);
		return;
	}
	r->start = end + 1;
	link_range(r);
}

bool lock_set_apply(
	struct lock_set *s, const struct vfs_lock *l, struct list *file, struct lock_room *room)
{
	const struct lock_key key = lock_key_of(l);
	struct lock_range merged = {.start = l->start,
		.end = l->end,
		.write = l->type == VFS_LOCK_WRITE,
		.pid = l->pid};
	const uint64_t behind = l->end == UINT64_MAX ? l->end : l->end + 1;
	struct lock_holder *h = lock_set_holder(s, &key);
	struct lock_range *r;
	bool freed = false, last = false;

	if (!h && l->type == VFS_UNLOCK)
		return false;
	if (!h)
		h = make_holder(s, &key, room);
	/* Every range of the owner that touches or overlaps. */
	for (uint64_t at = l->start ? l->start - 1 : 0;
		!last && (r = first_ending_from(h, at)) && r->start <= behind;) {
		last = r->end == UINT64_MAX;
		at = last ? r->end : r->end + 1;
		if (l->type != VFS_UNLOCK && r->write == merged.write) {
			merged.start = r->start < merged.start ? r->start : merged.start;
			merged.end = r->end > merged.end ? r->end : merged.end;
			drop_range(r, room);
		} else if (r->start <= l->end && r->end >= l->start) {
			freed |= l->type == VFS_UNLOCK || r->write;
			cut(r, l->start, l->end, room);
		}
	}
	if (l->type != VFS_UNLOCK)
		add_range(h, merged, file, room);
	drop_holder_if_empty(h, room);
	return freed;
}

void lock_set_remove(struct lock_range *r, struct lock_room *room)
{
	struct lock_holder *h = r->holder;

	drop_range(r, room);
	drop_holder_if_empty(h, room);
}
