-- Goal: the worker keeps what it sends, is patient without giving up, sends the
-- mails that are due, and sweeps only what nobody can use any more.
\ir ../lib/prelude.psql
select no_plan();

create function test.job(key text) returns kith.jobs language sql as $$ select j from kith.jobs j where j.key = job.key $$;
create function test.claim() returns text language sql as $$
    select coalesce(string_agg(c.key || ' ' || c.attempts, ', ' order by c.id), 'nothing')
    from kith.claim_jobs('{test_a}', '5 minutes', 10) c
$$;
select kith.enqueue('test_a', '{"n": 1}', 'one') as one \gset

-- Keeping what is sent.
select is(kith.keep_job(:one, 1, '{}', '1 hour'), null, 'a job that nobody holds is not kept');
select is(test.claim(), 'one 1', 'claimed');
select is(kith.keep_job(:one, 2, '{}', '1 hour'), null, 'nor one of another attempt');
select is(kith.keep_job(:one, 1, '{"made": 1}', '1 hour'), true, 'who holds it may');
select is(to_jsonb(test.job('one')) -> 'payload', '{"made": 1}', 'the payload is what will be sent');
select is((test.job('one')).leased_until, now() + interval '1 hour', 'and the lease begins anew');
select throws_ok(format('select kith.keep_job(%s, 1, ''[]'', ''1 hour'')', :one), '23514', null, 'a payload is an object');

-- Patience.
select is(kith.postpone_job(:one, 2, 'x', '1 minute'), null, 'another attempt cannot put it back');
select is(kith.postpone_job(:one, 1, 'nobody there', '1 minute'), true, 'who holds it can');
select is(to_jsonb(test.job('one')) - '{id,created_at,run_at}'::text[],
    '{"kind": "test_a", "key": "one", "payload": {"made": 1}, "user_id": null, "status": "pending", "attempts": 1, "max_attempts": 6,
      "leased_until": null, "last_error": "nobody there", "finished_at": null}', 'the attempt does not count');
select is((test.job('one')).run_at, now() + interval '1 minute', 'and it comes back later');
select is(test.claim(), 'nothing', 'not before');
select is(kith.postpone_job(:one, 1, 'x', '1 minute'), null, 'once');
update kith.jobs set run_at = now() where id = :one;
select is(test.claim(), 'one 2', 'then again');
select is(kith.postpone_job(:one, 2, null, '-1 minute'), true, 'a time that has passed is now');
select is((test.job('one')).run_at, now(), 'and not before');
select is((test.job('one')).last_error, 'unknown', 'no reason is a reason too');
select is(test.claim(), 'one 3', 'at once');
do $$ begin for i in 3 .. 50 loop
    perform kith.postpone_job((test.job('one')).id, i, 'x', '0');
    perform test.claim();
end loop; end $$;
select is((test.job('one')).attempts || ' ' || (test.job('one')).status, '51 running', 'patience has no end');
select is(array(select kith.fail_job(:one, 51 + i, 'x', '0') || ' ' || test.claim() from generate_series(0, 4) i),
    '{"pending one 52","pending one 53","pending one 54","pending one 55","failed nothing"}', 'failures still have: five');

-- The next one.
select is(kith.next_job('{test_a}'), null, 'nothing waits');
select kith.enqueue('test_a', key => 'later', run_at => now() + interval '1 hour'), kith.enqueue('test_b', key => 'other') \g /dev/null
select ok(kith.next_job('{test_a}') between 3500 and 3600, 'a job waits for its time');
select ok(kith.next_job('{test_a,test_b}') <= 0, 'or for nothing');
select is(kith.next_job('{}'), null, 'what nobody can do is not waited for');
select count(*) from kith.claim_jobs('{test_b}', '1 minute', 1) \g /dev/null
select ok(kith.next_job('{test_b}') between 50 and 60, 'one in hand is waited for, until its lease ends');

-- Messages by channel.
create function test.message(channel text, at timestamptz) returns uuid language sql as $$
    insert into public.scheduled_messages (user_id, channel, scheduled_for) values (test.id('owner'), channel, at) returning id
