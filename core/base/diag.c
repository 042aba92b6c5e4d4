/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages. The fields of a diag_limit are shared by threads and changed by atomic builtins only.
 */
#include "core/base/diag.h"

#include "core/base/env.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_MAX 1024 /* bytes; longer ones are cut */
#define LIMIT_NS (60 * 1000000000ull)

static const char *const level_names[] = {
	[DIAG_ERROR] = "error",
	[DIAG_WARNING] = "warning",
	[DIAG_INFO] = "info",
	[DIAG_DEBUG] = "debug",
};

static void to_stderr(void *arg, enum diag_level level, const char *component, const char *text)
{
	(void)arg;
	fprintf(stderr, "zerofs: %s: %s: %s\n", level_names[level], component, text);
}

static struct diag_sink current_sink = {.message = to_stderr};
static atomic_int most_verbose_level = DIAG_WARNING;

void diag_set_sink(const struct diag_sink *sink)
{
	current_sink = sink ? *sink : (struct diag_sink){.message = to_stderr};
}

void diag_set_level(enum diag_level most_verbose)
{
	atomic_store_explicit(&most_verbose_level, (int)most_verbose, memory_order_relaxed);
}

static bool wanted(enum diag_level level)
{
	return (int)level <= atomic_load_explicit(&most_verbose_level, memory_order_relaxed);
}

/* Names of files and replies of servers get into messages: one message stays one line without
 * control bytes. */
static void make_one_line(char *text)
{
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

__attribute__((format(printf, 4, 0))) static void message(enum diag_level level,
	const char *component, unsigned long long left_out, const char *format, va_list ap)
{
	char text[MESSAGE_MAX];

	if (vsnprintf(text, sizeof(text), format, ap) < 0)
		text[0] = '\0';
	if (left_out) {
		char tail[64];
		size_t n = (size_t)snprintf(tail, sizeof(tail), " (and %llu more)", left_out);
		size_t at = strlen(text), most = sizeof(text) - 1 - n;

		memcpy(text + (at < most ? at : most), tail, n + 1);
	}
	make_one_line(text);
	current_sink.message(current_sink.arg, level, component, text);
}

void diag(enum diag_level level, const char *component, const char *format, ...)
{
	va_list ap;

	if (!wanted(level))
		return;
	va_start(ap, format);
	message(level, component, 0, format, ap);
	va_end(ap);
}

/* True when this call is the one that speaks in this minute. */
static bool limit_passes(struct diag_limit *limit)
{
	unsigned long long now = env_now_ns(),
			   last = __atomic_load_n(&limit->last_ns, __ATOMIC_RELAXED);

	if (last != 0 && now - last < LIMIT_NS)
		return false;
	return __atomic_compare_exchange_n(
		&limit->last_ns, &last, now ? now : 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

void diag_limited(struct diag_limit *limit, enum diag_level level, const char *component,
	const char *format, ...)
{
	va_list ap;

	if (!wanted(level))
		return;
	if (!limit_passes(limit)) {
		__atomic_fetch_add(&limit->suppressed, 1, __ATOMIC_RELAXED);
		return;
	}
	va_start(ap, format);
	message(level, component, __atomic_exchange_n(&limit->suppressed, 0, __ATOMIC_RELAXED),
		format, ap);
	va_end(ap);
}
