/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fsx [-s SEED] [-n OPERATIONS] [-l BYTES] [-p PROCESSES] [-o NAME,...] [-x NAME,...] FILE
 *
 * Random operations on one file, each checked against a copy in memory. Reads go through the page
 * cache, past it, through a mapping and after the kernel has dropped its pages, so that the answers
 * come from the daemon. A failure prints the seed, the operation and the last ones before it.
 *
 * -p: so many processes share the file; each has BYTES of it for itself, side by side, and leaves
 *     the file's size alone
 * -o, -x: only these operations, or all but these: the names of the table below, and "direct" for
 *     the reads and writes that go past the page cache
 *
 * To add an operation: write do_x(), which changes the model as the file, and add it to the table
 * with how often it is drawn and what it needs.
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
#include <sys/wait.h>
#include <unistd.h>

#define SIZE_DEFAULT (1u << 20)
#define HISTORY 24
#define PROCESSES_MAX 16
#define PAGE 4096u

struct fsx {
	const char *path;
	uint64_t seed, state, operations, number;
	size_t max, size; /* of the file, or of the part that is ours */
	size_t base;	  /* where that begins */
	unsigned processes, self;
	bool shared; /* with others: its size is not ours to change */
	bool no_direct;
	uint8_t *model, *buffer; /* max bytes each; the model beyond `size` is zero */
	int fd, direct;
	char history[HISTORY][160];
};

static struct fsx x;

static void fail(const char *what) __attribute__((noreturn));

