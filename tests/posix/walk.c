/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random histories over few names, so that calls meet each other's doings. When the worlds differ,
 * steps are left out as long as they still do, and what remains is told with the seed.
 */
#include "tests/posix/conform.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HISTORY 80 /* steps from an empty tree on */
#define STOP_AFTER 3

static uint64_t state;

static unsigned below(unsigned n)
{
	return (unsigned)(draw(&state) % n);
}

static const char *one_of(const char *const *list)
{
	unsigned n = 0;

	while (list[n])
		n++;
	return list[below(n)];
}

static const char *const names[] = {"a", "b", "c", "d", NULL};
static const char *const odd_names[] = {
	"", ".", "..", "a/", "a/.", "b/..", "../a", "{255}", "{256}", "{=4095}a", "{=4096}a", NULL};

static void add_path(struct text *t)
{
	if (below(40) == 0) {
		const char *odd = one_of(odd_names);

		text_add(t, "%s", *odd ? odd : "''");
		return;
	}
	text_add(t, "%s", one_of(names));
	while (below(5) < 2)
		text_add(t, "/%s", one_of(names));
	if (below(24) == 0)
		text_add(t, "/");
}

static const char *const modes[] = {"0", "0644", "0755", "0777", "0600", "01777", "02775", "04755",
	"06711", "0444", "0111", "02640", "07777", NULL};
static const char *const ids[] = {"0", "61001", "61002", "61003", "61100", "-1", NULL};
static const char *const sizes[] = {"0", "1", "100", "4095", "4096", "4097", "10000", "65536",
	"262144", "262145", "700000", NULL};
static const char *const kinds[] = {"file", "file", "dir", "dir", "full", "symlink", "loop", "fifo",
	"sock", "char", "block", NULL};
static const char *const open_flags[] = {"O_RDONLY", "O_RDONLY", "O_WRONLY", "O_RDWR",
	"O_RDWR|O_CREAT", "O_RDWR|O_CREAT", "O_RDWR|O_CREAT|O_EXCL", "O_WRONLY|O_CREAT|O_TRUNC",
	"O_RDWR|O_TRUNC", "O_RDWR|O_APPEND|O_CREAT", "O_RDONLY|O_DIRECTORY", "O_PATH",
	"O_RDONLY|O_NOFOLLOW", "O_PATH|O_NOFOLLOW", "O_RDONLY|O_TRUNC",
	"O_WRONLY|O_NOFOLLOW|O_CREAT", "O_RDONLY|O_CREAT", NULL};
static const char *const masks[] = {"R_OK", "W_OK", "X_OK", "F_OK", "R_OK|W_OK|X_OK", NULL};
static const char *const times[] = {"NOW", "OMIT", "0", "1", "1000000000.123456789", "-1", "-100.5",
	"4000000000.999999999", NULL};
static const char *const rename_flags[] = {
	"0", "0", "0", "RENAME_NOREPLACE", "RENAME_EXCHANGE", NULL};
static const char *const users[] = {"root", "root", "alice", "bob", "carol", "dave", NULL};
static const char *const letters[] = {"x", "y", "z", NULL};
static const char *const fallocate_modes[] = {"0", "FALLOC_FL_KEEP_SIZE",
	"FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE", "FALLOC_FL_ZERO_RANGE",
	"FALLOC_FL_ZERO_RANGE|FALLOC_FL_KEEP_SIZE", NULL};
static const char *const umasks[] = {"0", "022", "077", "0777", NULL};
static const char *const targets[] = {"a", "b", "../a", "b/c", "nowhere", ".", "..", "c/", NULL};

/*
 * p path, m mode, i id, n size, k kind, s slot, o flags of open, r of rename, w flags of access,
 * t time, u user, l letter, f mode of fallocate, v target, M umask; the rest as it stands. Often
 * those that are likely to succeed.
 */
static const char *const templates[] = {"make k p", "make k p", "make k p", "make k p", "mkdir p m",
	"mkdir p m", "rmdir p", "rmdir p", "unlink p", "unlink p", "rename p p r", "rename p p r",
	"rename p p r", "rename p p r", "link p p", "link p p", "link p p AT_SYMLINK_FOLLOW",
	"symlink v p", "symlink v p", "mkfifo p m", "readlink p", "chdir p", "chdir @r",
	"open s p o m", "open s p o m", "open s p o m", "open s p o m", "close s", "reopen s s o",
	"dup s s", "list p", "access p w", "access p w AT_EACCESS", "chmod p m", "chmod p m",
	"lchmod p m", "fchmod s m", "chown p i i", "chown p i i", "lchown p i i", "fchown s i i",
	"truncate p n", "ftruncate s n", "utimens p t t", "utimens p t t AT_SYMLINK_NOFOLLOW",
	"futimens s t t", "touch p", "stat p", "fstat s", "read s n", "pread s n n", "write s l n",
	"write s l n", "pwrite s l n n", "lseek s n SEEK_SET", "lseek s n SEEK_END",
	"fallocate s f n n", "fsync s", "getdents s", "seekdir s", "getcwd", "as u", "as u", "as u",
	"umask M", "mkdir @s:p m", "open s @s:p o m", "unlink @s:p", "rename @s:p p r",
	"mknod p S_IFREG|0644", NULL};

