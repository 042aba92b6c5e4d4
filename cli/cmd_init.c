/* SPDX-License-Identifier: GPL-3.0-or-later */
/* init: writes a configuration to begin with, from options, and from answers when somebody is there
 * to give them. */
#include "cli/cli.h"

#include "core/base/cleanup.h"
#include "core/config/config.h"
#include "core/store/url.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct question {
	const char *key, *option, *text;
} questions[] = {
	{"storage.url", "url", "Address of the volume (a path such as /srv/volume; empty: later)"},
	{"storage.password_file", "password_file",
		"File that holds its password (empty: asked for at each mount)"},
	{"filesystem.max_size_gb", "max_size_gb",
		"Quota in GB, or with a unit such as 500M (empty: none)"},
};

/* The directories above `path`. */
static int make_parents(const char *path, struct error *err)
{
	char part[PATH_MAX];

	(void)snprintf(part, sizeof part, "%s", path);
	for (char *p = part + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return error_set(err, -errno, "cannot make the directory %s: %s", part,
				strerror(errno));
	}
	return 0;
}

/* The value as it means the same from every directory. */
static int set_absolute(struct cli *c, const char *option, const char *value, struct error *err)
{
	CLEANUP(free_p) char *whole = NULL;
	char cwd[PATH_MAX], path[2 * PATH_MAX];
	int r = 0;

	if (strcmp(option, "url") == 0) {
		r = store_url_canonical(value, &whole, err);
		value = whole;
	} else if (strcmp(option, "password_file") == 0 && *value != '/') {
		if (!getcwd(cwd, sizeof cwd))
			return error_set(err, -errno, "cannot find the current directory: %s",
				strerror(errno));
		(void)snprintf(path, sizeof path, "%s/%s", cwd, value);
		value = path;
	}
	return r < 0 ? r : config_set_named(c->config, option, value, err);
}

static int ask(struct cli *c, const struct question *q, struct error *err)
{
	CLEANUP(free_p) char *line = NULL;
	size_t cap = 0;

	for (;;) {
		struct error why = {0};

		printf("%s: ", q->text);
		(void)fflush(stdout);
		ssize_t n = getline(&line, &cap, stdin);

		if (n <= 0)
			return error_set(err, -ECANCELED, "no answer; nothing was written");
		line[strcspn(line, "\n")] = '\0';
		if (!*line || set_absolute(c, q->option, line, &why) == 0)
			return 0;
		printf("%s\n", why.text);
	}
}

static int collect(struct cli *c, struct error *err)
{
	bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	int r = c->argc ? config_set_named(c->config, "url", c->argv[0], err) : 0;

	for (size_t i = 0; r == 0 && i < sizeof questions / sizeof *questions; i++) {
		const struct question *q = &questions[i];
		bool text = strcmp(q->option, "max_size_gb") != 0;

		if (!config_is_set(c->config, q->key)) {
			r = terminal ? ask(c, q, err) : 0;
		} else if (text) {
			CLEANUP(free_p) char *value = strdup(config_text(c->config, q->key));

			r = value ? set_absolute(c, q->option, value, err) : -ENOMEM;
		}
	}
	return r;
}

static int write_file(const char *path, const char *text, struct error *err)
{
	CLEANUP(close_fd_p)
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	size_t len = strlen(text), done = 0;

	if (fd < 0 && errno == EEXIST)
		return error_set(err, -EEXIST, "%s is there already and is left as it is", path);
	if (fd < 0)
		return error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
	while (done < len) {
		ssize_t n = write(fd, text + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		done += (size_t)n;
	}
	if (done == len && fchmod(fd, 0600) == 0 && fsync(fd) == 0)
		return 0;
	int r = error_set(err, -errno, "cannot write %s: %s", path, strerror(errno));

	(void)unlink(path); /* half a file is none */
	return r;
}

static int target(const struct cli *c, char *out, size_t size, struct error *err)
{
	const char *named = c->config_path ? c->config_path : getenv("ZEROFS_CONFIG");

	if (!named || !*named)
		return config_own_path(out, size, err);
	return (size_t)snprintf(out, size, "%s", named) < size
		       ? 0
		       : error_set(err, -ENAMETOOLONG, "the name of the configuration is too long");
}

int cmd_init(struct cli *c)
{
	CLEANUP(free_p) char *text = NULL;
	char path[PATH_MAX];
	struct error e = {0};
	int r = target(c, path, sizeof path, &e);

	if (r == 0 && access(path, F_OK) == 0) /* said before any question; O_EXCL decides */
		r = error_set(&e, -EEXIST, "%s is there already and is left as it is", path);
	if (r == 0)
		r = collect(c, &e);
	if (r == 0 && !(text = config_starter(c->config)))
		r = -ENOMEM;
	if (r == 0)
		r = make_parents(path, &e);
	if (r == 0)
		r = write_file(path, text, &e);
	if (r < 0)
		return cli_fail(c, r, &e);
	printf("wrote %s; \"zerofs format\" makes the volume that it names, if there is none yet\n",
		path);
	return EXIT_OK;
}
