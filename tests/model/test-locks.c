/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * File locks against a naive model: for each owner a type and a file for every byte. Random
 * requests with and without waiting, unlocking, giving up, closing files; the model says what each
 * gives, who is granted what in which order, and what getlk sees.
 *
 * The file has PLACES places; one of them stands for a long range in the middle, the last reaches
 * to the end of all, so that arithmetic at both ends is met.
 */
#include "core/vfs/engine_internal.h"

#include "tests/lib/lock_events.h"
#include "tests/unit/vfs-ops-fixture.h"

#include <stdio.h>

#define PLACES 48
#define MIDDLE 20
#define INODES 2
#define OWNERS 5 /* of POSIX locks; each may use any file */
#define FILES 3	 /* open files per inode: owners of BSD locks */
#define WAITS 12

enum { NONE, READ, WRITE };

struct place {
	uint8_t type, file;
};

struct wait {
	uint64_t token; /* 0 = unused */
	unsigned inode, owner, file, first, last;
	uint8_t type;
	bool flock;
};

static struct rng rng;
static struct lock_events events;
static uint64_t numbers[INODES];
static struct vfs_file *files[INODES][FILES];
static struct place posix[INODES][OWNERS][PLACES];
static uint8_t flocks[INODES][FILES];
static struct wait waits[WAITS]; /* in the order in which they came */
static size_t nwaits;
static uint64_t granted[100000];
static size_t ngranted;
static uint64_t tokens;
static unsigned counts[8];

static uint64_t place_start(unsigned p)
{
	return p <= MIDDLE ? p : UINT64_MAX - (PLACES - 1) + p;
}

static uint64_t place_end(unsigned p)
{
	return p == PLACES - 1 ? UINT64_MAX : place_start(p + 1) - 1;
}

/* ---- the model ---- */

static bool clash(uint8_t a, uint8_t b)
{
	return a && b && (a == WRITE || b == WRITE);
}

static bool stands_in_the_way(const struct wait *w, unsigned owner)
{
	if (w->flock)
		return owner != w->file && clash(w->type, flocks[w->inode][owner]);
	for (unsigned p = w->first; p <= w->last && owner != w->owner; p++)
		if (clash(w->type, posix[w->inode][owner][p].type))
			return true;
	return false;
}

static bool blocked(const struct wait *w)
{
	for (unsigned o = 0; o < (w->flock ? FILES : OWNERS); o++)
		if (stands_in_the_way(w, o))
			return true;
	return false;
}

/* Whether `w` waits for `self`, directly or by others. */
static bool waits_for(const struct wait *w, unsigned self, unsigned depth)
{
	for (unsigned o = 0; o < OWNERS; o++) {
		if (!stands_in_the_way(w, o))
			continue;
		if (o == self)
			return true;
		for (size_t n = 0; n < nwaits && depth < OWNERS; n++)
			if (!waits[n].flock && waits[n].owner == o &&
				waits_for(&waits[n], self, depth + 1))
				return true;
	}
	return false;
}

static bool deadlock(const struct wait *w)
{
	for (unsigned o = 0; o < OWNERS; o++)
		for (size_t n = 0; n < nwaits; n++)
			if (stands_in_the_way(w, o) && !waits[n].flock && waits[n].owner == o &&
				waits_for(&waits[n], w->owner, 0))
				return true;
	return false;
}

static void apply(const struct wait *w)
{
	struct place *row = posix[w->inode][w->owner];

	if (w->flock) {
		flocks[w->inode][w->file] = w->type;
		return;
	}
	for (unsigned p = w->first; p <= w->last; p++)
		row[p] = (struct place){.type = w->type, .file = (uint8_t)w->file};
	/* Neighbours of the type become one range, which belongs to the file that asked. */
	for (unsigned p = w->first; w->type && p-- > 0 && row[p].type == w->type;)
		row[p].file = (uint8_t)w->file;
	for (unsigned p = w->last + 1; w->type && p < PLACES && row[p].type == w->type; p++)
		row[p].file = (uint8_t)w->file;
}

static void drop_wait(size_t n)
{
	memmove(&waits[n], &waits[n + 1], (--nwaits - n) * sizeof(*waits));
}

