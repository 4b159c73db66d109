/*
 * Goal: writes take their rows from one JSON parameter and touch what was asked, nothing else.
 */
#include "unit.h"

#include "plan_try.h"

/* clang-format off */
static const struct plan_case inserts_cases[] = {
	{ "POST,minimal chats", "{\"title\":\"a\",\"meta\":{}}",
	    "insert into `public`.`chats` as t0 (`title`, `meta`) select r.`title`, r.`meta` from "
	    "json_to_record($1) as r(`title` text, `meta` jsonb) [{\"title\":\"a\",\"meta\":{}}]" },
	{ "POST chats?select=id,title", "{\"title\":\"a\"}",
	    "insert into `public`.`chats` as t0 (`title`) select r.`title` from json_to_record($1) "
	    "as r(`title` text) returning t0.`id`, t0.`title` [{\"title\":\"a\"}]" },
	{ "POST chats?select=id", "[{\"title\":\"a\"},{\"title\":\"b\"}]",
	    "insert into `public`.`chats` as t0 (`title`) select r.`title` from json_to_recordset($1) "
	    "as r(`title` text) returning t0.`id` [[{\"title\":\"a\"},{\"title\":\"b\"}]]" },
	{ "POST,minimal badges", "{}",
	    "insert into `public`.`badges` as t0 default values" },
	{ "POST,minimal badges", "[{},{}]",
	    "insert into `public`.`badges` as t0 select from json_array_elements($1) [[{},{}]]" },
	{ "POST chats?select=id", "[]",
	    "select t0.`id` from (select t0.`id`, t0.`person_id`, t0.`helper_id`, t0.`title`, t0.`meta`, "
	    "t0.`created_at` from `public`.`chats` as t0 where false) as t0" },
	{ "POST chats?select=id,notes(id)", "[]",
	    "select t0.`id`, coalesce(e1.`rows`, '[]') as `notes` from (select t0.`id`, t0.`person_id`, "
	    "t0.`helper_id`, t0.`title`, t0.`meta`, t0.`created_at` from `public`.`chats` as t0 where "
	    "false) as t0 left join lateral (select json_agg(r) as `rows` from (select t1.`id` from "
	    "`public`.`notes` as t1 where t1.`chat_id` = t0.`id`) as r) as e1 on true" },
	{ "POST,minimal chats", "[]",
	    "select true as `kith.inserted` where false" },
	{ "POST,minimal vectors", "{\"id\":1,\"v\":[1,2]}",
	    "insert into `public`.`vectors` as t0 (`id`, `v`) select r.`id`, extensions.vector_in(r.`v` "
	    "#>> '{}') from json_to_record($1) as r(`id` integer, `v` json) [{\"id\":1,\"v\":[1,2]}]" },
	{ "POST vectors?select=v", "[{\"v\":[1,2]}]",
	    "insert into `public`.`vectors` as t0 (`v`) select extensions.vector_in(r.`v` #>> '{}') "
	    "from json_to_recordset($1) as r(`v` json) returning extensions.vector_out(t0.`v`) as "
	    "`v` [[{\"v\":[1,2]}]]" },
	{ "POST people?select=tags,name", "{\"name\":\"a\",\"tags\":[\"x\"],\"mood\":\"calm\"}",
	    "insert into `public`.`people` as t0 (`name`, `tags`, `mood`) select r.`name`, r.`tags`, "
	    "r.`mood` from json_to_record($1) as r(`name` public.label, `tags` text[], `mood` public.mood) "
	    "returning to_json(t0.`tags`) as `tags`, t0.`name` [{\"name\":\"a\",\"tags\":[\"x\"],\"mood\":\"calm\"}]" },
	{ "POST chats?select=", "{\"title\":\"a\"}",
	    "with kith_written as (insert into `public`.`chats` as t0 (`title`) select r.`title` from "
	    "json_to_record($1) as r(`title` text) returning t0.`id`, t0.`person_id`, t0.`helper_id`, "
	    "t0.`title`, t0.`meta`, t0.`created_at`) select from kith_written as t0 [{\"title\":\"a\"}]" },
};

