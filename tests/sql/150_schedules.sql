-- Goal: a message is its user's while it is pending, goes out once, and its mail is followed.
\ir ../lib/prelude.psql
select no_plan();

insert into public.workspaces (id, name, owner_id) values
    ('0a0a0a0a-0000-4000-8000-000000000001', 'one', test.id('owner')), ('0a0a0a0a-0000-4000-8000-000000000002', 'two', test.id('owner')),
    ('0b0b0b0b-0000-4000-8000-000000000001', 'other', test.id('stranger'));

-- Writing
create function test.plan(columns text, literals text) returns text language sql as $$
    select format('insert into public.scheduled_messages (channel, scheduled_for, %s) values (''email'', now() + interval ''1 day'', %s)', columns, literals)
$$;
select is(test.rows('owner', test.plan('id, subject', '''0a0a0a0a-0000-4000-8000-000000000003'', ''Good morning''') || ' returning user_id, status, attempts, content'),
    '[{"user_id": "0a0a0a0a-0000-4000-8000-00000000000a", "status": "pending", "attempts": 0, "content": {}}]', 'owner schedules a message to themselves');
select is(test.rows('stranger', 'select id from public.scheduled_messages'), '[]', 'stranger sees none');
select is(test.try('owner', test.plan(columns, literals)), state, format('%s %s: %s', columns, literals, state)) from (values
    ('recipient_email', '''owner@kith.test''', '1'), ('recipient_email', '''Owner@Kith.test''', '1'), ('recipient_email', '''stranger@kith.test''', '42501'),
    ('user_id', '''0b0b0b0b-0000-4000-8000-00000000000b''', '42501'), ('workspace_id', '''0a0a0a0a-0000-4000-8000-000000000001''', '1'),
    ('workspace_id', '''0b0b0b0b-0000-4000-8000-000000000001''', '42501'), ('message_type', '''''', '23514'), ('subject', 'repeat(''x'', 501)', '23514'),
    ('status', '''sent''', '42501'), ('attempts', '3', '42501'), ('sent_at', 'now()', '42501'), ('failure_reason', '''x''', '42501')) as c (columns, literals, state);
select is(test.try('owner', 'update public.scheduled_messages set channel = ''pigeon'''), '23514', 'a channel is a known word');
select is(test.try('owner', 'update public.scheduled_messages set recipient_email = ''stranger@kith.test'''), '42501', 'nor is mail turned to another later');
delete from public.scheduled_messages where user_id = test.id('owner') and id <> '0a0a0a0a-0000-4000-8000-000000000003';

select is(test.rows('service', test.plan('workspace_id, recipient_email', '''0a0a0a0a-0000-4000-8000-000000000001'', ''team@kith.test''') || ' returning user_id'),
    '[{"user_id": "0a0a0a0a-0000-4000-8000-00000000000a"}]', 'what is a workspace''s is its owner''s');
select is(test.try('service', test.plan('workspace_id, user_id', '''0a0a0a0a-0000-4000-8000-000000000001'', ''0b0b0b0b-0000-4000-8000-00000000000b''')), '42501', 'and nobody else''s');
select is(test.try('service', test.plan('subject', '''x''')), '23502', 'a message is somebody''s');
select is(test.try('service', test.plan('workspace_id', 'gen_random_uuid()')), '23503', 'and a workspace is one that is there');

-- While it is pending, and after
select is(test.try('owner', 'update public.scheduled_messages set subject = ''Good evening'' where id = ''0a0a0a0a-0000-4000-8000-000000000003'''), '1', 'owner changes a pending message');
create function test.set_status(word text) returns void language sql as $$
    update public.scheduled_messages set status = word where id = '0a0a0a0a-0000-4000-8000-000000000003'
$$;
create function test.after(word text) returns text language plpgsql as $$
begin
    perform test.set_status(word);
    return test.try('owner', 'update public.scheduled_messages set subject = ''x'' where id = ''0a0a0a0a-0000-4000-8000-000000000003''')
        || ' changed, ' || test.try('owner', 'delete from public.scheduled_messages where id = ''0a0a0a0a-0000-4000-8000-000000000003''') || ' deleted';
end
$$;
select is(test.after(word), '0 changed, 0 deleted', word || ': it is a record') from unnest(array['sending', 'sent', 'failed', 'canceled']) as word;
select test.set_status('pending') \g /dev/null
select is((select count(*) from kith.outbox where message_id = '0a0a0a0a-0000-4000-8000-000000000003'), 1::bigint, 'what is pending again is in the outbox');
select is(test.try('owner', 'delete from public.scheduled_messages where id = ''0a0a0a0a-0000-4000-8000-000000000003'''), '1', 'owner cancels a pending one by deleting it');
select is((select count(*) from kith.outbox where message_id = '0a0a0a0a-0000-4000-8000-000000000003'), 0::bigint, 'which leaves the outbox');

