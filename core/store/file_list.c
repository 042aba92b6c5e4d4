/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LIST of the file backend: walks the tree in the order of keys and stops when the page is full. A
 * name takes part with the key that it stands for, or, a directory, with what the keys below it
 * begin with; the extra level of the log is stepped through without leaving a trace in the keys.
 *
 * Of a directory only as many names are held as may still be needed: the smallest beyond the place
 * reached. When those run out before the page is full, the directory is read again.
 */
#include "core/store/file_internal.h"

#include "core/base/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#define NAMES_KEEP                                                                                 \
	(STORE_LIST_PAGE + 1) /* enough for a page of objects, and to see that there are more */
#define NAMES_MAX (2 * NAMES_KEEP)

enum level {
	LEVEL_PLAIN,
	LEVEL_EPOCH, /* log/<epoch>: holds directories of 13 hex digits only */
	LEVEL_GROUP, /* those: hold sequences that begin with these digits */
};

struct scan {
	struct file_store *fs;
	const char *prefix, *after;
	struct store_list *out;
	/* where the walk is */
	char path[FILE_PATH_MAX];    /* the directory, "" = the root */
	char key[STORE_KEY_MAX + 1]; /* what keys in it begin with: "" or ending in '/' */
};

struct name {
	char *text; /* directories of LEVEL_PLAIN: with a '/' at the end, so that names sort like
		       keys */
	bool is_dir;
};

struct names {
	struct name *v;
	size_t n;
	bool cut; /* larger ones were dropped */
};

static void names_free(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].text);
	free(l->v);
	*l = (struct names){0};
}

static int name_cmp(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

/* Sorts, and keeps the smallest. */
static void names_trim(struct names *l)
{
	if (l->n > 0)
		qsort(l->v, l->n, sizeof(*l->v), name_cmp);
	while (l->n > NAMES_KEEP) {
		free(l->v[--l->n].text);
		l->cut = true;
	}
}

static int names_add(struct names *l, const char *text, bool is_dir)
{
	if (!l->v) {
		l->v = calloc(NAMES_MAX, sizeof(*l->v));
		if (!l->v)
			return -ENOMEM;
	}
	if (l->n == NAMES_MAX)
		names_trim(l);
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	l->v[l->n++] = (struct name){.text = copy, .is_dir = is_dir};
	return 0;
}

/* Whether keys that are (object) or begin with (directory) key + text may be on this page. */
static bool wanted(const struct scan *s, const char *text, bool is_dir)
{
	char full[STORE_KEY_MAX + 2];
	size_t base = strlen(s->key), n = base + strlen(text), prefix_len = strlen(s->prefix);
	size_t common;

	if (n > STORE_KEY_MAX)
		return false;
	memcpy(full, s->key, base);
	memcpy(full + base, text, n - base + 1);
	common = n < prefix_len ? n : prefix_len;
	if (memcmp(full, s->prefix, common) != 0 || (!is_dir && n < prefix_len))
		return false;
	if (!s->after)
		return true;
	return is_dir ? strncmp(full, s->after, n) >= 0 : strcmp(full, s->after) > 0;
}

static bool is_component(const char *name)
{
	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	while (store_key_char(*name))
		name++;
	return *name == '\0';
}

/* Whether a name stands for a key, or for keys, at this level. `group`: the name of a LEVEL_GROUP
 * directory. */
static bool fits_level(enum level level, const char *group, const char *name, bool is_dir)
{
	switch (level) {
	case LEVEL_PLAIN:
		return is_component(name);
	case LEVEL_EPOCH:
		return is_dir && strlen(name) == FILE_LOG_GROUP &&
		       file_is_hex(name, FILE_LOG_GROUP);
	case LEVEL_GROUP:
		return !is_dir && strlen(name) == FILE_LOG_EPOCH &&
		       file_is_hex(name, FILE_LOG_EPOCH) &&
		       strncmp(name, group, FILE_LOG_GROUP) == 0;
	}
	return false;
}

/* What an entry is: 1 a directory, 0 a file, -1 nothing of ours. A link to a directory counts as
 * one. */
static int entry_kind(DIR *dir, const struct dirent *e)
{
	struct stat st;

	if (e->d_type == DT_DIR)
		return 1;
	if (e->d_type == DT_REG)
		return 0;
	if (e->d_type != DT_LNK && e->d_type != DT_UNKNOWN)
		return -1;
	if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
		return 0;
	if (fstatat(dirfd(dir), e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode))
		return 1;
	return -1;
}

/* The smallest names beyond `last` ("" = all) that are wanted. Negative errno, not mapped. */
static int names_read(struct scan *s, DIR *dir, enum level level, const char *last, struct names *l)
{
	const char *slash = strrchr(s->path, '/');
	const char *group = slash ? slash + 1 : s->path;
	char text[sizeof(((struct dirent *)0)->d_name) + 1];

	rewinddir(dir);
	for (;;) {
		errno = 0;
		const struct dirent *e = readdir(dir);

		if (!e) {
			int r = -errno;

			names_trim(l);
			return r;
		}
		int kind = entry_kind(dir, e);

		if (kind < 0 || !fits_level(level, group, e->d_name, kind == 1))
			continue;
		size_t n = strlen(e->d_name);

		memcpy(text, e->d_name, n + 1);
		if (kind == 1 && level == LEVEL_PLAIN)
			memcpy(text + n, "/", 2);
		if (strcmp(text, last) <= 0 || !wanted(s, text, kind == 1))
			continue;
		if (names_add(l, text, kind == 1) < 0)
			return -ENOMEM;
	}
}

/* 0 added or gone; 1 there is no room on the page; negative errno, not mapped. */
static int add_object(struct scan *s, DIR *dir, const char *name)
{
	char full[STORE_KEY_MAX + 1];
	size_t base = strlen(s->key), n = strlen(name);
	struct stat st;

	if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(st.st_mode))
		return 0;
	if (s->out->n == STORE_LIST_PAGE) {
		s->out->more = true;
		return 1;
	}
	memcpy(full, s->key, base); /* wanted() has checked the length */
	memcpy(full + base, name, n + 1);
	return store_list_append(s->out, full, (uint64_t)st.st_size);
}

