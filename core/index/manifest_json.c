/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The JSON of a manifest (docs/format.md "Manifest"). Writing has one form only: members in the
 * order of the format page, no spaces, so that equal manifests have equal bytes. Reading ignores
 * unknown members; what must not be ignored is announced as a feature. All numbers stay below 2^63,
 * which every JSON reader can hold.
 */
#include "core/index/manifest_internal.h"

#include "core/base/bytes.h"
#include "core/base/hex.h"
#include "core/index/record.h"
#include "core/seal/fields.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#define TABLE_ID_BYTES 16

/* ---- writing ---- */

/* After the first failure `failed` stays set, so a whole text may be written and tested once. */
struct out {
	struct buf *buf;
	bool failed;
};

static void out_bytes(struct out *o, const void *p, size_t n)
{
	if (!o->failed && buf_append(o->buf, p, n) < 0)
		o->failed = true;
}

__attribute__((format(printf, 2, 3))) static void out_f(struct out *o, const char *format, ...)
{
	char text[256];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof text)
		o->failed = true;
	else
		out_bytes(o, text, (size_t)n);
}

static void out_hex(struct out *o, const char *before, const uint8_t *p, size_t n)
{
	out_f(o, "%s\"", before);
	for (size_t i = 0; i < n; i += 32) {
		char text[2 * 32 + 1];
		size_t part = n - i < 32 ? n - i : 32;

		hex_encode(p + i, part, text);
		out_bytes(o, text, 2 * part);
	}
	out_bytes(o, "\"", 1);
}

static void out_id(struct out *o, const char *before, struct table_id id)
{
	out_f(o, "%s\"%016llx%016llx\"", before, (unsigned long long)id.job,
		(unsigned long long)id.counter);
}

static void out_number(struct out *o, const char *before, uint64_t v)
{
	out_f(o, "%s%llu", before, (unsigned long long)v);
}

static void out_place(struct out *o, const char *before, struct log_place p)
{
	out_number(o, before, p.epoch);
	out_number(o, ",", p.sequence);
	out_f(o, "]");
}

static void out_string(struct out *o, const char *before, const char *s)
{
	out_f(o, "%s\"", before);
	for (; *s; s++)
		if (*s == '"' || *s == '\\' || (unsigned char)*s < 0x20)
			out_f(o, "\\u%04x", (unsigned)*s);
		else
			out_bytes(o, s, 1);
	out_bytes(o, "\"", 1);
}

static void out_jobs(struct out *o, const struct manifest *m)
{
	out_f(o, ",\"jobs\":[");
	for (size_t i = 0; i < m->njobs; i++) {
		out_number(o, i ? ",{\"id\":" : "{\"id\":", m->jobs[i].id);
		out_f(o, ",\"kind\":\"%s\"", m->jobs[i].writer ? "writer" : "compactor");
		out_number(o, ",\"epoch\":", m->jobs[i].epoch);
		out_number(o, ",\"low\":", m->jobs[i].low);
		out_f(o, "}");
	}
	out_f(o, "]");
}

static void out_table(struct out *o, const struct table_meta *t)
{
	out_id(o, "{\"id\":", t->id);
	out_hex(o, ",\"salt\":", t->salt, sizeof t->salt);
	out_hex(o, ",\"digest\":", t->digest, sizeof t->digest);
	out_number(o, ",\"size\":", t->size);
	out_hex(o, ",\"first\":", t->first.data, t->first.len);
	out_hex(o, ",\"last\":", t->last.data, t->last.len);
	out_number(o, ",\"groups\":[", t->group_low);
	out_number(o, ",", t->group_high);
	out_number(o, "],\"added\":", t->added);
	out_f(o, "}");
}

static void out_levels(struct out *o, const struct manifest *m)
{
	unsigned levels = MANIFEST_LEVELS;

	while (levels && m->nlevel[levels - 1] == 0)
		levels--;
	out_f(o, ",\"levels\":[");
	for (unsigned level = 0; level < levels; level++) {
		out_f(o, level ? ",[" : "[");
		for (size_t i = 0; i < m->nlevel[level]; i++) {
			out_f(o, "%s", i ? "," : "");
			out_table(o, &m->levels[level][i]);
		}
		out_f(o, "]");
	}
	out_f(o, "]");
}