-- A workspace goes.
delete from public.scheduled_messages where user_id = test.id('owner');
insert into public.scheduled_messages (id, workspace_id, channel, scheduled_for, status) values
    ('0a0a0a0a-0000-4000-8000-000000000004', '0a0a0a0a-0000-4000-8000-000000000001', 'email', now(), 'pending'),
    ('0a0a0a0a-0000-4000-8000-000000000005', '0a0a0a0a-0000-4000-8000-000000000001', 'email', now(), 'sending'),
    ('0a0a0a0a-0000-4000-8000-000000000006', '0a0a0a0a-0000-4000-8000-000000000001', 'email', now(), 'sent'),
    ('0a0a0a0a-0000-4000-8000-000000000007', '0a0a0a0a-0000-4000-8000-000000000002', 'email', now(), 'pending');
select is(test.try('owner', 'delete from public.workspaces where name = ''one'''), '1', 'owner deletes a workspace');
select is(string_agg(right(id::text, 1) || ' ' || status, ', ' order by id), '4 canceled, 5 sending, 6 sent, 7 pending', 'its pending mail is canceled, the record stays')
from public.scheduled_messages where user_id = test.id('owner');
select is(string_agg(right(id::text, 1), ' '), '7', 'without the workspace') from public.scheduled_messages where user_id = test.id('owner') and workspace_id is not null;
select is(string_agg(right(message_id::text, 1), ' '), '7', 'and nothing of it waits in the outbox')
from kith.outbox join public.scheduled_messages m on m.id = message_id where m.user_id = test.id('owner');

-- Sending.  A claim may take what other tests left due, and the rollback gives it back: only the cast's is looked at.
delete from public.scheduled_messages where user_id = test.id('owner');
update public.users set telegram_chat_id = 77 where id = test.id('owner');
create function test.claim(lease interval default '5 minutes') returns text language sql as $$
    select coalesce(string_agg(concat_ws(' ', right(id::text, 1), 'attempt', attempt, channel, email, telegram_chat_id), ', ' order by id), 'nothing')
    from kith.claim_messages(1000, lease) where user_id in (test.id('owner'), test.id('stranger'))
$$;
create function test.state() returns text language sql as $$
    select coalesce(string_agg(concat_ws(' ', right(id::text, 1), status, failure_reason, case when sent_at = now() then 'now' end), ', ' order by id), 'nothing')
    from public.scheduled_messages where user_id in (test.id('owner'), test.id('stranger'))
$$;
create function test.post(n integer, attempt integer) returns text language plpgsql as $$
declare
    delivery uuid;
begin
    select p.delivery_id into delivery from kith.post_message(('0a0a0a0a-0000-4000-8000-00000000000' || n)::uuid, attempt) p;
    return case when not found then 'not mine' else concat_ws(' by ', 'goes', (select recipient from public.email_delivery_log l where l.id = delivery)) end;
end
$$;
create function test.finish(n integer, attempt integer, outcome text, reason text default null, retry_at timestamptz default null) returns boolean language sql as $$
    select kith.finish_message(('0a0a0a0a-0000-4000-8000-00000000000' || n)::uuid, attempt, outcome, reason, case outcome when 'sent' then 'provider-' || n end, retry_at)
$$;
-- The worker died, or took too long.
create function test.let_claims_end() returns void language sql as $$
    update kith.outbox o set due_at = now() from public.scheduled_messages m where m.id = o.message_id and m.status = 'sending' and m.user_id = test.id('owner')
$$;
insert into public.scheduled_messages (id, user_id, channel, scheduled_for, subject) values
    ('0a0a0a0a-0000-4000-8000-000000000001', test.id('owner'), 'telegram', now() - interval '1 minute', null),
    ('0a0a0a0a-0000-4000-8000-000000000002', test.id('owner'), 'email', now(), 'Hello'),
    ('0a0a0a0a-0000-4000-8000-000000000003', test.id('owner'), 'email', now() + interval '1 second', null);
