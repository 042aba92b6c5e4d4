/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/seal/secret.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * Each secret has pages of its own, so that locking, core dumps and wiping concern nothing else.
 * The size of the mapping stands in front of the caller's bytes.
 */
#define PREFIX_BYTES 64

void *secret_new(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (len > SIZE_MAX - PREFIX_BYTES - page)
		return NULL;
	size_t size = (len + PREFIX_BYTES + page - 1) / page * page;
	uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* Both only lower the risk; without them the secret works as well. */
	(void)mlock(p, size);
	(void)madvise(p, size, MADV_DONTDUMP);
	memcpy(p, &size, sizeof(size));
	return p + PREFIX_BYTES;
}

void secret_free(void *p)
{
	if (!p)
		return;
	uint8_t *start = (uint8_t *)p - PREFIX_BYTES;
	size_t size;

	memcpy(&size, start, sizeof(size));
	explicit_bzero(start, size);
	int r = munmap(start, size); /* unlocks too */

	assert(r == 0);
	(void)r;
}

void secret_wipe(void *p, size_t len)
{
	explicit_bzero(p, len);
}
