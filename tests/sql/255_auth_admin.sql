-- Goal: the service makes, changes, lists and ends users, and what it makes
-- counts at once.  By supabase-js: tests/sdk/auth-admin.mjs.
\ir ../lib/prelude.psql
select no_plan();

create function test.link(n text) returns json language sql as
    $$ select json_build_object('token_hash', 'hash ' || n, 'code_hash', 'code ' || n, 'lifetime', 3600) $$;
create function test.links() returns json language sql as
    $$ select json_build_object('signup', test.link('signup'), 'other', test.link('other'), 'both', true) $$;
create function test.generate(type text, email text, new_email text default null) returns text language plpgsql as $$
declare
    made record;
begin
    made := kith.generate_link(type, email, new_email, 'hash', '{"data": {"a": 1}}', test.links());
    return made.verification_type || ' ' || (made.user_json ->> 'email') || ' ' || t.token_type || ' ' || t.token_hash
    from auth.one_time_tokens t where t.user_id = (made.user_json ->> 'id')::uuid;
end
$$;
create function test.user(email text) returns auth.users language sql as $$ select kith.find_user(email) $$;
create function test.refusal(statement text) returns text language plpgsql as $$
declare
    status text;
    code text;
    result text;
begin
    execute statement into result;
    return result;
exception when others then
    get stacked diagnostics status = returned_sqlstate, code = pg_exception_detail;
    return status || ' ' || code;
end
$$;

-- Creating.
select kith.admin_create_user('0d0d0d0d-0000-4000-8000-000000000001', 'ana@kith.test', 'hash',
    '{"email_confirm": true, "user_metadata": {"a": 1}, "app_metadata": {"plan": "gold"}, "role": "service_role"}', '3600') as ana \gset
select is(u.id || ' ' || u.encrypted_password || ' ' || u.role, '0d0d0d0d-0000-4000-8000-000000000001 hash service_role', 'a user as was asked')
from auth.users u where email = 'ana@kith.test';
select is((test.user('ana@kith.test')).email_confirmed_at, now(), 'confirmed');
select is((test.user('ana@kith.test')).banned_until, now() + interval '1 hour', 'banned');
select is(:'ana'::json -> 'app_metadata' ->> 'plan', 'gold', 'and so it is answered');
select is(email, 'ana@kith.test', 'and has a row in public') from public.users where id = '0d0d0d0d-0000-4000-8000-000000000001';
select is((kith.admin_create_user(null, 'ben@kith.test', null, '{}', null) ->> 'email_confirmed_at'), null, 'without a word nothing is confirmed');
select is((test.user('ben@kith.test')).encrypted_password, '', 'and there is no password');
select is(test.refusal($$ select kith.admin_create_user(null, 'ANA@kith.test', null, '{}', null) $$), 'PT422 email_exists', 'an address is taken once');
select is(test.refusal($$ select kith.admin_create_user('0d0d0d0d-0000-4000-8000-000000000001', 'x@kith.test', null, '{}', null) $$), 'PT422 user_already_exists', 'as is an id');
select is(test.refusal($$ select kith.admin_create_user(null, 'x@kith.test', null, '{"app_metadata": []}', null) $$), 'PT400 validation_failed', 'metadata is an object');

