/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The list behind -o, as users write it, as fstab has it, and as mount(8) hands it on: options for
 * the kernel, settings of zerofs (key=value), and words that mean something to mount(8) and systemd
 * only.
 */
#include "core/config/config.h"
#include "fuse/options.h"

#include <string.h>

/* For mount(8), systemd and fstab; they mean nothing here, or are so in any case. */
static const char *const ignored[] = {"rw", "defaults", "auto", "noauto", "user", "nouser", "users",
	"owner", "group", "_netdev", "nofail", "async", "default_permissions", "diratime", "silent",
	"loud", "nomand"};
static const char *const ignored_values[] = {
	"user=", "comment=", "uhelper=", "helper=", "x-", "X-"};
static const char *const passed[] = {
	"nosuid", "nodev", "exec", "noexec", "noatime", "allow_other", "allow_root", "dirsync"};

static bool is_among(const char *option, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(option, list[i]) == 0)
			return true;
	return false;
}

static bool is_ignored(const char *option)
{
	for (size_t i = 0; i < sizeof ignored_values / sizeof *ignored_values; i++)
		if (strncmp(option, ignored_values[i], strlen(ignored_values[i])) == 0)
			return true;
	return is_among(option, ignored, sizeof ignored / sizeof *ignored);
}

/* Adds to the kernel's options. */
static int pass_on(struct options *o, const char *option, struct error *err)
{
	size_t n = strlen(o->mount_options);

	if (n + strlen(option) + 2 > sizeof o->mount_options)
		return error_set(err, -EINVAL, "too many -o options");
	if (n)
		o->mount_options[n++] = ',';
	strcpy(o->mount_options + n, option);
	return 0;
}

/* The last one counts, as for mount(8). False: it says nothing of access times, or the kernel is to
 * hear of it as well. */
static bool set_atime(struct options *o, const char *option)
{
	if (strcmp(option, "noatime") == 0)
		o->atime.mode = ATIME_NEVER;
	else if (strcmp(option, "strictatime") == 0)
		o->atime.mode = ATIME_ALWAYS;
	else if (strcmp(option, "relatime") == 0 || strcmp(option, "atime") == 0)
		o->atime.mode = ATIME_RELATIVE;
	else if (strcmp(option, "nodiratime") == 0)
		o->atime.no_directories = true;
	else
		return false;
	return strcmp(option, "noatime") != 0;
}

/* What has a meaning here and for the kernel. False: it is none of these. */
static bool set_flag(struct options *o, const char *option)
{
	if (strcmp(option, "ro") == 0)
		o->read_only = true;
	else if (strcmp(option, "suid") == 0)
		o->suid = true;
	else if (strcmp(option, "dev") == 0)
		o->dev = true;
	else if (strcmp(option, "sync") == 0)
		o->sync = true;
	else
		return false;
	return true;
}

/* key=value of the configuration. -ENOENT without text: it is none. */
static int setting(struct options *o, char *option, struct error *err)
{
	char *value = strchr(option, '=');

	if (!value)
		return -ENOENT;
	*value++ = '\0';
	if (strcmp(option, "password") == 0 || strcmp(option, "encryption_password") == 0)
		return error_set(err, -EINVAL,
			"-o %s: everybody could read it there; use -o password_file=FILE or the configuration",
			option);
	if (strcmp(option, "config") != 0) {
		int r = config_set_named(o->config, option, value, err);

		value[-1] = '=';
		return r;
	}
	o->config_path = value;
	return 0;
}

static int one_option(struct options *o, char *option, struct error *err)
{
	if (strcmp(option, "rw") == 0)
		o->read_only = false;
	if (is_ignored(option) || set_atime(o, option))
		return 0;
	if (strcmp(option, "exclusive") == 0) {
		o->exclusive = true;
		return 0;
	}
	if (is_among(option, passed, sizeof passed / sizeof *passed) ||
		strncmp(option, "fsname=", 7) == 0 || strncmp(option, "subtype=", 8) == 0 ||
		set_flag(o, option))
		return pass_on(o, option, err);
	if (strcmp(option, "remount") == 0) {
		o->remount = true;
		return 0;
	}
	int r = setting(o, option, err);

	if (r != -ENOENT || o->sloppy)
		return r == -ENOENT ? 0 : r;
	return error_set(err, -EINVAL, "unknown option -o %s", option);
}

int mount_options_parse(struct options *o, char *list, struct error *err)
{
	char *save = NULL;

	for (char *one = strtok_r(list, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
		int r = one_option(o, one, err);

		if (r < 0)
			return r;
	}
	return 0;
}
