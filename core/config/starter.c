/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file that `zerofs init` writes: every key of our own with its description, what is set as a
 * line, the rest as comments. */
#include "core/config/config_internal.h"

#include "core/base/cleanup.h"

#include <inttypes.h>
#include <stdio.h>

static const char head[] =
	"# Configuration of zerofs; see zerofs.toml(5).\n"
	"#\n"
	"# In texts ${NAME} is replaced by an environment variable, which must be set. Sizes are numbers\n"
	"# of GB (10^9 bytes) or texts with a unit: \"512M\", \"10GiB\". Lines with # in front are defaults or\n"
	"# examples.\n";

/* A basic string: whatever the text holds, it reads back as it is. */
static void print_quoted(FILE *f, const char *text)
{
	(void)fputc('"', f);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			(void)fprintf(f, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			(void)fprintf(f, "\\u%04X", c);
		else if (c == '$' && text[1] == '{')
			(void)fputs("$$", f);
		else
			(void)fputc(c, f);
	}
	(void)fputc('"', f);
}

static void print_value(FILE *f, const struct config_key *k, const struct setting *s)
{
	if (s->text)
		print_quoted(f, s->text);
	else if (k->type == CONFIG_SIZE)
		(void)fprintf(f, "\"%" PRIu64 "B\"", s->number);
	else
		(void)fprintf(
			f, "%" PRIu64 ".%03u", s->number / 1000, (unsigned)(s->number % 1000));
}

static void print_help(FILE *f, const char *help)
{
	for (const char *line = help; line;) {
		const char *end = strchr(line, '\n');

		(void)fprintf(
			f, "# %.*s\n", (int)(end ? (size_t)(end - line) : strlen(line)), line);
		line = end ? end + 1 : NULL;
	}
}

/* "servers.nfs.addresses" -> "servers.nfs". */
static size_t section_len(const char *name)
{
	return (size_t)(strrchr(name, '.') - name);
}

static bool new_section(size_t i)
{
	size_t n = section_len(config_keys[i].name);

	return i == 0 || section_len(config_keys[i - 1].name) != n ||
	       strncmp(config_keys[i - 1].name, config_keys[i].name, n) != 0;
}

static void print_key(FILE *f, const struct config *c, size_t i)
{
	const struct config_key *k = &config_keys[i];
	const char *name = k->name + section_len(k->name) + 1;

	if (new_section(i))
		(void)fprintf(f, "\n[%.*s]\n", (int)section_len(k->name), k->name);
	print_help(f, k->help);
	if (k->state == CONFIG_LATER)
		print_help(f, "Without effect in this version.");
	if (c->settings[i].set) {
		(void)fprintf(f, "%s = ", name);
		print_value(f, k, &c->settings[i]);
		(void)fputc('\n', f);
	} else {
		(void)fprintf(f, "# %s = %s\n", name,
			k->initial		    ? k->initial
			: k->type == CONFIG_BOOLEAN ? "false"
						    : "\"...\"");
	}
}

char *config_starter(const struct config *c)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	(void)fputs(head, f); /* what fails is seen when it is closed */
	for (size_t i = 0; i < config_keys_count; i++)
		if (config_keys[i].state != CONFIG_FOREIGN)
			print_key(f, c, i);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
