/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parser of configuration files: what is read, and the exact place of what is refused. */
#include "core/config/toml.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct toml read_text(const char *text)
{
	struct toml t;
	struct error e = {0};
	int r = toml_parse(SLICE_STR(text), &t, &e);

	ck_assert_msg(r == 0, "%s: %s", text, e.text);
	return t;
}

static const struct toml_value *value_of(const struct toml *t, const char *key)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->entries[i].key, key) == 0)
			return &t->entries[i].value;
	ck_abort_msg("no %s", key);
	return NULL;
}

START_TEST(strings)
{
	static const struct {
		const char *text, *value;
	} cases[] = {
		{"k = \"plain; # not a comment\" # a comment", "plain; # not a comment"},
		{"k=\"a\\tb\\n\\\"\\\\\\u00e4\\U0001F600\\b\\f\\r\"",
			"a\tb\n\"\\\xc3\xa4\xf0\x9f\x98\x80\b\f\r"},
		{"k = 'C:\\new\\\"'", "C:\\new\\\""},
		{"k = ''", ""},
		{"k = \"\"", ""},
		{"k = \"\"\"\nfirst\nsecond \\\n   \t\n  third\"\"\"", "first\nsecond third"},
		{"k = \"\"\"two \"\" quotes\"\"\"\"\"", "two \"\" quotes\"\""},
		{"k = '''\r\nraw \\n 'quoted''''", "raw \\n 'quoted'"},
		{"k = \"\"\"\"\"\"", ""},
		{"k = \"${TEST_A}/${TEST_EMPTY}x\"", "value a/x"},
		{"k = '${TEST_A}'", "value a"},
		{"k = \"\"\"${TEST_A}\"\"\"", "value a"},
		{"k = \"$${TEST_A} $$ $ $HOME 5$\"", "${TEST_A} $$ $ $HOME 5$"},
		{"\xef\xbb\xbfk = \"x\"", "x"},
		{"\"k\" = \"x\"\r\n", "x"},
		{"k = \"pa ;ss\\u0022\"", "pa ;ss\""},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct toml t = read_text(cases[i].text);

		ck_assert_uint_eq(t.n, 1);
		ck_assert_str_eq(t.entries[0].key, "k");
		ck_assert_int_eq(t.entries[0].value.type, TOML_STRING);
		ck_assert_str_eq(t.entries[0].value.text, cases[i].value);
		ck_assert_int_eq(t.entries[0].value.substituted,
			strstr(cases[i].text, "{TEST_A}/") != NULL ||
				strstr(cases[i].text, "'${") != NULL ||
				strstr(cases[i].text, "\"\"${") != NULL);
		toml_done(&t);
	}
}
END_TEST

START_TEST(numbers)
{
	static const struct {
		const char *text;
		double value;
		int type;
	} cases[] = {
		{"k = 0", 0, TOML_INTEGER},
		{"k = -17", -17, TOML_INTEGER},
		{"k = +1_000", 1000, TOML_INTEGER},
		{"k = 0xDEAD_beef", 0xdeadbeef, TOML_INTEGER},
		{"k = 0o755", 0755, TOML_INTEGER},
		{"k = 0b1101", 13, TOML_INTEGER},
		{"k = 0.25", 0.25, TOML_FLOAT},
		{"k = 10.0", 10, TOML_FLOAT},
		{"k = -5e3", -5000, TOML_FLOAT},
		{"k = 1.5E-1", 0.15, TOML_FLOAT},
		{"k = 9223372036854775807", 9223372036854775807.0, TOML_INTEGER},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct toml t = read_text(cases[i].text);

		ck_assert_int_eq(t.entries[0].value.type, cases[i].type);
		ck_assert_double_eq(t.entries[0].value.number, cases[i].value);
		toml_done(&t);
	}
}
END_TEST

START_TEST(structure)
{
	struct toml t = read_text("top = true\n"
				  "# nothing\n"
				  "[ servers . nfs ] # a section\n"
				  "addresses = [ # several lines\n"
				  "\t\"127.0.0.1:2049\", # one\n"
				  "\n"
				  "\t'[::1]:2049',\n"
				  "]\n"
				  "a.b = false\n"
				  "inline = { x = 1, 'y' = [ [1, 2], [] ] }\n"
				  "[servers]\n"
				  "empty = {}\n"
				  "last = 1");

	ck_assert_uint_eq(t.n, 6);
	ck_assert_uint_eq(t.nsections, 2);
	ck_assert_str_eq(t.sections[0].name, "servers.nfs");
	ck_assert(value_of(&t, "top")->truth);
	const struct toml_value *v = value_of(&t, "servers.nfs.addresses");

	ck_assert_int_eq(v->type, TOML_ARRAY);
	ck_assert_uint_eq(v->nitems, 2);
	ck_assert_str_eq(v->items[1].text, "[::1]:2049");
	ck_assert_uint_eq(v->items[1].at.line, 7);
	ck_assert_uint_eq(v->items[1].at.column, 2);
	ck_assert(!value_of(&t, "servers.nfs.a.b")->truth);
	ck_assert_uint_eq(value_of(&t, "servers.nfs.inline.y")->items[0].nitems, 2);
	ck_assert_uint_eq(value_of(&t, "servers.last")->at.line, 13);
	toml_done(&t);
	t = read_text("");
	ck_assert_uint_eq(t.n, 0);
	toml_done(&t);
	t = read_text("\n\n# only a comment");
	ck_assert_uint_eq(t.n, 0);
	toml_done(&t);
}
END_TEST

