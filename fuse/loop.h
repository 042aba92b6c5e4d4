/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FUSE_LOOP_H
#define FUSE_LOOP_H
/*
 * Reads requests from a FUSE descriptor and hands each to a handler in the thread that read it. One
 * hot thread does everything while it can keep up: a hand-over costs more than a request that is
 * answered from memory. Another thread reads as soon as the hot one is about to wait (env_blocking)
 * or more requests are pending and a core is free.
 */
#include "core/base/error.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LOOP_THREADS_MAX 256

struct loop;

/* One request. `in` begins with struct fuse_in_header; the handler answers by loop_reply at most
 * once. */
struct loop_request {
	int fd;
	const uint8_t *in;
	size_t in_len;
	uint8_t *out;	 /* scratch for the answer's payload */
	size_t out_size; /* bytes: at least the largest read */
	size_t replied;	 /* payload bytes answered; kept by loop_reply */
};

struct loop_options {
	int fd;		      /* of the mount; borrowed */
	size_t max_request;   /* bytes of the largest request: header, arguments, max_write */
	size_t max_reply;     /* bytes of the largest reply payload */
	unsigned max_threads; /* 1..LOOP_THREADS_MAX */
	void (*handle)(void *arg, struct loop_request *r);
	void *arg;
};

/* 0, -ENOMEM. */
int loop_new(const struct loop_options *o, struct loop **ret);
/* Starts the first thread: from here on requests are answered. loop_run follows. 0 or an error. */
int loop_start(struct loop *l, struct error *err);
/* Serves until the mount is gone or loop_stop; starts when that was not done. Returns 0, or the
 * negative errno of the device. */
int loop_run(struct loop *l, struct error *err);
/* Ends loop_run soon; requests under way are finished. From any thread. */
void loop_stop(struct loop *l);
/* Requests that threads have begun to serve so far. From any thread. */
uint64_t loop_served(const struct loop *l);
void loop_free(struct loop *l);

/*
 * Answers a request: `error` 0 or a negative errno (then without payload). Errors of the device are
 * ignored: the caller of the operation has gone (ENOENT), or the mount has.
 */
void loop_reply(struct loop_request *r, int error, const void *payload, size_t len);
/*
 * Answers request number `unique` (fuse_in_header) after its handler returned without an answer,
 * from any thread.
 */
void loop_reply_later(int fd, uint64_t unique, int error);
/* loop_reply with the payload in two parts. */
void loop_reply2(struct loop_request *r, const void *a, size_t alen, const void *b, size_t blen);

#endif
