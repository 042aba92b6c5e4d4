/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/data/segments.h"

#include "core/base/list.h"
#include "core/base/thread.h"
#include "core/data/fold.h"
#include "core/data/keyspace.h"
#include "core/log/segment.h"
#include "core/seal/envelope.h"
#include "core/seal/secret.h"

#include <stdlib.h>

#define SLOTS 1024u

struct entry {
	struct entry *next;
	struct list queue; /* of those that are not held */
	uint64_t epoch, sequence;
	uint32_t key_id;
	bool held, used;
	uint8_t salt[AEAD_SALT_BYTES];
	struct aead_object key;
};

struct segments {
	/* immutable */
	struct index *index;
	struct store *store;
	const struct volume_keys *keys;
	struct mutex lock; /* RANK_CACHE */
	/* guarded by lock */
	struct entry *slots[SLOTS];
	struct list queue; /* second chance */
	size_t queued;
};

struct segments *segments_new(struct index *ix, struct store *store, const struct volume_keys *keys)
{
	struct segments *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->index = ix;
	s->store = store;
	s->keys = keys;
	mutex_init(&s->lock, RANK_CACHE);
	list_init(&s->queue);
	return s;
}

static void entry_free(struct entry *e)
{
	secret_wipe(&e->key, sizeof(e->key));
	free(e);
}

void segments_free(struct segments *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < SLOTS; i++) {
		struct entry *e = s->slots[i], *next;

		for (; e; e = next) {
			next = e->next;
			entry_free(e);
		}
	}
	mutex_done(&s->lock);
	free(s);
}

static struct entry **find_locked(struct segments *s, uint64_t epoch, uint64_t sequence)
{
	uint64_t h = (sequence ^ epoch * 0x9e3779b97f4a7c15ull) * 0xd1b54a32d192ed03ull;
	struct entry **at = &s->slots[h >> 54];

	mutex_assert_held(&s->lock);
	while (*at && ((*at)->epoch != epoch || (*at)->sequence != sequence))
		at = &(*at)->next;
	return at;
}

static void trim_locked(struct segments *s)
{
	while (s->queued > SEGMENTS_CACHED_MAX) {
		struct entry *e = list_first(&s->queue, struct entry, queue);

		list_move_back(&s->queue, &e->queue);
		if (e->used) {
			e->used = false;
			continue;
		}
		list_remove(&e->queue);
		s->queued--;
		*find_locked(s, e->epoch, e->sequence) = e->next;
		entry_free(e);
	}
}

/* Puts `e` in, taking it; what is there already wins but for its key. */
static void insert_locked(struct segments *s, struct entry *e)
{
	struct entry **at = find_locked(s, e->epoch, e->sequence);

	if (*at) {
		(*at)->key = e->key;
		(*at)->key_id = e->key_id;
		entry_free(e);
		return;
	}
	*at = e;
	if (!e->held) {
		list_push_back(&s->queue, &e->queue);
		s->queued++;
		trim_locked(s);
	}
}

static struct entry *entry_new(
	uint64_t epoch, uint64_t sequence, const uint8_t salt[AEAD_SALT_BYTES])
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	list_init(&e->queue);
	e->epoch = epoch;
	e->sequence = sequence;
	memcpy(e->salt, salt, sizeof(e->salt));
	return e;
}

int segments_hold(struct segments *s, uint64_t epoch, uint64_t sequence,
	const uint8_t salt[AEAD_SALT_BYTES], const struct aead_object *key)
{
	mutex_lock(&s->lock);
	bool known = *find_locked(s, epoch, sequence) != NULL;

	mutex_unlock(&s->lock);
	if (known)
		return 0;
	struct entry *e = entry_new(epoch, sequence, salt);

	if (!e)
		return -ENOMEM;
	e->held = true;
	e->key = *key;
	e->key_id = keys_current(s->keys);
	mutex_lock(&s->lock);
	insert_locked(s, e);
	mutex_unlock(&s->lock);
	return 0;
}

