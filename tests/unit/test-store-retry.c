/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The retry layer and the read-back of store_create(), in the simulator's time. */
#include "core/base/diag.h"
#include "core/base/thread.h"
#include "core/store/delay.h"
#include "core/store/fault.h"
#include "core/store/mem.h"
#include "core/store/retry.h"
#include "core/store/store_internal.h"
#include "tests/sim/env_sim.h"
#include "tests/unit/test-store.h"

#define MS 1000000ull
#define ATTEMPTS_MAX 20000

/* A backend that notes when it was asked and answers from a script; the last answer repeats. */
struct script {
	struct layer layer;
	const int *answers;
	size_t n;
	size_t asked;
	uint64_t at_ns[ATTEMPTS_MAX];
};

static int script_call(struct layer *l, struct store_call *c, struct error *err)
{
	struct script *p = (struct script *)l;
	size_t i = p->asked < p->n ? p->asked : p->n - 1;

	ck_assert_uint_lt(p->asked, ATTEMPTS_MAX);
	p->at_ns[p->asked++] = env_now_ns();
	if (p->answers[i] < 0)
		return error_set(err, p->answers[i], "scripted failure of %s", c->key);
	return 0;
}

static void script_close(struct store *s)
{
	free(s);
}

static const struct store_ops script_ops = {
	.name = "script",
	.create = layer_create,
	.put = layer_put,
	.get = layer_get,
	.del = layer_del,
	.list = layer_list,
	.close = script_close,
};

static struct script *script_new(const int *answers, size_t n)
{
	struct script *p = calloc(1, sizeof(*p));

	p->layer.store.ops = &script_ops;
	p->layer.call = script_call;
	p->answers = answers;
	p->n = n;
	return p;
}

