/*
 * users - one row for each account, made with it: sql/030_users.sql; and all of an
 * account, taken out or erased: sql/210_account.sql.
 */
#include "kith.h"

const struct kith_resource kith_users = {
	.name = "users",
	.tables = { "users", "users_public" },
	.functions = { "export_my_data", "delete_my_account" },
};
