/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of the lock ranks, for messages. */
#include "core/base/lock_ranks.h"

const char *lock_rank_name(enum lock_rank rank)
{
	switch (rank) {
	case RANK_PROGRAM:
		return "PROGRAM";
	case RANK_CONTROL:
		return "CONTROL";
	case RANK_RENAME:
		return "RENAME";
	case RANK_INODE_NESTS:
		return "INODE_NESTS";
	case RANK_HANDLE:
		return "HANDLE";
	case RANK_LOCKS:
		return "LOCKS";
	case RANK_INODE_TABLE:
		return "INODE_TABLE";
	case RANK_ALLOC:
		return "ALLOC";
	case RANK_GROUP:
		return "GROUP";
	case RANK_GROUP_INODES:
		return "GROUP_INODES";
	case RANK_DIRTY:
		return "DIRTY";
	case RANK_SEGMENT:
		return "SEGMENT";
	case RANK_COMMIT:
		return "COMMIT";
	case RANK_READER:
		return "READER";
	case RANK_INDEX:
		return "INDEX";
	case RANK_MEMTABLE:
		return "MEMTABLE";
	case RANK_MANIFEST:
		return "MANIFEST";
	case RANK_EPOCH:
		return "EPOCH";
	case RANK_CACHE:
		return "CACHE";
	case RANK_USAGE:
		return "USAGE";
	case RANK_WORKERS:
		return "WORKERS";
	case RANK_BUDGET:
		return "BUDGET";
	case RANK_KEYS:
		return "KEYS";
	case RANK_STORE_LAYER_NESTS:
		return "STORE_LAYER_NESTS";
	case RANK_EVENTS:
		return "EVENTS";
	case RANK_DIAG:
		return "DIAG";
	}
	return "unknown";
}
