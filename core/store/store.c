/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The face of every store: argument checks, the read-back that settles an unclear create,
 * whole-object reads and lists of many pages. Answers of backends are checked here for what would
 * make a caller loop or read bytes that nobody wrote; what the bytes mean is for the layers above
 * to verify.
 */
#include "core/store/store_internal.h"

#include "core/base/cleanup.h"
#include "core/base/env.h"
#include "core/base/planted.h"

#define COMPARE_FIRST 4096u	 /* bytes: nearly always enough to tell our object from another */
#define COMPARE_STEP (1u << 20)	 /* bytes */
#define GET_ALL_FIRST (1u << 20) /* bytes: one request for all but large objects */

bool store_key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

bool store_key_valid(const char *key)
{
	size_t n = strnlen(key, STORE_KEY_MAX + 1);

	if (n == 0 || n > STORE_KEY_MAX)
		return false;
	for (const char *p = key;;) {
		size_t len = strcspn(p, "/");

		if (len == 0 || (len == 1 && p[0] == '.') || (len == 2 && memcmp(p, "..", 2) == 0))
			return false;
		for (size_t i = 0; i < len; i++)
			if (!store_key_char(p[i]))
				return false;
		if (p[len] == '\0')
			return true;
		p += len + 1;
	}
}

static bool prefix_valid(const char *prefix)
{
	size_t n = strnlen(prefix, STORE_KEY_MAX + 1);

	if (n > STORE_KEY_MAX || prefix[0] == '/')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!store_key_char(prefix[i]) && prefix[i] != '/')
			return false;
	return true;
}

const char *store_op_name(enum store_op op)
{
	switch (op) {
	case STORE_CREATE:
		return "create";
	case STORE_PUT:
		return "put";
	case STORE_GET:
		return "get";
	case STORE_DELETE:
		return "delete";
	case STORE_LIST:
		return "list";
	case STORE_OPS:
		break;
	}
	return "?";
}

uint64_t store_parts_size(const struct slice *parts, size_t nparts)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < nparts; i++)
		sum += parts[i].len;
	return sum;
}

uint64_t store_read_range(
	uint64_t size, uint64_t offset, bool from_end, size_t len, size_t *ret_len)
{
	if (from_end)
		offset = len < size ? size - len : 0;
	if (offset > size)
		offset = size;
	*ret_len = size - offset < len ? (size_t)(size - offset) : len;
	return offset;
}

bool store_read_complete(uint64_t offset, bool from_end, size_t len, size_t got, uint64_t size)
{
	size_t due;

	(void)store_read_range(size, offset, from_end, len, &due); /* only the length matters */
	return got == due || (planted(PLANTED_SHORT_BODY) && got < due);
}

static int check_key(const char *key, struct error *err)
{
	if (!store_key_valid(key))
		return error_set(err, -EINVAL, "not a valid object name: \"%.80s\"", key);
	return 0;
}

static int check_body(const char *key, const struct slice *parts, size_t nparts, struct error *err)
{
	int r = check_key(key, err);

	if (r < 0)
		return r;
	if (store_parts_size(parts, nparts) > STORE_OBJECT_MAX)
		return error_set(err, -EINVAL, "%s: an object has at most %llu bytes", key,
			STORE_OBJECT_MAX);
	return 0;
}

static int get_checked(struct store *s, const char *key, uint64_t offset, bool from_end, void *buf,
	size_t len, size_t *ret_len, uint64_t *ret_size, struct error *err)
{
	size_t got = 0;
	uint64_t size = 0;
	int r = check_key(key, err);

	if (r < 0)
		return r;
	env_blocking();
	r = s->ops->get(s, key, offset, from_end, buf, len, &got, &size, err);
	if (r < 0)
		return r;
	if (!store_read_complete(offset, from_end, len, got, size))
		return error_set(
			err, -EIO, "%s: the store gave %zu bytes where more were due", key, got);
	*ret_len = got;
	if (ret_size)
		*ret_size = size;
	return 0;
}

int store_get(struct store *s, const char *key, uint64_t offset, void *buf, size_t len,
	size_t *ret_len, uint64_t *ret_size, struct error *err)
{
	return get_checked(s, key, offset, false, buf, len, ret_len, ret_size, err);
}

