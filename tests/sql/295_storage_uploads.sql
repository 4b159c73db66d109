-- Goal: an upload in pieces is found by its caller only, counts no more than is
-- durable, ends once, and is bounded.  C14
\ir ../lib/prelude.psql
select no_plan();

insert into storage.buckets (id, name) values ('test_uploads', 'test_uploads');
create function test.begin(id uuid, who text default 'owner', caller text default 'authenticated', length bigint default 10, name text default 'a')
returns text language sql as $$
    select kith.create_upload(id, caller, test.id(who), 'test_uploads', test.id('owner') || '/' || name, length, false, 'bucketName dGVzdA==')
$$;
create function test.found(id uuid, who text, caller text default 'authenticated') returns bigint language sql as $$
    select count(*) from kith.find_upload(id, caller, test.id(who), null)
$$;
create function test.to_object(id uuid, name text default 'a') returns text language sql as $$
    select o.name from kith.finish_upload(id, 'test_uploads', test.id('owner') || '/' || name, test.id('owner')::text, '{"size": 10}', '{}', null, false) o
$$;
-- SQLSTATE of a statement that is refused.
create function test.state(statement text) returns text language plpgsql as $$
begin
    execute statement;
    return null;
exception when others then
    return sqlstate || ' ' || sqlerrm;
end
$$;

\set one '\'1a000000-0000-4000-8000-000000000001\''
\set two '\'1a000000-0000-4000-8000-000000000002\''
\set three '\'1a000000-0000-4000-8000-000000000003\''

-- Whose it is.
select matches(test.begin(:one), '^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$', 'a date of HTTP says how long it can be gone on with');
select is(expires_at - created_at, '1 hour', 'which is an hour: less than what has no row is kept') from kith.uploads where id = :one;
select is(test.found(:one, 'owner'), 1::bigint, 'its caller finds it');
select is(test.found(:one, 'stranger'), 0::bigint, 'a stranger does not');
select is(test.found(:one, 'owner', caller), 0::bigint, 'nor does the same id as ' || caller) from unnest(array['anon', 'service_role', 'signed']) caller;
select isnt(test.begin(:two, 'owner', 'signed'), null, 'one by a signed URL');
select is(test.found(:two, 'nobody', 'signed'), 1::bigint, 'of a signed URL the program compares the owner');
select is(test.found(:two, 'owner'), 0::bigint, 'without the URL its owner does not find it');
select isnt(test.begin(:three, null, 'service_role'), null, 'one of the service');
select is(test.found(:three, null, 'service_role'), 1::bigint, 'the service is nobody, and finds its own');
select is(test.found(:three, null, 'anon'), 0::bigint, 'but who is not signed in does not');
select matches(test.state(format('select * from kith.find_upload(%L, ''authenticated'', %L, gen_random_uuid())', :one, test.id('owner'))), '^PT401', 'a session that has ended finds nothing');

-- How much of it is there.
select is(kith.advance_upload(:one, 4), true, 'so much is durable');
select is(received, 4::bigint, 'and told') from kith.find_upload(:one, 'authenticated', test.id('owner'), null);
select is(kith.advance_upload(:one, 3), null, 'never less than before');
select matches(test.state(format('select kith.advance_upload(%L, 11)', :one)), '^23514', 'nor more than was announced');

-- Its end.
select is(test.to_object(:one), test.id('owner') || '/a', 'it becomes an object');
select is(version, :one, 'whose file has its name') from storage.objects where bucket_id = 'test_uploads';
select is(array[received::text, finished::text], array['10', 'true'], 'and who asks is told') from kith.find_upload(:one, 'authenticated', test.id('owner'), null);
select is(kith.advance_upload(:one, 10), null, 'nothing is added to it');
select matches(test.state(format('select test.to_object(%L, ''b'')', :one)), '^PT404', 'it ends once');
select matches(test.state(format('select test.to_object(%L)', :two)), '^23505', 'a name that is taken is not overwritten');
select is(finished, false, 'and that upload is still under way') from kith.find_upload(:two, 'signed', null, null);
select is(kith.end_upload(:two), true, 'until it is given up');
select is(kith.end_upload(:two), null, 'once');

-- Bounds.
update kith.uploads set expires_at = now() - interval '1 second' where id = :one;
select is(test.found(:one, 'owner'), 0::bigint, 'after its hour it is not found');
select isnt(test.begin(:two, 'stranger'), null, 'another one');
select is_empty(format('select from kith.uploads where id = %L', :one), 'and the next one clears it away');
select isnt(test.begin(gen_random_uuid(), 'stranger', length => 1), null, 'and another one') from generate_series(1, 99);
select matches(test.state('select test.begin(gen_random_uuid(), ''stranger'', length => 1)'), '^PT403', 'a hundred are under way, and no more');
select isnt(test.begin(gen_random_uuid(), 'owner'), null, 'which is nobody else''s concern');
select matches(
    test.state(format('select test.begin(gen_random_uuid(), length => %s)', kith.plan_limit(test.id('owner'), 'storage_bytes') - 5)),
    '^PT403', 'what is under way must fit into the plan together');
delete from kith.uploads where owner = test.id('stranger') and id <> :two;
update kith.uploads set finished_at = now(), received = length where id = :two;
select isnt(test.begin(gen_random_uuid(), 'stranger'), null, 'what has ended does not count');

-- Nobody but the storage program.
select is(test.try(who, statement), '42501', who || ' cannot: ' || statement)
from unnest(array['anon', 'stranger', 'owner', 'service']) who,
    unnest(array['select from kith.uploads', 'select kith.end_upload(gen_random_uuid())',
        'select kith.create_upload(gen_random_uuid(), ''anon'', null, ''test_uploads'', ''a'', 1, false, '''')']) statement;

select * from finish();
rollback;
