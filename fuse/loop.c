/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Threads are in one of four states: reading (in read(2) on the device), running (in the handler),
 * waiting (in the handler, inside core, after env_blocking), idle (on the semaphore).
 *
 * Invariant: while the mount lives and not all LOOP_THREADS_MAX threads wait inside core, some
 * thread is reading, or is running and will read or wake a reader when it is done or about to wait.
 * A thread that goes idle first counts itself idle and then looks for a reader; one that stops
 * reading first counts itself out and then looks for an idle thread: so one of the two sees the
 * other.
 *
 * No lock is used, because the blocking hook runs with core's locks held.
 */
#include "fuse/loop.h"

#include "core/base/cleanup.h"
#include "core/base/thread.h"
#include "fuse/proto.h"

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * What was done before a reply is done before any request that its caller makes afterwards: the
 * device orders them. The thread sanitizer does not know, as nothing in memory passes.
 */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
static char device_order;
#define BEFORE_REPLY() __tsan_release(&device_order)
#define AFTER_REQUEST() __tsan_acquire(&device_order)
#else
#define BEFORE_REPLY() ((void)0)
#define AFTER_REQUEST() ((void)0)
#endif

#define KEPT_BYTES (128u << 10) /* of each buffer that an idle thread keeps resident */

struct loop_thread {
	struct thread thread;
	struct loop *loop;
	uint8_t *in, *out;
	bool waiting; /* owner thread only: this request has waited inside core */
	bool used_much;
	_Atomic uint64_t served; /* written by the owner thread only */
	_Atomic bool live;	 /* `id` is valid */
	pthread_t id;
};

struct loop {
	struct loop_options o; /* immutable */
	unsigned cores;
	sem_t wake;  /* an idle thread is to read, or to end */
	sem_t ended; /* loop_run has something to do: the loop stops */
	atomic_int readers, running, idle, nthreads, alive;
	atomic_int crowded; /* requests in a row behind which another one was pending */
	atomic_bool stop;
	atomic_int result;
	struct loop_thread threads[LOOP_THREADS_MAX];
};

static void loop_thread_main(void *arg);

