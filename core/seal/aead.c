/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two implementations of the same bytes. libcrypto is about three times as fast as libsodium where
 * the processor has wide vectors, but it may be built or configured without the cipher; libsodium
 * always has it. A cached context is used within one call only, never across a wait.
 */
#include "core/seal/aead.h"

#include "core/base/bytes.h"

#include <assert.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdatomic.h>
#include <threads.h>

#define NONCE_BYTES 12

static_assert(AEAD_KEY_BYTES == crypto_core_hchacha20_KEYBYTES, "key size");
static_assert(AEAD_KEY_BYTES == crypto_core_hchacha20_OUTPUTBYTES, "key size");
static_assert(AEAD_SALT_BYTES == crypto_core_hchacha20_INPUTBYTES, "salt size");
static_assert(AEAD_TAG_BYTES == crypto_aead_chacha20poly1305_ietf_ABYTES, "tag size");

static tss_t thread_end; /* its destructor frees the context of a thread that ends */
static bool thread_end_works;
static _Thread_local EVP_CIPHER_CTX *thread_context;
static EVP_CIPHER *cipher; /* NULL: libcrypto does not offer it */
static _Atomic bool evp_disabled;

static void free_context(void *context)
{
	EVP_CIPHER_CTX_free(context);
	thread_context = NULL;
}

__attribute__((constructor)) static void aead_setup(void)
{
	int r = sodium_init(); /* picks the fast code; without it the portable one runs */

	(void)r;
	/* Now, and not with the first frame: what libcrypto cannot set up for want of memory it
	 * uses all the same. */
	if (OPENSSL_init_crypto(0, NULL) == 1)
		cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	if (!cipher)
		ERR_clear_error();
	atomic_init(&evp_disabled, !cipher);
	thread_end_works = tss_create(&thread_end, free_context) == thrd_success;
}

/* The calling thread's context with the cipher in place, or NULL: use libsodium. */
static EVP_CIPHER_CTX *context_get(void)
{
	if (atomic_load_explicit(&evp_disabled, memory_order_relaxed))
		return NULL;
	if (thread_context || !thread_end_works)
		return thread_context;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	bool ok = c && EVP_CIPHER_get_iv_length(cipher) == NONCE_BYTES &&
		  EVP_CipherInit_ex2(c, cipher, NULL, NULL, 1, NULL) == 1 &&
		  tss_set(thread_end, c) == thrd_success;

	if (!ok) {
		EVP_CIPHER_CTX_free(c);
		ERR_clear_error();
		return NULL;
	}
	thread_context = c;
	return c;
}

enum aead_engine aead_engine(void)
{
	return context_get() ? AEAD_LIBCRYPTO : AEAD_LIBSODIUM;
}

void aead_use(enum aead_engine engine)
{
	atomic_store_explicit(&evp_disabled, engine == AEAD_LIBSODIUM, memory_order_relaxed);
}

void aead_object_init(struct aead_object *o, const uint8_t subkey[AEAD_KEY_BYTES],
	const uint8_t salt[AEAD_SALT_BYTES])
{
	(void)crypto_core_hchacha20(o->key, salt, subkey, NULL); /* always 0 */
}

/* XChaCha20's nonce is salt || ordinal; what is left for the inner cipher is 00000000 || ordinal.
 */
static void make_nonce(uint8_t nonce[NONCE_BYTES], uint64_t ordinal)
{
	put_le32(nonce, 0);
	put_le64(nonce + 4, ordinal);
}

/* What this thread does next with TLS must not find our failure in libcrypto's queue. */
static int failed(int r)
{
	ERR_clear_error();
	return r;
}

/* Keys the context and feeds it everything but the tag. False: libcrypto failed. */
static bool evp_run(EVP_CIPHER_CTX *c, int encrypt, const struct aead_object *o,
	const uint8_t *nonce, struct slice aad, struct slice in, uint8_t *out)
{
	int n;

	if (EVP_CipherInit_ex2(c, NULL, o->key, nonce, encrypt, NULL) != 1)
		return false;
	if (aad.len && EVP_CipherUpdate(c, NULL, &n, aad.data, (int)aad.len) != 1)
		return false;
	return !in.len ||
	       (EVP_CipherUpdate(c, out, &n, in.data, (int)in.len) == 1 && (size_t)n == in.len);
}

/* 0, or -ENOMEM. */
static int evp_seal(EVP_CIPHER_CTX *c, const struct aead_object *o, const uint8_t *nonce,
	struct slice aad, struct slice plain, uint8_t *out)
{
	uint8_t none[1];
	int n;

	if (!evp_run(c, 1, o, nonce, aad, plain, out) || EVP_CipherFinal_ex(c, none, &n) != 1 ||
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_BYTES, out + plain.len) != 1)
		return failed(-ENOMEM);
	return 0;
}

/* 0, -EBADMSG, or -ENOMEM. */
static int evp_open(EVP_CIPHER_CTX *c, const struct aead_object *o, const uint8_t *nonce,
	struct slice aad, struct slice body, const uint8_t *tag, uint8_t *out)
{
	uint8_t none[1], tag_copy[AEAD_TAG_BYTES];
	int n;

	memcpy(tag_copy, tag, sizeof(tag_copy));
	if (!evp_run(c, 0, o, nonce, aad, body, out) ||
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_BYTES, tag_copy) != 1)
		return failed(-ENOMEM);
	return EVP_CipherFinal_ex(c, none, &n) == 1 ? 0 : failed(-EBADMSG);
}

int aead_seal(const struct aead_object *o, uint64_t ordinal, struct slice aad, struct slice plain,
	uint8_t *out)
{
	uint8_t nonce[NONCE_BYTES];
	EVP_CIPHER_CTX *c = context_get();

	assert(plain.len <= INT_MAX && aad.len <= INT_MAX);
	make_nonce(nonce, ordinal);
	if (c)
		return evp_seal(c, o, nonce, aad, plain, out);
	(void)crypto_aead_chacha20poly1305_ietf_encrypt_detached(out, out + plain.len, NULL,
		plain.data, plain.len, aad.data, aad.len, NULL, nonce, o->key); /* always 0 */
	return 0;
}

int aead_open(const struct aead_object *o, uint64_t ordinal, struct slice aad, struct slice sealed,
	uint8_t *out)
{
	uint8_t nonce[NONCE_BYTES];

	assert(aad.len <= INT_MAX);
	if (sealed.len < AEAD_TAG_BYTES || sealed.len > INT_MAX)
		return -EBADMSG;
	struct slice body = SLICE(sealed.data, sealed.len - AEAD_TAG_BYTES);
	const uint8_t *tag = sealed.data + body.len;
	EVP_CIPHER_CTX *c = context_get();

	make_nonce(nonce, ordinal);
	if (c)
		return evp_open(c, o, nonce, aad, body, tag, out);
	if (crypto_aead_chacha20poly1305_ietf_decrypt_detached(
		    out, NULL, body.data, body.len, tag, aad.data, aad.len, nonce, o->key) != 0)
		return -EBADMSG;
	return 0;
}