#define SCRIPT(...)                                                                                \
	script_new((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static int create(struct store *s, const char *key, const char *text, struct error *err)
{
	struct slice part = SLICE_STR(text);

	return store_create(s, key, &part, 1, err);
}

static unsigned messages;

static void count_message(void *arg, enum diag_level level, const char *component, const char *text)
{
	(void)arg;
	ck_assert(level == DIAG_WARNING || level == DIAG_INFO);
	ck_assert_str_eq(component, "store");
	ck_assert_str_ne(text, "");
	messages += level == DIAG_WARNING;
}

static void transient_main(void *arg)
{
	struct script *p = SCRIPT(-EIO, -ETIMEDOUT, -EIO);
	struct store *s = retry_new(&p->layer.store, &(struct retry_options){.timeout_ms = 300000});
	struct retry_status st;
	struct error err = {0};
	uint64_t start = env_now_ns(), limit = 50, sum = 0;

	(void)arg;
	retry_get_status(s, &st);
	ck_assert(!st.degraded && st.failed_at_ns == 0);
	ck_assert_int_eq(create(s, "k", "x", &err), -EIO);
	uint64_t took = env_now_ns() - start;

	ck_assert_uint_ge(took, 300000 * MS);
	ck_assert_uint_le(took, 300010 * MS);
	ck_assert_int_eq(err.code, -EIO);
	ck_assert_ptr_nonnull(strstr(err.text, "scripted failure of k"));
	ck_assert_ptr_nonnull(strstr(err.text, "300 s"));
	ck_assert_uint_ge(p->asked, 30); /* 8 until the limit is reached, then about 5 s each */
	ck_assert_uint_le(p->asked, 150);
	for (size_t i = 1; i < p->asked; i++) {
		uint64_t gap = p->at_ns[i] - p->at_ns[i - 1];

		ck_assert_msg(gap <= limit * MS + MS, "wait %zu: %llu ms", i,
			(unsigned long long)(gap / MS));
		if (limit == 10000 && i + 1 < p->asked)
			sum += gap;
		limit = limit * 2 < 10000 ? limit * 2 : 10000;
	}
	/* full jitter: half of the limit on average */
	ck_assert_uint_ge(sum / (p->asked - 10), 3000 * MS);
	ck_assert_uint_le(sum / (p->asked - 10), 7500 * MS);
	retry_get_status(s, &st);
	ck_assert(st.degraded);
	ck_assert_uint_ge(st.since_ns, start);
	ck_assert_uint_le(st.since_ns, start + MS);
	ck_assert_uint_eq(st.attempts_failed, p->asked);
	ck_assert_uint_eq(st.gave_up, 1);
	ck_assert_uint_eq(st.waiting, 0);
	ck_assert_uint_ge(messages, 4);
	ck_assert_uint_le(messages, 6); /* one a minute */
	store_close(s);
}

static void timeout_main(void *arg)
{
	struct script *p = SCRIPT(-ETIMEDOUT);
	struct store *s = retry_new(&p->layer.store, &(struct retry_options){.timeout_ms = 1});

	(void)arg;
	ck_assert_int_eq(store_delete(s, "k", NULL), -EIO); /* -ETIMEDOUT stays below */
	store_close(s);

	p = SCRIPT(-EIO);
	s = retry_new(&p->layer.store, &(struct retry_options){0});
	uint64_t start = env_now_ns();

	ck_assert_int_eq(store_delete(s, "k", NULL), -EIO);
	ck_assert_uint_ge(env_now_ns() - start, 600000 * MS); /* the default */
	ck_assert_uint_le(env_now_ns() - start, 600010 * MS);
	store_close(s);
}

static void blocked_main(void *arg)
{
	static const int codes[] = {-EACCES, -ENOSPC};

	(void)arg;
	for (int c = 0; c < 2; c++) {
		const int mixed[] = {-EIO, -EIO, codes[c], -EIO, codes[c]};
		struct script *p = script_new(&codes[c], 1);
		struct store *s =
			retry_new(&p->layer.store, &(struct retry_options){.refused_ms = 5000});
		struct error err = {0};
		uint64_t start = env_now_ns();

		/* Asked several times, and whoever asked is told soon and in the store's words. */
		ck_assert_int_eq(s->ops->put(s, "k", &(struct slice){0}, 1, &err), codes[c]);
		ck_assert_str_eq(err.text, "scripted failure of k");
		ck_assert_uint_ge(env_now_ns() - start, 5000 * MS);
		ck_assert_uint_le(env_now_ns() - start, 5010 * MS);
		ck_assert_uint_ge(p->asked, 4);
		store_close(s);

		/* The time counts from the newest refusal on that no failure interrupted. */
		p = script_new(mixed, 5);
		s = retry_new(&p->layer.store, &(struct retry_options){0});
		ck_assert_int_eq(store_put(s, "k", SLICE_STR("x"), NULL), codes[c]);
		ck_assert_uint_ge(p->asked, 6);
		ck_assert_uint_ge(p->at_ns[p->asked - 1] - p->at_ns[4], 1000 * MS);
		ck_assert_uint_le(p->at_ns[p->asked - 1] - p->at_ns[4], 1010 * MS);
		store_close(s);

		/* Not longer than any request. */
		p = script_new(&codes[c], 1);
		s = retry_new(&p->layer.store, &(struct retry_options){.timeout_ms = 300});
		start = env_now_ns();
		ck_assert_int_eq(store_delete(s, "k", NULL), codes[c]);
		ck_assert_uint_le(env_now_ns() - start, 310 * MS);
		store_close(s);
	}
}

/* These are answers, not failures. */
static void answers_main(void *arg)
{
	static const int codes[] = {
		-ENOENT, -EEXIST, -EBADMSG, -ECANCELED, -EINVAL, -ENOMEM, -EAGAIN};

	(void)arg;
	for (size_t c = 0; c < sizeof(codes) / sizeof(*codes); c++) {
		struct script *p = script_new(&codes[c], 1);
		struct store *s = retry_new(&p->layer.store, &(struct retry_options){0});
		struct retry_status st;

		ck_assert_int_eq(s->ops->create(s, "k", NULL, 0, NULL), codes[c]);
		ck_assert_uint_eq(p->asked, 1);
		retry_get_status(s, &st);
		ck_assert(!st.degraded);
		ck_assert_uint_eq(st.attempts_failed, 0);
		store_close(s);
	}
}

static void recovers_main(void *arg)
{
	struct script *p = SCRIPT(-EIO, -EACCES, -ETIMEDOUT, 0);
	struct store *s = retry_new(&p->layer.store, &(struct retry_options){.timeout_ms = 60000});
	struct retry_status st;
	struct error err = {0};

	(void)arg;
	ck_assert_int_eq(create(s, "k", "x", &err), 0);
	ck_assert_int_eq(err.code, 0); /* untouched on success */
	ck_assert_uint_eq(p->asked, 4);
	retry_get_status(s, &st);
	ck_assert(!st.degraded);
	ck_assert_uint_eq(st.since_ns, 0);
	ck_assert_uint_eq(st.attempts_failed, 3);
	ck_assert_int_eq(st.last.code, -ETIMEDOUT);
	store_close(s);

	/* gave up: degraded until something succeeds; "no such object" is a success of the store */
	p = SCRIPT(-EIO, -EIO, -ECANCELED, -ENOENT);
	s = retry_new(&p->layer.store, &(struct retry_options){.timeout_ms = 1, .min_ms = 10});
	ck_assert_int_eq(store_delete(s, "k", NULL), -EIO);
	ck_assert_int_eq(store_delete(s, "k", NULL), -ECANCELED);
	retry_get_status(s, &st);
	ck_assert(st.degraded);
	ck_assert_int_eq(store_delete(s, "k", NULL), -ENOENT);
	retry_get_status(s, &st);
	ck_assert(!st.degraded);
	store_close(s);
}

struct waiter {
	struct thread thread;
	struct store *s;
	int result;
	uint64_t ended_ns;
};

static void waiter_run(void *arg)
{
	struct waiter *w = arg;

	w->result = store_delete(w->s, "k", NULL);
	w->ended_ns = env_now_ns();
}

static void cancel_main(void *arg)
{
	struct script *p = SCRIPT(-EIO);
	struct store *s =
		retry_new(delay_new(&p->layer.store, &(struct delay_options){.latency_us = 10}),
			&(struct retry_options){0});
	struct waiter w[3] = {{.s = s}, {.s = s}, {.s = s}};
	struct retry_status st;

	(void)arg;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(thread_start(&w[i].thread, "waiter", waiter_run, &w[i]), 0);
	env_sleep_ms(3000);
	retry_get_status(s, &st);
	ck_assert(st.degraded);
	ck_assert_uint_eq(st.waiting, 3);
	uint64_t at = env_now_ns();

	store_cancel(s);
	for (int i = 0; i < 3; i++) {
		thread_join(&w[i].thread);
		ck_assert_int_eq(w[i].result, -ECANCELED);
		ck_assert_uint_le(w[i].ended_ns - at, MS);
	}
	ck_assert_int_eq(store_delete(s, "k", NULL), -ECANCELED);
	store_close(s);
}

/* A create whose reply is lost takes effect once, and is told from somebody else's. */
static void lost_replies_main(void *arg)
{
	struct store *below;

	(void)arg;
	ck_assert_int_eq(mem_store_open("retry", &below, NULL), 0);
	struct store *fault = fault_new(below);
	struct store *s = retry_new(fault, &(struct retry_options){.timeout_ms = 1000});

	fault_add(fault,
		&(struct fault_rule){.kind = FAULT_LOST_REPLY, .ops = FAULT_OP(STORE_CREATE)});
	ck_assert_int_eq(create(s, "k", "mine", NULL), 0);
	ck_assert_uint_eq(fault_calls(fault, STORE_CREATE), 2);
	ck_assert_uint_eq(fault_calls(fault, STORE_GET), 1);
	ck_assert_int_eq(create(s, "k", "yours", NULL), -EEXIST);

	/* also when the read-back fails at first */
	fault_clear(fault);
	fault_add(fault,
		&(struct fault_rule){.kind = FAULT_LOST_REPLY, .ops = FAULT_OP(STORE_CREATE)});
	fault_add(fault, &(struct fault_rule){.kind = FAULT_ERROR, .ops = FAULT_OP(STORE_GET)});
	ck_assert_int_eq(create(s, "k2", "mine", NULL), 0);

	/* or when it is cut short */
	fault_clear(fault);
	fault_add(fault, &(struct fault_rule){.kind = FAULT_SHORT_READ, .count = 2});
	ck_assert_int_eq(create(s, "k2", "mine", NULL), 0);

	char text[8];
	size_t len;

	fault_clear(fault);
	int id = fault_add(fault, &(struct fault_rule){.kind = FAULT_SHORT_READ, .count = 3});

	ck_assert_int_eq(store_get(s, "k", 0, text, 8, &len, NULL, NULL), 0);
	ck_assert_uint_eq(len, 4);
	ck_assert_mem_eq(text, "mine", 4);
	ck_assert_uint_eq(fault_hits(fault, id), 3);

	/* LIST begins anew after a failure, without a trace of the attempt */
	struct store_list l;

	fault_clear(fault);
	fault_add(fault, &(struct fault_rule){.kind = FAULT_LOST_REPLY, .count = 2});
	ck_assert_int_eq(store_list_all(s, "", NULL, &l, NULL), 0);
	ck_assert_uint_eq(l.n, 2);
	store_list_done(&l);
	store_close(s);
	mem_store_forget("retry");
}

static void read_back_main(void *arg)
{
	struct script *p = SCRIPT(-EEXIST, -ENOENT);
	struct error err = {0};

	(void)arg;
	ck_assert_int_eq(create(&p->layer.store, "k", "x", &err), -EAGAIN);
	ck_assert_int_eq(err.code, -EAGAIN);
	store_close(&p->layer.store);
	p = SCRIPT(-EEXIST, -EBADMSG);
	ck_assert_int_eq(create(&p->layer.store, "k", "x", NULL), -EBADMSG);
	store_close(&p->layer.store);
	p = SCRIPT(-ETIMEDOUT);
	ck_assert_int_eq(create(&p->layer.store, "k", "x", NULL), -ETIMEDOUT);
	store_close(&p->layer.store);
}

/* Every request of a small history fails once, transiently, in every way: nobody above notices. */
static void sweep_main(void *arg)
{
	static const enum fault_kind kinds[] = {FAULT_ERROR, FAULT_LOST_REPLY, FAULT_SHORT_READ};

	(void)arg;
	for (unsigned k = 0; k < 3; k++)
		for (uint64_t n = 1;; n++) {
			struct store *below;
			struct store_list l;
			struct buf out = BUF_INIT;

			ck_assert_int_eq(mem_store_open("sweep", &below, NULL), 0);
			struct store *fault = fault_new(below);
			struct store *s = retry_new(fault, &(struct retry_options){0});
			int id = fault_add(fault, &(struct fault_rule){.kind = kinds[k], .nth = n});

			ck_assert_int_eq(create(s, "log/1", "one", NULL), 0);
			ck_assert_int_eq(store_put(s, "writer/1.alive", SLICE_STR("1"), NULL), 0);
			ck_assert_int_eq(create(s, "log/2", "two", NULL), 0);
			ck_assert_int_eq(create(s, "log/1", "two", NULL), -EEXIST);
			ck_assert_int_eq(store_get_all(s, "log/2", 10, &out, NULL), 0);
			ck_assert(slice_eq(buf_slice(&out), SLICE_STR("two")));
			ck_assert_int_eq(store_delete(s, "log/1", NULL), 0);
			ck_assert_int_eq(store_list_all(s, "", NULL, &l, NULL), 0);
			ck_assert_uint_eq(l.n, 2);
			bool done = fault_hits(fault, id) == 0;

			store_list_done(&l);
			buf_done(&out);
			store_close(s);
			mem_store_forget("sweep");
			if (done) {
				ck_assert_uint_ge(n, 8);
				break;
			}
		}
}

static void (*const scenarios[])(void *arg) = {transient_main, timeout_main, blocked_main,
	answers_main, recovers_main, cancel_main, lost_replies_main, read_back_main, sweep_main};

START_TEST(scenario)
{
	static const struct diag_sink sink = {.message = count_message};

	diag_set_sink(&sink);
	diag_set_level(DIAG_INFO);
	sim_run(scenarios[_i], NULL, (uint64_t)_i + 11);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store-retry");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	tcase_add_loop_test(tc, scenario, 0, sizeof(scenarios) / sizeof(*scenarios));
	return test_run(suite);
}
