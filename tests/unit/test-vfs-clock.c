/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Clocks that jump. The wall clock is for file times only: whatever it says, what is written is
 * stored at once and in order. A machine that slept for a year goes on where it was.
 */
#include "core/volume.h"
#include "tests/sim/env_sim.h"

#include "tests/unit/vfs-ops-fixture.h"

#include <sodium.h>

#define YEAR_S (365 * 24 * 3600ll)
#define YEAR_MS (365 * 24 * 3600000ull)

static _Atomic int64_t jumped_s;
static struct env_ops jumping;

static struct timespec jumping_realtime(void)
{
	struct timespec t = env_pthread.realtime();

	t.tv_sec += atomic_load(&jumped_s);
	return t;
}

static bool earlier(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

/* Writes, stores and sees it. */
static struct vfs_attr touch(uint64_t inode, const char *text)
{
	struct vfs_file *f;
	struct vfs_attr a;

	OK(vfs_open(v->vfs, &test_root, inode, O_RDWR, &f));
	ck_assert_int_eq(write_at(f, 0, text, strlen(text)), (int64_t)strlen(text));
	OK(vfs_fsync(v->vfs, f, false));
	vfs_release(v->vfs, f);
	a = attr(inode);
	return a;
}

START_TEST(test_wall_clock)
{
	static const int64_t jumps[] = {
		0, 20 * YEAR_S, -100 * YEAR_S, 400 * YEAR_S, 1, -60 * YEAR_S, 0};
	uint64_t file = file_at(VFS_ROOT, "file");
	struct vfs_attr before = attr(file);

	for (size_t i = 0; i < sizeof(jumps) / sizeof(*jumps); i++) {
		struct timespec now;
		char name[16];

		atomic_store(&jumped_s, jumps[i]);
		now = env_realtime();
		struct vfs_attr after = touch(file, "text");

		/* mtime is what the clock says, ctime does not go back, and neither does what tells
		 * changes apart. */
		ck_assert_int_ge(after.mtime.tv_sec, now.tv_sec);
		ck_assert_int_le(after.mtime.tv_sec, now.tv_sec + 60);
		ck_assert(!earlier(after.ctime, before.ctime));
		ck_assert_uint_gt(after.change, before.change);
		(void)snprintf(name, sizeof(name), "new%zu", i);
		struct vfs_attr fresh = attr(file_at(VFS_ROOT, name));

		ck_assert_int_ge(fresh.btime.tv_sec, now.tv_sec);
		ck_assert_int_le(fresh.btime.tv_sec, now.tv_sec + 60);
		reopen(); /* journals and manifests carry a time as well */
		struct vfs_attr again = attr(file);

		ck_assert_int_eq(again.mtime.tv_sec, after.mtime.tv_sec);
		ck_assert_int_eq(again.mtime.tv_nsec, after.mtime.tv_nsec);
		ck_assert_int_eq(again.ctime.tv_sec, after.ctime.tv_sec);
		ck_assert_int_eq(attr(lookup(VFS_ROOT, name)).btime.tv_sec, fresh.btime.tv_sec);
		before = again;
	}
	ck_assert_uint_eq(small_volume_check(v), 0);
	atomic_store(&jumped_s, 0);
}
END_TEST

/* ---- suspend ---- */

static struct sim_process *laptop;
static bool asleep, woken, done;

static struct volume *open_there(void)
{
	struct volume_config c;
	struct volume *volume;
	struct error e = {0};

	volume_config_init(&c);
	c.url = "mem://suspend";
	c.password = "clock";
	c.kdf_memory = 8192;
	c.kdf_passes = 1;
	c.create = true;
	ck_assert_msg(volume_open(&c, &volume, NULL, &e) == 0, "%s", e.text);
	return volume;
}

static void laptop_main(void *arg)
{
	struct volume *volume = open_there();
	struct vfs *vfs = volume_vfs(volume);
	struct vfs_attr a;
	struct vfs_file *f;
	struct slice part = SLICE_STR("before");
	struct error e = {0};

	(void)arg;
	OK(vfs_create(vfs, &test_root, VFS_ROOT, S("file"), 0600, O_RDWR, &a, &f, NULL));
	ck_assert_int_eq(vfs_write(vfs, &test_root, f, 0, &part, 1, 0, NULL), 6);
	asleep = true; /* with a change that is not stored */
	while (!woken)
		env_sleep_ms(10);
	uint64_t begin = env_now_ms();

	OK(vfs_fsync(vfs, f, false));
	ck_assert_int_eq(vfs_write(vfs, &test_root, f, 6, &part, 1, 0, NULL), 6);
	OK(vfs_fsync(vfs, f, false));
	ck_assert_uint_lt(env_now_ms() - begin, 60000);
	vfs_release(vfs, f);
	ck_assert_msg(volume_close(volume, &e) == 0, "%s", e.text);
	done = true;
}

static void suspend_main(void *arg)
{
	(void)arg;
	laptop = sim_process_new("laptop", 0);
	sim_process_start(laptop, "main", laptop_main, NULL);
	while (!asleep)
		env_sleep_ms(1);
	sim_process_pause(laptop);
	env_sleep_ms(YEAR_MS); /* all its deadlines pass at once */
	woken = true;
	sim_process_resume(laptop);
	ck_assert(sim_process_wait(laptop));
	ck_assert(done);
	mem_store_forget("suspend");
}

START_TEST(test_suspend)
{
	asleep = woken = done = false;
	sim_run(suspend_main, NULL, (uint64_t)_i);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_wall_clock);
}

static TCase *suspended(void)
{
	TCase *t = tcase_create("suspend");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_suspend, 1, 6);
	return t;
}

int main(void)
{
	Suite *s = suite_create("vfs clock");
	TCase *t = tcase_create("wall clock");

	if (sodium_init() < 0)
		return 1;
	jumping = env_pthread;
	jumping.realtime = jumping_realtime;
	env_use(&jumping);
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	add_tests(t);
	suite_add_tcase(s, t);
	suite_add_tcase(s, suspended());
	SRunner *runner = srunner_create(s);

	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? 1 : 0;
}
