-- Goal: conversations are their owner's, and a day has one session.
\ir ../lib/prelude.psql
select no_plan();

select is(test.rows('owner', $$ insert into public.conversations (title) values ('Morning') returning user_id, status, channel, message_count $$),
    '[{"user_id": "0a0a0a0a-0000-4000-8000-00000000000a", "status": "active", "channel": "web", "message_count": 0}]',
    'a conversation is its maker''s');
select is(test.try('owner', $$ update public.conversations set status = 'over' $$), '23514', 'status is a known word');
select is(test.try('owner', $$ update public.conversations set initiated_by = 'me' $$), '23514', 'so is who began');
select is(test.try('owner', $$ update public.conversations set summary_count = -1 $$), '23514', 'the summary covers no fewer than none');
update public.conversations set updated_at = '2000-01-01' where user_id = test.id('owner');
select is(updated_at, now(), 'updated_at is the server''s') from public.conversations where user_id = test.id('owner');

-- Daily reuse
create function test.session(who text, arguments text default '') returns uuid language sql as $$
    select (test.rows(who, format('select * from public.get_or_create_chat_session(%s)', arguments)) -> 0 ->> 'id')::uuid
$$;
create table test.made as select test.session('owner') as id;
select is(test.session('owner'), id, 'the second call finds the first one''s session') from test.made;
select is(session_type, 'thinking_partner', 'its type is the document''s') from public.conversations join test.made using (id);
select is(test.session('owner', format('user_id => %L, scope => ''daily''', test.id('owner'))), id, 'with the document''s names too') from test.made;
select isnt(test.session('owner', 'scope => ''conversation'''), id, 'scope conversation makes a new one') from test.made;
select isnt(test.session('owner', 'session_type => ''other'''), id, 'another type is another session') from test.made;
select isnt(test.session('stranger'), id, 'stranger gets their own') from test.made;
delete from public.conversations where user_id = test.id('owner') and id not in (select id from test.made);
update public.conversations set status = 'completed' where user_id = test.id('owner');
select isnt(test.session('owner'), id, 'a completed one is not reused') from test.made;
delete from public.conversations where user_id = test.id('owner') and id not in (select id from test.made);
update public.conversations set status = 'active', started_at = date_trunc('day', now()) - interval '1 s' where user_id = test.id('owner');
select isnt(test.session('owner'), id, 'yesterday''s is not reused') from test.made;

-- The day is the user's: 10 hours before UTC and 14 after it are never the same date.
delete from public.conversations where user_id = test.id('owner') and id not in (select id from test.made);
update public.users set timezone = 'Etc/GMT+10' where id = test.id('owner');
update public.conversations set started_at = date_trunc('day', now() at time zone 'Etc/GMT+10') at time zone 'Etc/GMT+10' where user_id = test.id('owner');
select is(test.session('owner'), id, 'the first moment of the user''s day counts') from test.made;
update public.users set timezone = 'Etc/GMT-14' where id = test.id('owner');
update public.conversations set started_at = date_trunc('day', now() at time zone 'Etc/GMT-14') at time zone 'Etc/GMT-14' - interval '1 us' where user_id = test.id('owner');
select isnt(test.session('owner'), id, 'the last of the day before does not') from test.made;

-- Near midnight: a zone where the day is five seconds old, and one where it has
-- five seconds left.
create function test.at(zone text, started timestamptz) returns boolean language plpgsql as $$
begin
    delete from public.conversations where user_id = test.id('owner') and id not in (select id from test.made);
    update public.users set timezone = zone where id = test.id('owner');
    update public.conversations set started_at = started where user_id = test.id('owner');
    return test.session('owner') = (select id from test.made);
end
$$;
create function test.zone(clock interval) returns text language sql as $$
    select '<here>' || to_char((now() at time zone 'UTC')::time - clock, 'HH24:MI:SS')
$$;
select is(test.at(test.zone('00:00:05'), now() - interval '4 s'), true, 'after midnight: what began today is reused');
select is(test.at(test.zone('00:00:05'), now() - interval '7 s'), false, 'what began before midnight is not');
select is(test.at(test.zone('23:59:55'), now() - interval '23 hours 59 minutes'), true, 'before midnight: what began this morning is reused');
select is(test.at(test.zone('23:59:55'), now() - interval '23 hours 59 minutes 57 s'), false, 'what began yesterday is not');
select is(test.at(test.zone('23:59:55'), now() + interval '7 s'), false, 'nor what will begin tomorrow');
select is(test.at('Pacific/Auckland', date_trunc('day', now() at time zone 'Pacific/Auckland') at time zone 'Pacific/Auckland' - early), reused, 'Auckland''s day begins at its midnight, not ' || early || ' before')
from (values ('0 s'::interval, true), ('1 us', false)) as a (early, reused);

set local session_replication_role = replica;
update public.users set timezone = 'Gone/Zone' where id = test.id('owner');
set local session_replication_role = origin;
select isnt(test.session('owner'), null, 'a zone that is gone is UTC');

select is(test.try('stranger', format('select public.get_or_create_chat_session(%L)', test.id('owner'))), '42501', 'another user''s id is refused');
select is(test.try('owner', 'select public.get_or_create_chat_session(null)'), '42501', 'so is none');
select is(test.try('owner', 'select public.get_or_create_chat_session(project_id => gen_random_uuid())'), '42501', 'a project that is not one''s own is refused');
select is(test.try('owner', 'select public.get_or_create_chat_session(scope => ''weekly'')'), '22023', 'an unknown scope is refused');
select is(test.try('anon', 'select public.get_or_create_chat_session()'), '42501', 'anon is refused');
select is(test.try('service', format('select public.get_or_create_chat_session(%L)', test.id('owner'))), '1', 'the service opens anybody''s');

select finish();
rollback;
