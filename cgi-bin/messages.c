/*
 * messages - the turns of a conversation.
 *
 * Who may read and write a message is inherited from its conversation, and
 * its number is given by a trigger: sql/060_messages.sql.
 */
#include "kith.h"

const struct kith_resource kith_messages = {
	.name = "messages",
	.tables = { "messages", "session_messages" },
	.functions = { "append_session_message" },
	/* A write waits for the disk: two would leave it idle. */
	.processes = 4,
};
