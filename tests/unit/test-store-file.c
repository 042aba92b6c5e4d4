/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What only the file backend promises: layout, several processes, descriptors, limits. */
#include "tests/unit/store-file-fixture.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

START_TEST(layout)
{
	const char *dir = test_directory();
	struct store *s = open_with(dir, &test_unsynced, _i);
	struct store_list l;
	char text[64];

	ck_assert_int_eq(create(s, SEQ_KEY, "segment"), 0);
	ck_assert_int_eq(create(s, "zerofs.json", "{}"), 0);
	ck_assert_int_eq(store_put(s, "writer/1.alive", SLICE_STR("1"), NULL), 0);
	ck_assert_int_eq(access(below(dir, SEQ_PATH), F_OK), 0);
	ck_assert_int_eq(access(below(dir, "zerofs.json"), F_OK), 0);
	ck_assert_int_eq(create(s, "log/0000000000000001/xyz", "x"), -EINVAL);
	ck_assert_int_eq(
		create(s, "log/0000000000000001/00000000000a1/00000000000a1b2c", "x"), -EINVAL);
	ck_assert_int_eq(create(s, "log/0000000000000001/00000000000A1B2C", "x"), -EINVAL);

	/* none of these is an object */
	touch(dir, "~new-0123456789abcdef");
	touch(dir, "writer/~new-0123456789abcdef");
	touch(dir, "log/0000000000000001/0000000000000001");
	touch(dir, "log/0000000000000001/00000000000a1/00000000000b1b2c");
	touch(dir, "log/0000000000000001/00000000000a1/00000000000a1b2");
	touch(dir, "log/0000000000000001/00000000000a1/00000000000a1b2c0");
	ck_assert_int_eq(mkdir(below(dir, "empty"), 0777), 0);
	ck_assert_int_eq(mkdir(below(dir, "log/0000000000000001/zzz"), 0777), 0);
	touch(dir, "log/0000000000000001/zzz/00000000000a1b2c");
	ck_assert_int_eq(mkfifo(below(dir, "fifo"), 0666), 0);
	ck_assert_int_eq(symlink("zerofs.json", below(dir, "link")), 0);
	ck_assert_int_eq(get(s, "log/0000000000000001/0000000000000001", text), -ENOENT);
	ck_assert_int_eq(get(s, "fifo", text), -ENOENT);
	ck_assert_int_eq(get(s, "link", text), -ENOENT);
	ck_assert_int_eq(get(s, "log", text), -ENOENT);
	ck_assert_int_eq(get(s, "zerofs.json/x", text), -ENOENT);
	ck_assert_int_eq(store_delete(s, "zerofs.json/x", NULL), 0);
	ck_assert_int_eq(store_delete(s, "log", NULL), 0);
	ck_assert_int_eq(store_list_all(s, "", NULL, &l, NULL), 0);
	ck_assert_uint_eq(l.n, 3);
	ck_assert_str_eq(l.entries[0].key, SEQ_KEY);
	ck_assert_str_eq(l.entries[1].key, "writer/1.alive");
	ck_assert_str_eq(l.entries[2].key, "zerofs.json");
	store_list_done(&l);
	store_close(s);
	test_remove_tree(dir);
}
END_TEST

/* Nothing but the objects is left behind, on neither way to make files. */
START_TEST(leaves_no_temporary_files)
{
	const char *dir = test_directory();
	struct store *s = open_with(dir, &test_unsynced, _i);
	unsigned n = 0;

	ck_assert_int_eq(create(s, "a", "1"), 0);
	ck_assert_int_eq(create(s, "a", "2"), -EEXIST);
	ck_assert_int_eq(store_put(s, "b.alive", SLICE_STR("1"), NULL), 0);
	ck_assert_int_eq(store_put(s, "b.alive", SLICE_STR("2"), NULL), 0);
	ck_assert_int_eq(mkdir(below(dir, "d"), 0777), 0);
	ck_assert_int_eq(store_put(s, "d", SLICE_STR("2"), NULL), -EIO);
	DIR *d = opendir(dir);

	while (readdir(d))
		n++;
	closedir(d);
	ck_assert_uint_eq(n, 5); /* ".", "..", "a", "b.alive", "d" */
	store_close(s);
	test_remove_tree(dir);
}
END_TEST

