/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Workloads of names: nothing but empty files. */
#include "tests/bench/work.h"

#include "core/base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_PER_DIRECTORY 10000

struct names_run {
	const struct work_options *o;
	uint64_t deadline_ns;
	bool directory_change; /* a new directory after FILES_PER_DIRECTORY */
	struct latencies waits[WORK_THREADS_MAX];
};

static void make_directory(const char *path)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		work_fail(path);
}

static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || close(fd) < 0)
		work_fail(path);
}

/* One thread: creates until its count or its time is over. */
static void create_thread(void *arg, unsigned number)
{
	struct names_run *run = arg;
	char path[4096];
	uint64_t before = env_now_ns();

	for (uint64_t i = 0; i < run->o->count; i++) {
		uint64_t directory = run->directory_change ? i / FILES_PER_DIRECTORY : 0;

		if (i % FILES_PER_DIRECTORY == 0) {
			(void)snprintf(path, sizeof path, "%s/d%u-%llu", run->o->path, number,
				(unsigned long long)directory);
			make_directory(path);
		}
		(void)snprintf(path, sizeof path, "%s/d%u-%llu/f%llu", run->o->path, number,
			(unsigned long long)directory, (unsigned long long)i);
		make_file(path);

		uint64_t now = env_now_ns();

		latencies_add(&run->waits[number], now - before);
		before = now;
		if (now > run->deadline_ns)
			break;
	}
}

static void report(struct names_run *run, const char *name, uint64_t took_ns)
{
	struct latencies *all = &run->waits[0];
	char line[64];

	for (unsigned i = 1; i < run->o->threads; i++)
		latencies_merge(all, &run->waits[i]);
	(void)snprintf(line, sizeof line, "%s_rate", name);
	work_print(line, (double)all->count * 1e9 / (double)took_ns, "files/s");
	(void)snprintf(line, sizeof line, "%s_median", name);
	work_print(line, (double)latencies_at(all, 0.5) / 1e3, "us");
	(void)snprintf(line, sizeof line, "%s_p999", name);
	work_print(line, (double)latencies_at(all, 0.999) / 1e3, "us");
	(void)snprintf(line, sizeof line, "%s_longest", name);
	work_print(line, (double)all->longest_ns / 1e6, "ms");
}

void work_creates(const struct work_options *o)
{
	static struct names_run run;

	run = (struct names_run){.o = o, .deadline_ns = ENV_NEVER};
	report(&run, "creates", work_threads(o->threads, create_thread, &run));
}

void work_populate(const struct work_options *o)
{
	static struct names_run run;

	run = (struct names_run){.o = o, .deadline_ns = ENV_NEVER, .directory_change = true};
	report(&run, "populate", work_threads(o->threads, create_thread, &run));
}

void work_soak(const struct work_options *o)
{
	static struct names_run run;
	struct work_options endless = *o;

	endless.count = UINT64_MAX;
	run = (struct names_run){
		.o = &endless,
		.deadline_ns = env_now_ns() + o->seconds * 1000000000ull,
		.directory_change = true,
	};
	report(&run, "soak", work_threads(o->threads, create_thread, &run));
}

static void lookup_thread(void *arg, unsigned number)
{
	const struct work_options *o = arg;
	char path[4096];
	struct stat st;

	for (uint64_t i = 0; i < o->count; i++) {
		(void)snprintf(path, sizeof path, "%s/absent%u-%llu-%llu", o->path, number,
			(unsigned long long)i, (unsigned long long)env_now_ns());
		if (stat(path, &st) == 0 || errno != ENOENT)
			work_fail(path);
	}
}

void work_lookups(const struct work_options *o)
{
	struct work_options mine = *o;
	uint64_t ns = work_threads(o->threads, lookup_thread, &mine);

	work_print("lookups_rate", (double)o->count * o->threads * 1e9 / (double)ns, "lookups/s");
}
