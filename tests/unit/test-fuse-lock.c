/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lock requests of a kernel, byte for byte, at moments that a real kernel does not give on demand:
 * an INTERRUPT before its request, or when the lock was just granted. */
#include "fuse/ops.h"
#include "fuse/proto.h"

#include "tests/unit/vfs-ops-fixture.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

static struct ops ops;
static int from, to; /* what is written to the kernel */
static struct vfs_file *file;

static void begin(void)
{
	int fds[2];

	file = create_at(VFS_ROOT, "f", NULL);
	OK(pipe(fds));
	from = fds[0];
	to = fds[1];
	ops = (struct ops){.vfs = v->vfs, .keep_pages = true};
	OK(ops_locks_start(&ops, to));
}

static void end(void)
{
	ops_locks_stop(&ops);
	close(to);
	close(from);
	vfs_release(v->vfs, file);
}

static void send(uint32_t opcode, uint64_t unique, const void *arg, size_t len)
{
	uint8_t in[256], out[4096];
	struct fuse_in_header h = {
		.len = (uint32_t)(sizeof(h) + len), .opcode = opcode, .unique = unique, .pid = 7};
	struct loop_request r = {
		.fd = to, .in = in, .in_len = sizeof(h) + len, .out = out, .out_size = sizeof(out)};

	memcpy(in, &h, sizeof(h));
	memcpy(in + sizeof(h), arg, len);
	ops_handle(&ops, &r);
}

static void lock(uint32_t opcode, uint64_t unique, uint64_t owner, uint32_t type, uint64_t start,
	uint64_t last)
{
	struct fuse_lk_in in = {
		.fh = (uint64_t)(uintptr_t)file,
		.owner = owner,
		.lk = {.start = start, .end = last, .type = type, .pid = (uint32_t)owner},
	};

	send(opcode, unique, &in, sizeof(in));
}

static void interrupt(uint64_t unique)
{
	struct fuse_interrupt_in in = {.unique = unique};

	send(FUSE_INTERRUPT, unique | 1, &in, sizeof(in));
}

static void close_by(uint64_t owner)
{
	struct fuse_flush_in in = {.fh = (uint64_t)(uintptr_t)file, .lock_owner = owner};

	send(FUSE_FLUSH, 900, &in, sizeof(in));
}

/* The next answer: the request's number, its error, its payload. */
static int answer(uint64_t *unique, void *payload, size_t len)
{
	struct pollfd p = {.fd = from, .events = POLLIN};
	struct fuse_out_header h;

	ck_assert_int_eq(poll(&p, 1, 10000), 1);
	ck_assert_int_eq(read(from, &h, sizeof(h)), sizeof(h));
	*unique = h.unique;
	if (h.error)
		return h.error;
	ck_assert_uint_eq(h.len, sizeof(h) + len);
	if (len)
		ck_assert_int_eq(read(from, payload, len), (int)len);
	return 0;
}

static void answered(uint64_t unique, int error)
{
	uint64_t got;

	ck_assert_int_eq(answer(&got, NULL, 0), error);
	ck_assert_uint_eq(got, unique);
}

static void silence(void)
{
	struct pollfd p = {.fd = from, .events = POLLIN};

	ck_assert_int_eq(poll(&p, 1, 50), 0);
}

START_TEST(test_init)
{
	struct fuse_init_in in = {.major = FUSE_KERNEL_VERSION,
		.minor = 38,
		.flags = FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS};
	struct fuse_init_out out;
	uint64_t unique;

	begin();
	send(FUSE_INIT, 2, &in, sizeof(in));
	OK(answer(&unique, &out, sizeof(out)));
	ck_assert_uint_eq(out.flags, FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS);
	end();
}
END_TEST

/* A follower leaves locks to the kernel. */
START_TEST(test_follower)
{
	struct fuse_init_in in = {.major = FUSE_KERNEL_VERSION,
		.minor = 38,
		.flags = FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS};
	struct fuse_init_out out;
	uint64_t unique;

	begin();
	ops_locks_stop(&ops);
	send(FUSE_INIT, 2, &in, sizeof(in));
	OK(answer(&unique, &out, sizeof(out)));
	ck_assert_uint_eq(out.flags, 0);
	lock(FUSE_SETLKW, 4, 1, F_WRLCK, 0, 9);
	answered(4, -ENOSYS);
	interrupt(4);
	silence();
	end();
}
END_TEST

