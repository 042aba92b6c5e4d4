/* SPDX-License-Identifier: GPL-3.0-or-later */
/* change-password and key list|add|remove|rotate. */
#include "cli/cli.h"

#include "core/base/cleanup.h"
#include "core/config/config.h"
#include "core/configure.h"
#include "core/key_admin.h"
#include "core/password.h"
#include "core/seal/secret.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static void drop_secret(char **p)
{
	secret_free(*p);
}

static int open_keys(struct cli *c, const char *url, struct key_admin **ret, struct error *err)
{
	CLEANUP(drop_secret) char *password = NULL;
	int r = password_get(c->config, false, &password, err);

	config_forget(c->config, "storage.encryption_password");
	if (r == 0)
		r = key_admin_open(url, password, ret, err);
	return r == -ENOENT ? error_set(err, r, "there is no volume at %s", url) : r;
}

/* One JSON object on a line, or the sentence. Takes `o`. */
static int report(const struct cli *c, json_t *o, const char *sentence)
{
	CLEANUP(free_p) char *text = NULL;

	if (c->json && c->dry_run && o)
		(void)json_object_set_new(o, "dry_run", json_true()); /* seen by the next */
	text = c->json && o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (c->json && !text)
		return -ENOMEM;
	if (c->json)
		puts(text);
	else
		printf("%s%s\n", c->dry_run ? "dry run, nothing was stored: " : "", sentence);
	return 0;
}

static int change_password(struct cli *c, struct key_admin *a, struct error *err)
{
	CLEANUP(drop_secret) char *new = NULL;
	const char *file = config_text(c->config, "storage.password_file");
	char sentence[1024];
	int r = password_get_new(c->new_password_file, &new, err);

	if (r == 0)
		r = key_admin_change_password(a, new, c->dry_run, err);
	if (r < 0)
		return r;
	(void)snprintf(sentence, sizeof sentence, "the password of %s was changed%s%s",
		key_admin_url(a), file && !c->dry_run ? "; the old one still stands in " : "",
		file && !c->dry_run ? file : "");
	return report(c, json_pack("{s:b}", "changed", !c->dry_run), sentence);
}

int cmd_change_password(struct cli *c)
{
	struct key_admin *a = NULL;
	struct error e = {0};
	int r = open_keys(c, c->argv[0], &a, &e);

	if (r == 0)
		r = change_password(c, a, &e);
	key_admin_close(a);
	return r < 0 ? cli_fail(c, r, &e) : EXIT_OK;
}

static const char *text_of(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text ? text : "?";
}

static void print_list(const json_t *o)
{
	const json_t *slots = json_object_get(o, "slots"), *ring = json_object_get(o, "ring");

	for (size_t i = 0; i < json_array_size(slots); i++) {
		const json_t *s = json_array_get(slots, i);

		printf("slot %-4lld %-9s since %s%s\n",
			(long long)json_integer_value(json_object_get(s, "id")), text_of(s, "kind"),
			text_of(s, "created"),
			json_is_true(json_object_get(s, "opened")) ? "  (opened just now)" : "");
	}
	for (size_t i = 0; i < json_array_size(ring); i++) {
		const json_t *k = json_array_get(ring, i);

		printf("key  %-4lld %-9s since %s\n",
			(long long)json_integer_value(json_object_get(k, "id")),
			json_is_true(json_object_get(k, "current")) ? "current" : "older",
			text_of(k, "created"));
	}
}

static int key_list(struct cli *c, struct key_admin *a, struct error *err)
{
	CLEANUP(free_p) char *text = NULL;
	int r = key_admin_list(a, &text, err);

	if (r < 0)
		return r;
	json_t *o = c->json ? NULL : json_loads(text, 0, NULL);

	if (c->json)
		puts(text);
	else
		print_list(o);
	json_decref(o);
	return 0;
}

