/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Proves that the simulation sees: each rule that planted.h can switch off is switched off, and
 * seeds are run until one fails, 200 at most. What seeds do not reach is left to the scripted
 * schedules. Prints a table; a rule whose loss nobody notices fails the program.
 *
 *   sim-planted [RULE...] [--jobs N]        all rules, or these
 *   sim-planted --bug RULE --seed N [--verbose]
 */
#include "tests/sim/schedules.h"
#include "tests/sim/seeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS_MAX 200
#define SECONDS_MAX 60
#define JOBS_MAX 16

/* Which seeds are worth running for a rule. */
enum seeds_kind { ANY, TWO_WRITERS, STRICT, FOLLOWER, HUGE_FILES, SCRIPT };

struct rule {
	enum planted bug;
	enum seeds_kind kind;
};

static const struct rule rules[] = {
	{PLANTED_SKIP_FENCE, TWO_WRITERS},
	{PLANTED_FLUSH_UNACKED, ANY},
	{PLANTED_NO_ENCODE_ON_TOUCH, ANY},
	{PLANTED_NONCE_REUSE, ANY},
	{PLANTED_DROP_RANGE_DELETE, HUGE_FILES},
	{PLANTED_ACK_OUT_OF_ORDER, ANY},
	{PLANTED_EQUAL_HASH_LOST, ANY},
	{PLANTED_FORGET_DEBIT, ANY},
	{PLANTED_DELETE_BEFORE_MANIFEST, ANY},
	{PLANTED_FOREIGN_SEGMENT, SCRIPT},
	{PLANTED_SHORT_BODY, ANY},
	{PLANTED_RULE_W3, TWO_WRITERS},
	{PLANTED_RULE_W4, ANY},
	{PLANTED_RULE_W6, SCRIPT},
	{PLANTED_RULE_W7, ANY},
	{PLANTED_RULE_T2, SCRIPT},
	{PLANTED_RULE_T3, SCRIPT},
	{PLANTED_RULE_T4, SCRIPT},
	{PLANTED_RULE_T6, SCRIPT},
	{PLANTED_RULE_M1, SCRIPT},
	{PLANTED_RULE_M2, SCRIPT},
	{PLANTED_RULE_M3, SCRIPT},
	{PLANTED_RULE_D2, SCRIPT},
	{PLANTED_RULE_D4, SCRIPT},
	{PLANTED_RULE_D7, SCRIPT},
	{PLANTED_RULE_L2, STRICT},
	{PLANTED_RULE_L3, STRICT},
	{PLANTED_RULE_R1, FOLLOWER},
	{PLANTED_RULE_R2, SCRIPT},
	{PLANTED_RULE_R4, FOLLOWER},
};

/* The n-th seed of a kind. */
static uint64_t seed_of(enum seeds_kind kind, uint64_t n)
{
	switch (kind) {
	case TWO_WRITERS:
		return 4 * n + 2;
	case STRICT:
		return 8 * n + 6;
	case FOLLOWER:
		return 4 * n + 3;
	case HUGE_FILES:
		return 8 * n + 8;
	case ANY:
	case SCRIPT:
		break;
	}
	return n + 1;
}

/* 0: none of them noticed; else how many seeds it took. */
static unsigned try_seeds(const struct rule *r, unsigned jobs, uint64_t *ret_seed)
{
	uint64_t started = 0;
	unsigned running = 0, caught = 0, done = 0;
	struct {
		int pid;
		uint64_t seed;
	} run[JOBS_MAX];

	while ((started < SEEDS_MAX && !caught) || running) {
		if (started < SEEDS_MAX && !caught && running < jobs) {
			struct seed_job j = {.seed = seed_of(r->kind, started++),
				.bug = r->bug,
				.quiet = true,
				.seconds = SECONDS_MAX};

			run[running].seed = j.seed;
			run[running++].pid = seed_start(&j);
			continue;
		}
		bool good;
		int pid = seed_wait(&good);
		unsigned i = 0;

		while (i < running && run[i].pid != pid)
			i++;
		if (i == running)
			continue;
		done++;
		if (!good && !caught) {
			caught = done;
			*ret_seed = run[i].seed;
		}
		run[i] = run[--running];
	}
	return caught;
}

static bool prove(const struct rule *r, unsigned jobs)
{
	const char *name = planted_name(r->bug);
	const struct schedule *s;
	uint64_t seed = 0;
	unsigned n = 0;

	if (r->kind != SCRIPT) {
		n = try_seeds(r, jobs, &seed);
		if (n && !seed_run(&(struct seed_job){
				 .seed = seed, .quiet = true, .seconds = SECONDS_MAX})) {
			printf("%-24s seed %llu fails without it, too\n", name,
				(unsigned long long)seed);
			return false;
		}
		if (n) {
			printf("%-24s caught after %3u seeds: --bug %s --seed %llu\n", name, n,
				name, (unsigned long long)seed);
			return true;
		}
	}
	s = schedule_red(r->bug);
	if (s) {
		printf("%-24s caught by schedule %s\n", name, s->name);
		return true;
	}
	printf("%-24s NOT CAUGHT\n", name);
	return false;
}

static int replay(enum planted bug, uint64_t seed, bool verbose)
{
	struct seed_job j = {.seed = seed, .bug = bug, .verbose = verbose};

	printf("%s\n", seed_run(&j) ? "not caught" : "caught");
	return 0;
}

int main(int argc, char **argv)
{
	bool wanted[PLANTED_COUNT] = {false}, some = false, verbose = false;
	unsigned jobs = 2, failed = 0;
	enum planted bug = PLANTED_NONE;
	uint64_t seed = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--jobs") == 0 && i + 1 < argc) {
			jobs = (unsigned)atoi(argv[++i]);
		} else if (strcmp(argv[i], "--bug") == 0 && i + 1 < argc) {
			bug = planted_by_name(argv[++i]);
		} else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
			seed = strtoull(argv[++i], NULL, 0);
		} else if (strcmp(argv[i], "--verbose") == 0) {
			verbose = true;
		} else if (planted_by_name(argv[i]) < PLANTED_COUNT) {
			wanted[planted_by_name(argv[i])] = some = true;
		} else {
			fprintf(stderr,
				"usage: sim-planted [RULE...] [--jobs N] | --bug RULE --seed N [--verbose]\n");
			return 2;
		}
	}
	if (seed && bug < PLANTED_COUNT)
		return replay(bug, seed, verbose);
	if (jobs < 1 || jobs > JOBS_MAX)
		return 2;
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if (!some || wanted[rules[i].bug])
			failed += !prove(&rules[i], jobs);
	printf("sim-planted: %u rules not caught\n", failed);
	return failed ? 1 : 0;
}
