/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bench-work WORKLOAD [options] PATH: the table of workloads, and what they share. */
#include "tests/bench/work.h"

#include "core/base/rng.h"
#include "core/base/sizes.h"
#include "core/base/thread.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOISE_BYTES (64u << 20)

static const struct {
	const char *name;
	workload_fn *run;
	struct work_options defaults;
	const char *help;
} workloads[] = {
	{"creates", work_creates, {.threads = 1, .count = 10000},
		"create and close empty files, a directory per thread"},
	{"soak", work_soak, {.threads = 2, .seconds = 600},
		"creates at full speed for --seconds; waits of single operations"},
	{"populate", work_populate, {.threads = 2, .count = 500000},
		"creates in directories of 10000 files"},
	{"lookups", work_lookups, {.threads = 1, .count = 20000},
		"stat of names that nobody has asked for"},
	{"write", work_write, {.threads = 1, .bytes = 1u << 30},
		"a file of incompressible --bytes, then fsync"},
	{"fill", work_fill, {.threads = 1, .bytes = 4ull << 30},
		"the file for overwrite and reads"},
	{"overwrite", work_overwrite,
		{.threads = 1, .bytes = 4ull << 30, .count = 4096, .per_sync = 64},
		"random 4 KiB writes in that file"},
	{"reads", work_reads, {.threads = 1, .bytes = 4ull << 30, .count = 20000},
		"random 4 KiB reads of that file, O_DIRECT"},
	{"append", work_append, {.threads = 1, .count = 100, .per_sync = 1},
		"append 4 KiB and fsync, a file per thread"},
	{"objects", work_objects, {.threads = 4, .bytes = 1u << 30},
		"create objects of 8 MiB in the store at PATH"},
	{"object-latency", work_object_latency, {.threads = 1, .count = 100},
		"create objects of 4 KiB in the store at PATH"},
};

/* ---- shared ---- */

void work_fail(const char *what)
{
	perror(what);
	exit(1);
}

void work_print(const char *name, double value, const char *unit)
{
	printf("%s %.6g %s\n", name, value, unit);
	(void)fflush(stdout); /* so that an interrupted run has shown what it knew */
}

static unsigned bucket_of(uint64_t ns)
{
	unsigned top = 63 - (unsigned)__builtin_clzll(ns | 16);

	return (top - 4) * 16 + ((ns >> (top - 4)) & 15);
}

void latencies_add(struct latencies *l, uint64_t ns)
{
	l->buckets[bucket_of(ns)]++;
	l->count++;
	if (ns > l->longest_ns)
		l->longest_ns = ns;
}

void latencies_merge(struct latencies *into, const struct latencies *from)
{
	for (size_t i = 0; i < sizeof into->buckets / sizeof *into->buckets; i++)
		into->buckets[i] += from->buckets[i];
	into->count += from->count;
	if (from->longest_ns > into->longest_ns)
		into->longest_ns = from->longest_ns;
}

uint64_t latencies_at(const struct latencies *l, double part)
{
	uint64_t want = (uint64_t)((double)l->count * part), seen = 0;

	for (unsigned i = 0; i < sizeof l->buckets / sizeof *l->buckets; i++) {
		seen += l->buckets[i];
		if (seen > want)
			return (16ull + i % 16) << (i / 16); /* the bucket's lower end */
	}
	return l->longest_ns;
}

const uint8_t *work_noise(uint64_t position, size_t len)
{
	static uint8_t *pool;
	uint64_t mixed = (position + 1) * 0x9e3779b97f4a7c15ull;

	if (!pool) {
		pool = malloc(NOISE_BYTES);
		if (!pool)
			work_fail("malloc");
		for (size_t i = 0; i < NOISE_BYTES; i += 4096)
			env_random(pool + i, 4096);
	}
	return pool + (mixed >> 20) % (NOISE_BYTES - len);
}

struct one_thread {
	struct thread thread;
	void (*fn)(void *arg, unsigned number);
	void *arg;
	unsigned number;
};

static void one_thread_main(void *arg)
{
	struct one_thread *t = arg;

	t->fn(t->arg, t->number);
}

uint64_t work_threads(unsigned threads, void (*fn)(void *arg, unsigned number), void *arg)
{
	static struct one_thread all[WORK_THREADS_MAX];
	uint64_t start = env_now_ns();

	for (unsigned i = 0; i < threads; i++) {
		all[i] = (struct one_thread){.fn = fn, .arg = arg, .number = i};
		if (thread_start(&all[i].thread, "work", one_thread_main, &all[i]) < 0)
			work_fail("starting a thread");
	}
	for (unsigned i = 0; i < threads; i++)
		thread_join(&all[i].thread);
	return env_now_ns() - start;
}

/* ---- command line ---- */

static void usage(void)
{
	puts("Usage: bench-work WORKLOAD [options] PATH\n");
	for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
		printf("  %-15s %s\n", workloads[i].name, workloads[i].help);
	puts("\n"
	     "      --threads N   --count N (operations per thread)   --bytes SIZE   --seconds N\n"
	     "      --per-sync N  writes between two fsync");
}

static bool number(const char *text, uint64_t *ret)
{
	return size_parse(text, ret) == 0;
}

static bool parse(int argc, char **argv, struct work_options *o)
{
	static const struct option known[] = {
		{"threads", required_argument, NULL, 't'},
		{"count", required_argument, NULL, 'c'},
		{"bytes", required_argument, NULL, 'b'},
		{"seconds", required_argument, NULL, 's'},
		{"per-sync", required_argument, NULL, 'p'},
		{NULL, 0, NULL, 0},
	};
	uint64_t threads = o->threads;
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		uint64_t *where = c == 't'   ? &threads
				  : c == 'c' ? &o->count
				  : c == 'b' ? &o->bytes
				  : c == 's' ? &o->seconds
				  : c == 'p' ? &o->per_sync
					     : NULL;

		if (!where || !number(optarg, where))
			return false;
	}
	if (argc - optind != 1 || threads < 1 || threads > WORK_THREADS_MAX)
		return false;
	o->threads = (unsigned)threads;
	o->path = argv[optind];
	return true;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof workloads / sizeof *workloads; i++) {
		struct work_options o = workloads[i].defaults;

		if (strcmp(argv[1], workloads[i].name) != 0)
			continue;
		if (!parse(argc - 1, argv + 1, &o))
			break;
		workloads[i].run(&o);
		return 0;
	}
	usage();
	return 2;
}