#define PROCESSES 2
#define ROUNDS 300

struct shared {
	atomic_int arrived;
	int result[PROCESSES][ROUNDS];
};

static void race_process(const char *dir, struct shared *sh, int me, bool named)
{
	struct store *s = open_with(dir, &test_unsynced, named);

	for (int i = 0; i < ROUNDS; i++) {
		char key[64], body[16];

		snprintf(key, sizeof(key), "log/0000000000000001/%016x", i * 512);
		snprintf(body, sizeof(body), "%d", me);
		atomic_fetch_add(&sh->arrived, 1);
		while (atomic_load(&sh->arrived) < (i + 1) * PROCESSES)
			sched_yield();
		sh->result[me][i] = create(s, key, body);
	}
	store_close(s);
}

START_TEST(one_process_wins)
{
	const char *dir = test_directory();
	struct shared *sh =
		mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int wins[PROCESSES] = {0};

	for (int p = 0; p < PROCESSES; p++) {
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			race_process(dir, sh, p, _i);
			_exit(0);
		}
	}
	for (int p = 0; p < PROCESSES; p++) {
		int status;

		ck_assert_int_gt(wait(&status), 0);
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	struct store *s = open_with(dir, &test_unsynced, _i);

	for (int i = 0; i < ROUNDS; i++) {
		char key[64], text[64];
		int winner = sh->result[0][i] == 0 ? 0 : 1;

		ck_assert_int_eq(sh->result[winner][i], 0);
		ck_assert_int_eq(sh->result[1 - winner][i], -EEXIST);
		snprintf(key, sizeof(key), "log/0000000000000001/%016x", i * 512);
		ck_assert_int_eq(get(s, key, text), 0);
		ck_assert_int_eq(atoi(text), winner);
		wins[winner]++;
	}
	ck_assert_int_gt(wins[0], 0); /* else it was no race */
	ck_assert_int_gt(wins[1], 0);
	store_close(s);
	munmap(sh, sizeof(*sh));
	test_remove_tree(dir);
}
END_TEST

START_TEST(sees_deletes_of_others)
{
	const char *dir = test_directory();
	struct store *a = open_with(dir, &test_unsynced, false);
	struct store *b = open_with(dir, &test_unsynced, false);
	char path[512], text[64];

	ck_assert_int_eq(create(a, "table/1", "first"), 0);
	ck_assert_int_eq(get(a, "table/1", text), 0);
	snprintf(path, sizeof(path), "%s/backup", dir);
	ck_assert_int_eq(link(below(dir, "table/1"), path), 0); /* the inode stays in use */
	ck_assert_int_eq(store_delete(b, "table/1", NULL), 0);
	ck_assert_int_eq(get(a, "table/1", text), -ENOENT);
	ck_assert_int_eq(create(b, "table/1", "second"), 0);
	ck_assert_int_eq(get(a, "table/1", text), 0);
	ck_assert_str_eq(text, "second");
	ck_assert_int_eq(get(a, "table/1", text), 0);
	ck_assert_int_eq(store_delete(b, "table/1", NULL), 0);
	ck_assert_int_eq(create(b, "table/1", "third"), 0);
	ck_assert_int_eq(get(a, "table/1", text), 0);
	ck_assert_str_eq(text, "third");
	store_close(a);
	store_close(b);
	test_remove_tree(dir);
}
END_TEST

