/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libFuzzer's entry for the target that $FUZZ_TARGET names: one program for all decoders. */
#include "tests/fuzz/targets.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fuzz_target *target;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *name = getenv("FUZZ_TARGET");

	(void)argc;
	(void)argv;
	target = name ? fuzz_target_by_name(name) : NULL;
	if (!target || sodium_init() < 0) {
		(void)fputs("fuzz: set FUZZ_TARGET to one of:", stderr);
		for (size_t i = 0; i < fuzz_target_count; i++)
			(void)fprintf(stderr, " %s", fuzz_targets[i].name);
		(void)fputc('\n', stderr);
		exit(2);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	target->run(SLICE(data, size));
	return 0;
}
