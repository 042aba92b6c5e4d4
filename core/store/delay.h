/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_STORE_DELAY_H
#define CORE_STORE_DELAY_H
/*
 * A layer that behaves like a store far away: a latency per request, and a link of limited
 * bandwidth that the requests under way share fairly. For benches and for users who want to see how
 * a volume feels over a given line. Half of the latency passes before a request takes effect, half
 * after it.
 */
#include "core/store/store.h"

struct delay_options {
	uint64_t
		latency_us; /* from a request to the first byte of its answer, bodies not counted */
	uint64_t link_bytes_per_s;	 /* all requests together, each direction; 0 = unlimited */
	uint64_t connection_bytes_per_s; /* one request alone; 0 = unlimited */
	uint64_t seed; /* not 0: latencies vary evenly between 1/2 and 3/2 of latency_us, from this
			  seed */
};

/* Takes `below`. NULL on ENOMEM. */
struct store *delay_new(struct store *below, const struct delay_options *o);
/* While set, no request begins or ends; those that wait go on when it is cleared, or fail when
 * cancelled. */
void delay_set_hang(struct store *s, bool hang);

#endif
