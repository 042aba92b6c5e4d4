/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/dump_record.h"

#include "core/data/extents.h"
#include "core/data/fold.h"
#include "core/data/keyspace.h"
#include "core/vfs/acl.h"
#include "core/vfs/inode_codec.h"

#include <ctype.h>
#include <inttypes.h>

#define XATTR_SHOWN 256 /* bytes of a value */

void dump_bytes(struct slice s, FILE *out)
{
	for (size_t i = 0; i < s.len; i++) {
		if (isprint(s.data[i]) && s.data[i] != '\\')
			(void)fputc(s.data[i], out);
		else
			(void)fprintf(out, "\\x%02x", s.data[i]);
	}
}

static void dump_key(struct slice key, FILE *out)
{
	struct key_parts k;

	if (!key_parse(key, &k)) {
		(void)fputs("key ", out);
		dump_bytes(key, out);
		return;
	}
	switch (k.kind) {
	case KEY_INODE:
		(void)fprintf(out, "inode %" PRIu64, k.inode);
		return;
	case KEY_DIRENT:
		(void)fprintf(out, "dirent %" PRIu64 " cookie %" PRIx64 " ", k.inode, k.a);
		dump_bytes(k.name, out);
		return;
	case KEY_XATTR:
		(void)fprintf(out, "xattr %" PRIu64 " ", k.inode);
		dump_bytes(k.name, out);
		return;
	case KEY_CHUNK:
		(void)fprintf(out, "chunk %" PRIu64 " number %" PRIu64, k.inode, k.a);
		return;
	case KEY_SEGMENT:
		(void)fprintf(out, "segment %" PRIu64 "/%" PRIu64, k.a, k.b);
		return;
	case KEY_COUNTER:
		(void)fprintf(out, "counter %" PRIu64, k.a);
		return;
	case KEY_ORPHAN:
		(void)fprintf(out, "orphan %" PRIu64, k.a);
		return;
	case KEY_TIME:
		(void)fprintf(out, "time %" PRIu64, k.a);
		return;
	case KEY_RETIRED_SEGMENT:
		(void)fprintf(out, "retired segment %" PRIu64 "/%" PRIu64, k.a, k.b);
		return;
	}
}

/* " access ACL u::rw- u:1000:r-- g::r-- m::r-- o::---", nothing where there is none. */
static void dump_acl(const struct inode_record *r, enum inode_tag tag, const char *name, FILE *out)
{
	struct slice acl = inode_record_tag(r->tags, tag);
	struct acl_entry e;

	if (!acl.data)
		return;
	(void)fprintf(out, " %s ACL", name);
	for (size_t n = 0; acl_entry(acl, n, &e); n++) {
		(void)fprintf(out, " %c:",
			e.tag & (ACL_USER_OBJ | ACL_USER)     ? 'u'
			: e.tag & (ACL_GROUP_OBJ | ACL_GROUP) ? 'g'
			: e.tag == ACL_MASK		      ? 'm'
							      : 'o');
		if (e.tag & (ACL_USER | ACL_GROUP))
			(void)fprintf(out, "%" PRIu32, e.id);
		(void)fprintf(out, ":%c%c%c", e.perm & 4 ? 'r' : '-', e.perm & 2 ? 'w' : '-',
			e.perm & 1 ? 'x' : '-');
	}
}

static void dump_xattr_summary(const struct inode_record *r, FILE *out)
{
	struct slice s = inode_record_tag(r->tags, INODE_TAG_XATTRS);

	if (s.data) /* of the right length, or the record would not have decoded */
		(void)fprintf(out, " xattrs %" PRIu32 " (%" PRIu64 " bytes%s)", get_le32(s.data),
			get_le64(s.data + 8), get_le32(s.data + 4) ? ", a capability" : "");
}

/* A value of up to 64 KiB, in one line that can be read. */
static void dump_xattr(struct slice value, FILE *out)
{
	struct slice shown = SLICE(value.data, value.len < XATTR_SHOWN ? value.len : XATTR_SHOWN);

	(void)fprintf(out, "%zu bytes \"", value.len);
	dump_bytes(shown, out);
	(void)fputs(shown.len < value.len ? "\"..." : "\"", out);
}

