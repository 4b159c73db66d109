/*
 * Goal: calls choose the function by its arguments' names and pass nothing unknown to it.
 */
#include "unit.h"

#include "plan_try.h"

/* clang-format off */
static const struct plan_case values_cases[] = {
	{ "POST rpc/add_them", "{\"a\":1,\"b\":2}",
	    "select t0.`add_them` from (select `public`.`add_them`(`a` => a.`a`, `b` => a.`b`) as `add_them`"
	    " from json_to_record($1) as a(`a` integer, `b` integer)) as t0 [{\"a\":1,\"b\":2}]" },
	{ "POST rpc/add_them", "{\"a\":1}",
	    "select t0.`add_them` from (select `public`.`add_them`(`a` => a.`a`) as `add_them` from "
	    "json_to_record($1) as a(`a` integer)) as t0 [{\"a\":1}]" },
	{ "POST rpc/words?limit=1", NULL,
	    "select t0.`words` from (select `public`.`words`() as `words`) as t0 limit $1 [1]" },
	{ "POST rpc/nothing", NULL,
	    "select t0.`nothing` from (select `public`.`nothing`() as `nothing`) as t0" },
	{ "POST rpc/rec", NULL,
	    "select to_json(t0.`rec`) as `rec` from (select `public`.`rec`() as `rec`) as t0" },
	{ "POST rpc/words", "null",
	    "select t0.`words` from (select `public`.`words`() as `words`) as t0 limit $1 [101]" },
	{ "POST rpc/words?select=a&words=gt.a&order=words.desc", NULL,
	    "select t0.`words` from (select `public`.`words`() as `words`) as t0 where t0.`words` > $1 order by "
	    "t0.`words` desc limit $2 [a|101]" },
	{ "POST rpc/add_them?a=eq.1", "{\"a\":1}",
	    "400 42703 column add_them.a does not exist" },
};

static const struct plan_case rows_cases[] = {
	{ "POST rpc/chats_of?select=id,notes(body)&id=gt.1&order=id.desc&limit=2&offset=1",
	    "{\"person\":null}",
	    "select t0.`id`, coalesce(e1.`rows`, '[]') as `notes` from json_to_record($1) as a(`person` "
	    "uuid) cross join lateral `public`.`chats_of`(`person` => a.`person`) as t0 left join "
	    "lateral (select json_agg(r) as `rows` from (select t1.`body` from `public`.`notes` as "
	    "t1 where t1.`chat_id` = t0.`id` limit $2) as r) as e1 on true where t0.`id` > $3 order "
	    "by t0.`id` desc limit $4 offset $5 [{\"person\":null}|100|1|2|1]" },
	{ "POST rpc/numbers", "{\"upto\":3}",
	    "select t0.`n`, to_json(t0.`squares`) as `squares` from json_to_record($1) as a(`upto` "
	    "integer) cross join lateral `public`.`numbers`(`upto` => a.`upto`) as t0 limit $2 [{\"upto\":3}|101]" },
	{ "POST rpc/numbers?select=n:squares&n=eq.1", "{\"upto\":3}",
	    "select to_json(t0.`squares`) as `n` from json_to_record($1) as a(`upto` integer) cross "
	    "join lateral `public`.`numbers`(`upto` => a.`upto`) as t0 where t0.`n` = $2 limit $3 "
	    "[{\"upto\":3}|1|101]" },
	{ "POST rpc/numbers?select=nope", "{\"upto\":3}",
	    "400 42703 column numbers.nope does not exist" },
	{ "POST rpc/numbers?select=n,chats(id)", "{\"upto\":3}",
	    "400 PGRST200 Could not find a relationship between 'numbers' and 'chats' in the schema "
	    "cache; Searched for a foreign key relationship between 'numbers' and 'chats' in the schema "
	    "'public', but no matches were found." },
	{ "POST rpc/near?select=id", "{\"query\":[1,2],\"k\":2}",
	    "select t0.`id` from json_to_record($1) as a(`query` json, `k` integer) cross join lateral "
	    "`public`.`near`(`query` => extensions.vector_in(a.`query` #>> '{}'), `k` => a.`k`) as "
	    "t0 limit $2 [{\"query\":[1,2],\"k\":2}|101]" },
	{ "count rpc/chats_of?person=x&id=gt.1&select=id,notes!inner(id)", NULL,
	    "with kith_called as materialized (select t0.*, true as `kith.found` from "
	    "`public`.`chats_of`(`person` => $1::uuid) as t0) select p.*, c.* from (select count(*) from "
	    "kith_called as t0 where t0.`id` > $2 and exists (select from `public`.`notes` as t1 where "
	    "t1.`chat_id` = t0.`id`)) as c left join (select t0.`id`, coalesce(e1.`rows`, '[]') as `notes`, "
	    "t0.`kith.found` from kith_called as t0 inner join lateral (select json_agg(r) as `rows` from "
	    "(select t1.`id` from `public`.`notes` as t1 where t1.`chat_id` = t0.`id` limit $3) as r) as e1 on "
	    "e1.`rows` is not null where t0.`id` > $4 limit $5) as p on true [x|1|100|1|101]" },
	{ "count rpc/words?limit=1", NULL,
	    "with kith_called as materialized (select t0.*, true as `kith.found` from (select "
	    "`public`.`words`() as `words`) as t0) select p.*, c.* from (select count(*) from kith_called as t0) "
	    "as c left join (select t0.`words`, t0.`kith.found` from kith_called as t0 limit $1) as p on true [1]" },
};

