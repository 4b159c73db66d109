-- Goal: a one-time token does what it was made for, once, for whom it was mailed
-- to, and five wrong codes end it.  Over HTTP: tests/http/auth-links.t.
\ir ../lib/prelude.psql
select no_plan();

-- What the program would send; n tells links apart.
create function test.link(n text, more json default '{}') returns json language sql as $$
    select (jsonb_build_object('token_hash', 'hash ' || n, 'code_hash', 'code ' || n, 'lifetime', 3600,
        'mail', jsonb_build_object('template', n, 'to', 'x@kith.test', 'data', '{}'::jsonb)) || more::jsonb)::json
$$;
create function test.context() returns json language sql as
    $$ select '{"ip": "192.0.2.1", "user_agent": "test", "issuer": "i", "lifetime": 3600, "key": "k1.x"}'::json $$;
create function test.mails(n text) returns int language sql as
    $$ select count(*)::int from kith.jobs where kind = 'mail' and payload ->> 'template' = n $$;
create function test.tokens(who uuid) returns text language sql as $$
    select coalesce(string_agg(token_type || ' ' || token_hash || ' ' || failed_attempts, ', ' order by token_type), 'none')
    from auth.one_time_tokens where user_id = who
$$;
create function test.add(email text, confirmed boolean default true) returns uuid language sql as
    $$ select (kith.add_user(email, 'hash', confirmed, '{"provider": "email"}', '{"name": "N"}')).id $$;
-- The failure of signing in, or how it was done.
create function test.outcome(s kith.signed_in) returns text language sql as
    $$ select coalesce(s.failure, s.claims -> 'amr' -> 0 ->> 'method') $$;
create function test.code(address text, n text, types auth.one_time_token_type[]) returns text language sql as $$
    select test.outcome(kith.verify_code(address, types, array_fill('code ' || n, array[cardinality(types)]), test.context()))
$$;
create function test.follow(n text, types auth.one_time_token_type[], flow text default null) returns text language sql as
    $$ select test.outcome(kith.verify_link('hash ' || n, types, flow, test.context())) $$;
create function test.user(who uuid) returns auth.users language sql as $$ select u from auth.users u where u.id = who $$;
-- Its code as the SDKs know it, or what it returned.
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

-- Sending.
select test.add('ana@kith.test') as ana \gset
select kith.send_link(:'ana', 'recovery_token', 'ana@kith.test', test.link('one')) \g /dev/null
select is(test.tokens(:'ana'), 'recovery_token hash one 0', 'a token is kept');
select is(payload, '{"template": "one", "to": "x@kith.test", "data": {"Data": {"name": "N"}}}', 'and its mail queued, with what the user says of themselves')
from kith.jobs where payload ->> 'template' = 'one';
select is((test.user(:'ana')).recovery_sent_at, now(), 'the user shows when');
select kith.send_link(:'ana', 'recovery_token', 'ana@kith.test', test.link('two')) \g /dev/null
select kith.send_link(:'ana', 'reauthentication_token', 'ana@kith.test', test.link('three')) \g /dev/null
select is(test.tokens(:'ana'), 'reauthentication_token hash three 0, recovery_token hash two 0', 'a newer one of a kind takes the place of the older one');
select is(expires_at, now() + interval '1 hour', 'each for an hour') from auth.one_time_tokens where user_id = :'ana' limit 1;
select kith.send_link(:'ana', 'recovery_token', 'ana@kith.test', (test.link('silent')::jsonb - 'mail')::json) \g /dev/null
select is(test.mails('silent'), 0, 'a link that is shown is not mailed');