START_TEST(test_lock)
{
	struct fuse_lk_out out;
	uint64_t unique;

	begin();
	lock(FUSE_SETLK, 2, 1, F_WRLCK, 10, INT64_MAX);
	answered(2, 0);
	lock(FUSE_SETLK, 4, 2, F_RDLCK, 0, 10);
	answered(4, -EAGAIN);
	lock(FUSE_GETLK, 6, 2, F_RDLCK, 0, INT64_MAX);
	OK(answer(&unique, &out, sizeof(out)));
	ck_assert_uint_eq(out.lk.type, F_WRLCK);
	ck_assert_uint_eq(out.lk.start, 10);
	ck_assert_uint_eq(out.lk.end, INT64_MAX);
	ck_assert_uint_eq(out.lk.pid, 1);
	lock(FUSE_GETLK, 8, 1, F_RDLCK, 0, INT64_MAX);
	OK(answer(&unique, &out, sizeof(out)));
	ck_assert_uint_eq(out.lk.type, F_UNLCK);
	lock(FUSE_SETLK, 10, 2, 77, 0, 10);
	answered(10, -EINVAL);
	lock(FUSE_SETLK, 12, 2, F_WRLCK, 11, 10);
	answered(12, -EINVAL);
	send(FUSE_SETLKW, 14, "short", 5);
	answered(14, -EINVAL);
	close_by(2);
	answered(900, 0);
	lock(FUSE_SETLK, 16, 2, F_RDLCK, 10, 10);
	answered(16, -EAGAIN);
	close_by(1);
	answered(900, 0);
	lock(FUSE_SETLK, 18, 2, F_RDLCK, 10, 10);
	answered(18, 0);
	end();
}
END_TEST

START_TEST(test_wait)
{
	begin();
	lock(FUSE_SETLKW, 2, 1, F_WRLCK, 0, 9); /* at once */
	answered(2, 0);
	interrupt(2); /* too late: no answer */
	lock(FUSE_SETLKW, 4, 2, F_WRLCK, 0, 9);
	lock(FUSE_SETLKW, 6, 3, F_WRLCK, 0, 9);
	lock(FUSE_SETLKW, 8, 4, F_WRLCK, 0, 9);
	silence();
	interrupt(6);
	answered(6, -EINTR);
	interrupt(6); /* asked twice */
	silence();
	close_by(1);
	for (int i = 0; i < 2; i++) { /* the thread of events and this one write */
		uint64_t unique;

		OK(answer(&unique, NULL, 0));
		ck_assert(unique == 900 || unique == 4);
	}
	interrupt(4);
	silence();
	lock(FUSE_SETLKW, 10, 5, F_WRLCK, 0, 9);
	lock(FUSE_SETLK, 12, 2, F_UNLCK, 0, INT64_MAX);
	for (int i = 0; i < 2; i++) {
		uint64_t unique;

		OK(answer(&unique, NULL, 0));
		ck_assert(unique == 12 || unique == 8);
	}
	/* The mount ends: who waits is told. */
	ops_locks_stop(&ops);
	answered(10, -ECONNABORTED);
	end();
}
END_TEST

START_TEST(test_early_interrupt)
{
	begin();
	lock(FUSE_SETLK, 2, 1, F_WRLCK, 0, 9);
	answered(2, 0);
	interrupt(4);
	for (uint64_t n = 1; n < OPS_EARLY; n++) /* of others */
		interrupt(1000 + 2 * n);
	silence();
	lock(FUSE_SETLKW, 4, 2, F_WRLCK, 0, 9);
	answered(4, -EINTR);
	lock(FUSE_SETLKW, 6, 2, F_WRLCK, 0, 9);
	silence();
	close_by(1);
	for (int i = 0; i < 2; i++) {
		uint64_t unique;

		OK(answer(&unique, NULL, 0));
		ck_assert(unique == 900 || unique == 6);
	}
	end();
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, test_init);
	tcase_add_test(t, test_follower);
	tcase_add_test(t, test_lock);
	tcase_add_test(t, test_wait);
	tcase_add_test(t, test_early_interrupt);
}

int main(void)
{
	return run_suite("fuse-lock", add);
}
