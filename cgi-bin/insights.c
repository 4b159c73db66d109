/*
 * insights - what was noticed and is to be shown: sql/110_insights.sql.
 */
#include "kith.h"

const struct kith_resource kith_insights = {
	.name = "insights",
	.tables = { "insights" },
};
