/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/password.h"

#include "core/base/cleanup.h"
#include "core/base/diag.h"
#include "core/config/config.h"
#include "core/seal/secret.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>

static void drop_secret(char **p)
{
	secret_free(*p);
}

/* Reads until newline or end; the count of bytes, or a negative errno. */
static int read_secret(int fd, char *out, bool one_line)
{
	size_t n = 0;

	while (n < PASSWORD_MAX) {
		ssize_t got = read(fd, out + n, one_line ? 1 : PASSWORD_MAX - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0 || (one_line && out[n] == '\n'))
			break;
		n += (size_t)got;
	}
	if (n == PASSWORD_MAX)
		return -E2BIG;
	if (n > 0 && out[n - 1] == '\n')
		n--;
	out[n] = 0;
	return (int)n;
}

static void warn_if_readable(int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IROTH))
		diag(DIAG_WARNING, "password",
			"everybody can read the password file %s: chmod 600 %s", path, path);
}

static int from_file(const char *path, char **ret, struct error *err)
{
	CLEANUP(close_fd_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP(drop_secret) char *p = secret_new(PASSWORD_MAX + 1);

	if (!p)
		return error_set(err, -ENOMEM, "out of memory");
	if (fd < 0)
		return error_set(
			err, -errno, "cannot open the password file %s: %s", path, strerror(errno));
	int n = read_secret(fd, p, false);

	if (n < 0)
		return error_set(
			err, n, "cannot read the password file %s: %s", path, strerror(-n));
	if (n == 0)
		return error_set(err, -EINVAL, "the password file %s is empty", path);
	if (strlen(p) != (size_t)n)
		return error_set(err, -EINVAL, "the password file %s holds a zero byte", path);
	warn_if_readable(fd, path);
	*ret = TAKE(p);
	return 0;
}

static int from_text(const char *text, char **ret, struct error *err)
{
	size_t n = strlen(text);
	char *p;

	if (n > PASSWORD_MAX)
		return error_set(err, -E2BIG, "the password has more than %d bytes", PASSWORD_MAX);
	p = secret_new(PASSWORD_MAX + 1);
	if (!p)
		return error_set(err, -ENOMEM, "out of memory");
	memcpy(p, text, n + 1);
	*ret = p;
	return 0;
}

static int ask(int tty, const char *prompt, char *out)
{
	struct termios was, quiet;
	bool changed = tcgetattr(tty, &was) == 0;

	if (changed) {
		quiet = was;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		changed = tcsetattr(tty, TCSAFLUSH, &quiet) == 0;
	}
	(void)!write(tty, prompt, strlen(prompt)); /* a prompt that is not seen is no failure */
	int n = read_secret(tty, out, true);

	if (changed)
		(void)tcsetattr(tty, TCSAFLUSH, &was);
	(void)!write(tty, "\n", 1);
	return n;
}

static int from_terminal(const char *prompt, bool twice, char **ret, struct error *err)
{
	CLEANUP(close_fd_p) int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
	CLEANUP(drop_secret) char *p = secret_new(PASSWORD_MAX + 1);
	CLEANUP(drop_secret) char *again = secret_new(PASSWORD_MAX + 1);

	if (tty < 0)
		return error_set(err, -ENOTTY,
			"no password: set ZEROFS_PASSWORD or ZEROFS_PASSWORD_FILE, use --password-file or password_file in the configuration, or run at a terminal");
	if (!p || !again)
		return error_set(err, -ENOMEM, "out of memory");
	int n = ask(tty, prompt, p);

	if (n >= 0 && twice) {
		int m = ask(tty, "The same again: ", again);

		if (m < 0)
			return error_set(err, m, "cannot read from the terminal: %s", strerror(-m));
		if (strcmp(p, again) != 0)
			return error_set(err, -EINVAL, "the two passwords differ");
	}
	if (n < 0)
		return error_set(err, n, "cannot read from the terminal: %s", strerror(-n));
	if (n == 0)
		return error_set(err, -EINVAL, "the password is empty");
	*ret = TAKE(p);
	return 0;
}

/* From the configuration. 1: it says nothing. */
static int from_config(const struct config *c, char **ret, struct error *err)
{
	const char *file = config_text(c, "storage.password_file");
	const char *text = config_text(c, "storage.encryption_password");

	if (file)
		return from_file(file, ret, err);
	if (text && !*text)
		return error_set(
			err, -EINVAL, "storage.encryption_password in %s is empty", config_path(c));
	return text ? from_text(text, ret, err) : 1;
}

int password_get(const struct config *c, bool twice, char **ret, struct error *err)
{
	const char *text = getenv("ZEROFS_PASSWORD"), *named = getenv("ZEROFS_PASSWORD_FILE");
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	char path[512];
	int r = from_config(c, ret, err);

	if (r <= 0)
		return r;
	if (text && *text)
		return from_text(text, ret, err);
	if (named && *named)
		return from_file(named, ret, err);
	if (credentials &&
		(size_t)snprintf(path, sizeof path, "%s/zerofs-password", credentials) <
			sizeof path &&
		access(path, R_OK) == 0)
		return from_file(path, ret, err);
	return from_terminal("Password of the volume: ", twice, ret, err);
}

int password_get_new(const char *file, char **ret, struct error *err)
{
	if (file)
		return from_file(file, ret, err);
	int r = from_terminal("New password: ", true, ret, err);

	return r == -ENOTTY
		       ? error_set(err, r,
				 "no new password: use --new-password-file or run at a terminal")
		       : r;
}
