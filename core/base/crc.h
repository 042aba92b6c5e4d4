/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_CRC_H
#define CORE_BASE_CRC_H
/*
 * CRC-32C (Castagnoli, polynomial 0x1EDC6F41 reflected; RFC 3720 appendix B.4 has test values).
 * Finds accidents, not attackers. Thread-safe.
 */
#include <stddef.h>
#include <stdint.h>

/* The checksum of what `crc` covers followed by `len` bytes; begin with 0. `data` may be NULL when
 * `len` is 0. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The same by tables only: what machines without the instruction use. For tests. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
