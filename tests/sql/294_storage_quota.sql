-- Goal: what a user has stored is known at any moment, and is never more than the
-- plan allows.  Uploads at once are in concurrency.t and tests/http/storage_objects.t.
\ir ../lib/prelude.psql
select no_plan();

insert into storage.buckets (id, name) values ('test_files', 'test_files');
create function test.store(name text, size bigint, who text default 'owner') returns text language sql as $$
    select test.refusal('program', format('select from kith.store_object(%L, %L, %L, %L, %L, ''{}'', (select id from storage.objects where bucket_id = ''test_files'' and name = %2$L), false)',
        'test_files', name, gen_random_uuid(), test.id(who), jsonb_build_object('size', size)))
$$;
-- The storage program, for which nobody's policies hold.
create or replace function test.become(who text) returns void language plpgsql as $$
declare
    role text := case who when 'anon' then 'anon' when 'service' then 'service_role' when 'program' then 'kith_storage' else 'authenticated' end;
begin
    perform set_config('request.jwt.claims', jsonb_strip_nulls(jsonb_build_object('role', role, 'sub', test.id(who)))::text, true);
    execute format('set local role %I', role);
end
$$;
create function test.remove(pattern text) returns void language plpgsql as $$
begin
    set local storage.allow_delete_query = 'true';
    delete from storage.objects where bucket_id = 'test_files' and name like pattern;
end
$$;
create function test.used(who text default 'owner') returns bigint language sql as
    $$ select bytes from kith.storage_usage where user_id = test.id(who) $$;
create function test.sums_are_right() returns boolean language sql as $$
    select bool_and(u.bytes = (select coalesce(sum(f.size), 0) from kith.stored_files f where f.user_id = u.user_id))
    from kith.storage_usage u where u.user_id in (test.id('owner'), test.id('stranger'))
$$;

select is(test.rows('owner', 'select * from public.storage_usage()'), '[{"bytes": 0, "allowed": 104857600}]', 'nothing is stored at first');
select is(test.store('a', 5000000), 'done', 'a file');
select is(test.store('b', 3000000), 'done', 'another');
select is(test.used(), 8000000::bigint, 'are both counted');
select is(test.store('b', 1000000), 'done', 'a smaller one in its place');
select is(test.used(), 6000000::bigint, 'gives the rest back');
select is(test.store('b', 1000000, 'stranger'), 'done', 'one that somebody else puts there');
select is(test.used() || ' ' || test.used('stranger'), '5000000 1000000', 'is theirs');
select is(test.rows('stranger', 'select * from public.storage_usage()'), '[{"bytes": 1000000, "allowed": 104857600}]', 'as they are told');
select is(test.rows(who, 'select * from public.storage_usage()'), '[]', who || ' has no account') from unnest(array['nobody', 'service']) who;
select is(test.store('b', 2000000, 'service'), 'done', 'what the service puts in its place');
select is(test.used('stranger'), 2000000::bigint, 'stays theirs');
select is(test.store('service', 5000000000, 'service'), 'done', 'a file of its own');
select is(test.used() || ' ' || test.used('stranger'), '5000000 2000000', 'counts for nobody, however large');
update storage.objects set name = 'moved' where bucket_id = 'test_files' and name = 'a';
update storage.objects set metadata = '{"size": 1}', owner_id = test.id('stranger')::text where bucket_id = 'test_files' and name = 'moved';
select is(test.used() || ' ' || test.used('stranger'), '5000000 2000000', 'a row that is moved, or that an app lets be written, changes nothing');
select test.remove('moved') \g /dev/null
select is(test.used(), 0::bigint, 'a file that is deleted gives back what was stored');
select ok(test.sums_are_right(), 'the sums are those of the files');

