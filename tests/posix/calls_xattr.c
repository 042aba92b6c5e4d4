/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Extended attributes and access control lists. */
#include "tests/posix/calls.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#define VALUE_MAX 65536

static char value[VALUE_MAX + 1];

/* setxattr PATH NAME VALUE [FLAGS] [LENGTH]; with a length the value is repeated. */
static void call_setxattr(struct call *c)
{
	const char *word = arg_word(c, 3);
	size_t len = (size_t)arg_number_or(c, 5, (int64_t)strlen(word));

	if (len > sizeof value)
		die("setxattr: too long");
	for (size_t i = 0; i < len; i++)
		value[i] = *word ? word[i % strlen(word)] : 0;
	put(c, lsetxattr(arg_place(c, 1).path, arg_word(c, 2), value, len,
		       (int)arg_number_or(c, 4, 0)));
}

static void call_getxattr(struct call *c)
{
	ssize_t n = lgetxattr(arg_place(c, 1).path, arg_word(c, 2), value,
		(size_t)arg_number_or(c, 3, VALUE_MAX));

	put(c, n);
	if (n > 0 && arg_number_or(c, 3, 1) > 0)
		text_add_bytes(&c->r->text, value, (size_t)n);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void call_listxattr(struct call *c)
{
	ssize_t n = llistxattr(arg_place(c, 1).path, value, (size_t)arg_number_or(c, 2, VALUE_MAX));
	char *names[1024];
	size_t count = 0;

	put(c, n);
	if (n <= 0 || arg_number_or(c, 2, 1) == 0)
		return;
	for (char *p = value; p < value + n && count < 1024; p += strlen(p) + 1)
		names[count++] = p;
	qsort(names, count, sizeof *names, by_name);
	for (size_t i = 0; i < count; i++)
		text_add(&c->r->text, "%s ", names[i]);
}

static void call_removexattr(struct call *c)
{
	put(c, lremovexattr(arg_place(c, 1).path, arg_word(c, 2)));
}

struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};

/* u::rwx,u:61002:r--,g::r-x,g:61100:rw-,m::rwx,o::--- as the kernel takes it. Returns its length.
 */
static size_t encode_acl(const char *text, char *out)
{
	size_t len = 4;
	uint32_t version = htole32(2);

	memcpy(out, &version, 4);
	while (*text) {
		bool named = text[2] != ':';
		uint32_t id = named ? (uint32_t)strtoul(text + 2, NULL, 10) : 0xffffffffu;
		const char *perm = strchrnul(text + 2, ':'), *end = strchrnul(text, ',');
		struct acl_entry e = {.id = htole32(id)};

		if (strlen(perm) < 4)
			die("no list: %s", text);
		e.tag = *text == 'u'   ? (named ? 0x02 : 0x01)
			: *text == 'g' ? (named ? 0x08 : 0x04)
			: *text == 'm' ? 0x10
				       : 0x20;
		e.perm = (uint16_t)((perm[1] == 'r' ? 4 : 0) | (perm[2] == 'w' ? 2 : 0) |
				    (perm[3] == 'x' ? 1 : 0));
		e.tag = htole16(e.tag);
		e.perm = htole16(e.perm);
		memcpy(out + len, &e, sizeof e);
		len += sizeof e;
		text = *end ? end + 1 : end;
	}
	return len;
}

/* setacl PATH access|default LIST */
static void call_setacl(struct call *c)
{
	bool access = strcmp(arg_word(c, 2), "access") == 0;
	size_t len = encode_acl(arg_word(c, 3), value);

	put(c, setxattr(arg_place(c, 1).path,
		       access ? "system.posix_acl_access" : "system.posix_acl_default", value, len,
		       0));
}

const struct call_entry calls_xattr[] = {
	{"setxattr", call_setxattr},
	{"getxattr", call_getxattr},
	{"listxattr", call_listxattr},
	{"removexattr", call_removexattr},
	{"setacl", call_setacl},
	{NULL, NULL},
};
