-- Goal: a session goes on for whoever holds its newest refresh token, and ends
-- for whoever holds an old one; what one is refused is the same for all.
-- Many at once are in tests/http/auth.t.
\ir ../lib/prelude.psql
select no_plan();

\set context '''{"issuer": "https://k.test/auth/v1", "lifetime": 3600, "ip": "203.0.113.9", "user_agent": "test", "key": "k1.test"}'''

-- What a call is refused with: status and code, or null.
create function test.refused(statement text) returns text language plpgsql as $$
declare
    code text;
begin
    execute statement;
    return null;
exception when others then
    get stacked diagnostics code = pg_exception_detail;
    return concat_ws(' ', sqlstate, nullif(code, ''));
end
$$;
create function test.user_of(email text) returns auth.users language sql as $$ select u from auth.users u where lower(u.email) = lower(user_of.email) $$;
create function test.session_of(email text) returns auth.sessions language sql as $$
    select s from auth.sessions s where s.user_id = (test.user_of(email)).id order by s.created_at desc limit 1
$$;

-- Limits.
select is(array(select kith.hit('{a 1,b 1}', '{2,5}', '{60,600}') from generate_series(1, 4)), '{0,0,60,60}', 'above the maximum the wait is told');
select is(kith.hit('{b 1}', '{5}', '{600}'), 0, 'each key has its own window');
select is(kith.hit('{b 1,a 1}', '{3,2}', '{600,60}'), 600, 'of several waits the longest counts');
select is((select hits from kith.rate_limits where key = 'b 1'), 6, 'and all are counted, whatever comes of it');
select is(kith.limited('{a 1}', '{100}'), 0, 'below the maximum nothing is limited');
select is(kith.limited('{a 1,none}', '{5,1}'), 60, 'at the maximum the next try is');
select is((select hits from kith.rate_limits where key = 'a 1'), 5, 'looking counts nothing');
update kith.rate_limits set ends_at = now() - interval '1 second' where key = 'a 1';
select is(kith.limited('{a 1}', '{1}'), 0, 'a window that is over limits nothing');
select is(kith.hit('{a 1}', '{1}', '{60}'), 0, 'and a new one begins');
select is((select hits || ' ' || (ends_at - now()) from kith.rate_limits where key = 'a 1'), '1 00:01:00', 'with one');
insert into kith.rate_limits select 'old ' || n, 1, now() - interval '1 hour' from generate_series(1, 12) n;
select kith.hit('{c 1}', '{1}', '{60}') \g /dev/null
select is((select count(*)::int from kith.rate_limits where key like 'old %'), 2, 'who counts sweeps ten');

-- Forms.
select is(kith.rfc3339('2026-02-03 04:05:06.7+02'), '2026-02-03T02:05:06.700000Z', 'times are RFC 3339 in UTC');
select is(kith.rfc3339(null), null, 'no time is none');
select is(kith.without_nulls('{"a": null, "b": {"c": null}, "d": 1}')::jsonb, '{"b": {"c": null}, "d": 1}', 'only outer nulls go');
select is(test.refused($$ select kith.refuse(418, 'no_tea', 'Only coffee') $$), 'PT418 no_tea', 'a refusal brings status and code');

-- Metadata.
select is(kith.merge_metadata('{"a": 1, "b": 2, "z": null}', '{"b": null, "c": {"d": null}}'), '{"a": 1, "z": null, "c": {"d": null}}',
    'members are merged, null removes one');
select is(kith.merge_metadata(null, '{}'), '{}', 'out of nothing comes an empty object');
select is(kith.merge_metadata('{"a": 1}', '{"a": null}'), '{}', 'as when the last one goes');
select is(test.refused($$ select kith.merge_metadata('{}', '[]') $$), 'PT400 validation_failed', 'it is an object');
select is(test.refused($$ select kith.merge_metadata('{}', jsonb_build_object('a', repeat('x', 16384))) $$), 'PT400 validation_failed', 'of 16 KiB at most');

-- Signing up.
select is((kith.sign_up('ana@kith.test', '$2b$hash', '{"data": {"n": 1}}', true, null, :context)).failure, null, 'a new user');
select is((select concat_ws(' ', u.aud, u.role, u.encrypted_password, u.raw_app_meta_data ->> 'provider', u.raw_user_meta_data ->> 'n', u.is_anonymous, u.instance_id)
    from test.user_of('ana@kith.test') u), 'authenticated authenticated $2b$hash email 1 f 00000000-0000-0000-0000-000000000000', 'is as a dump of Supabase has them');