-- The limit of the plan.
select is(test.store('a', 100000000), 'done', 'nearly all');
select is(test.store('b', 4857600, 'owner'), 'done', 'and the rest');
select is(test.store('c', 1), 'PT403 | Storage quota exceeded: the plan allows 100 MB, and 1 bytes more would be too much | QuotaExceeded | The plan pro allows 5120 MB.', 'not a byte more');
select is(test.store('b', 4857601), 'PT403 | Storage quota exceeded: the plan allows 100 MB, and 1 bytes more would be too much | QuotaExceeded | The plan pro allows 5120 MB.', 'nor in the place of another');
select is(test.used(), 104857600::bigint, 'what was refused is not counted');
select is((select count(*)::int from storage.objects where bucket_id = 'test_files' and name = 'c'), 0, 'and not there');
select is(test.store('c', 0), 'done', 'an empty file has room');
select is(test.store('b', 4857600), 'done', 'and one of the same size');
select is(test.store('c', 1, 'stranger'), 'done', 'a stranger has a limit of their own');
update public.plans set limits = limits || '{"storage_bytes": 1000}' where id = 'free';
select is(test.store('b', 4857599), 'done', 'who is above the limit may store less than before');
select alike(test.store('b', 4857600), 'PT403%', 'and not more');
update public.subscriptions set plan = 'pro' where user_id = test.id('owner');
select is(test.store('b', 4857600), 'done', 'another plan has another limit');
select alike(test.store('x', 6000000000), 'PT403 | % | QuotaExceeded | The plan essential allows 10 GB.', 'the next that is enough is named');
select alike(test.store('x', 60000000000), 'PT403 | % | QuotaExceeded | Remove files that are not needed.', 'or none');
update public.plans set limits = limits - 'storage_bytes' where id = 'family_archive';
select alike(test.store('x', 60000000000), 'PT403 | % | QuotaExceeded | The plan family_archive has no limit.', 'one without a limit is enough');
update public.subscriptions set plan = 'family_archive' where user_id = test.id('owner');
select is(test.store('x', 60000000000), 'done', 'for anything');
select is(test.rows('owner', 'select * from public.storage_usage()'), '[{"bytes": 60104857600, "allowed": null}]', 'and says so');
select ok(test.sums_are_right(), 'the sums are those of the files');

-- Before the bytes are there.
update public.subscriptions set plan = 'pro' where user_id = test.id('owner');
select test.remove('%') \g /dev/null
select is(test.store('a', 5000000000), 'PT403 | Storage quota exceeded: files that were overwritten or deleted still take up room | QuotaExceeded | They are removed in a minute or two: try again then.',
    'what is let go takes up room');
select alike(test.refusal('program', format('select kith.check_upload(''test_files'', ''a'', %L, 1)', test.id('owner'))), 'PT403%still take up room%', 'which is said early');
select is(test.store('c', 10, 'stranger'), 'done', 'of one user, not of all');
select count(kith.forget_files(array[version])) from kith.released_files \g /dev/null
select is(test.store('a', 5000000000), 'done', 'a large file');
select is(test.store('b', n), 'done', 'again and again, while there is room') from unnest(array[100000000, 1, 100000000, 1]) n;
update public.plans set limits = limits || '{"storage_bytes": 5100000000}' where id = 'pro';
select is(test.store('b', 2), 'done', 'or 100 MB');
select test.remove('b') \g /dev/null
select count(kith.forget_files(array[version])) from kith.released_files \g /dev/null
update public.plans set limits = limits || '{"storage_bytes": 5368709120}' where id = 'pro';
select alike(test.refusal('program', format('select kith.check_upload(''test_files'', %L, %L, %s)', name, test.id(who), bytes)), expected, format('%s of %s at %s: %s', bytes, who, name, expected))
from (values ('b', 'owner', 368709120, 'done'), ('b', 'owner', 368709121, 'PT403 | Storage quota exceeded%'), ('a', 'owner', 5368709120, 'done'),
    ('a', 'owner', 5368709121, 'PT403%'), ('a', 'stranger', 5368709120, 'PT403%'), ('b', 'service', 5368709121, 'done')) v (name, who, bytes, expected);
select alike(test.refusal('owner', 'select kith.check_upload(''test_files'', ''a'', null, 1)'), '42501%', 'that is for the program');

-- Nobody but triggers writes the sums.
select is(test.try(who, statement), '42501', who || ': ' || statement)
from unnest(array['owner', 'service', 'program']) who, unnest(array['update kith.storage_usage set bytes = 0', 'delete from kith.stored_files', 'select from kith.storage_usage']) statement;

select finish();
rollback;
