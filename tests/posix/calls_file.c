/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calls on open files: bytes, offsets, allocation. */
#include "tests/posix/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/fs.h>

#define BYTES_MAX (1u << 20)

/* Aligned for O_DIRECT. */
static uint8_t *buffer_of(struct call *c, int64_t len)
{
	static _Alignas(4096) uint8_t buffer[BYTES_MAX];

	if (len < 0 || len > BYTES_MAX)
		die("%s: at most %u bytes", c->words[0], BYTES_MAX);
	return buffer;
}

static void tell_read(struct call *c, ssize_t n, const uint8_t *bytes)
{
	put(c, n);
	if (n > 0)
		text_add_bytes(&c->r->text, bytes, (size_t)n);
}

static void call_read(struct call *c)
{
	size_t len = (size_t)arg_number(c, 2);
	struct stat st;

	/* An offset behind the entries is checked before the kind of file. */
	if (fstat(arg_fd(c, 1), &st) == 0 && S_ISDIR(st.st_mode))
		(void)lseek(arg_fd(c, 1), 0, SEEK_SET);
	uint8_t *p = buffer_of(c, (int64_t)len);

	tell_read(c, read(arg_fd(c, 1), p, len), p);
}

/* Not from the page cache. */
static void call_read_fresh(struct call *c)
{
	(void)posix_fadvise(arg_fd(c, 1), 0, 0, POSIX_FADV_DONTNEED);
	call_read(c);
}

static void call_pread(struct call *c)
{
	size_t len = (size_t)arg_number(c, 2);
	uint8_t *p = buffer_of(c, (int64_t)len);
	struct iovec v = {p, len};

	tell_read(c,
		preadv2(arg_fd(c, 1), &v, 1, (off_t)arg_number(c, 3), (int)arg_number_or(c, 4, 0)),
		p);
}

/* The bytes of a write: `len` times a letter. */
static uint8_t *filled(struct call *c, int letter, int length, size_t *ret_len)
{
	uint8_t *p = buffer_of(c, *ret_len = (size_t)arg_number(c, length));

	memset(p, *arg_word(c, letter), *ret_len);
	return p;
}

static void call_write(struct call *c)
{
	size_t len;
	uint8_t *p = filled(c, 2, 3, &len);

	put(c, write(arg_fd(c, 1), p, len));
}

static void call_pwrite(struct call *c)
{
	size_t len;
	uint8_t *p = filled(c, 2, 3, &len);
	struct iovec v = {p, len};

	put(c, pwritev2(arg_fd(c, 1), &v, 1, (off_t)arg_number(c, 4), (int)arg_number_or(c, 5, 0)));
}

/* From an address where nothing is. */
static void call_write_fault(struct call *c)
{
	put(c, write(arg_fd(c, 1), (const void *)8, (size_t)arg_number(c, 2)));
}

static void call_read_fault(struct call *c)
{
	put(c, read(arg_fd(c, 1), (void *)8, (size_t)arg_number(c, 2)));
}

static void call_lseek(struct call *c)
{
	struct stat st;

	/* Offsets in a directory mean something to its file system only. */
	if (fstat(arg_fd(c, 1), &st) == 0 && S_ISDIR(st.st_mode) &&
		(arg_number(c, 2) != 0 || arg_number(c, 3) != SEEK_SET))
		return;
	put(c, lseek(arg_fd(c, 1), (off_t)arg_number(c, 2), (int)arg_number(c, 3)));
}

/* Where data and holes begin is known to the block only. */
static void call_seek_blocks(struct call *c)
{
	int whence = (int)arg_number(c, 3);
	off_t at = lseek(arg_fd(c, 1), (off_t)arg_number(c, 2), whence);

	if (at > 0 && whence == SEEK_DATA)
		at &= ~(off_t)4095;
	else if (at > 0)
		at = (at + 4095) & ~(off_t)4095;
	put(c, at);
	(void)lseek(arg_fd(c, 1), 0, SEEK_SET); /* the byte that was found differs */
}

static void call_fallocate(struct call *c)
{
	put(c, fallocate(arg_fd(c, 1), (int)arg_number(c, 2), (off_t)arg_number(c, 3),
		       (off_t)arg_number(c, 4)));
}

static void call_posix_fallocate(struct call *c)
{
	int r = posix_fallocate(arg_fd(c, 1), (off_t)arg_number(c, 2), (off_t)arg_number(c, 3));

	errno = r;
	put(c, r ? -1 : 0);
}

static void call_fsync(struct call *c)
{
	put(c, fsync(arg_fd(c, 1)));
}

static void call_fdatasync(struct call *c)
{
	put(c, fdatasync(arg_fd(c, 1)));
}

static void call_sync_range(struct call *c)
{
	put(c, sync_file_range(arg_fd(c, 1), (off_t)arg_number(c, 2), (off_t)arg_number(c, 3),
		       SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
			       SYNC_FILE_RANGE_WAIT_AFTER));
}

static void call_setfl(struct call *c)
{
	put(c, fcntl(arg_fd(c, 1), F_SETFL, (int)arg_number(c, 2)));
}

/* copy FROM OFFSET TO OFFSET LENGTH; an offset of -1 is that of the open file. */
static void call_copy(struct call *c)
{
	off_t from = (off_t)arg_number(c, 2), to = (off_t)arg_number(c, 4);

	put(c, copy_file_range(arg_fd(c, 1), from < 0 ? NULL : &from, arg_fd(c, 3),
		       to < 0 ? NULL : &to, (size_t)arg_number(c, 5), 0));
}

static void call_clone(struct call *c)
{
	put(c, ioctl(arg_fd(c, 1), FICLONE, arg_fd(c, 2)));
}

/* clone_range TO OFFSET FROM OFFSET LENGTH */
static void call_clone_range(struct call *c)
{
	struct file_clone_range r = {
		.src_fd = arg_fd(c, 3),
		.dest_offset = (uint64_t)arg_number(c, 2),
		.src_offset = (uint64_t)arg_number(c, 4),
		.src_length = (uint64_t)arg_number(c, 5),
	};

	put(c, ioctl(arg_fd(c, 1), FICLONERANGE, &r));
}

static void call_sendfile(struct call *c)
{
	off_t at = (off_t)arg_number(c, 3);

	put(c, sendfile(arg_fd(c, 1), arg_fd(c, 2), &at, (size_t)arg_number(c, 4)));
}

static void call_fadvise(struct call *c)
{
	int r = posix_fadvise(arg_fd(c, 1), 0, 0, POSIX_FADV_DONTNEED);

	errno = r;
	put(c, r ? -1 : 0);
}

static void call_fionread(struct call *c)
{
	int n = 0;

	put(c, ioctl(arg_fd(c, 1), FIONREAD, &n));
	text_add(&c->r->text, "%d", n);
}

const struct call_entry calls_file[] = {
	{"read", call_read},
	{"read_fresh", call_read_fresh},
	{"pread", call_pread},
	{"write", call_write},
	{"pwrite", call_pwrite},
	{"write_fault", call_write_fault},
	{"read_fault", call_read_fault},
	{"lseek", call_lseek},
	{"seek_blocks", call_seek_blocks},
	{"fallocate", call_fallocate},
	{"posix_fallocate", call_posix_fallocate},
	{"fsync", call_fsync},
	{"fdatasync", call_fdatasync},
	{"sync_range", call_sync_range},
	{"setfl", call_setfl},
	{"copy", call_copy},
	{"clone", call_clone},
	{"clone_range", call_clone_range},
	{"sendfile", call_sendfile},
	{"drop_pages", call_fadvise},
	{"fionread", call_fionread},
	{NULL, NULL},
};
