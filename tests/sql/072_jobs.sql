-- Goal: a job is queued with its transaction, held by one worker at a time,
-- tried again with patience, and seen by nobody else.  A4
-- Workers at the same time are in concurrency.t.
\ir ../lib/prelude.psql
select no_plan();

-- The rows of a query as a login that became nobody, or its SQLSTATE.
create function test.as_login(login text, statement text) returns jsonb language plpgsql as $$
declare
    result jsonb;
begin
    execute format('set local session authorization %I', login);
    execute format('with q as (%s) select coalesce(jsonb_agg(to_jsonb(q)), ''[]'') from q', statement) into result;
    reset session authorization;
    return result;
exception when others then
    return to_jsonb(sqlstate);
end
$$;
create function test.job(key text) returns kith.jobs language sql as $$ select j from kith.jobs j where j.key = job.key $$;
create function test.claim(n int default 10) returns text language sql as $$
    select coalesce(string_agg(c.key || ' ' || c.attempts, ', ' order by c.id), 'nothing')
    from kith.claim_jobs(array['test_a', 'test_b'], '5 minutes', n) c
$$;
create function test.let_lease_run_out(key text) returns void language sql as $$
    update kith.jobs j set leased_until = now() - interval '1 second' where j.key = let_lease_run_out.key
$$;
create function test.make_due(key text) returns void language sql as $$
    update kith.jobs j set run_at = now() where j.key = make_due.key
$$;

-- Queueing.
select is(kith.enqueue('test_a', '{"n": 1}', 'one'), (test.job('one')).id, 'a job is queued');
select is(to_jsonb(test.job('one')) - '{id,created_at,run_at}'::text[],
    '{"kind": "test_a", "key": "one", "payload": {"n": 1}, "user_id": null, "status": "pending", "attempts": 0, "max_attempts": 5,
      "leased_until": null, "last_error": null, "finished_at": null}', 'as it was asked for');
select is(kith.enqueue('test_b', '{"n": 2}', 'one'), (test.job('one')).id, 'the same key is the same job');
select is((test.job('one')).payload, '{"n": 1}', 'which stays as it was');
select is((select count(*)::int from kith.jobs where key = 'one'), 1, 'and is there once');
select isnt(kith.enqueue('test_c'), kith.enqueue('test_c'), 'without a key each call is a job');
select is((select count(distinct key)::int from kith.jobs where kind = 'test_c' and key ~ '^[0-9a-f-]{36}$'), 2, 'with a key of its own');
select throws_ok($$ select kith.enqueue('Delete everything') $$, '23514', null, 'a kind is a word');
select throws_ok($$ select kith.enqueue('test_a', '[]') $$, '23514', null, 'a payload is an object');

-- Claiming.
select kith.enqueue('test_a', key => 'two'), kith.enqueue('test_b', key => 'three'), kith.enqueue('test_a', key => 'later', run_at => now() + interval '1 hour') \g /dev/null
update kith.jobs set run_at = now() - interval '1 minute' where key = 'three';
select is(test.claim(0), 'nothing', 'a worker that wants none gets none');
select is(test.claim(2), 'one 1, three 1', 'the longest due come first');
select is(test.claim(), 'two 1', 'what is held, or due later, is not claimed');
select is(test.claim(), 'nothing', 'and nothing twice');
select is((test.job('two')).leased_until, now() + interval '5 minutes', 'a claim is a lease');
select is((select count(*)::int from kith.claim_jobs('{}', '1 minute', 10)), 0, 'only kinds that the worker knows');
select throws_ok($$ select kith.claim_jobs('{test_a}', '0', 1) $$, '22023', null, 'a lease lasts');

-- Finishing.
select is(kith.finish_job((test.job('one')).id, 2), null, 'another attempt cannot finish it');
select is(kith.finish_job((test.job('one')).id, 1), true, 'the one that holds it can');
select is(to_jsonb(test.job('one')) - '{id,created_at,run_at}'::text[],
    jsonb_build_object('kind', 'test_a', 'key', 'one', 'payload', '{}'::jsonb, 'user_id', null, 'status', 'done', 'attempts', 1, 'max_attempts', 5,
        'leased_until', null, 'last_error', null, 'finished_at', now()), 'what is done is no longer known');
select is(kith.finish_job((test.job('one')).id, 1), null, 'once');
select is(kith.fail_job((test.job('one')).id, 1, 'late'), null, 'nor can it fail any more');
select is(kith.enqueue('test_a', '{"n": 1}', 'one'), (test.job('one')).id, 'its key still stands for it');
select is(test.claim(), 'nothing', 'so it is not done again');

-- A lease that ran out.
select test.let_lease_run_out('two') \g /dev/null
select is(test.claim(), 'two 2', 'an abandoned job is claimed by another');
select is(kith.finish_job((test.job('two')).id, 1), null, 'the first can no longer finish it');
select is(kith.fail_job((test.job('two')).id, 1, 'x'), null, 'nor fail it');
select test.let_lease_run_out('two') \g /dev/null
select is(kith.finish_job((test.job('two')).id, 2), true, 'late, but nobody took it: that counts');