static const struct plan_case columns_cases[] = {
	{ "POST,minimal chats?columns=title,meta", "{\"title\":\"a\",\"other\":1}",
	    "insert into `public`.`chats` as t0 (`title`, `meta`) select r.`title`, r.`meta` from "
	    "json_to_record($1) as r(`title` text, `meta` jsonb) [{\"title\":\"a\",\"other\":1}]" },
	{ "POST,minimal chats?columns=\"title\"", "[{\"title\":\"a\"},{}]",
	    "insert into `public`.`chats` as t0 (`title`) select r.`title` from json_to_recordset($1) "
	    "as r(`title` text) [[{\"title\":\"a\"},{}]]" },
	{ "POST,minimal,default chats?columns=title,meta", "{\"title\":\"a\"}",
	    "insert into `public`.`chats` as t0 (`title`) select r.`title` from json_to_record($1) "
	    "as r(`title` text) [{\"title\":\"a\"}]" },
	{ "POST,minimal,default chats?columns=title,id,meta", "[{\"title\":\"a\"},{\"id\":3}]",
	    "insert into `public`.`chats` as t0 (`title`, `id`, `meta`) select case when $1 = any "
	    "(k.keys) then r.`title` else ('New'::text) end, case when $2 = any (k.keys) then r.`id` "
	    "else (nextval('public.chats_id_seq'::regclass)) end, r.`meta` from json_array_elements($3) "
	    "as b(row) cross join lateral json_to_record(b.row) as r(`title` text, `id` bigint, `meta` "
	    "jsonb) cross join lateral (select array(select json_object_keys(b.row)) as keys) as k "
	    "[title|id|[{\"title\":\"a\"},{\"id\":3}]]" },
	{ "POST,minimal,default chats?columns=title", "[{},{}]",
	    "insert into `public`.`chats` as t0 select from json_array_elements($1) [[{},{}]]" },
	{ "POST,minimal chats", "{\"titel\":\"a\"}",
	    "400 PGRST204 Could not find the 'titel' column of 'chats' in the schema cache; Perhaps "
	    "you meant the column 'title'." },
	{ "POST,minimal chats?columns=nothing", "{\"title\":\"a\"}",
	    "400 PGRST204 Could not find the 'nothing' column of 'chats' in the schema cache" },
};

