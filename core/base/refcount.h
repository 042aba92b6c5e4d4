/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_REFCOUNT_H
#define CORE_BASE_REFCOUNT_H
/*
 * A counter of references to an immutable shared object. Thread-safe. A reference can only be made
 * from one that is held; a table that hands out references to objects without one uses
 * refcount_ref_unless_zero under its lock.
 */
#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define REFCOUNT_MAX (UINT32_MAX / 2)

struct refcount {
	_Atomic uint32_t count;
};

/* One reference, the creator's. */
static inline void refcount_init(struct refcount *r)
{
	atomic_init(&r->count, 1);
}

static inline void refcount_ref(struct refcount *r)
{
	uint32_t old = atomic_fetch_add_explicit(&r->count, 1, memory_order_relaxed);

	assert(old > 0 && old < REFCOUNT_MAX);
}

/* False, and no reference, when the last one is already gone. */
static inline bool refcount_ref_unless_zero(struct refcount *r)
{
	uint32_t old = atomic_load_explicit(&r->count, memory_order_relaxed);

	do {
		if (old == 0)
			return false;
		assert(old < REFCOUNT_MAX);
	} while (!atomic_compare_exchange_weak_explicit(
		&r->count, &old, old + 1, memory_order_acquire, memory_order_relaxed));
	return true;
}

/* True for the last one: the caller destroys the object. */
static inline bool refcount_unref(struct refcount *r)
{
	uint32_t old = atomic_fetch_sub_explicit(&r->count, 1, memory_order_acq_rel);

	assert(old > 0);
	return old == 1;
}

/* For assertions and statistics only: others may change it at any time. */
static inline uint32_t refcount_read(const struct refcount *r)
{
	return atomic_load_explicit(&r->count, memory_order_relaxed);
}

#endif