-- Failing.
select is(kith.fail_job((test.job('three')).id, 1, '500 oops'), 'pending', 'a failed attempt is put back');
select is((test.job('three')).last_error, '500 oops', 'with the reason');
select ok((test.job('three')).run_at - now() between interval '0.4 s' and interval '0.6 s', 'for half a second, more or less');
select is(test.claim(), 'nothing', 'not before');
select test.make_due('three') \g /dev/null
select is(test.claim(), 'three 2', 'then it is the second attempt');
select is(kith.fail_job((test.job('three')).id, 2, '429', '10 minutes'), 'pending', 'a provider that says when');
select is((test.job('three')).run_at, now() + interval '10 minutes', 'is asked then');
select is(array(
    select case when a > 1 then test.make_due('three') end is null and test.claim() = 'three ' || a
        and kith.fail_job((test.job('three')).id, a, 'try ' || a) = case a when 5 then 'failed' else 'pending' end
    from generate_series(3, 5) a), '{t,t,t}', 'after the fifth it is given up');
select is((select status || ': ' || last_error from test.job('three')), 'failed: try 5', 'for a reason that is seen');
select isnt((test.job('three')).finished_at, null, 'at a time that is known');
select test.make_due('three') \g /dev/null
select is(test.claim(), 'nothing', 'and not tried again');
select kith.enqueue('test_a', key => 'hopeless') \g /dev/null
select is(test.claim(), 'hopeless 1', 'what cannot work');
select is(kith.fail_job((test.job('hopeless')).id, 1, '401', '1 minute', final => true), 'failed', 'is given up at once');

-- The delays: doubled, at most a minute, and never quite the same.
insert into kith.jobs (kind, key, status, attempts, max_attempts, leased_until)
select 'test_a', 'slow ' || a || ' ' || i, 'running', a, 100, now() from generate_series(1, 50) a, generate_series(1, 20) i;
select kith.fail_job(id, attempts, 'x') from kith.jobs where key like 'slow %' \g /dev/null
select is_empty($$ select key, run_at - now() from kith.jobs where key like 'slow %' and run_at - now()
    not between interval '0.8 s' * least(60, 0.5 * 2 ^ least(attempts - 1, 20)) and interval '1.2 s' * least(60, 0.5 * 2 ^ least(attempts - 1, 20)) $$,
    'delays double up to a minute');
select cmp_ok((select count(distinct run_at) from kith.jobs where key like 'slow %'), '>', 900::bigint, 'and differ');
select is((select count(*)::int from kith.jobs where key like 'slow %' and status <> 'pending'), 0, 'a job may be more patient');
delete from kith.jobs where key like 'slow %';

-- A job that ends each worker that takes it.
select kith.enqueue('test_a', key => 'poison', max_attempts => 2) \g /dev/null
select is(test.claim(), 'poison 1', 'first worker');
select test.let_lease_run_out('poison') \g /dev/null
select is(test.claim(), 'poison 2', 'second worker');
select test.let_lease_run_out('poison') \g /dev/null
select is(test.claim(), 'nothing', 'there is no third');
select is((select status || ': ' || last_error from test.job('poison')), 'failed: the lease of the last attempt ran out', 'and the reason is seen');

-- Sweeping.
update kith.jobs set finished_at = now() - interval '8 days' where key in ('one', 'three');
select is(kith.sweep_jobs('7 days'), 2::bigint, 'what ended long ago is forgotten');
select is((select string_agg(key, ' ' order by key) from kith.jobs where key in ('one', 'two', 'three', 'later', 'poison')), 'later poison two', 'and nothing else');

-- Nobody else.
select is(test.try(who, statement), '42501', who || ' cannot: ' || statement)
from unnest(array['anon', 'owner', 'service']) who, unnest(array['select from kith.jobs', $$ select kith.enqueue('test_a') $$,
    $$ select from kith.claim_jobs('{test_a}', '1 minute', 1) $$, 'select kith.finish_job(1, 1)', $$ select kith.fail_job(1, 1, '') $$,
    $$ select kith.delete_files(null, '{}') $$, $$ select kith.unused_files('{}') $$]) statement;
select is(test.as_login(login, statement), '"42501"', login || ' cannot: ' || statement)
from (values ('kith_api', 'select kith.enqueue(''test_a'')'), ('kith_service', 'select kith.enqueue(''test_a'')'), ('kith_auth', 'select from kith.claim_jobs(''{test_a}'', ''1 minute'', 1)'),
    ('kith_worker', 'select from kith.jobs'), ('kith_worker', 'select kith.delete_files(null, ''{}'')')) as v (login, statement);
