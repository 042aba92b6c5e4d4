/* SPDX-License-Identifier: GPL-3.0-or-later */
/* File locks of the engine: ranges, BSD locks, waiting, deadlocks, and how they end. Random
 * operations against a model are in tests/model/test-locks.c. */
#include "core/vfs/engine_internal.h"

#include "tests/lib/lock_events.h"
#include "tests/unit/vfs-ops-fixture.h"

#include <stdio.h>

#define END UINT64_MAX
#define GHOST 999999 /* an owner that never holds a lock */

static struct lock_events events;
static struct vfs_file *f, *g; /* two open files of one inode */
static uint64_t tokens;

static void begin(void)
{
	struct vfs_attr a;

	lock_events_init(&events);
	OK(vfs_set_events(v->vfs, lock_events_take, &events));
	f = create_at(VFS_ROOT, "f", &a);
	OK(vfs_open(v->vfs, &test_root, a.inode, O_RDWR, &g));
}

static void end(void)
{
	vfs_release(v->vfs, f);
	vfs_release(v->vfs, g);
	ck_assert_uint_eq(atomic_load(&engine_of(v->vfs)->locks.bytes), 0);
	OK(vfs_set_events(v->vfs, NULL, NULL));
	lock_events_done(&events);
}

static struct vfs_lock lock_of(enum vfs_lock_type type, uint64_t owner, uint64_t s, uint64_t e)
{
	return (struct vfs_lock){
		.type = type, .start = s, .end = e, .owner = owner, .pid = (uint32_t)owner};
}

static int set(
	struct vfs_file *file, enum vfs_lock_type type, uint64_t owner, uint64_t s, uint64_t e)
{
	struct vfs_lock l = lock_of(type, owner, s, e);

	return vfs_setlk(v->vfs, file, &l, 0);
}

/* Waits if it must; the token is tokens. */
static int set_waiting(
	struct vfs_file *file, enum vfs_lock_type type, uint64_t owner, uint64_t s, uint64_t e)
{
	struct vfs_lock l = lock_of(type, owner, s, e);

	return vfs_setlk(v->vfs, file, &l, ++tokens);
}

static int set_flock(struct vfs_file *file, enum vfs_lock_type type, uint64_t owner, bool wait)
{
	struct vfs_lock l = {.type = type, .start = 7, .end = 7, .owner = owner, .flock = true};

	return vfs_setlk(v->vfs, file, &l, wait ? ++tokens : 0);
}

#define READ(owner, s, e) set(f, VFS_LOCK_READ, owner, s, e)
#define WRITE(owner, s, e) set(f, VFS_LOCK_WRITE, owner, s, e)
#define UNLOCK(owner, s, e) set(f, VFS_UNLOCK, owner, s, e)
#define WAIT_READ(owner, s, e) set_waiting(f, VFS_LOCK_READ, owner, s, e)
#define WAIT_WRITE(owner, s, e) set_waiting(f, VFS_LOCK_WRITE, owner, s, e)

/* All locks of the inode by start, as a stranger meets them; the starts must be distinct. */
static const char *held(void)
{
	static char text[400];
	uint64_t at = 0;
	size_t len = 0;

	*text = '\0';
	for (;;) {
		struct vfs_lock l = lock_of(VFS_LOCK_WRITE, GHOST, at, END);

		OK(vfs_getlk(v->vfs, f, &l));
		if (l.type == VFS_UNLOCK)
			return text;
		ck_assert_uint_eq(l.pid, l.owner);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%c%llu:%llu-",
			len ? " " : "", l.type == VFS_LOCK_READ ? 'r' : 'w',
			(unsigned long long)l.owner, (unsigned long long)l.start);
		if (l.end == END) {
			snprintf(text + len, sizeof(text) - len, "end");
			return text;
		}
		len += (size_t)snprintf(
			text + len, sizeof(text) - len, "%llu", (unsigned long long)l.end);
		at = l.end + 1;
	}
}
#define HELD(text) ck_assert_str_eq(held(), text)