static const struct plan_case upserts_cases[] = {
	{ "POST,merge chats?select=id", "{\"id\":1,\"title\":\"a\"}",
	    "insert into `public`.`chats` as t0 (`id`, `title`) select r.`id`, r.`title` from json_to_record($1) "
	    "as r(`id` bigint, `title` text) on conflict (`id`) do update set `title` = excluded.`title` "
	    "returning t0.`id`, (t0.xmax = 0) as `kith.inserted` [{\"id\":1,\"title\":\"a\"}]" },
	{ "POST,merge,minimal chats?on_conflict=title", "[{\"id\":1,\"title\":\"a\"}]",
	    "insert into `public`.`chats` as t0 (`id`, `title`) select r.`id`, r.`title` from json_to_recordset($1) "
	    "as r(`id` bigint, `title` text) on conflict (`title`) do update set `id` = excluded.`id` "
	    "returning (t0.xmax = 0) as `kith.inserted` [[{\"id\":1,\"title\":\"a\"}]]" },
	{ "POST,ignore chats?select=id", "{\"id\":1,\"title\":\"a\"}",
	    "insert into `public`.`chats` as t0 (`id`, `title`) select r.`id`, r.`title` from json_to_record($1) "
	    "as r(`id` bigint, `title` text) on conflict (`id`) do nothing returning t0.`id` [{\"id\":1,\"title\":\"a\"}]" },
	{ "POST,merge,minimal chat_topics", "{\"chat_id\":1,\"topic_id\":2}",
	    "insert into `public`.`chat_topics` as t0 (`chat_id`, `topic_id`) select r.`chat_id`, "
	    "r.`topic_id` from json_to_record($1) as r(`chat_id` bigint, `topic_id` integer) on conflict "
	    "(`chat_id`, `topic_id`) do update set `chat_id` = excluded.`chat_id`, `topic_id` = excluded.`topic_id` "
	    "returning (t0.xmax = 0) as `kith.inserted` [{\"chat_id\":1,\"topic_id\":2}]" },
	{ "POST,merge chat_cards?select=card_id", "{\"card_id\":1,\"title\":\"a\"}",
	    "insert into `public`.`chat_cards` as t0 (`card_id`, `title`) select r.`card_id`, r.`title` "
	    "from json_to_record($1) as r(`card_id` bigint, `title` text) on conflict (`card_id`) "
	    "do update set `title` = excluded.`title` returning t0.`card_id`, true as `kith.inserted` "
	    "[{\"card_id\":1,\"title\":\"a\"}]" },
	{ "POST,merge,minimal chats", "[]",
	    "select true as `kith.inserted` where false" },
	{ "POST,merge chats?select=id,notes(id)", "{\"id\":1,\"title\":\"a\"}",
	    "with kith_written as (insert into `public`.`chats` as t0 (`id`, `title`) select r.`id`, "
	    "r.`title` from json_to_record($1) as r(`id` bigint, `title` text) on conflict (`id`) "
	    "do update set `title` = excluded.`title` returning t0.`id`, t0.`person_id`, t0.`helper_id`, "
	    "t0.`title`, t0.`meta`, t0.`created_at`, (t0.xmax = 0) as `kith.inserted`) select t0.`id`, "
	    "coalesce(e1.`rows`, '[]') as `notes`, t0.`kith.inserted` from kith_written as t0 left "
	    "join lateral (select json_agg(r) as `rows` from (select t1.`id` from `public`.`notes` "
	    "as t1 where t1.`chat_id` = t0.`id`) as r) as e1 on true [{\"id\":1,\"title\":\"a\"}]" },
	{ "POST,merge chats?select=id", "[]",
	    "select t0.`id`, t0.`kith.inserted` from (select t0.`id`, t0.`person_id`, t0.`helper_id`, "
	    "t0.`title`, t0.`meta`, t0.`created_at`, true as `kith.inserted` from `public`.`chats` "
	    "as t0 where false) as t0" },
	{ "POST,merge,minimal badges", "{}",
	    "insert into `public`.`badges` as t0 default values on conflict (`person_id`) do nothing "
	    "returning (t0.xmax = 0) as `kith.inserted`" },
	{ "POST,merge,minimal chats?on_conflict=titel", "{\"id\":1}",
	    "400 42703 column chats.titel does not exist; Perhaps you meant to reference the column "
	    "\"chats.title\"." },
};

