#include "rank.h"

#include <endian.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "buf.h"
#include "error.h"
#include "hook.h"
#include "request.h"

#define DIMENSIONS KITH_RANK_DIMENSIONS
#define BYTES ((int)sizeof(float) * DIMENSIONS)
#define PGVECTOR_HEADER 4	/* dimensions and a spare field, 16 bits each */
#define ID 16
#define MODELS 5		/* so many are named when they are mixed */

#define LANES 4
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef float floats __attribute__((vector_size(4 * LANES)));

enum { COLUMN_ID, COLUMN_MODEL, COLUMN_EMBEDDING, COLUMN_BONUS };

struct match {
	unsigned char id[ID];
	double similarity;
	double relevance;
};

struct rank {
	float query[DIMENSIONS];
	double length;		/* of the query */
	double weight;
	const char *models[MODELS];	/* that came, in order of appearance; "" for none */
	int nmodels;
	long most;
	long n;
	struct match *heap;	/* the best so far, the worst of them on top */
};

/* --- arguments --- */

static int
fail_syntax(struct kith_request *req)
{
	kith_fail(req, 400, "22P02", "invalid input syntax for type vector");
	return kith_fail_hint(req, "A vector is written [0.1,0.2,...] with finite numbers.");
}

static const char *
skip_blanks(const char *s)
{
	return s + strspn(s, " \t\r\n");
}

/* The number at *s, and what stands around it; strtof() alone would take 0x10 and nan too. */
static int
read_number(const char **s, float *number)
{
	const char *begin = skip_blanks(*s);
	size_t n = strspn(begin, "+-.0123456789eE");
	char *end;

	*number = strtof(begin, &end);
	if (!n || end != begin + n || !isfinite(*number))
		return -1;
	*s = skip_blanks(end);
	return 0;
}

static int
read_vector(struct kith_request *req, const char *s, struct rank *rank)
{
	long n = 0;
	double sum = 0;
	float number;

	s = skip_blanks(s);
	if (*s != '[')
		return fail_syntax(req);
	s = skip_blanks(s + 1);
	while (*s != ']') {
		if (read_number(&s, &number) || (*s != ',' && *s != ']') || (*s == ',' && *skip_blanks(s + 1) == ']'))
			return fail_syntax(req);
		if (n < DIMENSIONS)
			rank->query[n] = number;
		sum += (double)number * number;
		n++;
		s += *s == ',';
	}
	if (*skip_blanks(s + 1))
		return fail_syntax(req);
	if (n != DIMENSIONS)
		return kith_fail(req, 400, "22000", "expected %d dimensions, not %ld", DIMENSIONS, n);
	if (!(sum > 0)) {
		kith_fail(req, 400, "22023", "a vector of zeros is similar to nothing");
		return kith_fail_hint(req, "Give the embedding of what is searched for as query_embedding.");
	}
	rank->length = sqrt(sum);
	return 0;
}

static int
read_count(struct kith_request *req, const char *s, long *count)
{
	char *end;
	long n;

	if (!s)
		return 0;
	n = strtol(s, &end, 10);
	if (end == s || *end || n < 1 || n > KITH_RANK_MOST)
		return kith_fail(req, 400, "22023", "match_count must be from 1 to %d", KITH_RANK_MOST);
	*count = n;
	return 0;
}

int
kith_rank_begin(struct kith_hook_call *call, long usual, double weight)
{
	struct kith_request *req = call->req;
	const char *vector = kith_hook_argument(call, "query_embedding");
	struct rank *rank = kith_new(req->arena, struct rank);

	call->state = rank;
	rank->weight = weight;
	rank->most = usual;
	if (!vector) {
		kith_fail(req, 400, "22023", "query_embedding is missing");
		return kith_fail_hint(req, "Give the embedding of what is searched for, written [0.1,0.2,...].");
	}
	if (read_vector(req, vector, rank) || read_count(req, kith_hook_argument(call, "match_count"), &rank->most))
		return -1;
	rank->heap = kith_new_array(req->arena, struct match, (size_t)rank->most);
	return 0;
}

/* --- rows --- */

static double
sum(const floats *v)
{
	return (double)(*v)[0] + (*v)[1] + (*v)[2] + (*v)[3];
}

