/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What only the file backend promises: layout, durability, several processes, descriptors. */
#include "core/base/thread.h"
#include "core/store/store_internal.h"
#include "tests/unit/test-store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SEQ_KEY "log/0000000000000001/00000000000a1b2c"
#define SEQ_PATH "log/0000000000000001/00000000000a1/00000000000a1b2c"

static struct store *open_with(const char *dir, const struct file_sync *sync, bool named)
{
	struct file_options o = {.named_temp = named, .sync = sync};
	struct store *s;

	ck_assert_int_eq(file_store_open(dir, &o, &s, NULL), 0);
	return s;
}

static int create(struct store *s, const char *key, const char *text)
{
	struct slice part = SLICE_STR(text);

	return store_create(s, key, &part, 1, NULL);
}

static int get(struct store *s, const char *key, char text[static 64])
{
	size_t len;
	int r = store_get(s, key, 0, text, 63, &len, NULL, NULL);

	if (r == 0)
		text[len] = '\0';
	return r;
}

static void touch(const char *dir, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_CREAT | O_WRONLY, 0666);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static const char *below(const char *dir, const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

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

	ck_assert_int_eq(get(s, SEQ_KEY, text), -ENOENT);
	ck_assert_int_eq(store_list_all(s, "", NULL, &l, NULL), 0);
	ck_assert_uint_eq(l.n, 0);
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
	ck_assert_int_eq(store_create(s, "table/1", parts, 2, NULL), -EIO);
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
	tcase_add_loop_test(tc, survives_power_loss, 0, 2);
	tcase_add_test(tc, root_is_made_durably);
	tcase_add_loop_test(tc, failed_directory_sync, 0, 2);
	tcase_add_test(tc, syncs_are_shared);
	tcase_add_test(tc, cancels);
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
