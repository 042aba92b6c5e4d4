/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fsck, first pass over the tree: each inode with what stands below its number. */
#include "core/base/hex.h"
#include "core/vfs/check_internal.h"

#include <dirent.h>

typedef unsigned long long ull;

#define PROGRESS_RECORDS 65536u

/* As tag 7 of an inode has it. */
struct xattr_summary {
	uint32_t count, capability;
	uint64_t bytes;
};

struct collecting {
	struct check *c;
	uint64_t number;	   /* whose records are being read; 0 = before the first */
	struct check_inode *inode; /* NULL: it has no inode record, or a damaged one */
	bool damaged;		   /* the latter */
	bool told_records, told_xattr, told_place, told_extents;
	bool is_inline;
	uint64_t allocated;		     /* as the inode says */
	struct xattr_summary summary, found; /* as the inode says; as there are */
	bool bad_summary;
	struct check_chunks chunks;
	uint64_t last_cookie;
	uint64_t hash;	  /* of the names below */
	struct buf names; /* entries that share it: length, bytes; one after the other */
};

/* ---- inodes ---- */

static void check_tag(struct check *c, uint64_t number, uint64_t tag)
{
	if (tag == INODE_TAG_ACCESS_ACL)
		check_tell(c, CHECK_ACL, number, "the access ACL does not decode");
	else if (tag == INODE_TAG_DEFAULT_ACL)
		check_tell(c, CHECK_ACL, number, "the default ACL does not decode");
	else if (tag == INODE_TAG_XATTRS)
		check_tell(c, CHECK_XATTR_SUMMARY, number,
			"the summary of its attributes does not decode");
}

static int add(struct check *c, const struct check_inode *i)
{
	return check_inode_add(&c->inodes, i) < 0
		       ? error_set(c->err, -ENOMEM, "no memory for %zu inodes", c->inodes.n)
		       : 0;
}

static int add_inode(struct collecting *w, const struct inode_record *r)
{
	struct check *c = w->c;
	const struct check_inode i = {
		.number = w->number,
		.parent = r->parent,
		.nlink = r->nlink,
		.type = dirent_type_of_mode(r->mode),
	};

	struct slice summary = inode_record_tag(r->tags, INODE_TAG_XATTRS);
	int e = add(c, &i);

	if (e < 0)
		return e;
	w->inode = check_inode_at(&c->inodes, c->inodes.n - 1);
	w->is_inline = r->inline_data.len > 0;
	w->allocated = r->allocated;
	w->chunks.size = r->size;
	if (summary.len == INODE_XATTRS_BYTES)
		w->summary = (struct xattr_summary){.count = get_le32(summary.data),
			.capability = get_le32(summary.data + 4),
			.bytes = get_le64(summary.data + 8)};
	c->allocated += (int64_t)r->allocated;
	c->result->inodes++;
	c->result->directories += S_ISDIR(r->mode) != 0;
	return 0;
}

static int collect_inode(struct collecting *w, const struct record *rec)
{
	struct inode_record r;
	uint64_t bad_tag;

	if (inode_record_inspect(rec->value, &r, &bad_tag) == 0) {
		check_tag(w->c, w->number, bad_tag);
		w->bad_summary = bad_tag == INODE_TAG_XATTRS;
		return add_inode(w, &r);
	}
	check_tell(w->c, CHECK_INODE_DAMAGED, w->number, "the record of the inode does not decode");
	w->damaged = w->c->damaged_inodes = true;
	w->c->result->inodes++;
	return add(w->c, &(struct check_inode){.number = w->number});
}

static void check_summary(struct collecting *w)
{
	const struct xattr_summary *s = &w->summary, *f = &w->found;

	if (!w->inode || w->bad_summary ||
		(s->count == f->count && s->capability == f->capability && s->bytes == f->bytes))
		return;
	check_tell(w->c, CHECK_XATTR_SUMMARY, w->number,
		"it says %u attributes of %llu bytes, there are %u of %llu", s->count,
		(ull)s->bytes, f->count, (ull)f->bytes);
}

/* All records of a number have been seen. */
static void finish_number(struct collecting *w)
{
	check_chunks_end(&w->chunks);
	check_summary(w);
	if (!w->inode || w->inode->type != DT_REG || w->is_inline || w->chunks.damaged ||
		w->allocated == w->chunks.allocated)
		return;
	check_tell(w->c, CHECK_ALLOCATED, w->number,
		"%llu bytes allocated by the inode, %llu by its extents", (ull)w->allocated,
		(ull)w->chunks.allocated);
}

static void begin_number(struct collecting *w, uint64_t number)
{
	finish_number(w);
	buf_clear(&w->names);
	*w = (struct collecting){.c = w->c,
		.number = number,
		.names = w->names,
		.chunks = {.c = w->c, .inode = number}};
}

/* ---- entries ---- */

static bool name_seen(const struct collecting *w, struct slice name)
{
	for (size_t at = 0; at < w->names.len; at += 1u + w->names.data[at])
		if (slice_eq(SLICE(w->names.data + at + 1, w->names.data[at]), name))
			return true;
	return false;
}

