/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_LIST_H
#define CORE_BASE_LIST_H
/*
 * A doubly linked ring whose links lie inside the members. A head is a struct list that belongs to
 * no member. A link that is in no list points to itself (after list_init or list_remove), so
 * list_remove on it is harmless. A head must not move in memory. Not thread-safe.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct list {
	struct list *prev, *next;
};

#define LIST_INIT(name)                                                                            \
	{                                                                                          \
		.prev = &(name), .next = &(name)                                                   \
	}

/* The struct of `type` whose field `member` is at `ptr`. */
#define container_of(ptr, type, member)                                                            \
	({                                                                                         \
		const __typeof__(((type *)0)->member) *member_ = (ptr);                            \
		(type *)((uintptr_t)member_ - offsetof(type, member));                             \
	})

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}

/* True for an empty head, and for a link in no list. */
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_link_(struct list *item, struct list *prev, struct list *next)
{
	item->prev = prev;
	item->next = next;
	prev->next = item;
	next->prev = item;
}

/* At the front, or behind a member. */
static inline void list_push_front(struct list *head, struct list *item)
{
	list_link_(item, head, head->next);
}

/* At the end, or before a member. */
static inline void list_push_back(struct list *head, struct list *item)
{
	list_link_(item, head->prev, head);
}

static inline void list_remove(struct list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list_init(item);
}

static inline void list_move_front(struct list *head, struct list *item)
{
	list_remove(item);
	list_push_front(head, item);
}

static inline void list_move_back(struct list *head, struct list *item)
{
	list_remove(item);
	list_push_back(head, item);
}

/* All members of `from` to the end of `to`; `from` is empty then. */
static inline void list_splice_back(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

/* The first or last member as its struct, NULL when the list is empty. */
#define list_first(head, type, member)                                                             \
	(list_empty(head) ? NULL : container_of((head)->next, type, member))
#define list_last(head, type, member)                                                              \
	(list_empty(head) ? NULL : container_of((head)->prev, type, member))

/* `pos` is a pointer to the struct; it is not valid after the loop ran to its end. */
#define list_for_each(pos, head, member)                                                           \
	for ((pos) = container_of((head)->next, __typeof__(*(pos)), member);                       \
		&(pos)->member != (head);                                                          \
		(pos) = container_of((pos)->member.next, __typeof__(*(pos)), member))

/* The body may remove and free `pos`; `tmp` is another pointer of the same type. */
#define list_for_each_safe(pos, tmp, head, member)                                                 \
	for ((pos) = container_of((head)->next, __typeof__(*(pos)), member),                       \
	    (tmp) = container_of((pos)->member.next, __typeof__(*(pos)), member);                  \
		&(pos)->member != (head); (pos) = (tmp),                                           \
	    (tmp) = container_of((tmp)->member.next, __typeof__(*(pos)), member))

#endif
