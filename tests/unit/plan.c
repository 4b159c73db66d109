/*
 * Goal: reads become the statement they mean, or a refusal that says why.
 */
#include "unit.h"

#include "plan_try.h"

/* clang-format off */
static const struct plan_case what_is_selected_cases[] = {
	{ "GET chats", NULL,
	    "select t0.`id`, t0.`person_id`, t0.`helper_id`, t0.`title`, t0.`meta`, t0.`created_at` "
	    "from `public`.`chats` as t0 limit $1 [101]" },
	{ "GET chats?select=*", NULL,
	    "select t0.`id`, t0.`person_id`, t0.`helper_id`, t0.`title`, t0.`meta`, t0.`created_at` "
	    "from `public`.`chats` as t0 limit $1 [101]" },
	{ "GET chats?select=", NULL,
	    "select from `public`.`chats` as t0 limit $1 [101]" },
	{ "GET chats?select=id,text:title,k:meta->>k,at:created_at::date,meta->list->0,meta->-1&limit=1",
	    NULL,
	    "select t0.`id`, t0.`title` as `text`, (t0.`meta`->>$1::text) as `k`, cast(t0.`created_at` "
	    "as date) as `at`, (t0.`meta`->$2::text->$3::int) as `list`, (t0.`meta`->$4::int) as `meta` "
	    "from `public`.`chats` as t0 limit $5 [k|list|0|-1|1]" },
	{ "GET people?select=name,tags,tags::text,mood::text,tags->0,n:name::label,mood::mood",
	    NULL,
	    "select t0.`name`, to_json(t0.`tags`) as `tags`, cast(t0.`tags` as text) as `tags`, cast(t0.`mood` "
	    "as text) as `mood`, (to_jsonb(t0.`tags`)->$1::int) as `tags`, cast(t0.`name` as public.label) "
	    "as `n`, cast(t0.`mood` as public.mood) as `mood` from `public`.`people` as t0 limit $2 "
	    "[0|101]" },
	{ "GET notes?select=\"odd \\\"name\"", NULL,
	    "select t0.`odd ``name` from `public`.`notes` as t0 limit $1 [101]" },
	{ "GET vectors?select=*,t:v::text,v->0", NULL,
	    "select t0.`id`, extensions.vector_out(t0.`v`) as `v`, cast(extensions.vector_out(t0.`v`) "
	    "as text) as `t`, (to_jsonb(extensions.vector_out(t0.`v`))->$1::int) as `v` from `public`.`vectors` "
	    "as t0 limit $2 [0|101]" },
	{ "GET chats?select=count", NULL,
	    "select count(*) as `count` from `public`.`chats` as t0 limit $1 [101]" },
	{ "GET chats?select=n:count::text&order=id", NULL,
	    "select cast(count(*) as text) as `n` from `public`.`chats` as t0 limit $1 [101]" },
	{ "GET other.chats?select=id", NULL,
	    "select t0.`id` from `other`.`chats` as t0 limit $1 [101]" },
};

