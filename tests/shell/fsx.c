/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fsx FILE [SEED [OPERATIONS [BYTES]]]: random operations on one file, each checked against a copy
 * in memory. Reads go through the page cache, past it, through a mapping and after the kernel has
 * dropped its pages, so that the answers come from the daemon. A failure prints the seed, the
 * operation and the last ones before it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE_DEFAULT (1u << 20)
#define HISTORY 24

struct fsx {
	const char *path;
	uint64_t seed, state, operations, number;
	size_t max, size;	 /* of the file */
	uint8_t *model, *buffer; /* max bytes each; the model beyond `size` is zero */
	int fd, direct;
	char history[HISTORY][96];
};

static struct fsx x;

static void fail(const char *what) __attribute__((noreturn));

static void fail(const char *what)
{
	fprintf(stderr, "fsx: %s at operation %" PRIu64 " (seed %" PRIu64 ", %s)\n", what, x.number,
		x.seed, errno ? strerror(errno) : "no errno");
	for (uint64_t i = x.number < HISTORY ? 0 : x.number - HISTORY + 1; i <= x.number; i++)
		fprintf(stderr, "  %s\n", x.history[i % HISTORY]);
	exit(1);
}

/* splitmix64 */
static uint64_t draw(void)
{
	uint64_t z = x.state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static size_t below(size_t n)
{
	return (size_t)(draw() % n);
}

static void note(const char *name, size_t at, size_t len)
{
	snprintf(x.history[x.number % HISTORY], sizeof x.history[0],
		"%" PRIu64 " %s at %zu length %zu, size %zu", x.number, name, at, len, x.size);
	errno = 0;
}

/* Small lengths mostly; sometimes blocks and chunks. */
static size_t some_length(void)
{
	switch (below(6)) {
	case 0:
		return 1 + below(64);
	case 1:
		return 4096;
	case 2:
		return 1 + below(x.max / 4);
	default:
		return 1 + below(20000);
	}
}

static size_t some_offset(size_t end)
{
	size_t at = below(end + 1);

	switch (below(5)) {
	case 0:
		return at & ~(size_t)4095;
	case 1:
		return at & ~(size_t)262143;
	default:
		return at;
	}
}

static void compare(const char *how, size_t at, size_t len, const uint8_t *got)
{
	if (memcmp(got, x.model + at, len) == 0)
		return;
	size_t i = 0;

	while (got[i] == x.model[at + i])
		i++;
	fprintf(stderr, "fsx: %s: byte %zu is %02x instead of %02x\n", how, at + i, got[i],
		x.model[at + i]);
	fail("wrong data");
}

static void read_with(int fd, const char *how, size_t at, size_t len)
{
	size_t wanted = at >= x.size ? 0 : len < x.size - at ? len : x.size - at;
	ssize_t n = pread(fd, x.buffer, len, (off_t)at);

	if (n < 0 || (size_t)n != wanted)
		fail("a read gives the wrong count");
	compare(how, at, wanted, x.buffer);
}

static void drop_pages(void)
{
	if (posix_fadvise(x.fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
		fail("fadvise");
}

static void do_read(void)
{
	size_t at = some_offset(x.size), len = some_length();
	bool direct = below(3) == 0;

	note(direct ? "direct read" : "read", at, len);
	if (!direct && below(2))
		drop_pages();
	if (len > x.max)
		len = x.max;
	read_with(direct ? x.direct : x.fd, direct ? "direct read" : "read", at, len);
}

static void fill(uint8_t *p, size_t len)
{
	uint64_t word = draw();

	/* One third compressible, the rest noise; a few zeros. */
	switch (below(6)) {
	case 0:
	case 1:
		memset(p, (int)(word & 0xff), len);
		break;
	case 2:
		memset(p, 0, len);
		break;
	default:
		for (size_t i = 0; i < len; i++) {
			if (i % 8 == 0)
				word = draw();
			p[i] = (uint8_t)(word >> i % 8 * 8);
		}
	}
}

static void grow_to(size_t size)
{
	if (size > x.size)
		x.size = size;
}

static void do_write(void)
{
	size_t at = some_offset(below(8) ? x.size : x.max - 1), len = some_length();
	bool direct = below(4) == 0;

	if (at >= x.max)
		at = x.max - 1;
	if (len > x.max - at)
		len = x.max - at;
	note(direct ? "direct write" : "write", at, len);
	fill(x.buffer, len);
	if (pwrite(direct ? x.direct : x.fd, x.buffer, len, (off_t)at) != (ssize_t)len)
		fail("write");
	memcpy(x.model + at, x.buffer, len);
	grow_to(at + len);
}

static void do_truncate(void)
{
	size_t size = below(4) ? some_offset(x.size) : below(x.max);

	note("truncate", size, 0);
	if (ftruncate(x.fd, (off_t)size) < 0)
		fail("truncate");
	if (size < x.size)
		memset(x.model + size, 0, x.size - size);
	x.size = size;
}

static void do_punch(void)
{
	size_t at = some_offset(x.size), len = some_length();
	bool keep = below(2);
	int mode = keep ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE : FALLOC_FL_ZERO_RANGE;

	if (at >= x.max)
		at = x.max - 1;
	if (len > x.max - at)
		len = x.max - at;
	note(keep ? "punch" : "zero range", at, len);
	if (fallocate(x.fd, mode, (off_t)at, (off_t)len) < 0)
		fail("fallocate");
	if (at < x.size)
		memset(x.model + at, 0, len < x.size - at ? len : x.size - at);
	if (!keep)
		grow_to(at + len);
}

static void do_allocate(void)
{
	size_t at = some_offset(x.size), len = some_length();
	bool keep = below(2);

	if (at >= x.max)
		at = x.max - 1;
	if (len > x.max - at)
		len = x.max - at;
	note(keep ? "allocate, size kept" : "allocate", at, len);
	if (fallocate(x.fd, keep ? FALLOC_FL_KEEP_SIZE : 0, (off_t)at, (off_t)len) < 0)
		fail("fallocate");
	if (!keep)
		grow_to(at + len);
}

static void do_map(void)
{
	bool writing = below(2);

	if (x.size == 0)
		return;
	size_t at = below(x.size), len = 1 + below(x.size - at);

	note(writing ? "mapped write" : "mapped read", at, len);
	uint8_t *p = mmap(
		NULL, x.size, writing ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, x.fd, 0);

	if (p == MAP_FAILED)
		fail("mmap");
	compare("mapped read", at, len, p + at);
	if (writing) {
		fill(x.buffer, len);
		memcpy(p + at, x.buffer, len);
		memcpy(x.model + at, x.buffer, len);
		if (msync(p, x.size, MS_SYNC) < 0)
			fail("msync");
	}
	if (munmap(p, x.size) < 0)
		fail("munmap");
}

static void reopen(int flags)
{
	if (x.fd >= 0 && (close(x.fd) < 0 || close(x.direct) < 0))
		fail("close");
	x.fd = open(x.path, O_RDWR | flags, 0644);
	x.direct = open(x.path, O_RDWR | O_DIRECT);
	if (x.fd < 0 || x.direct < 0)
		fail("open");
}

static void do_reopen(void)
{
	note("reopen", 0, 0);
	reopen(0);
}

static void do_sync(void)
{
	note("fsync", 0, 0);
	if ((below(2) ? fsync(x.fd) : fdatasync(x.fd)) < 0)
		fail("fsync");
}

/* Holes are zeros, and the two kinds of places take turns. */
static void do_seek(void)
{
	size_t at = below(x.size + 1);

	note("seek", at, 0);
	off_t data = lseek(x.fd, (off_t)at, SEEK_DATA), hole = lseek(x.fd, (off_t)at, SEEK_HOLE);

	if (at >= x.size) {
		if (data >= 0 || hole >= 0)
			fail("a seek beyond the end succeeds");
		return;
	}
	if (hole < (off_t)at || (size_t)hole > x.size || (data >= 0 && (size_t)data >= x.size))
		fail("a seek gives an offset outside the file");
	size_t zeros = data < 0 ? x.size : (size_t)data;

	for (size_t i = at; i < zeros; i++)
		if (x.model[i])
			fail("data lie in what is said to be a hole");
	errno = 0;
}

static void check_all(void)
{
	struct stat st;

	note("check", 0, x.size);
	if (fstat(x.fd, &st) < 0 || (size_t)st.st_size != x.size)
		fail("the size is wrong");
	drop_pages();
	read_with(x.fd, "check", 0, x.max);
	read_with(x.direct, "direct check", 0, x.max);
}

static void step(void)
{
	static void (*const table[])(void) = {do_read, do_read, do_read, do_write, do_write,
		do_write, do_truncate, do_punch, do_allocate, do_map, do_seek, do_sync, do_reopen};
	size_t count = sizeof table / sizeof *table;
	size_t i = below(count);

	/* Rare, for they cost much. */
	if (i >= count - 2 && below(3))
		i = 0;
	table[i]();
	if (x.number % 250 == 249)
		check_all();
}

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 5) {
		fputs("usage: fsx FILE [SEED [OPERATIONS [BYTES]]]\n", stderr);
		return 2;
	}
	x.path = argv[1];
	if (getrandom(&x.seed, sizeof x.seed, 0) != sizeof x.seed)
		return 1;
	x.seed = argc > 2 ? strtoull(argv[2], NULL, 0) : x.seed % 1000000;
	x.operations = argc > 3 ? strtoull(argv[3], NULL, 0) : 5000;
	x.max = argc > 4 ? strtoull(argv[4], NULL, 0) : SIZE_DEFAULT;
	x.state = x.seed;
	x.fd = -1;
	x.model = calloc(1, x.max);
	x.buffer = aligned_alloc(4096, (x.max + 4095) & ~(size_t)4095);
	if (!x.model || !x.buffer)
		return 1;
	printf("fsx seed %" PRIu64 "\n", x.seed);
	reopen(O_CREAT | O_TRUNC);
	for (x.number = 0; x.number < x.operations; x.number++)
		step();
	check_all();
	free(x.model);
	free(x.buffer);
	return 0;
}
