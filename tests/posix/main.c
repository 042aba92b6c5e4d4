/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * conform [-v] [-k NAME] cases REFERENCE TESTED FILE...
 * conform [-v] [-c] steps REFERENCE TESTED STEP...	-c: confined, as random steps are
 * conform [-s SEED] [-t SECONDS] walk REFERENCE TESTED
 * conform [-s SEED] [-t SECONDS] crowd TESTED
 *
 * REFERENCE and TESTED are empty directories of two file systems. Needs root. Status 1: they
 * differ.
 */
#include "tests/posix/conform.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

struct usage {
	const char *only;
	uint64_t seed;
	unsigned seconds;
	bool verbose, confined;
};

/* Whether each change of a file that was looked at gets a time of its own; else steps must be a
 * tick apart. */
static long find_naptime(const struct world *w)
{
	int fd = openat(w->root, "clock", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct timespec tick = {0};
	struct stat before = {0}, after;
	bool coarse = fd < 0;

	for (int i = 0; i < 64 && !coarse; i++) {
		coarse = fchmod(fd, 0600) < 0 || fstat(fd, &after) < 0 ||
			 (after.st_ctim.tv_sec == before.st_ctim.tv_sec &&
				 after.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
		before = after;
	}
	if (fd >= 0)
		close(fd);
	(void)unlinkat(w->root, "clock", 0);
	(void)clock_getres(CLOCK_REALTIME_COARSE, &tick);
	return coarse ? tick.tv_nsec + tick.tv_nsec / 4 : 0;
}

static int told(const struct runner *r)
{
	printf("%ld cases, %ld steps, %ld known differences, %ld deviations\n", r->cases, r->steps,
		r->known, r->deviations);
	return r->deviations ? 1 : 0;
}

static int compare(const struct usage *u, char **args, int count)
{
	struct world reference, tested;
	struct runner r = {.reference = &reference, .tested = &tested, .verbose = u->verbose};
	bool cases = strcmp(args[0], "cases") == 0, steps = strcmp(args[0], "steps") == 0;

	if (count < 3)
		die("which directories?");
	if (geteuid() != 0)
		die("needs root");
	world_open(&reference, "reference", args[1]);
	world_open(&tested, "tested   ", args[2]);
	r.confined = u->confined || (!cases && !steps);
	r.naptime_ns = find_naptime(&reference);
	if (cases)
		for (int i = 3; i < count; i++)
			run_file(&r, args[i], u->only);
	else if (steps)
		(void)run_case(&r, "steps", args + 3, (size_t)count - 3, false);
	else
		run_walk(&r, u->seed, u->seconds);
	world_clear(&reference);
	world_clear(&tested);
	return told(&r);
}

int main(int argc, char **argv)
{
	struct usage u = {.seconds = 10};
	const char *seed = getenv("SEED");
	int option;

	if (getrandom(&u.seed, sizeof u.seed, 0) != sizeof u.seed)
		return 2;
	u.seed = seed && *seed ? strtoull(seed, NULL, 0) : u.seed % 1000000;
	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((option = getopt(argc, argv, "+cvk:s:t:")) != -1) {
		if (option == 'v')
			u.verbose = true;
		else if (option == 'c')
			u.confined = true;
		else if (option == 'k')
			u.only = optarg;
		else if (option == 's')
			u.seed = strtoull(optarg, NULL, 0);
		else if (option == 't')
			u.seconds = (unsigned)strtoul(optarg, NULL, 0);
		else
			die("unknown option");
	}
	argv += optind;
	argc -= optind;
	if (argc >= 2 && strcmp(argv[0], "crowd") == 0)
		return crowd_run(argv[1], u.seed, u.seconds);
	if (argc < 1 ||
		(strcmp(argv[0], "cases") && strcmp(argv[0], "steps") && strcmp(argv[0], "walk")))
		die("cases, steps, walk or crowd?");
	return compare(&u, argv, argc);
}