int store_get_tail(struct store *s, const char *key, void *buf, size_t len, size_t *ret_len,
	uint64_t *ret_size, struct error *err)
{
	return get_checked(s, key, 0, true, buf, len, ret_len, ret_size, err);
}

/* A place in the concatenation of parts. */
struct place {
	const struct slice *part;
	size_t done; /* bytes of *part behind us */
};

/* Whether the next `len` bytes of the parts equal `data`. The caller sees to it that there are as
 * many. */
static bool next_bytes_equal(struct place *at, const uint8_t *data, size_t len)
{
	while (len > 0) {
		size_t n = at->part->len - at->done;

		if (n == 0) {
			at->part++;
			at->done = 0;
			continue;
		}
		if (n > len)
			n = len;
		if (memcmp(at->part->data + at->done, data, n) != 0)
			return false;
		at->done += n;
		data += n;
		len -= n;
	}
	return true;
}

/* 0: the object holds exactly these bytes; -EEXIST: others; -EAGAIN: there is none. */
static int compare_stored(struct store *s, const char *key, const struct slice *parts,
	size_t nparts, struct error *err)
{
	uint64_t total = store_parts_size(parts, nparts), pos = 0;
	struct place at = {.part = parts};
	CLEANUP(free_p)
	uint8_t *buf = malloc(total < COMPARE_STEP ? (size_t)total + 1 : COMPARE_STEP);

	if (!buf)
		return error_set(err, -ENOMEM, "%s: no memory to compare", key);
	do {
		size_t step = pos == 0 ? COMPARE_FIRST : COMPARE_STEP, got;
		uint64_t size;
		struct error local = {0};

		if (step > total - pos)
			step = (size_t)(total - pos);
		int r = store_get(s, key, pos, buf, step, &got, &size, &local);

		if (r == -ENOENT)
			return error_set(err, -EAGAIN, "%s: it existed and has gone", key);
		if (r < 0)
			return error_set(err, r, "reading back %s: %s", key, error_text(&local, r));
		if (size != total || got != step || !next_bytes_equal(&at, buf, got))
			return error_set(err, -EEXIST, "%s: another object has this name", key);
		pos += got;
	} while (pos < total);
	return 0;
}

int store_create(struct store *s, const char *key, const struct slice *parts, size_t nparts,
	struct error *err)
{
	struct error local = {0};
	int r = check_body(key, parts, nparts, err);

	if (r < 0)
		return r;
	env_blocking();
	r = s->ops->create(s, key, parts, nparts, &local);
	if (r == -EEXIST)
		return compare_stored(s, key, parts, nparts, err);
	if (r < 0)
		return error_set(err, r, "%s", error_text(&local, r));
	return 0;
}

int store_put(struct store *s, const char *key, struct slice body, struct error *err)
{
	int r = check_body(key, &body, 1, err);

	if (r < 0)
		return r;
	env_blocking();
	return s->ops->put(s, key, &body, 1, err);
}

static int get_all(struct store *s, const char *key, size_t max, struct buf *out, struct error *err)
{
	size_t first = max < GET_ALL_FIRST ? max : GET_ALL_FIRST, got = 0;
	uint64_t size = 0, size_again = 0;

	if (buf_reserve(out, first) < 0)
		return error_set(err, -ENOMEM, "%s: no memory for %zu bytes", key, first);
	int r = store_get(s, key, 0, out->data, first, &got, &size, err);

	if (r < 0)
		return r;
	if (size > max)
		return error_set(err, -EBADMSG, "%s: has %llu bytes, at most %zu are sensible", key,
			(unsigned long long)size, max);
	out->len = got;
	if (got == size)
		return 0;
	if (buf_reserve(out, (size_t)size - got) < 0)
		return error_set(err, -ENOMEM, "%s: no memory for %llu bytes", key,
			(unsigned long long)size);
	r = store_get(s, key, got, out->data + got, (size_t)size - got, &got, &size_again, err);
	if (r < 0)
		return r;
	if (size_again != size)
		return error_set(err, -EBADMSG, "%s: changed while it was read", key);
	out->len += got;
	return 0;
}

int store_get_all(struct store *s, const char *key, size_t max, struct buf *out, struct error *err)
{
	int r = get_all(s, key, max, out, err);

	if (r < 0)
		buf_clear(out);
	return r;
}

