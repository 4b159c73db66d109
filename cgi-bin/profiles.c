/*
 * profiles - the voices being kept: sql/170_profiles.sql.
 */
#include "kith.h"

const struct kith_resource kith_profiles = {
	.name = "profiles",
	.tables = { "profiles" },
	.functions = { "train_voice" },
};