static void out_retired_and_pins(struct out *o, const struct manifest *m)
{
	out_f(o, ",\"retired\":[");
	for (size_t i = 0; i < m->nretired; i++) {
		out_id(o, i ? ",{\"id\":" : "{\"id\":", m->retired[i].id);
		out_number(o, ",\"number\":", m->retired[i].number);
		out_f(o, "}");
	}
	out_f(o, "],\"pins\":[");
	for (size_t i = 0; i < m->npins; i++) {
		out_number(o, i ? ",{\"id\":" : "{\"id\":", m->pins[i].id);
		out_string(o, ",\"name\":", m->pins[i].name);
		out_number(o, ",\"group\":", m->pins[i].group);
		out_number(o, ",\"created\":", m->pins[i].created);
		out_f(o, "}");
	}
	out_f(o, "]");
}

static void out_head(struct out *o, const struct manifest *m)
{
	out_number(o, "{\"number\":", m->number);
	out_hex(o, ",\"previous\":", m->previous, m->number == 1 ? 0 : sizeof m->previous);
	out_number(o, ",\"epoch\":", m->epoch);
	out_hex(o, ",\"term\":", m->term, sizeof m->term);
	out_f(o, ",\"ends\":[");
	for (size_t i = 0; i < m->nends; i++)
		out_place(o, i ? ",[" : "[", m->ends[i]);
	out_place(o, "],\"replay\":[", m->replay);
	out_number(o, ",\"last_group\":", m->last_group);
	out_number(o, ",\"settled\":", m->settled);
	out_number(o, ",\"next_job\":", m->next_job);
}

int manifest_encode(const struct manifest *m, struct buf *json, struct error *err)
{
	struct out o = {.buf = json};
	struct error why = {0};
	int r = manifest_check(m, &why);

	if (r == -EBADMSG)
		return error_set(err, -EINVAL, "refused to write a %s", why.text);
	if (r < 0)
		return error_set(err, r, "%s", error_text(&why, r));
	out_head(&o, m);
	out_jobs(&o, m);
	out_levels(&o, m);
	out_retired_and_pins(&o, m);
	out_number(&o, ",\"pin_generation\":", m->pin_generation);
	out_f(&o, ",\"wal\":null,\"features\":{\"incompatible\":[],\"read_only_compatible\":[],"
		  "\"compatible\":[]}}");
	if (o.failed)
		return error_set(err, -ENOMEM, "no memory for the manifest");
	if (json->len > MANIFEST_JSON_MAX)
		return error_set(err, -EFBIG, "the manifest would be larger than %u bytes",
			MANIFEST_JSON_MAX);
	return 0;
}

/* ---- reading ---- */

/* The first error stays, and every later read gives zeros: a whole structure is read and tested
 * once. */
struct in {
	struct error *err;
	int r;
};

static void in_fail(struct in *in, int r, const char *what, const char *name)
{
	if (in->r == 0)
		in->r = error_set(in->err, r, "manifest: \"%s\" %s", name, what);
}

static json_t *in_member(struct in *in, const json_t *o, const char *name, json_type type)
{
	json_t *v = json_object_get(o, name);

	if (!v)
		in_fail(in, -EBADMSG, "is missing", name);
	else if (json_typeof(v) != type)
		in_fail(in, -EBADMSG, "has the wrong type", name);
	return in->r == 0 ? v : NULL;
}

static uint64_t in_value(struct in *in, const json_t *v, const char *name)
{
	if (in->r < 0)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0) {
		in_fail(in, -EBADMSG, "is not a number of this kind", name);
		return 0;
	}
	return (uint64_t)json_integer_value(v);
}

static uint64_t in_number(struct in *in, const json_t *o, const char *name)
{
	return in_value(in, in_member(in, o, name, JSON_INTEGER), name);
}

static void in_pair(struct in *in, const json_t *v, const char *name, uint64_t *a, uint64_t *b)
{
	if (in->r == 0 && (!json_is_array(v) || json_array_size(v) != 2))
		in_fail(in, -EBADMSG, "is not a pair", name);
	*a = in_value(in, json_array_get(v, 0), name);
	*b = in_value(in, json_array_get(v, 1), name);
}

static void in_hex(struct in *in, const json_t *o, const char *name, void *out, size_t len)
{
	const json_t *v = in_member(in, o, name, JSON_STRING);

	if (v && !hex_decode(json_string_value(v), json_string_length(v), out, len))
		in_fail(in, -EBADMSG, "is not hexadecimal of the right length", name);
}

