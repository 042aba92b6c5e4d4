/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_POSIX_CONFORM_H
#define TESTS_POSIX_CONFORM_H
/*
 * Compares two file systems, call by call. Every system call is made in a directory of each (a
 * world): first of the reference, then of the one under test. Afterwards the results, and all that
 * can be seen of the two trees and of the open files, must be the same.
 *
 * A step is a line of text ("rename d/a b RENAME_EXCHANGE"), so that a case is readable, a random
 * history can be printed, and any of them can be repeated from the command line. One thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define SLOTS 8	       /* open files of a world */
#define WORDS_MAX 16   /* of a step */
#define STEPS_MAX 4096 /* of a case */

/* ---- text.c ---- */

/* A growing string; never NULL once something was added. */
struct text {
	char *data;
	size_t len, cap;
};

void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_bytes(struct text *t, const void *bytes, size_t len);
void text_clear(struct text *t);
void text_done(struct text *t);
/* What was added, "" for nothing. */
const char *text_of(const struct text *t);
/* Prints and ends with status 2: the case or the usage is wrong, not the file system. */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void *must(void *allocated);

/* ---- symbols.c ---- */

/* The number that a word stands for: 0644, 17, 4k, 2G, -1, O_RDWR|O_CREAT, MAX. */
int64_t number_of(const char *word);
/* Numbers below 4096 that errno may have; "0" for none. */
const char *errno_name(int e);

/* ---- worlds ---- */

struct user {
	const char *name;
	uid_t uid;
	gid_t gid;
	size_t ngroups;
	gid_t groups[4];
};

const struct user *user_find(const char *name);
const struct user *user_at(size_t i); /* NULL behind the last */
/* All calls from now on are made by this user. */
void user_become(const struct user *u);

struct state;

struct world {
	const char *label, *dir;
	int root, cwd; /* directories; cwd may have been removed */
	int fd[SLOTS];
	int watch; /* inotify, -1 = none */
	uint8_t *map;
	size_t map_len;
	pid_t running; /* a program started from here, 0 = none */
	struct state *before, *now;
};

void world_open(struct world *w, const char *label, const char *dir);
/* The world's directory becomes the root of all paths, and back. */
void world_enter(const struct world *w);
void world_leave(void);
/* /proc/self/fd, also inside. */
int world_descriptors(void);
/* Closes and removes everything that the steps made. */
void world_clear(struct world *w);

/* ---- calls ---- */

struct result {
	int64_t value;
	int error;
	struct text text; /* what else can be told of the answer */
};

/* One step for one world. */
struct call {
	struct world *w;
	char **words; /* [0] is the name of the call */
	int count;
	struct result *r;
};

typedef void call_fn(struct call *c);
struct call_entry {
	const char *name;
	call_fn *fn;
};

/* Tables that end with a NULL name. */
extern const struct call_entry calls_names[], calls_attr[], calls_file[], calls_map[],
	calls_xattr[], calls_process[];

/* Arguments, counted from 1. A missing one is an error of the case, except with a default. */
const char *arg_word(struct call *c, int i);
int64_t arg_number(struct call *c, int i);
int64_t arg_number_or(struct call *c, int i, int64_t otherwise);
/* An open file by its slot, "cwd", or "bad" for a descriptor that is none. */
int arg_fd(struct call *c, int i);
/* Puts a new descriptor in the slot that argument `i` names, and the result with it. */
void put_fd(struct call *c, int i, int fd);
/* The result of a system call: -1 with errno, else the value. */
void put(struct call *c, int64_t value);

/* Entries of a directory, sorted, with types; for a descriptor that is at its beginning. */
int list_entries(int fd, struct text *out);

/* Makes the call of `words` in the world, as the current user in the world's cwd. */
void call_run(struct world *w, char **words, int count, struct result *r);

/* ---- state.c ---- */

/* Looks at everything, as root; keeps the one before for what has moved. */
void state_take(struct world *w, bool with_atime);
/* Differences of the two, one per line; false when there are none. */
bool state_differs(const struct world *a, const struct world *b, struct text *out);
/* Whether the attributes that the kernel keeps are those of the file system. */
bool state_incoherent(const struct world *w, struct text *out);
void state_free(struct state *s);

/* ---- runner.c ---- */

struct runner {
	struct world *reference, *tested;
	bool verbose;
	bool confined;	 /* random paths must not get out of a world by ".." */
	long naptime_ns; /* before each step, when the reference's clock is coarse */
	long cases, steps, deviations, known;
};

/* One case from an empty tree on. `steps` are lines; a line may hold several, separated by ';'.
 * Returns the number of the line where the worlds differ with the difference in `out`, or -1. */
long run_steps(
	struct runner *r, char *const *steps, size_t count, bool with_atime, struct text *out);
/* The same, told and counted. Returns whether it was a new deviation. */
bool run_case(
	struct runner *r, const char *name, char *const *steps, size_t count, bool with_atime);
void run_file(struct runner *r, const char *path, const char *only);
/* Random histories; each deviation is made as short as possible. */
void run_walk(struct runner *r, uint64_t seed, unsigned seconds);

/* ---- crowd.c ---- */

/* Several processes in one directory of one file system: what must hold whatever happens. */
int crowd_run(const char *dir, uint64_t seed, unsigned seconds);

/* ---- known.c ---- */

/* Why this difference is expected: a reason, or NULL. */
const char *known_reason(const char *call, const struct result *reference,
	const struct result *tested, const char *difference);

/* splitmix64 */
uint64_t draw(uint64_t *state);

#endif
