-- Goal: where only live memories are shown, one that is not shown is not in the
-- way, and is live again under its id when it is written over.
\ir ../lib/prelude.psql
select no_plan();

create view test.live with (security_invoker = true) as
select id, user_id, category, key, content, expires_at, is_active, created_at
from public.memories
where is_active and (expires_at is null or expires_at > now());
alter view test.live
    alter column id set default case when false then gen_random_uuid() end,
    alter column is_active set default case when false then true end;
grant usage on schema test to authenticated, service_role;
grant select, insert, update, delete on test.live to authenticated, service_role;

create function test.keep(id int) returns uuid language sql as $$ select format('0a0a0a0a-0000-4000-8000-%s', lpad(id::text, 12, '0'))::uuid $$;
create function test.upsert(content text, rest text default '', resolution text default 'update set content = excluded.content') returns text language sql as $$
    select format('insert into test.live (category, key, content%s) values (''work'', ''job'', %L%s) on conflict (user_id, category, key) do %s',
        case when rest <> '' then ', expires_at' end, content, case when rest <> '' then ', ' || rest end, resolution)
$$;
create function test.memories(who text default 'owner') returns text language sql as $$
    select coalesce(string_agg(format('%s=%s%s', right(m.id::text, 1), m.content, case when l.id is null then ' hidden' end), ', ' order by m.id), 'none')
    from public.memories m left join test.live l using (id)
    where m.user_id = test.id(who)
$$;
create function test.hidden(content text default 'gardener', how text default 'false, null') returns text language plpgsql as $$
begin
    delete from public.memories where user_id in (test.id('owner'), test.id('stranger'));
    execute format('insert into public.memories (id, user_id, category, key, content, is_active, expires_at, tags)
        values (%L, %L, ''work'', ''job'', %L, %s, ''{old}'')', test.keep(1), test.id('owner'), content, how);
    return test.memories();
end
$$;

select is(test.hidden(), '1=gardener hidden', 'a retired memory');
select is(test.try('owner', test.upsert('florist')), '1', 'an upsert over it');
select is(test.memories(), '1=florist', 'makes it live, under its id');
select is((select tags::text from public.memories where user_id = test.id('owner')), '{}', 'as an insert would have made it');
select is(test.try('owner', test.upsert('baker')), '1', 'an upsert over a live one');
select is(test.memories(), '1=baker', 'updates it');
select is(test.hidden(how => $$true, '2000-01-01'$$), '1=gardener hidden', 'an expired memory');
select is(test.try('owner', test.upsert('florist')), '1', 'an upsert over it');
select is(test.memories(), '1=florist', 'makes it live');
select is((select expires_at from public.memories where user_id = test.id('owner')), null, 'for good');
select is(test.hidden(how => $$true, '2000-01-01'$$), '1=gardener hidden', 'an expired memory');
select is(test.try('owner', test.upsert('florist', $$'2100-01-01'$$)), '1', 'with a new time');
select is(test.memories(), '1=florist', 'is live until then');
select is(test.hidden(), '1=gardener hidden', 'a hidden memory');
select is(test.try('owner', test.upsert('florist', resolution => 'nothing')), '1', 'is no duplicate to be ignored');
select is(test.memories(), '1=florist', 'it is written');
select is(test.hidden(), '1=gardener hidden', 'a hidden memory');
select is(test.try('owner', $$ insert into test.live (category, key, content) values ('work', 'job', 'florist') $$), '1', 'does not refuse an insert');
select is(test.memories(), '1=florist', 'it is written');
select is(test.hidden(), '1=gardener hidden', 'a hidden memory');
select is(test.try('owner', format('insert into test.live (id, content) values (%L, ''florist'') on conflict (id) do update set content = excluded.content', test.keep(1))), '1', 'by its id');
select is(test.memories(), '1=florist', 'is live again');
select is(test.hidden(), '1=gardener hidden', 'a hidden memory');
select is(test.try('owner', format('insert into test.live (id, category, key, content) values (%L, ''work'', ''job'', ''florist'')', test.keep(2))), '1', 'who gives an id');
select is(test.memories(), '2=florist', 'has that id');
select is(test.try('owner', $$ insert into test.live (content) values ('a'), ('b') $$), '2', 'without a key');
select is((select count(*) from test.live), 3::bigint, 'each is a memory of its own');

-- Who says is_active, says what a new one is.
select is(test.hidden(), '1=gardener hidden', 'a hidden memory');
select is(test.try('owner', $$ insert into test.live (category, key, content, is_active) values ('work', 'job', 'florist', true) $$), '1', 'is written over by one that is called live');
select is(test.memories(), '1=florist', 'and is live');
select is(test.try('owner', $$ insert into test.live (category, key, content, is_active) values ('work', 'job', 'baker', true) on conflict (user_id, category, key) do update set content = excluded.content $$), '1', 'so does an upsert');
select is(test.memories(), '1=baker', 'of a live one');
select is(test.try('owner', $$ insert into test.live (content, is_active) values ('b', true), ('c', true) $$), '2', 'without a key');
select is((select count(*) from test.live), 3::bigint, 'each is a memory of its own');
select is(test.hidden(), '1=gardener hidden', 'a hidden memory');
select is(test.try('owner', $$ insert into test.live (category, key, content, is_active) values ('work', 'job', 'florist', false) $$), '1', 'can be replaced by another');
select is(test.memories(), '1=florist hidden', 'that is hidden too');
insert into public.memories (id, user_id, category, key, content, is_active) values (test.keep(2), test.id('owner'), 'home', 'pet', 'cat', false);
select is(test.try('owner', format('insert into test.live (id, category, key, content) values (%L, ''home'', ''pet'', ''dog'')', test.keep(1))), '1', 'one is hidden by its id, another by its key');
select is(test.memories(), '1=dog', 'and neither is in the way');

-- It counts as new: the cap retires another.
select is(test.hidden(), '1=gardener hidden', 'a memory retired');
insert into public.memories (user_id, content, created_at) select test.id('owner'), 'm' || i, now() - interval '1 hour' + i * interval '1 s' from generate_series(1, 100) i;
select is(test.try('owner', test.upsert('florist')), '1', 'written over while there is no room');
select is((select string_agg(content, ' ') from public.memories where user_id = test.id('owner') and not is_active), 'm1', 'retires the oldest');

-- What is another's is not touched, and nothing is learnt of it.
select is(test.hidden(), '1=gardener hidden', 'a hidden memory');
select is(test.try('stranger', test.upsert('thief')), '1', 'of which a stranger has the key');
select is(test.try('stranger', format('insert into test.live (user_id, category, key, content) values (%L, ''work'', ''job'', ''thief'')', test.id('owner'))), '42501', 'nobody writes over it but its owner');
select is(test.try('stranger', format('insert into test.live (user_id, category, key, content) values (%L, ''work'', ''job'', ''thief'') on conflict do nothing', test.id('owner'))), '42501', 'not by ignoring');
select is(test.try('stranger', format('insert into test.live (id, content) values (%L, ''thief'')', test.keep(1))), '23505', 'an id that is taken is taken');
select is(test.memories(), '1=gardener hidden', 'it is as it was');

-- The table itself: what is hidden stays so until it is said.
select is(test.try('owner', $$ insert into public.memories (category, key, content) values ('work', 'job', 'x') on conflict (user_id, category, key) do update set content = excluded.content $$), '1', 'an upsert of the table');
select is(test.memories(), '1=x hidden', 'sets what was sent');

select finish();
rollback;
