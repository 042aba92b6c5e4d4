/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuse/remount.h"

#include "core/base/cleanup.h"
#include "core/net/control.h"
#include "fuse/options.h"

#include <limits.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#define FLUSH_TIMEOUT_MS 600000
#define STATUS_TIMEOUT_MS 10000

static const struct {
	const char *option;
	unsigned long flag;
} flags[] = {
	{"nosuid", MS_NOSUID},
	{"nodev", MS_NODEV},
	{"noexec", MS_NOEXEC},
	{"noatime", MS_NOATIME},
	{"nodiratime", MS_NODIRATIME},
	{"dirsync", MS_DIRSYNC},
	{"sync", MS_SYNCHRONOUS},
};

/* Whether `word` is one of the comma-separated `list`. */
static bool is_in(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += n)
		if ((at == list || at[-1] == ',') && (at[n] == ',' || at[n] == '\0'))
			return true;
	return false;
}

static unsigned long flags_of(const struct options *o)
{
	unsigned long all = MS_REMOUNT | (o->read_only ? MS_RDONLY : 0);

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (is_in(o->mount_options, flags[i].option))
			all |= flags[i].flag;
	return all;
}

/* The file system mounted last at `mountpoint` is one of ours. */
static bool is_ours(const char *mountpoint)
{
	FILE *f = setmntent("/proc/self/mounts", "r");
	char text[2 * PATH_MAX];
	struct mntent entry;
	bool ours = false;

	while (f && getmntent_r(f, &entry, text, sizeof text))
		if (strcmp(entry.mnt_dir, mountpoint) == 0)
			ours = strcmp(entry.mnt_type, "fuse.zerofs") == 0;
	if (f)
		(void)endmntent(f); /* read only; always 1 */
	return ours;
}

/* The process of this mount is a writer when it has a control socket. */
static int ask(const char *mountpoint, const char *op, uint64_t timeout_ms, struct error *err)
{
	CLEANUP(free_p) char *answer = NULL;
	char path[512];
	int r = control_path_of_mountpoint(mountpoint, path, sizeof path, err);

	return r < 0 ? r : control_call(path, op, timeout_ms, &answer, err);
}

int remount(const struct options *o, const char *mountpoint, struct error *err)
{
	struct error why = {0};
	int r;

	if (!is_ours(mountpoint))
		return error_set(
			err, -EINVAL, "%s is not the mount point of a zerofs volume", mountpoint);
	if (geteuid() != 0)
		return error_set(err, -EPERM,
			"only root can remount; unmount %s and mount it again", mountpoint);
	r = o->read_only ? ask(mountpoint, "flush", FLUSH_TIMEOUT_MS, &why)
			 : ask(mountpoint, "status", STATUS_TIMEOUT_MS, &why);
	if (!o->read_only && r < 0)
		return error_set(err, -EROFS,
			"%s follows another writer, or was mounted by another user, and cannot become writable; "
			"unmount it and mount it again",
			mountpoint);
	if (r < 0 && r != -ENOENT && r != -ECONNREFUSED) /* a follower has nothing to store */
		return error_set(err, r, "%s", error_text(&why, r));
	if (mount(NULL, mountpoint, NULL, flags_of(o), NULL) < 0)
		return error_set(err, -errno, "cannot remount %s: %s", mountpoint, strerror(errno));
	return 0;
}
