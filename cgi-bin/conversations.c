/*
 * conversations - what belongs together, and to whom: sql/050_conversations.sql.
 */
#include "kith.h"

static const struct kith_resource conversations = {
	.name = "conversations",
	.tables = { "conversations" },
	.functions = { "get_or_create_chat_session" },
	/* A write waits for the disk: two would leave it idle. */
	.processes = 4,
};

int
main(int argc, char **argv)
{
	return kith_serve(&conversations, argc, argv);
}