static struct table_id in_id(struct in *in, const json_t *o)
{
	uint8_t raw[TABLE_ID_BYTES] = {0};

	in_hex(in, o, "id", raw, sizeof raw);
	return (struct table_id){.job = get_be64(raw), .counter = get_be64(raw + 8)};
}

static void in_key(struct in *in, const json_t *o, const char *name, struct buf *out)
{
	const json_t *v = in_member(in, o, name, JSON_STRING);
	size_t digits = v ? json_string_length(v) : 0;
	uint8_t *p;

	if (!v)
		return;
	if (digits % 2 || digits / 2 > RECORD_KEY_MAX) {
		in_fail(in, -EBADMSG, "is not a key", name);
		return;
	}
	p = buf_extend(out, digits / 2);
	if (!p && digits)
		in_fail(in, -ENOMEM, "found no memory", name);
	else if (digits && !hex_decode(json_string_value(v), digits, p, digits / 2))
		in_fail(in, -EBADMSG, "is not hexadecimal", name);
}

/* An array of the member's size, zeroed; NULL when it is empty or there was an error. */
static void *in_array(struct in *in, const json_t *o, const char *name, size_t size,
	json_t **ret_array, size_t *ret_n)
{
	void *p = NULL;

	*ret_array = in_member(in, o, name, JSON_ARRAY);
	*ret_n = json_array_size(*ret_array);
	if (*ret_n) {
		p = calloc(*ret_n, size);
		if (!p) {
			in_fail(in, -ENOMEM, "found no memory", name);
			*ret_n = 0;
		}
	}
	return p;
}

static void in_ends(struct in *in, const json_t *o, struct manifest *m)
{
	json_t *a;

	m->ends = in_array(in, o, "ends", sizeof *m->ends, &a, &m->nends);
	for (size_t i = 0; i < m->nends; i++)
		in_pair(in, json_array_get(a, i), "ends", &m->ends[i].epoch, &m->ends[i].sequence);
}

static void in_jobs(struct in *in, const json_t *o, struct manifest *m)
{
	json_t *a;

	m->jobs = in_array(in, o, "jobs", sizeof *m->jobs, &a, &m->njobs);
	for (size_t i = 0; i < m->njobs && in->r == 0; i++) {
		const json_t *v = json_array_get(a, i);
		const char *kind = json_string_value(in_member(in, v, "kind", JSON_STRING));

		if (kind && strcmp(kind, "writer") != 0 && strcmp(kind, "compactor") != 0)
			in_fail(in, -EBADMSG, "names an unknown kind", "jobs");
		m->jobs[i] = (struct manifest_job){.id = in_number(in, v, "id"),
			.writer = kind && strcmp(kind, "writer") == 0,
			.epoch = in_number(in, v, "epoch"),
			.low = in_number(in, v, "low")};
	}
}

static void in_table(struct in *in, const json_t *o, struct table_meta *t)
{
	t->id = in_id(in, o);
	in_hex(in, o, "salt", t->salt, sizeof t->salt);
	in_hex(in, o, "digest", t->digest, sizeof t->digest);
	t->size = in_number(in, o, "size");
	in_key(in, o, "first", &t->first);
	in_key(in, o, "last", &t->last);
	in_pair(in, in_member(in, o, "groups", JSON_ARRAY), "groups", &t->group_low,
		&t->group_high);
	t->added = in_number(in, o, "added");
}

static void in_levels(struct in *in, const json_t *o, struct manifest *m)
{
	const json_t *levels = in_member(in, o, "levels", JSON_ARRAY);

	if (json_array_size(levels) > MANIFEST_LEVELS) {
		in_fail(in, -EBADMSG, "has too many levels", "levels");
		return;
	}
	for (size_t level = 0; level < json_array_size(levels) && in->r == 0; level++) {
		const json_t *a = json_array_get(levels, level);
		size_t n = json_array_size(a);

		if (!json_is_array(a))
			in_fail(in, -EBADMSG, "has the wrong type", "levels");
		if (n == 0)
			continue;
		m->levels[level] = calloc(n, sizeof *m->levels[level]);
		if (!m->levels[level]) {
			in_fail(in, -ENOMEM, "found no memory", "levels");
			return;
		}
		m->nlevel[level] = n;
		for (size_t i = 0; i < n && in->r == 0; i++)
			in_table(in, json_array_get(a, i), &m->levels[level][i]);
	}
}

