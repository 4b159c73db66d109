-- Goal: everybody who signs up has a row, and nobody else's.
\ir ../lib/prelude.psql
select no_plan();

select is(test.rows('owner', 'select id, email, timezone from public.users'),
    '[{"id": "0a0a0a0a-0000-4000-8000-00000000000a", "email": "owner@kith.test", "timezone": "UTC"}]',
    'owner sees own row, made at sign-up');
select is(test.rows('nobody', 'select * from public.users'), '[]', 'nobody sees nothing');
select is(test.try('anon', 'select from public.users'), '42501', 'anon is refused');

update auth.users set email = 'new@kith.test' where id = test.id('owner');
select is(email, 'new@kith.test', 'a new address follows') from public.users where id = test.id('owner');
update auth.users set email = '' where id = test.id('owner');
select is(email, null, 'a guest has none') from public.users where id = test.id('owner');

-- A dump is loaded with triggers off; this one stays on.
set local session_replication_role = replica;
insert into auth.users (id, email) values (test.id('nobody'), 'loaded@kith.test');
set local session_replication_role = origin;
select is(email, 'loaded@kith.test', 'loading a dump makes rows too') from public.users where id = test.id('nobody');
select is(plan, 'free', 'and subscriptions') from public.subscriptions where user_id = test.id('nobody');

select is(test.rows('owner', $$ update public.users set display_name = 'Ana', preferences = '{"a": 1}' returning display_name $$),
    '[{"display_name": "Ana"}]', 'owner writes what is theirs');
select is(test.rows('owner', $$ insert into public.users (id, display_name) values (auth.uid(), 'Anna')
    on conflict (id) do update set display_name = excluded.display_name returning display_name $$),
    '[{"display_name": "Anna"}]', 'also by upsert');
select is(test.try('owner', 'update public.users set timezone = ''Europe/Vienna'''), '1', 'a zone is taken');
select is(test.try('owner', 'update public.users set timezone = ''Mars/Olympus'''), '23514', 'an unknown one is not');
select is(test.try('owner', format('update public.users set avatar_path = %L', test.id('owner') || '/me.png')), '1', 'own folder');
select is(test.try('owner', format('update public.users set avatar_path = %L', path)), '23514', 'not a path of one''s own: ' || path)
from unnest(array['me.png', test.id('stranger') || '/me.png', test.id('owner') || '/../x', test.id('owner')::text, '',
    test.id('owner') || '/', test.id('owner') || '//a', test.id('owner') || '/%2e%2e/a', test.id('owner') || '/..\a', test.id('owner') || E'/a\n']) as path;
select is(test.try('owner', 'delete from public.users'), '42501', 'a user does not delete the row alone');

update public.users set updated_at = '2000-01-01' where id = test.id('stranger');
select is(updated_at, now(), 'updated_at is the server''s') from public.users where id = test.id('stranger');

select finish();
rollback;
