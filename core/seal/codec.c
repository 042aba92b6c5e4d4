/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Compression never fails and never grows anything: what does not fit into 31/32 of the plain
 * length, or cannot be tried for want of memory, is stored raw. Contexts are cached per thread and
 * used within one call only.
 */
#include "core/seal/codec.h"

#include "core/base/bytes.h"
#include "core/base/cleanup.h"

#include <assert.h>
#include <lz4.h>
#include <stdlib.h>
#include <threads.h>
#include <zstd.h>

#define COMPRESS_MIN 32u	/* bytes; below, a codec cannot win */
#define GATHER_KEEP 65536u	/* bytes of gathering buffer that a thread keeps: one frame */
#define CONTEXT_KEEP (4u << 20) /* bytes; larger zstd contexts are freed after use */
#define ZSTD_WINDOW_LOG 20	/* bounds the memory of the highest levels to some 20 MiB */
#define SAMPLE_MIN 4096u	/* bytes; shorter input is simply tried */
#define SAMPLE_STRETCHES 16u
#define SAMPLE_STRETCH 128u /* bytes */
#define SAMPLE_WINDOW 8192u /* bytes */
#define ZSTD_LEVEL_MAX 22

struct thread_cache {
	void *lz4;
	ZSTD_CCtx *compress;
	ZSTD_DCtx *decompress;
	uint8_t *gather; /* GATHER_KEEP bytes */
	bool registered; /* the destructor will run */
};

static tss_t thread_end;
static bool thread_end_works;
static _Thread_local struct thread_cache thread_cache;

static void free_cache(void *arg)
{
	struct thread_cache *c = arg;

	free(c->lz4);
	ZSTD_freeCCtx(c->compress);
	ZSTD_freeDCtx(c->decompress);
	free(c->gather);
	*c = (struct thread_cache){0};
}

__attribute__((constructor)) static void codec_setup(void)
{
	thread_end_works = tss_create(&thread_end, free_cache) == thrd_success;
}

/* NULL on ENOMEM. */
static struct thread_cache *cache_get(void)
{
	struct thread_cache *c = &thread_cache;

	if (c->registered)
		return c;
	if (!thread_end_works || tss_set(thread_end, c) != thrd_success)
		return NULL;
	c->registered = true;
	return c;
}

int codec_parse(const char *name, struct codec_choice *ret, struct error *err)
{
	unsigned level = 0;

	if (strcmp(name, "auto") == 0 || strcmp(name, "lz4") == 0) {
		*ret = (struct codec_choice){.codec = CODEC_LZ4};
		return 0;
	}
	if (strcmp(name, "none") == 0) {
		*ret = (struct codec_choice){.codec = CODEC_RAW};
		return 0;
	}
	if (strncmp(name, "zstd-", 5) == 0 && name[5] != '0') {
		const char *p = name + 5;

		while (*p >= '0' && *p <= '9' && level <= ZSTD_LEVEL_MAX)
			level = level * 10 + (unsigned)(*p++ - '0');
		if (*p == '\0' && level >= 1 && level <= ZSTD_LEVEL_MAX) {
			*ret = (struct codec_choice){.codec = CODEC_ZSTD, .level = (int)level};
			return 0;
		}
	}
	return error_set(err, -EINVAL,
		"unknown compression \"%.40s\" (known: auto, lz4, zstd-1 to zstd-22, none)", name);
}

size_t codec_bound(size_t plain_len)
{
	return CODEC_HEADER_BYTES + plain_len;
}

/*
 * Whether the bytes are spread as evenly as random ones: pairs of equal bytes among the sample,
 * against what chance gives. 8 % more is worth less than the 1/32 that an entropy coder must save.
 */
static bool looks_random(const uint8_t *p, size_t len)
{
	const unsigned n = SAMPLE_STRETCHES * SAMPLE_STRETCH;
	unsigned count[256] = {0}, pairs = 0;

	for (unsigned i = 0; i < SAMPLE_STRETCHES; i++) {
		const uint8_t *q = p + (len - SAMPLE_STRETCH) / (SAMPLE_STRETCHES - 1) * i;

		for (unsigned j = 0; j < SAMPLE_STRETCH; j++)
			count[q[j]]++;
	}
	for (unsigned i = 0; i < 256; i++)
		pairs += count[i] * count[i];
	unsigned chance = n + n / 256 * n;

	return pairs < chance + chance / 12;
}

/* Bytes written to `out`, 0 when they are more than `room`. */
static size_t lz4_pack(
	struct thread_cache *c, const uint8_t *p, size_t len, uint8_t *out, size_t room)
{
	if (!c->lz4)
		c->lz4 = malloc((size_t)LZ4_sizeofState());
	if (!c->lz4)
		return 0;
	int n = LZ4_compress_fast_extState(
		c->lz4, (const char *)p, (char *)out, (int)len, (int)room, 1);

	return n > 0 ? (size_t)n : 0;
}

static size_t zstd_pack(
	struct thread_cache *c, int level, const uint8_t *p, size_t len, uint8_t *out, size_t room)
{
	if (!c->compress)
		c->compress = ZSTD_createCCtx();
	if (!c->compress)
		return 0;
	(void)ZSTD_CCtx_reset(c->compress, ZSTD_reset_session_and_parameters);
	(void)ZSTD_CCtx_setParameter(c->compress, ZSTD_c_compressionLevel, level);
	(void)ZSTD_CCtx_setParameter(c->compress, ZSTD_c_windowLog, ZSTD_WINDOW_LOG);
	size_t n = ZSTD_compress2(c->compress, out, room, p, len);

