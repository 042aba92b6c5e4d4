/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_STORE_URL_H
#define CORE_STORE_URL_H
/*
 * From the address of a store to the stack of layers over its backend: stats, retry, delay (when
 * asked for), backend.
 *
 *   file:///path  /path  ./path  ../path  .name    a directory; in the file: form %XX stands for
 * any byte mem://NAME                                     memory of this process
 *
 * Parameters follow a `?`, separated by `&`; sizes as size_parse() reads them:
 *   delay_ms=N  bandwidth=SIZE  connection_bandwidth=SIZE  delay_seed=N      see delay.h;
 * bandwidths per second
 */
#include "core/store/store.h"

struct store_options {
	bool create_root;    /* make the directory of a file store when it is missing */
	uint64_t timeout_ms; /* see retry_options; 0 = the default */
};

/* An open stack. The layers belong to `top`. */
struct store_stack {
	struct store *top;   /* what callers use; the stats layer */
	struct store *stats; /* for stats_snapshot() */
	struct store *retry; /* for retry_get_status() */
	struct store *delay; /* NULL when the address asks for none */
	struct store *backend;
	char *url; /* canonical */
};

/*
 * Opens the store at `url`. -EINVAL: the address cannot be understood; else as the backend's open.
 * Sends no request.
 */
int store_open(
	const char *url, const struct store_options *o, struct store_stack *ret, struct error *err);
/* Closes all layers; an empty stack is fine. No request may be under way. */
void store_stack_close(struct store_stack *st);

/*
 * The one address that all ways to write it have in common, without parameters: for names of state
 * files and to tell whether two addresses mean one store. Paths become absolute, symbolic links are
 * followed as far as the path exists. Returns a new string. Looks at the local filesystem, sends no
 * request.
 */
int store_url_canonical(const char *url, char **ret, struct error *err);
/* The local directory that the address means, a new string, or NULL where it means none. */
int store_url_path(const char *url, char **ret, struct error *err);

#endif
