/* Goal: the best rows of all, the same from both kinds of vector; and nothing to search by is refused. */
#include "unit.h"

#include <endian.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "buf.h"
#include "hook.h"
#include "json.h"
#include "rank.h"

#define N KITH_RANK_DIMENSIONS
#define ROWS 300

static struct kith_hook_call call;

/* [first,second,rest,rest,...] */
static const char *
vector_text(struct kith_arena *a, const char *first, const char *second, const char *rest, int n)
{
	struct kith_buf b;

	kith_buf_init(&b, a, 0);
	kith_buf_putc(&b, '[');
	for (int i = 0; i < n; i++)
		kith_buf_printf(&b, "%s%s", i ? "," : "", i == 0 ? first : i == 1 ? second : rest);
	kith_buf_putc(&b, ']');
	return b.s;
}

static int
begin(struct kith_request *req, const char *vector, const char *count, double weight)
{
	struct kith_buf b;

	kith_buf_init(&b, req->arena, 0);
	kith_buf_lit(&b, "{\"query_embedding\":");
	if (vector)
		kith_json_write_string(&b, vector, strlen(vector));
	else
		kith_buf_lit(&b, "null");
	kith_buf_printf(&b, ",\"match_count\":%s}", count);
	call = (struct kith_hook_call){ .req = req, .body = b.s };
	return kith_rank_begin(&call, 20, weight);
}

/* A row as PostgreSQL sends it: of pgvector, with its header, or of the domain. */
static PGresult *
row_of(unsigned number, const char *model, const float *vector, bool pgvector, double bonus)
{
	PGresAttDesc columns[4] = { { .name = (char[]){ "id" } }, { .name = (char[]){ "embedding_model" } },
		{ .name = (char[]){ "embedding" } }, { .name = (char[]){ "bonus" } } };
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_SINGLE_TUPLE);
	unsigned char id[16] = { 0 }, bytes[4 + 4 * N] = { N >> 8, N & 255 }, float8[8];
	uint32_t word;
	uint64_t words;

	number = htobe32(number);
	memcpy(id + 12, &number, 4);
	for (int i = 0; i < N; i++) {
		memcpy(&word, &vector[i], 4);
		word = htobe32(word);
		memcpy(bytes + 4 + 4 * i, &word, 4);
	}
	memcpy(&words, &bonus, 8);
	words = htobe64(words);
	memcpy(float8, &words, 8);
	assert_true(PQsetResultAttrs(result, 4, columns));
	assert_true(PQsetvalue(result, 0, 0, (char *)id, sizeof(id)));
	assert_true(PQsetvalue(result, 0, 1, (char[]){ "" }, model ? 0 : -1));
	if (model && *model)
		assert_true(PQsetvalue(result, 0, 1, kith_strdup(call.req->arena, model), (int)strlen(model)));
	assert_true(PQsetvalue(result, 0, 2, (char *)bytes + (pgvector ? 0 : 4), 4 * N + (pgvector ? 4 : 0)));
	assert_true(PQsetvalue(result, 0, 3, (char *)float8, 8));
	return result;
}

static int
add(unsigned number, const char *model, const float *vector, bool pgvector, double bonus)
{
	PGresult *result = row_of(number, model, vector, pgvector, bonus);
	int rc = kith_rank_row(&call, result, 0);

	PQclear(result);
	return rc;
}

static const struct kith_json *
matches(void)
{
	struct kith_buf out;

	kith_buf_init(&out, call.req->arena, 0);
	assert_int_equal(kith_rank_compute(&call, NULL, &out), 0);
	return kith_json_parse(call.req->arena, out.s, out.len, NULL)->first;
}

/* Last digits of the id, in hexadecimal. */
static long
number_of(const struct kith_json *match)
{
	const char *id = kith_json_string(match, "id");

	assert_int_equal(strlen(id), 36);
	assert_memory_equal(id, "00000000-0000-0000-0000-", 24);
	return strtol(id + 24, NULL, 16);
}

static double
value_of(const struct kith_json *match, const char *name)
{
	return strtod(kith_json_get(match, name)->text, NULL);
}

static void
fill(float *vector, float first, float second)
{
	memset(vector, 0, sizeof(float) * N);
	vector[0] = first;
	vector[1] = second;
}

struct known {
	unsigned number;
	double relevance;
};

static int
compare(const void *a, const void *b)
{
	const struct known *one = a, *other = b;

	if (one->relevance != other->relevance)
		return one->relevance > other->relevance ? -1 : 1;
	return one->number < other->number ? -1 : 1;
}