select is(test.claim(), '1 attempt 1 telegram owner@kith.test 77, 2 attempt 1 email owner@kith.test 77', 'what is due is claimed');
select is(test.claim(), 'nothing', 'once');
select is(test.state(), '1 sending, 2 sending, 3 pending', 'and is being sent');
select is(test.post(1, 1) || ', ' || test.post(2, 1), 'goes, goes by owner@kith.test', 'both go out');
select is(test.finish(1, 1, 'sent') and test.finish(2, 1, 'sent'), true, 'both went');
select is(test.state(), '1 sent now, 2 sent now, 3 pending', 'and are sent');
select is(test.claim(), 'nothing', 'for good');
select is(test.post(1, 1), 'not mine', 'what is sent does not go out again');
select is(test.finish(1, 1, 'failed', 'x'), false, 'or become anything else');
select is(test.rows('owner', 'select recipient, subject, provider, provider_message_id, status from public.email_delivery_log'),
    '[{"recipient": "owner@kith.test", "subject": "Hello", "provider": "resend", "provider_message_id": "provider-2", "status": "sent"}]', 'owner sees what became of the mail');
select is(test.rows('stranger', 'select id from public.email_delivery_log'), '[]', 'stranger does not');
select is(test.try('owner', 'update public.scheduled_messages set scheduled_for = now() where id = ''0a0a0a0a-0000-4000-8000-000000000003'''), '1', 'owner moves the third to this moment');
select is(test.claim(), '3 attempt 1 email owner@kith.test 77', 'it is due');
select is(test.finish(3, 1, 'pending', 'too many requests', now() + interval '1 hour'), true, 'it could not go out');
select is(test.state(), '1 sent now, 2 sent now, 3 pending too many requests', 'so it waits');
select is(test.claim(), 'nothing', 'for as long as the provider asks');
update kith.outbox set due_at = now() where message_id = '0a0a0a0a-0000-4000-8000-000000000003';
select is(test.claim(), '3 attempt 2 email owner@kith.test 77', 'and is tried again');
select is(test.finish(3, 2, 'failed', 'no such address'), true, 'it cannot go out');
select is(test.state(), '1 sent now, 2 sent now, 3 failed no such address', 'and says why');
select throws_ok('select test.finish(3, 2, ''lost'')', '22023', null, 'an unknown outcome is refused');

-- Claims that end.
delete from public.scheduled_messages where user_id = test.id('owner');
insert into public.scheduled_messages (id, user_id, channel, scheduled_for) values
    ('0a0a0a0a-0000-4000-8000-000000000001', test.id('owner'), 'telegram', now()), ('0a0a0a0a-0000-4000-8000-000000000002', test.id('owner'), 'telegram', now()),
    ('0a0a0a0a-0000-4000-8000-000000000003', test.id('owner'), 'email', now()), ('0a0a0a0a-0000-4000-8000-000000000004', test.id('owner'), 'email', now());
select test.claim() \g /dev/null
select is((select array_agg(content ->> 'text' || ': ' || subject) from kith.post_message('0a0a0a0a-0000-4000-8000-000000000003', 1, '{"text": "first"}', 'One')), '{first: One}', 'a message gets its words');
select test.post(n, 1) from unnest(array[2, 4]) n \g /dev/null
update kith.outbox set posted_at = now() - interval '1 day' where message_id = '0a0a0a0a-0000-4000-8000-000000000004';
create table test.deliveries as select * from public.email_delivery_log where scheduled_message_id = '0a0a0a0a-0000-4000-8000-000000000003';
select test.let_claims_end() \g /dev/null
select is(test.claim(), '1 attempt 2 telegram owner@kith.test 77, 3 attempt 2 email owner@kith.test 77', 'what did not go out, and mail within a day, goes to another worker');
select is(test.state(), '1 sending, 2 failed unknown, 3 sending, 4 failed unknown', 'the others might be sent twice, so they fail');
select is(test.post(1, 1), 'not mine', 'the first worker comes too late');
select is(test.finish(1, 1, 'sent'), false, 'and changes nothing');
select is(test.finish(2, 1, 'sent'), true, 'but what it knows to be sent is sent');
select is(test.finish(4, 1, 'failed', 'x'), false, 'and what is unknown stays so');
select is(test.post(1, 2) || ', ' || test.post(3, 2), 'goes, goes by owner@kith.test', 'the second worker sends');
select is((select array_agg(content ->> 'text' || ': ' || subject) from kith.post_message('0a0a0a0a-0000-4000-8000-000000000003', 2, '{"text": "second"}', 'Two')), '{first: One}', 'the mail in the words of the first');
select is(id, (select id from public.email_delivery_log where scheduled_message_id = '0a0a0a0a-0000-4000-8000-000000000003'), 'and under its key') from test.deliveries;
select is(test.finish(1, 2, 'sent') and test.finish(3, 2, 'sent'), true, 'both went');
select is(test.state(), '1 sent now, 2 sent now, 3 sent now, 4 failed unknown', 'and are sent');
select is((select count(*) from kith.outbox o join public.scheduled_messages m on m.id = o.message_id where m.user_id = test.id('owner')), 0::bigint, 'the outbox is empty');

