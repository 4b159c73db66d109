/*
 * memories - what was said that is worth keeping: sql/070_memories.sql, and what
 * is known of a user as one document: sql/080_memory_snapshots.sql.
 *
 * C adds what SQL is too slow at: scoring every vector of a user against a
 * query (sql/200_search.sql), and making and applying the patches of documents.
 */
#include "kith.h"
#include "memory_document.h"

#define USUAL_MATCHES 20
#define SIMILARITY_WEIGHT 0.7	/* the rest is importance */

/* query_text is for servers that have a provider of embeddings. */
static int
check_text(struct kith_hook_call *call)
{
	if (kith_hook_argument(call, "query_embedding") || !kith_hook_argument(call, "query_text"))
		return 0;
	kith_fail(call->req, 400, "0A000", "query_text needs a provider of embeddings, and none is configured");
	return kith_fail_hint(call->req, "Make the embedding of the text yourself and give it as query_embedding.");
}

/* Read as the caller: what RLS hides is never scored. */
static int
read_memories(struct kith_hook_call *call, struct kith_sql **sql)
{
	struct kith_sql *q = sql[0] = kith_sql_new(call->req->arena);
	const char *model = kith_hook_argument(call, "embedding_model");
	const char *user = kith_hook_argument(call, "user_id");

	if (check_text(call) || kith_rank_begin(call, USUAL_MATCHES, SIMILARITY_WEIGHT))
		return -1;
	q->binary = true;
	kith_sql_text(q, "select m.id, m.embedding_model, m.embedding, 0.3 * m.importance from public.memories m"
	    " where m.is_active and (m.expires_at is null or m.expires_at > now()) and m.embedding is not null"
	    " and m.user_id = ");
	if (user)
		kith_sql_param(q, user);
	else
		kith_sql_text(q, "(select auth.uid())");
	kith_sql_text(q, " and (m.project_id is null or m.project_id = ");
	kith_sql_param(q, kith_hook_argument(call, "project_id"));
	kith_sql_text(q, ")");
	if (model) {
		kith_sql_text(q, " and m.embedding_model = ");
		kith_sql_param(q, model);
	}
	return 1;
}

static const struct kith_hook hooks[] = {
	{ "search_memories", read_memories, kith_rank_row, kith_rank_compute },
	{ "save_memory", kith_memory_document_read_newest, NULL, kith_memory_document_difference },
	{ "reconstruct_memory", kith_memory_document_read_version, NULL, kith_memory_document_version },
	{ 0 },
};

const struct kith_resource kith_memories = {
	.name = "memories",
	.tables = { "memories", "user_memories", "user_context",
		"memory_snapshots", "user_memory_snapshots", "memory_updates" },
	.functions = { "search_memories", "save_memory", "reconstruct_memory" },
	.hooks = hooks,
};
