-- Goal: messages are numbered 1, 2, 3 ... and found by an index.
-- Concurrent writers are in concurrency.t.
\ir ../lib/prelude.psql
select no_plan();

insert into public.conversations (id, user_id) values
    ('0a0a0a0a-0000-4000-8000-000000000001', test.id('owner')),
    ('0a0a0a0a-0000-4000-8000-000000000002', test.id('owner')),
    ('0b0b0b0b-0000-4000-8000-000000000001', test.id('stranger'));

create function test.numbers() returns text language sql as $$
    select string_agg(sequence_number || m.content, ' ' order by sequence_number) || ' of ' || max(c.message_count)
    from public.messages m join public.conversations c on c.id = m.conversation_id
    where c.id = '0a0a0a0a-0000-4000-8000-000000000001'
$$;
create function test.insert(rows text, rest text default '') returns text language sql as $$
    select format('insert into public.messages (conversation_id, role, content) select %L::uuid, %L, c from unnest(%L::text[]) c %s',
        '0a0a0a0a-0000-4000-8000-000000000001', 'user', rows, rest)
$$;

select is(test.try('owner', test.insert('{a}')), '1', 'owner writes a message');
select is(test.try('owner', test.insert('{b,c}')), '2', 'and two at once');
select is(test.numbers(), '1a 2b 3c of 3', 'they are numbered in order');
select is(test.probe('owner', test.insert('{x,y}')), '2', 'two that are rolled back');
select is(test.try('owner', test.insert('{d}')), '1', 'and one more');
select is(test.numbers(), '1a 2b 3c 4d of 4', 'leave no gap');
select is(test.try('owner', test.insert('{e,e}', 'union all select ''0b0b0b0b-0000-4000-8000-000000000001'', ''user'', ''x''')), '42501', 'one bad row refuses all');
select is(test.numbers(), '1a 2b 3c 4d of 4', 'and changes nothing');
select is(test.try('owner', $$ insert into public.messages (conversation_id, role, content) values
    ('0a0a0a0a-0000-4000-8000-000000000001', 'user', 'e'), ('0a0a0a0a-0000-4000-8000-000000000002', 'user', 'x'),
    ('0a0a0a0a-0000-4000-8000-000000000001', 'assistant', 'f') $$), '3', 'two conversations in one insert');
select is(test.numbers(), '1a 2b 3c 4d 5e 6f of 6', 'are numbered each');

-- An upsert that inserts nothing uses no number.
select is(test.try('owner', format($$ insert into public.messages (id, conversation_id, role, content) values (%L, '0a0a0a0a-0000-4000-8000-000000000001', 'user', 'A')
    on conflict (id) do %s $$, (select id from public.messages where conversation_id = '0a0a0a0a-0000-4000-8000-000000000001' and sequence_number = 1), action)), touched, 'upsert: ' || action)
from (values ('nothing', '0'), ('update set content = excluded.content, conversation_id = excluded.conversation_id', '1')) as v (action, touched);
select is(test.try('owner', test.insert('{g}')), '1', 'and the next');
select is(test.numbers(), '1A 2b 3c 4d 5e 6f 7g of 7', 'follows');

-- Deleting is the user's right; the count follows, the last number is used again.
select is(test.try('owner', $$ delete from public.messages where content in ('g', 'b') $$), '2', 'owner deletes two');
select is(test.try('owner', test.insert('{h}')), '1', 'and writes one');
select is(test.numbers(), '1A 3c 4d 5e 6f 7h of 6', 'which takes the number after the last');

-- D9, D10
select is(test.try('owner', 'update public.messages set sequence_number = 9'), '42501', 'owner cannot set a number');
select is(test.try('owner', $$ update public.messages set conversation_id = '0a0a0a0a-0000-4000-8000-000000000002' where content = 'c' $$), '42501', 'nor move a message');
select is(test.try('service', $$ update public.messages set conversation_id = '0a0a0a0a-0000-4000-8000-000000000002' where conversation_id = '0a0a0a0a-0000-4000-8000-000000000001' $$), '42501', 'the service neither');
select is(test.try('owner', 'update public.conversations set message_count = 9'), '42501', 'owner cannot set the count');
select is(test.try('owner', test.insert('{x}') || '; select 1/0'), '22012', 'a failure after the insert');
select is(test.numbers(), '1A 3c 4d 5e 6f 7h of 6', 'leaves nothing');
select is(test.try('owner', $$ update public.messages set role = 'robot' $$), '23514', 'role is a known word');

