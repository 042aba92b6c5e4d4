/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Objects are immutable and counted: a space keeps them sorted by name, a reader takes a reference
 * under the lock and copies outside it.
 */
#include "core/store/mem.h"

#include "core/base/cleanup.h"
#include "core/base/thread.h"
#include "core/store/store_internal.h"

#include <assert.h>

struct mem_object {
	atomic_uint refs;
	size_t size;
	const char *key; /* behind the data */
	uint8_t data[];
};

struct mem_space {
	struct mem_space *next; /* guarded by spaces_lock, as are `opens` and `named` */
	unsigned opens;
	bool named; /* still found under its name */
	struct mutex lock;
	struct mem_object **objects; /* guarded by `lock`: by name, ascending */
	size_t n, cap;
	char name[];
};

struct mem_store {
	struct store store;
	struct mem_space *space;
};

/* The lock of the list of spaces has no owner that could initialise it: whoever comes first does.
 */
static struct mutex spaces_lock;
static atomic_int spaces_state; /* 0 not initialised, 1 somebody is at it, 2 ready */
static struct mem_space *spaces;

static void lock_spaces(void)
{
	int none = 0;

	if (atomic_compare_exchange_strong(&spaces_state, &none, 1)) {
		mutex_init(&spaces_lock, RANK_STORE_LAYER_NESTS);
		atomic_store(&spaces_state, 2);
	}
	while (atomic_load(&spaces_state) != 2)
		; /* a few instructions of another thread */
	mutex_lock(&spaces_lock);
}

static void object_unref(struct mem_object *o)
{
	if (o && atomic_fetch_sub(&o->refs, 1) == 1)
		free(o);
}

static struct mem_object *object_new(const char *key, const struct slice *parts, size_t nparts)
{
	size_t size = (size_t)store_parts_size(parts, nparts), at = 0, key_len = strlen(key) + 1;
	struct mem_object *o = malloc(sizeof(*o) + size + key_len);

	if (!o)
		return NULL;
	atomic_init(&o->refs, 1);
	o->size = size;
	for (size_t i = 0; i < nparts; i++) {
		if (parts[i].len > 0)
			memcpy(o->data + at, parts[i].data, parts[i].len);
		at += parts[i].len;
	}
	memcpy(o->data + size, key, key_len);
	o->key = (const char *)o->data + size;
	return o;
}

static void space_free(struct mem_space *sp)
{
	for (size_t i = 0; i < sp->n; i++)
		object_unref(sp->objects[i]);
	free(sp->objects);
	mutex_done(&sp->lock);
	free(sp);
}

