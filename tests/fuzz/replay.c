/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Without a fuzzer: runs each target over its seeds, over every truncation and every flipped byte
 * of them, and over the corpus, which holds what fuzzing has found. `replay --seeds DIR` writes the
 * seeds instead, for the fuzzer to begin with.
 */
#include "tests/fuzz/targets.h"

#include <dirent.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static unsigned long inputs;

/* In a block of exactly its size, so that the sanitizer sees a read beyond it. */
static void run_exact(const struct fuzz_target *t, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	memcpy(copy, data, len);
	t->run(SLICE(copy, len));
	free(copy);
	inputs++;
}

static void run_mutations(const struct fuzz_target *t, struct buf *seed)
{
	for (size_t n = 0; n <= seed->len; n++)
		run_exact(t, seed->data, n);
	for (size_t i = 0; i < seed->len; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			seed->data[i] ^= (uint8_t)(1u << bit);
			run_exact(t, seed->data, seed->len);
			seed->data[i] ^= (uint8_t)(1u << bit);
		}
}

static void write_seed(
	const char *dir, const struct fuzz_target *t, unsigned variant, const struct buf *seed)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s/%s", dir, t->name);
	(void)mkdir(path, 0777); /* exists: fine; fopen says what is wrong otherwise */
	(void)snprintf(path, sizeof path, "%s/%s/seed-%u", dir, t->name, variant);

	FILE *f = fopen(path, "w");

	if (!f || fwrite(seed->data, 1, seed->len, f) != seed->len || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static void each_seed(const struct fuzz_target *t, const char *dir)
{
	for (unsigned variant = 0; t->seed; variant++) {
		struct buf seed = BUF_INIT;
		bool more = t->seed(variant, &seed);

		if (more && dir)
			write_seed(dir, t, variant, &seed);
		else if (more)
			run_mutations(t, &seed);
		buf_done(&seed);
		if (!more)
			return;
	}
}

static void run_file(const struct fuzz_target *t, const char *path)
{
	static uint8_t bytes[1 << 20];
	FILE *f = fopen(path, "r");

	if (!f) {
		perror(path);
		exit(1);
	}
	run_exact(t, bytes, fread(bytes, 1, sizeof bytes, f));
	(void)fclose(f); /* read only */
}

static void run_corpus(const struct fuzz_target *t, const char *corpus)
{
	char path[768];

	(void)snprintf(path, sizeof path, "%s/%s", corpus, t->name);

	DIR *d = opendir(path);
	size_t len = strlen(path);

	for (struct dirent *e; d && (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path + len, sizeof path - len, "/%s", e->d_name);
		run_file(t, path);
	}
	if (d)
		(void)closedir(d);
}

int main(int argc, char **argv)
{
	const char *seeds = argc == 3 && strcmp(argv[1], "--seeds") == 0 ? argv[2] : NULL;

	if (sodium_init() < 0 || (argc > 1 && !seeds && argc != 2)) {
		(void)fputs("usage: replay [CORPUS | --seeds DIR]\n", stderr);
		return 2;
	}
	for (size_t i = 0; i < fuzz_target_count; i++) {
		each_seed(&fuzz_targets[i], seeds);
		if (!seeds && argc == 2)
			run_corpus(&fuzz_targets[i], argv[1]);
	}
	if (!seeds)
		printf("%lu inputs\n", inputs);
	return 0;
}