int store_delete(struct store *s, const char *key, struct error *err)
{
	int r = check_key(key, err);

	if (r < 0)
		return r;
	env_blocking();
	return s->ops->del(s, key, err);
}

/* Capacity of a list follows from its length: the next power of two. */
static size_t list_capacity(size_t n)
{
	size_t cap = 1;

	if (n == 0)
		return 0;
	while (cap < n)
		cap *= 2;
	return cap;
}

static int list_reserve(struct store_list *l, size_t more)
{
	size_t have = list_capacity(l->n), want = list_capacity(l->n + more);

	if (want <= have)
		return 0;
	struct store_list_entry *e = reallocarray(l->entries, want, sizeof(*e));

	if (!e)
		return -ENOMEM;
	l->entries = e;
	return 0;
}

int store_list_append(struct store_list *l, const char *key, uint64_t size)
{
	if (list_reserve(l, 1) < 0)
		return -ENOMEM;
	char *copy = strdup(key);

	if (!copy)
		return -ENOMEM;
	l->entries[l->n++] = (struct store_list_entry){.key = copy, .size = size};
	return 0;
}

void store_list_done(struct store_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->entries[i].key);
	free(l->entries);
	*l = (struct store_list){0};
}

/* A page out of order, or one that is empty and promises more, would make the caller miss names or
 * loop. */
static bool page_sound(const struct store_list *page, const char *prefix, const char *after)
{
	for (size_t i = 0; i < page->n; i++) {
		const char *key = page->entries[i].key;

		if (strncmp(key, prefix, strlen(prefix)) != 0 || !store_key_valid(key))
			return false;
		if (after && strcmp(key, after) <= 0)
			return false;
		after = key;
	}
	return page->n > 0 || !page->more;
}

/* Moves the names of `page` to the end of `out`. */
static int list_move(struct store_list *out, struct store_list *page)
{
	if (page->n == 0)
		return 0;
	if (list_reserve(out, page->n) < 0)
		return -ENOMEM;
	memcpy(out->entries + out->n, page->entries, page->n * sizeof(*page->entries));
	out->n += page->n;
	page->n = 0;
	return 0;
}

static int list_page(struct store *s, const char *prefix, const char *after, struct store_list *out,
	struct error *err)
{
	env_blocking();
	int r = s->ops->list(s, prefix, after, out, err);

	if (r == 0 && !page_sound(out, prefix, after))
		r = error_set(
			err, -EBADMSG, "LIST of %s: the store's answer makes no sense", prefix);
	return r;
}

int store_list_page(struct store *s, const char *prefix, const char *after, struct store_list *out,
	struct error *err)
{
	struct store_list page = {0};

	if (!prefix_valid(prefix))
		return error_set(err, -EINVAL, "not a valid prefix: \"%.80s\"", prefix);
	int r = list_page(s, prefix, after, &page, err);

	if (r < 0) {
		store_list_done(&page);
		return r;
	}
	*out = page;
	return 0;
}

static int list_pages(struct store *s, const char *prefix, const char *after,
	struct store_list *out, struct error *err)
{
	for (bool more = true; more;) {
		struct store_list page = {0};
		int r = list_page(s, prefix, after, &page, err);

		if (r == 0 && list_move(out, &page) < 0)
			r = error_set(err, -ENOMEM, "LIST of %s: no memory", prefix);
		more = page.more;
		store_list_done(&page);
		if (r < 0)
			return r;
		if (more)
			after = out->entries[out->n - 1].key;
	}
	return 0;
}

int store_list_all(struct store *s, const char *prefix, const char *after, struct store_list *out,
	struct error *err)
{
	struct store_list all = {0};

	if (!prefix_valid(prefix))
		return error_set(err, -EINVAL, "not a valid prefix: \"%.80s\"", prefix);
	int r = list_pages(s, prefix, after, &all, err);

	if (r < 0) {
		store_list_done(&all);
		return r;
	}
	*out = all;
	return 0;
}

void store_cancel(struct store *s)
{
	while (s && !s->ops->cancel)
		s = s->below;
	if (s)
		s->ops->cancel(s);
}

void store_close(struct store *s)
{
	if (s)
		s->ops->close(s);
}
