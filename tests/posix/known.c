/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Differences that are expected, each with its reason. `missing` ones are parts that are not there
 * yet: that table ends empty, and an entry of it that no longer happens is an error. The others
 * are what FUSE or a design choice makes impossible or better; man/zerofs-mount.pod has them.
 */
#include "tests/posix/conform.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ANY (-1)

struct known {
	const char *call;
	int reference, tested; /* errno that each answers; 0 success, ANY */
	const char *hint;      /* NULL, or what the difference says as well */
	const char *reason;
	bool missing;
	bool used;
};

#define CLONES "files share extents on request, which ext4 cannot"
#define COPIES "shared extents, temporary files, all modes of fallocate"
#define LARGER "files, and times, that are larger than ext4's are stored as they are"
#define CACHED                                                                                     \
	"a read that the page cache answers does not reach the file system and moves no access time"
#define INLINE "the bytes of a small file stand in its inode and are counted, holes too"
#define SAME "an attribute that is set to what it is moves the time of change"
#define NOTHING "FUSE does not tell chown of nothing by a stranger from what precedes his write"
#define PIPES "the kernel tells FUSE nothing of what is done to a pipe or device: its times stay"

static struct known table[] = {
	{"open", ANY, EOPNOTSUPP, NULL, COPIES, true, false},
	{"clone", EOPNOTSUPP, 0, NULL, CLONES, false, false},
	{"clone_range", EOPNOTSUPP, 0, NULL, CLONES, false, false},
	{"chown", EPERM, 0, NULL, NOTHING, false, false},
	{"lchown", EPERM, 0, NULL, NOTHING, false, false},
	{"fchown", EPERM, 0, NULL, NOTHING, false, false},
	{"setxattr", 0, 0, "c=same", SAME, false, false},
	{"setacl", 0, 0, "c=same", SAME, false, false},
	{"fallocate", ANY, EOPNOTSUPP, NULL, COPIES, true, false},
	{"setflags", 0, ENOTTY, NULL, "flags of inodes", true, false},
	{"birth", 0, 0, "not told", "birth times", true, false},
	{"truncate", EFBIG, 0, NULL, LARGER, false, false},
	{"ftruncate", EFBIG, 0, NULL, LARGER, false, false},
	{"pwrite", EFBIG, 0, NULL, LARGER, false, false},
	{"lseek", EINVAL, 0, NULL, LARGER, false, false},
	{"fallocate", EFBIG, 0, NULL, LARGER, false, false},
	{"utimens", 0, 0, "=-2147483648.000000000", LARGER, false, false},
	{"utimens", 0, 0, "=15032385535.000000000", LARGER, false, false},
	{"write", 0, 0, " p", PIPES, false, false},
	{"pread", 0, EOPNOTSUPP, NULL, "FUSE has no reads that do not wait (RWF_NOWAIT)", false,
		false},
	{"read", 0, 0, " a=1000.", CACHED, false, false},
	{"pread", 0, 0, " a=1000.", CACHED, false, false},
	{"mmap", 0, 0, " a=1000.", CACHED, false, false},
	{"peek", 0, 0, " a=1000.", CACHED, false, false},
	{"truncate", 0, 0, "noblocks", INLINE, false, false},
	{"ftruncate", 0, 0, "noblocks", INLINE, false, false},
	{"fallocate", 0, 0, "noblocks", COPIES, true, false},
	{"poke", 0, 0, "m=", "a mapped write moves times when its page is written (msync)", false,
		false},
	{"write_fault", EFAULT, EFAULT, "m=moved", "a write that fails moves no time", false,
		false},
	{"fallocate", EFBIG, EFBIG, "m=moved", "an allocation that fails moves no time", false,
		false},
};

static bool answers(int wanted, const struct result *r)
{
	return wanted == ANY || wanted == r->error;
}

const char *known_reason(const char *call, const struct result *reference,
	const struct result *tested, const char *difference)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct known *k = &table[i];

		if (strcmp(k->call, call) == 0 && answers(k->reference, reference) &&
			answers(k->tested, tested) && (!k->hint || strstr(difference, k->hint))) {
			k->used = true;
			return k->reason;
		}
	}
	return NULL;
}

size_t known_unused(void)
{
	size_t count = 0;

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (table[i].missing && !table[i].used) {
			printf("%s: \"%s\" is there now: take it out of the table\n", table[i].call,
				table[i].reason);
			count++;
		}
	return count;
}
