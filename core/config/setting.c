/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/config/setting.h"

#include "core/base/cleanup.h"
#include "core/base/sizes.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define GB 1e9

void setting_done(struct setting *s)
{
	if (s->text)
		explicit_bzero(s->text, strlen(s->text));
	free(s->text);
	for (size_t i = 0; i < s->nitems; i++)
		free(s->items[i]);
	free(s->items);
	*s = (struct setting){0};
}

static int expected(const struct config_key *k, struct error *err)
{
	char what[200];

	return error_set(err, -EINVAL, "it must be %s", config_key_expects(k, what));
}

/* Keys of accounts are also written with quotes that they do not need. */
static bool may_be_quoted(const struct config_key *k)
{
	return strncmp(k->name, "aws.", 4) == 0 || strncmp(k->name, "azure.", 6) == 0 ||
	       strncmp(k->name, "gcp.", 4) == 0;
}

static int copy_text(const char *text, struct setting *ret, struct error *err)
{
	ret->text = strdup(text);
	return ret->text ? 0 : error_set(err, -ENOMEM, "no memory for a configuration");
}

static bool is_choice(const char *choices, const char *text)
{
	size_t n = strlen(text);

	for (const char *c = choices; n > 0; c++) {
		if (strncmp(c, text, n) == 0 && (c[n] == '|' || c[n] == '\0'))
			return true;
		c = strchr(c, '|');
		if (!c)
			break;
	}
	return false;
}

static bool is_compression(const char *text)
{
	if (is_choice("auto|lz4|none", text))
		return true;
	if (strncmp(text, "zstd-", 5) != 0)
		return false;
	const char *level = text + 5;

	if (level[0] >= '1' && level[0] <= '9' && level[1] == '\0')
		return true;
	return strlen(level) == 2 && (level[0] == '1' || (level[0] == '2' && level[1] <= '2')) &&
	       level[1] >= '0' && level[1] <= '9';
}

static int convert_text(const struct config_key *k, const struct toml_value *v, struct setting *ret,
	struct error *err)
{
	static const char *const words[] = {"false", "true"};
	const char *text = v->text;

	if (may_be_quoted(k) && v->type == TOML_BOOLEAN)
		text = words[v->truth];
	else if (v->type != TOML_STRING && (!may_be_quoted(k) || v->type == TOML_ARRAY))
		return expected(k, err);
	if (k->type == CONFIG_CHOICE && !is_choice(k->choices, text))
		return expected(k, err);
	if (k->type == CONFIG_COMPRESSION && !is_compression(text))
		return expected(k, err);
	ret->substituted = v->substituted;
	return copy_text(text, ret, err);
}

static int convert_boolean(const struct config_key *k, const struct toml_value *v,
	struct setting *ret, struct error *err)
{
	bool quoted = v->type == TOML_STRING && may_be_quoted(k);

	if (v->type == TOML_BOOLEAN)
		ret->truth = v->truth;
	else if (quoted && (strcmp(v->text, "true") == 0 || strcmp(v->text, "1") == 0))
		ret->truth = true;
	else if (!quoted || (strcmp(v->text, "false") != 0 && strcmp(v->text, "0") != 0))
		return expected(k, err);
	return 0;
}

static void print_bound(const struct config_key *k, double value, char *out, size_t size)
{
	char text[SIZE_TEXT_MAX];

	if (k->type == CONFIG_SIZE)
		(void)snprintf(out, size, "%s", size_format(text, (uint64_t)value));
	else
		(void)snprintf(out, size, "%g", value / 1000);
}

static int check_range(const struct config_key *k, double value, struct error *err)
{
	char low[32], high[32];

	if (value >= k->min && value <= k->max)
		return 0;
	print_bound(k, k->min, low, sizeof low);
	print_bound(k, k->max, high, sizeof high);
	return error_set(err, -EINVAL, "it must lie between %s and %s%s", low, high,
		k->type == CONFIG_SECONDS ? " seconds" : "");
}

/* "10", "0.25", "1e3": nothing but a number. */
static bool plain_number(const char *text, double *ret)
{
	char *end;

	if (text[0] == '\0' || strspn(text, "0123456789+-.eE") != strlen(text))
		return false;
	*ret = strtod(text, &end);
	return *end == '\0' && isfinite(*ret);
}

static int convert_size(const struct config_key *k, const struct toml_value *v, bool plain_bytes,
	struct setting *ret, struct error *err)
{
	double bytes;