static const struct plan_case computed_fields_cases[] = {
	{ "GET chats?select=id,shout,s:shout->a&shout=eq.A&order=shout.desc", NULL,
	    "select t0.`id`, `public`.`shout`(t0.*) as `shout`, (to_jsonb(`public`.`shout`(t0.*))->$1::text) "
	    "as `s` from `public`.`chats` as t0 where `public`.`shout`(t0.*) = $2 order by "
	    "`public`.`shout`(t0.*) desc limit $3 [a|A|101]" },
	{ "GET notes?select=id,chats(shout)&order=chats(shout)", NULL,
	    "select t0.`id`, row_to_json(e1.*) as `chats` from `public`.`notes` as t0 left join lateral "
	    "(select `public`.`shout`(t1.*) as `shout` from `public`.`chats` as t1 where t1.`id` = "
	    "t0.`chat_id`) as e1 on true order by (select `public`.`shout`(t1.*) from `public`.`chats` as t1 "
	    "where t1.`id` = t0.`chat_id` limit 1) limit $1 [101]" },
	{ "GET notes?select=id,shout", NULL,
	    "400 42703 column notes.shout does not exist" },
	{ "PATCH chats?id=eq.1&shout=eq.A&select=shout", "{\"title\":\"b\"}",
	    "update `public`.`chats` as t0 set `title` = r.`title` from json_to_record($1) as r(`title` text) "
	    "where t0.`id` = $2 and `public`.`shout`(t0.*) = $3 returning `public`.`shout`(t0.*) as `shout` "
	    "[{\"title\":\"b\"}|1|A]" },
	{ "DELETE chats?or=(id.eq.1,shout.eq.A)&select=id,notes(id)", NULL,
	    "with kith_written as (delete from `public`.`chats` as t0 where (t0.`id` = $1 or "
	    "`public`.`shout`(t0.*) = $2) returning t0.`id`, t0.`person_id`, t0.`helper_id`, t0.`title`, "
	    "t0.`meta`, t0.`created_at`, `public`.`shout`(t0.*) as `shout`) select t0.`id`, "
	    "coalesce(e1.`rows`, '[]') as `notes` from kith_written as t0 left join lateral (select "
	    "json_agg(r) as `rows` from (select t1.`id` from `public`.`notes` as t1 where t1.`chat_id` = "
	    "t0.`id`) as r) as e1 on true [1|A]" },
	{ "POST chats?select=shout", "[]",
	    "select t0.`shout` as `shout` from (select t0.`id`, t0.`person_id`, t0.`helper_id`, t0.`title`, "
	    "t0.`meta`, t0.`created_at`, `public`.`shout`(t0.*) as `shout` from `public`.`chats` as t0 where "
	    "false) as t0" },
	{ "count rpc/chats_of?person=x&select=shout&order=shout", NULL,
	    "with kith_called as materialized (select t0.*, true as `kith.found`, `public`.`shout`(t0.*) as "
	    "`shout` from `public`.`chats_of`(`person` => $1::uuid) as t0) select p.*, c.* from (select "
	    "count(*) from kith_called as t0) as c left join (select t0.`shout` as `shout`, t0.`kith.found` "
	    "from kith_called as t0 order by t0.`shout` limit $2) as p on true [x|101]" },
};

static const struct plan_case refused_cases[] = {
	{ "GET chats?select=titel", NULL,
	    "400 42703 column chats.titel does not exist; Perhaps you meant to reference the column "
	    "\"chats.title\"." },
	{ "GET chats?select=nothing_like_it", NULL,
	    "400 42703 column chats.nothing_like_it does not exist" },
	{ "GET chats?select=id::regclass", NULL,
	    "400 42704 type \"regclass\" does not exist" },
	{ "GET chats?select=id.sum()", NULL,
	    "400 PGRST123 Use of aggregate functions is not allowed" },
	{ "GET chats?select=count()", NULL,
	    "400 PGRST123 Use of aggregate functions is not allowed" },
	{ "GET chats?select=id,count", NULL,
	    "400 42803 \"count\" cannot be selected together with other columns of 'chats'; Embed the "
	    "table once more: rows:chats(*),number:chats(count)." },
};

