/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_LOCK_CHECK_H
#define CORE_BASE_LOCK_CHECK_H
/*
 * What every thread holds, checked against the ranks; with EXPENSIVE_CHECKS only, otherwise these
 * are empty. Private to thread.c. Threads are told apart by env->thread_self(), so the check works
 * under fibres too.
 */
#include "core/base/lock_ranks.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef EXPENSIVE_CHECKS
/*
 * Before waiting for a lock: aborts when the calling thread holds it already, or one of a higher
 * rank, or of the same one.
 */
void lock_check_order(const void *lock, enum lock_rank rank);
/* The lock has been taken, or given back. */
void lock_check_taken(const void *lock, enum lock_rank rank);
void lock_check_released(const void *lock);
/* Before waiting on a condition: the lock will be taken again, so it must be the innermost one. */
void lock_check_wait(const void *lock, enum lock_rank rank);
void lock_check_forget(uint64_t self);
#else
static inline void lock_check_order(const void *lock, enum lock_rank rank)
{
	(void)lock;
	(void)rank;
}
static inline void lock_check_taken(const void *lock, enum lock_rank rank)
{
	(void)lock;
	(void)rank;
}
static inline void lock_check_released(const void *lock)
{
	(void)lock;
}
static inline void lock_check_wait(const void *lock, enum lock_rank rank)
{
	(void)lock;
	(void)rank;
}
static inline void lock_check_forget(uint64_t self)
{
	(void)self;
}
#endif

#endif
