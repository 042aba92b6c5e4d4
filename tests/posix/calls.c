/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making one call in one world, and what all calls share: arguments and results. */
#include "tests/posix/calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct call_entry *const tables[] = {
	calls_names, calls_attr, calls_file, calls_map, calls_xattr, calls_process};

void call_run(struct world *w, char **words, int count, struct result *r)
{
	struct call c = {.w = w, .words = words, .count = count, .r = r};

	r->value = 0;
	r->error = 0;
	text_clear(&r->text);
	for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
		for (const struct call_entry *e = tables[t]; e->name; e++)
			if (strcmp(e->name, words[0]) == 0) {
				errno = 0;
				e->fn(&c);
				return;
			}
	die("no call %s", words[0]);
}

const char *arg_word(struct call *c, int i)
{
	if (i >= c->count)
		die("%s lacks its argument %d", c->words[0], i);
	return c->words[i];
}

struct place arg_place(struct call *c, int i)
{
	const char *word = arg_word(c, i);

	if (strcmp(word, "NULL") == 0) /* no address of a string */
		return (struct place){AT_FDCWD, (const char *)8};
	if (word[0] == '@' && word[1] && word[2] == ':') {
		int slot = word[1] - '0';

		if (slot < 0 || slot >= SLOTS)
			die("no slot in %s", word);
		return (struct place){c->w->fd[slot], word + 3};
	}
	return (struct place){AT_FDCWD, word};
}

int64_t arg_number(struct call *c, int i)
{
	return number_of(arg_word(c, i));
}

int64_t arg_number_or(struct call *c, int i, int64_t otherwise)
{
	return i < c->count ? number_of(c->words[i]) : otherwise;
}

static int slot_of(struct call *c, int i)
{
	int64_t slot = arg_number(c, i);

	if (slot < 0 || slot >= SLOTS)
		die("no slot %s", arg_word(c, i));
	return (int)slot;
}

int arg_fd(struct call *c, int i)
{
	const char *word = arg_word(c, i);

	if (strcmp(word, "cwd") == 0)
		return AT_FDCWD;
	if (strcmp(word, "bad") == 0)
		return 9999;
	return c->w->fd[slot_of(c, i)];
}

void put(struct call *c, int64_t value)
{
	c->r->error = value == -1 ? errno : 0;
	c->r->value = value;
}

void put_fd(struct call *c, int i, int fd)
{
	int slot = slot_of(c, i);

	put(c, fd < 0 ? -1 : 0);
	if (c->w->fd[slot] >= 0)
		close(c->w->fd[slot]);
	c->w->fd[slot] = fd;
}

void close_slot(struct call *c, int i)
{
	int slot = slot_of(c, i);

	put(c, close(c->w->fd[slot]));
	c->w->fd[slot] = -1;
}

/* As the kernel gives them to getdents64(2). */
struct entry {
	uint64_t ino;
	int64_t next;
	uint16_t len;
	uint8_t type;
	char name[];
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void join_sorted(char **lines, size_t count, struct text *out)
{
	qsort(lines, count, sizeof *lines, by_text);
	for (size_t i = 0; i < count; i++) {
		text_add(out, "%s ", lines[i]);
		free(lines[i]);
	}
	free(lines);
}

int list_entries(int fd, struct text *out)
{
	_Alignas(8) char buffer[8192];
	char **lines = NULL;
	size_t count = 0;
	long n;

	while ((n = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0)
		for (long at = 0; at < n;) {
			const struct entry *e = (const struct entry *)(const void *)(buffer + at);
			struct text t = {0};

			text_add(&t, "%s:%u", e->name, e->type);
			lines = must(realloc(lines, (count + 1) * sizeof *lines));
			lines[count++] = t.data;
			at += e->len;
		}

	int error = errno;

	join_sorted(lines, count, out);
	errno = error;
	return n < 0 ? -1 : (int)count;
}

/* Reads a directory in small parts and then again from each place that it was told: the entry there
 * must be the same. Returns how many there are. */
int check_cookies(int fd, struct text *out)
{
	_Alignas(8) char buffer[320], again[320];
	const struct entry *e = (const struct entry *)(const void *)buffer,
			   *f = (const struct entry *)(const void *)again;
	int64_t at = 0;
	int count = 0;

	for (; count < 4096; count++) {
		if (lseek(fd, at, SEEK_SET) < 0)
			return -1;

		long n = syscall(SYS_getdents64, fd, buffer, sizeof buffer);

		if (n <= 0)
			return n < 0 ? -1 : count;
		if (lseek(fd, at, SEEK_SET) < 0 ||
			syscall(SYS_getdents64, fd, again, sizeof again) <= 0)
			return -1;
		if (strcmp(e->name, f->name) != 0)
			text_add(out, "%s became %s ", e->name, f->name);
		at = e->next;
	}
	text_add(out, "no end");
	return count;
}