static void fail(const char *what)
{
	fprintf(stderr, "fsx: %s at operation %" PRIu64 " of process %u (seed %" PRIu64 ", %s)\n",
		what, x.number, x.self, x.seed, errno ? strerror(errno) : "no errno");
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

static bool direct(unsigned one_in)
{
	return !x.no_direct && below(one_in) == 0;
}

static void read_with(int fd, const char *how, size_t at, size_t len)
{
	size_t wanted = at >= x.size ? 0 : len < x.size - at ? len : x.size - at;
	/* Behind our part there is somebody else's. */
	ssize_t n = pread(fd, x.buffer, x.shared ? wanted : len, (off_t)(x.base + at));

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
	bool past = direct(3);

	note(past ? "direct read" : "read", at, len);
	if (!past && below(2))
		drop_pages();
	if (len > x.max)
		len = x.max;
	read_with(past ? x.direct : x.fd, past ? "direct read" : "read", at, len);
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

/* What is changed lies within the largest size. */
static void fit(size_t *at, size_t *len)
{
	if (*at >= x.max)
		*at = x.max - 1;
	if (*len > x.max - *at)
		*len = x.max - *at;
}

static void grow_to(size_t size)
{
	if (size > x.size)
		x.size = size;
}

static void do_write(void)
{
	size_t at = some_offset(below(8) ? x.size : x.max - 1), len = some_length();
	bool past = direct(4);

	fit(&at, &len);
	note(past ? "direct write" : "write", at, len);
	fill(x.buffer, len);
	if (pwrite(past ? x.direct : x.fd, x.buffer, len, (off_t)(x.base + at)) != (ssize_t)len)
		fail("write");
	memcpy(x.model + at, x.buffer, len);
	grow_to(at + len);
}

/* At the end, with a descriptor of its own. */
static void do_append(void)
{
	size_t at = x.size, len = some_length();
	int fd;

	if (at == x.max)
		return;
	fit(&at, &len);
	note("append", at, len);
	fill(x.buffer, len);
	fd = open(x.path, O_WRONLY | O_APPEND | (below(8) ? 0 : O_DSYNC));
	if (fd < 0 || write(fd, x.buffer, len) != (ssize_t)len || close(fd) < 0)
		fail("append");
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

static void allocate(const char *name, int mode, bool clears)
{
	size_t at = some_offset(x.size), len = some_length();

	fit(&at, &len);
	note(name, at, len);
	if (fallocate(x.fd, mode, (off_t)(x.base + at), (off_t)len) < 0)
		fail("fallocate");
	if (clears && at < x.size)
		memset(x.model + at, 0, len < x.size - at ? len : x.size - at);
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		grow_to(at + len);
}

static int maybe_keep(void)
{
	return below(2) ? FALLOC_FL_KEEP_SIZE : 0;
}

static void do_punch(void)
{
	allocate("punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, true);
}

static void do_zero(void)
{
	int keep = maybe_keep();

	allocate(keep ? "zero range, size kept" : "zero range", FALLOC_FL_ZERO_RANGE | keep, true);
}

static void do_allocate(void)
{
	int keep = maybe_keep();

	allocate(keep ? "allocate, size kept" : "allocate", keep, false);
}

/* From one place of the file to another, in as many calls as it takes. */
static void do_copy(void)
{
	size_t at = some_offset(x.size), len = some_length(), to = some_offset(x.max - 1);

	if (at >= x.size)
		return;
	if (len > x.size - at)
		len = x.size - at;
	if (len > x.max - to)
		len = x.max - to;
	if (at < to + len && to < at + len)
		return;
	snprintf(x.history[x.number % HISTORY], sizeof x.history[0],
		"%" PRIu64 " copy from %zu to %zu length %zu, size %zu", x.number, at, to, len,
		x.size);
	errno = 0;
	for (size_t done = 0; done < len;) {
		loff_t from = (loff_t)(at + done), into = (loff_t)(to + done);
		ssize_t n = copy_file_range(x.fd, &from, x.fd, &into, len - done, 0);

		if (n <= 0)
			fail("copy_file_range");
		done += (size_t)n;
	}
	memcpy(x.model + to, x.model + at, len);
	grow_to(to + len);
}

static void change_mapped(uint8_t *p, size_t at, size_t len, bool private)
{
	fill(x.buffer, len);
	memcpy(p, x.buffer, len);
	if (!private)
		memcpy(x.model + at, x.buffer, len);
}

/* Written back at once, or when the kernel likes: what follows must see it in either case. */
static void do_map(void)
{
	bool writing = below(2), private = below(6) == 0;

	if (x.size == 0)
		return;
	size_t at = below(x.size), len = 1 + below(x.size - at);
	size_t start = (x.base + at) & ~(size_t)(PAGE - 1), skip = x.base + at - start;

	note(!writing ? "mapped read" : private ? "private mapped write" : "mapped write", at, len);
	uint8_t *p = mmap(NULL, skip + len, PROT_READ | (writing ? PROT_WRITE : 0),
		private ? MAP_PRIVATE : MAP_SHARED, x.fd, (off_t)start);

	if (p == MAP_FAILED)
		fail("mmap");
	compare("mapped read", at, len, p + skip);
	if (writing)
		change_mapped(p + skip, at, len, private);
	if (writing && !private && below(2) && msync(p, skip + len, MS_SYNC) < 0)
		fail("msync");
	if (munmap(p, skip + len) < 0)
		fail("munmap");
}

static void reopen(int flags)
{
	if (x.fd >= 0 && (close(x.fd) < 0 || close(x.direct) < 0))
		fail("close");
	x.fd = open(x.path, O_RDWR | flags, 0644);
	x.direct = open(x.path, O_RDWR | (x.no_direct ? 0 : O_DIRECT));
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
	if (fstat(x.fd, &st) < 0 || (!x.shared && (size_t)st.st_size != x.size))
		fail("the size is wrong");
	drop_pages();
	read_with(x.fd, "check", 0, x.max);
	if (!x.no_direct)
		read_with(x.direct, "direct check", 0, x.max);
}

#define RESIZES 1u /* not in a file that is shared */

static struct operation {
	const char *name;
	void (*run)(void);
	unsigned weight; /* 0: left out */
	unsigned needs;
} operations[] = {
	{"read", do_read, 9, 0},
	{"write", do_write, 9, 0},
	{"append", do_append, 1, RESIZES},
	{"truncate", do_truncate, 3, RESIZES},
	{"punch", do_punch, 2, 0},
	{"zero", do_zero, 2, 0},
	{"allocate", do_allocate, 3, 0},
	{"copy", do_copy, 2, RESIZES},
	{"map", do_map, 3, 0},
	{"seek", do_seek, 3, RESIZES},
	{"fsync", do_sync, 1, 0}, /* rare, for they cost much */
	{"reopen", do_reopen, 1, 0},
};
#define OPERATIONS (sizeof operations / sizeof *operations)

static void step(void)
{
	unsigned total = 0, i = 0;

	for (size_t k = 0; k < OPERATIONS; k++)
		total += operations[k].weight;

	size_t drawn = below(total);

	while (drawn >= operations[i].weight)
		drawn -= operations[i++].weight;
	operations[i].run();
	if (x.number % 250 == 249)
		check_all();
}

static void usage(void) __attribute__((noreturn));

static void usage(void)
{
	fputs("usage: fsx [-s SEED] [-n OPERATIONS] [-l BYTES] [-p PROCESSES] [-o NAME,...] "
	      "[-x NAME,...] FILE\n",
		stderr);
	exit(2);
}

static bool is_named(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = list; (p = strstr(p, name)); p += len)
		if ((p == list || p[-1] == ',') && (p[len] == ',' || !p[len]))
			return true;
	return false;
}

/* Sets the weight of what the list names (or does not name) to nothing. */
static void leave_out(const char *list, bool named)
{
	for (size_t i = 0; i < OPERATIONS; i++)
		if (is_named(list, operations[i].name) == named)
			operations[i].weight = 0;
	if (is_named(list, "direct") == named)
		x.no_direct = true;
}

static void parse(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "s:n:l:p:o:x:")) != -1)
		switch (c) {
		case 's':
			x.seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			x.operations = strtoull(optarg, NULL, 0);
			break;
		case 'l':
			x.max = strtoull(optarg, NULL, 0);
			break;
		case 'p':
			x.processes = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'o':
		case 'x':
			leave_out(optarg, c == 'x');
			break;
		default:
			usage();
		}
	if (optind != argc - 1 || x.max == 0 || x.processes == 0 || x.processes > PROCESSES_MAX)
		usage();
	x.path = argv[optind];
	x.shared = x.processes > 1;
	for (size_t i = 0; i < OPERATIONS && x.shared; i++)
		if (operations[i].needs & RESIZES)
			operations[i].weight = 0;
}

