/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_ERROR_H
#define CORE_BASE_ERROR_H
/*
 * One error model for the whole tree: functions return >= 0 or a negative errno; what can fail
 * because of the outside also takes a `struct error *` last, for the text. The struct belongs to
 * the caller, may be NULL, never allocates and is untouched on success.
 *
 * The vocabulary (only these are told apart by callers; any other errno passes through to the
 * user): ENOENT          absent EEXIST          a create lost: something else is there EAGAIN a
 * precondition lost: read again and retry above ESTALE          fenced by a newer writer: stop
 *   EBADMSG         stored bytes are wrong: never retry
 *   EPROTONOSUPPORT format or feature too new
 *   EKEYREJECTED    wrong key or password
 *   EACCES          the store refused us
 *   EIO             the store cannot be reached, retries are spent
 *   ETIMEDOUT       (below store/retry only) no reply: the effect is unknown
 *   ENOSPC EDQUOT   no space, in the store or by quota
 *   ECANCELED       shutting down
 *   ENOMEM EINVAL   as everywhere
 */
#include <errno.h>
#include <stdarg.h>

#define ERROR_TEXT_MAX 512 /* bytes, terminator included; longer texts are cut */

struct error {
	int code; /* negative errno, 0 = none */
	char text[ERROR_TEXT_MAX];
};

/* Sets code and text (when `err` is not NULL) and returns `code`, which must be negative. */
int error_set(struct error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "<prefix>: " before the text, once per layer; returns the code. No-op on a NULL or empty
 * error (then 0 comes back: a caller that may have no struct returns its own `r`). */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The text, or a generic one for `code` where nobody set a text. Never NULL. */
const char *error_text(const struct error *err, int code);

#endif
