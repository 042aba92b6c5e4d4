/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_SEAL_KEY_FILE_INTERNAL_H
#define CORE_SEAL_KEY_FILE_INTERNAL_H
/* What reading (key_file.c) and making (key_file_make.c) a key file share. Pure functions. */
#include "core/seal/key_file.h"

#define WRAP_AAD_MAX (VOLUME_ID_BYTES + 8)

/* AAD of a wrapped key; `ring_id` 0 for slots. Returns its length. */
size_t wrap_aad(uint8_t aad[WRAP_AAD_MAX], const uint8_t volume[VOLUME_ID_BYTES], const char *label,
	uint32_t ring_id);
/* Argon2id with the costs and salt of the slot, which are within the limits. Expensive. 0 or
 * -ENOMEM. */
int derive_password_key(
	const char *password, const struct key_slot *s, uint8_t ret[AEAD_KEY_BYTES]);
/* The MAC over header and JSON. */
void key_file_mac(
	const uint8_t master[MASTER_BYTES], struct slice what, uint8_t mac[KEYS_MAC_BYTES]);

#endif
