/*
 * Ranking by meaning: a hook's reading and computing (hook.h) for functions
 * that search embeddings.
 *
 * The hook's statement brings every row that may be found, and rank.c scores
 * each as it comes: exactly, with no index that would miss some, and with
 * memory for the best ones only.  pgvector's vectors and those of the domain
 * that stands in for it give the same result.
 *
 * The text for the function is a JSON array, best first, of
 *
 *	{"id": uuid, "similarity": cosine, "relevance": weight * similarity + bonus}
 *
 * Rows of the same relevance come by id.
 */
#ifndef KITH_RANK_H
#define KITH_RANK_H

#include <libpq-fe.h>

struct kith_buf;
struct kith_hook_call;

#define KITH_RANK_DIMENSIONS 1536
#define KITH_RANK_MOST 1000	/* rows that one search may bring */

/*
 * For the hook's read.  Takes the arguments query_embedding, written
 * [0.1,...], and match_count, which is usual when not given.  -1 with the error
 * set when one of them is nothing to search by.
 */
int kith_rank_begin(struct kith_hook_call *call, long usual, double weight);

/*
 * The hook's row.  The statement is binary and selects id, embedding_model,
 * embedding (not null) and the bonus as double precision.
 */
int kith_rank_row(struct kith_hook_call *call, const PGresult *result, int row);

/* The hook's compute.  -1 with the error set when the rows were of several models: their numbers do not compare. */
int kith_rank_compute(struct kith_hook_call *call, const PGresult *const *results, struct kith_buf *out);

#endif
