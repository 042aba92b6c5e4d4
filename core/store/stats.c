/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/store/stats.h"

#include "core/base/env.h"
#include "core/store/store_internal.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

struct atomic_count {
	_Atomic uint64_t calls, absent, failed, bytes;
};

struct stats_layer {
	struct layer layer;
	/* atomic counters */
	struct atomic_count count[STORE_OPS][STORE_CLASSES];
	struct {
		_Atomic uint64_t total_ns, max_ns, under_way;
	} time[STORE_OPS];
};

static const struct {
	const char *prefix, *name;
} classes[] = {
	[STORE_CLASS_SUPERBLOCK] = {"zerofs.json", "superblock"},
	[STORE_CLASS_KEYS] = {"keys/", "keys"},
	[STORE_CLASS_WRITER] = {"writer/", "writer"},
	[STORE_CLASS_LOG] = {"log/", "log"},
	[STORE_CLASS_TABLE] = {"table/", "table"},
	[STORE_CLASS_MANIFEST] = {"manifest/", "manifest"},
	[STORE_CLASS_OTHER] = {"", "other"},
};
static_assert(sizeof(classes) / sizeof(classes[0]) == STORE_CLASSES, "every class has a name");

enum store_class stats_class(const char *key)
{
	int c = 0;

	while (strncmp(key, classes[c].prefix, strlen(classes[c].prefix)) != 0)
		c++; /* ends at the last: an empty prefix */
	return (enum store_class)c;
}

const char *stats_class_name(enum store_class c)
{
	return classes[c].name;
}

static void raise_to(_Atomic uint64_t *max, uint64_t v)
{
	uint64_t old = atomic_load_explicit(max, memory_order_relaxed);

	while (v > old && !atomic_compare_exchange_weak(max, &old, v))
		; /* `old` is fresh now */
}

static uint64_t bytes_moved(const struct store_call *c)
{
	switch (c->op) {
	case STORE_CREATE:
	case STORE_PUT:
		return store_parts_size(c->parts, c->nparts);
	case STORE_GET:
		return c->ret_len;
	case STORE_LIST:
		return c->out->n;
	case STORE_DELETE:
	case STORE_OPS:
		break;
	}
	return 0;
}

static int stats_call(struct layer *l, struct store_call *c, struct error *err)
{
	struct stats_layer *t = (struct stats_layer *)l;
	struct atomic_count *n = &t->count[c->op][stats_class(c->key)];
	uint64_t start = env_now_ns();

	atomic_fetch_add(&t->time[c->op].under_way, 1);
	int r = layer_pass(l, c, err);
	uint64_t took = env_now_ns() - start;

	atomic_fetch_sub(&t->time[c->op].under_way, 1);
	atomic_fetch_add(&t->time[c->op].total_ns, took);
	raise_to(&t->time[c->op].max_ns, took);
	atomic_fetch_add(&n->calls, 1);
	if (r >= 0)
		atomic_fetch_add(&n->bytes, bytes_moved(c));
	else if (r == -ENOENT || r == -EEXIST)
		atomic_fetch_add(&n->absent, 1);
	else
		atomic_fetch_add(&n->failed, 1);
	return r;
}

static void stats_close(struct store *s)
{
	store_close(s->below);
	free(s);
}

static const struct store_ops stats_ops = {
	.name = "stats",
	.create = layer_create,
	.put = layer_put,
	.get = layer_get,
	.del = layer_del,
	.list = layer_list,
	.close = stats_close,
};

struct store *stats_new(struct store *below)
{
	struct stats_layer *t = calloc(1, sizeof(*t));

	if (!t) {
		store_close(below);
		return NULL;
	}
	t->layer.store = (struct store){.ops = &stats_ops, .below = below};
	t->layer.call = stats_call;
	return &t->layer.store;
}

void stats_snapshot(struct store *s, struct stats *ret)
{
	struct stats_layer *t = (struct stats_layer *)s;

	assert(s->ops == &stats_ops);
	for (int op = 0; op < STORE_OPS; op++) {
		for (int c = 0; c < STORE_CLASSES; c++) {
			struct atomic_count *n = &t->count[op][c];

			ret->count[op][c] = (struct stats_count){
				.calls = atomic_load(&n->calls),
				.absent = atomic_load(&n->absent),
				.failed = atomic_load(&n->failed),
				.bytes = atomic_load(&n->bytes),
			};
		}
		ret->time[op] = (struct stats_time){
			.total_ns = atomic_load(&t->time[op].total_ns),
			.max_ns = atomic_load(&t->time[op].max_ns),
			.under_way = atomic_load(&t->time[op].under_way),
		};
	}
}

struct stats_count stats_sum(const struct stats *st, enum store_op op)
{
	struct stats_count sum = {0};

	for (int c = 0; c < STORE_CLASSES; c++) {
		sum.calls += st->count[op][c].calls;
		sum.absent += st->count[op][c].absent;
		sum.failed += st->count[op][c].failed;
		sum.bytes += st->count[op][c].bytes;
	}
	return sum;
}
