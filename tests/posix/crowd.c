/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Four processes at work in one directory. Nothing can be said about the order of what they do, but
 * this holds whenever somebody looks: a file that is only ever replaced by rename is there and
 * whole; of several that create with O_EXCL, or make a directory, one succeeds; appended records
 * are all there, once and in one piece; a listing has no name twice and misses none that stays;
 * and at the end link counts are what the names say.
 */
#include "tests/posix/conform.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES 4
#define NAMES 6
#define STAYING 40
#define RECORD 100
#define WHOLE_WORDS 700 /* of a file that is replaced: more than a page */

/* What all of them see. */
static struct shared {
	_Atomic uint64_t created[NAMES], removed[NAMES], appended, inside, entered;
} * shared;

static uint64_t state;
static unsigned self;

static unsigned below(unsigned n)
{
	return (unsigned)(draw(&state) % n);
}

static void broken(const char *what, const char *name)
{
	die("process %u: %s: %s (%s)", self, what, name, errno_name(errno));
}

static void expect_one_of(const char *what, int r, int a, int b, int c)
{
	if (r < 0 && errno != a && errno != b && errno != c)
		broken("an error that cannot be", what);
}

/* Writes its own words and puts the file in place of the other. */
static void replace_file(void)
{
	uint32_t words[WHOLE_WORDS], mark = (uint32_t)draw(&state);
	char temporary[32];
	int fd;

	for (size_t i = 0; i < WHOLE_WORDS; i++)
		words[i] = mark;
	snprintf(temporary, sizeof temporary, "temporary%u", self);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, words, sizeof words) != sizeof words || close(fd) < 0)
		broken("cannot write", temporary);
	if (rename(temporary, "replaced") < 0)
		broken("cannot rename", temporary);
}

static void read_replaced(void)
{
	uint32_t words[WHOLE_WORDS + 1];
	int fd = open("replaced", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		broken("is gone for a moment", "replaced");
	if (read(fd, words, sizeof words) != sizeof words - sizeof *words)
		broken("is not whole", "replaced");
	for (size_t i = 1; i < WHOLE_WORDS; i++)
		if (words[i] != words[0])
			broken("is of two writers", "replaced");
	close(fd);
}

/* Who creates a name exclusively is alone with it until he removes it. */
static void create_exclusively(void)
{
	unsigned n = below(NAMES);
	char name[16];
	int fd;

	snprintf(name, sizeof name, "only%u", n);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		expect_one_of(name, fd, EEXIST, 0, 0);
		return;
	}
	if (atomic_fetch_add(&shared->created[n], 1) != atomic_load(&shared->removed[n]))
		broken("was created twice", name);
	close(fd);
	(void)atomic_fetch_add(&shared->removed[n], 1);
	if (unlink(name) < 0)
		broken("cannot remove", name);
}

/* A directory as a lock. */
static void enter_directory(void)
{
	if (mkdir("lock", 0700) < 0) {
		expect_one_of("lock", -1, EEXIST, 0, 0);
		return;
	}
	if (atomic_fetch_add(&shared->inside, 1) != 0)
		broken("two are inside", "lock");
	(void)atomic_fetch_add(&shared->entered, 1);
	(void)atomic_fetch_sub(&shared->inside, 1);
	if (rmdir("lock") < 0)
		broken("cannot remove", "lock");
}

static void append_record(void)
{
	char record[RECORD];
	int fd = open("records", O_WRONLY | O_APPEND | O_CLOEXEC);

	memset(record, 'a' + (int)self, sizeof record);
	record[RECORD - 1] = '\n';
	if (fd < 0 || write(fd, record, sizeof record) != sizeof record)
		broken("cannot append", "records");
	(void)atomic_fetch_add(&shared->appended, 1);
	close(fd);
}

/* Names that come and go beside those that stay. */
static void list_all(void)
{
	DIR *d = opendir("many");
	bool seen[STAYING] = {false};
	struct dirent *e;
	unsigned n;

	if (!d)
		broken("cannot list", "many");
	while ((e = readdir(d)))
		if (sscanf(e->d_name, "stays%u", &n) == 1 && n < STAYING) {
			if (seen[n])
				broken("is listed twice", e->d_name);
			seen[n] = true;
		}
	for (n = 0; n < STAYING; n++)
		if (!seen[n])
			broken("a name that stays is not listed", "many");
	closedir(d);
}

static void come_and_go(void)
{
	char a[40], b[40];

	snprintf(a, sizeof a, "many/moves%u", below(NAMES));
	snprintf(b, sizeof b, "many/goes%u", below(NAMES));
	switch (below(6)) {
	case 0:
		expect_one_of(a, mknod(a, S_IFREG | 0600, 0), EEXIST, 0, 0);
		break;
	case 1:
		expect_one_of(a, unlink(a), ENOENT, EISDIR, 0);
		break;
	case 2:
		expect_one_of(a, rename(a, b), ENOENT, ENOTDIR, EISDIR);
		break;
	case 3:
		expect_one_of(a, rename(b, a), ENOENT, ENOTDIR, EISDIR);
		break;
	case 4:
		expect_one_of(a, link(a, b), ENOENT, EEXIST, 0);
		break;
	default:
		expect_one_of(
			b, renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE), ENOENT, 0, 0);
	}
}

