/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whole volumes in the simulator.
 *
 *   sim --seed N [--verbose]
 *   sim --seeds FROM COUNT [--jobs N] [--seconds N]
 *
 * Prints one line for each seed that fails, by which it can be replayed. Exits 1 when one has
 * failed.
 */
#include "tests/sim/seeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define JOBS_MAX 16

static int usage(void)
{
	fprintf(stderr, "usage: sim --seed N [--verbose]\n"
			"       sim --seeds FROM COUNT [--jobs N] [--seconds N]\n");
	return 2;
}

struct running {
	int pid;
	uint64_t seed;
};

static unsigned take_one(struct running *running, unsigned *n, const char *program)
{
	bool good;
	int pid = seed_wait(&good);
	unsigned i = 0;

	while (i < *n && running[i].pid != pid)
		i++;
	if (i == *n)
		return 0;
	if (!good)
		printf("FAILED, replay with: %s --seed %llu\n", program,
			(unsigned long long)running[i].seed);
	running[i] = running[--*n];
	return !good;
}

static int run_seeds(
	const char *program, uint64_t from, uint64_t count, unsigned jobs, unsigned seconds)
{
	struct running running[JOBS_MAX];
	unsigned n = 0, failed = 0;
	time_t begin = time(NULL);
	uint64_t done = 0;

	for (; done < count; done++) {
		if (seconds && time(NULL) - begin >= (time_t)seconds)
			break;
		struct seed_job j = {.seed = from + done};

		if (n == jobs)
			failed += take_one(running, &n, program);
		running[n].seed = j.seed;
		running[n++].pid = seed_start(&j);
	}
	while (n)
		failed += take_one(running, &n, program);
	printf("sim: %llu seeds from %llu, %u failed, %ld s\n", (unsigned long long)done,
		(unsigned long long)from, failed, (long)(time(NULL) - begin));
	return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	uint64_t from = 0, count = 0;
	unsigned jobs = 2, seconds = 0;
	bool one = false, verbose = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
			from = strtoull(argv[++i], NULL, 0);
			one = true;
		} else if (strcmp(argv[i], "--seeds") == 0 && i + 2 < argc) {
			from = strtoull(argv[++i], NULL, 0);
			count = strtoull(argv[++i], NULL, 0);
		} else if (strcmp(argv[i], "--jobs") == 0 && i + 1 < argc) {
			jobs = (unsigned)atoi(argv[++i]);
		} else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
			seconds = (unsigned)atoi(argv[++i]);
		} else if (strcmp(argv[i], "--verbose") == 0) {
			verbose = true;
		} else {
			return usage();
		}
	}
	if (one) {
		struct world_options o = seed_options(from);

		o.verbose = verbose;
		world_run(&o);
		printf("sim: seed %llu is fine\n", (unsigned long long)from);
		return 0;
	}
	if (!count || jobs < 1 || jobs > JOBS_MAX)
		return usage();
	return run_seeds(argv[0], from, count, jobs, seconds);
}
