/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_STORE_FILE_FIXTURE_H
#define TESTS_UNIT_STORE_FILE_FIXTURE_H
/* What the tests of the file backend share: short forms of requests, and files beside the objects.
 */
#include "tests/unit/test-store.h"

#include <fcntl.h>

#define SEQ_KEY "log/0000000000000001/00000000000a1b2c"
#define SEQ_PATH "log/0000000000000001/00000000000a1/00000000000a1b2c"

static inline struct store *open_with(const char *dir, const struct file_sync *sync, bool named)
{
	struct file_options o = {.named_temp = named, .sync = sync};
	struct store *s;

	ck_assert_int_eq(file_store_open(dir, &o, &s, NULL), 0);
	return s;
}

static inline int create(struct store *s, const char *key, const char *text)
{
	struct slice part = SLICE_STR(text);

	return store_create(s, key, &part, 1, NULL);
}

static inline int get(struct store *s, const char *key, char text[static 64])
{
	size_t len;
	int r = store_get(s, key, 0, text, 63, &len, NULL, NULL);

	if (r == 0)
		text[len] = '\0';
	return r;
}

static inline void touch(const char *dir, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_CREAT | O_WRONLY, 0666);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static inline const char *below(const char *dir, const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

#endif
