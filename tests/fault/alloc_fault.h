/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_FAULT_ALLOC_FAULT_H
#define TESTS_FAULT_ALLOC_FAULT_H
/* Makes the n-th allocation of this program fail: malloc and its relatives are replaced at link
 * time (--wrap). */
#include <stdbool.h>
#include <stdint.h>

/* From now on the `nth` allocation (from 1) fails, and with `persistent` all later ones. 0 = none
 * fails, count only. */
void alloc_fault_arm(uint64_t nth, bool persistent);
void alloc_fault_disarm(void);
uint64_t alloc_fault_count(void); /* allocations since it was armed */
bool alloc_fault_struck(void);

#endif
