/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Claims and heartbeats as objects, and what an observer concludes from them. All of it is liveness
 * and discovery: a wrong conclusion costs time, or a writer its epoch, never data (rules T and L
 * keep those).
 */
#include "core/log/epoch_internal.h"

#include "core/base/cleanup.h"
#include "core/base/hex.h"
#include "core/seal/envelope.h"
#include "core/seal/fields.h"

#include <stdio.h>
#include <stdlib.h>

#define HEARTBEAT_SUFFIX ".alive"
#define CREATE_ATTEMPTS 8
#define CREATE_PAUSE_MS 200
#define OBSERVE_STEP_MS 1000
#define SILENCE_DEFAULT_MS                                                                         \
	30000 /* of a claim without a heartbeat: its owner has only just begun, or died at once */
#define CLAIMS_WALK_MAX 64 /* claims looked at by claims_all_over; more: in doubt */

static const struct codec_choice raw_codec = {.codec = CODEC_RAW};
static const char *const state_names[] = {
	[HEARTBEAT_ALIVE] = "alive",
	[HEARTBEAT_CLOSING] = "closing",
	[HEARTBEAT_RELEASED] = "released",
};

/* ---- names ---- */

void claim_key(char out[WRITER_KEY_MAX], uint64_t epoch)
{
	(void)snprintf(
		out, WRITER_KEY_MAX, WRITER_PREFIX "%016llx", (unsigned long long)epoch); /* fits */
}

void heartbeat_key(char out[WRITER_KEY_MAX], uint64_t epoch)
{
	(void)snprintf(out, WRITER_KEY_MAX, WRITER_PREFIX "%016llx" HEARTBEAT_SUFFIX,
		(unsigned long long)epoch); /* fits */
}

bool claim_key_parse(const char *key, uint64_t *ret_epoch)
{
	size_t prefix = strlen(WRITER_PREFIX);
	uint64_t epoch;

	if (strncmp(key, WRITER_PREFIX, prefix) != 0 ||
		!hex_decode_u64(key + prefix, strlen(key + prefix), &epoch) || epoch == 0 ||
		epoch > EPOCH_MAX)
		return false;
	*ret_epoch = epoch;
	return true;
}

int claims_list(struct store *s, uint64_t after, uint64_t **ret, size_t *ret_n, struct error *err)
{
	struct store_list names = {0};
	char after_key[WRITER_KEY_MAX];
	uint64_t *epochs;
	size_t n = 0;

	claim_key(after_key, after);
	int r = store_list_all(s, WRITER_PREFIX, after > 0 ? after_key : NULL, &names, err);

	if (r < 0)
		return r;
	epochs = calloc(names.n ? names.n : 1, sizeof(*epochs));
	for (size_t i = 0; epochs && i < names.n; i++)
		n += claim_key_parse(names.entries[i].key, &epochs[n]);
	store_list_done(&names);
	if (!epochs)
		return error_set(err, -ENOMEM, "no memory for a list of claims");
	*ret = epochs;
	*ret_n = n;
	return 0;
}

/* ---- bodies ---- */

/* A sealed JSON object under its own header. */
static int seal_json(const struct volume_keys *k, enum object_kind kind, uint64_t a, uint64_t b,
	uint64_t ordinal, const json_t *json, struct buf *out, struct error *err)
{
	struct buf plain = BUF_INIT;
	struct envelope e;
	int r = envelope_new(k, kind, a, b, &e, err);

	if (r < 0)
		return r;
	if (fields_encode(json, &plain) < 0 || buf_append(out, e.raw, HEADER_BYTES) < 0)
		r = error_set(err, -ENOMEM, "no memory for a claim");
	else
		r = part_seal(&e, ordinal, 0, raw_codec, buf_slice(&plain), out, err);
	buf_done(&plain);
	return r;
}

static int open_json(const struct envelope *e, uint64_t ordinal, struct slice object,
	const char *what, json_t **ret, struct error *err)
{
	struct buf plain = BUF_INIT;
	int r = part_open(e, ordinal, 0,
		SLICE(object.data + HEADER_BYTES, object.len - HEADER_BYTES), CLAIM_JSON_MAX,
		&plain, what, err);

	if (r == 0)
		r = fields_parse(buf_slice(&plain), ret, err);
	buf_done(&plain);
	return r;
}

