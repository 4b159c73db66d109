/*
 * documents - uploaded files and the pieces they are searched by: sql/130_documents.sql.
 *
 * C adds what SQL is too slow at: scoring the vectors of a document against a
 * query (sql/200_search.sql).
 */
#include "kith.h"

#define USUAL_MATCHES 5

/* Read as the caller: what RLS hides is never scored. */
static int
read_chunks(struct kith_hook_call *call, struct kith_sql **sql)
{
	struct kith_sql *q = sql[0] = kith_sql_new(call->req->arena);
	const char *model = kith_hook_argument(call, "embedding_model");

	if (kith_rank_begin(call, USUAL_MATCHES, 1))
		return -1;
	q->binary = true;
	kith_sql_text(q, "select c.id, c.embedding_model, c.embedding, 0::float8 from public.chunks c"
	    " where c.embedding is not null and c.document_id = ");
	kith_sql_param(q, kith_hook_argument(call, "document_id"));
	if (model) {
		kith_sql_text(q, " and c.embedding_model = ");
		kith_sql_param(q, model);
	}
	return 1;
}

static const struct kith_hook hooks[] = {
	{ "search_chunks", read_chunks, kith_rank_row, kith_rank_compute },
	{ 0 },
};

const struct kith_resource kith_documents = {
	.name = "documents",
	.tables = { "documents", "chunks" },
	.functions = { "search_chunks" },
	.hooks = hooks,
};
