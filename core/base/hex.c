/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/base/hex.h"

static const char digits[] = "0123456789abcdef";

void hex_encode(const void *data, size_t len, char *out)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++) {
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
	*out = '\0';
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool hex_decode(const char *text, size_t text_len, void *out, size_t len)
{
	uint8_t *p = out;

	if (text_len / 2 != len || text_len % 2 != 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		p[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

void hex_encode_u64(uint64_t v, char out[HEX_U64_DIGITS + 1])
{
	for (int i = HEX_U64_DIGITS - 1; i >= 0; i--) {
		out[i] = digits[v & 15];
		v >>= 4;
	}
	out[HEX_U64_DIGITS] = '\0';
}

bool hex_decode_u64(const char *text, size_t text_len, uint64_t *ret)
{
	uint64_t v = 0;

	if (text_len != HEX_U64_DIGITS)
		return false;
	for (size_t i = 0; i < HEX_U64_DIGITS; i++) {
		int d = digit_value(text[i]);

		if (d < 0)
			return false;
		v = v << 4 | (uint64_t)d;
	}
	*ret = v;
	return true;
}
