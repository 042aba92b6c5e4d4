/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include "core/base/env.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PROGRESS_MS 200

struct output {
	struct cli *cli;
	bool terminal, line; /* standard error is one; a progress line stands on it */
	bool any;	     /* a finding was printed */
	uint64_t shown_ms;
};

/* ---- progress ---- */

static void wipe_line(struct output *o)
{
	if (o->line)
		(void)fputs("\r\033[K", stderr);
	o->line = false;
}

static void show_progress(void *arg, const char *phase, uint64_t done, const char *what)
{
	struct output *o = arg;
	uint64_t now = env_now_ms();

	if (!o->terminal || now - o->shown_ms < PROGRESS_MS)
		return;
	o->shown_ms = now;
	o->line = true;
	(void)fprintf(stderr, "\r\033[K%s: %" PRIu64 " %s", phase, done, what);
}

/* ---- findings ---- */

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static void print_json(struct output *o, const struct check_finding *f)
{
	json_t *j = json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:s}", "class", f->name, "severity",
		f->damage ? "damage" : "leftover", "path", text_or_null(f->path), "inode",
		f->inode ? json_integer((json_int_t)f->inode) : json_null(), "object",
		text_or_null(f->object), "text", f->text, "meaning", f->meaning);
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	printf("%s\n%s", o->any ? "," : "", text ? text : "null");
	free(text);
	json_decref(j);
}

static void show_finding(void *arg, const struct check_finding *f)
{
	struct output *o = arg;

	wipe_line(o);
	if (o->cli->json) {
		print_json(o, f);
	} else {
		check_print(f, stdout);
		putchar('\n');
	}
	o->any = true;
	(void)fflush(stdout); /* an error shows at the end */
}

/* ---- the end ---- */

static void print_summary(const struct output *o, const struct check_result *r)
{
	const char *name = o->cli->argv[0];

	if (r->damage || r->leftovers)
		printf("%s: %" PRIu64 " findings of damage, %" PRIu64 " of harmless leftovers\n",
			name, r->damage, r->leftovers);
	else
		printf("%s: clean\n", name);
	if (o->cli->verbose)
		printf("%" PRIu64 " inodes, %" PRIu64 " directories, %" PRIu64 " entries, %" PRIu64
		       " extents, %" PRIu64 " segments in use; %" PRIu64
		       " objects in the store, %" PRIu64 " of them wait for the next sweep\n",
			r->inodes, r->directories, r->entries, r->extents, r->segments, r->objects,
			r->waiting);
}

static void print_json_end(const struct check_result *r, bool complete)
{
	printf("%s],\"complete\":%s,\"damage\":%" PRIu64 ",\"leftovers\":%" PRIu64
	       ",\"waiting\":%" PRIu64 ",\"inodes\":%" PRIu64 ",\"directories\":%" PRIu64
	       ",\"entries\":%" PRIu64 ",\"extents\":%" PRIu64 ",\"segments\":%" PRIu64
	       ",\"objects\":%" PRIu64 ",\"bytes_read\":%" PRIu64 "}\n",
		r->damage || r->leftovers ? "\n" : "", complete ? "true" : "false", r->damage,
		r->leftovers, r->waiting, r->inodes, r->directories, r->entries, r->extents,
		r->segments, r->objects, r->read);
}

/* Findings weigh more than what ended the check before its end. */
static int finish(struct output *o, int r, const struct error *e, const struct check_result *result)
{
	wipe_line(o);
	if (o->cli->json)
		print_json_end(result, r == 0);
	else if (r == 0)
		print_summary(o, result);
	if (r < 0)
		r = cli_fail(o->cli, r, e);
	if (result->damage)
		return EXIT_DAMAGED;
	return r ? r : result->leftovers ? EXIT_DEGRADED : EXIT_OK;
}

static void begin(struct output *o)
{
	if (o->cli->json)
		(void)fputs("{\"findings\":[", stdout);
}

/* The volume does not open: says why, and which objects are to blame where that can be told. */
static int check_closed(struct output *o, const struct volume_config *config,
	const struct check_options *options, const struct error *why)
{
	struct check_result result = {0};
	struct error e = {0};

	begin(o);
	/* Without keys nothing can be told; the first error says why. */
	(void)volume_check_store(config, options, &result, &e);
	(void)finish(o, why->code, why, &result);
	return EXIT_DAMAGED;
}

int cmd_fsck(struct cli *c)
{
	struct output o = {.cli = c, .terminal = isatty(STDERR_FILENO)};
	const struct check_options options = {
		.data = c->data, .finding = show_finding, .progress = show_progress, .arg = &o};
	struct check_result result = {0};
	struct volume_config config;
	struct volume *v;
	struct error e = {0};
	int r = cli_config(c, c->argv[0], false, &config, &e);

	if (r < 0)
		return cli_fail(c, r, &e);
	config.read_only = config.for_check = true;
	r = volume_open(&config, &v, NULL, &e);
	if (r == -EBADMSG) {
		int status = check_closed(&o, &config, &options, &e);

		cli_config_done(&config);
		return status;
	}
	cli_config_done(&config);
	if (r == -ENOENT) {
		struct error why = e;

		(void)error_set(
			&e, r, "there is no volume at %s: %s", c->argv[0], error_text(&why, r));
	}
	if (r < 0)
		return cli_fail(c, r, &e);
	begin(&o);
	r = volume_check(v, &options, &result, &e);
	return cli_close(c, v, finish(&o, r, &e, &result));
}
