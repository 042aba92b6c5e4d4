/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_TREAP_H
#define CORE_BASE_TREAP_H
/*
 * An ordered tree whose links lie inside the members: a treap, balanced by random priorities, so
 * that every operation takes O(log n) steps on average, whatever order the members come in. A node
 * may carry a summary of its subtree (the largest end of an interval, say), kept by `update`. No
 * links to parents: who wants the next member asks for the first one behind the last. Owns nothing.
 * Not thread-safe.
 */
#include <stddef.h>
#include <stdint.h>

struct treap_node {
	struct treap_node *left, *right;
	uint32_t priority;
};

struct treap_ops {
	/* < 0, 0, > 0; two members of one tree are never equal. */
	int (*compare)(const struct treap_node *a, const struct treap_node *b);
	/* Recomputes the summary of `n` from itself and its children. May be NULL. */
	void (*update)(struct treap_node *n);
};

/* `priority` should be random and unknown to who chooses the keys. */
void treap_insert(struct treap_node **root, const struct treap_ops *ops, struct treap_node *n,
	uint32_t priority);
/* `n` is in the tree. */
void treap_remove(struct treap_node **root, const struct treap_ops *ops, struct treap_node *n);
/*
 * The first member with side(member, arg) >= 0, NULL when there is none. `side` says where a member
 * lies of what is sought: < 0 before it; it must agree with the order of the tree.
 */
struct treap_node *treap_first(struct treap_node *root,
	int (*side)(const struct treap_node *n, const void *arg), const void *arg);

#endif
