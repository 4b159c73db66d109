-- Goal: the password of an address is that of whoever proves it, as they chose it last.
\ir ../lib/prelude.psql
select no_plan();

create function test.link(hash text) returns json language sql as $$
    select json_build_object('token_hash', hash, 'code_hash', hash, 'lifetime', 3600,
        'mail', '{"template": "confirmation", "to": "x", "data": {}}'::json, 'notice', '{"template": "account_exists", "to": "x", "data": {}}'::json)
$$;
create function test.sign_up(hash text) returns jsonb language sql as $$
    select to_jsonb(kith.sign_up('ana@kith.test', hash, '{}', false, test.link('link of ' || hash), '{}'))
$$;
create function test.code(hash text) returns boolean language sql as $$
    select kith.send_code('ana@kith.test', '{}', true, json_build_object('confirmation', test.link(hash), 'magic', test.link(hash)))
$$;
create function test.password() returns text language sql as $$ select encrypted_password from auth.users where email = 'ana@kith.test' $$;
create function test.follow(hash text, type auth.one_time_token_type default 'confirmation_token') returns text language sql as $$
    select coalesce((kith.verify_link(hash, array[type], null, '{"lifetime": 3600}')).failure, 'in')
$$;

select is(test.sign_up('first') #>> '{user_json,email}', 'ana@kith.test', 'somebody signs up');
select is(test.sign_up('second') #>> '{user_json,email}', 'ana@kith.test', 'and again');
select is(test.password(), 'second', 'the newest password holds');
select is(test.follow('link of first'), 'otp_expired', 'the link of the other one does not');
select is(test.follow('link of second'), 'in', 'that of the newest does');
select is(test.sign_up('third') #> '{user_json,identities}', '[]', 'later nothing tells that the address is taken');
select is(test.password(), 'second', 'and nobody has another password');
select is(test.code('magic'), true, 'a code to sign in with');
select is(test.password(), 'second', 'leaves it, too');
select is(kith.send_recovery('ana@kith.test', test.link('lost'))::text, '', 'so does one');
select is(test.password(), 'second', 'for who forgot it');

update auth.users set email_confirmed_at = null where email = 'ana@kith.test';
select is(test.code('code'), true, 'of an address that nobody proved');
select is(test.password(), '', 'a code takes the password away');
select is(test.follow('code'), 'in', 'and signs in without');
update auth.users set email_confirmed_at = null, encrypted_password = 'stranger' where email = 'ana@kith.test';
select is(kith.send_recovery('ana@kith.test', test.link('again'))::text, '', 'a link for who forgot it');
update auth.users set encrypted_password = 'later' where email = 'ana@kith.test';
select is(test.follow('again', 'recovery_token'), 'in', 'signs in');
select is(test.password(), '', 'and takes it away as well, whenever it came');
update auth.users set email_confirmed_at = null, encrypted_password = 'stranger' where email = 'ana@kith.test';
select is(kith.resend_confirmation('ana@kith.test', test.link('resent'))::text, '', 'the same mail once more');
select is(test.password(), 'stranger', 'does not');

create table test.sessions as
    select method, (kith.start_session((kith.find_user('ana@kith.test')).id, method, '{}')).session_id as id from unnest(array['password', 'otp']) method;
select is(kith.signed_in_by_password(s.id), s.method = 'password', 'a session by ' || s.method) from test.sessions s;

select * from finish();
rollback;