/* Index of the first object whose name is not below `key`. */
static size_t lower_bound_locked(const struct mem_space *sp, const char *key)
{
	size_t lo = 0, hi = sp->n;

	mutex_assert_held(&sp->lock);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(sp->objects[mid]->key, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool is_at_locked(const struct mem_space *sp, size_t i, const char *key)
{
	return i < sp->n && strcmp(sp->objects[i]->key, key) == 0;
}

/* Takes `o` on success. */
static int insert_locked(struct mem_space *sp, size_t i, struct mem_object *o)
{
	if (sp->n == sp->cap) {
		size_t cap = sp->cap ? sp->cap * 2 : 64;
		struct mem_object **p = reallocarray(sp->objects, cap, sizeof(*p));

		if (!p)
			return -ENOMEM;
		sp->objects = p;
		sp->cap = cap;
	}
	memmove(sp->objects + i + 1, sp->objects + i, (sp->n - i) * sizeof(*sp->objects));
	sp->objects[i] = o;
	sp->n++;
	return 0;
}

static struct mem_space *space_of(struct store *s)
{
	return ((struct mem_store *)s)->space;
}

/* create and put: `replace` tells which. */
static int write_object(struct mem_space *sp, const char *key, const struct slice *parts,
	size_t nparts, bool replace, struct error *err)
{
	struct mem_object *o = object_new(key, parts, nparts), *drop = NULL;
	int r = 0;

	if (!o)
		return error_set(err, -ENOMEM, "%s: no memory for the object", key);
	mutex_lock(&sp->lock);
	size_t i = lower_bound_locked(sp, key);

	if (!is_at_locked(sp, i, key)) {
		r = insert_locked(sp, i, o);
	} else if (replace) {
		drop = sp->objects[i];
		sp->objects[i] = o;
	} else {
		r = -EEXIST;
	}
	mutex_unlock(&sp->lock);
	object_unref(drop);
	if (r < 0) {
		object_unref(o);
		return error_set(err, r, "%s: %s", key, r == -EEXIST ? "exists" : "no memory");
	}
	return 0;
}

static int mem_create(struct store *s, const char *key, const struct slice *parts, size_t nparts,
	struct error *err)
{
	return write_object(space_of(s), key, parts, nparts, false, err);
}

static int mem_put(struct store *s, const char *key, const struct slice *parts, size_t nparts,
	struct error *err)
{
	return write_object(space_of(s), key, parts, nparts, true, err);
}

static int mem_get(struct store *s, const char *key, uint64_t offset, bool from_end, void *buf,
	size_t len, size_t *ret_len, uint64_t *ret_size, struct error *err)
{
	struct mem_space *sp = space_of(s);
	struct mem_object *o = NULL;

	mutex_lock(&sp->lock);
	size_t i = lower_bound_locked(sp, key);

	if (is_at_locked(sp, i, key)) {
		o = sp->objects[i];
		atomic_fetch_add(&o->refs, 1);
	}
	mutex_unlock(&sp->lock);
	if (!o)
		return error_set(err, -ENOENT, "%s: no such object", key);
	offset = store_read_range(o->size, offset, from_end, len, ret_len);
	*ret_size = o->size;
	if (*ret_len > 0)
		memcpy(buf, o->data + offset, *ret_len);
	object_unref(o);
	return 0;
}

static int mem_del(struct store *s, const char *key, struct error *err)
{
	struct mem_space *sp = space_of(s);
	struct mem_object *o = NULL;

	(void)err; /* nothing can fail */
	mutex_lock(&sp->lock);
	size_t i = lower_bound_locked(sp, key);

	if (is_at_locked(sp, i, key)) {
		o = sp->objects[i];
		sp->n--;
		memmove(sp->objects + i, sp->objects + i + 1, (sp->n - i) * sizeof(*sp->objects));
	}
	mutex_unlock(&sp->lock);
	object_unref(o);
	return 0;
}

static int mem_list(struct store *s, const char *prefix, const char *after, struct store_list *out,
	struct error *err)
{
	struct mem_space *sp = space_of(s);
	size_t prefix_len = strlen(prefix);
	int r = 0;

	mutex_lock(&sp->lock);
	size_t i = lower_bound_locked(sp, after && strcmp(after, prefix) > 0 ? after : prefix);

	for (; r == 0 && i < sp->n; i++) {
		const struct mem_object *o = sp->objects[i];

		if (strncmp(o->key, prefix, prefix_len) != 0)
			break;
		if (after && strcmp(o->key, after) == 0)
			continue;
		if (out->n == STORE_LIST_PAGE) {
			out->more = true;
			break;
		}
		r = store_list_append(out, o->key, o->size);
	}
	mutex_unlock(&sp->lock);
	if (r < 0) {
		store_list_done(out);
		return error_set(err, r, "LIST of %s: no memory", prefix);
	}
	return 0;
}

static void mem_close(struct store *s)
{
	struct mem_space *sp = space_of(s);

	lock_spaces();
	assert(sp->opens > 0);
	bool last = --sp->opens == 0 && !sp->named;

	mutex_unlock(&spaces_lock);
	if (last)
		space_free(sp);
	free(s);
}

static const struct store_ops mem_ops = {
	.name = "mem",
	.create = mem_create,
	.put = mem_put,
	.get = mem_get,
	.del = mem_del,
	.list = mem_list,
	.close = mem_close,
};

static struct mem_space *space_new(const char *name)
{
	size_t len = strlen(name) + 1;
	struct mem_space *sp = calloc(1, sizeof(*sp) + len);

	if (!sp)
		return NULL;
	memcpy(sp->name, name, len);
	mutex_init(&sp->lock, RANK_STORE_LAYER_NESTS);
	sp->named = true;
	return sp;
}

/* The space of that name with one more open, or NULL on ENOMEM. */
static struct mem_space *space_get(const char *name)
{
	struct mem_space *sp;

	lock_spaces();
	for (sp = spaces; sp && strcmp(sp->name, name) != 0;)
		sp = sp->next;
	if (!sp) {
		sp = space_new(name);
		if (sp) {
			sp->next = spaces;
			spaces = sp;
		}
	}
	if (sp)
		sp->opens++;
	mutex_unlock(&spaces_lock);
	return sp;
}

int mem_store_open(const char *name, struct store **ret, struct error *err)
{
	CLEANUP(free_p) struct mem_store *m = calloc(1, sizeof(*m));

	if (!m)
		return error_set(err, -ENOMEM, "no memory for a store");
	m->store.ops = &mem_ops;
	m->space = space_get(name);
	if (!m->space)
		return error_set(err, -ENOMEM, "no memory for a store");
	*ret = &TAKE(m)->store;
	return 0;
}

void mem_store_forget(const char *name)
{
	struct mem_space *sp = NULL;
	bool unused = false;

	lock_spaces();
	for (struct mem_space **p = &spaces; *p; p = &(*p)->next)
		if (strcmp((*p)->name, name) == 0) {
			sp = *p;
			*p = sp->next;
			sp->named = false;
			unused = sp->opens == 0;
			break;
		}
	mutex_unlock(&spaces_lock);
	if (unused)
		space_free(sp);
}
