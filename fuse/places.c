/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuse/places.h"

#include "core/base/cleanup.h"
#include "core/base/diag.h"
#include "core/net/control.h"
#include "core/paths.h"
#include "core/store/url.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/*
 * Below the store's directory a mount would hide objects, or show files as objects to whoever lists
 * them, this process included, which would then wait for itself.
 */
static int check_outside(const char *url, const char *mountpoint, struct error *err)
{
	CLEANUP(free_p) char *store = NULL;
	CLEANUP(free_p) char *at = strdup(mountpoint);
	struct stat root, st;
	int r = store_url_path(url, &store, err);

	if (r < 0)
		return r;
	if (!at)
		return error_set(err, -ENOMEM, "out of memory");
	if (!store || stat(store, &root) < 0)
		return 0; /* opening it will tell */
	for (;;) {
		char *slash = strrchr(at, '/');

		if (stat(*at ? at : "/", &st) == 0 && st.st_dev == root.st_dev &&
			st.st_ino == root.st_ino)
			return error_set(err, -EINVAL,
				"cannot mount on %s: it lies in the store, %s; choose a directory outside",
				mountpoint, store);
		if (!slash)
			return 0;
		*slash = 0;
	}
}

static void find_control(struct places *p, const char *url, const char *mountpoint, bool writer)
{
	char path[sizeof p->control];
	struct error e = {0};
	int r = control_path(url, writer, p->control, sizeof p->control, &e);

	if (r == 0)
		r = control_path_of_mountpoint(mountpoint, path, sizeof path, &e);
	if (r < 0) {
		if (writer)
			diag(DIAG_WARNING, "fuse", "%s; zerofs(1) cannot reach this process",
				e.text);
		p->control[0] = 0;
		return;
	}
	char *slash = strrchr(path, '/');

	*slash = 0;
	(void)snprintf(p->link, sizeof p->link, "%s", slash + 1); /* a hash and .sock: fits */
	if (writer)
		p->runtime_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int places_find(
	struct places *p, const char *url, const char *mountpoint, bool writer, struct error *err)
{
	struct error e = {0};

	*p = (struct places){.runtime_fd = -1};
	int r = check_outside(url, mountpoint, err);

	if (r < 0)
		return r;
	find_control(p, url, mountpoint, writer);
	if (paths_state(p->state_dir, sizeof p->state_dir, &e) < 0) {
		p->state_dir[0] = 0;
		diag(DIAG_WARNING, "fuse", "%s; a store that is rolled back will not be noticed",
			e.text);
	}
	return 0;
}

void places_show(struct places *p)
{
	if (p->runtime_fd < 0)
		return;
	(void)unlinkat(p->runtime_fd, p->link, 0); /* left by a process that died */
	if (symlinkat(p->control, p->runtime_fd, p->link) < 0)
		diag(DIAG_WARNING, "fuse", "cannot make the link %s to %s: %s", p->link, p->control,
			strerror(errno));
}

void places_hide(struct places *p)
{
	char to[sizeof p->control];

	if (p->runtime_fd < 0)
		return;
	ssize_t n = readlinkat(p->runtime_fd, p->link, to, sizeof to);

	/* Another mount over this one may have left its own. */
	if (n > 0 && (size_t)n == strlen(p->control) && memcmp(to, p->control, (size_t)n) == 0)
		(void)unlinkat(p->runtime_fd, p->link, 0);
	(void)close(p->runtime_fd); /* a directory */
	p->runtime_fd = -1;
}
