/*
 * voice_messages - messages spoken by a kept voice: sql/190_voice_messages.sql.
 */
#include "kith.h"

const struct kith_resource kith_voice_messages = {
	.name = "voice_messages",
	.tables = { "voice_messages" },
	.functions = { "generate_voice_message" },
};
