/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DUMP_RECORD_H
#define CORE_DUMP_RECORD_H
/* One index record as one readable line. Pure. */
#include "core/index/record.h"

#include <stdio.h>

/* Writes "group op key: value" without a newline to `out`. What does not decode is said so, in hex.
 */
void dump_record(const struct record *r, FILE *out);
/* Bytes as text where they are printable, else as \xNN. */
void dump_bytes(struct slice s, FILE *out);

#endif
