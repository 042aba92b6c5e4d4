/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening volumes and reaching who holds them. */
#include "cli/cli.h"

#include "core/base/cleanup.h"
#include "core/config/config.h"
#include "core/configure.h"
#include "core/net/control.h"
#include "core/password.h"
#include "core/paths.h"
#include "core/seal/secret.h"
#include "core/store/url.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int cli_fail(const struct cli *c, int r, const struct error *e)
{
	(void)fprintf(stderr, "zerofs %s: %s\n", c->command, error_text(e, r));
	return r == -EBADMSG ? EXIT_DAMAGED : EXIT_FAILED;
}

int cli_config(const struct cli *c, const char *url, bool create, struct volume_config *ret,
	struct error *err)
{
	static char state_dir[512];
	char *password = NULL;
	int r = paths_state(state_dir, sizeof state_dir, err);

	if (r == 0)
		r = password_get(c->config, create, &password, err);
	if (r < 0)
		return r;
	volume_config_init(ret);
	configure_volume(c->config, ret);
	ret->url = url;
	ret->password = password;
	ret->state_dir = state_dir;
	ret->accept_rollback = c->accept_rollback;
	ret->force = c->force;
	ret->root_uid = geteuid();
	ret->root_gid = getegid();
	return 0;
}

void cli_config_done(struct volume_config *c)
{
	secret_free((void *)(uintptr_t)c->password);
	c->password = NULL;
}

int cli_open(const struct cli *c, const char *url, bool read_only, struct volume **ret)
{
	struct volume_config config;
	struct volume_holder h = {0};
	struct error e = {0};
	int r = cli_config(c, url, false, &config, &e);

	if (r < 0)
		return cli_fail(c, r, &e);
	config.read_only = read_only;
	r = volume_open(&config, ret, &h, &e);
	cli_config_done(&config);
	if (r == -EBUSY)
		(void)error_set(&e, r, "%s is in use by process %lld on %s since %s", url,
			(long long)h.pid, h.host, h.since);
	else if (r == -ENOENT)
		(void)error_set(&e, r, "there is no volume at %s", url);
	return r < 0 ? cli_fail(c, r, &e) : 0;
}

int cli_close(const struct cli *c, struct volume *v, int status)
{
	struct error e = {0};
	int r = volume_close(v, &e);

	return r < 0 ? cli_fail(c, r, &e) : status;
}

/* Undoes mountinfo's escapes (\040 and the like) in place. */
static void unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		unsigned octal;

		if (s[0] == '\\' && sscanf(s + 1, "%3o", &octal) == 1) {
			*out++ = (char)octal;
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = 0;
}

/* The source of the zerofs mount at `path`, from /proc/self/mountinfo; false = there is none. */
static bool mount_source(const char *path, char *out, size_t size)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	CLEANUP(free_p) char *line = NULL;
	size_t cap = 0;
	bool found = false;

	while (f && getline(&line, &cap, f) > 0) {
		char point[PATH_MAX], type[64], source[PATH_MAX];
		const char *dash = strstr(line, " - ");

		if (!dash || sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1 ||
			sscanf(dash, " - %63s %4095s", type, source) != 2)
			continue;
		unescape(point);
		unescape(source);
		if (strcmp(point, path) == 0 && strncmp(type, "fuse", 4) == 0) {
			found = strcmp(type, "fuse.zerofs") ==
				0; /* the last one mounted there counts */
			(void)snprintf(out, size, "%s", source);
		}
	}
	if (f)
		(void)fclose(f); /* read only */
	return found;
}

int cli_find_holder(
	const char *what, char *ret_path, size_t size, bool *ret_mountpoint, struct error *err)
{
	char real[PATH_MAX], source[PATH_MAX];
	CLEANUP(free_p) char *url = NULL;
	bool mounted = realpath(what, real) && mount_source(real, source, sizeof source);
	int r;

	if (ret_mountpoint)
		*ret_mountpoint = mounted;
	if (mounted) { /* the source may be whatever fsname= said */
		r = control_path_of_mountpoint(real, ret_path, size, err);
		if (r < 0 || access(ret_path, F_OK) == 0)
			return r;
	}
	r = store_url_canonical(mounted ? source : what, &url, err);
	return r < 0 ? r : control_path(url, false, ret_path, size, err);
}
