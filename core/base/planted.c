/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which rule is off, and names for the rules. Empty in builds that cannot break one. */
#include "core/base/planted.h"

#ifdef PLANTED_BUGS

#include <assert.h>
#include <string.h>

enum planted planted_now = PLANTED_NONE;

static const char *const names[PLANTED_COUNT] = {
	[PLANTED_NONE] = "none",
	[PLANTED_SKIP_FENCE] = "skip-fence",
	[PLANTED_FLUSH_UNACKED] = "flush-unacked",
	[PLANTED_NO_ENCODE_ON_TOUCH] = "no-encode-on-touch",
	[PLANTED_NONCE_REUSE] = "nonce-reuse",
	[PLANTED_DROP_RANGE_DELETE] = "drop-range-delete",
	[PLANTED_ACK_OUT_OF_ORDER] = "ack-out-of-order",
	[PLANTED_EQUAL_HASH_LOST] = "equal-hash-lost",
	[PLANTED_FORGET_DEBIT] = "forget-debit",
	[PLANTED_DELETE_BEFORE_MANIFEST] = "delete-before-manifest",
	[PLANTED_FOREIGN_SEGMENT] = "foreign-segment",
	[PLANTED_SHORT_BODY] = "short-body",
	[PLANTED_RULE_W3] = "rule-w3",
	[PLANTED_RULE_W4] = "rule-w4",
	[PLANTED_RULE_W6] = "rule-w6",
	[PLANTED_RULE_W7] = "rule-w7",
	[PLANTED_RULE_T2] = "rule-t2",
	[PLANTED_RULE_T3] = "rule-t3",
	[PLANTED_RULE_T4] = "rule-t4",
	[PLANTED_RULE_T6] = "rule-t6",
	[PLANTED_RULE_M1] = "rule-m1",
	[PLANTED_RULE_M2] = "rule-m2",
	[PLANTED_RULE_M3] = "rule-m3",
	[PLANTED_RULE_D2] = "rule-d2",
	[PLANTED_RULE_D4] = "rule-d4",
	[PLANTED_RULE_D7] = "rule-d7",
	[PLANTED_RULE_L2] = "rule-l2",
	[PLANTED_RULE_L3] = "rule-l3",
	[PLANTED_RULE_R1] = "rule-r1",
	[PLANTED_RULE_R2] = "rule-r2",
	[PLANTED_RULE_R4] = "rule-r4",
};

void planted_use(enum planted p)
{
	assert(p < PLANTED_COUNT);
	planted_now = p;
}

const char *planted_name(enum planted p)
{
	return p < PLANTED_COUNT ? names[p] : "?";
}

enum planted planted_by_name(const char *name)
{
	for (int i = 0; i < PLANTED_COUNT; i++)
		if (strcmp(names[i], name) == 0)
			return (enum planted)i;
	return PLANTED_COUNT;
}

#endif