-- Codes.
select is(test.code('ana@kith.test', 'wrong', '{recovery_token}'), 'otp_expired', 'a wrong code');
select is(test.code('nobody@kith.test', 'silent', '{recovery_token}'), 'otp_expired', 'another address');
select is(test.code('ana@kith.test', 'silent', '{confirmation_token}'), 'otp_expired', 'another kind');
select is(test.tokens(:'ana'), 'reauthentication_token hash three 0, recovery_token hash silent 1', 'what was tried counts, and nothing else');
select is(test.code('ana@kith.test', 'wrong', '{confirmation_token,recovery_token}'), 'otp_expired', 'of two kinds') from generate_series(1, 3);
select is(test.code('ana@kith.test', 'silent', '{confirmation_token,recovery_token}'), 'otp', 'the right one after four wrong ones');
select is(test.code('ana@kith.test', 'silent', '{recovery_token}'), 'otp_expired', 'once');
select is(test.follow('silent', '{recovery_token}'), 'otp_expired', 'its link neither');
select kith.send_link(:'ana', 'recovery_token', 'ana@kith.test', test.link('five')) \g /dev/null
select is(test.code('ana@kith.test', 'wrong', '{recovery_token}'), 'otp_expired', 'wrong') from generate_series(1, 5);
select is(test.tokens(:'ana'), 'reauthentication_token hash three 0', 'five wrong codes end it');
select kith.send_link(:'ana', 'recovery_token', 'ana@kith.test', test.link('six')) \g /dev/null
select is(kith.is_link_open('hash six', '{recovery_token}'), true, 'a link is open');
select is(kith.is_link_open('hash six', '{confirmation_token}'), false, 'as what it is');
update auth.one_time_tokens set expires_at = now() where token_hash = 'hash six';
select is(kith.is_link_open('hash six', '{recovery_token}'), false, 'until it expires');
select is(test.follow('six', '{recovery_token}'), 'otp_expired', 'then it is worth nothing');
select is(test.code('ana@kith.test', 'six', '{recovery_token}'), 'otp_expired', 'nor its code');

-- Signing in.
select test.add('ben@kith.test', false) as ben \gset
select kith.send_link(:'ben', 'confirmation_token', 'ben@kith.test', test.link('ben')) \g /dev/null
select is(test.follow('ben', '{recovery_token}'), 'otp_expired', 'a link as another kind');
select is(test.follow('ben', '{confirmation_token}'), 'otp', 'a link signs in');
select is((test.user(:'ben')).email_confirmed_at, now(), 'and confirms the address');
select is(identity_data ->> 'email_verified', 'true', 'the identity says so') from auth.identities where user_id = :'ben';
select is(count(*), 1::bigint, 'there is a session') from auth.sessions where user_id = :'ben';
select kith.send_link(:'ben', 'recovery_token', 'ben@kith.test', test.link('banned')) \g /dev/null
update auth.users set banned_until = now() + interval '1 hour' where id = :'ben';
select is(test.follow('banned', '{recovery_token}'), 'user_banned', 'who is banned is not let in');
update auth.users set banned_until = null, deleted_at = now() where id = :'ben';
select kith.send_link(:'ben', 'recovery_token', 'ben@kith.test', test.link('gone')) \g /dev/null
select is(test.follow('gone', '{recovery_token}'), 'otp_expired', 'who is deleted neither');
update auth.users set deleted_at = null, email = 'ben.new@kith.test' where id = :'ben';
select kith.send_link(:'ben', 'recovery_token', 'ben@kith.test', test.link('moved')) \g /dev/null
select is(test.follow('moved', '{recovery_token}'), 'otp_expired', 'nor by an address that is theirs no more');

-- An app that waits (PKCE).
create function test.flow(method text) returns json language sql as
    $$ select json_build_object('flow', json_build_object('challenge', 'the challenge', 'method', method, 'authentication_method', 'recovery')) $$;
create function test.exchange(code text, verifier text, challenge text) returns text language sql as $$
    select test.refusal(format('select test.outcome(kith.exchange_code(%L, %L, %L, test.context()))', code, verifier, challenge))
