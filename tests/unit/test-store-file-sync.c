/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What only the file backend promises about durability: what a power loss leaves, syncs that fail,
 * syncs that many requests share. */
#include "core/base/thread.h"
#include "core/store/store_internal.h"
#include "tests/unit/store-file-fixture.h"

#include <dirent.h>
#include <stdatomic.h>
#include <sys/stat.h>

/*
 * What a disk would hold after a power loss right now: the names that a directory had when it was
 * synced, and the files whose bytes were.
 */
struct disk {
	struct mutex lock;
	char *names[512]; /* paths */
	size_t nnames;
	ino_t files[512];
	size_t nfiles;
	unsigned dir_syncs, data_syncs;
	unsigned fail_dir_sync; /* the how-manieth from now; 0 = none */
};

static void disk_forget_directory(struct disk *k, const char *path)
{
	size_t keep = 0, n = strlen(path);

	for (size_t i = 0; i < k->nnames; i++)
		if (strncmp(k->names[i], path, n) == 0 && k->names[i][n] == '/' &&
			!strchr(k->names[i] + n + 1, '/'))
			free(k->names[i]);
		else
			k->names[keep++] = k->names[i];
	k->nnames = keep;
}

static int disk_sync_directory(void *arg, int fd)
{
	struct disk *k = arg;
	char link[64], path[512], full[1024];

	MUTEX_GUARD(&k->lock);
	k->dir_syncs++;
	if (k->fail_dir_sync && --k->fail_dir_sync == 0)
		return -EIO;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);

	ck_assert_int_gt(n, 0);
	path[n] = '\0';
	disk_forget_directory(k, path);
	DIR *d = opendir(path);

	ck_assert_ptr_nonnull(d);
	for (struct dirent *e; (e = readdir(d));) {
		snprintf(full, sizeof(full), "%s/%s", path, e->d_name);
		ck_assert_uint_lt(k->nnames, 512);
		k->names[k->nnames++] = strdup(full);
	}
	closedir(d);
	return 0;
}

static int disk_sync_data(void *arg, int fd)
{
	struct disk *k = arg;
	struct stat st;

	MUTEX_GUARD(&k->lock);
	ck_assert_int_eq(fstat(fd, &st), 0);
	/* not reachable under a key yet: nameless, or only under a temporary name */
	ck_assert_uint_le(st.st_nlink, 1);
	k->data_syncs++;
	k->files[k->nfiles++] = st.st_ino;
	return 0;
}

static bool disk_has_name(const struct disk *k, const char *path)
{
	for (size_t i = 0; i < k->nnames; i++)
		if (strcmp(k->names[i], path) == 0)
			return true;
	return false;
}

/* Whether the object would be there, whole, after a power loss. */
static bool disk_has(const struct disk *k, const char *root, const char *name)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		bool known = disk_has_name(k, path);

		*p = '/';
		if (!known)
			return false;
	}
	if (!disk_has_name(k, path) || stat(path, &st) < 0)
		return false;
	for (size_t i = 0; i < k->nfiles; i++)
		if (k->files[i] == st.st_ino)
			return true;
	return false;
}

static void disk_init(struct disk *k, struct file_sync *sync)
{
	*k = (struct disk){0};
	mutex_init(&k->lock, RANK_DIAG);
	*sync = (struct file_sync){disk_sync_data, disk_sync_directory, k};
}

static void disk_done(struct disk *k)
{
	for (size_t i = 0; i < k->nnames; i++)
		free(k->names[i]);
	mutex_done(&k->lock);
}

START_TEST(survives_power_loss)
{
	const char *dir = test_directory();
	struct file_sync sync, sync2;
	struct disk k, k2;

	disk_init(&k, &sync);
	disk_init(&k2, &sync2);
	struct store *s = open_with(dir, &sync, _i), *s2 = open_with(dir, &sync2, _i);

	ck_assert_int_eq(create(s, SEQ_KEY, "one"), 0);
	ck_assert(disk_has(&k, dir, SEQ_PATH));
	unsigned before = k.dir_syncs;

	ck_assert_int_eq(create(s, "log/0000000000000001/00000000000a1b2d", "two"), 0);
	ck_assert(disk_has(&k, dir, "log/0000000000000001/00000000000a1/00000000000a1b2d"));
	ck_assert_uint_eq(k.dir_syncs, before + 1); /* the directories above are known by now */
	ck_assert_int_eq(store_put(s, "writer/1.alive", SLICE_STR("1"), NULL), 0);
	ck_assert(disk_has(&k, dir, "writer/1.alive"));
	ck_assert_int_eq(store_put(s, "writer/1.alive", SLICE_STR("2"), NULL), 0);
	ck_assert(disk_has(&k, dir, "writer/1.alive"));

	/* another process does not rely on what it did not sync itself */
	ck_assert_int_eq(create(s2, "log/0000000000000001/00000000000a1b2e", "three"), 0);
	ck_assert(disk_has(&k2, dir, "log/0000000000000001/00000000000a1/00000000000a1b2e"));
	ck_assert_int_eq(s2->ops->create(s2, SEQ_KEY, NULL, 0, NULL), -EEXIST);
	ck_assert(disk_has_name(&k2, below(dir, SEQ_PATH)));

	ck_assert_int_eq(store_delete(s, SEQ_KEY, NULL), 0);
	ck_assert(!disk_has_name(&k, below(dir, SEQ_PATH)));
	store_close(s);
	store_close(s2);
	disk_done(&k);
	disk_done(&k2);
	test_remove_tree(dir);
}
END_TEST