static bool dump_inode(struct slice value, FILE *out)
{
	struct inode_record r;

	if (inode_record_decode(value, &r) < 0)
		return false;
	(void)fprintf(out,
		"mode %o uid %u gid %u nlink %u size %" PRIu64 " allocated %" PRIu64
		" parent %" PRIu64 " generation %" PRIu64 " mtime %lld.%09ld inline %zu",
		r.mode, r.uid, r.gid, r.nlink, r.size, r.allocated, r.parent, r.generation,
		(long long)r.mtime.tv_sec, r.mtime.tv_nsec, r.inline_data.len);
	if (r.symlink.len) {
		(void)fputs(" -> ", out);
		dump_bytes(r.symlink, out);
	}
	dump_acl(&r, INODE_TAG_ACCESS_ACL, "access", out);
	dump_acl(&r, INODE_TAG_DEFAULT_ACL, "default", out);
	dump_xattr_summary(&r, out);
	return true;
}

static bool dump_chunk(struct slice value, bool full, FILE *out)
{
	struct chunk c = {0};
	bool ok = chunk_decode(value, full, &c) == 0;

	for (size_t i = 0; ok && i < c.n; i++) {
		const struct extent *e = &c.extents[i];

		(void)fprintf(out, "%s%u+%u", i ? ", " : "", e->offset, e->len);
		if (e->form == EXTENT_FRAME)
			(void)fprintf(out,
				" = %" PRIu64 "/%" PRIu64 " frame %" PRIu64 " at %" PRIu64
				"+%u skip %u",
				e->epoch, e->sequence, e->ordinal, e->place, e->sealed_len,
				e->skip);
		else
			(void)fputs(e->form == EXTENT_HOLE ? " hole" : " allocated", out);
	}
	chunk_done(&c);
	return ok;
}

static bool dump_dirent(struct slice value, FILE *out)
{
	uint64_t inode;
	uint8_t type;

	if (dirent_value_decode(value, &inode, &type) < 0)
		return false;
	(void)fprintf(out, "inode %" PRIu64 " type %u", inode, type);
	return true;
}

static bool dump_segment(struct slice value, FILE *out)
{
	struct segment_record r;

	if (segment_record_decode(value, &r) < 0)
		return false;
	if (r.has_base)
		(void)fprintf(out, "plain %" PRIu64 " ", r.plain_total);
	(void)fprintf(out, "live %" PRId64, r.live);
	return true;
}

static bool dump_counter(uint64_t id, struct slice value, FILE *out)
{
	struct cursor c = cursor_of(value);
	struct usage_record u;

	if (id == COUNTER_USAGE) {
		if (usage_record_decode(value, &u) < 0)
			return false;
		(void)fprintf(out, "bytes %" PRId64 " inodes %" PRId64, u.bytes, u.inodes);
		return true;
	}
	uint64_t n = cursor_varint(&c);

	(void)fprintf(out, "%" PRIu64, n);
	return !c.bad;
}

/* False: it does not decode as what its key says. */
static bool dump_value(const struct record *r, FILE *out)
{
	struct key_parts k;

	if (!key_parse(r->key, &k))
		return false;
	switch (k.kind) {
	case KEY_INODE:
		return dump_inode(r->value, out);
	case KEY_DIRENT:
		return dump_dirent(r->value, out);
	case KEY_CHUNK:
		return dump_chunk(r->value, r->op == RECORD_PUT, out);
	case KEY_SEGMENT:
		return dump_segment(r->value, out);
	case KEY_COUNTER:
		return dump_counter(k.a, r->value, out);
	case KEY_XATTR:
		dump_xattr(r->value, out);
		return true;
	case KEY_ORPHAN:
	case KEY_TIME:
	case KEY_RETIRED_SEGMENT:
		dump_bytes(r->value, out);
		return true;
	}
	return false;
}

void dump_record(const struct record *r, FILE *out)
{
	static const char *const names[] = {
		[RECORD_PUT] = "put",
		[RECORD_DELETE] = "delete",
		[RECORD_DELTA] = "delta",
		[RECORD_RANGE] = "range",
	};

	(void)fprintf(out, "%" PRIu64 " %-6s ", r->group, names[r->op]);
	dump_key(r->key, out);
	if (r->op == RECORD_DELETE)
		return;
	(void)fputs(": ", out);
	if (r->op == RECORD_RANGE) {
		(void)fputs("to ", out);
		dump_key(r->value, out);
	} else if (!dump_value(r, out)) {
		(void)fputs("(does not decode) ", out);
		dump_bytes(r->value, out);
	}
}
