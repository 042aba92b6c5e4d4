/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What fsync acknowledged is there after a crash, and nothing that was never written.
 *
 *   journal write DIR LOG SEED SECONDS   several processes change files in DIR, each noting in its
 * own LOG.n (outside of DIR) what it starts and what was acknowledged; ends well when DIR goes away
 *   journal check DIR LOG                compares DIR with the notes, and takes what it finds as
 * the new beginning LOG is an absolute path.
 *
 * Each process has four kinds of work, each of items with a version that rises:
 *   replace   a new file is written, synced and renamed over the old one: the name always shows a
 * whole version blocks    blocks of one file are overwritten in place: each shows a whole version
 *   append    fixed records are appended: no gap, no piece
 *   order     a number goes to file a, then to file b, without a sync: b is never ahead, never more
 * than one behind A version may be anything from the last acknowledged one to the last one started.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 4
#define ITEMS 16 /* files to replace; blocks */
#define BLOCK 4096u
#define RECORD 64u
#define FILE_MAX 200000u

enum kind { REPLACE, BLOCKS, APPEND, ORDER, KINDS };
enum note { STARTED, ACKNOWLEDGED, FOUND };

struct entry {
	uint8_t note, kind, item, pad[5];
	uint64_t version;
};

struct worker {
	int id, log;
	uint64_t rng, base; /* seed of the contents */
	uint64_t started[KINDS][ITEMS], acknowledged[KINDS][ITEMS];
};

static const char *const kind_names[KINDS] = {"replace", "blocks", "append", "order"};
static uint8_t bytes[FILE_MAX + 1], expected[FILE_MAX];

