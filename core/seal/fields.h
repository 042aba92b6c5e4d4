/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_SEAL_FIELDS_H
#define CORE_SEAL_FIELDS_H
/*
 * Members of JSON that objects hold, read from untrusted text and written: numbers with bounds,
 * bytes as hexadecimal digits, times. Readers give -EBADMSG naming the member when it is missing or
 * does not fit.
 */
#include "core/base/cleanup.h"
#include "core/base/buf.h"
#include "core/base/error.h"

#include <jansson.h>

#define FIELDS_TIME_BYTES 21 /* "2030-01-31T23:59:59Z" and a terminator */

DEFINE_CLEANUP(json_decref, json_t *);

/* Parses one JSON object, without duplicate members, nothing behind it. Returns new *ret. */
int fields_parse(struct slice text, json_t **ret, struct error *err);
/* Compact text, members in the order of insertion, appended to `out`. 0 or -ENOMEM. */
int fields_encode(const json_t *object, struct buf *out);

/* An unsigned number min..max (max at most INT64_MAX). */
int fields_u64(const json_t *object, const char *name, uint64_t min, uint64_t max, uint64_t *ret,
	struct error *err);
/* Exactly `len` bytes as lower-case digits. */
int fields_hex(const json_t *object, const char *name, void *out, size_t len, struct error *err);
/* The string or array itself, borrowed; at most `max` bytes or elements. NULL with `err` set to
 * -EBADMSG. */
const char *fields_text(const json_t *object, const char *name, size_t max, struct error *err);
const json_t *fields_array(const json_t *object, const char *name, size_t max, struct error *err);

/* 0 or -ENOMEM; `value` is taken (NULL counts as -ENOMEM). */
int fields_put(json_t *object, const char *name, json_t *value);
int fields_put_hex(json_t *object, const char *name, const void *data, size_t len);
int fields_put_now(json_t *object, const char *name); /* the wall clock, RFC 3339, UTC */

/* Copies untrusted text for a message: control bytes and bytes above ASCII become '?', what is too
 * long is cut. */
void fields_printable(char *out, size_t size, const char *text);

#endif
