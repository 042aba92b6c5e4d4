/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading the file and answering questions. */
#include "core/config/config_internal.h"

#include "core/base/cleanup.h"
#include "core/base/diag.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

#define SYSTEM_PATH "/etc/zerofs/zerofs.toml"
#define LIST_MAX 400 /* bytes of a list of keys in a message */

struct config *config_new(void)
{
	struct config *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->settings = calloc(config_keys_count, sizeof c->settings[0]);
	if (!c->settings) {
		free(c);
		return NULL;
	}
	return c;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < config_keys_count; i++)
		setting_done(&c->settings[i]);
	free(c->settings);
	free(c->path);
	free(c);
}

/* ---- reading ---- */

static int take_entry(
	struct config *c, const char *name, const struct toml_entry *e, struct error *err)
{
	const struct config_key *k = config_key_find(e->key);
	struct setting *s = k ? &c->settings[k - config_keys] : NULL;
	struct setting new = {0};
	struct error why = {0};

	if (!k)
		return error_set(err, -EINVAL,
			"%s, line %u, column %u: unknown key \"%s\"; the nearest known one is \"%s\"",
			name, e->at.line, e->at.column, e->key, config_key_nearest(e->key)->name);
	int r = setting_convert(k, &e->value, false, &new, &why);

	if (r == -EINVAL)
		return error_set(err, r, "%s, line %u, column %u: %s is %s; %s", name,
			e->value.at.line, e->value.at.column, e->key, toml_type_name(e->value.type),
			why.text);
	if (r < 0)
		return error_set(err, r, "%s", error_text(&why, r));
	if (s->from_option) { /* the command line has the last word */
		setting_done(&new);
		return 0;
	}
	setting_done(s); /* several keys below one of ZeroFS's share a place */
	*s = new;
	return 0;
}

static int check_sections(const char *name, const struct toml *t, struct error *err)
{
	for (size_t i = 0; i < t->nsections; i++) {
		const struct toml_section *s = &t->sections[i];

		if (!config_section_known(s->name))
			return error_set(err, -EINVAL,
				"%s, line %u, column %u: unknown section [%s]; the nearest known key is \"%s\"",
				name, s->at.line, s->at.column, s->name,
				config_key_nearest(s->name)->name);
	}
	return 0;
}

int config_parse(
	struct config *c, const char *name, const void *text, size_t len, struct error *err)
{
	CLEANUP(toml_done) struct toml t = {0};
	struct error why = {0};
	int r = toml_parse(SLICE(text, len), &t, &why);

	if (r < 0)
		return error_set(
			err, r, r == -EINVAL ? "%s, %s" : "%s: %s", name, error_text(&why, r));
	/* Keys first: a misspelt section shows with the nearest key of those in it. */
	for (size_t i = 0; i < t.n && r == 0; i++)
		r = take_entry(c, name, &t.entries[i], err);
	return r < 0 ? r : check_sections(name, &t, err);
}

/* The whole file. A pipe is fine. */
static int read_file(int fd, const char *path, struct buf *out, struct error *err)
{
	for (;;) {
		uint8_t *room = buf_extend(out, 4096);

		if (!room)
			return error_set(err, -ENOMEM, "no memory for a configuration");
		ssize_t n = read(fd, room, 4096);

		out->len -= 4096 - (n > 0 ? (size_t)n : 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, -errno, "cannot read the configuration %s: %s", path,
				strerror(errno));
		if (n == 0)
			return 0;
		if (out->len > TOML_BYTES_MAX)
			return error_set(err, -E2BIG,
				"the configuration %s has more than %u bytes: it can hardly be one",
				path, TOML_BYTES_MAX);
	}
}

static void wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_done(b);
}