-- Changing.
select (test.user('ana@kith.test')).id as ana, (test.user('ben@kith.test')).id as ben \gset
insert into auth.sessions (id, user_id, created_at) values (gen_random_uuid(), :'ana', now());
select kith.admin_update_user(:'ana', null, null, '{"user_metadata": {"a": null, "b": 2}, "app_metadata": {"plan": null}}', null) \g /dev/null
select is(u.raw_user_meta_data || u.raw_app_meta_data - 'providers', '{"b": 2, "provider": "email"}', 'metadata is merged') from auth.users u where id = :'ana';
select is((test.user('ana@kith.test')).banned_until, now() + interval '1 hour', 'a ban stays');
select kith.admin_update_user(:'ana', null, null, '{}', 'none') \g /dev/null
select is((test.user('ana@kith.test')).banned_until, null, 'until it is lifted');
select is(count(*), 1::bigint, 'sessions stay') from auth.sessions where user_id = :'ana';
select kith.send_link(:'ana', 'recovery_token', 'ana@kith.test', test.link('pending')) \g /dev/null
select kith.admin_update_user(:'ana', null, 'new hash', '{}', null) \g /dev/null
select is(count(*), 0::bigint, 'but not with a new password') from auth.sessions where user_id = :'ana';
select is(count(*), 0::bigint, 'nor do pending links') from auth.one_time_tokens where user_id = :'ana';
select is(kith.admin_update_user(:'ben', 'ben.new@kith.test', null, '{}', null) ->> 'email_confirmed_at', null, 'another address is not confirmed by that');
select is(kith.admin_update_user(:'ben', 'ben.new@kith.test', null, '{"email_confirm": true}', null) ->> 'email_confirmed_at', kith.rfc3339(now()), 'unless it is said');
select is(test.refusal(format($$ select kith.admin_update_user(%L, 'ana@kith.test', null, '{}', null) $$, :'ben')), 'PT422 email_exists', 'a taken one cannot be had');
select is(test.refusal($$ select kith.admin_update_user(gen_random_uuid(), null, null, '{}', null) $$), 'PT404 user_not_found', 'nobody to change');
select is(test.refusal($$ select kith.admin_get_user(gen_random_uuid()) $$), 'PT404 user_not_found', 'nobody to read');

-- Listing.
update auth.users set created_at = now() + interval '1 hour' where id = :'ana';
update auth.users set raw_user_meta_data = '{"full_name": "Kith%Test_Name"}' where id in (:'ana', :'ben');
select is(total || ' ' || json_array_length(users), '2 2', 'users are found by name') from kith.admin_list_users(1, 50, 'kith%test_NAME');
select is(users -> 0 ->> 'id', :'ana', 'newest first') from kith.admin_list_users(1, 1, 'kith%test_NAME');
select is(users -> 0 ->> 'id', :'ben', 'page by page') from kith.admin_list_users(2, 1, 'kith%test_NAME');
select is(total || ' ' || users, '2 []', 'to the end') from kith.admin_list_users(3, 1, 'kith%test_NAME');
select is(total, 0::bigint, 'a filter has no wildcards') from kith.admin_list_users(1, 50, 'kith%name');
select is(total, (select count(*) from auth.users), 'without one there are all') from kith.admin_list_users(1, 1, null);

-- Inviting.
select is(kith.invite('carl@kith.test', '{"data": {"a": 1}}', test.link('invite')) -> 'user_metadata' ->> 'a', '1', 'somebody is invited');
select is((test.user('carl@kith.test')).invited_at, now(), 'which shows');
select is(kith.invite('carl@kith.test', '{"data": {"b": 2}}', test.link('again')) ->> 'user_metadata', '{"a": 1, "b": 2}', 'and may be again');
select is(string_agg(token_hash, ' '), 'hash again', 'by a newer link') from auth.one_time_tokens where relates_to = 'carl@kith.test';
select is(test.refusal($$ select kith.invite('ana@kith.test', '{}', test.link('x')) $$), 'PT422 email_exists', 'who is there is not invited');

