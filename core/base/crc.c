/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CRC-32C by the processor's instruction where it has one (x86 SSE 4.2), else by eight tables. */
#include "core/base/crc.h"

#include "core/base/bytes.h"

#define POLYNOMIAL 0x82f63b78u /* bits reversed */

/* tables[k][b]: what byte b, followed by k zero bytes, does to the checksum. */
static uint32_t tables[8][256];

/* Before main, so no thread ever sees a half-built table. */
__attribute__((constructor)) static void build_tables(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint32_t crc = b;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		tables[0][b] = crc;
	}
	for (int k = 1; k < 8; k++)
		for (uint32_t b = 0; b < 256; b++) {
			uint32_t prev = tables[k - 1][b];

			tables[k][b] = prev >> 8 ^ tables[0][prev & 0xff];
		}
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;

	crc = ~crc;
	for (; len >= 8; p += 8, len -= 8) {
		uint64_t v = get_le64(p) ^ crc;

		crc = 0;
		for (int k = 0; k < 8; k++)
			crc ^= tables[7 - k][v >> (8 * k) & 0xff];
	}
	for (; len; len--)
		crc = crc >> 8 ^ tables[0][(crc ^ *p++) & 0xff];
	return ~crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse(
	uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t wide = ~crc;

	for (; len >= 8; p += 8, len -= 8)
		wide = __builtin_ia32_crc32di(wide, get_le64(p));
	uint32_t narrow = (uint32_t)wide;

	for (; len; len--)
		narrow = __builtin_ia32_crc32qi(narrow, *p++);
	return ~narrow;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_sse(crc, data, len);
	return crc32c_portable(crc, data, len);
}
#else
uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	return crc32c_portable(crc, data, len);
}
#endif
