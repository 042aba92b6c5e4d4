/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FUSE_ERRMAP_H
#define FUSE_ERRMAP_H
#include <errno.h>

/* core's vocabulary (core/base/error.h) to what a program may see from a system call. 0 and usual
 * errnos stay. */
static inline int errmap_fuse(int r)
{
	switch (-r) {
	case EBADMSG:	      /* stored bytes are wrong */
	case EPROTONOSUPPORT: /* a format from the future */
	case EKEYREJECTED:
	case ETIMEDOUT:
	case ECANCELED: /* shutting down */
		return -EIO;
	case EAGAIN: /* a race that core gave up: not "try again" of a non-blocking read */
		return -EBUSY;
	default:
		return r;
	}
}

#endif
