/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Workloads of file contents. All bytes are incompressible. */
#include "tests/bench/work.h"

#include "core/base/rng.h"
#include "core/base/thread.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BLOCK 4096u
#define STRIDE (1u << 20)

static int open_in(const struct work_options *o, const char *name, unsigned number, int flags)
{
	char path[4096];

	(void)snprintf(path, sizeof path, "%s/%s%u", o->path, name, number);
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		work_fail(path);
	return fd;
}

static void write_all(int fd, const uint8_t *data, size_t len, uint64_t offset)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len, (off_t)offset);

		if (n < 0)
			work_fail("write");
		data += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
}

/* Writes the file from its beginning, then fsync; returns the ns until it was durable. */
static uint64_t write_file(const struct work_options *o, const char *name, uint64_t *ret_fsync_ns)
{
	int fd = open_in(o, name, 0, O_WRONLY | O_CREAT | O_TRUNC);
	uint64_t start, written;

	(void)work_noise(0, 1); /* makes the pool before the clock runs */
	start = env_now_ns();
	for (uint64_t at = 0; at < o->bytes; at += STRIDE) {
		size_t len = o->bytes - at < STRIDE ? (size_t)(o->bytes - at) : STRIDE;

		write_all(fd, work_noise(at, len), len, at);
	}
	written = env_now_ns();
	if (fsync(fd) < 0)
		work_fail("fsync");
	uint64_t end = env_now_ns();

	*ret_fsync_ns = end - written;
	if (close(fd) < 0)
		work_fail("close");
	return end - start;
}

void work_write(const struct work_options *o)
{
	uint64_t fsync_ns, ns = write_file(o, "stream", &fsync_ns);

	work_print("write_rate", (double)o->bytes / 1048576 * 1e9 / (double)ns, "MiB/s");
	work_print("write_fsync", (double)fsync_ns / 1e6, "ms");
}

void work_fill(const struct work_options *o)
{
	uint64_t fsync_ns, ns = write_file(o, "random", &fsync_ns);

	work_print("fill_rate", (double)o->bytes / 1048576 * 1e9 / (double)ns, "MiB/s");
}

static void sync_file(int fd, struct latencies *l)
{
	uint64_t start = env_now_ns();

	if (fsync(fd) < 0)
		work_fail("fsync");
	latencies_add(l, env_now_ns() - start);
}

void work_overwrite(const struct work_options *o)
{
	static struct latencies syncs;
	int fd = open_in(o, "random", 0, O_WRONLY);
	struct rng rng;
	uint64_t seed, start;

	env_random(&seed, sizeof seed);
	rng = rng_of(seed);
	(void)work_noise(0, 1); /* as above */
	start = env_now_ns();
	for (uint64_t i = 0; i < o->count; i++) {
		write_all(fd, work_noise(rng_next(&rng), BLOCK), BLOCK,
			rng_below(&rng, o->bytes / BLOCK) * BLOCK);
		if ((i + 1) % o->per_sync == 0 || i + 1 == o->count)
			sync_file(fd, &syncs);
	}
	uint64_t ns = env_now_ns() - start;

	work_print("overwrite_rate", (double)o->count * 1e9 / (double)ns, "writes/s");
	work_print("overwrite_fsync_median", (double)latencies_at(&syncs, 0.5) / 1e6, "ms");
	work_print("overwrite_bytes", (double)(o->count * BLOCK), "bytes");
	(void)close(fd); /* everything has been synced */
}

void work_reads(const struct work_options *o)
{
	int fd = open_in(o, "random", 0, O_RDONLY | O_DIRECT);
	struct rng rng = rng_of(env_now_ns());
	uint8_t *block = aligned_alloc(BLOCK, BLOCK);
	uint64_t start;

	if (!block)
		work_fail("malloc");
	start = env_now_ns();
	for (uint64_t i = 0; i < o->count; i++)
		if (pread(fd, block, BLOCK, (off_t)(rng_below(&rng, o->bytes / BLOCK) * BLOCK)) !=
			BLOCK)
			work_fail("read");
	work_print(
		"reads_rate", (double)o->count * 1e9 / (double)(env_now_ns() - start), "reads/s");
	free(block);
	(void)close(fd); /* read only */
}

struct append_run {
	const struct work_options *o;
	struct latencies syncs[WORK_THREADS_MAX];
};

static void append_thread(void *arg, unsigned number)
{
	struct append_run *run = arg;
	int fd = open_in(run->o, "append", number, O_WRONLY | O_CREAT | O_APPEND);

	for (uint64_t i = 0; i < run->o->count; i++) {
		if (write(fd, work_noise(i << 8 | number, BLOCK), BLOCK) != BLOCK)
			work_fail("write");
		if ((i + 1) % run->o->per_sync == 0)
			sync_file(fd, &run->syncs[number]);
	}
	(void)close(fd); /* everything has been synced */
}

void work_append(const struct work_options *o)
{
	static struct append_run run;
	struct latencies *all = &run.syncs[0];
	uint64_t ns;

	(void)work_noise(0, 1); /* as above */
	run.o = o;
	ns = work_threads(o->threads, append_thread, &run);
	for (unsigned i = 1; i < o->threads; i++)
		latencies_merge(all, &run.syncs[i]);
	work_print("append_fsync_median", (double)latencies_at(all, 0.5) / 1e6, "ms");
	work_print("append_fsync_longest", (double)all->longest_ns / 1e6, "ms");
	work_print("append_fsyncs", (double)all->count, "count");
	work_print("append_fsyncs_per_30ms", (double)all->count * 30e6 / (double)ns, "fsyncs");
}
