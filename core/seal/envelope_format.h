/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_SEAL_ENVELOPE_FORMAT_H
#define CORE_SEAL_ENVELOPE_FORMAT_H
/* The header of every object but zerofs.json, as offsets (docs/format.md "Header"). */

/* 0x8f, so that no text editor takes it for text; a line feed at the end, so that a conversion of
 * line ends shows. */
#define HEADER_MAGIC "\x8fZEROFS\n"

#define HEADER_OFF_MAGIC 0	/* 8 */
#define HEADER_OFF_KIND 8	/* 1 */
#define HEADER_OFF_VERSION 9	/* 1 */
#define HEADER_OFF_CIPHER 10	/* 1 */
#define HEADER_OFF_KEY_ID 12	/* 4, after one reserved */
#define HEADER_OFF_VOLUME 16	/* 16 */
#define HEADER_OFF_SALT 32	/* 16 */
#define HEADER_OFF_A 48		/* 8 */
#define HEADER_OFF_B 56		/* 8 */
#define HEADER_OFF_INCOMPAT 64	/* 4 */
#define HEADER_OFF_RO_COMPAT 68 /* 4 */
#define HEADER_OFF_COMPAT 72	/* 4 */
#define HEADER_OFF_CRC 92	/* 4, after 16 reserved: crc32c of what lies before */

#define HEADER_VERSION 1 /* of every kind */
#define HEADER_CIPHER_XCHACHA 1
#define HEADER_INCOMPAT_KNOWN 0u /* bits that this version understands */
#define HEADER_RO_COMPAT_KNOWN 0u

/* AAD of a sealed part: header, ordinal (8), plain length or 0 (4). */
#define PART_AAD_BYTES (HEADER_BYTES + 12)

#endif