$$;
select is(kith.next_message('{email}'), null, 'no mail waits');
select test.message('telegram', now() - interval '1 hour') as telegram, test.message('email', now() + interval '1 hour') as email \gset
select ok(kith.next_message('{email}') between 3500 and 3600, 'a mail waits');
select ok(kith.next_message('{email,telegram}') < 0, 'another channel waits for somebody else');
select is((select count(*) from kith.claim_messages(10, '1 minute', '{email}') where user_id = test.id('owner')), 0::bigint, 'who sends mail takes no other message');
update public.scheduled_messages set scheduled_for = now() where id = :'email';
select is((select array_agg(id) from kith.claim_messages(10, '1 minute', '{email}') where user_id = test.id('owner')), array[:'email']::uuid[], 'and takes mails that are due');
select is((select array_agg(id) from kith.claim_messages(10, '1 minute') where user_id = test.id('owner')), array[:'telegram']::uuid[], 'without a word all channels are meant');

-- Sweeping.
insert into kith.rate_limits (key, ends_at) values ('over', now() - interval '1 second'), ('on', now() + interval '1 minute');
insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to, expires_at) values
    (gen_random_uuid(), test.id('owner'), 'recovery_token', 'old', '', now() - interval '25 hours'),
    (gen_random_uuid(), test.id('owner'), 'confirmation_token', 'new', '', now() - interval '1 hour');
insert into auth.flow_state (id, provider_type, authentication_method, created_at) values
    (test.id('owner'), 'email', 'otp', now() - interval '25 hours'), (test.id('stranger'), 'email', 'otp', now());
insert into auth.sessions (id, user_id) values ('5e550000-0000-4000-8000-000000000001', test.id('owner'));
insert into auth.refresh_tokens (token, parent, revoked, updated_at, session_id) values
    ('sweep1', null, true, now() - interval '2 days', '5e550000-0000-4000-8000-000000000001'),
    ('sweep2', 'sweep1', true, now() - interval '2 days', '5e550000-0000-4000-8000-000000000001'),
    ('sweep3', 'sweep2', false, now() - interval '2 days', '5e550000-0000-4000-8000-000000000001'),
    ('sweep4', 'sweep3', true, now(), '5e550000-0000-4000-8000-000000000001');
update kith.jobs set finished_at = now() - interval '31 days' where key = 'one';
select ok(kith.sweep() >= 5, 'what is over is swept');
select is(array(select key from kith.rate_limits where key in ('over', 'on')), '{on}', 'limits that run stay');
select is(array(select token_hash from auth.one_time_tokens where token_hash in ('old', 'new')), '{new}', 'links of a day');
select is(array(select id from auth.flow_state where id in (test.id('owner'), test.id('stranger'))), array[test.id('stranger')], 'sign-ins that may go on');
select is(array(select token::text from auth.refresh_tokens where token like 'sweep%' order by 1), '{sweep2,sweep3,sweep4}', 'and tokens that are good for another');
select is((test.job('one')).id, null, 'a job that ended long ago is forgotten');
select is((test.job('later')).status, 'pending', 'one that waits never');
insert into kith.rate_limits (key, ends_at) select 'over ' || i, now() - interval '1 second' from generate_series(1, 5) i;
select kith.sweep(2) \g /dev/null
select is((select count(*) from kith.rate_limits where key like 'over %'), 3::bigint, 'some at a time');

select is_empty($$
    select f, who
    from unnest(array[
        'kith.keep_job(bigint,integer,jsonb,interval)', 'kith.postpone_job(bigint,integer,text,interval)', 'kith.next_job(text[])',
        'kith.next_message(text[])', 'kith.sweep(integer)'
    ]::regprocedure[]) f, unnest(array['anon', 'authenticated', 'service_role', 'kith_api', 'kith_service', 'kith_auth', 'kith_webhooks']) who
    where has_function_privilege(who, f, 'execute')
$$, 'all this is the worker''s alone');

select finish();
rollback;
