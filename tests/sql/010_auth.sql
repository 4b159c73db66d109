-- Goal: policies learn who asks, a session can be ended, and nobody reads auth.
\ir ../lib/prelude.psql
select no_plan();

create function test.claims(claims text, expression text) returns text language plpgsql as $$
declare
    result text;
begin
    perform set_config('request.jwt.claims', claims, true);
    execute 'set local role authenticated';
    execute 'select (' || expression || ')::text' into result;
    reset role;
    perform set_config('request.jwt.claims', '', true);
    return result;
end
$$;
select is(test.claims('', 'auth.uid()'), null, 'an empty setting is nobody');
select is(test.claims('{}', 'auth.uid()'), null, 'claims without sub are nobody');
select is(test.claims('{"sub": "0a0a0a0a-0000-4000-8000-00000000000a"}', 'auth.uid()'), test.id('owner')::text, 'sub is the user');
select is(test.claims('{"role": "authenticated"}', 'auth.role()'), 'authenticated', 'role is the role');
select is(test.claims('{"email": "a@b.c"}', 'auth.email()'), 'a@b.c', 'email is the address');
select is(test.claims('{"x": [1]}', 'auth.jwt() -> ''x'' ->> 0'), '1', 'jwt is all of it');
select is(test.claims('{}', 'current_setting(''request.jwt.claim.sub'', true)'), null, 'the old settings may be absent');
select is(count(*)::int, 4, 'the four functions can be inlined: no search_path pinned')
from pg_proc where pronamespace = 'auth'::regnamespace and proname in ('uid', 'role', 'email', 'jwt') and proconfig is null and provolatile = 's';

-- A dump of Supabase names every column.
select is(
    (select count(*)::int from information_schema.columns where table_schema = 'auth' and table_name = t.name), t.columns,
    'auth.' || t.name || ' has all columns')
from (values ('users', 35), ('identities', 9), ('sessions', 15), ('refresh_tokens', 9), ('mfa_amr_claims', 5), ('one_time_tokens', 10),
    ('flow_state', 17)) as t (name, columns);
select throws_ok($$ insert into auth.users (id, email) values (gen_random_uuid(), 'OWNER@kith.test') $$, '23505', null,
    'an address is taken in any case');
select lives_ok($$ insert into auth.users (id, email, is_sso_user) values (gen_random_uuid(), 'owner@kith.test', true) $$,
    'but not for single sign-on');
select is(test.try(who, 'select from ' || t), '42501', who || ' cannot read ' || t)
from unnest(array['anon', 'owner', 'service']) who,
    (select format('auth.%I', relname) t from pg_class where relnamespace = 'auth'::regnamespace and relkind = 'r') tables;
select is(has_table_privilege('kith_auth', t, 'select, insert, update, delete'), true, 'kith_auth works with ' || t)
from (select format('auth.%I', relname) t from pg_class where relnamespace = 'auth'::regnamespace and relkind = 'r') tables;

-- Sessions
insert into auth.sessions (id, user_id) values ('05050505-0000-4000-8000-000000000001', test.id('owner'));
create function test.session(session uuid, owner uuid) returns text language plpgsql as $$
begin
    set local role kith_api;
    perform kith.check_session(session, owner);
    reset role;
    return 'alive';
exception when others then
    return sqlstate || ' ' || sqlerrm;
end
$$;
select is(test.session('05050505-0000-4000-8000-000000000001', test.id('owner')), 'alive', 'a session lives');
select is(test.session(null, test.id('owner')), 'alive', 'no session, nothing to check');
select is(test.session('05050505-0000-4000-8000-000000000001', test.id('stranger')), 'PT401 session not found', 'it belongs to its user');
select is(test.session('05050505-0000-4000-8000-000000000001', null), 'PT401 session not found', 'and not to nobody');
select is(test.session(gen_random_uuid(), test.id('owner')), 'PT401 session not found', 'an unknown one is refused');
update auth.sessions set not_after = now() - interval '1 s' where user_id = test.id('owner');
select is(test.session('05050505-0000-4000-8000-000000000001', test.id('owner')), 'PT401 session not found', 'it ends at not_after');
update auth.sessions set not_after = now() + interval '1 h' where user_id = test.id('owner');
update auth.users set banned_until = now() + interval '1 h' where id = test.id('owner');
select is(test.session('05050505-0000-4000-8000-000000000001', test.id('owner')), 'PT401 session not found', 'a ban ends it');
update auth.users set banned_until = now() - interval '1 s', deleted_at = now() where id = test.id('owner');
select is(test.session('05050505-0000-4000-8000-000000000001', test.id('owner')), 'PT401 session not found', 'deletion ends it');
update auth.users set deleted_at = null where id = test.id('owner');
select is(test.session('05050505-0000-4000-8000-000000000001', test.id('owner')), 'alive', 'a ban that is over is over');
select is(test.try('owner', 'select kith.check_session(null, null)'), '42501', 'a user cannot ask about sessions');

select finish();
rollback;
