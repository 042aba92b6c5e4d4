/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Workloads on a store by itself: what a file system over it cannot beat. */
#include "tests/bench/work.h"

#include "core/base/thread.h"
#include "core/store/url.h"

#include <stdio.h>
#include <stdlib.h>

#define OBJECT_BYTES (8u << 20)
#define SMALL_BYTES 4096u

struct store_run {
	const struct work_options *o;
	struct store *store;
	size_t object_bytes;
	_Atomic uint64_t next;
	uint64_t objects;
	struct latencies waits[WORK_THREADS_MAX];
};

static void put_thread(void *arg, unsigned number)
{
	struct store_run *run = arg;
	struct error e = {0};
	char key[64];

	for (;;) {
		uint64_t i = atomic_fetch_add(&run->next, 1);

		if (i >= run->objects)
			return;
		struct slice body = SLICE(work_noise(i, run->object_bytes), run->object_bytes);
		uint64_t start = env_now_ns();

		(void)snprintf(key, sizeof key, "bench/%016llx-%llu", (unsigned long long)start,
			(unsigned long long)i);
		int r = store_create(run->store, key, &body, 1, &e);

		if (r < 0) {
			(void)fprintf(stderr, "creating %s: %s\n", key, error_text(&e, r));
			exit(1);
		}
		latencies_add(&run->waits[number], env_now_ns() - start);
	}
}

/* Creates the objects; returns the ns. The waits of all threads are in waits[0] then. */
static uint64_t put_all(struct store_run *run)
{
	const struct store_options so = {.create_root = true};
	struct store_stack stack = {0};
	struct error e = {0};
	int r = store_open(run->o->path, &so, &stack, &e);

	if (r < 0) {
		(void)fprintf(stderr, "%s\n", error_text(&e, r));
		exit(1);
	}
	run->store = stack.top;
	(void)work_noise(0, 1); /* makes the pool before the clock runs */
	uint64_t ns = work_threads(run->o->threads, put_thread, run);

	for (unsigned i = 1; i < run->o->threads; i++)
		latencies_merge(&run->waits[0], &run->waits[i]);
	store_stack_close(&stack);
	return ns;
}

void work_objects(const struct work_options *o)
{
	static struct store_run run;

	run.o = o;
	run.object_bytes = OBJECT_BYTES;
	run.objects = o->bytes / OBJECT_BYTES;
	uint64_t ns = put_all(&run);

	work_print("objects_rate",
		(double)(run.objects * OBJECT_BYTES) / 1048576 * 1e9 / (double)ns, "MiB/s");
}

void work_object_latency(const struct work_options *o)
{
	static struct store_run run;

	run.o = o;
	run.object_bytes = SMALL_BYTES;
	run.objects = o->count * o->threads;
	(void)put_all(&run);
	work_print("object_latency_median", (double)latencies_at(&run.waits[0], 0.5) / 1e6, "ms");
}
