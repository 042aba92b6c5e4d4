/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_PLANTED_H
#define CORE_BASE_PLANTED_H
/*
 * Rules that a test can switch off at run time, to prove that the simulator notices. Only builds
 * configured with -Dplanted_bugs=true can break anything: elsewhere planted() is the constant false
 * and the compiler removes what it guards. At most one rule is off at a time; set it while no other
 * thread runs.
 */
#include <stdbool.h>

enum planted {
	PLANTED_NONE,
	PLANTED_SKIP_FENCE,
	PLANTED_FLUSH_UNACKED,
	PLANTED_NO_ENCODE_ON_TOUCH,
	PLANTED_NONCE_REUSE,
	PLANTED_DROP_RANGE_DELETE,
	PLANTED_ACK_OUT_OF_ORDER,
	PLANTED_EQUAL_HASH_LOST,
	PLANTED_FORGET_DEBIT,
	PLANTED_DELETE_BEFORE_MANIFEST,
	PLANTED_FOREIGN_SEGMENT,
	PLANTED_SHORT_BODY,
	PLANTED_RULE_W3,
	PLANTED_RULE_W4,
	PLANTED_RULE_W6,
	PLANTED_RULE_W7,
	PLANTED_RULE_T2,
	PLANTED_RULE_T3,
	PLANTED_RULE_T4,
	PLANTED_RULE_T6,
	PLANTED_RULE_M1,
	PLANTED_RULE_M2,
	PLANTED_RULE_M3,
	PLANTED_RULE_D2,
	PLANTED_RULE_D4,
	PLANTED_RULE_D7,
	PLANTED_RULE_L2,
	PLANTED_RULE_L3,
	PLANTED_RULE_R1,
	PLANTED_RULE_R2,
	PLANTED_RULE_R4,
	PLANTED_COUNT
};

#ifdef PLANTED_BUGS

extern enum planted planted_now; /* set by planted_use */

static inline bool planted(enum planted p)
{
	return planted_now == p;
}

/* Switches one rule off, and the one before on again. PLANTED_NONE: everything is as it should be.
 */
void planted_use(enum planted p);
/* "skip-fence", "rule-m1", ...: for seeds that a person replays. Never NULL. */
const char *planted_name(enum planted p);
/* PLANTED_COUNT when there is no such name. */
enum planted planted_by_name(const char *name);

#else

static inline bool planted(enum planted p)
{
	(void)p;
	return false;
}

#endif

#endif