/* The float4 at bytes, which are in network order. */
static floats
load(const char *bytes)
{
	words word;

	memcpy(&word, bytes, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	word = word << 24 | (word << 8 & 0xff0000) | (word >> 8 & 0xff00) | word >> 24;
#endif
	return (floats)word;
}

/* Product with the query, and with itself: four numbers at a time, in what every machine has for that. */
static void
multiply(const struct rank *rank, const char *bytes, double *dot, double *squares)
{
	floats dots[2] = { 0 }, squared[2] = { 0 };

	for (size_t i = 0; i < DIMENSIONS; i += 2 * LANES)
		/* A sum waits for the one before it, so there are two. */
		for (size_t j = 0; j < 2; j++) {
			floats stored = load(bytes + (i + j * LANES) * sizeof(float)), query;

			memcpy(&query, rank->query + i + j * LANES, sizeof(query));
			dots[j] += query * stored;
			squared[j] += stored * stored;
		}
	*dot = sum(&dots[0]) + sum(&dots[1]);
	*squares = sum(&squared[0]) + sum(&squared[1]);
}

/* The same for numbers whose squares are no float4. */
static void
multiply_extremes(const struct rank *rank, const char *bytes, double *dot, double *squares)
{
	*dot = *squares = 0;
	for (size_t i = 0; i < DIMENSIONS; i += LANES) {
		floats stored = load(bytes + i * sizeof(float));

		for (size_t j = 0; j < LANES; j++) {
			*dot += (double)rank->query[i + j] * (double)stored[j];
			*squares += (double)stored[j] * (double)stored[j];
		}
	}
}

/* Cosine of the angle between the query and a stored vector. */
static double
similarity(const struct rank *rank, const char *bytes)
{
	double dot, squares, cosine;

	multiply(rank, bytes, &dot, &squares);
	if (!(squares > 1e-30 && squares < 1e30) || !isfinite(dot))
		multiply_extremes(rank, bytes, &dot, &squares);
	cosine = dot / (rank->length * sqrt(squares));
	/* Zeros have no direction; and rounding must not make anything more alike than the same. */
	if (!isfinite(cosine))
		return 0;
	return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
}

static double
read_double(const char *bytes)
{
	uint64_t word;
	double number;

	memcpy(&word, bytes, sizeof(word));
	word = be64toh(word);
	memcpy(&number, &word, sizeof(number));
	return number;
}

/* The order of the answer: also that of uuids in PostgreSQL. */
static int
compare(const void *a, const void *b)
{
	const struct match *one = a, *other = b;

	if (one->relevance != other->relevance)
		return one->relevance > other->relevance ? -1 : 1;
	return memcmp(one->id, other->id, ID);
}

static void
sink(struct rank *rank, const struct match *match)
{
	long i = 0, child;

	while ((child = 2 * i + 1) < rank->n) {
		if (child + 1 < rank->n && compare(&rank->heap[child + 1], &rank->heap[child]) > 0)
			child++;
		if (compare(match, &rank->heap[child]) >= 0)
			break;
		rank->heap[i] = rank->heap[child];
		i = child;
	}
	rank->heap[i] = *match;
}

static void
add(struct rank *rank, const struct match *match)
{
	long i;

	if (rank->n == rank->most) {
		if (compare(match, rank->heap) < 0)
			sink(rank, match);
		return;
	}
	for (i = rank->n++; i && compare(match, &rank->heap[(i - 1) / 2]) > 0; i = (i - 1) / 2)
		rank->heap[i] = rank->heap[(i - 1) / 2];
	rank->heap[i] = *match;
}

static void
note_model(struct kith_hook_call *call, const char *model)
{
	struct rank *rank = call->state;

	for (int i = 0; i < rank->nmodels; i++)
		if (!strcmp(rank->models[i], model))
			return;
	if (rank->nmodels < MODELS)
		rank->models[rank->nmodels++] = kith_strdup(call->req->arena, model);
}

int
kith_rank_row(struct kith_hook_call *call, const PGresult *result, int row)
{
	struct rank *rank = call->state;
	const char *embedding = PQgetvalue(result, row, COLUMN_EMBEDDING);
	int length = PQgetlength(result, row, COLUMN_EMBEDDING);
	struct match match;

	if (length == PGVECTOR_HEADER + BYTES)
		embedding += PGVECTOR_HEADER;
	else if (length != BYTES)
		return kith_fail(call->req, 500, "XX000", "an embedding has %d bytes", length);
	note_model(call, PQgetvalue(result, row, COLUMN_MODEL));
	memcpy(match.id, PQgetvalue(result, row, COLUMN_ID), ID);
	match.similarity = similarity(rank, embedding);
	match.relevance = rank->weight * match.similarity + read_double(PQgetvalue(result, row, COLUMN_BONUS));
	add(rank, &match);
	return 0;
}

/* --- result --- */

static int
fail_mixed(struct kith_hook_call *call)
{
	const struct rank *rank = call->state;
	struct kith_buf names;

	kith_buf_init(&names, call->req->arena, 0);
	for (int i = 0; i < rank->nmodels; i++)
		kith_buf_printf(&names, "%s%s", i ? ", " : "", *rank->models[i] ? rank->models[i] : "none named");
	kith_fail(call->req, 400, "22023", "embeddings of several models cannot be compared");
	kith_fail_details(call->req, "Found: %s.", names.s);
	return kith_fail_hint(call->req, "Say which one made query_embedding: embedding_model.");
}

static void
write_id(struct kith_buf *out, const unsigned char *id)
{
	for (int i = 0; i < ID; i++)
		kith_buf_printf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", id[i]);
}

int
kith_rank_compute(struct kith_hook_call *call, const PGresult *const *results, struct kith_buf *out)
{
	struct rank *rank = call->state;

	(void)results;
	if (rank->nmodels > 1)
		return fail_mixed(call);
	qsort(rank->heap, (size_t)rank->n, sizeof(*rank->heap), compare);
	kith_buf_putc(out, '[');
	for (long i = 0; i < rank->n; i++) {
		kith_buf_puts(out, i ? ",{\"id\":\"" : "{\"id\":\"");
		write_id(out, rank->heap[i].id);
		kith_buf_printf(out, "\",\"similarity\":%.17g,\"relevance\":%.17g}", rank->heap[i].similarity,
		    rank->heap[i].relevance);
	}
	kith_buf_putc(out, ']');
	return 0;
}