void segments_release(struct segments *s, uint64_t epoch, uint64_t sequence)
{
	MUTEX_GUARD(&s->lock);
	struct entry *e = *find_locked(s, epoch, sequence);

	if (!e || !e->held)
		return;
	e->held = false;
	e->used = true;
	list_push_back(&s->queue, &e->queue);
	s->queued++;
	trim_locked(s);
}

/* Makes the key from the salt under one key of the ring. */
static int derive(struct segments *s, struct entry *e, uint32_t key_id)
{
	uint8_t subkey[AEAD_KEY_BYTES];
	int r = keys_subkey(s->keys, key_id, SUBKEY_SEGMENT, subkey);

	if (r < 0)
		return r;
	aead_object_init(&e->key, subkey, e->salt);
	secret_wipe(subkey, sizeof(subkey));
	e->key_id = key_id;
	return 0;
}

int segments_salt(struct segments *s, uint64_t epoch, uint64_t sequence,
	uint8_t ret[AEAD_SALT_BYTES], struct error *err)
{
	struct key k = key_segment(epoch, sequence);
	struct segment_record record;
	struct buf value = BUF_INIT;
	int r = index_get(s->index, GROUP_NOW, key_slice(&k), 0, &value, NULL, err);

	if (r == 0)
		r = segment_record_decode(buf_slice(&value), &record);
	buf_done(&value);
	if (r == -ENOENT || r == -EBADMSG || (r == 0 && !record.has_base))
		return error_set(err, -EBADMSG, "segment %016llx/%016llx has no usable record",
			(unsigned long long)epoch, (unsigned long long)sequence);
	if (r == 0)
		memcpy(ret, record.salt, AEAD_SALT_BYTES);
	return r;
}

int segments_key(struct segments *s, uint64_t epoch, uint64_t sequence, struct aead_object *ret,
	struct error *err)
{
	uint8_t salt[AEAD_SALT_BYTES];

	mutex_lock(&s->lock);
	struct entry *e = *find_locked(s, epoch, sequence);

	if (e) {
		e->used = true;
		*ret = e->key;
	}
	mutex_unlock(&s->lock);
	if (e)
		return 0;
	int r = segments_salt(s, epoch, sequence, salt, err);

	if (r < 0)
		return r;
	e = entry_new(epoch, sequence, salt);
	if (!e)
		return error_set(err, -ENOMEM, "no memory for the key of a segment");
	r = derive(s, e, keys_current(s->keys));
	if (r < 0) {
		entry_free(e);
		return error_set(err, r, "the key ring has no current key");
	}
	*ret = e->key;
	mutex_lock(&s->lock);
	insert_locked(s, e);
	mutex_unlock(&s->lock);
	return 0;
}

int segments_rekey(struct segments *s, uint64_t epoch, uint64_t sequence, struct error *err)
{
	uint8_t raw[HEADER_BYTES], salt[AEAD_SALT_BYTES];
	struct envelope envelope;
	char name[64];
	size_t len;
	int r = segments_salt(s, epoch, sequence, salt, err);

	if (r < 0)
		return r;
	log_key(name, epoch, sequence);
	r = store_get(s->store, name, 0, raw, sizeof(raw), &len, NULL, err);
	if (r == 0)
		r = envelope_open(s->keys, SLICE(raw, len), 1u << OBJECT_SEGMENT, epoch, sequence,
			salt, &envelope, err);
	if (r < 0)
		return r;
	struct entry *e = entry_new(epoch, sequence, salt);

	if (!e)
		return error_set(err, -ENOMEM, "no memory for the key of a segment");
	e->key = envelope.key;
	e->key_id = envelope.header.key_id;
	secret_wipe(&envelope.key, sizeof(envelope.key));
	mutex_lock(&s->lock);
	struct entry *old = *find_locked(s, epoch, sequence);

	r = e->key_id != (old ? old->key_id : keys_current(s->keys));
	insert_locked(s, e);
	mutex_unlock(&s->lock);
	return r;
}