select isnt((test.user_of('ana@kith.test')).confirmed_at, null, 'and confirmed');
select is((select concat_ws(' ', i.provider, i.provider_id = i.user_id::text, i.email, i.identity_data ->> 'email_verified') from auth.identities i
    where i.user_id = (test.user_of('ana@kith.test')).id), 'email t ana@kith.test true', 'with an identity');
select is((select concat_ws(' ', s.aal, s.user_agent, host(s.ip), s.refresh_token_hmac_key, s.refresh_token_counter, s.refreshed_at = now() at time zone 'UTC')
    from test.session_of('ana@kith.test') s), 'aal1 test 203.0.113.9 k1.test 0 t', 'and a session');
select is((select count(*)::int from public.users where email = 'ana@kith.test'), 1, 'and an account');
select is(test.refused(format($$ select kith.sign_up('ana@kith.test', 'x', '{}', true, null, %L) $$, :context)), 'PT422 user_already_exists', 'an address is taken once');
update auth.users set email = 'Ana@Kith.Test' where email = 'ana@kith.test';
select is(test.refused(format($$ select kith.sign_up('ana@kith.test', 'x', '{}', true, null, %L) $$, :context)), 'PT422 user_already_exists', 'in whatever letters');
update auth.users set email = 'ana@kith.test' where email = 'Ana@Kith.Test';
select is(kith.sign_up('', '', '{"data": null}', true, null, :context) is null, false, 'data may be null');
select is(test.refused(format($$ select kith.sign_up('b@kith.test', 'x', '{"data": 1}', true, null, %L) $$, :context)), 'PT400 validation_failed', 'but not a number');

-- Signing up where an address has to be proved.
create function test.link(hash text) returns json language sql as $$
    select json_build_object('token_hash', hash, 'code_hash', 'c ' || hash, 'lifetime', 3600,
        'mail', json_build_object('template', 'confirmation', 'to', 'x', 'data', json_build_object('Token', '1')),
        'notice', json_build_object('template', 'account_exists', 'to', 'x', 'data', json_build_object()))
$$;
create function test.sign_up(email text, data text, hash text) returns jsonb language sql as $$
    select to_jsonb(kith.sign_up(email, 'hash', jsonb_build_object('data', data::jsonb), false, test.link(hash), '{}'))
$$;
create table test.answers as
select 'new' as what, test.sign_up('ben@kith.test', '{"n": 1}', 'one') as answer
union all select 'again', test.sign_up('ben@kith.test', '{"n": 2}', 'two')
union all select 'taken', test.sign_up('ana@kith.test', '{"n": 3}', 'three');
select is_empty($$ select what from test.answers where answer ->> 'session_id' is not null or answer ->> 'claims' is not null or answer ->> 'key' is not null $$,
    'no session yet');
