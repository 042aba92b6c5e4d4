/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuse/offer.h"

#include "core/paths.h"
#include "core/volume.h"

#include <ctype.h>
#include <stdio.h>
#include <unistd.h>

static bool yes(void)
{
	char answer[16] = "";

	return fgets(answer, sizeof answer, stdin) && tolower((unsigned char)*answer) == 'y';
}

bool offer_new_volume(const char *source)
{
	char dir[512];
	bool has_dir = paths_state(dir, sizeof dir, NULL) == 0;

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO) ||
		!volume_is_absent(source, has_dir ? dir : NULL))
		return false;
	(void)fprintf(stderr,
		"There is no volume at %s. Make one, encrypted with the password that comes next? [y/N] ",
		source);
	return yes();
}
