/*
 * subscriptions - what a user may use, and why: sql/035_subscriptions.sql.
 */
#include "kith.h"

const struct kith_resource kith_subscriptions = {
	.name = "subscriptions",
	.tables = { "plans", "subscriptions", "subscription_events" },
};
