/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Differences that are expected, each with its reason: what FUSE or a design choice makes
 * impossible or better; man/zerofs-mount.pod has them.
 */
#include "tests/posix/conform.h"

#include <errno.h>
#include <string.h>

#define ANY (-1)

struct known {
	const char *call;
	int reference, tested; /* errno that each answers; 0 success, ANY */
	const char *hint;      /* NULL, or what the difference says as well */
	const char *reason;
};

#define CLONES "files share extents on request, which ext4 cannot"
#define SHIFTS "FUSE does not carry collapse and insert"
#define LARGER "files, and times, that are larger than ext4's are stored as they are"
#define CACHED                                                                                     \
	"a read that the page cache answers does not reach the file system and moves no access time"
#define INLINE "the bytes of a small file stand in its inode and are counted, holes too"
#define SAME "an attribute that is set to what it is moves the time of change"
#define NOTHING "FUSE does not tell chown of nothing by a stranger from what precedes his write"
#define PIPES "the kernel tells FUSE nothing of what is done to a pipe or device: its times stay"

static const struct known table[] = {
	{"clone", EOPNOTSUPP, 0, NULL, CLONES},
	{"clone_range", EOPNOTSUPP, 0, NULL, CLONES},
	{"chown", EPERM, 0, NULL, NOTHING},
	{"lchown", EPERM, 0, NULL, NOTHING},
	{"fchown", EPERM, 0, NULL, NOTHING},
	{"setxattr", 0, 0, "c=same", SAME},
	{"setacl", 0, 0, "c=same", SAME},
	{"fallocate", ANY, EOPNOTSUPP, NULL, SHIFTS},
	{"truncate", EFBIG, 0, NULL, LARGER},
	{"ftruncate", EFBIG, 0, NULL, LARGER},
	{"pwrite", EFBIG, 0, NULL, LARGER},
	{"lseek", EINVAL, 0, NULL, LARGER},
	{"fallocate", EFBIG, 0, NULL, LARGER},
	{"utimens", 0, 0, "=-2147483648.000000000", LARGER},
	{"utimens", 0, 0, "=15032385535.000000000", LARGER},
	{"write", 0, 0, " p", PIPES},
	{"pread", 0, EOPNOTSUPP, NULL, "FUSE has no reads that do not wait (RWF_NOWAIT)"},
	{"read", 0, 0, " a=1000.", CACHED},
	{"pread", 0, 0, " a=1000.", CACHED},
	{"mmap", 0, 0, " a=1000.", CACHED},
	{"peek", 0, 0, " a=1000.", CACHED},
	{"truncate", 0, 0, "noblocks", INLINE},
	{"ftruncate", 0, 0, "noblocks", INLINE},
	{"fallocate", 0, 0, "noblocks", INLINE},
	{"poke", 0, 0, "m=", "a mapped write moves times when its page is written (msync)"},
	{"write_fault", EFAULT, EFAULT, "m=moved", "a write that fails moves no time"},
	{"fallocate", EFBIG, EFBIG, "m=moved", "an allocation that fails moves no time"},
};

static bool answers(int wanted, const struct result *r)
{
	return wanted == ANY || wanted == r->error;
}

const char *known_reason(const char *call, const struct result *reference,
	const struct result *tested, const char *difference)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		const struct known *k = &table[i];

		if (strcmp(k->call, call) == 0 && answers(k->reference, reference) &&
			answers(k->tested, tested) && (!k->hint || strstr(difference, k->hint)))
			return k->reason;
	}
	return NULL;
}