static const struct plan_case arguments_of_a_GET_cases[] = {
	{ "GET rpc/add_them?a=1&b=2", NULL,
	    "select t0.`add_them` from (select `public`.`add_them`(`a` => $1::integer, `b` => $2::integer) "
	    "as `add_them`) as t0 [1|2]" },
	{ "GET rpc/add_them?a=1&a=5", NULL,
	    "select t0.`add_them` from (select `public`.`add_them`(`a` => $1::integer) as `add_them`) as t0 "
	    "[5]" },
	{ "GET rpc/sum_all?xs=1&xs=2", NULL,
	    "select t0.`sum_all` from (select `public`.`sum_all`(variadic `xs` => $1::integer[]) as "
	    "`sum_all`) as t0 [{\"1\",\"2\"}]" },
	{ "GET rpc/sum_all?xs=1", NULL,
	    "select t0.`sum_all` from (select `public`.`sum_all`(variadic `xs` => $1::integer[]) as "
	    "`sum_all`) as t0 [{\"1\"}]" },
	{ "GET rpc/sum_all?xs={1,2}", NULL,
	    "select t0.`sum_all` from (select `public`.`sum_all`(variadic `xs` => $1::integer[]) as "
	    "`sum_all`) as t0 [{1,2}]" },
	{ "GET rpc/near?query=[1]&select=id", NULL,
	    "select t0.`id` from `public`.`near`(`query` => extensions.vector_in($1)) as t0 limit "
	    "$2 [[1]|101]" },
	{ "GET rpc/chats_of?person=x&title=eq.a", NULL,
	    "select t0.`id`, t0.`person_id`, t0.`helper_id`, t0.`title`, t0.`meta`, t0.`created_at` "
	    "from `public`.`chats_of`(`person` => $1::uuid) as t0 where t0.`title` = $2 limit $3 [x|a|101]" },
};

static const struct plan_case whole_bodies_cases[] = {
	{ "POST rpc/whole", "[1,{\"a\":2}]",
	    "select t0.`whole` from (select `public`.`whole`($1::json) as `whole`) as t0 [[1,{\"a\":2}]]" },
	{ "POST rpc/add_them", "[1]",
	    "400 PGRST102 Arguments are the members of one JSON object" },
	{ "POST rpc/nowhere", "[1]",
	    "404 PGRST202 Could not find the function public.nowhere without parameters in the schema "
	    "cache; Searched for the function public.nowhere without parameters or with a single unnamed "
	    "json/jsonb parameter, but no matches were found in the schema cache." },
	{ "POST rpc/whole", "{\"a\":2}",
	    "select t0.`whole` from (select `public`.`whole`($1::json) as `whole`) as t0 [{\"a\":2}]" },
	{ "POST rpc/whole", NULL,
	    "select t0.`whole` from (select `public`.`whole`($1::json) as `whole`) as t0 [null]" },
	{ "POST rpc/sum_all", "{\"xs\":[1,2]}",
	    "select t0.`sum_all` from (select `public`.`sum_all`(variadic `xs` => a.`xs`) as `sum_all` from "
	    "json_to_record($1) as a(`xs` integer[])) as t0 [{\"xs\":[1,2]}]" },
};