	if (ZSTD_sizeof_CCtx(c->compress) > CONTEXT_KEEP) {
		ZSTD_freeCCtx(c->compress);
		c->compress = NULL;
	}
	return ZSTD_isError(n) ? 0 : n;
}

/*
 * Evenly spread bytes may still repeat, which the middle of them shows if it is so at short
 * distance. `out` is scratch of `len` bytes.
 */
static bool incompressible(struct thread_cache *c, const uint8_t *p, size_t len, uint8_t *out)
{
	if (len < SAMPLE_MIN || !looks_random(p, len))
		return false;
	size_t window = len < SAMPLE_WINDOW ? len : SAMPLE_WINDOW;

	return lz4_pack(c, p + (len - window) / 2, window, out, window - window / 32) == 0;
}

/* Compresses to `out`, which has room for `len` bytes. 0: store it raw. */
static size_t compress(struct thread_cache *c, struct codec_choice choice, const uint8_t *p,
	size_t len, uint8_t *out)
{
	size_t room = len - (len + 31) / 32;

	if (incompressible(c, p, len, out))
		return 0;
	switch (choice.codec) {
	case CODEC_RAW:
		break;
	case CODEC_LZ4:
		return lz4_pack(c, p, len, out, room);
	case CODEC_ZSTD:
		return zstd_pack(c, choice.level, p, len, out, room);
	}
	return 0;
}

static void copy_slices(const struct slice *plain, size_t nplain, uint8_t *out)
{
	for (size_t i = 0; i < nplain; i++) {
		if (plain[i].len)
			memcpy(out, plain[i].data, plain[i].len);
		out += plain[i].len;
	}
}

/* Brings the slices together, which both codecs need, and compresses. 0: store it raw. */
static size_t compress_slices(struct codec_choice choice, const struct slice *plain, size_t nplain,
	size_t len, uint8_t *out)
{
	struct thread_cache *c = cache_get();
	CLEANUP(free_p) uint8_t *large = NULL;
	uint8_t *together;

	if (!c)
		return 0;
	if (nplain == 1)
		return compress(c, choice, plain[0].data, len, out);
	if (len <= GATHER_KEEP) {
		if (!c->gather)
			c->gather = malloc(GATHER_KEEP);
		together = c->gather;
	} else {
		large = malloc(len);
		together = large;
	}
	if (!together)
		return 0;
	copy_slices(plain, nplain, together);
	return compress(c, choice, together, len, out);
}

int64_t codec_pack(
	struct codec_choice choice, const struct slice *plain, size_t nplain, uint8_t *out)
{
	size_t len = 0, payload = 0;

	for (size_t i = 0; i < nplain; i++)
		len += plain[i].len;
	assert(len <= CODEC_PLAIN_MAX);
	if (choice.codec != CODEC_RAW && len >= COMPRESS_MIN)
		payload = compress_slices(choice, plain, nplain, len, out + CODEC_HEADER_BYTES);
	if (payload == 0) {
		choice.codec = CODEC_RAW;
		payload = len;
		copy_slices(plain, nplain, out + CODEC_HEADER_BYTES);
	}
	out[0] = (uint8_t)choice.codec;
	out[1] = (uint8_t)len;
	out[2] = (uint8_t)(len >> 8);
	out[3] = (uint8_t)(len >> 16);
	return (int64_t)(CODEC_HEADER_BYTES + payload);
}

int64_t codec_plain_len(struct slice packed)
{
	if (packed.len < CODEC_HEADER_BYTES || packed.data[0] > CODEC_ZSTD)
		return -EBADMSG;
	uint32_t len = (uint32_t)packed.data[1] | (uint32_t)packed.data[2] << 8 |
		       (uint32_t)packed.data[3] << 16;
	size_t payload = packed.len - CODEC_HEADER_BYTES;

	if (packed.data[0] == CODEC_RAW ? payload != len : (len == 0 || payload >= len))
		return -EBADMSG;
	return len;
}

static int zstd_unpack(struct slice payload, uint8_t *out, size_t plain_len)
{
	struct thread_cache *c = cache_get();

	/* Exactly one frame: the library itself would also skip foreign frames and join several. */
	if (payload.len < 4 || get_le32(payload.data) != ZSTD_MAGICNUMBER ||
		ZSTD_findFrameCompressedSize(payload.data, payload.len) != payload.len)
		return -EBADMSG;
	if (c && !c->decompress)
		c->decompress = ZSTD_createDCtx();
	if (!c || !c->decompress)
		return -ENOMEM;
	size_t n = ZSTD_decompressDCtx(c->decompress, out, plain_len, payload.data, payload.len);

	return n == plain_len ? 0 : -EBADMSG;
}

int codec_unpack(struct slice packed, uint8_t *out, size_t plain_len)
{
	int64_t said = codec_plain_len(packed);

	if (said < 0 || (uint64_t)said != plain_len)
		return -EBADMSG;
	struct slice payload =
		SLICE(packed.data + CODEC_HEADER_BYTES, packed.len - CODEC_HEADER_BYTES);

	switch ((enum codec)packed.data[0]) {
	case CODEC_RAW:
		if (plain_len)
			memcpy(out, payload.data, plain_len);
		return 0;
	case CODEC_LZ4:
		if (LZ4_decompress_safe((const char *)payload.data, (char *)out, (int)payload.len,
			    (int)plain_len) != (int)plain_len)
			return -EBADMSG;
		return 0;
	case CODEC_ZSTD:
		return zstd_unpack(payload, out, plain_len);
	}
	return -EBADMSG;
}
