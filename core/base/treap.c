/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recursion goes as deep as the tree: about 50 for 100,000 members. */
#include "core/base/treap.h"

#include <assert.h>

static void update(const struct treap_ops *ops, struct treap_node *n)
{
	if (ops->update)
		ops->update(n);
}

/* Divides a tree into what lies before `n` and what lies behind it. */
static void split(struct treap_node *at, const struct treap_ops *ops, const struct treap_node *n,
	struct treap_node **ret_before, struct treap_node **ret_behind)
{
	if (!at) {
		*ret_before = *ret_behind = NULL;
		return;
	}
	if (ops->compare(at, n) < 0) {
		split(at->right, ops, n, &at->right, ret_behind);
		*ret_before = at;
	} else {
		split(at->left, ops, n, ret_before, &at->left);
		*ret_behind = at;
	}
	update(ops, at);
}

/* All of `a` lies before all of `b`. */
static struct treap_node *join(
	struct treap_node *a, const struct treap_ops *ops, struct treap_node *b)
{
	if (!a || !b)
		return a ? a : b;
	if (a->priority > b->priority) {
		a->right = join(a->right, ops, b);
		update(ops, a);
		return a;
	}
	b->left = join(a, ops, b->left);
	update(ops, b);
	return b;
}

static struct treap_node *insert_at(
	struct treap_node *at, const struct treap_ops *ops, struct treap_node *n)
{
	if (!at || n->priority > at->priority) {
		split(at, ops, n, &n->left, &n->right);
		update(ops, n);
		return n;
	}
	if (ops->compare(n, at) < 0)
		at->left = insert_at(at->left, ops, n);
	else
		at->right = insert_at(at->right, ops, n);
	update(ops, at);
	return at;
}

void treap_insert(struct treap_node **root, const struct treap_ops *ops, struct treap_node *n,
	uint32_t priority)
{
	n->priority = priority;
	*root = insert_at(*root, ops, n);
}

static struct treap_node *remove_at(
	struct treap_node *at, const struct treap_ops *ops, const struct treap_node *n)
{
	assert(at);
	if (at == n)
		return join(at->left, ops, at->right);
	if (ops->compare(n, at) < 0)
		at->left = remove_at(at->left, ops, n);
	else
		at->right = remove_at(at->right, ops, n);
	update(ops, at);
	return at;
}

void treap_remove(struct treap_node **root, const struct treap_ops *ops, struct treap_node *n)
{
	*root = remove_at(*root, ops, n);
}

struct treap_node *treap_first(struct treap_node *root,
	int (*side)(const struct treap_node *n, const void *arg), const void *arg)
{
	struct treap_node *best = NULL;

	while (root)
		if (side(root, arg) < 0) {
			root = root->right;
		} else {
			best = root;
			root = root->left;
		}
	return best;
}
