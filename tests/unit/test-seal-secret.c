/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/seal/secret.h"
#include "tests/unit/seal-fixture.h"

START_TEST(zeroed_and_usable)
{
	static const size_t sizes[] = {0, 1, 64, 4031, 4032, 4033, 100000};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t *p = secret_new(sizes[i]);

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % 16, 0);
		for (size_t j = 0; j < sizes[i]; j++)
			ck_assert_uint_eq(p[j], 0);
		memset(p, 0xff, sizes[i]);
		secret_free(p);
	}
	secret_free(NULL);
	ck_assert_ptr_null(secret_new(SIZE_MAX - 10));
}
END_TEST

/* A line of /proc/self/smaps about the mapping that holds `p`. */
static bool mapping_says(const void *p, const char *field, char *value, size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	bool inside = false, found = false;

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long low, high;

		if (sscanf(line, "%lx-%lx ", &low, &high) == 2)
			inside = (uintptr_t)p >= low && (uintptr_t)p < high;
		else if (inside && strncmp(line, field, strlen(field)) == 0) {
			snprintf(value, size, "%s", line + strlen(field));
			found = true;
			break;
		}
	}
	fclose(f);
	return found;
}

START_TEST(not_dumped)
{
	char flags[600];
	void *p = secret_new(32);

	ck_assert_ptr_nonnull(p);
	if (mapping_says(p, "VmFlags:", flags, sizeof(flags)))
		ck_assert_msg(strstr(flags, " dd"), "flags are %s", flags);
	secret_free(p);
}
END_TEST

START_TEST(wipes)
{
	uint8_t key[32];

	memset(key, 7, sizeof(key));
	secret_wipe(key, 31);
	for (int i = 0; i < 31; i++)
		ck_assert_uint_eq(key[i], 0);
	ck_assert_uint_eq(key[31], 7);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("secret");

	tcase_add_test(t, zeroed_and_usable);
	tcase_add_test(t, not_dumped);
	tcase_add_test(t, wipes);
	return t;
}

int main(void)
{
	return run_suite(make, "secret");
}
