/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of flags and errors in cases and messages. */
#include "tests/posix/conform.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#define S(name)                                                                                    \
	{                                                                                          \
#name, name                                                                        \
	}

static const struct {
	const char *name;
	int64_t value;
} symbols[] = {
	S(O_RDONLY),
	S(O_WRONLY),
	S(O_RDWR),
	S(O_CREAT),
	S(O_EXCL),
	S(O_TRUNC),
	S(O_APPEND),
	S(O_DIRECTORY),
	S(O_NOFOLLOW),
	S(O_NONBLOCK),
	S(O_PATH),
	S(O_TMPFILE),
	S(O_DIRECT),
	S(O_SYNC),
	S(O_DSYNC),
	S(O_NOATIME),
	S(O_NOCTTY),
	S(O_ASYNC),
	S(AT_SYMLINK_NOFOLLOW),
	S(AT_SYMLINK_FOLLOW),
	S(AT_REMOVEDIR),
	S(AT_EMPTY_PATH),
	S(AT_EACCESS),
	S(R_OK),
	S(W_OK),
	S(X_OK),
	S(F_OK),
	S(RENAME_NOREPLACE),
	S(RENAME_EXCHANGE),
	S(RENAME_WHITEOUT),
	S(SEEK_SET),
	S(SEEK_CUR),
	S(SEEK_END),
	S(SEEK_DATA),
	S(SEEK_HOLE),
	S(FALLOC_FL_KEEP_SIZE),
	S(FALLOC_FL_PUNCH_HOLE),
	S(FALLOC_FL_ZERO_RANGE),
	S(FALLOC_FL_COLLAPSE_RANGE),
	S(FALLOC_FL_INSERT_RANGE),
	S(FALLOC_FL_UNSHARE_RANGE),
	S(S_IFREG),
	S(S_IFDIR),
	S(S_IFLNK),
	S(S_IFIFO),
	S(S_IFSOCK),
	S(S_IFCHR),
	S(S_IFBLK),
	S(PROT_READ),
	S(PROT_WRITE),
	S(PROT_EXEC),
	S(MAP_SHARED),
	S(MAP_PRIVATE),
	S(LOCK_SH),
	S(LOCK_EX),
	S(LOCK_UN),
	S(LOCK_NB),
	S(F_RDLCK),
	S(F_WRLCK),
	S(F_UNLCK),
	S(XATTR_CREATE),
	S(XATTR_REPLACE),
	S(RWF_APPEND),
	S(RWF_NOWAIT),
	S(RWF_DSYNC),
	S(RWF_SYNC),
	S(RWF_HIPRI),
};

static const char units[] = "kMGT";

static int64_t one_number(const char *word, size_t len, const char *whole)
{
	char copy[64], *end;

	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++)
		if (strlen(symbols[i].name) == len && memcmp(symbols[i].name, word, len) == 0)
			return symbols[i].value;
	if (len == 0 || len >= sizeof copy)
		die("no number: %s", whole);
	memcpy(copy, word, len);
	copy[len] = 0;

	int64_t n = strtoll(copy, &end, 0);

	if (strncmp(copy, "MAX", 3) == 0) {
		n = INT64_MAX;
		end = copy + 3;
	}

	const char *unit = *end ? strchr(units, *end) : NULL;

	if (unit) {
		n <<= 10 * (unit - units + 1);
		end++;
	}
	if (*end == '-' || *end == '+') /* 16T-4k */
		return n + one_number(end, strlen(end), whole);
	if (*end)
		die("no number: %s", whole);
	return n;
}

int64_t number_of(const char *word)
{
	int64_t n = 0;
	const char *p = word;

	for (;;) {
		size_t len = strcspn(p, "|");

		n |= one_number(p, len, word);
		if (!p[len])
			return n;
		p += len + 1;
	}
}

const char *errno_name(int e)
{
	const char *name = e ? strerrorname_np(e) : "0";

	return name ? name : "?";
}
