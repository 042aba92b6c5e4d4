/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FUSE_PROTO_H
#define FUSE_PROTO_H
/*
 * The kernel's FUSE protocol: <linux/fuse.h> as the system has it, plus what later kernels added
 * and we use or must recognise. Facts from include/uapi/linux/fuse.h of the kernel named beside
 * each.
 */
#include <linux/fuse.h>

#define PROTO_MINOR_MIN 31 /* kernel 5.8: everything below answers 7.31 or newer */

#ifndef FUSE_CREATE_SUPP_GROUP
#define FUSE_CREATE_SUPP_GROUP (1ULL << 34) /* 7.38, kernel 6.3 */
#endif
#ifndef FUSE_DIRECT_IO_ALLOW_MMAP
#define FUSE_DIRECT_IO_ALLOW_MMAP (1ULL << 36) /* 7.39, kernel 6.6 */
#endif
#ifndef FOPEN_PARALLEL_DIRECT_WRITES
#define FOPEN_PARALLEL_DIRECT_WRITES (1 << 6) /* 7.37, kernel 6.2 */
#endif

#define PROTO_STATX 52		    /* 7.39, kernel 6.6 */
#define PROTO_COPY_FILE_RANGE_64 53 /* 7.45, kernel 6.18 */

/* Of PROTO_STATX. */
struct proto_sx_time {
	int64_t tv_sec;
	uint32_t tv_nsec;
	int32_t reserved;
};
struct proto_statx {
	uint32_t mask, blksize; /* mask: STATX_* */
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, spare0;
	uint64_t ino, size, blocks, attributes_mask;
	struct proto_sx_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t spare[14];
};
struct proto_statx_out {
	uint64_t attr_valid; /* how long it may be kept: seconds, nanoseconds */
	uint32_t attr_valid_nsec, flags;
	uint64_t spare[2];
	struct proto_statx stat;
};

/* The answer of PROTO_COPY_FILE_RANGE_64, whose arguments are those of FUSE_COPY_FILE_RANGE. */
struct proto_copy_file_range_out {
	uint64_t bytes_copied;
};

#endif
