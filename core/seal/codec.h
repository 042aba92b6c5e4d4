/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_SEAL_CODEC_H
#define CORE_SEAL_CODEC_H
/* Packed parts (docs/format.md "Sealing"): codec byte, 3 bytes plain length, payload. Thread-safe.
 */
#include "core/base/buf.h"
#include "core/base/error.h"

enum codec { CODEC_RAW = 0, CODEC_LZ4 = 1, CODEC_ZSTD = 2 };

#define CODEC_HEADER_BYTES 4
#define CODEC_PLAIN_MAX ((1u << 24) - 1)

struct codec_choice {
	enum codec codec;
	int level; /* zstd 1..22; ignored otherwise */
};

/* "auto" (= lz4), "lz4", "none", "zstd-N". 0, or -EINVAL naming what is known. */
int codec_parse(const char *name, struct codec_choice *ret, struct error *err);
/* Most bytes that codec_pack can write for `plain_len`. */
size_t codec_bound(size_t plain_len);
/*
 * Packs `plain` (0..CODEC_PLAIN_MAX bytes, may come in several slices) into `out`, of codec_bound()
 * bytes. Falls back to raw where the choice does not save at least 1/32; incompressible input is
 * detected cheaply on a sample before the codec sees all of it. Returns the bytes written, or
 * -ENOMEM.
 */
int64_t codec_pack(
	struct codec_choice choice, const struct slice *plain, size_t nplain, uint8_t *out);
/* Plain length that the packed part says, or -EBADMSG. */
int64_t codec_plain_len(struct slice packed);
/* Unpacks into `out` of exactly `plain_len` bytes. -EBADMSG when anything does not fit; -ENOMEM. */
int codec_unpack(struct slice packed, uint8_t *out, size_t plain_len);

#endif
