/*
 * documents - uploaded files and the pieces they are searched by: sql/130_documents.sql.
 */
#include "kith.h"

const struct kith_resource kith_documents = {
	.name = "documents",
	.tables = { "documents", "chunks" },
	.functions = { "search_chunks" },
};
