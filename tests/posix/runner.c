/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs cases: step by step in both worlds, comparing answers and states. A case ends with its first
 * difference, for after it the two are no longer in the same state.
 */
#include "tests/posix/conform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 16384

/* {255}: so many letters; {=4095}rest: a path of that length that leads to `rest`. */
static char *expand_word(const char *word)
{
	struct text t = {0};
	char *end;

	while (*word) {
		bool padded = word[0] == '{' && word[1] == '=';
		long n = *word == '{' ? strtol(word + 1 + padded, &end, 10) : 0;

		if (n <= 0 || *end != '}') {
			text_add(&t, "%c", *word++);
			continue;
		}
		word = end + 1;
		if (padded)
			n -= (long)strlen(word);
		for (long i = 0; i < n; i++)
			text_add(&t, "%c",
				!padded	     ? 'n'
				: i == n - 1 ? '/'
				: i % 2	     ? '/'
				: i == n - 2 ? '/'
					     : '.');
	}
	if (!t.data)
		text_add(&t, "%s", "");
	return t.data;
}

/* Words of one step; '' is an empty word. Returns where the next step begins, or NULL. */
static const char *split_step(const char *line, char **words, int *ret_count)
{
	int count = 0;

	while (*line && *line != ';') {
		size_t len;

		if (*line == ' ' || *line == '\t') {
			line++;
			continue;
		}
		len = strcspn(line, " \t;");
		if (count == WORDS_MAX)
			die("too many words: %s", line);

		char *copy = must(strndup(line, len));

		words[count++] = strcmp(copy, "''") == 0 ? must(strdup("")) : expand_word(copy);
		free(copy);
		line += len;
	}
	*ret_count = count;
	return *line == ';' ? line + 1 : NULL;
}

/* Pseudo steps that change the runner, not the worlds. */
static bool is_switch(char **words, int count, const struct user **as)
{
	if (strcmp(words[0], "as") != 0)
		return false;
	if (count != 2)
		die("as WHOM");
	*as = user_find(words[1]);
	return true;
}

static void run_in(struct runner *runner, struct world *w, const struct user *as, char **words,
	int count, struct result *r, bool with_atime)
{
	user_become(user_at(0));
	if (runner->confined)
		world_enter(w);
	if (fchdir(w->cwd) < 0)
		die("fchdir: %s", strerror(errno));
	user_become(as);
	call_run(w, words, count, r);
	user_become(user_at(0));
	if (runner->confined)
		world_leave();
	state_take(w, with_atime);
}

static void tell_result(struct text *out, const char *label, const struct result *r)
{
	text_add(out, "    %s: %lld %s %s\n", label, (long long)r->value, errno_name(r->error),
		text_of(&r->text));
}

static bool answers_differ(
	const struct runner *r, const struct result *a, const struct result *b, struct text *out)
{
	if (a->value == b->value && a->error == b->error &&
		strcmp(text_of(&a->text), text_of(&b->text)) == 0)
		return false;
	tell_result(out, r->reference->label, a);
	tell_result(out, r->tested->label, b);
	return true;
}

/* Whether the two differ after this step. A known difference is told by its reason. */
static bool run_step(struct runner *r, const struct user *as, char **words, int count,
	bool with_atime, struct text *out)
{
	struct result a = {0}, b = {0};
	struct timespec nap = {.tv_nsec = r->naptime_ns};
	bool differs;
	const char *reason;

	if (nap.tv_nsec)
		(void)nanosleep(&nap, NULL);
	run_in(r, r->reference, as, words, count, &a, with_atime);
	run_in(r, r->tested, as, words, count, &b, with_atime);
	r->steps++;
	if (r->verbose)
		printf("  %s as %s: %lld %s %s | %lld %s %s\n", words[0], as->name,
			(long long)a.value, errno_name(a.error), text_of(&a.text),
			(long long)b.value, errno_name(b.error), text_of(&b.text));
	differs = answers_differ(r, &a, &b, out);
	differs = state_differs(r->reference, r->tested, out) || differs;
	differs = state_incoherent(r->tested, out) || differs;
	reason = differs ? known_reason(words[0], &a, &b, text_of(out)) : NULL;
	if (reason) {
		text_clear(out);
		text_add(out, "known: %s", reason);
	}
	text_done(&a.text);
	text_done(&b.text);
	return differs;
}

static void free_words(char **words, int count)
{
	for (int i = 0; i < count; i++)
		free(words[i]);
}

/* All steps of a line; whether the worlds differ at its end. */
static bool run_line(struct runner *r, const char *line, const struct user **as, bool with_atime,
	struct text *out)
{
	bool differs = false;

	while (line && !differs) {
		char *words[WORDS_MAX + 1] = {NULL};
		int count;

		line = split_step(line, words, &count);
		if (count > 0 && !is_switch(words, count, as))
			differs = run_step(r, *as, words, count, with_atime, out);
		free_words(words, count);
	}
	return differs;
}

long run_steps(
	struct runner *r, char *const *steps, size_t count, bool with_atime, struct text *out)
{
	const struct user *as = user_at(0);
	long at = -1;

	world_clear(r->reference);
	world_clear(r->tested);
	state_take(r->reference, with_atime);
	state_take(r->tested, with_atime);
	for (size_t i = 0; i < count && at < 0; i++)
		if (run_line(r, steps[i], &as, with_atime, out))
			at = (long)i;
	return at;
}

bool run_case(struct runner *r, const char *name, char *const *steps, size_t count, bool with_atime)
{
	struct text out = {0};
	long at;
	bool known;

	if (r->verbose)
		printf("%s\n", name);
	r->cases++;
	at = run_steps(r, steps, count, with_atime, &out);
	known = at >= 0 && strncmp(text_of(&out), "known: ", 7) == 0;
	if (known)
		r->known++;
	if (at >= 0 && !known) {
		r->deviations++;
		printf("%s\n", name);
		for (long i = 0; i <= at; i++)
			printf("  %s\n", steps[i]);
		printf("%s", text_of(&out));
	}
	text_done(&out);
	return at >= 0 && !known;
}
