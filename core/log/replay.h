/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_LOG_REPLAY_H
#define CORE_LOG_REPLAY_H
/*
 * Reading a log in order: a new writer's replay (T5) and followers (R1). Complete groups only;
 * groups that are in the tables are skipped. The caller decides about ends, manifests and crossing
 * of epochs.
 */
#include "core/log/segment.h"

struct replay_ops {
	/* A complete group, in order. The journal is borrowed. Negative results end the replay. */
	int (*group)(void *arg, uint64_t epoch, uint64_t sequence, const struct journal *j,
		struct error *err);
	/* After every position, between requests; may be NULL. A place to show that this process
	 * lives. */
	void (*progress)(void *arg);
	void *arg;
};

struct replay_state {
	uint64_t epoch, sequence; /* the position to read next */
	uint64_t last_group;	  /* the last group applied or in the tables */
};

enum replay_stop {
	REPLAY_END,	/* reached `end` */
	REPLAY_MISSING, /* nothing at the position, or (below an `end`) a fence */
	REPLAY_FENCE,	/* a fence there (only without `end`) */
};
/*
 * Applies segments of epoch state->epoch from state->sequence on, up to `end` (sequence; UINT64_MAX
 * = until something is missing or a fence lies there). Tail reads of following positions are made
 * in parallel ahead (at most `ahead`). 0 and where it stopped, or an error. -EBADMSG: damaged, text
 * names the object.
 */
int replay_run(struct store *s, const struct volume_keys *k, struct replay_state *state,
	uint64_t end, unsigned ahead, const struct replay_ops *ops, enum replay_stop *ret,
	struct error *err);

#endif
