/*
 * tickets - work given to an agent, and what came of it: sql/140_tickets.sql.
 */
#include "kith.h"

const struct kith_resource kith_tickets = {
	.name = "tickets",
	.tables = { "work_tickets", "work_outputs" },
};