static int load_file(struct config *c, const char *path, struct error *err)
{
	CLEANUP(close_fd_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP(wipe) struct buf text = BUF_INIT;
	struct stat st;

	if (fd < 0)
		return error_set(
			err, -errno, "cannot open the configuration %s: %s", path, strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		return error_set(err, -EISDIR, "the configuration %s is a directory", path);
	int r = read_file(fd, path, &text, err);

	if (r == 0)
		r = config_parse(c, path, text.data, text.len, err);
	if (r < 0)
		return r;
	c->readable = S_ISREG(st.st_mode) && (st.st_mode & S_IROTH);
	c->path = strdup(path);
	return c->path ? 0 : error_set(err, -ENOMEM, "no memory for a configuration");
}

/* $XDG_CONFIG_HOME/zerofs/zerofs.toml. False: there is no home. */
static bool home_path(char *out, size_t size)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int n;

	if (xdg && *xdg == '/') {
		n = snprintf(out, size, "%s/zerofs/zerofs.toml", xdg);
	} else {
		struct passwd *pw = home && *home == '/' ? NULL : getpwuid(geteuid());

		if (pw)
			home = pw->pw_dir;
		if (!home || *home != '/')
			return false;
		n = snprintf(out, size, "%s/.config/zerofs/zerofs.toml", home);
	}
	return n > 0 && (size_t)n < size;
}

int config_own_path(char *out, size_t size, struct error *err)
{
	if (geteuid() == 0) {
		(void)snprintf(out, size, "%s", SYSTEM_PATH);
		return 0;
	}
	return home_path(out, size)
		       ? 0
		       : error_set(err, -ENOENT, "no home directory: name the file with --config");
}

/* Files that nobody named: missing is fine, and so is one of the administrator's that this user may
 * not read. */
static int load_found(struct config *c, struct error *err)
{
	char path[PATH_MAX];
	struct error why = {0};
	int r = -ENOENT;

	if (home_path(path, sizeof path))
		r = load_file(c, path, &why);
	if (r == -ENOENT || r == -ENOTDIR) {
		r = load_file(c, SYSTEM_PATH, &why);
		if (r == -EACCES)
			diag(DIAG_INFO, "config", "%s", why.text);
		if (r == -EACCES || r == -ENOENT || r == -ENOTDIR)
			return 0;
	}
	return r < 0 ? error_set(err, r, "%s", error_text(&why, r)) : 0;
}

static int from_environment(struct config *c, struct error *err)
{
	const struct config_key *k = config_key_find("storage.url");
	struct setting *s = &c->settings[k - config_keys];
	const char *volume = getenv("ZEROFS_VOLUME");

	if (s->set || !volume || !*volume)
		return 0;
	return setting_from_text(k, volume, false, s, err);
}

int config_load(struct config *c, const char *path, struct error *err)
{
	const char *named = path ? path : getenv("ZEROFS_CONFIG");
	int r = named && *named ? load_file(c, named, err) : load_found(c, err);

	return r < 0 ? r : from_environment(c, err);
}

/* ---- asking ---- */

const char *config_path(const struct config *c)
{
	return c->path;
}

/* NULL: it is not set. */
static const struct setting *find(const struct config *c, const char *key)
{
	const struct config_key *k = config_key_find(key);

	assert(k);
	return c->settings[k - config_keys].set ? &c->settings[k - config_keys] : NULL;
}

bool config_is_set(const struct config *c, const char *key)
{
	return find(c, key) != NULL;
}

const char *config_text(const struct config *c, const char *key)
{
	const struct setting *s = find(c, key);

	assert(!s || s->text);
	return s ? s->text : NULL;
}

bool config_u64(const struct config *c, const char *key, uint64_t *ret)
{
	const struct setting *s = find(c, key);

	if (s)
		*ret = s->number;
	return s != NULL;
}

bool config_boolean(const struct config *c, const char *key, bool *ret)
{
	const struct setting *s = find(c, key);

	if (s)
		*ret = s->truth;
	return s != NULL;
}

const char *config_item(const struct config *c, const char *key, size_t i)
{
	const struct setting *s = find(c, key);

	return s && i < s->nitems ? s->items[i] : NULL;
}

void config_forget(struct config *c, const char *key)
{
	const struct config_key *k = config_key_find(key);

	assert(k);
	setting_done(&c->settings[k - config_keys]);
}

/* ---- telling ---- */

/* "a.b (line 3), c.d (line 7)": the set keys of that state. False: there is none. */
static bool list_keys(const struct config *c, enum config_state state, char out[LIST_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < config_keys_count; i++) {
		const struct setting *s = &c->settings[i];
		char one[128];
		int len;

		if (!s->set || config_keys[i].state != state)
			continue;
		if (s->from_option)
			len = snprintf(one, sizeof one, "%s%s (option)", n ? ", " : "",
				config_keys[i].name);
		else
			len = snprintf(one, sizeof one, "%s%s%s (line %u)", n ? ", " : "",
				config_keys[i].name,
				config_keys[i].type == CONFIG_ANY &&
						strchr(config_keys[i].name, '\0')[-1] == '.'
					? "*"
					: "",
				s->at.line);
		if (n + (size_t)len + 5 > LIST_MAX) {
			(void)snprintf(out + n, LIST_MAX - n, ", ...");
			return true;
		}
		memcpy(out + n, one, (size_t)len + 1);
		n += (size_t)len;
	}
	return n > 0;
}

static bool holds_secret(const struct config *c)
{
	static const char *const secrets[] = {"storage.encryption_password",
		"aws.secret_access_key", "aws.session_token", "azure.storage_account_key"};

	for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
		const struct setting *s = find(c, secrets[i]);

		if (s && !s->substituted)
			return true;
	}
	return false;
}

void config_warn(const struct config *c)
{
	const char *path = c->path ? c->path : "configuration";
	char list[LIST_MAX];

	if (list_keys(c, CONFIG_FOREIGN, list))
		diag(DIAG_WARNING, "config", "%s: keys of ZeroFS that mean nothing here: %s", path,
			list);
	if (list_keys(c, CONFIG_LATER, list))
		diag(DIAG_WARNING, "config", "%s: without effect in this version: %s", path, list);
	if (c->readable && holds_secret(c))
		diag(DIAG_WARNING, "config",
			"%s holds a secret and everybody can read it: chmod 600 %s", path, path);
}
