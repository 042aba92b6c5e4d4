/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/vfs/atime.h"

#define DAY_SECONDS 86400

static bool before_or_equal(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec <= b.tv_nsec;
}

bool atime_changes(const struct atime_policy *p, bool directory, struct timespec atime,
	struct timespec mtime, struct timespec ctime, struct timespec now)
{
	if (p->mode == ATIME_NEVER || (directory && p->no_directories))
		return false;
	if (atime.tv_sec == now.tv_sec && atime.tv_nsec == now.tv_nsec)
		return false;
	return p->mode == ATIME_ALWAYS || before_or_equal(atime, mtime) ||
	       before_or_equal(atime, ctime) || atime.tv_sec <= now.tv_sec - DAY_SECONDS;
}