static uint8_t *buffer_new(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void thread_buffers_free(struct loop_thread *t)
{
	if (t->in)
		(void)munmap(t->in, t->loop->o.max_request); /* our own mapping */
	if (t->out)
		(void)munmap(t->out, t->loop->o.max_reply);
	t->in = t->out = NULL;
}

/* Adds a thread; false when there are enough or none can be had (then whoever runs reads again when
 * it is done). */
static bool add_thread(struct loop *l)
{
	int slot = atomic_load(&l->nthreads);

	do {
		if (slot >= (int)l->o.max_threads)
			return false;
	} while (!atomic_compare_exchange_weak(&l->nthreads, &slot, slot + 1));

	struct loop_thread *t = &l->threads[slot];

	t->loop = l;
	t->in = buffer_new(l->o.max_request);
	t->out = buffer_new(l->o.max_reply);
	atomic_fetch_add(&l->alive, 1);
	if (t->in && t->out && thread_start(&t->thread, "fuse", loop_thread_main, t) == 0)
		return true;
	atomic_fetch_sub(&l->alive, 1);
	thread_buffers_free(
		t); /* the slot stays unused: memory is short, fewer threads are better */
	return false;
}

static void want_reader(struct loop *l)
{
	if (atomic_load(&l->stop) || atomic_load(&l->readers) > 0)
		return;
	if (atomic_load(&l->idle) > 0)
		(void)sem_post(&l->wake); /* EOVERFLOW: more wake-ups pending than threads exist */
	else
		(void)add_thread(l);
}

/* The hook: this thread is about to wait inside core. */
static void loop_blocking(void *arg)
{
	struct loop_thread *t = arg;

	if (!t->waiting) {
		t->waiting = true;
		atomic_fetch_sub(&t->loop->running, 1);
	}
	want_reader(t->loop);
}

static bool more_pending(const struct loop *l)
{
	struct pollfd p = {.fd = l->o.fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

/*
 * Whether a second core is worth waking. One pending request is not: a program that closes a file
 * and goes on has a RELEASE and its next request under way at once, and both are answered before
 * another thread has woken up.
 */
static bool is_crowded(struct loop *l)
{
	if (atomic_load(&l->running) >= (int)l->cores)
		return false;
	if (!more_pending(l)) {
		atomic_store(&l->crowded, 0);
		return false;
	}
	return atomic_fetch_add(&l->crowded, 1) > 0;
}

static void serve_one(struct loop_thread *t, size_t len)
{
	struct loop *l = t->loop;
	struct loop_request r = {
		.fd = l->o.fd,
		.in = t->in,
		.in_len = len,
		.out = t->out,
		.out_size = l->o.max_reply,
	};
	const struct env_blocking_hook hook = {.blocking = loop_blocking, .arg = t};

	t->waiting = false;
	env_set_blocking_hook(&hook);
	atomic_store_explicit(&t->served,
		atomic_load_explicit(&t->served, memory_order_relaxed) + 1, memory_order_relaxed);
	l->o.handle(l->o.arg, &r);
	env_set_blocking_hook(NULL);
	t->used_much |= len > KEPT_BYTES || r.replied > KEPT_BYTES;
	if (!t->waiting)
		atomic_fetch_sub(&l->running, 1);
}

/* Waits until it should read; false = the loop ends. */
static bool become_reader(struct loop_thread *t)
{
	struct loop *l = t->loop;

	for (;;) {
		if (atomic_load(&l->stop))
			return false;
		int none = 0;

		if (atomic_compare_exchange_strong(&l->readers, &none, 1))
			return true;
		if (t->used_much) {
			(void)madvise(
				t->in + KEPT_BYTES, l->o.max_request - KEPT_BYTES, MADV_DONTNEED);
			(void)madvise(t->out, l->o.max_reply, MADV_DONTNEED); /* advice only */
			t->used_much = false;
		}
		atomic_fetch_add(&l->idle, 1);
		if (atomic_load(&l->readers) > 0)
			while (sem_wait(&l->wake) < 0 && errno == EINTR)
				if (atomic_load(&l->stop))
					break;
		atomic_fetch_sub(&l->idle, 1);
	}
}

static void finish(struct loop *l, int result)
{
	int none = 0;

	(void)atomic_compare_exchange_strong(
		&l->result, &none, result); /* the first result stays */
	loop_stop(l);
}

static void loop_thread_main(void *arg)
{
	struct loop_thread *t = arg;
	struct loop *l = t->loop;

	sigset_t wake;

	t->id = pthread_self();
	sigemptyset(&wake);
	sigaddset(&wake, SIGUSR2);
	(void)pthread_sigmask(
		SIG_UNBLOCK, &wake, NULL); /* threads of core start with signals blocked */
	atomic_store(&t->live, true);
	while (become_reader(t)) {
		ssize_t n = read(l->o.fd, t->in, l->o.max_request);
		int e = errno;

		AFTER_REQUEST();
		atomic_fetch_add(&l->running, 1);
		atomic_fetch_sub(&l->readers, 1);
		if (n < 0) {
			atomic_fetch_sub(&l->running, 1);
			/* ENOENT: the request was interrupted before it was read. ENODEV:
			 * unmounted. */
			if (e != EINTR && e != EAGAIN && e != ENOENT)
				finish(l, e == ENODEV ? 0 : -e);
			continue;
		}
		if (is_crowded(l))
			want_reader(l);
		serve_one(t, (size_t)n);
	}
	atomic_store(&t->live, false);
	atomic_fetch_sub(&l->alive, 1);
}

int loop_new(const struct loop_options *o, struct loop **ret)
{
	struct loop *l = calloc(1, sizeof *l);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (!l)
		return -ENOMEM;
	l->o = *o;
	l->cores = cores < 1 ? 1 : (unsigned)cores;
	(void)sem_init(&l->wake, 0, 0); /* cannot fail: not shared, value 0 */
	(void)sem_init(&l->ended, 0, 0);
	*ret = l;
	return 0;
}

/* Interrupts read(2) of the other threads; the handler itself does nothing. */
static void on_wake_signal(int signo)
{
	(void)signo;
}

/* A signal may arrive just before read(2) and be lost, so the caller repeats this until all threads
 * have gone. */
static void kick_threads(struct loop *l)
{
	for (int i = 0; i < (int)l->o.max_threads; i++) {
		struct loop_thread *t = &l->threads[i];

		if (!atomic_load(&t->live))
			continue;
		(void)sem_post(&l->wake);
		(void)pthread_kill(t->id, SIGUSR2); /* not joined yet, so the id is valid */
	}
}

int loop_start(struct loop *l, struct error *err)
{
	struct sigaction sa = {.sa_handler = on_wake_signal};

	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGUSR2, &sa, NULL) < 0)
		return error_set(err, -errno, "cannot set a signal handler");
	if (!add_thread(l))
		return error_set(err, -ENOMEM, "cannot start a thread to serve requests");
	return 0;
}

int loop_run(struct loop *l, struct error *err)
{
	if (atomic_load(&l->nthreads) == 0) {
		int r = loop_start(l, err);

		if (r < 0)
			return r;
	}
	while (sem_wait(&l->ended) < 0 && errno == EINTR)
		;
	while (atomic_load(&l->alive) > 0) {
		kick_threads(l);
		env_sleep_ms(5);
	}
	for (int i = 0; i < (int)l->o.max_threads; i++)
		thread_join(&l->threads[i].thread);
	int r = atomic_load(&l->result);

	return r < 0 ? error_set(err, r, "reading from /dev/fuse failed: %s", strerror(-r)) : 0;
}

uint64_t loop_served(const struct loop *l)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < l->o.max_threads; i++)
		n += atomic_load_explicit(&l->threads[i].served, memory_order_relaxed);
	return n;
}