static size_t nevents(size_t n)
{
	return lock_events_wait(&events, n);
}

START_TEST(test_ranges)
{
	begin();
	HELD("");
	OK(READ(1, 0, 9));
	OK(READ(1, 20, 29));
	HELD("r1:0-9 r1:20-29");
	OK(READ(1, 10, 19)); /* merges both neighbours */
	HELD("r1:0-29");
	OK(WRITE(1, 10, 14)); /* upgrades the middle */
	HELD("r1:0-9 w1:10-14 r1:15-29");
	OK(WRITE(1, 15, 15));
	HELD("r1:0-9 w1:10-15 r1:16-29");
	OK(UNLOCK(1, 5, 12));
	HELD("r1:0-4 w1:13-15 r1:16-29");
	OK(READ(1, 0, 15)); /* downgrades */
	HELD("r1:0-29");
	OK(UNLOCK(1, 10, 19));
	HELD("r1:0-9 r1:20-29");
	OK(UNLOCK(1, 10, 19));
	OK(UNLOCK(2, 0, END)); /* of nothing */
	OK(WRITE(1, 25, END));
	HELD("r1:0-9 r1:20-24 w1:25-end");
	OK(UNLOCK(1, END, END));
	OK(UNLOCK(1, 0, 0));
	ck_assert_str_eq(held(), "r1:1-9 r1:20-24 w1:25-18446744073709551614");
	OK(WRITE(1, END, END));
	HELD("r1:1-9 r1:20-24 w1:25-end");
	OK(UNLOCK(1, 0, END));
	HELD("");
	end();
}
END_TEST

START_TEST(test_conflicts)
{
	struct vfs_lock l;
	struct vfs_file *ro, *wo;
	uint64_t inode = 0;

	begin();
	inode = lookup(VFS_ROOT, "f");
	OK(READ(1, 10, 19));
	OK(READ(2, 0, 100)); /* readers share */
	FAILS(WRITE(3, 100, END), EAGAIN);
	FAILS(WRITE(1, 10, 19), EAGAIN); /* no upgrade beside another reader */
	OK(WRITE(3, 101, END));
	FAILS(READ(1, 90, 101), EAGAIN);
	OK(UNLOCK(2, 0, END));
	OK(WRITE(1, 10, 19));
	HELD("w1:10-19 w3:101-end");
	/* What is in the way, not one's own. */
	l = lock_of(VFS_LOCK_READ, 3, 0, END);
	OK(vfs_getlk(v->vfs, f, &l));
	ck_assert_uint_eq(l.owner, 1);
	ck_assert_uint_eq(l.pid, 1);
	ck_assert_uint_eq(l.start, 10);
	ck_assert_uint_eq(l.end, 19);
	ck_assert_int_eq(l.type, VFS_LOCK_WRITE);
	/* The same number from another front end is another owner. */
	l = lock_of(VFS_LOCK_WRITE, 1, 10, 10);
	l.owner_domain = 5;
	FAILS(vfs_setlk(v->vfs, f, &l, 0), EAGAIN);
	l = lock_of(VFS_UNLOCK, 1, 10, 10);
	FAILS(vfs_getlk(v->vfs, f, &l), EINVAL);
	l = lock_of(VFS_LOCK_READ, 1, 10, 9);
	FAILS(vfs_setlk(v->vfs, f, &l, 0), EINVAL);
	OK(vfs_open(v->vfs, &test_root, inode, O_RDONLY, &ro));
	OK(vfs_open(v->vfs, &test_root, inode, O_WRONLY, &wo));
	FAILS(set(ro, VFS_LOCK_WRITE, 1, 50, 50), EBADF);
	FAILS(set(wo, VFS_LOCK_READ, 1, 50, 50), EBADF);
	OK(set(ro, VFS_LOCK_READ, 1, 50, 50));
	OK(set(ro, VFS_UNLOCK, 1, 10, 50));
	OK(set_flock(ro, VFS_LOCK_WRITE, 77, false));
	HELD("w3:101-end");
	vfs_release(v->vfs, ro);
	vfs_release(v->vfs, wo);
	end();
}
END_TEST

