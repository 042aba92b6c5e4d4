/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/sim/seeds.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS_MAX 120

/* Killed processes of the simulator never free anything. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0:detect_stack_use_after_return=0";
}

struct world_options seed_options(uint64_t seed)
{
	return (struct world_options){
		.seed = seed,
		.ops = 500,
		.crashes = 5,
		.two_writers = seed % 4 == 2,
		.follower = seed % 4 == 3 || seed % 16 == 6,
		.strict = seed / 4 % 2 == 1,
		.huge = seed % 8 == 0,
	};
}

static void child(const struct seed_job *j)
{
	struct world_options o = seed_options(j->seed);
	struct rlimit no_core = {0};

	(void)setrlimit(
		RLIMIT_CORE, &no_core); /* a failure aborts; the seed is all that one needs */
	alarm(j->seconds ? j->seconds : SECONDS_MAX);
	if (j->quiet) {
		int fd = open("/dev/null", O_WRONLY);

		(void)dup2(fd, 2); /* only words are lost */
	}
#ifdef PLANTED_BUGS
	planted_use(j->bug);
#endif
	o.verbose = j->verbose;
	if (j->run)
		j->run(j);
	else
		world_run(&o);
	_exit(0);
}

int seed_start(const struct seed_job *j)
{
	(void)fflush(NULL);
	int pid = fork();

	if (pid < 0) {
		perror("fork");
		exit(2);
	}
	if (pid == 0)
		child(j);
	return pid;
}

int seed_wait(bool *ret_good)
{
	int status, pid = wait(&status);

	*ret_good = pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	return pid;
}

bool seed_run(const struct seed_job *j)
{
	bool good;

	(void)seed_start(j);
	(void)seed_wait(&good);
	return good;
}
