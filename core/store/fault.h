/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_STORE_FAULT_H
#define CORE_STORE_FAULT_H
/*
 * A layer that fails on purpose, for tests of everything above a store: by rules that pick requests
 * by operation, by the beginning of their name, and by count. Thread-safe; which request is the
 * n-th is decided when it arrives.
 */
#include "core/store/store.h"

#define FAULT_RULES_MAX 16
#define FAULT_FOREVER UINT64_MAX
#define FAULT_OP(op) (1u << (op))
#define FAULT_WRITES (FAULT_OP(STORE_CREATE) | FAULT_OP(STORE_PUT))
#define FAULT_ALL_OPS ((1u << STORE_OPS) - 1)

enum fault_kind {
	FAULT_ERROR,	  /* `code` instead of an effect */
	FAULT_LOST_REPLY, /* the effect, then -ETIMEDOUT */
	FAULT_SHORT_READ, /* GET gives half of the bytes due, with the right size of the object */
	FAULT_TRUNCATED,  /* GET sees the object as if only its first half had been stored */
	FAULT_GARBLED,	  /* GET gives the bytes with one bit changed */
	FAULT_CUT, /* this request and all later ones, of every kind, have no effect and fail with
		      -EIO */
	FAULT_CUT_AFTER, /* this one is as FAULT_LOST_REPLY, all later ones as FAULT_CUT */
};

struct fault_rule {
	enum fault_kind kind;
	unsigned ops;	    /* FAULT_OP() bits; 0 = all operations */
	const char *prefix; /* of the name; copied; NULL = any */
	uint64_t nth;	/* the first request to fail among those that match, from 1; 0 means 1 */
	uint64_t count; /* how many fail from there on; 0 means 1; FAULT_FOREVER */
	int code;	/* FAULT_ERROR: negative errno; 0 means -EIO */
};

/* Takes `below`. Starts without rules. NULL on ENOMEM. */
struct store *fault_new(struct store *below);
/* Adds a rule; where several would strike, the oldest does. Its number (from 0), or -EINVAL when
 * there are FAULT_RULES_MAX or the prefix is longer than a name. */
int fault_add(struct store *s, const struct fault_rule *rule);
/* Removes all rules and heals a cut; the counters of fault_calls stay. */
void fault_clear(struct store *s);
/* How many requests matched the rule, and how many of them it failed. */
uint64_t fault_seen(struct store *s, int rule);
uint64_t fault_hits(struct store *s, int rule);
/* Requests that arrived here, since the layer was made. */
uint64_t fault_calls(struct store *s, enum store_op op);
bool fault_is_cut(struct store *s);

#endif
