/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/store/url.h"

#include "core/base/cleanup.h"
#include "core/base/sizes.h"
#include "core/store/delay.h"
#include "core/store/file.h"
#include "core/store/mem.h"
#include "core/store/retry.h"
#include "core/store/stats.h"

#include <limits.h>

#define SUPPORTED "supported are file:///PATH, a path that begins with / or ., and mem://NAME"
#define DELAY_MAX_MS 3600000u

enum scheme { SCHEME_FILE, SCHEME_MEM };

/* An address, taken apart. */
struct address {
	enum scheme scheme;
	char *place; /* the absolute path, or the name */
	struct delay_options delay;
	bool delayed;
};

static void address_done(struct address *a)
{
	free(a->place);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* In place. False: a % without two hex digits, or a zero byte. */
static bool percent_decode(char *s)
{
	char *to = s;

	for (; *s; s++, to++) {
		*to = *s;
		if (*s != '%')
			continue;
		int hi = hex_value(s[1]), lo = hi < 0 ? -1 : hex_value(s[2]);

		if (lo < 0 || (hi == 0 && lo == 0))
			return false;
		*to = (char)(hi << 4 | lo);
		s += 2;
	}
	*to = '\0';
	return true;
}

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("/._-~+,=@", c));
}

/* "file://" and the path, with %XX for what is not plain. NULL on ENOMEM. */
static char *file_url(const char *path)
{
	static const char digits[] = "0123456789ABCDEF";
	char *url = malloc(sizeof("file://") + 3 * strlen(path)), *to;

	if (!url)
		return NULL;
	for (to = stpcpy(url, "file://"); *path; path++)
		if (is_plain(*path)) {
			*to++ = *path;
		} else {
			*to++ = '%';
			*to++ = digits[(unsigned char)*path >> 4];
			*to++ = digits[(unsigned char)*path & 15];
		}
	*to = '\0';
	return url;
}

/* `base` and `name` with one slash between them. NULL on ENOMEM. */
static char *join(const char *base, const char *name)
{
	char *s = malloc(strlen(base) + strlen(name) + 2);

	if (!s)
		return NULL;
	char *to = stpcpy(s, base);

	if (to == s || to[-1] != '/')
		*to++ = '/';
	memcpy(to, name, strlen(name) + 1);
	return s;
}

/*
 * The absolute path without symbolic links, as far as it exists: directories that are to be made
 * may be missing at its end. Takes `path` apart. Returns a new string.
 */
