/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_HEX_H
#define CORE_BASE_HEX_H
/*
 * Bytes and numbers as lower-case hexadecimal digits. Decoding takes exactly what encoding gives:
 * the right number of digits and no capitals, so that equal values have equal texts. Pure
 * functions.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEX_U64_DIGITS 16

/* Writes 2 * len digits and a terminator. */
void hex_encode(const void *data, size_t len, char *out);
/* Reads `text_len` characters, which must be 2 * len digits. False (and `out` worthless) otherwise.
 */
bool hex_decode(const char *text, size_t text_len, void *out, size_t len);
/* 16 digits and a terminator, so that names sort as the numbers do. */
void hex_encode_u64(uint64_t v, char out[HEX_U64_DIGITS + 1]);
/* `text_len` must be 16, all digits. False otherwise. */
bool hex_decode_u64(const char *text, size_t text_len, uint64_t *ret);

#endif
