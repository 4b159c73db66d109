-- Goal: a link token is told once, works once, for ten minutes, and links one account to one user.
\ir ../lib/prelude.psql
select no_plan();

create function test.token(who text) returns text language sql as $$
    select test.rows(who, 'select public.create_telegram_link_token() as token') -> 0 ->> 'token'
$$;
create function test.redeem(token text, telegram_id bigint) returns text language sql as $$
    select outcome || coalesce(' ' || (select who from unnest(array['owner', 'stranger']) who where test.id(who) = user_id), '')
    from kith.redeem_telegram_link_token(token, telegram_id, telegram_id + 1, 'name' || telegram_id)
$$;
create function test.link(who text) returns text language sql as $$
    select concat_ws(' ', telegram_user_id, telegram_chat_id, telegram_username, case when telegram_linked_at = now() then 'now' end)
    from public.users where id = test.id(who)
$$;

create table test.tokens as select 1 as n, test.token('owner') as token;
select ok(token ~ '^[A-Za-z0-9_-]{43}$', 'a token fits Telegram''s /start') from test.tokens;
select is(test.rows('owner', 'select token, expires_at - created_at as lives, used_at from public.telegram_link_tokens'),
    jsonb_build_array(jsonb_build_object('token', encode(sha256(convert_to(token, 'UTF8')), 'hex'), 'lives', '00:10:00', 'used_at', null)),
    'owner sees its digest, and that it lives ten minutes') from test.tokens;
select is(test.rows('stranger', 'select id from public.telegram_link_tokens'), '[]', 'stranger sees none');
select is(test.try('owner', change), '42501', 'refused: ' || change) from unnest(array[
    'insert into public.telegram_link_tokens (user_id, token) values (''0a0a0a0a-0000-4000-8000-00000000000a'', repeat(''0'', 64))',
    'update public.telegram_link_tokens set expires_at = now() + interval ''1 year''', 'delete from public.telegram_link_tokens']) as change;
select is(test.try(who, 'select public.create_telegram_link_token()'), '42501', who || ' gets no token') from unnest(array['anon', 'nobody', 'service']) as who;

insert into test.tokens select 2, test.token('owner');
select is((select count(distinct token) from test.tokens), 2::bigint, 'tokens differ');
select is((select count(*) from public.telegram_link_tokens where user_id = test.id('owner')), 1::bigint, 'a new one replaces the unused one');
select is(test.redeem(token, 5200000001), 'unknown', 'which is worth nothing then') from test.tokens where n = 1;
select is(test.redeem('', 5200000001), 'unknown', 'nor is an empty one');
select is(test.redeem((select t.token from public.telegram_link_tokens t where user_id = test.id('owner')), 5200000001), 'unknown', 'nor the digest');
select is(test.link('owner'), '', 'nothing is linked so far');

select is(test.redeem(token, 5200000001), 'linked owner', 'the new one links') from test.tokens where n = 2;
select is(test.link('owner'), '5200000001 5200000002 name5200000001 now', 'the account to the user');
select is(test.redeem(token, 5200000001), 'used owner', 'it works once') from test.tokens where n = 2;
select is(test.redeem(token, 5200000009), 'used owner', 'for anybody') from test.tokens where n = 2;
select is(test.link('owner'), '5200000001 5200000002 name5200000001 now', 'and the link stays');

insert into test.tokens select 3, test.token('owner');
select is((select count(*) from public.telegram_link_tokens where user_id = test.id('owner')), 2::bigint, 'the used one stays beside a new one');
update public.telegram_link_tokens set expires_at = now() where user_id = test.id('owner') and used_at is null;
select is(test.redeem(token, 5200000003), 'expired owner', 'after ten minutes it is expired') from test.tokens where n = 3;
select is(test.link('owner'), '5200000001 5200000002 name5200000001 now', 'and links nothing');

-- One account, one user.
insert into test.tokens select 4, test.token('stranger');
select is(test.redeem(token, 5200000001), 'linked stranger', 'a fresh token moves the account') from test.tokens where n = 4;
select is(test.link('stranger'), '5200000001 5200000002 name5200000001 now', 'to who made it');
select is(test.link('owner'), '', 'and from who had it');
insert into test.tokens select 5, test.token('stranger');
select is(test.redeem(token, 5200000005), 'linked stranger', 'a user links another account') from test.tokens where n = 5;
select is(test.link('stranger'), '5200000005 5200000006 name5200000005 now', 'in place of the first');
insert into test.tokens select 6, test.token('stranger');
select is(test.redeem(token, 5200000005), 'linked stranger', 'or the same one again') from test.tokens where n = 6;
select is(test.try('owner', 'update public.users set telegram_user_id = 1'), '42501', 'nobody links without a token');

delete from auth.users where id = test.id('stranger');
insert into test.tokens select 7, test.token('owner');
select is(test.redeem(token, 5200000005), 'linked owner', 'the account of a user who is gone is free') from test.tokens where n = 7;

select finish();
rollback;