static uint64_t mix(uint64_t z)
{
	z += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static uint64_t draw(struct worker *w)
{
	return w->rng = mix(w->rng);
}

static void path_of(const struct worker *w, const char *name, unsigned item, char out[64])
{
	snprintf(out, 64, "w%d-%s-%u", w->id, name, item);
}

/* The bytes of a version, the version itself first. */
static void content(
	const struct worker *w, unsigned item, uint64_t version, uint8_t *out, size_t len)
{
	uint64_t word = mix(w->base ^ (uint64_t)item << 48 ^ version);

	for (size_t i = 0; i < len; i += 8) {
		uint64_t v = i == 0 ? version : word;

		memcpy(out + i, &v, len - i < 8 ? len - i : 8);
		if (version % 3)
			word = mix(word);
	}
}

static size_t length_of(const struct worker *w, unsigned item, uint64_t version)
{
	uint64_t h = mix(w->base ^ version << 8 ^ item);

	return 8 + (size_t)(h % 4 ? h / 4 % 3000 : h / 4 % (FILE_MAX - 8));
}

static void take(struct worker *w, enum note n, enum kind k, unsigned item, uint64_t version)
{
	if (n != ACKNOWLEDGED)
		w->started[k][item] = version;
	if (n != STARTED)
		w->acknowledged[k][item] = version;
}

static void note(struct worker *w, enum note n, enum kind k, unsigned item, uint64_t version)
{
	struct entry e = {
		.note = (uint8_t)n, .kind = (uint8_t)k, .item = (uint8_t)item, .version = version};

	if (write(w->log, &e, sizeof e) != sizeof e) {
		perror("journal: cannot write a note");
		exit(1);
	}
	take(w, n, k, item, version);
}

/* The mount went away: a good end. Anything else is a failure. */
static void gone(const char *what)
{
	if (errno == ENOTCONN || errno == ECONNABORTED || errno == EIO || errno == ENODEV)
		exit(0);
	fprintf(stderr, "journal: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_or_end(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		gone(path);
	return fd;
}

static void write_or_end(int fd, const void *data, size_t len, off_t at)
{
	if (pwrite(fd, data, len, at) != (ssize_t)len)
		gone("write");
}

static void sync_and_close(int fd)
{
	if (fsync(fd) < 0)
		gone("fsync");
	if (close(fd) < 0)
		gone("close");
}

static void work_replace(struct worker *w)
{
	unsigned item = (unsigned)(draw(w) % ITEMS);
	uint64_t version = w->started[REPLACE][item] + 1;
	size_t len = length_of(w, item, version);
	char name[64], temporary[64];

	path_of(w, "replace", item, name);
	path_of(w, "new", item, temporary);
	content(w, item, version, bytes, len);
	note(w, STARTED, REPLACE, item, version);
	int fd = open_or_end(temporary, O_WRONLY | O_CREAT | O_TRUNC);

	write_or_end(fd, bytes, len, 0);
	if (draw(w) % 2 && fsync(fd) < 0)
		gone("fsync");
	if (rename(temporary, name) < 0)
		gone("rename");
	if (draw(w) % 3 == 0) {
		(void)close(fd);
		return; /* not synced: the old or the new version, whole */
	}
	sync_and_close(fd);
	note(w, ACKNOWLEDGED, REPLACE, item, version);
}

static void work_blocks(struct worker *w)
{
	unsigned item = (unsigned)(draw(w) % ITEMS);
	uint64_t version = w->started[BLOCKS][item] + 1;
	char name[64];

	path_of(w, "blocks", 0, name);
	content(w, item, version, bytes, BLOCK);
	note(w, STARTED, BLOCKS, item, version);
	int fd = open_or_end(name, O_WRONLY | O_CREAT);

	write_or_end(fd, bytes, BLOCK, (off_t)(item * BLOCK));
	if (draw(w) % 2) {
		(void)close(fd);
		return;
	}
	sync_and_close(fd);
	for (unsigned i = 0; i < ITEMS; i++)
		if (w->acknowledged[BLOCKS][i] != w->started[BLOCKS][i])
			note(w, ACKNOWLEDGED, BLOCKS, i, w->started[BLOCKS][i]);
}

static void work_append(struct worker *w)
{
	char name[64];

	path_of(w, "append", 0, name);
	int fd = open_or_end(name, O_WRONLY | O_CREAT | O_APPEND);

	for (uint64_t n = 1 + draw(w) % 8; n > 0; n--) {
		uint64_t version = w->started[APPEND][0] + 1;

		content(w, 0, version, bytes, RECORD);
		note(w, STARTED, APPEND, 0, version);
		if (write(fd, bytes, RECORD) != (ssize_t)RECORD)
			gone("write");
	}
	sync_and_close(fd);
	note(w, ACKNOWLEDGED, APPEND, 0, w->started[APPEND][0]);
}

static void work_order(struct worker *w)
{
	char a[64], b[64];

	path_of(w, "order", 0, a);
	path_of(w, "order", 1, b);
	int fa = open_or_end(a, O_WRONLY | O_CREAT), fb = open_or_end(b, O_WRONLY | O_CREAT);

	for (int n = 0; n < 6; n++) {
		uint64_t version = w->started[ORDER][0] + 1;

		note(w, STARTED, ORDER, 0, version);
		write_or_end(fa, &version, sizeof version, 0);
		write_or_end(fb, &version, sizeof version, 0);
	}
	(void)close(fa);
	(void)close(fb);
}

static int open_log(const char *log, int id)
{
	char path[512];

	snprintf(path, sizeof path, "%s.%d", log, id);
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	if (fd < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

/* Fills what the notes say. A last note that was cut off has started nothing. */
static void read_notes(struct worker *w)
{
	struct entry e;

	while (read(w->log, &e, sizeof e) == sizeof e) {
		if (e.note > FOUND || e.kind >= KINDS || e.item >= ITEMS) {
			fputs("journal: the notes are damaged\n", stderr);
			exit(1);
		}
		take(w, e.note, e.kind, e.item, e.version);
	}
}

static void worker_init(struct worker *w, const char *log, int id)
{
	*w = (struct worker){.id = id, .base = mix((uint64_t)id), .log = open_log(log, id)};
	read_notes(w);
}

static void work(const char *log, int id, uint64_t seed, unsigned seconds)
{
	static void (*const table[KINDS])(struct worker * w) = {
		work_replace, work_blocks, work_append, work_order};
	time_t end = time(NULL) + (time_t)seconds;
	struct worker w;

	worker_init(&w, log, id);
	w.rng = mix(seed ^ (uint64_t)id << 32);
	while (time(NULL) <= end)
		table[draw(&w) % KINDS](&w);
	exit(0);
}

static int run_workers(const char *log, uint64_t seed, unsigned seconds)
{
	int failed = 0, status;

	for (int i = 0; i < WORKERS; i++) {
		pid_t p = fork();

		if (p == 0)
			work(log, i, seed, seconds);
		if (p < 0) {
			perror("fork");
			return 1;
		}
	}
	while (wait(&status) > 0)
		failed |= !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	return failed;
}

/* `found` lies between what was acknowledged and what was started. Takes it as the new beginning.
 */
static int judge(struct worker *w, enum kind k, unsigned item, uint64_t found)
{
	if (found < w->acknowledged[k][item] || found > w->started[k][item]) {
		fprintf(stderr,
			"journal: worker %d %s %u: version %" PRIu64 ", acknowledged %" PRIu64
			", started %" PRIu64 "\n",
			w->id, kind_names[k], item, found, w->acknowledged[k][item],
			w->started[k][item]);
		return 1;
	}
	note(w, FOUND, k, item, found); /* later versions were lost, and will be written again */
	return 0;
}

static int damaged(const struct worker *w, const char *what, const char *path, size_t len)
{
	fprintf(stderr, "journal: worker %d: %s: %s, %zu bytes\n", w->id, path, what, len);
	return 1;
}

/* The whole file into `bytes`; 0 when it is not there. */
static size_t load(const char *path, bool *ret_exists)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;
	size_t len = 0;

	*ret_exists = fd >= 0;
	if (fd < 0 && errno != ENOENT) {
		perror(path);
		exit(1);
	}
	while (fd >= 0 && len < sizeof bytes && (n = read(fd, bytes + len, sizeof bytes - len)) > 0)
		len += (size_t)n;
	if (n < 0) {
		perror(path);
		exit(1);
	}
	if (fd >= 0)
		(void)close(fd);
	return len;
}

static uint64_t version_at(size_t offset)
{
	uint64_t v;

	memcpy(&v, bytes + offset, sizeof v);
	return v;
}

static int check_replace(struct worker *w)
{
	int bad = 0;
	bool exists;
	char path[64];

	for (unsigned item = 0; item < ITEMS; item++) {
		path_of(w, "replace", item, path);
		size_t len = load(path, &exists);
		uint64_t version = len >= 8 ? version_at(0) : 0;

		if (exists && (version == 0 || len != length_of(w, item, version))) {
			bad |= damaged(w, "no whole version", path, len);
			continue;
		}
		content(w, item, version, expected, len);
		bad |= exists && memcmp(bytes, expected, len) ? damaged(w, "wrong bytes", path, len)
							      : judge(w, REPLACE, item, version);
	}
	return bad;
}

static int check_blocks(struct worker *w)
{
	static const uint8_t zeros[BLOCK];
	int bad = 0;
	bool exists;
	char path[64];

	path_of(w, "blocks", 0, path);
	size_t len = load(path, &exists);

	if (len % BLOCK || len > ITEMS * BLOCK)
		return damaged(w, "wrong size", path, len);
	memset(bytes + len, 0, ITEMS * BLOCK - len);
	for (unsigned item = 0; item < ITEMS; item++) {
		uint64_t version = version_at(item * BLOCK);

		content(w, item, version, expected, BLOCK);
		if (memcmp(bytes + item * BLOCK, version ? expected : zeros, BLOCK))
			bad |= damaged(w, "wrong bytes in a block", path, item * BLOCK);
		else
			bad |= judge(w, BLOCKS, item, version);
	}
	return bad;
}

/* Long files are read in pieces: all records, one after the other. */
static int check_append(struct worker *w)
{
	char path[64];
	uint64_t count = 0;
	ssize_t n = 0;

	path_of(w, "append", 0, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? judge(w, APPEND, 0, 0)
				       : damaged(w, strerror(errno), path, 0);
	while ((n = read(fd, bytes, RECORD)) == (ssize_t)RECORD) {
		content(w, 0, ++count, expected, RECORD);
		if (memcmp(bytes, expected, RECORD)) {
			(void)close(fd);
			return damaged(w, "wrong record", path, (size_t)count);
		}
	}
	(void)close(fd);
	return n ? damaged(w, "a piece of a record", path, (size_t)count)
		 : judge(w, APPEND, 0, count);
}

static int check_order(struct worker *w)
{
	char path[64];
	bool exists;
	uint64_t v[2];

	for (unsigned i = 0; i < 2; i++) {
		path_of(w, "order", i, path);
		size_t len = load(path, &exists);

		if (len != 0 && len != 8)
			return damaged(w, "wrong size", path, len);
		v[i] = len ? version_at(0) : 0;
	}
	if (v[1] > v[0] || v[0] > v[1] + 1) {
		fprintf(stderr, "journal: worker %d: a has %" PRIu64 ", b has %" PRIu64 "\n", w->id,
			v[0], v[1]);
		return 1;
	}
	return judge(w, ORDER, 0, v[0]);
}

static int check_workers(const char *log)
{
	uint64_t versions = 0, acknowledged = 0;
	int bad = 0;

	for (int i = 0; i < WORKERS; i++) {
		struct worker w;

		worker_init(&w, log, i);
		for (unsigned k = 0; k < KINDS; k++)
			for (unsigned item = 0; item < ITEMS; item++) {
				versions += w.started[k][item];
				acknowledged += w.acknowledged[k][item];
			}
		bad |= check_replace(&w) | check_blocks(&w) | check_append(&w) | check_order(&w);
		(void)close(w.log);
	}
	printf("journal: %" PRIu64 " versions started, %" PRIu64 " acknowledged\n", versions,
		acknowledged);
	return bad;
}

int main(int argc, char **argv)
{
	/* From inside: when the mount is taken away, names must not lead to what lies below it. */
	if (argc > 2 && chdir(argv[2]) < 0) {
		perror(argv[2]);
		return 1;
	}
	if (argc == 6 && strcmp(argv[1], "write") == 0)
		return run_workers(argv[3], strtoull(argv[4], NULL, 0), (unsigned)atoi(argv[5]));
	if (argc == 4 && strcmp(argv[1], "check") == 0)
		return check_workers(argv[3]);
	fputs("usage: journal write DIR LOG SEED SECONDS | journal check DIR LOG\n", stderr);
	return 2;
}