/* Against the plain formula in double precision, over random vectors and every k. */
static void
best_rows(void **state)
{
	static const char *const counts[] = { "1", "2", "7", "299", "300", "301", "1000" };
	static float rows[ROWS][N], query[N];
	struct known known[ROWS];
	double bonus[ROWS];

	(void)state;
	srand(7);
	for (int i = 0; i < N; i++)
		query[i] = (float)rand() / (float)RAND_MAX - 0.5f;
	for (unsigned k = 0; k < ROWS; k++) {
		double dot = 0, a = 0, b = 0;

		for (int i = 0; i < N; i++) {
			rows[k][i] = (float)rand() / (float)RAND_MAX - 0.5f;
			dot += (double)query[i] * rows[k][i];
			a += (double)query[i] * query[i];
			b += (double)rows[k][i] * rows[k][i];
		}
		bonus[k] = 0.3 * rand() / RAND_MAX;
		known[k] = (struct known){ k, 0.7 * dot / sqrt(a * b) + bonus[k] };
	}
	qsort(known, ROWS, sizeof(*known), compare);
	for (size_t c = 0; c < sizeof(counts) / sizeof(*counts); c++) {
		struct kith_request *req = unit_request();
		const struct kith_json *match;
		struct kith_buf text;
		long n = 0, most = strtol(counts[c], NULL, 10);

		kith_buf_init(&text, req->arena, 0);
		for (int i = 0; i < N; i++)
			kith_buf_printf(&text, "%s%.9g", i ? "," : "[", (double)query[i]);
		kith_buf_putc(&text, ']');
		assert_int_equal(begin(req, text.s, counts[c], 0.7), 0);
		for (unsigned k = 0; k < ROWS; k++)
			assert_int_equal(add(k, "m", rows[k], k % 2, bonus[k]), 0);
		for (match = matches(); match; match = match->next, n++) {
			assert_int_equal(number_of(match), known[n].number);
			assert_true(fabs(value_of(match, "relevance") - known[n].relevance) < 1e-6);
		}
		assert_int_equal(n, most < ROWS ? most : ROWS);
	}
}

static void
known_angles(void **state)
{
	static const struct {
		float first, second;
		double similarity;
	} table[] = {
		{ 1, 0, 1 }, { 2, 0, 1 }, { -3, 0, -1 }, { 0, 5, 0 }, { 1, 1, M_SQRT1_2 }, { 0, 0, 0 },
		{ FLT_MAX, FLT_MAX, M_SQRT1_2 }, { -1e25f, 1e25f, -M_SQRT1_2 }, { 1e-30f, 1e-30f, M_SQRT1_2 },
		{ 1e-45f, 0, 1 }, { INFINITY, 0, 0 }, { NAN, 1, 0 },
	};
	static const char *const queries[][2] = { { "1", "0" }, { "3e38", "0" }, { "1e-30", "0" } };
	float vector[N];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table) * 6; i++) {
		struct kith_request *req = unit_request();
		size_t row = i / 6;
		const char *const *query = queries[i / 2 % 3];

		assert_int_equal(begin(req, vector_text(req->arena, query[0], query[1], "0", N), "5", 1), 0);
		fill(vector, table[row].first, table[row].second);
		assert_int_equal(add(1, "m", vector, i % 2, 0), 0);
		if (!(fabs(value_of(matches(), "similarity") - table[row].similarity) < 1e-6))
			fail_msg("%g,%g with %s: %g", (double)table[row].first, (double)table[row].second, query[0],
			    value_of(matches(), "similarity"));
	}
}

static void
ties(void **state)
{
	struct kith_request *req = unit_request();
	const struct kith_json *match;
	float vector[N];

	(void)state;
	fill(vector, 1, 0);
	assert_int_equal(begin(req, vector_text(req->arena, "1", "0", "0", N), "5", 1), 0);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(add(1 + i * 17 % 40, "m", vector, false, 0), 0);
	match = matches();
	for (int i = 1; i <= 5; i++, match = match->next)
		assert_int_equal(number_of(match), i);
	assert_null(match);
}

