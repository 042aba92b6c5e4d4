/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_BENCH_WORK_H
#define TESTS_BENCH_WORK_H
/*
 * Workloads on a directory of any file system. Each prints lines `name value unit` on standard
 * output; a system call that fails ends the program with status 1 and a message. Single-threaded
 * unless its threads option says more.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORK_THREADS_MAX 256

struct work_options {
	const char *path;  /* directory to work in, or the address of a store */
	unsigned threads;  /* 1..WORK_THREADS_MAX */
	uint64_t count;	   /* operations of each thread */
	uint64_t bytes;	   /* of the file, or to write */
	uint64_t seconds;  /* how long, where count does not say */
	uint64_t per_sync; /* writes between two fsync */
};

/* Times of single operations, kept as a histogram: a bucket per 1/16 of a power of two, so
 * percentiles err by 6 %. */
struct latencies {
	uint64_t buckets[64 * 16];
	uint64_t count, longest_ns;
};
void latencies_add(struct latencies *l, uint64_t ns);
void latencies_merge(struct latencies *into, const struct latencies *from);
/* In ns; `part` 0.5 is the median. 0 when there are none. */
uint64_t latencies_at(const struct latencies *l, double part);

/* Ends the program: what failed, and errno. */
_Noreturn void work_fail(const char *what);
void work_print(const char *name, double value, const char *unit);
/* `len` bytes that no program can compress, from a pool made at the first call. `position` chooses
 * which. Before threads. */
const uint8_t *work_noise(uint64_t position, size_t len);
/* Runs `fn` in o->threads threads with a number each; returns the ns from the first start to the
 * last end. */
uint64_t work_threads(unsigned threads, void (*fn)(void *arg, unsigned number), void *arg);

typedef void workload_fn(const struct work_options *o);
/* Names: work_names.c. */
workload_fn work_creates, work_soak, work_populate, work_lookups;
/* Bytes: work_bytes.c. */
workload_fn work_write, work_fill, work_overwrite, work_append, work_reads;
/* A store without a file system over it: work_store.c. */
workload_fn work_objects, work_object_latency;

#endif