static const struct plan_case embeds_after_writes_cases[] = {
	{ "POST chats?select=id,people!helper_id(name)&order=id.desc", "{\"title\":\"a\"}",
	    "with kith_written as (insert into `public`.`chats` as t0 (`title`) select r.`title` from "
	    "json_to_record($1) as r(`title` text) returning t0.`id`, t0.`person_id`, t0.`helper_id`, "
	    "t0.`title`, t0.`meta`, t0.`created_at`) select t0.`id`, row_to_json(e1.*) as `people` "
	    "from kith_written as t0 left join lateral (select t1.`name` from `public`.`people` as "
	    "t1 where t1.`id` = t0.`helper_id`) as e1 on true order by t0.`id` desc [{\"title\":\"a\"}]" },
	{ "PATCH chats?id=eq.1&select=title,notes(id)&notes.body=eq.x", "{\"title\":\"a\"}",
	    "with kith_written as (update `public`.`chats` as t0 set `title` = r.`title` from json_to_record($1) "
	    "as r(`title` text) where t0.`id` = $2 returning t0.`id`, t0.`person_id`, t0.`helper_id`, "
	    "t0.`title`, t0.`meta`, t0.`created_at`) select t0.`title`, coalesce(e1.`rows`, '[]') "
	    "as `notes` from kith_written as t0 left join lateral (select json_agg(r) as `rows` from "
	    "(select t1.`id` from `public`.`notes` as t1 where t1.`chat_id` = t0.`id` and t1.`body` "
	    "= $3) as r) as e1 on true [{\"title\":\"a\"}|1|x]" },
	{ "DELETE notes?id=gt.1&select=id,chats(title)&order=id", NULL,
	    "with kith_written as (delete from `public`.`notes` as t0 where t0.`id` > $1 returning "
	    "t0.`id`, t0.`chat_id`, t0.`body`, t0.`odd ``name`) select t0.`id`, row_to_json(e1.*) "
	    "as `chats` from kith_written as t0 left join lateral (select t1.`title` from `public`.`chats` "
	    "as t1 where t1.`id` = t0.`chat_id`) as e1 on true order by t0.`id` [1]" },
	{ "DELETE notes?id=gt.1&select=count", NULL,
	    "with kith_written as (delete from `public`.`notes` as t0 where t0.`id` > $1 returning "
	    "t0.`id`, t0.`chat_id`, t0.`body`, t0.`odd ``name`) select count(*) as `count` from kith_written "
	    "as t0 [1]" },
};

static const struct plan_case updates_cases[] = {
	{ "PATCH,minimal chats?id=eq.1", "{\"title\":\"a\",\"meta\":null}",
	    "update `public`.`chats` as t0 set `title` = r.`title`, `meta` = r.`meta` from json_to_record($1) "
	    "as r(`title` text, `meta` jsonb) where t0.`id` = $2 [{\"title\":\"a\",\"meta\":null}|1]" },
	{ "PATCH chats?id=eq.1&title=is.null&select=id", "{\"title\":\"a\"}",
	    "update `public`.`chats` as t0 set `title` = r.`title` from json_to_record($1) as r(`title` "
	    "text) where t0.`id` = $2 and t0.`title` is null returning t0.`id` [{\"title\":\"a\"}|1]" },
	{ "PATCH chats?id=eq.1&select=id", "[{\"title\":\"a\"}]",
	    "update `public`.`chats` as t0 set `title` = r.`title` from json_to_recordset($1) as r(`title` "
	    "text) where t0.`id` = $2 returning t0.`id` [[{\"title\":\"a\"}]|1]" },
	{ "PATCH chats?id=eq.1&select=id", "{}",
	    "select t0.`id` from (select t0.`id`, t0.`person_id`, t0.`helper_id`, t0.`title`, t0.`meta`, "
	    "t0.`created_at` from `public`.`chats` as t0 where false) as t0" },
	{ "PATCH,minimal chats?id=eq.1", "{}",
	    "select true as `kith.inserted` where false" },
	{ "PATCH,minimal,default chats?id=eq.1&columns=title,meta", "{\"meta\":{}}",
	    "update `public`.`chats` as t0 set `title` = default, `meta` = r.`meta` from json_to_record($1) "
	    "as r(`meta` jsonb) where t0.`id` = $2 [{\"meta\":{}}|1]" },
	{ "PATCH,minimal,default chats?id=eq.1&columns=title", "{}",
	    "update `public`.`chats` as t0 set `title` = default where t0.`id` = $1 [1]" },
	{ "PATCH,minimal chats?id=eq.1&columns=title", "{}",
	    "update `public`.`chats` as t0 set `title` = r.`title` from json_to_record($1) as r(`title` "
	    "text) where t0.`id` = $2 [{}|1]" },
	{ "PATCH,minimal vectors?id=eq.1", "{\"v\":\"[1]\"}",
	    "update `public`.`vectors` as t0 set `v` = extensions.vector_in(r.`v` #>> '{}') from json_to_record($1) "
	    "as r(`v` json) where t0.`id` = $2 [{\"v\":\"[1]\"}|1]" },
	{ "PATCH,minimal chats?select=id,notes()&notes=is.null", "{\"title\":\"a\"}",
	    "update `public`.`chats` as t0 set `title` = r.`title` from json_to_record($1) as r(`title` "
	    "text) where not exists (select from `public`.`notes` as t1 where t1.`chat_id` = t0.`id`) "
	    "[{\"title\":\"a\"}]" },
	{ "PATCH,minimal chats?id=eq.1", "[{\"title\":\"a\"},{\"title\":\"b\"}]",
	    "400 PGRST102 An update takes one object, not 2" },
	{ "PATCH,minimal chats?id=eq.1", "{\"nope\":1}",
	    "400 PGRST204 Could not find the 'nope' column of 'chats' in the schema cache" },
};