START_TEST(root_is_made_durably)
{
	const char *dir = test_directory();
	struct file_sync sync;
	struct disk k;
	struct store *s = NULL;
	char path[256];

	disk_init(&k, &sync);
	snprintf(path, sizeof(path), "%s/a/b//c/", dir);
	struct file_options o = {.sync = &sync};
	struct error err = {0};

	ck_assert_int_eq(file_store_open(path, &o, &s, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, dir));
	ck_assert_ptr_null(s);
	o.create_root = true;
	ck_assert_int_eq(file_store_open(path, &o, &s, NULL), 0);
	ck_assert(disk_has_name(&k, below(dir, "a")));
	ck_assert(disk_has_name(&k, below(dir, "a/b")));
	ck_assert(disk_has_name(&k, below(dir, "a/b/c")));
	ck_assert_int_eq(create(s, "x", "y"), 0);
	ck_assert(disk_has(&k, dir, "a/b/c/x"));
	store_close(s);
	unsigned before = k.dir_syncs;

	ck_assert_int_eq(file_store_open(path, &o, &s, NULL), 0);
	ck_assert_uint_eq(k.dir_syncs, before);
	store_close(s);
	touch(dir, "plain");
	ck_assert_int_lt(file_store_open(below(dir, "plain"), &o, &s, NULL), 0);
	disk_done(&k);
	test_remove_tree(dir);
}
END_TEST

/* A directory that could not be synced: nobody says "created", nor "not created", until it could.
 */
START_TEST(failed_directory_sync)
{
	const char *dir = test_directory();
	struct file_sync sync;
	struct disk k;

	disk_init(&k, &sync);
	struct store *s = open_with(dir, &sync, _i);

	ck_assert_int_eq(create(s, "table/0", "x"), 0);
	k.fail_dir_sync = 1;
	ck_assert_int_eq(create(s, "table/1", "mine"), -ETIMEDOUT);
	ck_assert(!disk_has(&k, dir, "table/1"));
	k.fail_dir_sync = 1;
	ck_assert_int_eq(create(s, "table/1", "mine"), -ETIMEDOUT); /* exists, but not on disk */
	ck_assert_int_eq(create(s, "table/1", "mine"), 0);
	ck_assert(disk_has(&k, dir, "table/1"));
	k.fail_dir_sync = 1;
	ck_assert_int_eq(store_put(s, "table/1.alive", SLICE_STR("1"), NULL), -ETIMEDOUT);
	k.fail_dir_sync = 1;
	ck_assert_int_eq(store_delete(s, "table/1", NULL), -ETIMEDOUT);
	ck_assert(disk_has_name(&k, below(dir, "table/1")));
	ck_assert_int_eq(store_delete(s, "table/1", NULL), 0);
	ck_assert(!disk_has_name(&k, below(dir, "table/1")));
	/* the directory above cannot be synced: nothing was done yet */
	k.fail_dir_sync = 1;
	ck_assert_int_eq(create(s, "manifest/1", "x"), -EIO);
	ck_assert_int_ne(access(below(dir, "manifest/1"), F_OK), 0);
	ck_assert_int_eq(create(s, "manifest/1", "x"), 0);
	ck_assert(disk_has(&k, dir, "manifest/1"));
	store_close(s);
	disk_done(&k);
	test_remove_tree(dir);
}
END_TEST

#define GROUP 8

/* Directory syncs wait here until all creators are about to wait for one. */
struct gate {
	struct mutex lock;
	struct cond opened;
	bool closed;
	unsigned dir_syncs;
	atomic_uint data_syncs;
};