static int encode_claim(const struct claim *c, json_t **ret)
{
	CLEANUP(json_decref_p) json_t *json = json_object();
	int r = json ? 0 : -ENOMEM;

	r = r < 0 ? r : fields_put_hex(json, "term", c->term, sizeof(c->term));
	r = r < 0 ? r : fields_put_hex(json, "holder", c->holder, sizeof(c->holder));
	r = r < 0 ? r : fields_put(json, "host", json_string(c->host));
	r = r < 0 ? r : fields_put(json, "boot_id", json_string(c->boot_id));
	r = r < 0 ? r : fields_put(json, "pid", json_integer(c->pid));
	r = r < 0 ? r : fields_put(json, "started", json_integer((json_int_t)c->started));
	r = r < 0 ? r : fields_put(json, "since", json_string(c->since));
	r = r < 0 ? r : fields_put(json, "endpoint", json_string(c->endpoint));
	r = r < 0 ? r : fields_put(json, "exclusive", json_boolean(c->exclusive));
	r = r < 0 ? r : fields_put(json, "wal", json_null());
	if (r == 0)
		*ret = TAKE(json);
	return r;
}

/* A text without control bytes: it will be shown to people. */
static int take_text(
	const json_t *json, const char *name, char *out, size_t size, struct error *err)
{
	const char *text = fields_text(json, name, size - 1, err);

	if (!text)
		return -EBADMSG;
	fields_printable(out, size, text);
	return 0;
}

static int decode_claim(const json_t *json, struct claim *c, struct error *err)
{
	const json_t *exclusive = json_object_get(json, "exclusive");
	uint64_t pid = 0;
	int r = fields_hex(json, "term", c->term, sizeof(c->term), err);

	r = r < 0 ? r : fields_hex(json, "holder", c->holder, sizeof(c->holder), err);
	r = r < 0 ? r : take_text(json, "host", c->host, sizeof(c->host), err);
	r = r < 0 ? r : take_text(json, "boot_id", c->boot_id, sizeof(c->boot_id), err);
	r = r < 0 ? r : fields_u64(json, "pid", 0, INT64_MAX, &pid, err);
	r = r < 0 ? r : fields_u64(json, "started", 0, INT64_MAX, &c->started, err);
	r = r < 0 ? r : take_text(json, "since", c->since, sizeof(c->since), err);
	r = r < 0 ? r : take_text(json, "endpoint", c->endpoint, sizeof(c->endpoint), err);
	if (r == 0 && !json_is_boolean(exclusive))
		r = error_set(
			err, -EBADMSG, "member \"exclusive\" is missing or not true or false");
	c->pid = (int64_t)pid;
	c->exclusive = json_is_true(exclusive);
	return r;
}

int claim_open(const struct volume_keys *k, uint64_t epoch, struct slice object, struct claim *ret,
	struct error *err)
{
	CLEANUP(json_decref_p) json_t *json = NULL;
	struct claim c = {.epoch = epoch};
	struct envelope e;
	int r = envelope_open(k, object, 1u << OBJECT_CLAIM, epoch, 0, NULL, &e, err);

	if (r == 0)
		r = open_json(&e, ORDINAL_CLAIM, object, "claim", &json, err);
	if (r == 0)
		r = decode_claim(json, &c, err);
	if (r == 0)
		*ret = c;
	return r;
}

static int decode_heartbeat(const json_t *json, struct heartbeat *ret)
{
	struct heartbeat b = {.state = HEARTBEAT_NONE};
	const char *state = fields_text(json, "state", 16, NULL);
	int r = fields_u64(json, "counter", 0, INT64_MAX, &b.counter, NULL);

	r = r < 0 ? r
		  : fields_u64(json, "silence", 1, HEARTBEAT_SILENCE_MAX_MS, &b.silence_ms, NULL);
	for (int i = HEARTBEAT_ALIVE; state && i <= HEARTBEAT_RELEASED; i++)
		if (strcmp(state, state_names[i]) == 0)
			b.state = (enum heartbeat_state)i;
	b.served = json_is_true(json_object_get(json, "served"));
	if (r < 0 || b.state == HEARTBEAT_NONE)
		return -EBADMSG;
	*ret = b;
	return 0;
}

/* The counter stands in the header, which the observer does not know beforehand. */
static int open_heartbeat(
	const struct volume_keys *k, uint64_t epoch, struct slice object, struct heartbeat *ret)
{
	CLEANUP(json_decref_p) json_t *json = NULL;
	struct header h;
	struct envelope e;
	int r = header_decode(object, &h, NULL);

	if (r == 0)
		r = envelope_open(k, object, 1u << OBJECT_HEARTBEAT, epoch, h.b, NULL, &e, NULL);
	if (r == 0)
		r = open_json(&e, ORDINAL_HEARTBEAT, object, "heartbeat", &json, NULL);
	if (r == 0)
		r = decode_heartbeat(json, ret);
	return r == 0 && ret->counter != h.b ? -EBADMSG : r;
}