$$;
select kith.send_link(:'ana', 'recovery_token', 'ana@kith.test', test.link('old flow', test.flow('s256'))) \g /dev/null
select kith.send_link(:'ana', 'recovery_token', 'ana@kith.test', test.link('flow', test.flow('s256'))) \g /dev/null
select is(count(*), 1::bigint, 'a newer link ends the flow of the older one') from auth.flow_state where user_id = :'ana';
select is(test.follow('flow', '{recovery_token}', 'a code'), 'fetch_by_code', 'the link ends with a code');
select is(count(*), 1::bigint, 'and no new session') from auth.sessions where user_id = :'ana';
select is(test.exchange('another code', 'verifier', 'the challenge'), 'PT404 flow_state_not_found', 'an unknown code');
select is(test.exchange('a code', 'the challenge', 'another'), 'PT400 bad_code_verifier', 'another verifier');
select is(test.exchange(null, 'verifier', 'the challenge'), 'PT404 flow_state_not_found', 'none');
update auth.flow_state set auth_code_issued_at = now() - interval '301 seconds' where auth_code = 'a code';
select is(test.exchange('a code', 'verifier', 'the challenge'), 'PT422 flow_state_expired', 'too late');
update auth.flow_state set auth_code_issued_at = now() - interval '299 seconds' where auth_code = 'a code';
select is(test.exchange('a code', 'verifier', 'the challenge'), 'recovery', 'the right one signs in, by what was asked for');
select is(test.exchange('a code', 'verifier', 'the challenge'), 'PT404 flow_state_not_found', 'once');
select kith.send_link(:'ana', 'recovery_token', 'ana@kith.test', test.link('plain', test.flow('plain'))) \g /dev/null
select is(test.follow('plain', '{recovery_token}', 'b code'), 'fetch_by_code', 'a plain challenge');
select is(test.exchange('b code', 'digest', 'the challenge'), 'PT400 bad_code_verifier', 'is no digest');
select is(test.exchange('b code', 'the challenge', 'digest'), 'recovery', 'but the verifier itself');
select kith.send_link(:'ana', 'recovery_token', 'ana@kith.test', test.link('typed', test.flow('s256'))) \g /dev/null
select is(test.code('ana@kith.test', 'typed', '{recovery_token}'), 'otp', 'a code that is typed in signs in there');
select is(count(*), 0::bigint, 'and ends the flow') from auth.flow_state where user_id = :'ana';
insert into auth.flow_state (id, user_id, provider_type, authentication_method, created_at)
select gen_random_uuid(), :'ana', 'email', 'forgotten', now() - interval '25 hours' from generate_series(1, 12);
select kith.begin_flow(gen_random_uuid(), :'ana', test.flow('s256') -> 'flow') from generate_series(1, 2) \g /dev/null
select is(count(*), 0::bigint, 'flows that nobody came back for are swept') from auth.flow_state where authentication_method = 'forgotten';

-- Asked for with an address.
select kith.send_recovery('nobody@kith.test', test.link('nobody')) \g /dev/null
select kith.resend_confirmation('nobody@kith.test', test.link('nobody')) \g /dev/null
select is(kith.send_code('nobody@kith.test', '{}', false, '{}'), false, 'nobody is there');
select is(test.mails('nobody'), 0, 'and gets no mail');
select kith.send_recovery('ANA@kith.test', test.link('recover')) \g /dev/null
select is(test.mails('recover'), 1, 'a user gets one, whatever the case');
select kith.resend_confirmation('ana@kith.test', test.link('resend')) \g /dev/null
select is(test.mails('resend'), 0, 'but none to confirm what is confirmed');
create function test.send_code(email text, n text) returns boolean language sql as $$
    select kith.send_code(email, '{"data": {"a": 1}}', true,
        json_build_object('confirmation', test.link(n || ' confirmation'), 'magic', test.link(n || ' magic')))