/* Directories change their parents; a ring must never come to be. */
static void move_directories(void)
{
	static const char *const places[] = {"tree/x", "tree/y", "tree/x/y", "tree/y/x", "tree/x/z",
		"tree/z", "tree/y/z", "tree/x/y/z", "tree/z/x"};
	const size_t count = sizeof places / sizeof *places;
	const char *from = places[below(count)], *to = places[below(count)];
	int r = rename(from, to);

	if (r < 0 && errno != ENOENT && errno != EINVAL && errno != ENOTEMPTY && errno != EEXIST)
		broken("an error that cannot be", from);
}

static void work(uint64_t seed, unsigned who, unsigned seconds)
{
	static void (*const table[])(void) = {replace_file, read_replaced, read_replaced,
		create_exclusively, enter_directory, append_record, list_all, come_and_go,
		come_and_go, come_and_go, move_directories, move_directories};
	time_t end = time(NULL) + (time_t)seconds;
	uint64_t count = 0;

	self = who;
	state = seed * PROCESSES + who;
	for (; time(NULL) < end; count++)
		table[below(sizeof table / sizeof *table)]();
	printf("process %u: %" PRIu64 " operations\n", who, count);
	exit(0);
}

static void prepare(void)
{
	static const char *const dirs[] = {"many", "tree", "tree/x", "tree/y", "tree/z"};
	char name[32];
	int fd;

	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
		if (mkdir(dirs[i], 0755) < 0)
			broken("cannot make", dirs[i]);
	for (unsigned i = 0; i < STAYING; i++) {
		snprintf(name, sizeof name, "many/stays%u", i);
		if (mknod(name, S_IFREG | 0600, 0) < 0)
			broken("cannot make", name);
	}
	fd = open("records", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		broken("cannot make", "records");
	close(fd);
	replace_file();
}

static void check_records(void)
{
	char record[RECORD];
	int fd = open("records", O_RDONLY | O_CLOEXEC);
	uint64_t count = 0;
	ssize_t n;

	while ((n = read(fd, record, sizeof record)) == RECORD) {
		for (size_t i = 1; i < RECORD - 1; i++)
			if (record[i] != record[0])
				broken("is of two writers", "records");
		count++;
	}
	if (n != 0 || count != atomic_load(&shared->appended))
		broken("a record is missing, or one too many", "records");
	close(fd);
}

#define INODES_MAX 1024
static struct {
	ino_t ino;
	nlink_t links, names;
} counted[INODES_MAX];

static int count_name(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	size_t i = 0;

	(void)ftw;
	if (type == FTW_D || type == FTW_DNR) {
		nlink_t dirs = 2;
		DIR *d = opendir(path);
		struct dirent *e;

		while (d && (e = readdir(d)))
			dirs += e->d_type == DT_DIR && e->d_name[0] != '.';
		if (d)
			closedir(d);
		if (dirs != st->st_nlink)
			broken("has a wrong count of links", path);
		return 0;
	}
	while (i < INODES_MAX && counted[i].ino && counted[i].ino != st->st_ino)
		i++;
	if (i == INODES_MAX)
		broken("too many files", path);
	counted[i].ino = st->st_ino;
	counted[i].links = st->st_nlink;
	counted[i].names++;
	return 0;
}

static void check_links(void)
{
	if (nftw(".", count_name, 16, FTW_PHYS) != 0)
		broken("cannot be walked", ".");
	for (size_t i = 0; i < INODES_MAX && counted[i].ino; i++)
		if (counted[i].links != counted[i].names)
			broken("a file has another count of links than names", ".");
}

int crowd_run(const char *dir, uint64_t seed, unsigned seconds)
{
	pid_t children[PROCESSES];
	int status, failed = 0;

	printf("SEED=%" PRIu64 "\n", seed);
	if (chdir(dir) < 0)
		die("%s: %s", dir, strerror(errno));
	shared = mmap(
		NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	prepare();
	fflush(NULL);
	for (unsigned i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		if (children[i] == 0)
			work(seed, i, seconds);
	}
	for (unsigned i = 0; i < PROCESSES; i++)
		if (children[i] < 0 || waitpid(children[i], &status, 0) < 0 || status != 0)
			failed = 1;
	if (failed)
		return 1;
	check_records();
	check_links();
	printf("%" PRIu64 " records, %" PRIu64 " times alone\n", atomic_load(&shared->appended),
		atomic_load(&shared->entered));
	return 0;
}
