/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_FILTER_H
#define CORE_INDEX_FILTER_H
/*
 * Blocked Bloom filter of a table: all bits of a key lie in one line of 64 bytes (docs/format.md
 * "Table"). The hash is part of the format and pinned by golden values in its test. Pure functions.
 */
#include "core/index/record.h"

#define FILTER_LINE_BYTES 64
#define FILTER_BITS_PER_KEY 10
#define FILTER_PROBES 6
#define FILTER_LINES_MAX 262143 /* so that the part stays below CODEC_PLAIN_MAX */

uint64_t filter_hash(struct slice key);
/* Appends the filter of `n` hashes (order and repetition do not matter). 0, -ENOMEM. */
int filter_build(const uint64_t *hashes, size_t n, struct buf *out);
/* 0 or -EBADMSG: count and length do not fit. A filter of no lines holds nothing. */
int filter_check(struct slice filter);
/* Of a filter that passed filter_check: false = the key is certainly not there. */
bool filter_has(struct slice filter, uint64_t hash);

#endif
