/*
 * memories - what was said that is worth keeping: sql/070_memories.sql, and what
 * is known of a user as one document: sql/080_memory_snapshots.sql.
 */
#include "kith.h"

const struct kith_resource kith_memories = {
	.name = "memories",
	.tables = { "memories", "user_memories", "user_context",
		"memory_snapshots", "user_memory_snapshots", "memory_updates" },
	.functions = { "search_memories", "save_memory", "reconstruct_memory" },
};