static const struct plan_case filters_cases[] = {
	{ "GET notes?select=id&id=eq.1&id=neq.2&id=gt.3&id=gte.4&id=lt.5&id=lte.6", NULL,
	    "select t0.`id` from `public`.`notes` as t0 where t0.`id` = $1 and t0.`id` <> $2 and t0.`id` "
	    "> $3 and t0.`id` >= $4 and t0.`id` < $5 and t0.`id` <= $6 limit $7 [1|2|3|4|5|6|101]" },
	{ "GET notes?select=id&body=like.*a*&body=ilike.b&body=match.c&body=imatch.d&body=not.eq.e",
	    NULL,
	    "select t0.`id` from `public`.`notes` as t0 where t0.`body` like $1 and t0.`body` ilike "
	    "$2 and t0.`body` ~ $3 and t0.`body` ~* $4 and not (t0.`body` = $5) limit $6 [%a%|b|c|d|e|101]" },
	{ "GET notes?select=id&body=in.(a,\"b,c\")&id=in.()&body=isdistinct.x", NULL,
	    "select t0.`id` from `public`.`notes` as t0 where t0.`body` = any ($1) and t0.`id` = any "
	    "($2) and t0.`body` is distinct from $3 limit $4 [{\"a\",\"b,c\"}|{}|x|101]" },
	{ "GET notes?select=id&body=is.null&body=not.is.null&body=is.not_null&body=is.true&body=is.FALSE&body=is.unknown",
	    NULL,
	    "select t0.`id` from `public`.`notes` as t0 where t0.`body` is null and not (t0.`body` "
	    "is null) and t0.`body` is not null and t0.`body` is true and t0.`body` is false and t0.`body` "
	    "is unknown limit $1 [101]" },
	{ "GET people?select=id&tags=cs.{a}&tags=cd.{a,b}&tags=ov.{c}&tags=sl.x&tags=sr.x&tags=nxl.x&tags=nxr.x&tags=adj.x",
	    NULL,
	    "select t0.`id` from `public`.`people` as t0 where t0.`tags` @> $1 and t0.`tags` <@ $2 "
	    "and t0.`tags` && $3 and t0.`tags` << $4 and t0.`tags` >> $5 and t0.`tags` &> $6 and t0.`tags` "
	    "&< $7 and t0.`tags` -|- $8 limit $9 [{a}|{a,b}|{c}|x|x|x|x|x|101]" },
	{ "GET notes?select=id&body=eq(any).{a,b}&body=like(all).{*a,b*}", NULL,
	    "select t0.`id` from `public`.`notes` as t0 where t0.`body` = any ($1) and t0.`body` like "
	    "all ($2) limit $3 [{a,b}|{%a,b%}|101]" },
	{ "GET notes?select=id&body=fts.a&body=plfts(english).b&body=phfts.c&body=wfts(german).d",
	    NULL,
	    "select t0.`id` from `public`.`notes` as t0 where to_tsvector(t0.`body`) @@ to_tsquery($1) "
	    "and to_tsvector($2::regconfig, t0.`body`) @@ plainto_tsquery($3::regconfig, $4) and to_tsvector(t0.`body`) "
	    "@@ phraseto_tsquery($5) and to_tsvector($6::regconfig, t0.`body`) @@ websearch_to_tsquery($7::regconfig, "
	    "$8) limit $9 [a|english|english|b|c|german|german|d|101]" },
	{ "GET people?select=id&search=fts.a&search=wfts(english).b&settings->>x=fts.c",
	    NULL,
	    "select t0.`id` from `public`.`people` as t0 where t0.`search` @@ to_tsquery($1) and t0.`search` "
	    "@@ websearch_to_tsquery($2::regconfig, $3) and to_tsvector((t0.`settings`->>$4::text)) "
	    "@@ to_tsquery($5) limit $6 [a|english|b|x|c|101]" },
	{ "GET chats?select=id&meta->a->>b=eq.1&meta->0=eq.2&title->>x=eq.3", NULL,
	    "select t0.`id` from `public`.`chats` as t0 where (t0.`meta`->$1::text->>$2::text) = $3 "
	    "and (t0.`meta`->$4::int) = $5 and (to_jsonb(t0.`title`)->>$6::text) = $7 limit $8 [a|b|1|0|2|x|3|101]" },
	{ "GET notes?select=id&or=(id.eq.1,and(body.eq.a,id.not.lt.3),not.and(id.eq.1,id.eq.2))&not.or=(id.eq.3,id.eq.4)",
	    NULL,
	    "select t0.`id` from `public`.`notes` as t0 where (t0.`id` = $1 or (t0.`body` = $2 and "
	    "not (t0.`id` < $3)) or not (t0.`id` = $4 and t0.`id` = $5)) and not (t0.`id` = $6 or "
	    "t0.`id` = $7) limit $8 [1|a|3|1|2|3|4|101]" },
	{ "GET vectors?select=id&v=is.null", NULL,
	    "select t0.`id` from `public`.`vectors` as t0 where t0.`v` is null limit $1 [101]" },
	{ "GET vectors?v=eq.[1]", NULL,
	    "400 PGRST127 Feature not implemented; The vector 'v' can only be tested for null." },
	{ "GET chats?select=id&nope=eq.1", NULL,
	    "400 42703 column chats.nope does not exist" },
	{ "GET chats?select=id&meta->x=eq.1&titl->x=eq.2", NULL,
	    "400 42703 column chats.titl does not exist; Perhaps you meant to reference the column "
	    "\"chats.title\"." },
};