static const struct plan_case choosing_cases[] = {
	{ "POST rpc/say", "{\"words\":\"a\",\"loud\":true}",
	    "select t0.`say` from (select `public`.`say`(`words` => a.`words`, `loud` => a.`loud`) as `say` "
	    "from json_to_record($1) as a(`words` text, `loud` boolean)) as t0 "
	    "[{\"words\":\"a\",\"loud\":true}]" },
	{ "POST rpc/say", "{\"words\":\"a\"}",
	    "300 PGRST203 Could not choose the best candidate function between: public.say(words => "
	    "text), public.say(words => text, loud => boolean); Try renaming the parameters or the "
	    "function itself in the database so function overloading can be resolved" },
	{ "POST rpc/say", NULL,
	    "404 PGRST202 Could not find the function public.say without parameters in the schema "
	    "cache; Searched for the function public.say without parameters or with a single unnamed "
	    "json/jsonb parameter, but no matches were found in the schema cache.; Perhaps you meant "
	    "to call the function public.say(words)" },
	{ "POST rpc/say", "{\"word\":\"a\"}",
	    "404 PGRST202 Could not find the function public.say(word) in the schema cache; Searched "
	    "for the function public.say with parameter word or with a single unnamed json/jsonb parameter, "
	    "but no matches were found in the schema cache.; Perhaps you meant to call the function "
	    "public.say(words)" },
	{ "POST rpc/sya", "{\"words\":\"a\"}",
	    "404 PGRST202 Could not find the function public.sya(words) in the schema cache; Searched "
	    "for the function public.sya with parameter words or with a single unnamed json/jsonb "
	    "parameter, but no matches were found in the schema cache.; Perhaps you meant to call "
	    "the function public.say" },
	{ "GET rpc/whole", NULL,
	    "404 PGRST202 Could not find the function public.whole without parameters in the schema "
	    "cache; Searched for the function public.whole without parameters, but no matches were "
	    "found in the schema cache.; Perhaps you meant to call the function public.whole()" },
	{ "GET rpc/unheard_of?a=1&b=2", NULL,
	    "404 PGRST202 Could not find the function public.unheard_of(a, b) in the schema cache; "
	    "Searched for the function public.unheard_of with parameters a, b, but no matches were "
	    "found in the schema cache." },
	{ "POST rpc/add_them", "{\"b\":1}",
	    "404 PGRST202 Could not find the function public.add_them(b) in the schema cache; Searched "
	    "for the function public.add_them with parameter b or with a single unnamed json/jsonb "
	    "parameter, but no matches were found in the schema cache.; Perhaps you meant to call "
	    "the function public.add_them(a, b)" },
	{ "POST rpc/add_them", "[{\"a\":1}]",
	    "400 PGRST102 Arguments are the members of one JSON object" },
};

/* clang-format on */

static void
values(void **state)
{
	(void)state;
	plan_check(values_cases);
}

static void
rows(void **state)
{
	(void)state;
	plan_check(rows_cases);
}

static void
arguments_of_a_GET(void **state)
{
	(void)state;
	plan_check(arguments_of_a_GET_cases);
}

static void
whole_bodies(void **state)
{
	(void)state;
	plan_check(whole_bodies_cases);
}

static void
choosing(void **state)
{
	(void)state;
	plan_check(choosing_cases);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("values are rows of one column, named as the function", values),
		unit_that("the rows of a function can be shaped, filtered, embedded into and counted", rows),
		unit_that("arguments of a GET are parameters cast to their type", arguments_of_a_GET),
		unit_that("a function of one unnamed json argument gets the whole body", whole_bodies),
		unit_that("an ambiguous or unknown call is refused with a hint", choosing),
	};

	return unit_run(tests);
}
