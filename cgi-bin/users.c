/*
 * users - one row for each account, made with it: sql/030_users.sql.
 */
#include "kith.h"

static const struct kith_resource users = {
	.name = "users",
	.tables = { "users" },
};

int
main(int argc, char **argv)
{
	return kith_serve(&users, argc, argv);
}