static const struct plan_case deletes_cases[] = {
	{ "DELETE,minimal notes?id=eq.1", NULL,
	    "delete from `public`.`notes` as t0 where t0.`id` = $1 [1]" },
	{ "DELETE notes?id=eq.1&select=id,body", NULL,
	    "delete from `public`.`notes` as t0 where t0.`id` = $1 returning t0.`id`, t0.`body` [1]" },
	{ "DELETE notes?or=(id.eq.1,id.eq.2)", NULL,
	    "delete from `public`.`notes` as t0 where (t0.`id` = $1 or t0.`id` = $2) returning t0.`id`, "
	    "t0.`chat_id`, t0.`body`, t0.`odd ``name` [1|2]" },
};

static const struct plan_case unbounded_writes_cases[] = {
	{ "PATCH,minimal chats", "{\"title\":\"a\"}",
	    "400 21000 UPDATE requires a WHERE clause; Add a filter, such as id=eq.1; to reach every "
	    "row, one that is always true." },
	{ "DELETE,minimal chats?select=id", NULL,
	    "400 21000 DELETE requires a WHERE clause; Add a filter, such as id=eq.1; to reach every "
	    "row, one that is always true." },
	{ "PATCH,minimal chats?id=eq.1&limit=1", "{\"title\":\"a\"}",
	    "400 PGRST114 limit/offset querystring parameters are not allowed for PATCH; Choose the "
	    "rows by filters, or by their keys: id=in.(1,2)." },
	{ "DELETE,minimal chats?id=eq.1&offset=1", NULL,
	    "400 PGRST114 limit/offset querystring parameters are not allowed for DELETE; Choose the "
	    "rows by filters, or by their keys: id=in.(1,2)." },
};

/* clang-format on */

static void
inserts(void **state)
{
	(void)state;
	plan_check(inserts_cases);
}

static void
columns(void **state)
{
	(void)state;
	plan_check(columns_cases);
}

static void
upserts(void **state)
{
	(void)state;
	plan_check(upserts_cases);
}

static void
embeds_after_writes(void **state)
{
	(void)state;
	plan_check(embeds_after_writes_cases);
}

static void
updates(void **state)
{
	(void)state;
	plan_check(updates_cases);
}

static void
deletes(void **state)
{
	(void)state;
	plan_check(deletes_cases);
}

static void
unbounded_writes(void **state)
{
	(void)state;
	plan_check(unbounded_writes_cases);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("an insert lists the columns that the body has", inserts),
		unit_that("columns= decides what is written, and missing=default what absent keys become", columns),
		unit_that("an upsert sets what was sent, except its conflict target", upserts),
		unit_that("written rows can be embedded into, ordered and counted", embeds_after_writes),
		unit_that("an update sets what the body has in the rows of the filter", updates),
		unit_that("a delete reaches the rows of the filter", deletes),
		unit_that("a write without filter, or with a limit, is refused", unbounded_writes),
	};

	return unit_run(tests);
}