-- Links.
select is(test.generate(type, email, new_email), result, 'a link: ' || type || ' for ' || email)
from (values
    (1, 'signup', 'dora@kith.test', null, 'signup dora@kith.test confirmation_token hash signup'),
    (2, 'signup', 'dora@kith.test', null, 'signup dora@kith.test confirmation_token hash signup'),
    (3, 'invite', 'eva@kith.test', null, 'invite eva@kith.test confirmation_token hash signup'),
    (4, 'magiclink', 'fay@kith.test', null, 'signup fay@kith.test confirmation_token hash signup'),
    (5, 'magiclink', 'ana@kith.test', null, 'magiclink ana@kith.test recovery_token hash other'),
    (6, 'recovery', 'ana@kith.test', null, 'recovery ana@kith.test recovery_token hash other')
) v (n, type, email, new_email, result) order by n;
select is(test.refusal(format('select test.generate(%L, %L, %L)', type, email, new_email)), result, 'no link: ' || type || ' for ' || email)
from (values
    ('signup', 'ana@kith.test', null, 'PT422 email_exists'), ('invite', 'ana@kith.test', null, 'PT422 email_exists'),
    ('recovery', 'nobody@kith.test', null, 'PT404 user_not_found'), ('email_change_new', 'nobody@kith.test', 'x@kith.test', 'PT404 user_not_found'),
    ('email_change_current', 'ana@kith.test', 'ben.new@kith.test', 'PT422 email_exists')
) v (type, email, new_email, result);
select kith.generate_link('email_change_new', 'ana@kith.test', 'ana.new@kith.test', null, '{}', test.links()) \g /dev/null
select is((kith.redeem(kith.take_link('hash other', '{email_change_token_new}'), null, '{}')).failure, 'other_address', 'half of a change');
select kith.generate_link('email_change_current', 'ana@kith.test', 'ana.new@kith.test', null, '{}', test.links()) \g /dev/null
select is((test.user('ana@kith.test')).email_change_confirm_status, 1::smallint, 'which a link for the other half leaves');
select is((kith.redeem(kith.take_link('hash other', '{email_change_token_current}'), null, '{"lifetime": 1}')).failure, null, 'the other half');
select is((test.user('ana.new@kith.test')).id, :'ana', 'makes it');

-- Deleting.
insert into public.conversations (id, user_id) values ('0a0a0a0a-0000-4000-8000-000000000001', :'ben');
select kith.send_link(:'ben', 'recovery_token', 'ben.new@kith.test', test.link('deleted')) \g /dev/null
insert into auth.sessions (id, user_id, created_at) values (gen_random_uuid(), :'ben', now());
insert into auth.flow_state (id, user_id, provider_type, authentication_method) values (gen_random_uuid(), :'ben', 'email', 'x');
select kith.admin_delete_user(:'ben', true) \g /dev/null
select is(coalesce(u.email, '') || u.encrypted_password || u.raw_user_meta_data || u.raw_app_meta_data, '{}{}', 'softly, nothing of them is left') from auth.users u where id = :'ben';
select is((select deleted_at from auth.users where id = :'ben'), now(), 'but that they were there');
select is((select count(*) from auth.sessions where user_id = :'ben') + (select count(*) from auth.identities where user_id = :'ben')
    + (select count(*) from auth.one_time_tokens where user_id = :'ben') + (select count(*) from auth.flow_state where user_id = :'ben'), 0::bigint, 'no way in is left');
select is(email, null, 'nor their address in public') from public.users where id = :'ben';
select is(count(*), 1::bigint, 'rows of theirs stay') from public.conversations where user_id = :'ben';
select kith.admin_delete_user(:'ben', false) \g /dev/null
select is((select count(*) from auth.users where id = :'ben') + (select count(*) from public.conversations where user_id = :'ben'), 0::bigint, 'otherwise nothing does');
select is(test.refusal(format('select kith.admin_delete_user(%L, %L)', :'ben', soft)), 'PT404 user_not_found', 'and there is nobody to delete')
from unnest('{t,f}'::bool[]) soft;

-- Nobody but the auth program.
select is_empty($$
    select p.oid::regprocedure, r.rolname from pg_proc p, pg_roles r
    where p.pronamespace = 'kith'::regnamespace and p.proname ~ '^admin_|^invite|^generate_link$'
        and r.rolname ~ '^(anon|authenticated|service_role|kith_(api|service|storage|webhooks|worker))$' and has_function_privilege(r.oid, p.oid, 'EXECUTE')
$$, 'no other login looks after users');

select finish();
rollback;
