/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_SIZES_H
#define CORE_BASE_SIZES_H
/* Sizes as people write them. Pure. */
#include <stddef.h>
#include <stdint.h>

#define SIZE_TEXT_MAX 16 /* bytes, terminator included */

/*
 * "4096", "512M", "10GiB", "1.5 G": a decimal number, perhaps a fraction, perhaps blanks, a unit in
 * any case. K M G T P E and KiB MiB ... are powers of 1024, KB MB ... powers of 1000, B is a byte.
 * Parts of a byte are cut off. 0; -EINVAL (not a size), -ERANGE (2^64 or more).
 */
int size_parse(const char *text, uint64_t *ret_bytes);

/* "0 B", "1023 B", "1.5 GiB", "16 EiB": at most one decimal, rounded. Returns `text`. */
const char *size_format(char text[SIZE_TEXT_MAX], uint64_t bytes);

#endif
