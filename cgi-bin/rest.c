/*
 * rest - every table and function that has no program of its own.
 *
 * An app brings tables of its own: what it may do with them is said by its
 * grants and policies, so they need no C.  A name that is nobody's gets its
 * 404 here too.
 */
#include "kith.h"

const struct kith_resource kith_rest = {
	.name = "rest",
	.fallback = true,
};
