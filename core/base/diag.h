/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_DIAG_H
#define CORE_BASE_DIAG_H
/*
 * One-line messages: component = folder, then key=value or a sentence, no secrets. Whoever stops
 * the propagation of an error logs it, once. Core logs only from background threads; front ends
 * plug in the sink.
 */
enum diag_level { DIAG_ERROR, DIAG_WARNING, DIAG_INFO, DIAG_DEBUG };

struct diag_sink {
	void (*message)(void *arg, enum diag_level level, const char *component, const char *text);
	void *arg;
};
/* NULL: standard error. Set before threads start. */
void diag_set_sink(const struct diag_sink *sink);
void diag_set_level(enum diag_level most_verbose); /* DIAG_WARNING unless told otherwise */
void diag(enum diag_level level, const char *component, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* At most one line a minute for each `limit`; counts what it left out. */
struct diag_limit {
	unsigned long long last_ns, suppressed;
};
void diag_limited(struct diag_limit *limit, enum diag_level level, const char *component,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