static void prepare(void)
{
	x.state = x.seed + x.self * 1000003;
	x.fd = -1;
	x.model = calloc(1, x.max);
	x.buffer = aligned_alloc(PAGE, (x.max + PAGE - 1) & ~(size_t)(PAGE - 1));
	if (!x.model || !x.buffer)
		exit(1);
	reopen(x.shared ? 0 : O_CREAT | O_TRUNC);
}

static void run(void)
{
	prepare();
	for (x.number = 0; x.number < x.operations; x.number++)
		step();
	check_all();
	if (fsync(x.fd) < 0)
		fail("fsync");
	free(x.model);
	free(x.buffer);
}

/*
 * Whether parts may begin in the middle of a page. Not when mappings change pages: the kernel
 * writes such a page back whole when it likes, also while the file system is just clearing a
 * neighbour's bytes of it, which then come back (FUSE holds no lock over both).
 */
static bool may_share_pages(void)
{
	for (size_t i = 0; i < OPERATIONS; i++)
		if (operations[i].run == do_map && operations[i].weight)
			return false;
	return x.no_direct;
}

static int run_together(void)
{
	pid_t children[PROCESSES_MAX];
	int fd = open(x.path, O_RDWR | O_CREAT | O_TRUNC, 0644), status, failed = 0;

	if (!may_share_pages())
		x.max = (x.max + PAGE - 1) & ~(size_t)(PAGE - 1);
	if (fd < 0 || ftruncate(fd, (off_t)(x.max * x.processes)) < 0 || close(fd) < 0)
		fail("the file cannot be made");
	x.size = x.max;
	fflush(NULL);
	for (x.self = 0; x.self < x.processes; x.self++) {
		children[x.self] = fork();
		if (children[x.self] == 0) {
			x.base = x.self * x.max;
			run();
			exit(0);
		}
	}
	for (unsigned i = 0; i < x.processes; i++)
		if (children[i] < 0 || waitpid(children[i], &status, 0) < 0 || status != 0)
			failed = 1;
	return failed;
}

int main(int argc, char **argv)
{
	x.operations = 5000;
	x.max = SIZE_DEFAULT;
	x.processes = 1;
	if (getrandom(&x.seed, sizeof x.seed, 0) != sizeof x.seed)
		return 1;
	x.seed %= 1000000;
	parse(argc, argv);
	printf("fsx seed %" PRIu64 "\n", x.seed);
	if (x.shared)
		return run_together();
	run();
	return 0;
}