static int list_dir(struct scan *s);

/* Steps down into the directory `text`, lists it and steps back. Result as list_dir. */
static int list_below(struct scan *s, enum level level, const char *text)
{
	size_t path_len = strlen(s->path), key_len = strlen(s->key), n = strlen(text);
	int r;

	if (level == LEVEL_PLAIN) {
		memcpy(s->key + key_len, text, n + 1); /* wanted() has checked the length */
		n--;				       /* the path goes without the last '/' */
	}
	if (path_len > 0)
		s->path[path_len++] = '/';
	memcpy(s->path + path_len, text, n);
	s->path[path_len + n] = '\0';
	r = list_dir(s);
	s->path[path_len > 0 ? path_len - 1 : 0] = '\0';
	s->key[key_len] = '\0';
	return r;
}

static enum level level_of(const struct scan *s)
{
	if (!file_in_log_epoch(s->key))
		return LEVEL_PLAIN;
	return strlen(s->path) + 1 == strlen(s->key) ? LEVEL_EPOCH : LEVEL_GROUP;
}

static int list_names(struct scan *s, DIR *dir, enum level level, const struct names *l)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->n; i++)
		r = l->v[i].is_dir ? list_below(s, level, l->v[i].text)
				   : add_object(s, dir, l->v[i].text);
	return r;
}

static DIR *open_dir(struct scan *s, int *ret_error)
{
	int fd = file_openat(
		s->fs, s->fs->root_fd, s->path[0] ? s->path : ".", O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	*ret_error = fd < 0 ? fd : dir ? 0 : -errno;
	if (fd >= 0 && !dir)
		(void)close(fd); /* a directory */
	return dir;
}

/* All keys at and below the place of the walk. 0 done; 1 the page is full; negative errno, not
 * mapped. */
static int list_dir(struct scan *s)
{
	enum level level = level_of(s);
	char last[sizeof(((struct dirent *)0)->d_name) + 1] = "";
	int r;
	bool more = true;
	DIR *dir = open_dir(s, &r);

	if (!dir)
		return r == -ENOENT || r == -ENOTDIR ? 0 : r;
	while (r == 0 && more) {
		CLEANUP(names_free) struct names l = {0};

		r = names_read(s, dir, level, last, &l);
		if (r == 0)
			r = list_names(s, dir, level, &l);
		more = l.cut;
		if (more)
			memcpy(last, l.v[l.n - 1].text, strlen(l.v[l.n - 1].text) + 1);
	}
	(void)closedir(dir); /* read only */
	return r;
}

/* Begins at the directory that the prefix names, if it names one. False: there can be no such keys.
 */
static bool descend(struct scan *s)
{
	const char *slash = strrchr(s->prefix, '/');
	size_t n = slash ? (size_t)(slash - s->prefix) : 0;

	if (!slash)
		return true;
	memcpy(s->path, s->prefix, n);
	s->path[n] = '\0';
	if (!store_key_valid(s->path))
		return false;
	memcpy(s->key, s->prefix, n + 1);
	s->key[n + 1] = '\0';
	return !file_in_log_epoch(s->key) || strlen(s->key) == FILE_LOG_EPOCH_KEY;
}

int file_list(struct store *s, const char *prefix, const char *after, struct store_list *out,
	struct error *err)
{
	struct file_store *fs = (struct file_store *)s;
	struct scan scan = {.fs = fs, .prefix = prefix, .after = after, .out = out};
	int r;

	if (atomic_load(&fs->cancelled))
		return error_set(err, -ECANCELED, "LIST of %s: cancelled", prefix);
	r = descend(&scan) ? list_dir(&scan) : 0;
	if (r >= 0 && !file_root_removed(fs))
		return 0;
	store_list_done(out);
	if (r >= 0)
		r = -ENOENT; /* an empty answer would be a lie */
	if (r == -ENOMEM)
		return error_set(err, r, "LIST of %s: no memory", prefix);
	return file_error(fs, err, -r, "cannot list", prefix);
}