static void add_argument(struct text *t, char what)
{
	const char *const *lists[] = {['m'] = modes,
		['i'] = ids,
		['n'] = sizes,
		['k'] = kinds,
		['o'] = open_flags,
		['r'] = rename_flags,
		['w'] = masks,
		['t'] = times,
		['u'] = users,
		['l'] = letters,
		['f'] = fallocate_modes,
		['v'] = targets,
		['M'] = umasks};

	if (what == 'p')
		add_path(t);
	else if (what == 's')
		text_add(t, "%u", below(4));
	else
		/* A pipe must not make the opener wait for its other end. */
		text_add(t, "%s%s", one_of(lists[(unsigned char)what]),
			what == 'o' ? "|O_NONBLOCK" : "");
}

static char *random_step(void)
{
	const char *p = one_of(templates);
	struct text t = {0};

	for (size_t i = 0; p[i];) {
		size_t len = strcspn(p + i, " ");

		if (i > 0 && len == 1) {
			add_argument(&t, p[i]);
		} else if (strncmp(p + i, "@s:p", len) == 0) {
			text_add(&t, "@%u:%s", below(4), one_of(names));
		} else if (strncmp(p + i, "@r", len) == 0) {
			text_add(&t, "%s", below(2) ? ".." : ".");
		} else {
			text_add(&t, "%.*s", (int)len, p + i);
		}
		i += len;
		if (p[i] == ' ') {
			text_add(&t, " ");
			i++;
		}
	}
	return t.data;
}

static bool still_differs(struct runner *r, char **steps, size_t count, size_t without, size_t n)
{
	char *kept[HISTORY];
	struct text out = {0};
	size_t left = 0;
	bool differs;

	for (size_t i = 0; i < count; i++)
		if (i < without || i >= without + n)
			kept[left++] = steps[i];
	differs = run_steps(r, kept, left, false, &out) >= 0 &&
		  strncmp(text_of(&out), "known: ", 7) != 0;
	text_done(&out);
	return differs;
}

static size_t shorten(struct runner *r, char **steps, size_t count)
{
	for (size_t n = count / 2; n > 0; n /= 2)
		for (size_t i = 0; i + n <= count;) {
			if (!still_differs(r, steps, count, i, n)) {
				i++;
				continue;
			}
			for (size_t k = i; k < i + n; k++)
				free(steps[k]);
			memmove(steps + i, steps + i + n, (count - i - n) * sizeof *steps);
			count -= n;
		}
	return count;
}

static bool run_history(struct runner *r, uint64_t seed)
{
	char *steps[HISTORY], name[64];
	size_t count = 0;
	struct text out = {0};
	long at;
	bool deviates = false;

	state = seed;
	while (count < HISTORY)
		steps[count++] = random_step();
	r->cases++;
	at = run_steps(r, steps, HISTORY, false, &out);
	if (at >= 0 && strncmp(text_of(&out), "known: ", 7) != 0) {
		for (size_t i = (size_t)at + 1; i < count; i++)
			free(steps[i]);
		count = shorten(r, steps, (size_t)at + 1);
		snprintf(name, sizeof name, "walk with SEED=%" PRIu64, seed);
		deviates = run_case(r, name, steps, count, false);
		if (!deviates) {
			printf("%s differed once:\n%s", name, text_of(&out));
			r->deviations++;
			deviates = true;
		}
	} else if (at >= 0) {
		r->known++;
	}
	for (size_t i = 0; i < count; i++)
		free(steps[i]);
	text_done(&out);
	return deviates;
}

void run_walk(struct runner *r, uint64_t seed, unsigned seconds)
{
	time_t end = time(NULL) + (time_t)seconds;
	unsigned deviations = 0;

	printf("SEED=%" PRIu64 "\n", seed);
	do
		deviations += run_history(r, seed++);
	while (time(NULL) < end && deviations < STOP_AFTER);
}