static const struct plan_case order_and_page_cases[] = {
	{ "GET notes?select=id&order=body,id.desc,body.asc.nullsfirst,id.desc.nullslast&limit=5&offset=10",
	    NULL,
	    "select t0.`id` from `public`.`notes` as t0 order by t0.`body`, t0.`id` desc, t0.`body` "
	    "nulls first, t0.`id` desc limit $1 offset $2 [5|10]" },
	{ "GET notes?select=id&limit=99999999999", NULL,
	    "select t0.`id` from `public`.`notes` as t0 limit $1 [101]" },
	{ "GET chats?select=id&order=meta->>rank.desc", NULL,
	    "select t0.`id` from `public`.`chats` as t0 order by (t0.`meta`->>$1::text) desc limit "
	    "$2 [rank|101]" },
	{ "GET chats?select=id&order=nope", NULL,
	    "400 42703 column chats.nope does not exist" },
};

static const struct plan_case counting_cases[] = {
	{ "count chats?select=id&title=eq.a&order=id&limit=3", NULL,
	    "select count(*) from `public`.`chats` as t0 where t0.`title` = $1 [a]" },
	{ "count chats?select=id,notes!inner(id)&notes.body=eq.a", NULL,
	    "select count(*) from `public`.`chats` as t0 where exists (select from `public`.`notes` "
	    "as t1 where t1.`chat_id` = t0.`id` and t1.`body` = $1) [a]" },
	{ "count chats?select=id,notes(id)&notes=is.null", NULL,
	    "select count(*) from `public`.`chats` as t0 where not exists (select from `public`.`notes` "
	    "as t1 where t1.`chat_id` = t0.`id`)" },
};