START_TEST(test_flock)
{
	begin();
	OK(READ(1, 0, END));
	OK(set_flock(f, VFS_LOCK_WRITE, 11, false)); /* apart from POSIX locks */
	FAILS(set_flock(g, VFS_LOCK_READ, 12, false), EAGAIN);
	OK(set_flock(f, VFS_LOCK_READ, 11, false));
	OK(set_flock(g, VFS_LOCK_READ, 12, false));
	/* A conversion that fails has lost the lock, as flock(2) says. */
	FAILS(set_flock(g, VFS_LOCK_WRITE, 12, false), EAGAIN);
	OK(set_flock(f, VFS_LOCK_WRITE, 11, false));
	/* And one that waits lets others in: 11 has nothing left that 12 would have to wait for. */
	OK(set_flock(f, VFS_LOCK_READ, 11, false));
	OK(set_flock(g, VFS_LOCK_READ, 12, false));
	FAILS(set_flock(f, VFS_LOCK_WRITE, 11, true), EINPROGRESS);
	OK(set_flock(g, VFS_LOCK_WRITE, 12, false));
	OK(set_flock(g, VFS_UNLOCK, 12, false));
	ck_assert_uint_eq(nevents(1), 1);
	ck_assert_uint_eq(events.tokens[0], tokens);
	FAILS(set_flock(g, VFS_LOCK_READ, 12, true), EINPROGRESS);
	OK(set_flock(f, VFS_LOCK_READ, 11, false)); /* a downgrade lets the reader in */
	ck_assert_uint_eq(nevents(2), 2);
	FAILS(set_flock(f, VFS_LOCK_WRITE, 11, false), EAGAIN);
	vfs_release(v->vfs, g); /* ends 12's */
	OK(set_flock(f, VFS_LOCK_WRITE, 11, false));
	OK(vfs_open(v->vfs, &test_root, lookup(VFS_ROOT, "f"), O_RDWR, &g));
	HELD("r1:0-end");
	end();
}
END_TEST

START_TEST(test_waiting)
{
	begin();
	OK(WRITE(1, 0, 99));
	FAILS(WAIT_WRITE(2, 10, 20), EINPROGRESS); /* token 1 */
	FAILS(WAIT_WRITE(3, 15, 30), EINPROGRESS);
	FAILS(WAIT_READ(4, 30, 40), EINPROGRESS);
	FAILS(WAIT_READ(5, 35, 50), EINPROGRESS);
	OK(WAIT_READ(6, 100, 110)); /* not in the way: at once */
	OK(UNLOCK(1, 30, 99));
	ck_assert_uint_eq(nevents(2), 2); /* the readers */
	ck_assert_uint_eq(events.tokens[0], 3);
	ck_assert_uint_eq(events.tokens[1], 4);
	OK(READ(1, 0, 29));
	OK(UNLOCK(1, 0, END));
	ck_assert_uint_eq(nevents(3), 3);
	ck_assert_uint_eq(events.tokens[2], 1); /* came before 3, who has to wait on */
	OK(UNLOCK(2, 0, 14));
	ck_assert_uint_eq(nevents(3), 3);
	OK(UNLOCK(2, 0, END));
	OK(UNLOCK(4, 0, END));
	ck_assert_uint_eq(nevents(4), 4);
	ck_assert_uint_eq(events.tokens[3], 2);
	HELD("w3:15-30 r5:35-50 r6:100-110");
	/* What is granted may be weaker than what its owner had, which lets others in. */
	OK(WRITE(7, 200, 209));
	OK(WRITE(8, 210, 219));
	FAILS(WAIT_READ(9, 200, 205), EINPROGRESS);
	FAILS(WAIT_READ(7, 200, 215), EINPROGRESS);
	OK(UNLOCK(8, 0, END));
	ck_assert_uint_eq(nevents(6), 6);
	ck_assert_uint_eq(events.tokens[4], tokens);
	ck_assert_uint_eq(events.tokens[5], tokens - 1);
	end();
}
END_TEST

