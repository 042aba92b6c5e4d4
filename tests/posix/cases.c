/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files of cases:
 *
 *	case NAME [atime]
 *	each X one two three		every value in turn; several of these: every combination
 *	each Y "rmdir d; unlink f" ''	a value with spaces
 *		make file $X		steps; $X or ${X} is replaced
 *
 * A case ends where the next begins. `atime` compares access times as well.
 */
#include "tests/posix/conform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VARIABLES_MAX 12
#define VALUES_MAX 64
#define SHOWN_MAX 4 /* deviations of one case that are told */

struct variable {
	char name[32];
	char *values[VALUES_MAX];
	size_t count, at;
};

struct scenario {
	char *name;
	bool with_atime;
	struct variable variables[VARIABLES_MAX];
	size_t nvariables;
	char *lines[STEPS_MAX];
	size_t nlines;
};

static void clear(struct scenario *s)
{
	free(s->name);
	for (size_t v = 0; v < s->nvariables; v++)
		for (size_t i = 0; i < s->variables[v].count; i++)
			free(s->variables[v].values[i]);
	for (size_t i = 0; i < s->nlines; i++)
		free(s->lines[i]);
	memset(s, 0, sizeof *s);
}

static void add_value(struct variable *v, const char *text, size_t len)
{
	if (v->count == VALUES_MAX)
		die("too many values of %s", v->name);
	v->values[v->count++] = must(strndup(text, len));
}

static void add_variable(struct scenario *s, const char *p)
{
	struct variable *v = &s->variables[s->nvariables];
	size_t len = strcspn(p, " ");

	if (s->nvariables++ == VARIABLES_MAX || len >= sizeof v->name)
		die("%s: too many variables, or too long a name: %s", s->name, p);
	memcpy(v->name, p, len);
	for (p += len; *p;) {
		if (*p == ' ') {
			p++;
			continue;
		}

		bool quoted = *p == '"';

		len = strcspn(p + quoted, quoted ? "\"" : " ");
		add_value(v, p + quoted, len);
		p += len + quoted;
		p += quoted && *p;
	}
	if (v->count == 0)
		die("%s: %s has no values", s->name, v->name);
}

static const struct variable *find_variable(const struct scenario *s, const char *name, size_t len)
{
	for (size_t i = 0; i < s->nvariables; i++)
		if (strlen(s->variables[i].name) == len &&
			memcmp(s->variables[i].name, name, len) == 0)
			return &s->variables[i];
	die("%s: no variable %.*s", s->name, (int)len, name);
}

/* A value may refer to the variables before it. */
static void substitute(const struct scenario *s, const char *line, struct text *out, int depth)
{
	if (depth > VARIABLES_MAX)
		die("%s: variables refer to each other", s->name);
	while (*line) {
		if (*line != '$') {
			text_add(out, "%c", *line++);
			continue;
		}

		bool braces = line[1] == '{';
		const char *name = line + 1 + braces;
		size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
		const struct variable *v = find_variable(s, name, len);

		substitute(s, v->values[v->at], out, depth + 1);
		line = name + len + braces;
	}
}

static bool next_combination(struct scenario *s)
{
	for (size_t i = s->nvariables; i-- > 0;) {
		if (++s->variables[i].at < s->variables[i].count)
			return true;
		s->variables[i].at = 0;
	}
	return false;
}

static bool run_combination(struct runner *r, const struct scenario *s)
{
	char *steps[STEPS_MAX];
	struct text name = {0};
	bool deviates;

	text_add(&name, "%s:", s->name);
	for (size_t i = 0; i < s->nvariables; i++)
		text_add(&name, " %s=%s", s->variables[i].name,
			s->variables[i].values[s->variables[i].at]);
	for (size_t i = 0; i < s->nlines; i++) {
		struct text t = {0};

		text_add(&t, "%s", "");
		substitute(s, s->lines[i], &t, 0);
		steps[i] = t.data;
	}
	deviates = run_case(r, text_of(&name), steps, s->nlines, s->with_atime);
	for (size_t i = 0; i < s->nlines; i++)
		free(steps[i]);
	text_done(&name);
	return deviates;
}

static void run_scenario(struct runner *r, struct scenario *s, const char *only)
{
	unsigned deviations = 0;

	if (s->name && (!only || strstr(s->name, only)))
		do {
			deviations += run_combination(r, s);
			if (deviations == SHOWN_MAX)
				printf("%s: further combinations are left out\n", s->name);
		} while (deviations < SHOWN_MAX && next_combination(s));
	clear(s);
}

static void take_line(struct scenario *s, char *line)
{
	if (strncmp(line, "each ", 5) == 0) {
		add_variable(s, line + 5);
		return;
	}
	if (*line != '\t')
		die("%s: not a step: %s", s->name, line);
	if (s->nlines == STEPS_MAX)
		die("%s: too many steps", s->name);
	s->lines[s->nlines++] = must(strdup(line + 1));
}

void run_file(struct runner *r, const char *path, const char *only)
{
	struct scenario *s = must(calloc(1, sizeof *s));
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;

	if (!f)
		die("%s: %s", path, strerror(errno));
	while (getline(&line, &cap, f) > 0) {
		line[strcspn(line, "\n")] = 0;
		if (*line == '#' || !*line)
			continue;
		if (strncmp(line, "case ", 5) == 0) {
			run_scenario(r, s, only);

			size_t len = strcspn(line + 5, " ");

			s->name = must(strndup(line + 5, len));
			s->with_atime = strcmp(line + 5 + len, " atime") == 0;
		} else {
			take_line(s, line);
		}
	}
	run_scenario(r, s, only);
	free(line);
	free(s);
	fclose(f);
}
