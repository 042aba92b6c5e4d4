/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/seal/fields.h"

#include "core/base/env.h"
#include "core/base/hex.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HEX_MAX_BYTES 64u /* longest value that fields_put_hex takes */

/* jansson calls a text wrong for which it finds no memory, most of the time. */
static _Thread_local bool out_of_memory;

static void *noting_malloc(size_t n)
{
	void *p = malloc(n);

	if (!p)
		out_of_memory = true;
	return p;
}

__attribute__((constructor)) static void note_out_of_memory(void)
{
	json_set_alloc_funcs(noting_malloc, free);
}

int fields_parse(struct slice text, json_t **ret, struct error *err)
{
	json_error_t why;
	json_t *root;

	out_of_memory = false;
	root = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &why);
	if (out_of_memory) { /* also of a result, which then lacks something */
		json_decref(root);
		return error_set(err, -ENOMEM, "no memory to parse JSON");
	}
	if (!root)
		return error_set(
			err, -EBADMSG, "JSON is wrong in line %d, column %d", why.line, why.column);
	if (!json_is_object(root)) {
		json_decref(root);
		return error_set(err, -EBADMSG, "JSON is not an object");
	}
	*ret = root;
	return 0;
}

/* jansson passes over a failure to write a key, so the first failure is kept here. */
struct text_sink {
	struct buf *out;
	bool failed;
};

static int append_text(const char *text, size_t len, void *arg)
{
	struct text_sink *sink = arg;

	if (!sink->failed && buf_append(sink->out, text, len) < 0)
		sink->failed = true;
	return sink->failed ? -1 : 0;
}

int fields_encode(const json_t *object, struct buf *out)
{
	struct text_sink sink = {.out = out};
	size_t before = out->len;

	if (json_dump_callback(object, append_text, &sink, JSON_COMPACT) == 0 && !sink.failed)
		return 0;
	out->len = before;
	return -ENOMEM; /* all our values can be written: nothing else fails */
}

int fields_u64(const json_t *object, const char *name, uint64_t min, uint64_t max, uint64_t *ret,
	struct error *err)
{
	const json_t *v = json_object_get(object, name);

	if (!json_is_integer(v))
		return error_set(
			err, -EBADMSG, "member \"%s\" is missing or not a whole number", name);
	json_int_t n = json_integer_value(v);

	if (n < 0 || (uint64_t)n < min || (uint64_t)n > max)
		return error_set(err, -EBADMSG, "member \"%s\" is %lld, not within %llu to %llu",
			name, (long long)n, (unsigned long long)min, (unsigned long long)max);
	*ret = (uint64_t)n;
	return 0;
}

int fields_hex(const json_t *object, const char *name, void *out, size_t len, struct error *err)
{
	const json_t *v = json_object_get(object, name);

	if (!json_is_string(v) ||
		!hex_decode(json_string_value(v), json_string_length(v), out, len))
		return error_set(err, -EBADMSG,
			"member \"%s\" is missing or not %zu hexadecimal digits", name, 2 * len);
	return 0;
}

const char *fields_text(const json_t *object, const char *name, size_t max, struct error *err)
{
	const json_t *v = json_object_get(object, name);

	if (json_is_string(v) && json_string_length(v) <= max)
		return json_string_value(v);
	(void)error_set(err, -EBADMSG,
		"member \"%s\" is missing or not a text of at most %zu bytes", name, max);
	return NULL;
}

const json_t *fields_array(const json_t *object, const char *name, size_t max, struct error *err)
{
	const json_t *v = json_object_get(object, name);

	if (json_is_array(v) && json_array_size(v) <= max)
		return v;
	(void)error_set(err, -EBADMSG,
		"member \"%s\" is missing or not an array of at most %zu elements", name, max);
	return NULL;
}

int fields_put(json_t *object, const char *name, json_t *value)
{
	return json_object_set_new(object, name, value) == 0 ? 0 : -ENOMEM;
}

int fields_put_hex(json_t *object, const char *name, const void *data, size_t len)
{
	char text[2 * HEX_MAX_BYTES + 1];

	if (len > HEX_MAX_BYTES)
		return -EINVAL;
	hex_encode(data, len, text);
	return fields_put(object, name, json_string(text));
}

int fields_put_now(json_t *object, const char *name)
{
	struct timespec now = env_realtime();
	char text[64];
	struct tm tm;

	if (!gmtime_r(&now.tv_sec, &tm) ||
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) != FIELDS_TIME_BYTES - 1)
		strcpy(text, "1970-01-01T00:00:00Z"); /* a clock beyond the year 9999 */
	return fields_put(object, name, json_string(text));
}

void fields_printable(char *out, size_t size, const char *text)
{
	size_t i = 0;

	for (; text[i] && i + 1 < size; i++)
		out[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	out[i] = '\0';
}