$$;
select is(test.send_code('ana@kith.test', 'ana'), true, 'a code for a user');
select is(test.mails('ana magic') || ' ' || test.mails('ana confirmation'), '1 0', 'is a magic link');
select is(test.send_code('new@kith.test', 'new'), true, 'a code for somebody new');
select is(test.mails('new magic') || ' ' || test.mails('new confirmation'), '0 1', 'confirms the address');
select is((kith.find_user('new@kith.test')).raw_user_meta_data, '{"a": 1}', 'of a user made for it');
select is((kith.find_user('new@kith.test')).confirmed_at, null, 'who is not confirmed yet');
select is(test.send_code('new@kith.test', 'again'), true, 'and once more');
select is(test.mails('again magic') || ' ' || test.mails('again confirmation'), '0 1', 'until they confirm it');
select kith.resend_confirmation('new@kith.test', test.link('resend')) \g /dev/null
select is(test.mails('resend'), 1, 'the mail is sent again');
select is(test.refusal($$ select kith.send_code('y@kith.test', '{"data": []}', true, '{}') $$), 'PT400 validation_failed', 'metadata is an object');
update auth.users set deleted_at = now() where email = 'new@kith.test';
select is(test.send_code('new@kith.test', 'deleted'), true, 'for one who is deleted it looks the same');
select kith.send_recovery('new@kith.test', test.link('deleted')) \g /dev/null
select is(test.mails('deleted') + test.mails('deleted magic') + test.mails('deleted confirmation'), 0, 'and nothing is sent');

-- Another address.
create function test.change(who uuid, email text, n text, both_sides boolean default true) returns void language sql as $$
    select kith.begin_email_change(u, change.email, case when both_sides
        then json_build_object('new', test.link(n || ' new'), 'current', test.link(n || ' current'))
        else json_build_object('new', test.link(n || ' new')) end)
    from auth.users u where u.id = who
$$;
create function test.address(who uuid) returns text language sql as
    $$ select concat_ws(' ', u.email, nullif(u.email_change, ''), u.email_change_confirm_status) from auth.users u where u.id = who $$;
\set both '{email_change_token_new,email_change_token_current}'
select test.add('eva@kith.test') as eva \gset
select test.change(:'eva', 'eva.new@kith.test', 'a') \g /dev/null
select is(test.address(:'eva'), 'eva@kith.test eva.new@kith.test 0', 'another address waits');
select is(kith.pending_email('eva@kith.test'), 'eva.new@kith.test', 'and is found by the old one');
select is(kith.pending_email('eva.new@kith.test'), null, 'not by itself');
select is(test.follow('a current', :'both'), 'other_address', 'the old address confirms');
select is(test.address(:'eva'), 'eva@kith.test eva.new@kith.test 1', 'which is half of it');
select kith.resend_email_change('eva@kith.test', 'eva.new@kith.test', json_build_object('new', test.link('r new'), 'current', test.link('r current'))) \g /dev/null
select is(test.tokens(:'eva'), 'email_change_token_new hash r new 0', 'again is asked only who has not answered');
select kith.resend_email_change('eva@kith.test', 'other@kith.test', json_build_object('new', test.link('s new'))) \g /dev/null
select is(test.tokens(:'eva'), 'email_change_token_new hash r new 0', 'about the address that waits');
select is(test.code('eva.new@kith.test', 'r new', :'both'), 'otp', 'then the new one');
select is(test.address(:'eva'), 'eva.new@kith.test 0', 'which is theirs now');
select is(email, 'eva.new@kith.test', 'also in public') from public.users where id = :'eva';
select is(identity_data ->> 'email', 'eva.new@kith.test', 'and of the identity') from auth.identities where user_id = :'eva';
select test.change(:'eva', 'eva.third@kith.test', 'b') \g /dev/null
select is(test.follow('b new', :'both'), 'other_address', 'the new address confirms');
select test.change(:'eva', 'eva.fourth@kith.test', 'c') \g /dev/null
select is(test.address(:'eva'), 'eva.new@kith.test eva.fourth@kith.test 0', 'asking for another begins anew');
select is(test.follow('b current', :'both'), 'otp_expired', 'and what was asked before is over');
select kith.send_link(:'eva', 'recovery_token', 'eva.new@kith.test', test.link('old')) \g /dev/null
select test.change(:'eva', 'eva.fifth@kith.test', 'd', false) \g /dev/null
select is(test.follow('d new', :'both'), 'otp', 'where the old address is not asked, the new one is enough');
select is(test.tokens(:'eva'), 'none', 'links to the old address end');
select is(test.refusal(format('select test.change(%L, %L, %L)', :'eva', 'ana@kith.test', 'e')), 'PT422 email_exists', 'one that is taken cannot be had');
select test.change(:'eva', 'taken@kith.test', 'f', false), test.add('taken@kith.test') \g /dev/null
select is(test.follow('f new', :'both'), 'email_exists', 'nor one that was taken meanwhile');
select is((test.user(:'eva')).email, 'eva.fifth@kith.test', 'everything stays');
select is(test.refusal(format('select kith.change_email(u, %L) from auth.users u where id = %L', 'ana@kith.test', :'eva')), 'PT422 email_exists', 'at once neither');
select is(kith.set_email(:'eva', 'EVA.fifth@kith.test', false), true, 'their own is theirs');
insert into auth.users (id, is_anonymous) values (test.id('nobody'), true);
select test.change(test.id('nobody'), 'guest@kith.test', 'g', false) \g /dev/null
select is(test.follow('g new', :'both'), 'otp', 'a guest confirms an address');
select is(u.email || ' ' || u.is_anonymous || ' ' || u.raw_app_meta_data, 'guest@kith.test false {"provider": "email", "providers": ["email"]}', 'and is one no more')
from auth.users u where id = test.id('nobody');

