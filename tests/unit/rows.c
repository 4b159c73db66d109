/* Results become the JSON that row_to_json prints, and CSV. */
#include "unit.h"

#include <string.h>

#include "arena.h"
#include "rows.h"

struct cell {
	const char *name;
	unsigned type;
	const char *value;	/* NULL is SQL's */
	const char *json;
};

/* Every type whose JSON is built in C; the texts are what PostgreSQL 15 prints. */
static const struct cell cells[] = {
	/* clang-format off */
	{ "yes", 16, "t", "true" },
	{ "no", 16, "f", "false" },
	{ "int8", 20, "9223372036854775807", "9223372036854775807" },
	{ "numeric", 1700, "-0.10000000000000000000000000001", "-0.10000000000000000000000000001" },
	{ "nan", 1700, "NaN", "\"NaN\"" },
	{ "infinity", 701, "-Infinity", "\"-Infinity\"" },
	{ "json", 114, "{ \"a\":1}", "{ \"a\":1}" },
	{ "jsonb", 3802, "[1, 2]", "[1, 2]" },
	{ "timestamptz", 1184, "2026-01-02 03:04:05.678901+00", "\"2026-01-02T03:04:05.678901+00:00\"" },
	{ "half hour", 1184, "2026-01-02 03:04:05-03:30", "\"2026-01-02T03:04:05-03:30\"" },
	{ "timestamp", 1114, "2026-01-02 03:04:05", "\"2026-01-02T03:04:05\"" },
	{ "end of time", 1184, "infinity", "\"infinity\"" },
	{ "before christ", 1184, "0044-03-15 00:00:00+00 BC", "\"0044-03-15T00:00:00+00:00 BC\"" },
	{ "date", 1082, "2026-01-02", "\"2026-01-02\"" },
	{ "bytea", 17, "\\x00ff", "\"\\\\x00ff\"" },
	{ "text", 25, "a\"b\\c\n\x01" "\xc3\xa9", "\"a\\\"b\\\\c\\n\\u0001\xc3\xa9\"" },
	{ "empty", 25, "", "\"\"" },
	{ "na\"me", 25, NULL, "null" },
	/* clang-format on */
};

#define NCELLS ((int)(sizeof(cells) / sizeof(cells[0])))

static void
clear(void *result)
{
	PQclear(result);
}

static PGresult *
make_result(struct kith_arena *a, int nrows)
{
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc columns[NCELLS];

	memset(columns, 0, sizeof(columns));
	for (int i = 0; i < NCELLS; i++) {
		columns[i].name = (char *)(uintptr_t)cells[i].name;
		columns[i].typid = cells[i].type;
	}
	assert_int_equal(PQsetResultAttrs(result, NCELLS, columns), 1);
	for (int row = 0; row < nrows; row++)
		for (int i = 0; i < NCELLS; i++)
			assert_int_equal(PQsetvalue(result, row, i, (char *)(uintptr_t)cells[i].value,
					     cells[i].value ? (int)strlen(cells[i].value) : -1),
			    1);
	kith_arena_later(a, clear, result);
	return result;
}

static void
every_type_prints_as_row_to_json_does(void **state)
{
	struct kith_arena *a = unit_request()->arena;
	struct kith_rows rows = { .result = make_result(a, 1), .nrows = 1, .ncolumns = NCELLS };
	struct kith_buf out, expected;

	(void)state;
	kith_buf_init(&expected, a, 0);
	for (int i = 0; i < NCELLS; i++)
		kith_buf_printf(&expected, "%s\"%s\":%s", i ? "," : "{",
		    strcmp(cells[i].name, "na\"me") ? cells[i].name : "na\\\"me", cells[i].json);
	kith_buf_putc(&expected, '}');
	kith_buf_init(&out, a, 0);
	kith_rows_object(&out, &rows);
	assert_string_equal(out.s, expected.s);
}

static void
arrays_hold_the_rows_asked_for(void **state)
{
	struct kith_arena *a = unit_request()->arena;
	struct kith_rows rows = { .result = make_result(a, 3), .first = 1, .nrows = 2, .ncolumns = 1 };
	struct kith_buf out;

	(void)state;
	kith_buf_init(&out, a, 0);
	kith_rows_array(&out, &rows);
	assert_string_equal(out.s, "[{\"yes\":true},{\"yes\":true}]");
	rows.nrows = 0;
	kith_buf_init(&out, a, 0);
	kith_rows_array(&out, &rows);
	assert_string_equal(out.s, "[]");
	rows.nrows = 1;
	rows.ncolumns = 0;
	kith_buf_init(&out, a, 0);
	kith_rows_array(&out, &rows);
	assert_string_equal(out.s, "[{}]");
}

