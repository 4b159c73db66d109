/*
 * rest - every table and function that has no program of its own.
 *
 * An app brings tables of its own: what it may do with them is said by its
 * grants and policies, so they need no C.  A name that is nobody's gets its
 * 404 here too.
 */
#include "kith.h"

static const struct kith_resource rest = {
	.name = "rest",
	.fallback = true,
};

int
main(int argc, char **argv)
{
	return kith_serve(&rest, argc, argv);
}
