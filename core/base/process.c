/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/base/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* open(2) takes the lowest number that is free; where even / cannot be opened nothing works. */
static void fill_standard_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			fd = open("/", O_PATH);
		if (fd < 0)
			abort();
	} while (fd <= STDERR_FILENO);
	(void)close(fd); /* nothing was written */
}

static int raise_descriptors(struct error *err)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return 0;
	rlim_t want = l.rlim_max < PROCESS_FDS_MAX ? l.rlim_max : PROCESS_FDS_MAX;

	if (l.rlim_cur < want) {
		struct rlimit more = {.rlim_cur = want, .rlim_max = l.rlim_max};

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			l = more;
	}
	if (l.rlim_cur >= PROCESS_FDS_MIN)
		return 0;
	return error_set(err, -EMFILE,
		"only %llu open files are allowed, %d are needed: raise the limit (ulimit -n)",
		(unsigned long long)l.rlim_cur, PROCESS_FDS_MIN);
}

int process_prepare(struct error *err)
{
	fill_standard_streams();
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	return raise_descriptors(err);
}