void loop_stop(struct loop *l)
{
	atomic_store(&l->stop, true);
	(void)sem_post(&l->ended);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	for (int i = 0; i < LOOP_THREADS_MAX; i++)
		if (l->threads[i].loop)
			thread_buffers_free(&l->threads[i]);
	(void)sem_destroy(&l->wake); /* nobody waits any more */
	(void)sem_destroy(&l->ended);
	free(l);
}

void loop_reply2(struct loop_request *r, const void *a, size_t alen, const void *b, size_t blen)
{
	struct fuse_in_header in;

	memcpy(&in, r->in, sizeof in);

	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof out + alen + blen), .unique = in.unique};
	struct iovec iov[3] = {
		{.iov_base = &out, .iov_len = sizeof out},
		{.iov_base = (void *)(uintptr_t)a, .iov_len = alen},
		{.iov_base = (void *)(uintptr_t)b, .iov_len = blen},
	};

	r->replied = alen + blen;
	BEFORE_REPLY();
	(void)!writev(r->fd, iov,
		blen   ? 3
		: alen ? 2
		       : 1); /* see the header: nobody is left to be told */
}

void loop_reply(struct loop_request *r, int error, const void *payload, size_t len)
{
	struct fuse_in_header in;

	if (error == 0) {
		loop_reply2(r, payload, len, NULL, 0);
		return;
	}
	memcpy(&in, r->in, sizeof in);
	loop_reply_later(r->fd, in.unique, error);
}

void loop_reply_later(int fd, uint64_t unique, int error)
{
	struct fuse_out_header out = {.len = sizeof out, .error = error, .unique = unique};

	BEFORE_REPLY();
	(void)!write(fd, &out, sizeof out); /* as above */
}