-- News of a mail.
create function test.news(status text, at timestamptz default now()) returns text language plpgsql as $$
declare
    kept text;
begin
    update public.email_delivery_log l set status = news.status, status_updated_at = at where scheduled_message_id = '0a0a0a0a-0000-4000-8000-000000000003'
    returning l.status || case when l.status_updated_at = at then '' else ' before' end into kept;
    return kept;
end
$$;
select is(test.news(status), kept, format('%s: %s', status, kept)) from (values (1, 'delivered', 'delivered'), (2, 'sent', 'delivered'), (3, 'opened', 'opened'), (4, 'delayed', 'opened'),
    (5, 'bounced', 'bounced'), (6, 'clicked', 'bounced'), (7, 'complained', 'complained'), (8, 'failed', 'complained')) as n (i, status, kept) order by i;
select is(test.news('complained', now() - interval '1 minute'), 'complained before', 'older news of the same changes nothing');
select throws_ok('select test.news(''lost'')', '23514', null, 'an unknown status is refused');
select is(test.try('service', 'update public.email_delivery_log set status = ''sent'' where scheduled_message_id = ''0a0a0a0a-0000-4000-8000-000000000004'''), '1',
    'the service brings news too');
select is((select status_updated_at from public.email_delivery_log where scheduled_message_id = '0a0a0a0a-0000-4000-8000-000000000004'), now(), 'news without a time are of this moment');

-- One a day.
update public.users set timezone = 'Pacific/Auckland' where id = test.id('owner');
create function test.schedule(type text, at text, workspace uuid default null) returns text language sql as $$
    select case when kith.schedule_message(test.id('owner'), type, at::timestamptz, 'email', 'Hi', '{"text": "hi"}', workspace) is null then 'there is one' else 'scheduled' end
$$;
select is(test.schedule('digest', '2026-11-21 11:00+13'), 'scheduled', 'a message of the day');
select is(test.schedule('digest', '2026-11-21 23:59:59+13'), 'there is one', 'is one until midnight');
select is(test.schedule('digest', '2026-11-22 00:00+13'), 'scheduled', 'the next day has its own');
select is(test.schedule('digest', '2026-11-20 23:59:59+13'), 'scheduled', 'so has the day before');
select is(test.schedule('check_in', '2026-11-21 12:00+13'), 'scheduled', 'and so has another kind');
select is(test.schedule('digest', '2026-11-21 12:00+13', '0a0a0a0a-0000-4000-8000-000000000002'), 'scheduled', 'and a workspace');
select is(test.schedule('digest', '2026-11-21 13:00+13', '0a0a0a0a-0000-4000-8000-000000000002'), 'there is one', 'also one');
select is(test.try('owner', 'delete from public.scheduled_messages where message_type = ''check_in'''), '1', 'owner cancels one');
select is(test.schedule('check_in', '2026-11-21 14:00+13'), 'there is one', 'and it does not come back that day');
set local session_replication_role = replica;
update public.users set timezone = 'Gone/Zone' where id = test.id('owner');
set local session_replication_role = origin;
select is(test.schedule('digest', '2030-01-01 00:00+00'), 'scheduled', 'a zone that is gone is UTC');
select is(test.schedule('digest', '2030-01-01 23:59+00'), 'there is one', 'whose day is as long');
select throws_ok($$ select kith.schedule_message(test.id('stranger'), 'x', now(), 'email', workspace_id => '0a0a0a0a-0000-4000-8000-000000000002') $$, '42501', null, 'a workspace''s message is its owner''s');
select throws_ok($$ select kith.schedule_message(test.id('nobody'), 'x', now(), 'email') $$, '23503', null, 'and nobody''s is nowhere');

-- The end.
insert into public.scheduled_messages (user_id, workspace_id, channel, scheduled_for) values (test.id('owner'), '0a0a0a0a-0000-4000-8000-000000000002', 'email', now());
delete from auth.users where id = test.id('owner');
select is((select count(*) from public.scheduled_messages where user_id = test.id('owner')) + (select count(*) from kith.message_days where user_id = test.id('owner')), 0::bigint, 'a user goes, with all that was to be sent');

select is_empty($$
    select f, who
    from unnest(array[
        'kith.claim_messages(integer,interval,text[])', 'kith.post_message(uuid,integer,jsonb,text,text)',
        'kith.finish_message(uuid,integer,text,text,text,timestamptz)',
        'kith.schedule_message(uuid,text,timestamptz,text,text,jsonb,uuid,text)'
    ]::regprocedure[]) f, unnest(array['anon', 'authenticated', 'service_role', 'kith_api', 'kith_service', 'kith_webhooks']) who
    where has_function_privilege(who, f, 'execute')
$$, 'only the worker sends');

select finish();
rollback;
