/*
 * parts - the parts of a person and how they stand to each other: sql/090_parts.sql.
 */
#include "kith.h"

const struct kith_resource kith_parts = {
	.name = "parts",
	.tables = { "parts", "part_relationships", "part_assessments" },
};
