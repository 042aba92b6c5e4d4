/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/paths.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *home(void)
{
	const char *h = getenv("HOME");

	if (h && *h == '/')
		return h;
	struct passwd *pw = getpwuid(geteuid());

	return pw ? pw->pw_dir : NULL;
}

int paths_state(char *out, size_t size, struct error *err)
{
	const char *xdg = getenv("XDG_STATE_HOME"), *h;
	int n;

	if (xdg && *xdg == '/') {
		n = snprintf(out, size, "%s/zerofs", xdg);
	} else {
		h = home();
		if (!h)
			return error_set(err, -ENOENT, "no home directory: set XDG_STATE_HOME");
		n = snprintf(out, size, "%s/.local/state/zerofs", h);
	}
	return (size_t)n < size
		       ? 0
		       : error_set(err, -ENAMETOOLONG, "the state directory has too long a name");
}