static int gate_data(void *arg, int fd)
{
	struct gate *g = arg;

	(void)fd;
	atomic_fetch_add(&g->data_syncs, 1);
	return 0;
}

static int gate_directory(void *arg, int fd)
{
	struct gate *g = arg;

	(void)fd;
	MUTEX_GUARD(&g->lock);
	g->dir_syncs++;
	while (g->closed)
		cond_wait(&g->opened, &g->lock);
	return 0;
}

static void gate_open(struct gate *g)
{
	mutex_lock(&g->lock);
	g->closed = false;
	cond_broadcast(&g->opened);
	mutex_unlock(&g->lock);
}

struct creator {
	struct thread thread;
	struct store *s;
	char key[32];
	int result;
};

static void creator_run(void *arg)
{
	struct creator *c = arg;

	c->result = create(c->s, c->key, "x");
}

static void start_creators(struct creator c[static GROUP], struct store *s)
{
	for (int i = 0; i < GROUP; i++) {
		c[i] = (struct creator){.s = s, .result = 1};
		snprintf(c[i].key, sizeof(c[i].key), "table/%d", i);
		ck_assert_int_eq(thread_start(&c[i].thread, "creator", creator_run, &c[i]), 0);
	}
}

START_TEST(syncs_are_shared)
{
	const char *dir = test_directory();
	struct gate g = {0};
	struct file_sync sync = {gate_data, gate_directory, &g};
	struct creator c[GROUP];

	mutex_init(&g.lock, RANK_DIAG);
	cond_init(&g.opened);
	struct store *s = open_with(dir, &sync, false);

	ck_assert_int_eq(create(s, "table/first", "x"), 0);
	g.closed = true;
	g.dir_syncs = 0;
	atomic_store(&g.data_syncs, 0);
	start_creators(c, s);
	while (atomic_load(&g.data_syncs) < GROUP)
		env_sleep_ms(1);
	env_sleep_ms(50); /* from the file's sync to the wait for the directory */
	ck_assert_uint_eq(g.dir_syncs, 1);
	gate_open(&g);
	for (int i = 0; i < GROUP; i++) {
		thread_join(&c[i].thread);
		ck_assert_int_eq(c[i].result, 0);
	}
	/* one under way when the others came, one for all of them; one more for somebody slow */
	ck_assert_uint_ge(g.dir_syncs, 2);
	ck_assert_uint_le(g.dir_syncs, 3);
	store_close(s);
	cond_done(&g.opened);
	mutex_done(&g.lock);
	test_remove_tree(dir);
}
END_TEST

/* Requests that wait for somebody else's sync end at once when cancelled; the one that syncs ends
 * with its sync. */
START_TEST(cancels)
{
	const char *dir = test_directory();
	struct gate g = {0};
	struct file_sync sync = {gate_data, gate_directory, &g};
	struct creator c[GROUP];
	struct store_list l = {0};
	char text[64];
	int ended = 0;

	mutex_init(&g.lock, RANK_DIAG);
	cond_init(&g.opened);
	struct store *s = open_with(dir, &sync, false);

	ck_assert_int_eq(create(s, "table/first", "x"), 0);
	g.closed = true;
	atomic_store(&g.data_syncs, 0);
	start_creators(c, s);
	while (atomic_load(&g.data_syncs) < GROUP)
		env_sleep_ms(1);
	env_sleep_ms(50);
	store_cancel(s);
	env_sleep_ms(50);
	gate_open(&g);
	for (int i = 0; i < GROUP; i++) {
		thread_join(&c[i].thread);
		ck_assert(c[i].result == -ECANCELED || c[i].result == 0);
		ended += c[i].result == -ECANCELED;
	}
	ck_assert_int_ge(ended, GROUP - 1);
	ck_assert_int_eq(get(s, "table/first", text), -ECANCELED);
	ck_assert_int_eq(create(s, "table/last", "x"), -ECANCELED);
	ck_assert_int_eq(store_delete(s, "table/first", NULL), -ECANCELED);
	ck_assert_int_eq(store_list_all(s, "", NULL, &l, NULL), -ECANCELED);
	store_close(s);
	cond_done(&g.opened);
	mutex_done(&g.lock);
	test_remove_tree(dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store-file-sync");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	tcase_add_loop_test(tc, survives_power_loss, 0, 2);
	tcase_add_test(tc, root_is_made_durably);
	tcase_add_loop_test(tc, failed_directory_sync, 0, 2);
	tcase_add_test(tc, syncs_are_shared);
	tcase_add_test(tc, cancels);
	return test_run(suite);
}