static unsigned open_descriptors(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

START_TEST(descriptors_are_bounded)
{
	const char *dir = test_directory();
	unsigned before = open_descriptors();
	struct store *s = open_with(dir, &test_unsynced, false);
	struct rlimit limit;
	char text[64];

	for (int i = 0; i < 300; i++) {
		char key[64];

		snprintf(key, sizeof(key), "d%d/%d", i % 100, i);
		ck_assert_int_eq(create(s, key, key), 0);
		ck_assert_int_eq(get(s, key, text), 0);
		ck_assert_str_eq(text, key);
	}
	unsigned full = open_descriptors();

	ck_assert_uint_gt(full, before + 64);
	ck_assert_uint_le(full, before + 1 + 64 + 64);

	/* No descriptor left in the process: the cached ones are given up. */
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = full - 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	int hog;

	while ((hog = dup(0)) >= 0)
		;
	for (int i = 0; i < 10; i++) {
		char key[64];

		snprintf(key, sizeof(key), "d%d/%d", i, i);
		ck_assert_int_eq(get(s, key, text), 0);
	}
	while ((hog = dup(0)) >= 0)
		;
	struct store_list l;

	ck_assert_int_eq(store_list_all(s, "", NULL, &l, NULL), 0);
	ck_assert_uint_eq(l.n, 300);
	store_list_done(&l);
	while ((hog = dup(0)) >= 0)
		;
	ck_assert_int_eq(get(s, "d5/5", text), -EIO); /* really none */
	for (hog = (int)full - 10; hog < (int)full - 3; hog++)
		close(hog);
	store_close(s);
	test_remove_tree(dir);
}
END_TEST

START_TEST(directories_that_vanish)
{
	const char *dir = test_directory();
	struct store *s = open_with(dir, &test_unsynced, _i);
	char text[64];

	ck_assert_int_eq(create(s, SEQ_KEY, "1"), 0);
	ck_assert_int_eq(create(s, "table/1", "1"), 0);
	test_remove_tree(below(dir, "log"));
	test_remove_tree(below(dir, "table"));
	ck_assert_int_eq(get(s, SEQ_KEY, text), -ENOENT);
	ck_assert_int_eq(store_delete(s, SEQ_KEY, NULL), 0);
	ck_assert_int_eq(create(s, SEQ_KEY, "2"), 0);
	ck_assert_int_eq(get(s, SEQ_KEY, text), 0);
	ck_assert_str_eq(text, "2");
	ck_assert_int_eq(store_put(s, "table/1.alive", SLICE_STR("x"), NULL), 0);
	test_remove_tree(dir);
	struct store_list l = {0};
	struct error err = {0};

	/* That nothing is found there would be no true answer. */
	ck_assert_int_eq(get(s, SEQ_KEY, text), -EACCES);
	ck_assert_int_eq(store_list_all(s, "", NULL, &l, &err), -EACCES);
	ck_assert_ptr_nonnull(strstr(err.text, "was removed"));
	err = (struct error){0};
	ck_assert_int_eq(store_put(s, "b", SLICE_STR("x"), &err), -EACCES);
	ck_assert_ptr_nonnull(strstr(err.text, dir));
	ck_assert_int_eq(create(s, "table/3", "x"), -EACCES);
	store_close(s);
}
END_TEST

START_TEST(permissions)
{
	const char *dir = test_directory();
	struct store *s = open_with(dir, &test_unsynced, _i);
	struct error err = {0};
	struct slice body = SLICE_STR("x");
	char text[64];

	ck_assert_int_eq(create(s, "table/1", "hello"), 0);
	ck_assert_int_eq(chmod(below(dir, "table"), 0555), 0);
	ck_assert_int_eq(chmod(dir, 0555), 0);
	bool root = geteuid() == 0;

	ck_assert_int_eq(root ? seteuid(65534) : 0, 0);
	ck_assert_int_eq(store_create(s, "table/2", &body, 1, &err), -EACCES);
	ck_assert_ptr_nonnull(strstr(err.text, "table/2"));
	ck_assert_int_eq(store_put(s, "table/2", body, NULL), -EACCES);
	ck_assert_int_eq(store_create(s, "new/1", &body, 1, NULL), -EACCES);
	ck_assert_int_eq(store_delete(s, "table/1", NULL), -EACCES);
	ck_assert_int_eq(get(s, "table/1", text), 0);
	ck_assert_str_eq(text, "hello");
	store_close(s);
	ck_assert_int_eq(root ? seteuid(0) : 0, 0);
	ck_assert_int_eq(chmod(dir, 0755), 0);
	ck_assert_int_eq(chmod(below(dir, "table"), 0755), 0);
	test_remove_tree(dir);
}
END_TEST

START_TEST(full_device)
{
	const char *dir = test_directory();
	struct store *s = open_with(dir, &test_unsynced, _i);
	struct rlimit limit = {.rlim_cur = 1000, .rlim_max = 1000};
	static uint8_t data[5000];
	struct slice parts[] = {SLICE(data, 900), SLICE(data, 4100)};

	/* Not a full device, but a write that ends in the middle and fails when it is continued. */
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(store_create(s, "table/1", parts, 2, NULL), -ENOSPC);
	struct store_list l;

	ck_assert_int_eq(store_list_all(s, "", NULL, &l, NULL), 0);
	ck_assert_uint_eq(l.n, 0);
	ck_assert_int_eq(store_create(s, "table/1", parts, 1, NULL), 0);
	store_close(s);
	test_remove_tree(dir);
}
END_TEST

/* More parts than one system call takes. */
START_TEST(many_parts)
{
	enum { N = 1000 };
	const char *dir = test_directory();
	struct store *s = open_with(dir, &test_unsynced, _i);
	struct slice parts[N];
	uint8_t data[N];
	char *all = malloc(N * N);
	size_t at = 0, len;

	memset(data, 'q', sizeof(data));
	for (size_t i = 0; i < N; i++) {
		data[i] = (uint8_t)(i * 7);
		parts[i] = SLICE(data, i % 5 ? i : 0);
	}
	for (size_t i = 0; i < N; i++) {
		memcpy(all + at, parts[i].data, parts[i].len);
		at += parts[i].len;
	}
	ck_assert_int_eq(store_create(s, "table/1", parts, N, NULL), 0);
	char *back = malloc(at + 1);

	ck_assert_int_eq(store_get(s, "table/1", 0, back, at + 1, &len, NULL, NULL), 0);
	ck_assert_uint_eq(len, at);
	ck_assert_int_eq(memcmp(back, all, at), 0);
	free(back);
	free(all);
	store_close(s);
	test_remove_tree(dir);
}
END_TEST

/* More names than LIST holds at a time, most of them of empty directories. */
START_TEST(crowded_directories)
{
	enum { EMPTY = 2100, OBJECTS = 2500 };
	const char *dir = test_directory();
	struct store *s = open_with(dir, &test_unsynced, false);
	struct store_list l;
	char name[64];

	for (int i = 0; i < EMPTY; i++) {
		snprintf(name, sizeof(name), "e%04d", i);
		ck_assert_int_eq(mkdir(below(dir, name), 0777), 0);
	}
	ck_assert_int_eq(mkdir(below(dir, "table"), 0777), 0);
	for (int i = 0; i < OBJECTS; i++) {
		snprintf(name, sizeof(name), "table/%04d", i);
		touch(dir, name);
	}
	touch(dir, "z");
	ck_assert_int_eq(store_list_all(s, "", NULL, &l, NULL), 0);
	ck_assert_uint_eq(l.n, OBJECTS + 1);
	for (int i = 0; i < OBJECTS; i++) {
		snprintf(name, sizeof(name), "table/%04d", i);
		ck_assert_str_eq(l.entries[i].key, name);
	}
	ck_assert_str_eq(l.entries[OBJECTS].key, "z");
	store_list_done(&l);
	store_close(s);
	test_remove_tree(dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store-file");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	tcase_add_loop_test(tc, layout, 0, 2);
	tcase_add_loop_test(tc, leaves_no_temporary_files, 0, 2);
	tcase_add_loop_test(tc, one_process_wins, 0, 2);
	tcase_add_test(tc, crowded_directories);
	tcase_add_test(tc, sees_deletes_of_others);
	tcase_add_test(tc, descriptors_are_bounded);
	tcase_add_loop_test(tc, directories_that_vanish, 0, 2);
	tcase_add_loop_test(tc, permissions, 0, 2);
	tcase_add_loop_test(tc, full_device, 0, 2);
	tcase_add_loop_test(tc, many_parts, 0, 2);
	return test_run(suite);
}