static void in_retired(struct in *in, const json_t *o, struct manifest *m)
{
	json_t *a;

	m->retired = in_array(in, o, "retired", sizeof *m->retired, &a, &m->nretired);
	for (size_t i = 0; i < m->nretired && in->r == 0; i++) {
		const json_t *v = json_array_get(a, i);

		m->retired[i] = (struct manifest_retired){
			.id = in_id(in, v), .number = in_number(in, v, "number")};
	}
}

static void in_pins(struct in *in, const json_t *o, struct manifest *m)
{
	json_t *a;

	m->pins = in_array(in, o, "pins", sizeof *m->pins, &a, &m->npins);
	for (size_t i = 0; i < m->npins && in->r == 0; i++) {
		const json_t *v = json_array_get(a, i),
			     *name = in_member(in, v, "name", JSON_STRING);
		struct manifest_pin *p = &m->pins[i];

		p->id = in_number(in, v, "id");
		p->group = in_number(in, v, "group");
		p->created = in_number(in, v, "created");
		if (name && json_string_length(name) >= sizeof p->name)
			in_fail(in, -EBADMSG, "is too long", "name");
		else if (name)
			memcpy(p->name, json_string_value(name), json_string_length(name));
	}
}

/* Names of features that this program knows: none yet. */
static const char *unknown_feature(const json_t *names)
{
	const json_t *first = json_array_get(names, 0);

	return first ? (json_is_string(first) ? json_string_value(first) : "?") : NULL;
}

static void in_features(struct in *in, const json_t *o, struct manifest *m)
{
	const json_t *f = in_member(in, o, "features", JSON_OBJECT);
	const char *name = unknown_feature(in_member(in, f, "incompatible", JSON_ARRAY));

	if (in->r == 0 && name)
		in->r = error_set(in->err, -EPROTONOSUPPORT,
			"the manifest needs feature \"%.64s\", which this version does not have",
			name);
	if (in->r == 0 && json_is_object(json_object_get(o, "wal")))
		in->r = error_set(in->err, -EPROTONOSUPPORT,
			"the volume uses a WAL store, which this version does not have");
	m->read_only =
		unknown_feature(in_member(in, f, "read_only_compatible", JSON_ARRAY)) != NULL;
}

static void in_previous(struct in *in, const json_t *o, struct manifest *m)
{
	const json_t *v = in_member(in, o, "previous", JSON_STRING);

	if (v && json_string_length(v) > 0)
		in_hex(in, o, "previous", m->previous, sizeof m->previous);
}

static void in_manifest(struct in *in, const json_t *o, struct manifest *m)
{
	/* First, so that the future is told from damage. */
	in_features(in, o, m);
	m->number = in_number(in, o, "number");
	in_previous(in, o, m);
	m->epoch = in_number(in, o, "epoch");
	in_hex(in, o, "term", m->term, sizeof m->term);
	in_pair(in, in_member(in, o, "replay", JSON_ARRAY), "replay", &m->replay.epoch,
		&m->replay.sequence);
	m->last_group = in_number(in, o, "last_group");
	m->settled = in_number(in, o, "settled");
	m->next_job = in_number(in, o, "next_job");
	m->pin_generation = in_number(in, o, "pin_generation");
	in_ends(in, o, m);
	in_jobs(in, o, m);
	in_levels(in, o, m);
	in_retired(in, o, m);
	in_pins(in, o, m);
}

static void json_unref(json_t *v)
{
	json_decref(v);
}
DEFINE_CLEANUP(json_unref, json_t *);

int manifest_decode(struct slice json, struct manifest **ret, struct error *err)
{
	CLEANUP(manifest_unref_p) struct manifest *m = NULL;
	CLEANUP(json_unref_p) json_t *root = NULL;
	struct in in = {.err = err};
	int r;

	if (json.len > MANIFEST_JSON_MAX)
		return error_set(
			err, -EBADMSG, "manifest: larger than %u bytes", MANIFEST_JSON_MAX);
	r = fields_parse(json, &root, err);
	if (r < 0) {
		(void)error_prefix(err, "manifest");
		return r;
	}
	m = manifest_new();
	if (!m)
		return error_set(err, -ENOMEM, "no memory for the manifest");
	in_manifest(&in, root, m);
	r = in.r < 0 ? in.r : manifest_check(m, err);
	if (r < 0)
		return r;
	*ret = TAKE(m);
	return 0;
}