static const struct plan_case embeds_cases[] = {
	{ "GET notes?select=id,chats(id,title)", NULL,
	    "select t0.`id`, row_to_json(e1.*) as `chats` from `public`.`notes` as t0 left join lateral "
	    "(select t1.`id`, t1.`title` from `public`.`chats` as t1 where t1.`id` = t0.`chat_id`) "
	    "as e1 on true limit $1 [101]" },
	{ "GET notes?select=id,chat:chats!inner(title)&chat.title=eq.a", NULL,
	    "select t0.`id`, row_to_json(e1.*) as `chat` from `public`.`notes` as t0 inner join lateral "
	    "(select t1.`title` from `public`.`chats` as t1 where t1.`id` = t0.`chat_id` and t1.`title` "
	    "= $1) as e1 on true limit $2 [a|101]" },
	{ "GET notes?select=id,chat_id(title)", NULL,
	    "select t0.`id`, row_to_json(e1.*) as `chat_id` from `public`.`notes` as t0 left join "
	    "lateral (select t1.`title` from `public`.`chats` as t1 where t1.`id` = t0.`chat_id`) "
	    "as e1 on true limit $1 [101]" },
	{ "GET notes?select=id,notes_chat_id_fkey(title)", NULL,
	    "select t0.`id`, row_to_json(e1.*) as `notes_chat_id_fkey` from `public`.`notes` as t0 "
	    "left join lateral (select t1.`title` from `public`.`chats` as t1 where t1.`id` = t0.`chat_id`) "
	    "as e1 on true limit $1 [101]" },
	{ "GET chats?select=id,notes(id)&notes.body=eq.a&notes.order=id.desc&notes.limit=3&notes.offset=1&notes.or=(id.eq.1,id.eq.2)",
	    NULL,
	    "select t0.`id`, coalesce(e1.`rows`, '[]') as `notes` from `public`.`chats` as t0 left "
	    "join lateral (select json_agg(r) as `rows` from (select t1.`id` from `public`.`notes` "
	    "as t1 where t1.`chat_id` = t0.`id` and t1.`body` = $1 and (t1.`id` = $2 or t1.`id` = "
	    "$3) order by t1.`id` desc limit $4 offset $5) as r) as e1 on true limit $6 [a|1|2|3|1|101]" },
	{ "GET chats?select=id,notes!inner(id)", NULL,
	    "select t0.`id`, coalesce(e1.`rows`, '[]') as `notes` from `public`.`chats` as t0 inner "
	    "join lateral (select json_agg(r) as `rows` from (select t1.`id` from `public`.`notes` "
	    "as t1 where t1.`chat_id` = t0.`id` limit $1) as r) as e1 on e1.`rows` is not null limit "
	    "$2 [100|101]" },
	{ "GET people?select=id,badges(*)", NULL,
	    "select t0.`id`, row_to_json(e1.*) as `badges` from `public`.`people` as t0 left join "
	    "lateral (select t1.`person_id`, t1.`code` from `public`.`badges` as t1 where t1.`person_id` "
	    "= t0.`id`) as e1 on true limit $1 [101]" },
	{ "GET badges?select=code,people(name)", NULL,
	    "select t0.`code`, row_to_json(e1.*) as `people` from `public`.`badges` as t0 left join "
	    "lateral (select t1.`name` from `public`.`people` as t1 where t1.`id` = t0.`person_id`) "
	    "as e1 on true limit $1 [101]" },
	{ "GET chats?select=id,topics(name)", NULL,
	    "select t0.`id`, coalesce(e1.`rows`, '[]') as `topics` from `public`.`chats` as t0 left "
	    "join lateral (select json_agg(r) as `rows` from (select t1.`name` from `public`.`topics` "
	    "as t1, `public`.`chat_topics` as j1 where j1.`chat_id` = t0.`id` and j1.`topic_id` = "
	    "t1.`id` limit $1) as r) as e1 on true limit $2 [100|101]" },
	{ "GET chats?select=id,topics!chat_topics!inner(name,chat_topics(topic_id))",
	    NULL,
	    "select t0.`id`, coalesce(e1.`rows`, '[]') as `topics` from `public`.`chats` as t0 inner "
	    "join lateral (select json_agg(r) as `rows` from (select t1.`name`, coalesce(e2.`rows`, "
	    "'[]') as `chat_topics` from `public`.`topics` as t1, `public`.`chat_topics` as j1 left "
	    "join lateral (select json_agg(r) as `rows` from (select t2.`topic_id` from `public`.`chat_topics` "
	    "as t2 where t2.`topic_id` = t1.`id` limit $1) as r) as e2 on true where j1.`chat_id` "
	    "= t0.`id` and j1.`topic_id` = t1.`id` limit $2) as r) as e1 on e1.`rows` is not null "
	    "limit $3 [100|100|101]" },
	{ "GET people?select=id,chats!chats_person_id_fkey(id,notes(id,chats(id)))",
	    NULL,
	    "select t0.`id`, coalesce(e1.`rows`, '[]') as `chats` from `public`.`people` as t0 left "
	    "join lateral (select json_agg(r) as `rows` from (select t1.`id`, coalesce(e2.`rows`, "
	    "'[]') as `notes` from `public`.`chats` as t1 left join lateral (select json_agg(r) as "
	    "`rows` from (select t2.`id`, row_to_json(e3.*) as `chats` from `public`.`notes` as t2 "
	    "left join lateral (select t3.`id` from `public`.`chats` as t3 where t3.`id` = t2.`chat_id`) "
	    "as e3 on true where t2.`chat_id` = t1.`id` limit $1) as r) as e2 on true where t1.`person_id` "
	    "= t0.`id` limit $2) as r) as e1 on true limit $3 [100|100|101]" },
	{ "GET people?select=id,helped:chats!helper_id(id),chats!chats_helper(id)", NULL,
	    "select t0.`id`, coalesce(e1.`rows`, '[]') as `helped`, coalesce(e2.`rows`, '[]') as `chats` "
	    "from `public`.`people` as t0 left join lateral (select json_agg(r) as `rows` from (select "
	    "t1.`id` from `public`.`chats` as t1 where t1.`helper_id` = t0.`id` limit $1) as r) as "
	    "e1 on true left join lateral (select json_agg(r) as `rows` from (select t2.`id` from "
	    "`public`.`chats` as t2 where t2.`helper_id` = t0.`id` limit $2) as r) as e2 on true limit "
	    "$3 [100|100|101]" },
	{ "GET chats?select=id,person_id(name),helper_id(name)", NULL,
	    "select t0.`id`, row_to_json(e1.*) as `person_id`, row_to_json(e2.*) as `helper_id` from "
	    "`public`.`chats` as t0 left join lateral (select t1.`name` from `public`.`people` as "
	    "t1 where t1.`id` = t0.`person_id`) as e1 on true left join lateral (select t2.`name` "
	    "from `public`.`people` as t2 where t2.`id` = t0.`helper_id`) as e2 on true limit $1 [101]" },
	{ "GET people?select=id,people(name),boss_id(name)", NULL,
	    "select t0.`id`, coalesce(e1.`rows`, '[]') as `people`, row_to_json(e2.*) as `boss_id` "
	    "from `public`.`people` as t0 left join lateral (select json_agg(r) as `rows` from (select "
	    "t1.`name` from `public`.`people` as t1 where t1.`boss_id` = t0.`id` limit $1) as r) as "
	    "e1 on true left join lateral (select t2.`name` from `public`.`people` as t2 where t2.`id` "
	    "= t0.`boss_id`) as e2 on true limit $2 [100|101]" },
	{ "GET people?select=id,people!boss_id(name)", NULL,
	    "select t0.`id`, coalesce(e1.`rows`, '[]') as `people` from `public`.`people` as t0 left "
	    "join lateral (select json_agg(r) as `rows` from (select t1.`name` from `public`.`people` "
	    "as t1 where t1.`boss_id` = t0.`id` limit $1) as r) as e1 on true limit $2 [100|101]" },
	{ "GET people?select=id,people!friends_other_fkey(name)", NULL,
	    "select t0.`id`, coalesce(e1.`rows`, '[]') as `people` from `public`.`people` as t0 left "
	    "join lateral (select json_agg(r) as `rows` from (select t1.`name` from `public`.`people` "
	    "as t1, `public`.`friends` as j1 where j1.`one` = t0.`id` and j1.`other` = t1.`id` limit "
	    "$1) as r) as e1 on true limit $2 [100|101]" },
	{ "GET chat_cards?select=card_id,people(name),notes(id),topics(name)", NULL,
	    "select t0.`card_id`, row_to_json(e1.*) as `people`, coalesce(e2.`rows`, '[]') as `notes`, "
	    "coalesce(e3.`rows`, '[]') as `topics` from `public`.`chat_cards` as t0 left join lateral "
	    "(select t1.`name` from `public`.`people` as t1 where t1.`id` = t0.`owner`) as e1 on true "
	    "left join lateral (select json_agg(r) as `rows` from (select t2.`id` from `public`.`notes` "
	    "as t2 where t2.`chat_id` = t0.`card_id` limit $1) as r) as e2 on true left join lateral "
	    "(select json_agg(r) as `rows` from (select t3.`name` from `public`.`topics` as t3, `public`.`chat_topics` "
	    "as j3 where j3.`chat_id` = t0.`card_id` and j3.`topic_id` = t3.`id` limit $2) as r) as "
	    "e3 on true limit $3 [100|100|101]" },
	{ "GET other.far?select=id,chats(id),topics(name)", NULL,
	    "select t0.`id`, row_to_json(e1.*) as `chats`, row_to_json(e2.*) as `topics` from `other`.`far` "
	    "as t0 left join lateral (select t1.`id` from `other`.`chats` as t1 where t1.`id` = t0.`chat_id`) "
	    "as e1 on true left join lateral (select t2.`name` from `public`.`topics` as t2 where "
	    "t2.`id` = t0.`topic_id`) as e2 on true limit $1 [101]" },
	{ "GET chats?select=id,notes(count)", NULL,
	    "select t0.`id`, coalesce(e1.`rows`, '[]') as `notes` from `public`.`chats` as t0 left "
	    "join lateral (select json_agg(r) as `rows` from (select count(*) as `count` from `public`.`notes` "
	    "as t1 where t1.`chat_id` = t0.`id` limit $1) as r) as e1 on true limit $2 [100|101]" },
	{ "GET chats?select=id,notes(n:count)&notes.order=id&notes.id=gt.1", NULL,
	    "select t0.`id`, coalesce(e1.`rows`, '[]') as `notes` from `public`.`chats` as t0 left "
	    "join lateral (select json_agg(r) as `rows` from (select count(*) as `n` from `public`.`notes` "
	    "as t1 where t1.`chat_id` = t0.`id` and t1.`id` > $1 limit $2) as r) as e1 on true limit "
	    "$3 [1|100|101]" },
	{ "GET notes?select=id,...chats(title,person:person_id,people!helper_id(name))",
	    NULL,
	    "select t0.`id`, e1.`title`, e1.`person`, e1.`people` from `public`.`notes` as t0 left "
	    "join lateral (select t1.`title`, t1.`person_id` as `person`, row_to_json(e2.*) as `people` "
	    "from `public`.`chats` as t1 left join lateral (select t2.`name` from `public`.`people` "
	    "as t2 where t2.`id` = t1.`helper_id`) as e2 on true where t1.`id` = t0.`chat_id`) as "
	    "e1 on true limit $1 [101]" },
	{ "GET chats?select=id,...people!helper_id(name,tags,...badges(code))", NULL,
	    "select t0.`id`, e1.`name`, to_json(e1.`tags`) as `tags`, e1.`code` from `public`.`chats` "
	    "as t0 left join lateral (select t1.`name`, t1.`tags`, e2.`code` from `public`.`people` "
	    "as t1 left join lateral (select t2.`code` from `public`.`badges` as t2 where t2.`person_id` "
	    "= t1.`id`) as e2 on true where t1.`id` = t0.`helper_id`) as e1 on true limit $1 [101]" },
	{ "GET chats?select=id,...people!helper_id()&order=id", NULL,
	    "select t0.`id` from `public`.`chats` as t0 order by t0.`id` limit $1 [101]" },
	{ "GET notes?select=id,...chats(*)", NULL,
	    "select t0.`id`, e1.`id`, e1.`person_id`, e1.`helper_id`, e1.`title`, e1.`meta`, e1.`created_at` "
	    "from `public`.`notes` as t0 left join lateral (select t1.`id`, t1.`person_id`, t1.`helper_id`, "
	    "t1.`title`, t1.`meta`, t1.`created_at` from `public`.`chats` as t1 where t1.`id` = t0.`chat_id`) "
	    "as e1 on true limit $1 [101]" },
	{ "GET chats?select=id,notes()", NULL,
	    "select t0.`id` from `public`.`chats` as t0 limit $1 [101]" },
	{ "GET chats?select=id,notes!inner()&notes.body=eq.a", NULL,
	    "select t0.`id` from `public`.`chats` as t0 where exists (select from `public`.`notes` "
	    "as t1 where t1.`chat_id` = t0.`id` and t1.`body` = $1) limit $2 [a|101]" },
	{ "GET chats?select=id,notes(chats())", NULL,
	    "select t0.`id` from `public`.`chats` as t0 limit $1 [101]" },
	{ "GET chats?select=id,notes(body)&notes=is.null", NULL,
	    "select t0.`id`, coalesce(e1.`rows`, '[]') as `notes` from `public`.`chats` as t0 left "
	    "join lateral (select json_agg(r) as `rows` from (select t1.`body` from `public`.`notes` "
	    "as t1 where t1.`chat_id` = t0.`id` limit $1) as r) as e1 on true where not exists (select "
	    "from `public`.`notes` as t1 where t1.`chat_id` = t0.`id`) limit $2 [100|101]" },
	{ "GET chats?select=id,n:notes()&n=not.is.null", NULL,
	    "select t0.`id` from `public`.`chats` as t0 where not (not exists (select from `public`.`notes` "
	    "as t1 where t1.`chat_id` = t0.`id`)) limit $1 [101]" },
	{ "GET chats?select=id,notes()&or=(notes.is.null,id.eq.1)", NULL,
	    "select t0.`id` from `public`.`chats` as t0 where (not exists (select from `public`.`notes` "
	    "as t1 where t1.`chat_id` = t0.`id`) or t0.`id` = $1) limit $2 [1|101]" },
	{ "GET notes?select=id,chat_id(title)&chat_id=eq.3", NULL,
	    "select t0.`id`, row_to_json(e1.*) as `chat_id` from `public`.`notes` as t0 left join "
	    "lateral (select t1.`title` from `public`.`chats` as t1 where t1.`id` = t0.`chat_id`) "
	    "as e1 on true where t0.`chat_id` = $1 limit $2 [3|101]" },
	{ "GET notes?select=id,chats(title)&order=chats(title).desc,id", NULL,
	    "select t0.`id`, row_to_json(e1.*) as `chats` from `public`.`notes` as t0 left join lateral "
	    "(select t1.`title` from `public`.`chats` as t1 where t1.`id` = t0.`chat_id`) as e1 on "
	    "true order by (select t1.`title` from `public`.`chats` as t1 where t1.`id` = t0.`chat_id` "
	    "limit 1) desc, t0.`id` limit $1 [101]" },
};

