/*
 * workspaces - where work is kept together: sql/040_workspaces.sql.
 */
#include "kith.h"

const struct kith_resource kith_workspaces = {
	.name = "workspaces",
	.tables = { "workspaces", "projects" },
};