static void
values_stand_alone_or_in_an_array(void **state)
{
	struct kith_arena *a = unit_request()->arena;
	struct kith_rows rows = { .result = make_result(a, 2), .nrows = 2, .ncolumns = 1 };
	struct kith_buf out;

	(void)state;
	kith_buf_init(&out, a, 0);
	kith_rows_values(&out, &rows, false);
	kith_buf_putc(&out, ' ');
	kith_rows_values(&out, &rows, true);
	assert_string_equal(out.s, "[true,true] true");
}

static void
nulls_are_stripped_when_asked(void **state)
{
	struct kith_arena *a = unit_request()->arena;
	struct kith_rows rows = { .result = make_result(a, 1), .nrows = 1, .ncolumns = NCELLS, .strip_nulls = true };
	struct kith_buf out;

	(void)state;
	kith_buf_init(&out, a, 0);
	kith_rows_object(&out, &rows);
	assert_null(strstr(out.s, "null"));
}

static void
nulls_are_stripped_at_every_depth(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"a\": null, \"b\" : {\"c\":null} , \"d\":[null, {\"e\":null}]}", "{\"b\":{},\"d\":[null,{}]}" },
		{ "{\"a\":null}", "{}" },
		{ "{\"a\":1,\"b\":null,\"c\":2}", "{\"a\":1,\"c\":2}" },
		{ "{\"a\":\"null\",\"\\\"\":\"\\\\\",\"null\":true}",
		    "{\"a\":\"null\",\"\\\"\":\"\\\\\",\"null\":true}" },
		{ "[ ]", "[]" },
		{ "[{}, [], \"\", -1.5e3 , {\"a\" :\n[] }]", "[{},[],\"\",-1.5e3,{\"a\":[]}]" },
		{ "\"x, y\"", "\"x, y\"" },
	};
	struct kith_arena *a = unit_request()->arena;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		PGresAttDesc column = { .name = (char *)(uintptr_t)"doc", .typid = 3802 };
		PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
		struct kith_rows rows = { .result = result, .nrows = 1, .ncolumns = 1, .strip_nulls = true };
		struct kith_buf out;

		kith_arena_later(a, clear, result);
		assert_int_equal(PQsetResultAttrs(result, 1, &column), 1);
		assert_int_equal(PQsetvalue(result, 0, 0, (char *)(uintptr_t)cases[i][0], (int)strlen(cases[i][0])), 1);
		kith_buf_init(&out, a, 0);
		kith_rows_values(&out, &rows, true);
		assert_string_equal(out.s, cases[i][1]);
	}
}

static void
csv_tells_null_from_empty_text(void **state)
{
	struct kith_arena *a = unit_request()->arena;
	struct kith_rows rows = { .result = make_result(a, 1), .nrows = 1, .ncolumns = NCELLS };
	struct kith_buf out;
	const char *line;

	(void)state;
	kith_buf_init(&out, a, 0);
	kith_rows_csv(&out, &rows);
	line = strchr(out.s, '\n') + 1;
	assert_ptr_equal(strstr(out.s, "yes,no,int8,"), out.s);
	assert_ptr_equal(strstr(line, "t,f,9223372036854775807,"), line);
	assert_non_null(strstr(line, ",\"a\"\"b\\c\n\x01\xc3\xa9\",\"\","));
	assert_int_equal(out.s[out.len - 1], ',');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		unit_that("every type prints as row_to_json does", every_type_prints_as_row_to_json_does),
		unit_that("arrays hold the rows asked for", arrays_hold_the_rows_asked_for),
		unit_that("values stand alone or in an array", values_stand_alone_or_in_an_array),
		unit_that("nulls are stripped when asked", nulls_are_stripped_when_asked),
		unit_that("nulls inside JSON are stripped at every depth", nulls_are_stripped_at_every_depth),
		unit_that("csv tells null from empty text", csv_tells_null_from_empty_text),
	};

	return unit_run(tests);
}