START_TEST(refused)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"k", "line 1, column 2: expected \"=\""},
		{"k = ", "line 1, column 5: expected a value, not the end of the file"},
		{"k =\nx = 1", "line 1, column 4: expected a value, not the end of the line"},
		{"\n  = 1", "line 2, column 3: expected a key, not \"=\""},
		{"k = 1 2", "line 1, column 7: expected the end of the line, not \"2\""},
		{"k = yes", "line 1, column 5: this is neither a number nor true or false"},
		{"k = 1979-05-27", "line 1, column 5: this is neither"},
		{"k = 01", "line 1, column 5: this is neither"},
		{"k = 1__0", "line 1, column 5: this is neither"},
		{"k = _1", "line 1, column 5: this is neither"},
		{"k = 1.", "line 1, column 5: this is neither"},
		{"k = .5", "line 1, column 5: this is neither"},
		{"k = inf", "line 1, column 5: this is neither"},
		{"k = 0x", "line 1, column 5: this is neither"},
		{"k = 1e999", "line 1, column 5: the number is too large"},
		{"k = 9223372036854775808", "line 1, column 5: the number is too large"},
		{"k = \"abc", "line 1, column 5: the string that begins here has no end"},
		{"k = \"abc\nx = \"", "line 1, column 5: the string that begins here has no end"},
		{"k = '''abc''", "line 1, column 5: the string that begins here has no end"},
		{"k = \"\xc3\xa4 \\q\"", "line 1, column 8: a backslash cannot stand before \"q\""},
		{"k = \"\\u12g4\"", "line 1, column 6: \\u needs 4 hexadecimal digits"},
		{"k = \"\\ud800\"", "line 1, column 6: U+D800 is no character"},
		{"k = \"\\u0000\"", "line 1, column 6: U+0000 is no character"},
		{"k = \"\\U00110000\"", "line 1, column 6: U+110000 is no character"},
		{"a = 1\nk = \"x ${TEST_UNSET}\"",
			"line 2, column 8: the environment variable TEST_UNSET is not set"},
		{"k = \"${1A}\"", "line 1, column 6: ${ must begin the name"},
		{"k = \"${TEST_A\"", "line 1, column 6: ${ must begin the name"},
		{"k = \"${}\"", "line 1, column 6: ${ must begin the name"},
		{"k = [1, 2", "line 1, column 5: the array that begins here has no end"},
		{"k = [1 2]", "line 1, column 8: expected \",\" or \"]\" in the array, not \"2\""},
		{"k = [\n1,\n,]", "line 3, column 1: expected a value, not \",\""},
		{"k = [{a=1}]", "line 1, column 6: tables in arrays"},
		{"k = {a=1", "line 1, column 9: expected \",\" or \"}\""},
		{"k = {a=1,}", "line 1, column 10: expected a key, not \"}\""},
		{"k = [[[[[[[[[1]]]]]]]]]", "line 1, column 13: nested more than 8 times"},
		{"[a\nb = 1",
			"line 1, column 3: expected \"]\" after the name of the section, not the end of the line"},
		{"[]", "line 1, column 2: expected a key, not \"]\""},
		{"[[a]]", "line 1, column 1: [[...]]"},
		{"[a] x = 1", "line 1, column 5: expected the end of the line, not \"x\""},
		{"a.b = 1\na.b = 2",
			"line 2, column 1: \"a.b\" is defined already, as \"a.b\" in line 1"},
		{"a = 1\na.b = 2",
			"line 2, column 1: \"a.b\" is defined already, as \"a\" in line 1"},
		{"a.b = 1\na = 2",
			"line 2, column 1: \"a\" is defined already, as \"a.b\" in line 1"},
		{"[a]\n[b]\n[a]",
			"line 3, column 1: \"a\" is defined already, as section [a] in line 1"},
		{"[a.b]\n[a]\nb = 1",
			"line 3, column 1: \"a.b\" is defined already, as section [a.b] in line 1"},
		{"a = 1\n[a]", "line 2, column 1: \"a\" is defined already, as \"a\" in line 1"},
		{"k = \xff", "line 1, column 5: byte 0xff is not UTF-8"},
		{"# \xc0\x80", "line 1, column 3: byte 0xc0 is not UTF-8"},
		{"# \xed\xa0\x80", "line 1, column 3: byte 0xed is not UTF-8"},
		{"x = 1\n\x01", "line 2, column 1: byte 0x01 cannot stand in a text"},
		{"x = 1\rk", "line 1, column 6: byte 0x0d cannot stand in a text"},
		{"\"a\\qb\" = 1", "line 1, column 3: a backslash cannot"},
		{"\xe2\x82\xac = 1", "line 1, column 1: expected a key, not \"\xe2\x82\xac\""},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct toml t = {0};
		struct error e = {0};

		ck_assert_msg(toml_parse(SLICE_STR(cases[i].text), &t, &e) == -EINVAL, "%s",
			cases[i].text);
		ck_assert_msg(strncmp(e.text, cases[i].error, strlen(cases[i].error)) == 0,
			"%s\n%s\n%s", cases[i].text, e.text, cases[i].error);
		ck_assert_uint_eq(t.n, 0);
	}
}
END_TEST