static int resolve(char *path, char **ret, struct error *err)
{
	CLEANUP(free_p) char *full = realpath("/", NULL);

	if (path[0] != '/') {
		free(full);
		full = realpath(".", NULL);
	}
	if (!full)
		return error_set(
			err, -errno, "cannot find the current directory: %s", strerror(errno));
	bool missing = false;
	char *save = NULL;

	for (char *name = strtok_r(path, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
		if (strcmp(name, ".") == 0)
			continue;
		if (missing && strcmp(name, "..") == 0)
			return error_set(
				err, -EINVAL, "\"..\" after %s, which does not exist", full);
		CLEANUP(free_p) char *next = join(full, name);

		if (!next)
			return error_set(err, -ENOMEM, "no memory for a path");
		char *real = missing ? NULL : realpath(next, NULL);

		if (!real && !missing && errno != ENOENT)
			return error_set(err, errno == EACCES ? -EACCES : -EINVAL, "%s: %s", next,
				strerror(errno));
		missing = !real;
		free(full);
		full = real ? real : TAKE(next);
	}
	if (strlen(full) >= PATH_MAX)
		return error_set(err, -EINVAL, "the path is too long");
	*ret = TAKE(full);
	return 0;
}

static int parse_number(
	const char *name, const char *value, uint64_t max, uint64_t *ret, struct error *err)
{
	char *end;

	errno = 0;
	unsigned long long v = strtoull(value, &end, 10);

	if (value[0] < '0' || value[0] > '9' || *end || errno || v > max)
		return error_set(err, -EINVAL, "%s=%s: not a number up to %llu", name, value,
			(unsigned long long)max);
	*ret = v;
	return 0;
}

static int parse_bandwidth(const char *name, const char *value, uint64_t *ret, struct error *err)
{
	uint64_t v;

	if (size_parse(value, &v) < 0 || v == 0)
		return error_set(err, -EINVAL, "%s=%s: not a size such as 100M", name, value);
	*ret = v;
	return 0;
}

static int parse_parameter(char *text, struct address *a, struct error *err)
{
	char *value = strchr(text, '=');
	uint64_t ms = 0;
	int r;

	if (!value)
		return error_set(err, -EINVAL, "parameter \"%s\" has no value", text);
	*value++ = '\0';
	a->delayed = true;
	if (strcmp(text, "delay_ms") == 0) {
		r = parse_number(text, value, DELAY_MAX_MS, &ms, err);
		if (r == 0)
			a->delay.latency_us = ms * 1000;
		return r;
	}
	if (strcmp(text, "bandwidth") == 0)
		return parse_bandwidth(text, value, &a->delay.link_bytes_per_s, err);
	if (strcmp(text, "connection_bandwidth") == 0)
		return parse_bandwidth(text, value, &a->delay.connection_bytes_per_s, err);
	if (strcmp(text, "delay_seed") == 0)
		return parse_number(text, value, UINT64_MAX, &a->delay.seed, err);
	return error_set(err, -EINVAL,
		"unknown parameter \"%s\"; known are delay_ms, bandwidth, connection_bandwidth, "
		"delay_seed",
		text);
}

static int parse_file(char *rest, bool is_url, struct address *a, struct error *err)
{
	a->scheme = SCHEME_FILE;
	if (is_url) {
		if (strncmp(rest, "localhost/", 10) == 0)
			rest += 9;
		if (rest[0] != '/')
			return error_set(
				err, -EINVAL, "file:// needs an absolute path: file:///PATH");
		if (!percent_decode(rest))
			return error_set(
				err, -EINVAL, "a %% in a file:// address needs two hex digits");
	}
	return resolve(rest, &a->place, err);
}

static int parse_mem(const char *name, struct address *a, struct error *err)
{
	if (name[0] && !store_key_valid(name))
		return error_set(
			err, -EINVAL, "mem://%s: names consist of letters, digits and ._-/", name);
	a->scheme = SCHEME_MEM;
	a->place = strdup(name);
	return a->place ? 0 : error_set(err, -ENOMEM, "no memory for an address");
}

/* What may be the name of a bucket, perhaps with a path behind it, and nothing else that is known.
 */
static bool is_bucket(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-");

	return n >= 3 && n <= 63 && text[0] != '-' && (text[n] == '\0' || text[n] == '/');
}

/* What will have a meaning, and has none in this version, is not called unknown. */
static int refuse_place(const char *text, const char *scheme, struct error *err)
{
	static const char *const stores[] = {"s3", "azure", "gs", "rados"};

	if (!scheme && is_bucket(text))
		return error_set(err, -EINVAL,
			"\"%s\" means the bucket s3://%s, and this version has no S3 store yet; for a "
			"directory write ./%s",
			text, text, text);
	if (!scheme)
		return error_set(err, -EINVAL, "no scheme in the store address; " SUPPORTED);
	for (size_t i = 0; i < sizeof stores / sizeof *stores; i++)
		if (strcmp(scheme, stores[i]) == 0)
			return error_set(err, -EINVAL,
				"this version has no store for %s:// yet; " SUPPORTED, scheme);
	return error_set(
		err, -EINVAL, "stores of the scheme %s:// are not supported; " SUPPORTED, scheme);
}

static int parse_place(char *text, struct address *a, struct error *err)
{
	char *colon = strstr(text, "://");

	if (text[0] == '/' || text[0] == '.')
		return parse_file(text, false, a, err);
	if (!colon)
		return refuse_place(text, NULL, err);
	*colon = '\0';
	if (strcmp(text, "file") == 0)
		return parse_file(colon + 3, true, a, err);
	if (strcmp(text, "mem") == 0)
		return parse_mem(colon + 3, a, err);
	return refuse_place(text, text, err);
}

/* Takes an address apart. `ret` needs address_done() in any case. */
static int parse(const char *url, struct address *ret, struct error *err)
{
	CLEANUP(free_p) char *text = strdup(url);

	if (!text)
		return error_set(err, -ENOMEM, "no memory for an address");
	char *query = strchr(text, '?'), *save = NULL;

	if (query)
		*query++ = '\0';
	for (char *p = query ? strtok_r(query, "&", &save) : NULL; p;
		p = strtok_r(NULL, "&", &save)) {
		int r = parse_parameter(p, ret, err);

		if (r < 0)
			return r;
	}
	return parse_place(text, ret, err);
}

static char *canonical(const struct address *a)
{
	char *url;

	if (a->scheme == SCHEME_FILE)
		return file_url(a->place);
	url = malloc(sizeof("mem://") + strlen(a->place));
	if (url)
		memcpy(stpcpy(url, "mem://"), a->place, strlen(a->place) + 1);
	return url;
}

static int open_backend(const struct address *a, const struct store_options *o, struct store **ret,
	struct error *err)
{
	struct file_options file = {.create_root = o->create_root};

	if (a->scheme == SCHEME_MEM)
		return mem_store_open(a->place, ret, err);
	return file_store_open(a->place, &file, ret, err);
}

/* Puts the layers over st->backend. On failure everything is closed. */
static int build(const struct address *a, const struct store_options *o, struct store_stack *st,
	struct error *err)
{
	struct retry_options retry = {.timeout_ms = o->timeout_ms};

	st->top = st->backend;
	if (a->delayed)
		st->top = st->delay = delay_new(st->top, &a->delay);
	if (st->top)
		st->top = st->retry = retry_new(st->top, &retry);
	if (st->top)
		st->top = st->stats = stats_new(st->top);
	return st->top ? 0 : error_set(err, -ENOMEM, "no memory for a store");
}

int store_open(
	const char *url, const struct store_options *o, struct store_stack *ret, struct error *err)
{
	CLEANUP(address_done) struct address a = {0};
	struct store_stack st = {0};
	int r = parse(url, &a, err);

	if (r < 0)
		return r;
	CLEANUP(free_p) char *name = canonical(&a);

	if (!name)
		return error_set(err, -ENOMEM, "no memory for an address");
	r = open_backend(&a, o, &st.backend, err);
	if (r == 0)
		r = build(&a, o, &st, err);
	if (r < 0)
		return r;
	st.url = TAKE(name);
	*ret = st;
	return 0;
}

void store_stack_close(struct store_stack *st)
{
	store_close(st->top);
	free(st->url);
	*st = (struct store_stack){0};
}

int store_url_path(const char *url, char **ret, struct error *err)
{
	CLEANUP(address_done) struct address a = {0};
	int r = parse(url, &a, err);

	if (r < 0)
		return r;
	*ret = a.scheme == SCHEME_FILE ? TAKE(a.place) : NULL;
	return 0;
}

int store_url_canonical(const char *url, char **ret, struct error *err)
{
	CLEANUP(address_done) struct address a = {0};
	int r = parse(url, &a, err);

	if (r < 0)
		return r;
	char *name = canonical(&a);

	if (!name)
		return error_set(err, -ENOMEM, "no memory for an address");
	*ret = name;
	return 0;
}