START_TEST(test_giving_up)
{
	struct vfs_lock l = lock_of(VFS_LOCK_WRITE, 2, 0, END);

	begin();
	OK(WRITE(1, 0, 99));
	FAILS(WAIT_READ(2, 0, 9), EINPROGRESS);
	FAILS(vfs_setlk(v->vfs, f, &l, tokens), EINVAL); /* in use */
	FAILS(vfs_cancel_lk(v->vfs, tokens + 1), ENOENT);
	OK(vfs_cancel_lk(v->vfs, tokens));
	FAILS(vfs_cancel_lk(v->vfs, tokens), ENOENT);
	FAILS(set_waiting(g, VFS_LOCK_READ, 2, 0, 9), EINPROGRESS);
	vfs_release(v->vfs, g); /* nothing is heard of waits by a file that was released */
	FAILS(WAIT_READ(3, 0, 9), EINPROGRESS);
	OK(UNLOCK(1, 0, END));
	ck_assert_uint_eq(nevents(1), 1);
	ck_assert_uint_eq(events.tokens[0], tokens);
	FAILS(vfs_cancel_lk(v->vfs, tokens), ENOENT); /* granted already */
	HELD("r3:0-9");
	FAILS(vfs_set_events(v->vfs, lock_events_take, &events), EBUSY);
	FAILS(WAIT_WRITE(2, 0, END), EINPROGRESS);
	OK(vfs_set_events(v->vfs, NULL, NULL));
	ck_assert_uint_eq(events.n, 2);
	ck_assert_uint_eq(events.tokens[1], tokens | LOCK_EVENT_LOST);
	FAILS(WAIT_WRITE(2, 0, END), EOPNOTSUPP);
	OK(vfs_set_events(v->vfs, lock_events_take, &events));
	OK(vfs_open(v->vfs, &test_root, lookup(VFS_ROOT, "f"), O_RDWR, &g));
	end();
}
END_TEST

START_TEST(test_deadlock)
{
	struct vfs_file *h = NULL;
	struct vfs_lock l;

	begin();
	h = create_at(VFS_ROOT, "h", NULL);
	/* Over two inodes. */
	OK(WRITE(1, 0, 0));
	OK(set(h, VFS_LOCK_WRITE, 2, 0, 0));
	FAILS(set_waiting(h, VFS_LOCK_READ, 1, 0, 9), EINPROGRESS);
	FAILS(WAIT_WRITE(2, 0, END), EDEADLK);
	FAILS(WRITE(2, 0, END), EAGAIN); /* who does not wait cannot be part of it */
	OK(vfs_cancel_lk(v->vfs, tokens - 1));
	/* Three in a circle, by a holder that is not the first in the way. */
	OK(READ(5, 10, 19));
	OK(READ(6, 10, 19));
	OK(WRITE(7, 30, 30));
	OK(WRITE(8, 40, 40));
	FAILS(WAIT_WRITE(6, 30, 30), EINPROGRESS);
	FAILS(WAIT_READ(7, 40, 40), EINPROGRESS);
	FAILS(WAIT_WRITE(9, 40, 40), EINPROGRESS);
	FAILS(WAIT_WRITE(8, 0, 19), EDEADLK);
	OK(UNLOCK(6, 0, END)); /* what waits stays */
	FAILS(WAIT_WRITE(8, 5, 19), EINPROGRESS);
	OK(UNLOCK(5, 0, END));
	ck_assert_uint_eq(nevents(1), 1);
	OK(UNLOCK(8, 0, END));
	/* Both readers want to write. */
	OK(READ(21, 100, 100));
	OK(READ(22, 100, 100));
	FAILS(WAIT_WRITE(21, 100, 100), EINPROGRESS);
	FAILS(WAIT_WRITE(22, 100, 100), EDEADLK);
	OK(UNLOCK(22, 0, END));
	/* Not for owners of one process (OFD), nor for BSD locks. */
	OK(WRITE(31, 200, 200));
	l = lock_of(VFS_LOCK_WRITE, 32, 201, 201);
	l.pid = 31;
	OK(vfs_setlk(v->vfs, f, &l, 0));
	FAILS(WAIT_WRITE(31, 201, 201), EINPROGRESS);
	l.start = l.end = 200;
	FAILS(vfs_setlk(v->vfs, f, &l, ++tokens), EINPROGRESS);
	OK(set_flock(f, VFS_LOCK_WRITE, 41, false));
	OK(set_flock(h, VFS_LOCK_WRITE, 42, false));
	FAILS(set_flock(h, VFS_LOCK_WRITE, 41, true), EINPROGRESS);
	FAILS(set_flock(f, VFS_LOCK_WRITE, 42, true), EINPROGRESS);
	vfs_release(v->vfs, h);
	end();
}
END_TEST