static int add_recovery(struct cli *c, struct key_admin *a, struct error *err)
{
	char key[KEY_ADMIN_RECOVERY_BYTES], sentence[512];
	uint64_t slot;
	int r = key_admin_add_recovery(a, c->dry_run, key, &slot, err);

	if (r < 0)
		return r;
	if (c->dry_run)
		(void)snprintf(sentence, sizeof sentence,
			"a recovery key would be in slot %" PRIu64, slot);
	else
		(void)snprintf(sentence, sizeof sentence,
			"Recovery key of %s (slot %" PRIu64 "):\n\n    %s\n\n"
			"Write it down and keep it in a safe place: it is not shown again. It opens the volume\n"
			"wherever the password is asked for.",
			key_admin_url(a), slot, key);
	r = report(c,
		c->dry_run ? json_pack("{s:I}", "slot", (json_int_t)slot)
			   : json_pack("{s:I,s:s}", "slot", (json_int_t)slot, "recovery_key", key),
		sentence);
	secret_wipe(key, sizeof key);
	secret_wipe(sentence, sizeof sentence);
	return r;
}

static int key_add(struct cli *c, struct key_admin *a, struct error *err)
{
	CLEANUP(drop_secret) char *new = NULL;
	char sentence[128];
	uint64_t slot;

	if (c->recovery)
		return add_recovery(c, a, err);
	int r = password_get_new(c->new_password_file, &new, err);

	if (r == 0)
		r = key_admin_add_password(a, new, c->dry_run, &slot, err);
	if (r < 0)
		return r;
	(void)snprintf(sentence, sizeof sentence, "a password was added in slot %" PRIu64, slot);
	return report(c, json_pack("{s:I}", "slot", (json_int_t)slot), sentence);
}

static int key_remove(struct cli *c, struct key_admin *a, uint64_t slot, struct error *err)
{
	char sentence[128];
	int r = key_admin_remove(a, slot, c->dry_run, err);

	if (r < 0)
		return r;
	(void)snprintf(sentence, sizeof sentence, "slot %" PRIu64 " was removed", slot);
	return report(c, json_pack("{s:I}", "removed", (json_int_t)slot), sentence);
}

static int key_rotate(struct cli *c, struct key_admin *a, struct error *err)
{
	char sentence[200];
	uint32_t key;
	int r = key_admin_rotate(a, c->dry_run, &key, err);

	if (r < 0)
		return r;
	(void)snprintf(sentence, sizeof sentence,
		"key %" PRIu32
		" seals what is written after the volume is opened next (a mount that is there keeps its key)",
		key);
	return report(c, json_pack("{s:I}", "key", (json_int_t)key), sentence);
}

/* "key remove [VOLUME] SLOT": the last operand. */
static bool take_slot(struct cli *c, uint64_t *ret)
{
	const char *text = c->argc > 1 ? c->argv[c->argc - 1] : "";
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno)
		return false;
	c->argc--;
	return true;
}

int cmd_key(struct cli *c)
{
	static const char *const names[] = {"list", "add", "remove", "rotate"};
	enum { LIST, ADD, REMOVE, ROTATE, UNKNOWN } what = LIST;
	struct key_admin *a = NULL;
	struct error e = {0};
	const char *url;
	uint64_t slot = 0;

	while (what < UNKNOWN && strcmp(c->argv[0], names[what]) != 0)
		what++;
	if (what == UNKNOWN || (what == REMOVE && !take_slot(c, &slot)) || c->argc > 2) {
		(void)fputs(
			"zerofs key: the operands are list|add|rotate [VOLUME], or remove [VOLUME] SLOT\n",
			stderr);
		return EXIT_USAGE;
	}
	if (configure_source(c->config, c->argc > 1 ? c->argv[1] : NULL, &url, &e) < 0) {
		(void)fprintf(stderr, "zerofs key: %s\n", e.text);
		return EXIT_USAGE;
	}
	int r = open_keys(c, url, &a, &e);

	if (r == 0)
		r = what == LIST     ? key_list(c, a, &e)
		    : what == ADD    ? key_add(c, a, &e)
		    : what == REMOVE ? key_remove(c, a, slot, &e)
				     : key_rotate(c, a, &e);
	key_admin_close(a);
	return r < 0 ? cli_fail(c, r, &e) : EXIT_OK;
}