select set_eq($$ select concat_ws(' ', what, answer #>> '{user_json,email}', answer #>> '{user_json,user_metadata,n}', answer #>> '{user_json,email_confirmed_at}',
    jsonb_array_length(answer #> '{user_json,identities}')) from test.answers $$,
    array['new ben@kith.test 1 1', 'again ben@kith.test 2 1', 'taken ana@kith.test 3 0'],
    'who is answered looks the same, and is told of what they sent only');
select is_empty($$ select key from test.answers a, jsonb_object_keys(a.answer -> 'user_json') key where what = 'taken'
    except select key from test.answers a, jsonb_object_keys(a.answer -> 'user_json') key where what = 'new' $$, 'whoever is made up has the members of a real one');
select isnt((select answer #>> '{user_json,id}' from test.answers where what = 'taken'), (test.user_of('ana@kith.test')).id::text, 'but not the id');
select is((test.user_of('ben@kith.test')).raw_user_meta_data, '{"n": 1}', 'what a second one says of the first changes nothing');
select set_eq($$ select payload ->> 'template' from kith.jobs where user_id = (test.user_of('ana@kith.test')).id $$, array['account_exists'],
    'whoever has the address is told');
select is((select string_agg(token_hash, ' ') from auth.one_time_tokens where user_id = (test.user_of('ben@kith.test')).id), 'two', 'the newest mail counts');

-- Guests.
select is((kith.sign_up_guest('{"data": {"theme": "dark"}}', :context)).user_json::jsonb - '{id,created_at,updated_at,last_sign_in_at}'::text[],
    '{"aud": "authenticated", "role": "authenticated", "email": "", "phone": "", "app_metadata": {}, "user_metadata": {"theme": "dark"}, "identities": [], "is_anonymous": true}',
    'a guest has nothing but what they brought');

-- Passwords.
select is((select user_id || ' ' || hash from kith.password_of('ANA@kith.test')), (test.user_of('ana@kith.test')).id || ' $2b$hash', 'a hash is found by the address');
select is((select count(user_id)::int from kith.password_of('nobody@kith.test')), 0, 'or is not');
select is((select hash from kith.password_of('owner@kith.test')), null, 'a user may have none');
create function test.sign_in(email text, old text, new text default null) returns text language sql as $$
    select coalesce(test.refused(format('select kith.sign_in(%L, %L, %L, %L)', (test.user_of(email)).id, old, new, '{"key": "k1.x"}')), 'fine')
$$;
select is(test.sign_in('ana@kith.test', '$2b$hash'), 'fine', 'who has the password is signed in');
select is(test.sign_in('ana@kith.test', '$2b$hash', '$2b$newer'), 'fine', 'a hash may be renewed by the way');
select is((test.user_of('ana@kith.test')).encrypted_password, '$2b$newer', 'it is');
select is(test.sign_in('ana@kith.test', '$2b$hash'), 'PT400 invalid_credentials', 'a password that was changed meanwhile is wrong');
select is(test.sign_in('ben@kith.test', 'hash'), 'PT400 email_not_confirmed', 'an address has to be proved');
update auth.users set banned_until = now() + interval '1 hour' where email = 'ana@kith.test';
select is(test.sign_in('ana@kith.test', '$2b$newer'), 'PT400 user_banned', 'who is banned is told so');
update auth.users set banned_until = now() - interval '1 hour' where email = 'ana@kith.test';
select is(test.sign_in('ana@kith.test', '$2b$newer'), 'fine', 'until the ban is over');
update auth.users set deleted_at = now() where email = 'ana@kith.test';
select is(test.sign_in('ana@kith.test', '$2b$newer'), 'PT400 invalid_credentials', 'who is deleted is nobody');
select is((select user_id from kith.password_of('ana@kith.test')), null, 'and has no hash');
update auth.users set deleted_at = null where email = 'ana@kith.test';

-- Claims.
select is((kith.access_claims(test.session_of('ana@kith.test'), test.user_of('ana@kith.test'), :context))::jsonb - '{sub,exp,iat,session_id}'::text[],
    jsonb_build_object('iss', 'https://k.test/auth/v1', 'aud', 'authenticated', 'email', 'ana@kith.test', 'phone', '', 'role', 'authenticated', 'aal', 'aal1',
        'app_metadata', '{"provider": "email", "providers": ["email"]}'::jsonb, 'user_metadata', '{"n": 1}'::jsonb, 'is_anonymous', false,
        'amr', jsonb_build_array(jsonb_build_object('method', 'password', 'timestamp', floor(extract(epoch from now()))::bigint))),
    'an access token says who, and how they signed in');
select is((c ->> 'exp')::bigint - (c ->> 'iat')::bigint, 3600::bigint, 'and for how long')
from kith.access_claims(test.session_of('ana@kith.test'), test.user_of('ana@kith.test'), :context) c;
update auth.users set raw_user_meta_data = jsonb_build_object('a', repeat('x', 3000)) where email = 'ana@kith.test';
select is((kith.access_claims(test.session_of('ana@kith.test'), test.user_of('ana@kith.test'), :context)) ->> 'user_metadata', '{}', 'large metadata stays out of it');
update auth.users set raw_user_meta_data = null, raw_app_meta_data = null, aud = null, role = null, is_sso_user = false where email = 'ana@kith.test';
select is((kith.access_claims(test.session_of('ana@kith.test'), test.user_of('ana@kith.test'), :context))::jsonb - '{iss,sub,exp,iat,amr,session_id}'::text[],
    '{"aud": "authenticated", "email": "ana@kith.test", "phone": "", "role": "authenticated", "aal": "aal1", "app_metadata": {}, "user_metadata": {}, "is_anonymous": false}',
    'a row of an import may hold nulls');
select is(kith.user_json(test.user_of('ana@kith.test'))::jsonb ?& '{id,aud,role,email,phone,app_metadata,user_metadata,identities,created_at,updated_at,is_anonymous}', true,
    'a user has all members that are always there');
select is_empty($$ select k from json_object_keys(kith.user_json(test.user_of('ana@kith.test'))) k where k ~ 'password|token|hash|instance|sso' $$, 'and none that is secret');

-- Refreshing: presented counter, stored counter, when it was last refreshed.
create table test.session as select (test.session_of('ana@kith.test')).id;
create function test.refresh(stored bigint, presented bigint, ago interval) returns text language plpgsql as $$
declare
    session_id uuid := (select id from test.session);
    answer kith.signed_in;
    left_over bigint;
begin
    update auth.sessions set refresh_token_counter = stored, refreshed_at = now() at time zone 'UTC' - ago where id = session_id;
    answer := kith.refresh(session_id, presented, '{"ip": "203.0.113.10", "user_agent": "other"}');
    left_over := (select coalesce(refresh_token_counter, 0) from auth.sessions where id = session_id);
    return concat_ws(' ', coalesce(answer.failure, answer.counter::text), '/', coalesce(left_over::text, 'gone'));
end
$$;
select is(test.refresh(5, 5, '1 hour'), '6 / 6', 'the newest token: the next one');
select is((select concat_ws(' ', host(ip), user_agent, refreshed_at = now() at time zone 'UTC') from auth.sessions where id = (select id from test.session)),
    '203.0.113.10 other t', 'and the session knows when and where');
select is(test.refresh(0, 0, '1 year'), '1 / 1', 'also the first one, a year later');
select is(test.refresh(null, 0, '1 hour'), '1 / 1', 'also of an import that never counted');
select is(test.refresh(5, 4, '1 second'), '5 / 5', 'the one before: the newest again, for the answer was lost');
select is(test.refresh(5, 4, '1 year'), '5 / 5', 'at any time');
select is((select refreshed_at from auth.sessions where id = (select id from test.session)), now() at time zone 'UTC' - interval '1 year', 'which is no refresh');
select is(test.refresh(5, 3, '9 seconds'), '5 / 5', 'an older one, a moment after a refresh: other tabs');
select is(test.refresh(5, 0, '0'), '5 / 5', 'however old');
select is(test.refresh(5, 6, '1 hour'), 'validation_failed / 5', 'one from the future is none of ours');
savepoint thief;
select is(test.refresh(5, 3, '11 seconds'), 'refresh_token_already_used / gone', 'an older one later: the session ends');
select is((kith.refresh((select id from test.session), 5, '{}')).failure, 'session_not_found', 'for everybody');
rollback to thief;
savepoint thief;
select is(test.refresh(5, 0, '1 year'), 'refresh_token_already_used / gone', 'however late');
rollback to thief;
update auth.sessions set not_after = now() where id = (select id from test.session);
select is(test.refresh(5, 5, '0'), 'session_expired / 5', 'a session may have an end');
update auth.sessions set not_after = now() + interval '1 minute' where id = (select id from test.session);
select is(test.refresh(5, 5, '0'), '6 / 6', 'until then it goes on');
update auth.users set banned_until = now() + interval '1 minute' where email = 'ana@kith.test';
select is(test.refresh(5, 5, '0'), 'user_banned / 5', 'not for who is banned');
select is(test.refresh(5, 1, '1 hour'), 'user_banned / 5', 'whose session is kept for when they come back');
update auth.users set banned_until = null, deleted_at = now() where email = 'ana@kith.test';
select is(test.refresh(5, 5, '0'), 'session_not_found / 5', 'nor for who is deleted');
update auth.users set deleted_at = null where email = 'ana@kith.test';
select is((kith.refresh(gen_random_uuid(), 0, '{}')).failure, 'session_not_found', 'a session that is none');
select is(kith.refresh_key(s.id), s.refresh_token_hmac_key, 'its key') from test.session join auth.sessions s using (id);
select is(kith.refresh_key(gen_random_uuid()), null, 'or no key');

-- Tokens of a server that was taken over: one session, one token after the other.
create function test.import(tokens text) returns void language plpgsql as $$
begin
    delete from auth.sessions where id = 'a0a0a0a0-0000-4000-8000-000000000001';
    insert into auth.sessions (id, user_id, created_at, updated_at, aal) values
        ('a0a0a0a0-0000-4000-8000-000000000001', (test.user_of('ana@kith.test')).id, now() - interval '1 month', now() - interval '1 day', 'aal1');
    -- "token parent revoked age", in the order of their making.
    insert into auth.refresh_tokens (token, user_id, parent, revoked, created_at, updated_at, session_id)
    select p[1], (test.user_of('ana@kith.test')).id::text, nullif(p[2], '-'), p[3]::boolean, now() - interval '1 month', now() - p[4]::interval,
        'a0a0a0a0-0000-4000-8000-000000000001'
    from regexp_split_to_table(tokens, ', ') t, regexp_split_to_array(t, ' ') p;
end
$$;
create function test.exchange(token text) returns text language sql as $$
    select coalesce(a.failure, a.counter || ' ' || a.key) from kith.refresh_imported(token, '{"key": "k1.new", "ip": "203.0.113.11"}') a
$$;
create function test.imported() returns text language sql as $$
    select coalesce((select refresh_token_hmac_key || ' ' || refresh_token_counter from auth.sessions where id = 'a0a0a0a0-0000-4000-8000-000000000001'), 'gone')
$$;
select test.import('aaaaaaaaaaaa - true 2d, bbbbbbbbbbbb aaaaaaaaaaaa true 1d, cccccccccccc bbbbbbbbbbbb false 1d') \g /dev/null
select is(test.exchange('cccccccccccc'), '0 k1.new', 'the active one is exchanged for one of ours');
select is((select count(*)::int from auth.refresh_tokens where session_id = 'a0a0a0a0-0000-4000-8000-000000000001' and not revoked), 0, 'and is used up');
select is(test.exchange('cccccccccccc'), '0 k1.new', 'a moment later it is answered alike: other tabs');
update auth.refresh_tokens set updated_at = now() - interval '1 day' where token = 'cccccccccccc';
update auth.sessions set updated_at = now() - interval '1 day' where id = 'a0a0a0a0-0000-4000-8000-000000000001';
select is(test.exchange('cccccccccccc'), '0 k1.new', 'or a day later, when nobody has used ours: the answer was lost');
select is((kith.refresh('a0a0a0a0-0000-4000-8000-000000000001', 0, '{}')).counter, 1::bigint, 'ours works');
select is(test.exchange('cccccccccccc'), 'refresh_token_already_used', 'then it is an old one');
select is(test.imported(), 'gone', 'which ends the session');
select test.import('aaaaaaaaaaaa - true 2d, bbbbbbbbbbbb aaaaaaaaaaaa true 1d, cccccccccccc bbbbbbbbbbbb false 1d') \g /dev/null
select is(test.exchange('bbbbbbbbbbbb'), '0 k1.new', 'the parent of the active one: the answer was lost');
select test.import('aaaaaaaaaaaa - true 2d, bbbbbbbbbbbb aaaaaaaaaaaa true 5s, cccccccccccc bbbbbbbbbbbb true 1d, dddddddddddd cccccccccccc false 1d') \g /dev/null
select is(test.exchange('bbbbbbbbbbbb'), '0 k1.new', 'one that was revoked a moment ago: other tabs');
select test.import('aaaaaaaaaaaa - true 2d, bbbbbbbbbbbb aaaaaaaaaaaa true 1d, cccccccccccc bbbbbbbbbbbb false 1d') \g /dev/null
select is(test.exchange('aaaaaaaaaaaa'), 'refresh_token_already_used', 'an older one: a thief');
select is(test.imported(), 'gone', 'the session ends');
select is((select count(*)::int from auth.refresh_tokens where token in ('aaaaaaaaaaaa', 'bbbbbbbbbbbb', 'cccccccccccc')), 0, 'with the whole family');
select is(test.exchange('cccccccccccc'), 'refresh_token_not_found', 'nobody is found');
select test.import('aaaaaaaaaaaa - false 1d') \g /dev/null
update auth.users set banned_until = now() + interval '1 minute' where email = 'ana@kith.test';
select is(test.exchange('aaaaaaaaaaaa'), 'user_banned', 'a banned user stays out');
update auth.users set banned_until = null where email = 'ana@kith.test';
update auth.refresh_tokens set session_id = null where token = 'aaaaaaaaaaaa';
select is(test.exchange('aaaaaaaaaaaa'), 'session_not_found', 'a token without session is none');

-- The user of a token.
create function test.current(email text, session_id uuid) returns text language sql as $$
    select coalesce(test.refused(format('select kith.get_user(%L, %L)', (test.user_of(email)).id, session_id)), 'fine')
$$;
select is(test.current('ana@kith.test', (select id from test.session)), 'fine', 'a session that lives');
select is(test.current('ana@kith.test', null), 'fine', 'a token without one');
select is(test.current('ben@kith.test', (select id from test.session)), 'PT403 session_not_found', 'a session of somebody else');
select is(test.current('ana@kith.test', gen_random_uuid()), 'PT403 session_not_found', 'a session that is over');
select is(test.refused(format('select kith.get_user(%L, null)', gen_random_uuid())), 'PT403 user_not_found', 'a user who is gone');
update auth.users set banned_until = now() + interval '1 minute' where email = 'ana@kith.test';
select is(test.current('ana@kith.test', (select id from test.session)), 'PT403 user_banned', 'one who is banned');
update auth.users set banned_until = null where email = 'ana@kith.test';

-- Changing.
select is(kith.own_password((test.user_of('ana@kith.test')).id, (select id from test.session)), '$2b$newer', 'the hash of one''s own password');
create function test.update(email text, body jsonb, new_email text, hash text) returns text language sql as $$
    select coalesce(test.refused(format('select kith.update_user(%L, %L, %L, %L, %L, true)', (test.user_of(email)).id,
        case when email = 'ana@kith.test' then (select id from test.session) end, body, new_email, hash)), 'fine')
$$;
select is(test.update('ana@kith.test', '{"data": {"a": 1}}', null, null), 'fine', 'metadata');
select is((test.user_of('ana@kith.test')).raw_user_meta_data, '{"a": 1}', 'are merged');
insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to) values (gen_random_uuid(), (test.user_of('ana@kith.test')).id, 'recovery_token', 'x', 'x');
select is((select count(*) > 1 from auth.sessions where user_id = (test.user_of('ana@kith.test')).id), true, 'there are several sessions, and a link');
select is(test.update('ana@kith.test', '{}', null, '$2b$third'), 'fine', 'a new password');
select is((select array_agg(id) from auth.sessions where user_id = (test.user_of('ana@kith.test')).id), array(select id from test.session), 'ends all the others');
select is((select count(*)::int from auth.one_time_tokens where user_id = (test.user_of('ana@kith.test')).id), 0, 'and every link');
select is(test.update('ana@kith.test', '{}', 'OWNER@kith.test', null), 'PT422 email_exists', 'an address of somebody else');
select is(test.update('ana@kith.test', '{}', 'ana@kith.test', null), 'fine', 'one''s own again');
select is(test.update('ana@kith.test', '{"data": {"x": 1}}', 'owner@kith.test', null), 'PT422 email_exists', 'what is refused in part');
select is((test.user_of('ana@kith.test')).raw_user_meta_data, '{"a": 1}', 'is refused whole');

-- Signing out.
create table test.sessions as
select test.sign_in('ana@kith.test', '$2b$third') from generate_series(1, 3);
select is((kith.start_session(test.id('owner'), 'otp', :context)).claims -> 'amr' -> 0 ->> 'method', 'otp', 'somebody else signs in, by a code');
create function test.sign_out(scope text) returns int language plpgsql as $$
begin
    perform kith.sign_out((test.user_of('ana@kith.test')).id, (select id from test.session), scope);
    return (select count(*) from auth.sessions where user_id = (test.user_of('ana@kith.test')).id);
end
$$;
select is((select count(*)::int from auth.sessions where user_id = (test.user_of('ana@kith.test')).id), 4, 'four sessions');
savepoint four;
select is(test.sign_out('local'), 3, 'this one');
select is(test.refused($$ select test.sign_out('global') $$), 'PT403 session_not_found', 'which then ends no others');
rollback to four;
select is(test.sign_out('others'), 1, 'the others');
rollback to four;
select is(test.sign_out('global'), 0, 'all');
rollback to four;
select is((select count(*)::int from auth.sessions where user_id <> (test.user_of('ana@kith.test')).id
    and user_id = test.id('owner')), 1, 'nobody else''s');

-- Who may call all this.
select is_empty($$ select p.oid::regprocedure, who from pg_proc p, unnest(array['anon', 'authenticated', 'service_role', 'kith_api', 'kith_service', 'kith_worker']) who
    where p.pronamespace = 'kith'::regnamespace and p.proname in ('sign_up', 'sign_in', 'start_session', 'refresh', 'refresh_imported', 'refresh_key', 'password_of',
        'own_password', 'set_password', 'update_user', 'sign_out', 'hit', 'limited', 'add_user', 'sign_up_guest', 'get_user', 'user_json')
    and has_function_privilege(who, p.oid, 'EXECUTE') $$, 'only the auth program');
select is_empty($$ select who from unnest(array['anon', 'authenticated', 'service_role', 'kith_api', 'kith_service', 'kith_worker']) who
    where has_table_privilege(who, 'kith.rate_limits', 'SELECT, INSERT, UPDATE, DELETE') $$, 'nobody else sees the limits');

select * from finish();
rollback;