START_TEST(test_release)
{
	begin();
	OK(set(g, VFS_LOCK_WRITE, 1, 0, 9)); /* a process that has the file open twice */
	OK(WRITE(1, 20, 29));
	FAILS(WAIT_WRITE(2, 5, 5), EINPROGRESS);
	vfs_release(v->vfs, g); /* takes the locks that were taken by it */
	ck_assert_uint_eq(nevents(1), 1);
	OK(vfs_open(v->vfs, &test_root, lookup(VFS_ROOT, "f"), O_RDWR, &g));
	HELD("w2:5-5 w1:20-29");
	OK(set(g, VFS_UNLOCK, 1, 0, END)); /* and a close of any, all */
	HELD("w2:5-5");
	OK(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("f")));
	HELD("w2:5-5");
	FAILS(WAIT_WRITE(3, 0, END), EINPROGRESS);
	end();
}
END_TEST

START_TEST(test_many)
{
	begin();
	for (uint64_t i = 0; i < 10000; i++)
		OK(WRITE(1 + i % 3, i * 2, i * 2));
	for (uint64_t i = 0; i < 10000; i++)
		FAILS(READ(4, i * 2, i * 2 + 1), EAGAIN);
	for (uint64_t i = 0; i < 10000; i++)
		OK(READ(1 + i % 3, i * 2, i * 2));
	OK(READ(4, 0, END));
	FAILS(WRITE(1, 0, 0), EAGAIN);
	for (uint64_t owner = 1; owner < 4; owner++)
		OK(UNLOCK(owner, 0, END));
	HELD("r4:0-end");
	end();
}
END_TEST

START_TEST(test_full)
{
	uint64_t n = 0, again = 0;
	int r;

	begin();
	while ((r = WRITE(1, n * 2, n * 2)) == 0)
		n++;
	ck_assert_int_eq(r, -ENOLCK);
	ck_assert_uint_gt(n, 10000);
	FAILS(WAIT_WRITE(2, 0, 0), ENOLCK);
	OK(UNLOCK(1, 0, END)); /* needs no memory */
	HELD("");
	OK(WRITE(1, 0, END));
	while ((r = UNLOCK(1, again * 2, again * 2)) == 0)
		again++;
	ck_assert_int_eq(r, -ENOLCK);
	FAILS(WRITE(2, 0, END), ENOLCK);
	OK(UNLOCK(1, 0, END));
	ck_assert_uint_gt(again, 10000);
	end();
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, test_ranges);
	tcase_add_test(t, test_conflicts);
	tcase_add_test(t, test_flock);
	tcase_add_test(t, test_waiting);
	tcase_add_test(t, test_giving_up);
	tcase_add_test(t, test_deadlock);
	tcase_add_test(t, test_release);
	tcase_add_test(t, test_many);
	tcase_add_test(t, test_full);
}

int main(void)
{
	return run_suite("vfs-lock", add);
}