static const struct plan_case embeds_refused_cases[] = {
	{ "GET people?select=id,chats(id)", NULL,
	    "300 PGRST201 Could not embed because more than one relationship was found for 'people' "
	    "and 'chats'; chats_helper using people(id) and chats(helper_id); chats_person_id_fkey "
	    "using people(id) and chats(person_id); Try changing 'chats' to one of the following: "
	    "'chats!chats_helper', 'chats!chats_person_id_fkey'. Find the desired relationship in "
	    "the 'details' key." },
	{ "GET people?select=id,people!friends(id)", NULL,
	    "300 PGRST201 Could not embed because more than one relationship was found for 'people' "
	    "and 'people'; friends using friends_one_fkey(one) and friends_other_fkey(other); friends "
	    "using friends_other_fkey(other) and friends_one_fkey(one); Try changing 'people' to one "
	    "of the following: 'people!friends_other_fkey', 'people!friends_one_fkey'. Find the desired "
	    "relationship in the 'details' key." },
	{ "GET people?select=id,chat(id)", NULL,
	    "400 PGRST200 Could not find a relationship between 'people' and 'chat' in the schema "
	    "cache; Searched for a foreign key relationship between 'people' and 'chat' in the schema "
	    "'public', but no matches were found.; Perhaps you meant 'chats' instead of 'chat'." },
	{ "GET people?select=id,chats!nope(id)", NULL,
	    "400 PGRST200 Could not find a relationship between 'people' and 'chats' in the schema "
	    "cache; Searched for a foreign key relationship between 'people' and 'chats' using the "
	    "hint 'nope' in the schema 'public', but no matches were found." },
	{ "GET people?select=id,\"q;x\"(id)", NULL,
	    "400 PGRST200 Could not find a relationship between 'people' and 'q;x' in the schema cache; "
	    "Searched for a foreign key relationship between 'people' and 'q;x' in the schema 'public', "
	    "but no matches were found." },
	{ "GET chats?select=id,notes(nope)", NULL,
	    "400 42703 column notes.nope does not exist" },
	{ "GET chats?select=id,notes(id)&notes=eq.1", NULL,
	    "400 PGRST120 Bad operator on the 'notes' embedded resource; Only is null or not is null "
	    "filters are allowed on embedded resources" },
	{ "GET chats?select=id,notes(id)&order=notes(id)", NULL,
	    "400 PGRST118 A related order on 'notes' is not possible; 'chats' and 'notes' do not form "
	    "a many-to-one or one-to-one relationship" },
	{ "GET chats?select=id&order=notes(id)", NULL,
	    "400 PGRST108 'notes' is not an embedded resource in this request; Verify that 'notes' "
	    "is included in the 'select' query parameter." },
	{ "GET chats?select=id,...notes(body)", NULL,
	    "400 PGRST119 A spread operation on 'notes' is not possible; 'chats' and 'notes' do not "
	    "form a many-to-one or one-to-one relationship" },
	{ "GET other.far?select=id,people(id)", NULL,
	    "400 PGRST200 Could not find a relationship between 'far' and 'people' in the schema cache; "
	    "Searched for a foreign key relationship between 'far' and 'people' in the schema 'other', "
	    "but no matches were found." },
};

