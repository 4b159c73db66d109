/*
 * Goal: the public JSON Patch test records pass.
 *
 * They are read from the folder that JSON_PATCH_TESTS names, or from one beside
 * the checkout; each that is not disabled is a test.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json_patch.h"
#include "json_value.h"

#define BESIDE "../shared/json-patch-tests"
#define MOST 1000

static struct kith_arena *arena;
static struct CMUnitTest tests[MOST];
static size_t ntests;

static struct kith_json_value *
read_file(const char *folder, const char *name)
{
	FILE *f = fopen(kith_format(arena, "%s/%s", folder, name), "r");
	struct kith_json_value *records;
	const char *error;
	struct kith_buf text;

	if (!f)
		return NULL;
	kith_buf_init(&text, arena, 0);
	do
		kith_buf_reserve(&text, BUFSIZ);
	while ((text.len += fread(text.s + text.len, 1, BUFSIZ, f)), !feof(f) && !ferror(f));
	fclose(f);
	records = kith_json_value_parse(arena, text.s, text.len, &error);
	if (!records)
		fprintf(stderr, "%s: %s\n", name, error);
	return records;
}

static void
holds(void **state)
{
	struct kith_json_value *record = *state, *document = kith_json_value_get(record, "doc");
	struct kith_json_value *expected = kith_json_value_get(record, "expected");
	const char *error;
	int refused = kith_json_patch_apply(arena, &document, kith_json_value_get(record, "patch"), &error);

	if (kith_json_value_get(record, "error")) {
		assert_true(refused);
		return;
	}
	if (refused)
		fail_msg("%s", error);
	/* A record may have tests only. */
	if (expected)
		assert_true(kith_json_value_equal(document, expected));
}

static void
add_records(const struct kith_json_value *records, const char *file)
{
	for (size_t i = 0; i < records->n && ntests < MOST; i++) {
		struct kith_json_value *record = kith_json_value_at(records, i);
		const struct kith_json_value *comment = kith_json_value_get(record, "comment");

		if (kith_json_value_get(record, "disabled") || !kith_json_value_get(record, "patch"))
			continue;
		tests[ntests++] = (struct CMUnitTest){
			.name = comment ? kith_format(arena, "%s, record %zu: %.*s", file, i, (int)comment->n, comment->text)
			                : kith_format(arena, "%s, record %zu", file, i),
			.test_func = holds,
			.initial_state = record,
		};
	}
}

int
main(void)
{
	static const char *const files[] = { "tests.json", "spec_tests.json" };
	const char *folder = getenv("JSON_PATCH_TESTS");
	int failed;

	arena = kith_arena_new(0);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		const struct kith_json_value *records = read_file(folder ? folder : BESIDE, files[i]);

		if (records) {
			add_records(records, files[i]);
		} else if (folder) {
			fprintf(stderr, "JSON_PATCH_TESTS names a folder without %s\n", files[i]);
			return 1;
		}
	}
	if (!ntests) {
		puts("1..0 # SKIP the public JSON Patch records are not here: JSON_PATCH_TESTS names their folder");
		return 0;
	}
	unit_start();
	failed = _cmocka_run_group_tests("tests", tests, ntests, NULL, unit_end);
	kith_arena_free(arena);
	return failed;
}
