/*
 * messages - the turns of a conversation.
 *
 * Who may read and write a message is inherited from its conversation, and
 * its number is given by a trigger: sql/060_messages.sql.
 */
#include "kith.h"

static const struct kith_resource messages = {
	.name = "messages",
	.tables = { "messages" },
	.functions = { "append_session_message" },
	/* A write waits for the disk: two would leave it idle. */
	.processes = 4,
};

int
main(int argc, char **argv)
{
	return kith_serve(&messages, argc, argv);
}