	if (v->type == TOML_INTEGER || v->type == TOML_FLOAT)
		bytes = v->number * GB;
	else if (v->type != TOML_STRING)
		return expected(k, err);
	else if (plain_number(v->text, &bytes))
		bytes *= plain_bytes ? 1 : GB;
	else if (size_parse(v->text, &ret->number) == 0)
		return check_range(k, (double)ret->number, err);
	else
		return expected(k, err);
	int r = check_range(k, bytes, err);

	if (r == 0)
		ret->number = (uint64_t)(bytes + 0.5); /* the range ends far below 2^63 */
	return r;
}

static int convert_seconds(const struct config_key *k, const struct toml_value *v, bool quoted,
	struct setting *ret, struct error *err)
{
	double number = v->number;

	if (v->type == TOML_STRING ? !quoted || !plain_number(v->text, &number)
				   : v->type != TOML_INTEGER && v->type != TOML_FLOAT)
		return expected(k, err);
	number *= 1000;
	int r = check_range(k, number, err);

	if (r == 0)
		ret->number = (uint64_t)(number + 0.5);
	return r;
}

/* "host:port", "[::1]:port". */
static bool is_address(const char *text)
{
	const char *colon = strrchr(text, ':');
	char *end;

	if (!colon || colon == text || colon[1] < '0' || colon[1] > '9')
		return false;
	unsigned long port = strtoul(colon + 1, &end, 10);

	if (*end || port < 1 || port > 65535 || end - colon > 6)
		return false;
	if (text[0] == '[')
		return colon[-1] == ']' &&
		       strspn(text + 1, "0123456789abcdefABCDEF:.%") == (size_t)(colon - text) - 2;
	return memchr(text, ':', (size_t)(colon - text)) == NULL &&
	       strcspn(text, " \t/") == strlen(text);
}

static int convert_addresses(const struct config_key *k, const struct toml_value *v,
	struct setting *ret, struct error *err)
{
	if (v->type != TOML_ARRAY)
		return expected(k, err);
	ret->items = calloc(v->nitems + 1, sizeof ret->items[0]);
	if (!ret->items)
		return error_set(err, -ENOMEM, "no memory for a configuration");
	for (size_t i = 0; i < v->nitems; i++) {
		const struct toml_value *item = &v->items[i];

		if (item->type != TOML_STRING)
			return expected(k, err);
		if (!is_address(item->text))
			return error_set(err, -EINVAL,
				"\"%.100s\" is not an address such as 127.0.0.1:2049 or [::1]:2049",
				item->text);
		ret->items[i] = strdup(item->text);
		if (!ret->items[i])
			return error_set(err, -ENOMEM, "no memory for a configuration");
		ret->nitems++;
	}
	return 0;
}

static int convert(const struct config_key *k, const struct toml_value *v, bool plain_bytes,
	bool quoted, struct setting *ret, struct error *err)
{
	switch (k->type) {
	case CONFIG_TEXT:
	case CONFIG_CHOICE:
	case CONFIG_COMPRESSION:
		return convert_text(k, v, ret, err);
	case CONFIG_BOOLEAN:
		return convert_boolean(k, v, ret, err);
	case CONFIG_SIZE:
		return convert_size(k, v, plain_bytes, ret, err);
	case CONFIG_SECONDS:
		return convert_seconds(k, v, quoted, ret, err);
	case CONFIG_ADDRESSES:
		return convert_addresses(k, v, ret, err);
	case CONFIG_ANY:
		return 0;
	}
	return 0;
}

static int finish(struct setting *s, int r, struct setting *ret)
{
	if (r < 0) {
		setting_done(s);
		return r;
	}
	s->set = true;
	*ret = *s;
	return 0;
}

int setting_convert(const struct config_key *k, const struct toml_value *v, bool plain_bytes,
	struct setting *ret, struct error *err)
{
	struct setting s = {.at = v->at};

	return finish(&s, convert(k, v, plain_bytes, may_be_quoted(k), &s, err), ret);
}

int setting_from_text(const struct config_key *k, const char *text, bool plain_bytes,
	struct setting *ret, struct error *err)
{
	struct setting s = {.from_option = true};
	CLEANUP(free_p) char *copy = strdup(text);
	struct toml_value v = {.type = TOML_STRING, .text = copy};

	if (!copy)
		return error_set(err, -ENOMEM, "no memory for a configuration");
	return finish(&s, convert(k, &v, plain_bytes, true, &s, err), ret);
}