select is(jsonb_typeof(test.as_login(login, $$ select kith.enqueue('test_a', key => 'by login') $$)), 'array', login || ' queues') from unnest(array['kith_auth', 'kith_storage', 'kith_worker']) login;
select is(test.as_login('kith_worker', $$ select c.key, c.attempts from kith.claim_jobs('{test_a}', '1 minute', 10) c $$), '[{"key": "by login", "attempts": 1}]', 'the worker claims');
select is(test.as_login('kith_worker', format('select kith.fail_job(%s, 1, ''x'', ''0'')', (test.job('by login')).id)), '[{"fail_job": "pending"}]', 'fails');
select is(test.as_login('kith_worker', $$ select c.key, c.attempts from kith.claim_jobs('{test_a}', '1 minute', 10) c $$), '[{"key": "by login", "attempts": 2}]', 'and finishes');
select is(test.as_login('kith_worker', format('select kith.finish_job(%s, 2)', (test.job('by login')).id)), '[{"finish_job": true}]', 'a job');

-- A claim reads what is due, however much was done before.
insert into kith.jobs (kind, status, finished_at) select 'test_a', 'done', now() from generate_series(1, 5000);
insert into kith.jobs (kind, run_at) select 'test_a', now() + interval '1 day' from generate_series(1, 5000);
analyze kith.jobs;
create function test.plan(statement text) returns setof text language plpgsql as $$ begin return query execute 'explain ' || statement; end $$;
select ok(exists (select from test.plan($$ select id from kith.jobs where status in ('pending', 'running') and coalesce(leased_until, run_at) <= now() and attempts < max_attempts
    and kind = any ('{test_a}') order by coalesce(leased_until, run_at), id limit 10 for update skip locked $$) p where p ~ 'Index Scan using jobs_claim'), 'by its index, in order');

-- Files: a path leads to its bucket, and is given up with its last row only.
select is(kith.file_path('public.users', '0a0a0a0a-0000-4000-8000-00000000000a/x/original.pdf'), 'users/0a0a0a0a-0000-4000-8000-00000000000a/x/original.pdf', 'a path that begins with its user lies in the bucket of the table');
select is(kith.file_path('public.users', 'avatars/0a0a0a0a-0000-4000-8000-00000000000a/x.png'), 'avatars/0a0a0a0a-0000-4000-8000-00000000000a/x.png', 'any other names its bucket');
create table public.test_scans (id int primary key, user_id uuid not null, front_storage_path text, note text);
alter table public.test_scans owner to kith_owner;
create trigger release_deleted after delete on public.test_scans referencing old table as old_rows
    for each statement execute function kith.release_files('front_storage_path');
create trigger release_replaced after update of front_storage_path on public.test_scans
    for each row when (old.front_storage_path is distinct from new.front_storage_path) execute function kith.release_files('front_storage_path');
select is((select array_agg(column_name::text) from kith.file_columns() where relation = 'public.test_scans'::regclass), '{front_storage_path}', 'a new table is found');
insert into public.test_scans select i, test.id('owner'), case when i < 9 then 'scans/' || test.id('owner') || '/' || i / 2 end from generate_series(2, 9) i;
insert into public.test_scans select i, test.id('stranger'), test.id('stranger') || '/' || i from generate_series(10, 1010) i;
create function test.removed() returns text language sql as $$
    with gone as (delete from kith.jobs where kind = 'delete_files' and user_id in (test.id('owner'), test.id('stranger')) returning *)
    select coalesce(string_agg((select string_agg(replace(replace(p, test.id('owner')::text, 'O'), test.id('stranger')::text, 'S'), ' ' order by p)
        from jsonb_array_elements_text(payload -> 'paths') p), ', ' order by user_id), 'nothing') from gone
$$;
update public.test_scans set note = 'x', front_storage_path = front_storage_path where id < 20;
select is(test.removed(), 'nothing', 'other changes remove nothing');
update public.test_scans set front_storage_path = 'scans/' || test.id('owner') || '/8' where id = 9;
select is(test.removed(), 'nothing', 'nor does a first path');
update public.test_scans set front_storage_path = 'scans/' || test.id('owner') || '/new' where id = 2;
select is(test.removed(), 'nothing', 'a file that another row refers to stays');
update public.test_scans set front_storage_path = null where id = 3;
select is(test.removed(), 'scans/O/1', 'until the last one lets it go');
delete from public.test_scans where id in (2, 3, 4, 6, 7, 8, 9, 10, 11);
select is(test.removed(), 'scans/O/3 scans/O/4 scans/O/8 scans/O/new, test_scans/S/10 test_scans/S/11', 'one job per user for what a statement removed');
delete from public.test_scans where id > 12;
select is((select string_agg(jsonb_array_length(payload -> 'paths') || ' of at most ' || max_attempts, ', ' order by id) from kith.jobs where user_id = test.id('stranger')), '998 of at most 100', 'the removal is patient');
select is((select (payload ->> 'before')::timestamptz from kith.jobs where user_id = test.id('stranger')), now(), 'and leaves what is stored later');
select kith.delete_files(test.id('owner'), array_agg('x/' || i)) from generate_series(1, 2001) i \g /dev/null
select is((select string_agg(jsonb_array_length(payload -> 'paths')::text, ' ' order by id) from kith.jobs where user_id = test.id('owner')), '1000 1000 1', 'and takes a thousand at a time');

select finish();
rollback;
