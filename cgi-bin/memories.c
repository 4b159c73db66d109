/*
 * memories - what was said that is worth keeping: sql/070_memories.sql.
 */
#include "kith.h"

static const struct kith_resource memories = {
	.name = "memories",
	.tables = { "memories" },
};

int
main(int argc, char **argv)
{
	return kith_serve(&memories, argc, argv);
}
