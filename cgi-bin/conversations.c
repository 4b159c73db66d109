/*
 * conversations - what belongs together, and to whom: sql/050_conversations.sql.
 */
#include "kith.h"

const struct kith_resource kith_conversations = {
	.name = "conversations",
	.tables = { "conversations", "sessions", "chat_sessions" },
	.functions = { "get_or_create_chat_session" },
	/* A write waits for the disk: two would leave it idle. */
	.processes = 4,
};
