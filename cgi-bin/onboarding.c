/*
 * onboarding - how far a new user has come: sql/120_onboarding.sql.
 */
#include "kith.h"

const struct kith_resource kith_onboarding = {
	.name = "onboarding",
	.tables = { "onboarding" },
};