-- D7: the same answer whether the conversation exists or not.
select is(test.try('stranger', format('insert into public.messages (conversation_id, role, content) values (%L, ''user'', ''x'')', id)), '42501', 'stranger cannot write there')
from unnest(array['0a0a0a0a-0000-4000-8000-000000000001', gen_random_uuid()::text]) as id;
select is(test.try('service', 'insert into public.messages (conversation_id, role, content) values (gen_random_uuid(), ''user'', ''x'')'), '23503', 'for the service there must be one');

-- append_session_message
select is(test.rows('owner', $$ select sequence_number, role, content, metadata from public.append_session_message('0a0a0a0a-0000-4000-8000-000000000002', 'assistant', 'hi') $$),
    '[{"sequence_number": 2, "role": "assistant", "content": "hi", "metadata": {}}]', 'append returns the row with its number');
select is(test.try('owner', $$ select public.append_session_message(session_id => '0a0a0a0a-0000-4000-8000-000000000002', role => 'user', content => 'x', metadata => null) $$), '1', 'metadata may be null');
select is(test.try('stranger', $$ select public.append_session_message('0a0a0a0a-0000-4000-8000-000000000002', 'user', 'x') $$), '42501', 'stranger appends nothing');
select is(test.try('anon', $$ select public.append_session_message('0a0a0a0a-0000-4000-8000-000000000002', 'user', 'x') $$), '42501', 'anon neither');

-- The messages of one request sort as they were sent.
select is(count(distinct created_at), count(*), 'no two messages of one insert share a time')
from (select (jsonb_array_elements(test.rows('owner', test.insert('{m,n,o,p,q,r,s,t}', 'returning created_at'))) ->> 'created_at') as created_at) r;
select ok(c.updated_at >= now(), 'the conversation is as new as its last message') from public.conversations c where id = '0a0a0a0a-0000-4000-8000-000000000001';

-- Newest 20 by either order walk an index backwards, be conversations short or
-- long.  Statistics are of this transaction's rows.
create function test.plan(ordering text, who text default 'owner') returns text language plpgsql as $$
declare
    line text;
    plan text := '';
begin
    perform test.become(who);
    set local plan_cache_mode = force_generic_plan;
    execute format('prepare newest as select * from public.messages where conversation_id = $1 order by %s limit 20', ordering);
    for line in execute 'explain (costs off) execute newest (''0a0a0a0a-0000-4000-8000-000000000001'')' loop
        plan := plan || line || E'\n';
    end loop;
    deallocate newest;
    reset role;
    return plan;
end
$$;
insert into public.messages (conversation_id, role, content)
select c.id, 'user', 'x' from public.conversations c, generate_series(1, 50) where user_id = test.id('owner');
insert into public.conversations (user_id) select test.id('owner') from generate_series(1, 100);
insert into public.messages (conversation_id, role, content) select c.id, 'user', repeat('x', 100) from public.conversations c, generate_series(1, 50) where user_id = test.id('owner');
analyze public.messages; analyze public.conversations;
select matches(test.plan(ordering), 'Index Scan Backward using messages_' || index || '(?!.*Sort)', '50 each: ' || ordering)
from (values ('created_at desc', 'conversation_id_created_at'), ('sequence_number desc', 'sequence_number_key')) as v (ordering, index);
delete from public.conversations where user_id = test.id('owner') and id not in ('0a0a0a0a-0000-4000-8000-000000000001', '0a0a0a0a-0000-4000-8000-000000000002');
insert into public.messages (conversation_id, role, content) select c.id, 'user', repeat('x', 100) from public.conversations c, generate_series(1, 5000) where user_id = test.id('owner');
analyze public.messages; analyze public.conversations;
select matches(test.plan(ordering), 'Index Scan Backward using messages_' || index || '(?!.*Sort)', '5000 each: ' || ordering)
from (values ('created_at desc', 'conversation_id_created_at'), ('sequence_number desc', 'sequence_number_key')) as v (ordering, index);
select is(count(*), max(sequence_number)::bigint, 'no gaps in a thousand rows') from public.messages where conversation_id = '0a0a0a0a-0000-4000-8000-000000000002';

select finish();
rollback;