/* Passes over those that wait for `inode` and `flock`, until nothing comes of it. */
static void grant(unsigned inode, bool flock)
{
	bool again = true;

	while (again) {
		again = false;
		for (size_t n = 0; n < nwaits;) {
			struct wait w = waits[n];

			if (w.inode != inode || w.flock != flock || blocked(&w)) {
				n++;
				continue;
			}
			apply(&w);
			granted[ngranted++] = w.token;
			drop_wait(n);
			again = true;
		}
	}
}

/* ---- one operation on both ---- */

static struct vfs_lock lock_of(const struct wait *w)
{
	static const enum vfs_lock_type types[] = {VFS_UNLOCK, VFS_LOCK_READ, VFS_LOCK_WRITE};

	return (struct vfs_lock){
		.type = types[w->type],
		.start = place_start(w->first),
		.end = place_end(w->last),
		.owner = w->flock ? 100 + w->file : w->owner,
		.owner_domain = w->owner & 1,
		.pid = w->owner + 1,
		.flock = w->flock,
	};
}

static struct wait random_request(void)
{
	struct wait w = {
		.inode = (unsigned)rng_below(&rng, INODES),
		.owner = (unsigned)rng_below(&rng, OWNERS),
		.file = (unsigned)rng_below(&rng, FILES),
		.first = (unsigned)rng_below(&rng, PLACES),
		.flock = rng_chance(&rng, 1, 6),
	};

	w.last = rng_chance(&rng, 1, 3) ? (unsigned)rng_range(&rng, w.first, PLACES - 1)
					: w.first + (unsigned)rng_below(&rng, 7);
	if (w.last >= PLACES)
		w.last = PLACES - 1;
	if (rng_chance(&rng, 1, 20)) {
		w.first = 0;
		w.last = PLACES - 1;
	}
	if (w.flock)
		w.owner = 0; /* of a BSD lock: the file; the domain is one */
	return w;
}

static int model_lock(struct wait *w, bool may_wait)
{
	if (w->flock && flocks[w->inode][w->file] && flocks[w->inode][w->file] != w->type)
		flocks[w->inode][w->file] = NONE;
	if (!blocked(w)) {
		apply(w);
		return 0;
	}
	if (!may_wait)
		return -EAGAIN;
	if (!w->flock && deadlock(w))
		return -EDEADLK;
	waits[nwaits++] = *w;
	return -EINPROGRESS;
}

static void do_lock(void)
{
	struct wait w = random_request();
	bool may_wait = nwaits < WAITS && rng_chance(&rng, 1, 2);
	struct vfs_lock l;
	int want;

	w.type = rng_chance(&rng, 1, 2) ? READ : WRITE;
	w.token = may_wait ? ++tokens : 0;
	l = lock_of(&w);
	want = model_lock(&w, may_wait);
	grant(w.inode, w.flock);
	ck_assert_int_eq(vfs_setlk(v->vfs, files[w.inode][w.file], &l, w.token), want);
	counts[want == 0 ? 0 : want == -EAGAIN ? 1 : want == -EDEADLK ? 2 : 3]++;
}

static void do_unlock(void)
{
	struct wait w = random_request();
	struct vfs_lock l = lock_of(&w);

	apply(&w);
	grant(w.inode, w.flock);
	OK(vfs_setlk(v->vfs, files[w.inode][w.file], &l, 0));
}

static void do_cancel(void)
{
	size_t n;

	if (nwaits == 0) {
		FAILS(vfs_cancel_lk(v->vfs, tokens), ENOENT);
		return;
	}
	n = rng_below(&rng, nwaits);
	OK(vfs_cancel_lk(v->vfs, waits[n].token));
	drop_wait(n);
	counts[4]++;
}

static void do_close(void)
{
	unsigned i = (unsigned)rng_below(&rng, INODES), file = (unsigned)rng_below(&rng, FILES);

	for (size_t n = nwaits; n-- > 0;)
		if (waits[n].inode == i && waits[n].file == file)
			drop_wait(n);
	for (unsigned o = 0; o < OWNERS; o++)
		for (unsigned p = 0; p < PLACES; p++)
			if (posix[i][o][p].type && posix[i][o][p].file == file)
				posix[i][o][p] = (struct place){0};
	flocks[i][file] = NONE;
	grant(i, false);
	grant(i, true);
	vfs_release(v->vfs, files[i][file]);
	OK(vfs_open(v->vfs, &test_root, numbers[i], O_RDWR, &files[i][file]));
}

