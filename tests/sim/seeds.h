/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_SIM_SEEDS_H
#define TESTS_SIM_SEEDS_H
/* Runs seeds, each in a process of its own: a failure aborts, and what a killed volume held is
 * never freed. */
#include "core/base/planted.h"
#include "tests/sim/world.h"

/* What a seed stands for: every fourth has two writers, every fourth a follower, half of them
 * strict leases. */
struct world_options seed_options(uint64_t seed);

/* One run in a child. `quiet`: its output is thrown away. */
struct seed_job {
	uint64_t seed;
	enum planted bug;
	bool quiet, verbose;
	void (*run)(const struct seed_job *j); /* NULL: world_run of the seed */
	unsigned seconds;		       /* killed then; 0 = 120 */
};
/* The child's number. Aborts when there can be none. */
int seed_start(const struct seed_job *j);
/* Waits for any child: its number, and whether it ended well. */
int seed_wait(bool *ret_good);
/* Starts and waits. */
bool seed_run(const struct seed_job *j);

#endif
