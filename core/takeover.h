/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_TAKEOVER_H
#define CORE_TAKEOVER_H
/*
 * How a process becomes the writer (rules T1-T8): claim, validated read of the manifest, fences,
 * replay, take-over manifest, lease wait. Beside volume.c because it sees log and index at once;
 * nothing else does.
 */
#include "core/index/maintain.h"
#include "core/log/epoch.h"
#include "core/log/replay.h"

struct takeover_options {
	struct store *store;
	const struct volume_keys *keys;
	const struct identity *me;
	struct index_options index; /* how to open the index that the replay fills */
	char endpoint[256];
	bool exclusive;
	bool force;	      /* claim although the holder seems alive */
	uint64_t patience_ms; /* wait for a holder that is closing, 60000 */
	uint64_t ttl_ms;      /* L3, 30000 */
	/* Progress for the user: "waiting for ... since ...", may be NULL. */
	void (*waiting)(void *arg, const struct claim *holder, enum holder_state state);
	void *arg;
};
struct takeover_result {
	struct claim claim;
	struct manifest *manifest; /* the one of T6; one reference */
	struct index *index;	   /* tables and replayed groups; owned by the caller */
	struct index_writer writer;
	uint64_t last_group;	 /* continue after it */
	uint64_t serve_after_ns; /* L3: answer nothing before; for lease_options as well */
	uint64_t beats;		 /* heartbeats written so far, for lease_options */
};
/*
 * 0; -EBUSY somebody else is the writer (*ret_holder says who; nothing was written); -ESTALE lost
 * to a newer claimant; store errors; -EBADMSG damage (a segment below an end is missing though the
 * manifest did not move).
 */
int takeover(const struct takeover_options *o, struct takeover_result *ret,
	struct claim *ret_holder, struct error *err);

#endif
