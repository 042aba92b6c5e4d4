/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_STORE_RETRY_H
#define CORE_STORE_RETRY_H
/*
 * The only place that repeats requests. Transient failures (-EIO, -ETIMEDOUT, an answer with too
 * few bytes) are repeated after a random wait below a limit that doubles. A store that refuses
 * (-EACCES, -ENOSPC) is asked again in the same way, but not for long: no wait of ours gives it
 * space or lets us in, and whoever asked must learn of it (the log then tells writers, and goes on
 * asking by itself). Everything else is an answer and passes up at once.
 *
 * A repeated create may be answered -EEXIST because the first attempt took effect without a reply:
 * this passes up as it is, and store_create() settles it by reading back (rule W3).
 */
#include "core/store/store.h"

/* 0 in any field means its default. */
struct retry_options {
	uint64_t timeout_ms; /* how long one request is tried; the last attempt begins then. 600000
			      */
	uint64_t min_ms;     /* limit of the first wait: 50 */
	uint64_t max_ms;     /* limit of later ones: 10000 */
	uint64_t refused_ms; /* how long a request is tried that the store refuses: 1000 */
};

/* For status displays. Times are those of env_now_ns(). */
struct retry_status {
	bool degraded; /* a request is failing, or failed for good and none has succeeded since */
	uint64_t since_ns;	  /* when that began; 0 when not degraded */
	uint64_t failed_at_ns;	  /* the newest failed attempt; 0 = never */
	uint64_t attempts_failed; /* in all, since the layer was made */
	uint64_t gave_up;	  /* requests that failed for good */
	unsigned waiting;	  /* requests between two attempts */
	struct error last;	  /* the newest failure */
};

/* Takes `below`. NULL on ENOMEM. */
struct store *retry_new(struct store *below, const struct retry_options *o);
void retry_get_status(struct store *s, struct retry_status *ret);

#endif