/* ---- in the store ---- */

int claim_read(struct store *s, const struct volume_keys *k, uint64_t epoch, struct claim *ret,
	struct error *err)
{
	struct buf object = BUF_INIT;
	struct error why = {0};
	char key[WRITER_KEY_MAX];

	claim_key(key, epoch);
	int r = store_get_all(s, key, HEADER_BYTES + part_bound(CLAIM_JSON_MAX), &object, &why);

	if (r == 0)
		r = claim_open(k, epoch, buf_slice(&object), ret, &why);
	buf_done(&object);
	return r < 0 ? error_set(err, r, "%s: %s", key, error_text(&why, r)) : 0;
}

int heartbeat_read(struct store *s, const struct volume_keys *k, uint64_t epoch,
	struct heartbeat *ret, struct error *err)
{
	struct heartbeat none = {.state = HEARTBEAT_NONE}, beat = none;
	struct buf object = BUF_INIT;
	char key[WRITER_KEY_MAX];

	heartbeat_key(key, epoch);
	int r = store_get_all(s, key, HEADER_BYTES + part_bound(CLAIM_JSON_MAX), &object, err);
	bool authentic = r == 0 && open_heartbeat(k, epoch, buf_slice(&object), &beat) == 0;

	buf_done(&object);
	if (r < 0 && r != -ENOENT && r != -EBADMSG)
		return r;
	*ret = authentic ? beat : none;
	return 0;
}

int heartbeat_put(struct store *s, const struct volume_keys *k, uint64_t epoch,
	const struct heartbeat *beat, struct error *err)
{
	CLEANUP(json_decref_p) json_t *json = json_object();
	struct buf object = BUF_INIT;
	char key[WRITER_KEY_MAX];
	int r = json ? 0 : -ENOMEM;

	r = r < 0 ? r : fields_put(json, "counter", json_integer((json_int_t)beat->counter));
	r = r < 0 ? r : fields_put(json, "state", json_string(state_names[beat->state]));
	r = r < 0 ? r : fields_put(json, "silence", json_integer((json_int_t)beat->silence_ms));
	r = r < 0 ? r : fields_put(json, "served", json_boolean(beat->served));
	if (r < 0)
		return error_set(err, r, "no memory for a heartbeat");
	heartbeat_key(key, epoch);
	r = seal_json(
		k, OBJECT_HEARTBEAT, epoch, beat->counter, ORDINAL_HEARTBEAT, json, &object, err);
	if (r == 0)
		r = store_put(s, key, buf_slice(&object), err);
	buf_done(&object);
	return r;
}

int claim_newest(struct store *s, const struct volume_keys *k, struct claim *ret,
	struct heartbeat *ret_beat, struct error *err)
{
	struct error why = {0};
	int r = 0;

	for (unsigned i = 0; i < CREATE_ATTEMPTS; i++) {
		CLEANUP(free_p) uint64_t *epochs = NULL;
		size_t n;

		r = claims_list(s, 0, &epochs, &n, &why);
		if (r == 0 && n == 0) {
			*ret = (struct claim){0};
			*ret_beat = (struct heartbeat){.state = HEARTBEAT_NONE};
			return 0;
		}
		if (r == 0)
			r = claim_read(s, k, epochs[n - 1], ret, &why);
		if (r == 0)
			r = heartbeat_read(s, k, epochs[n - 1], ret_beat, &why);
		if (r != -ENOENT) /* else deleted under a newer one: look again */
			break;
	}
	return r < 0 ? error_set(err, r, "%s", error_text(&why, r)) : 0;
}

/*
 * T1. The object has a term and a salt of its own, so store_create tells our own earlier attempt
 * from somebody else's claim. One that was there and has gone was below the epoch of a manifest
 * (T8): lost, too.
 */
int claim_create(
	struct store *s, const struct volume_keys *k, const struct claim *c, struct error *err)
{
	CLEANUP(json_decref_p) json_t *json = NULL;
	struct buf object = BUF_INIT;
	struct error why = {0};
	char key[WRITER_KEY_MAX];
	int r = encode_claim(c, &json);