/* clang-format on */

static void
what_is_selected(void **state)
{
	(void)state;
	plan_check(what_is_selected_cases);
}

static void
computed_fields(void **state)
{
	(void)state;
	plan_check(computed_fields_cases);
}

static void
refused(void **state)
{
	(void)state;
	plan_check(refused_cases);
}

static void
filters(void **state)
{
	(void)state;
	plan_check(filters_cases);
}

static void
order_and_page(void **state)
{
	(void)state;
	plan_check(order_and_page_cases);
}

static void
counting(void **state)
{
	(void)state;
	plan_check(counting_cases);
}

static void
embeds(void **state)
{
	(void)state;
	plan_check(embeds_cases);
}

static void
embeds_refused(void **state)
{
	(void)state;
	plan_check(embeds_refused_cases);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("a function of a table's row is a field of it, wherever the row is at hand", computed_fields),
		unit_that("select= lists columns with alias, path, cast and a form that prints as JSON", what_is_selected),
		unit_that("an unknown column, a cast that is not allowed and an aggregate are refused", refused),
		unit_that("every operator compares a quoted column with a parameter", filters),
		unit_that("order is by columns and paths; the cap is one row more than it allows", order_and_page),
		unit_that("a count applies filters and inner embeds, not order and page", counting),
		unit_that("an embed follows the relationship that its name and hint mean", embeds),
		unit_that("an embed that means nothing, or several things, is refused with a hint", embeds_refused),
	};

	return unit_run(tests);
}