-- Reauthentication.
insert into auth.sessions (id, user_id, created_at) values
    ('0d0d0d0d-0000-4000-8000-000000000001', :'ana', now() - interval '23 hours'), ('0d0d0d0d-0000-4000-8000-000000000002', :'ana', now() - interval '25 hours');
select is(kith.own_email(:'ana', '0d0d0d0d-0000-4000-8000-000000000002'), 'ana@kith.test', 'the address to ask');
select kith.send_reauthentication(:'ana', '0d0d0d0d-0000-4000-8000-000000000002', 'ana@kith.test', test.link('nonce')) \g /dev/null
select is(kith.reauthenticate(session::uuid, address, code), result, 'reauthenticate: ' || what)
from (values
    ('0d0d0d0d-0000-4000-8000-000000000001', 'ana@kith.test', null, null, 'a young session needs no code'),
    ('0d0d0d0d-0000-4000-8000-000000000002', null, null, null, 'nobody to ask'),
    ('0d0d0d0d-0000-4000-8000-000000000002', 'ana@kith.test', null, 'reauthentication_needed', 'an old one does'),
    (null, 'ana@kith.test', null, 'reauthentication_needed', 'as does none'),
    ('0d0d0d0d-0000-4000-8000-000000000002', 'ana@kith.test', 'code wrong', 'reauthentication_not_valid', 'a wrong one'),
    ('0d0d0d0d-0000-4000-8000-000000000002', 'ana@kith.test', 'code nonce', null, 'the right one'),
    ('0d0d0d0d-0000-4000-8000-000000000002', 'ana@kith.test', 'code nonce', 'reauthentication_not_valid', 'only once')
) v (session, address, code, result, what);

-- Nobody but the auth program.
select is_empty($$
    select p.oid::regprocedure, r.rolname from pg_proc p, pg_roles r
    where p.pronamespace = 'kith'::regnamespace and p.proname in ('verify_code', 'verify_link', 'redeem', 'send_link', 'take_code', 'exchange_code', 'set_email')
        and r.rolname ~ '^(anon|authenticated|service_role|kith_(api|service|storage|webhooks|worker))$' and has_function_privilege(r.oid, p.oid, 'EXECUTE')
$$, 'no other login redeems anything');

select finish();
rollback;
