/*
 * schedules - messages to be sent later, and what became of their mail: sql/150_schedules.sql.
 */
#include "kith.h"

const struct kith_resource kith_schedules = {
	.name = "schedules",
	.tables = { "scheduled_messages", "email_delivery_log" },
};
