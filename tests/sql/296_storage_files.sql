-- Goal: a file on the disk has one row, or is let go by one; it stays for those
-- who read it, and goes with its account.  A14 D11
\ir ../lib/prelude.psql
select no_plan();

insert into storage.buckets (id, name) values ('test_files', 'test_files');
create function test.version(n int) returns text language sql immutable as $$ select format('0f0f0f0f-0000-4000-8000-%s', lpad(n::text, 12, '0')) $$;
create function test.store(n int, name text, who text default 'owner', owner text default 'owner') returns void language sql as $$
    insert into storage.objects (bucket_id, name, version, owner_id, metadata)
    values ('test_files', coalesce(test.id(who) || '/', '') || name, test.version(n), test.id(owner), '{"size": 10}')
    on conflict (bucket_id, name) do update set version = excluded.version, owner_id = excluded.owner_id, metadata = excluded.metadata
$$;
create function test.numbers(versions text[]) returns text language sql as
    $$ select coalesce(string_agg(right(v, 2)::int::text, ' ' order by v), 'none') from unnest(versions) v where v like '0f0f0f0f%' $$;
create function test.files() returns text language sql as $$
    select format('stored %s, released %s',
        (select test.numbers(array_agg(version)) from kith.stored_files), (select test.numbers(array_agg(version)) from kith.released_files))
$$;
create function test.remove(name text) returns void language plpgsql as $$
begin
    set local storage.allow_delete_query = 'true';
    delete from storage.objects o where bucket_id = 'test_files' and o.name like remove.name;
    set local storage.allow_delete_query = '';
end
$$;

select test.store(n, name) from (values (1, 'a'), (2, 'b'), (3, 'c')) v (n, name) \g /dev/null
select is(test.files(), 'stored 1 2 3, released none', 'each file is known');
select test.store(4, 'a') \g /dev/null
select is(test.files(), 'stored 2 3 4, released 1', 'one that is overwritten is let go');
update storage.objects set name = name || 'x', metadata = '{}' where bucket_id = 'test_files' and name like '%/c';
select is(test.files(), 'stored 2 3 4, released 1', 'one that is moved is not');
insert into storage.objects (bucket_id, name) values ('test_files', 'rowonly');
select test.remove('%/b'), test.remove('rowonly') \g /dev/null
select is(test.files(), 'stored 3 4, released 1 2', 'one that is deleted is let go');
select test.remove('%') \g /dev/null
select is(test.files(), 'stored none, released 1 2 3 4', 'also many at once');

-- The sweep.
create function test.expired(grace text, n int default 1000000) returns text language sql as
    $$ select test.numbers(array_agg(v)) from kith.expired_files(grace::interval, n) v $$;
select is(test.expired('1 minute'), 'none', 'what was let go just now stays');
update kith.released_files set released_at = now() - interval '10 years' - right(version, 1)::int * interval '1 s' where version like '0f0f0f0f%';
select is(test.expired('1 minute'), '1 2 3 4', 'later it may go');
select is(test.expired('1 minute', 2), '3 4', 'the oldest first');
select is(kith.forget_files(array[test.version(3), test.version(4), test.version(99)]), 2::bigint, 'those that are removed are forgotten');
select is(test.files(), 'stored none, released 1 2', 'the others wait');
select test.store(5, 'new') \g /dev/null
select is((select test.numbers(array_agg(v)) from kith.unknown_files(array(select test.version(n) from generate_series(1, 7) n)) v), '3 4 6 7', 'of these no row tells');

-- What the job of removed rows deletes: see kith.delete_files().
create function test.path(name text) returns text language sql as $$ select format('test_files/%s/%s', test.id('owner'), name) $$;
select is(kith.delete_stored_files(array[test.path('new')], now() - interval '1 s'), 0::bigint, 'what was stored later stays');
select is(kith.delete_stored_files(array[test.path('ne'), test.path('new/x'), 'other' || substr(test.path('new'), 11), 'test_files', ''], 'infinity'), 0::bigint, 'so does what has another path');
select is(kith.delete_stored_files(array[test.path('new'), test.path('gone')], now()), 1::bigint, 'the rest is deleted');
select is(test.files(), 'stored none, released 1 2 5', 'and its file let go');
insert into storage.objects (bucket_id, name, created_at) values ('test_files', test.id('owner') || '/rowonly', now() - interval '1 day');
select is(kith.delete_stored_files(array[test.path('rowonly')], now() - interval '1 hour'), 1::bigint, 'a row without a file has its own time');
select is(current_setting('storage.allow_delete_query', true), '', 'that others may not delete');
select alike(test.refusal(who, 'select kith.delete_stored_files(''{}'', now())'), '42501%', who || ' does not call it') from unnest(array['owner', 'service']) who;

-- With the account: by folder and by owner, wherever; and nothing of others.
select test.store(n, name, who, owner) from (values (10, 'mine', 'owner', 'owner'), (11, 'by the service', 'owner', 'service'), (12, 'shared', 'service', 'owner'),
    (13, 'theirs', 'stranger', 'stranger'), (14, 'in theirs', 'stranger', 'owner'), (15, 'service', 'service', 'service')) v (n, name, who, owner) \g /dev/null
insert into storage.objects (bucket_id, name, version) values ('test_files', test.id('owner') || 'x/not', test.version(16)), ('test_files', test.id('owner')::text, test.version(17));
select is((select array_agg(replace(f, test.id('owner')::text, 'O') order by replace(f, test.id('owner')::text, 'O')) from unnest(kith.owned_files(test.id('owner'))) f),
    format('{"test_files/%s/in theirs","test_files/O/by the service",test_files/O/mine,test_files/shared}', test.id('stranger'))::text[], 'owned_files finds them');
select is(test.rows('owner', 'select public.export_my_data(''{}'') -> ''files'' as f') -> 0 -> 'f',
    (select to_jsonb(array_agg(f order by f)) from unnest(kith.owned_files(test.id('owner'))) f), 'the export names them');
select is(test.try('owner', 'select public.delete_my_account()'), '1', 'the owner erases the account');
select is(test.files(), 'stored 13 15 16 17, released 1 2 5 10 11 12 14', 'all of their files are let go at once');
select is_empty(format('select from kith.storage_usage where user_id = %L', test.id('owner')), 'nothing is counted any more');
select is((select sum(jsonb_array_length(payload -> 'paths')) from kith.jobs where kind = 'delete_files' and user_id = test.id('owner')), 4::bigint, 'and their paths are queued');
select is(kith.delete_stored_files(array(select jsonb_array_elements_text(payload -> 'paths') from kith.jobs where kind = 'delete_files' and user_id = test.id('owner')), now()), 0::bigint, 'though nothing is left to do');
delete from auth.users where id = test.id('stranger');
select is(test.files(), 'stored 15 16 17, released 1 2 5 10 11 12 13 14', 'whoever deletes a user');
select is(current_setting('storage.allow_delete_query', true), '', 'others may still not delete');

select finish();
rollback;
