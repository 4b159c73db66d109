/*
 * actions - what an agent did, and how to undo it: sql/100_actions.sql.
 */
#include "kith.h"

const struct kith_resource kith_actions = {
	.name = "actions",
	.tables = { "agent_actions" },
	.functions = { "agent_act", "revert_agent_action" },
};
