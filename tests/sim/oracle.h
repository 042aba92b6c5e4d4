/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_SIM_ORACLE_H
#define TESTS_SIM_ORACLE_H
/*
 * What a volume may look like after a crash: exactly what it looked like after some prefix of its
 * history, and no earlier one than was acknowledged.
 *
 * The order in which operations of concurrent clients take effect cannot be seen from outside.
 * Therefore the namespace is divided into *domains*. Each has one history, whose order is known:
 * the subtree of a client (and the client's own names in a directory that all share, so that the
 * clients meet inside of its inode), and a subtree that all clients change in turn, one at a time.
 * Operations of different domains commute, so every state of the volume is one state per domain,
 * and a cut of the whole history is one prefix length per domain.
 *
 * Not every combination of prefixes is a cut. Where operation a had returned before operation b was
 * called, every history has a before b, so a cut that holds b holds a. The harness counts a tick at
 * each call and return; with the last operation inside of one prefix and the first one outside of
 * another this is one comparison per pair of domains. An operation that never returned (a crash)
 * may be in or out.
 *
 * An acknowledgement *pins* a prefix. fsync of a file pins its domain up to the last operation that
 * named this file (or, for a directory, changed an entry); what lies before it in other domains
 * follows by the ticks. sync pins in every domain what had returned before sync was called. What a
 * follower has shown is pinned like what was acknowledged (rule R1).
 *
 * Operations that fail are part of the history, and change nothing. Several prefixes may look
 * alike; any of them will do.
 *
 * Belongs to the harness: no locks, no waiting.
 */
#include "tests/sim/tree.h"

#define ORACLE_DOMAINS 4 /* clients 0, 1, 2, and what they share */
#define ORACLE_SHARED 3

struct oracle;

/* One prefix length per domain. */
struct oracle_cut {
	uint64_t n[ORACLE_DOMAINS];
};

struct oracle *oracle_new(void);
void oracle_free(struct oracle *o);

/* An operation is called: its index. *ret_expected: what it has to return. At most one per domain
 * is under way. */
uint64_t oracle_begin(struct oracle *o, unsigned domain, const struct op *op, int *ret_expected);
void oracle_end(struct oracle *o, unsigned domain, uint64_t index);
/* The state after all operations so far, borrowed; for reading. */
struct tree *oracle_tree(struct oracle *o, unsigned domain);
/* Operations that have returned. */
void oracle_returned(const struct oracle *o, struct oracle_cut *ret);
uint64_t oracle_total(const struct oracle *o); /* operations ever begun */

/* From now on every cut has at least so many operations. */
void oracle_pin(struct oracle *o, unsigned domain, uint64_t n);
void oracle_pin_all(struct oracle *o, const struct oracle_cut *c);
void oracle_pinned(const struct oracle *o, struct oracle_cut *ret);

/*
 * Whether these trees, one per domain, are a cut that is nowhere below `floor`. `lowest` and
 * `highest` (each may be NULL): per domain, the shortest and longest prefix that looks like this.
 * `quiet`: no report.
 */
bool oracle_match(struct oracle *o, struct tree *const trees[ORACLE_DOMAINS],
	const struct oracle_cut *floor, struct oracle_cut *ret, struct oracle_cut *lowest,
	struct oracle_cut *highest, bool quiet);
/* The volume goes on from this cut: what came later never happened. */
void oracle_restart(struct oracle *o, const struct oracle_cut *c);

#endif