/* Entries of one name have one hash, so they stand together. */
static int check_name(struct collecting *w, const struct key_parts *k, uint64_t inode)
{
	uint64_t hash = k->a / COOKIE_SLOTS;

	if (hash != w->hash)
		buf_clear(&w->names);
	w->hash = hash;
	if (name_seen(w, k->name)) {
		check_tell_entry(w->c, CHECK_NAME_TWICE, k->inode, k->name, inode,
			"the directory has two entries of this name");
		return 0;
	}
	if (buf_append_u8(&w->names, (uint8_t)k->name.len) < 0 ||
		buf_append_slice(&w->names, k->name) < 0)
		return error_set(w->c->err, -ENOMEM, "no memory for names");
	return 0;
}

static int collect_entry(struct collecting *w, const struct record *rec, const struct key_parts *k)
{
	struct check *c = w->c;
	uint64_t inode = 0, hashed = name_cookie(&c->engine->hash, k->name);
	uint8_t type;

	c->result->entries++;
	if (w->inode->type != DT_DIR) {
		if (!w->told_place)
			check_tell(c, CHECK_ENTRY_PLACE, k->inode,
				"it has entries, but is no directory");
		w->told_place = true;
		return 0;
	}
	if (dirent_value_decode(rec->value, &inode, &type) < 0)
		check_tell_entry(
			c, CHECK_ENTRY_DAMAGED, k->inode, k->name, 0, "the entry does not decode");
	if (k->a < hashed || k->a >= hashed + COOKIE_SLOTS)
		check_tell_entry(c, CHECK_COOKIE, k->inode, k->name, inode,
			"cookie %llx does not fit the hash of the name", (ull)k->a);
	if (k->a == w->last_cookie)
		check_tell_entry(c, CHECK_COOKIE_TWICE, k->inode, k->name, inode,
			"another entry has the same cookie");
	w->last_cookie = k->a;
	return check_name(w, k, inode);
}

/* ---- others ---- */

/* A record of a number that has no inode. */
static void nobody(struct collecting *w, const struct key_parts *k)
{
	bool xattr = k->kind == KEY_XATTR, *told = xattr ? &w->told_xattr : &w->told_records;

	if (w->damaged || *told)
		return;
	*told = true;
	if (xattr)
		check_tell(w->c, CHECK_XATTR_NO_INODE, k->inode,
			"there are extended attributes of it, but no inode");
	else
		check_tell(w->c, CHECK_RECORDS_NO_INODE, k->inode,
			"there are %s of it, but no inode",
			k->kind == KEY_DIRENT ? "entries" : "extents");
}

static void collect_xattr(struct collecting *w, const struct record *rec, const struct key_parts *k)
{
	uint64_t bytes = k->name.len + rec->value.len;

	w->c->allocated += (int64_t)bytes;
	w->found.bytes += bytes;
	w->found.count++;
	if (slice_eq(k->name, SLICE_STR("security.capability")))
		w->found.capability = (uint32_t)rec->value.len + 1;
}

static int collect_chunk(struct collecting *w, const struct record *rec, const struct key_parts *k)
{
	if (w->inode->type == DT_REG)
		return check_chunk(&w->chunks, k->a, rec->value);
	if (!w->told_extents)
		check_tell(w->c, CHECK_EXTENTS_PLACE, k->inode,
			"it has extents, but is no regular file");
	w->told_extents = true;
	return 0;
}

static void unknown_record(struct check *c, struct slice key)
{
	char text[2 * RECORD_KEY_MAX + 1];

	hex_encode(key.data, key.len, text);
	check_tell(c, CHECK_RECORD_UNKNOWN, 0, "a record of no known kind has the key %s", text);
}

static int collect_record(struct collecting *w, const struct record *rec)
{
	struct key_parts k;

	if (!key_parse(rec->key, &k) || k.kind > KEY_CHUNK) {
		unknown_record(w->c, rec->key);
		return 0;
	}
	if (k.inode != w->number)
		begin_number(w, k.inode);
	if (k.kind == KEY_INODE)
		return collect_inode(w, rec);
	if (!w->inode)
		nobody(w, &k);
	else if (k.kind == KEY_DIRENT)
		return collect_entry(w, rec, &k);
	else if (k.kind == KEY_CHUNK)
		return collect_chunk(w, rec, &k);
	else if (k.kind == KEY_XATTR)
		collect_xattr(w, rec, &k);
	return 0;
}

/* Records of the volume itself: only their kinds; what they hold has passes of its own. */
static int check_volume_records(struct check *c)
{
	struct index_scan *s;
	struct record rec;
	struct key_parts k;
	int r = check_scan(c, key_kind_first(0, 0), key_kind_first(INODE_ROOT, 0), &s);

	if (r < 0)
		return r;
	while ((r = index_scan_next(s, &rec, c->err)) > 0)
		if (!key_parse(rec.key, &k) || k.kind < KEY_SEGMENT)
			unknown_record(c, rec.key);
	index_scan_close(s);
	return r;
}

int check_records(struct check *c)
{
	struct collecting w = {.c = c};
	struct index_scan *s;
	struct record rec;
	uint64_t n = 0;
	int r = check_volume_records(c);

	if (r == 0)
		r = check_scan(
			c, key_kind_first(INODE_ROOT, 0), key_kind_first(INODE_MAX + 1, 0), &s);
	if (r < 0)
		return r;
	while ((r = index_scan_next(s, &rec, c->err)) > 0) {
		if (++n % PROGRESS_RECORDS == 0)
			check_progress(c, "reading inodes", c->result->inodes, "inodes");
		r = collect_record(&w, &rec);
		if (r < 0)
			break;
	}
	index_scan_close(s);
	if (r == 0)
		finish_number(&w);
	buf_done(&w.names);
	return r;
}
