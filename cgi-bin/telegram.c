/*
 * telegram - linking a user's Telegram account: sql/160_telegram.sql.
 */
#include "kith.h"

const struct kith_resource kith_telegram = {
	.name = "telegram",
	.tables = { "telegram_link_tokens" },
	.functions = { "create_telegram_link_token" },
};