static void
models(void **state)
{
	static const char *const table[][3] = {
		{ "a", "b", "Found: a, b." }, { "a", NULL, "Found: a, none named." }, { NULL, "b", "Found: none named, b." },
	};
	struct kith_request *req;
	struct kith_buf out;
	float vector[N];

	(void)state;
	fill(vector, 1, 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		req = unit_request();
		assert_int_equal(begin(req, vector_text(req->arena, "1", "0", "0", N), "1", 1), 0);
		for (unsigned k = 0; k < 6; k++)
			assert_int_equal(add(k, table[i][k % 2], vector, false, 0), 0);
		kith_buf_init(&out, req->arena, 0);
		assert_int_equal(kith_rank_compute(&call, NULL, &out), -1);
		assert_int_equal(req->error.status, 400);
		assert_string_equal(req->error.details, table[i][2]);
	}
	req = unit_request();
	assert_int_equal(begin(req, vector_text(req->arena, "1", "0", "0", N), "5", 1), 0);
	assert_null(matches());
}

static void
refused(void **state)
{
	static const char *const numbers[] = { "", "x", "nan", "NaN", "inf", "-Infinity", "1e39", "-1e400", "0x10", "1 2", "--1",
		"1e", "\"1\"", "[1]", "null", "1;", "+", ".", "1.2.3" };
	static const char *const texts[] = { "", " ", "1", "{1,2}", "[", "[1", "[1,", "[1,]", "[,1]", "[1],[2]", "[1]]", "[[1]]",
		"(1)", "null" };
	static const char *const counts[] = { "0", "-1", "1001", "1.5", "\"\"", "\"x\"", "true", "[1]", "99999999999999999999" };
	struct kith_request *req;

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		req = unit_request();
		if (!begin(req, vector_text(req->arena, "1", numbers[i], "0.5", N), "5", 1))
			fail_msg("accepted: %s", numbers[i]);
		assert_int_equal(req->error.status, 400);
		assert_string_equal(req->error.code, "22P02");
	}
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		req = unit_request();
		if (!begin(req, texts[i], "5", 1))
			fail_msg("accepted: %s", texts[i]);
		assert_string_equal(req->error.code, "22P02");
	}
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		req = unit_request();
		if (!begin(req, vector_text(req->arena, "1", "0", "0", N), counts[i], 1))
			fail_msg("accepted: %s", counts[i]);
		assert_string_equal(req->error.message, "match_count must be from 1 to 1000");
	}
	for (int n = 0; n <= 2 * N; n += n < 3 ? 1 : N / 2 - 1) {
		req = unit_request();
		assert_int_equal(begin(req, vector_text(req->arena, "1", "1", "1", n), "5", 1), -1);
		assert_string_equal(req->error.message, kith_format(req->arena, "expected 1536 dimensions, not %d", n));
	}
	req = unit_request();
	assert_int_equal(begin(req, vector_text(req->arena, "0", "-0", "0.0", N), "5", 1), -1);
	assert_string_equal(req->error.message, "a vector of zeros is similar to nothing");
	req = unit_request();
	assert_int_equal(begin(req, NULL, "5", 1), -1);
	assert_string_equal(req->error.message, "query_embedding is missing");
}

static void
accepted(void **state)
{
	static const char *const numbers[] = { "1", "-1", "+1", ".5", "5.", "1e-3", "1E+3", " 1 ", "\t1\n", "1e-400" };
	static const char *const counts[] = { "1", "1000", "\"7\"", "null" };
	struct kith_request *req;

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		req = unit_request();
		if (begin(req, vector_text(req->arena, "1", numbers[i], "0.5", N), counts[i % 4], 1))
			fail_msg("refused: %s", numbers[i]);
	}
	req = unit_request();
	assert_int_equal(begin(req, kith_format(req->arena, " %s ", vector_text(req->arena, "1", "1", "1", N)), "5", 1), 0);
}

/* Nothing but a fault could send these. */
static void
odd_sizes(void **state)
{
	struct kith_request *req = unit_request();
	float vector[N];
	PGresult *result;

	(void)state;
	fill(vector, 1, 0);
	assert_int_equal(begin(req, vector_text(req->arena, "1", "0", "0", N), "5", 1), 0);
	result = row_of(1, "m", vector, false, 0);
	assert_true(PQsetvalue(result, 0, 2, (char[]){ "abc" }, 3));
	assert_int_equal(kith_rank_row(&call, result, 0), -1);
	assert_int_equal(req->error.status, 500);
	PQclear(result);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("the best k are those of the plain formula, from both kinds of vector", best_rows),
		unit_that("known angles have their cosines, also of the longest and the shortest vectors", known_angles),
		unit_that("rows of the same relevance come by id, the first ones", ties),
		unit_that("vectors of several models are not compared, but named", models),
		unit_that("what is no vector, no number or too many is refused", refused),
		unit_that("what pgvector reads is read", accepted),
		unit_that("an embedding of another size is a fault", odd_sizes),
	};

	return unit_run(tests);
}