	if (r < 0)
		return error_set(err, r, "no memory for a claim");
	claim_key(key, c->epoch);
	r = seal_json(k, OBJECT_CLAIM, c->epoch, 0, ORDINAL_CLAIM, json, &object, err);
	for (unsigned i = 0; r == 0; i++) {
		struct slice part = buf_slice(&object);

		r = store_create(s, key, &part, 1, &why);
		if (r != -ETIMEDOUT || i == CREATE_ATTEMPTS)
			break;
		r = 0; /* the same bytes again */
		env_sleep_ms(CREATE_PAUSE_MS);
	}
	buf_done(&object);
	if (r == -EAGAIN)
		r = -EEXIST;
	if (r == -ETIMEDOUT)
		r = -EIO;
	return r < 0 ? error_set(err, r, "%s: %s", key, error_text(&why, r)) : 0;
}

/* ---- observing ---- */

static bool is_local(const struct claim *c, const struct identity *me)
{
	return me->boot_id[0] && strcmp(c->boot_id, me->boot_id) == 0 &&
	       strcmp(c->host, me->host) == 0;
}

static bool is_dead(const struct claim *c, const struct identity *me)
{
	return is_local(c, me) && me->is_gone(c->pid, c->started);
}

/* What is certain now. HOLDER_SILENT stands for "not certain". */
static enum holder_state state_now(
	const struct claim *c, const struct heartbeat *beat, const struct identity *me)
{
	if (c->epoch == 0 || beat->state == HEARTBEAT_RELEASED || is_dead(c, me))
		return HOLDER_NONE;
	if (beat->state == HEARTBEAT_CLOSING)
		return HOLDER_CLOSING;
	return is_local(c, me) ? HOLDER_ALIVE : HOLDER_SILENT;
}

/* What a watch has seen so far. */
struct watch {
	struct claim claim;
	struct heartbeat beat; /* the last one seen */
	uint64_t since_ns;     /* unchanged since */
	bool any;
};

/* True when the state is certain. A closing holder is watched on: it may release, or fall silent.
 */
static bool watch_look(struct watch *w, const struct claim *c, const struct heartbeat *beat,
	const struct identity *me, uint64_t now, enum holder_state *ret)
{
	uint64_t silence = beat->silence_ms ? beat->silence_ms : SILENCE_DEFAULT_MS;
	bool same = w->any && c->epoch == w->claim.epoch;
	bool moved = same && (beat->counter != w->beat.counter || beat->state != w->beat.state);

	*ret = state_now(c, beat, me);
	if (!same || moved)
		w->since_ns = now;
	w->claim = *c;
	w->beat = *beat;
	w->any = true;
	if (*ret == HOLDER_NONE || *ret == HOLDER_ALIVE)
		return true;
	if (now - w->since_ns >= silence * 1000000 && !is_local(c, me)) {
		*ret = HOLDER_SILENT;
		return true;
	}
	if (*ret == HOLDER_CLOSING)
		return false;
	*ret = HOLDER_ALIVE; /* it moved, or was not observed long enough */
	return moved;
}

int claim_observe(struct store *s, const struct volume_keys *k, const struct identity *me,
	uint64_t patience_ms, struct claim *ret, enum holder_state *ret_state, struct error *err)
{
	uint64_t begin = env_now_ns();
	struct watch w = {0};

	for (;;) {
		enum holder_state state;
		struct heartbeat beat;
		struct claim c;
		int r = claim_newest(s, k, &c, &beat, err);

		if (r < 0)
			return r;
		uint64_t now = env_now_ns();

		if (watch_look(&w, &c, &beat, me, now, &state) ||
			now - begin >= patience_ms * 1000000) {
			*ret = c;
			*ret_state = state;
			return 0;
		}
		env_sleep_ms(OBSERVE_STEP_MS);
	}
}

int claims_all_over(struct store *s, const struct volume_keys *k, const struct identity *me,
	uint64_t epoch, bool *ret_over, struct error *err)
{
	CLEANUP(free_p) uint64_t *epochs = NULL;
	size_t n, looked = 0;
	int r = claims_list(s, 0, &epochs, &n, err);

	if (r < 0)
		return r;
	while (n > 0 && epochs[n - 1] >= epoch)
		n--;
	for (; n > 0; n--, looked++) {
		struct heartbeat beat;
		struct claim c;

		if (looked == CLAIMS_WALK_MAX)
			break;
		r = claim_read(s, k, epochs[n - 1], &c, err);
		if (r == 0)
			r = heartbeat_read(s, k, epochs[n - 1], &beat, err);
		if (r == -ENOENT || r == -EBADMSG)
			break; /* in doubt */
		if (r < 0)
			return r;
		if (beat.state == HEARTBEAT_RELEASED && beat.served)
			n = 1; /* L3: it waited for all before it */
		else if (beat.state != HEARTBEAT_RELEASED && !is_dead(&c, me))
			break;
	}
	*ret_over = n == 0;
	return 0;
}