/* ---- what getlk sees ---- */

/* The whole range of one type around a place. */
static void model_range(const struct place *row, unsigned p, unsigned *first, unsigned *last)
{
	for (*first = p; *first > 0 && row[*first - 1].type == row[p].type;)
		--*first;
	for (*last = p; *last + 1 < PLACES && row[*last + 1].type == row[p].type;)
		++*last;
}

/* Owners are ordered by domain first. */
static bool owner_before(unsigned a, unsigned b)
{
	return (a & 1) != (b & 1) ? (a & 1) < (b & 1) : a < b;
}

static void check_getlk(void)
{
	struct wait w = random_request();
	unsigned best_owner = OWNERS, best_first = 0, best_last = 0;
	struct vfs_lock l;

	w.flock = false;
	w.type = rng_chance(&rng, 1, 2) ? READ : WRITE;
	l = lock_of(&w);
	for (unsigned o = 0; o < OWNERS; o++)
		for (unsigned p = w.first; p <= w.last && o != w.owner; p++) {
			unsigned first, last;

			if (!clash(w.type, posix[w.inode][o][p].type))
				continue;
			model_range(posix[w.inode][o], p, &first, &last);
			if (best_owner == OWNERS || first < best_first ||
				(first == best_first && owner_before(o, best_owner))) {
				best_owner = o;
				best_first = first;
				best_last = last;
			}
			break;
		}
	OK(vfs_getlk(v->vfs, files[w.inode][w.file], &l));
	if (best_owner == OWNERS) {
		ck_assert_int_eq(l.type, VFS_UNLOCK);
		return;
	}
	ck_assert_uint_eq(l.owner, best_owner);
	ck_assert_uint_eq(l.start, place_start(best_first));
	ck_assert_uint_eq(l.end, place_end(best_last));
	ck_assert_uint_eq(l.pid, best_owner + 1);
	ck_assert_int_eq(
		l.type == VFS_LOCK_WRITE, posix[w.inode][best_owner][best_first].type == WRITE);
	counts[5]++;
}

static void check_events(void)
{
	ck_assert_uint_eq(lock_events_wait(&events, ngranted), ngranted);
	if (ngranted)
		ck_assert_mem_eq(events.tokens, granted, ngranted * sizeof(*granted));
}

START_TEST(test_random)
{
	const char *env_seed = getenv("SEED");
	uint64_t seed = env_seed ? strtoull(env_seed, NULL, 0) : 1 + (uint64_t)_i;

	if (!env_seed && _i > 4)
		env_random(&seed, 4);
	printf("test-locks: SEED=%llu\n", (unsigned long long)seed);
	rng = rng_of(seed);
	lock_events_init(&events);
	OK(vfs_set_events(v->vfs, lock_events_take, &events));
	for (unsigned i = 0; i < INODES; i++) {
		char name[2] = {(char)('a' + i), 0};

		numbers[i] = file_at(VFS_ROOT, name);
		for (unsigned n = 0; n < FILES; n++)
			OK(vfs_open(v->vfs, &test_root, numbers[i], O_RDWR, &files[i][n]));
	}
	for (int step = 0; step < 6000; step++) {
		uint64_t what = rng_below(&rng, 100);

		if (what < 55)
			do_lock();
		else if (what < 90)
			do_unlock();
		else if (what < 96)
			do_cancel();
		else
			do_close();
		check_getlk();
		if (step % 8 == 0)
			check_events();
	}
	check_events();
	while (nwaits)
		do_cancel();
	for (unsigned i = 0; i < INODES; i++)
		for (unsigned n = 0; n < FILES; n++)
			vfs_release(v->vfs, files[i][n]);
	ck_assert_uint_eq(atomic_load(&engine_of(v->vfs)->locks.bytes), 0);
	OK(vfs_set_events(v->vfs, NULL, NULL));
	ck_assert_uint_eq(events.n, ngranted); /* nothing was granted that should not have been */
	printf("granted %u, refused %u, deadlocks %u, waits %u, given up %u, seen %u\n", counts[0],
		counts[1], counts[2], counts[3], counts[4], counts[5]);
	for (size_t n = 0; n < 6; n++)
		ck_assert_uint_gt(counts[n], 10);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_loop_test(t, test_random, 0, 8);
}

int main(void)
{
	return run_suite("locks", add);
}