/* A value that must not be shown is not repeated in a message. */
START_TEST(secrets_stay)
{
	struct toml t = {0};
	struct error e = {0};

	ck_assert_int_eq(toml_parse(SLICE_STR("encryption_password = hunter2"), &t, &e), -EINVAL);
	ck_assert_ptr_null(strstr(e.text, "hunter2"));
}
END_TEST

static int parse_many(const char *head, const char *before, const char *after, unsigned n,
	const char *tail, struct error *e)
{
	struct buf b = BUF_INIT;
	struct toml t = {0};
	char one[64];

	ck_assert_int_eq(buf_append(&b, head, strlen(head)), 0);
	for (unsigned i = 0; i < n; i++) {
		int len = snprintf(one, sizeof one, "%s%07u%s", before, i + 1000000, after);

		ck_assert_int_eq(buf_append(&b, one, (size_t)len), 0);
	}
	ck_assert_int_eq(buf_append(&b, tail, strlen(tail)), 0);
	int r = toml_parse(buf_slice(&b), &t, e);

	toml_done(&t);
	buf_done(&b);
	return r;
}

START_TEST(limits)
{
	struct error e = {0};
	struct toml t = {0};
	static char big[TOML_BYTES_MAX + 1];

	ck_assert_int_eq(parse_many("", "k", " = 1\n", TOML_ENTRIES_MAX, "", &e), 0);
	ck_assert_int_eq(parse_many("", "k", " = 1\n", TOML_ENTRIES_MAX + 1, "", &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "line 1001, column 1: more than 1000 values"));
	ck_assert_int_eq(parse_many("", "[s", "]\n", TOML_ENTRIES_MAX + 1, "", &e), -EINVAL);
	ck_assert_int_eq(parse_many("k = [", "", ",", TOML_ITEMS_MAX, "]", &e), 0);
	ck_assert_int_eq(parse_many("k = [", "", ",", TOML_ITEMS_MAX + 1, "]", &e), -EINVAL);
	ck_assert_int_eq(parse_many("k = \"", "", "", TOML_TEXT_MAX / 7 + 1, "\"", &e), -EINVAL);
	ck_assert_ptr_nonnull(
		strstr(e.text, "line 1, column 5: the string has more than 65536 bytes"));
	ck_assert_int_eq(parse_many("", "a", ".", TOML_KEY_MAX / 9 + 1, "b = 1", &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "the key has more than 256 bytes"));
	memset(big, ' ', sizeof big);
	ck_assert_int_eq(toml_parse(SLICE(big, sizeof big), &t, &e), -E2BIG);
	ck_assert_int_eq(toml_parse(SLICE(big, sizeof big - 1), &t, &e), 0);
	toml_done(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("config-toml");
	TCase *t = tcase_create("toml");
	SRunner *sr = srunner_create(s);

	setenv("TEST_A", "value a", 1);
	setenv("TEST_EMPTY", "", 1);
	unsetenv("TEST_UNSET");
	suite_add_tcase(s, t);
	tcase_add_test(t, strings);
	tcase_add_test(t, numbers);
	tcase_add_test(t, structure);
	tcase_add_test(t, refused);
	tcase_add_test(t, secrets_stay);
	tcase_add_test(t, limits);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);

	srunner_free(sr);
	return failed != 0;
}
