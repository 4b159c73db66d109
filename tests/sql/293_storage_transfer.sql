-- Goal: what a bucket says of an upload, who may overwrite what, and what is
-- given away without asking: what is public, or named by a signed URL.
\ir ../lib/prelude.psql
select no_plan();

insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types) values
    ('test_plain', 'test_plain', false, null, null), ('test_open', 'test_open', true, 1000, '{}'),
    ('test_sounds', 'test_sounds', false, null, '{audio/*,Image/PNG}'), ('test_all', 'test_all', false, null, '{*}');
create function test.version(n int) returns text language sql immutable as $$ select format('0f0f0f0f-0000-4000-8000-%s', lpad(n::text, 12, '0')) $$;

-- As the program; the statement's rows, or why it is refused.
create function test.program(statement text) returns text language plpgsql as $$
declare
    result text;
begin
    set local role kith_storage;
    execute format('select string_agg(q::text, '' '') from (%s) q', statement) into result;
    reset role;
    return coalesce(result, 'nothing');
exception when others then
    return sqlstate;
end
$$;

select is(test.program('select * from kith.upload_bucket(''test_open'', ''a/b'')'), '(1000,t)', 'a bucket has a limit, and takes all types when it names none');
select is(test.program('select * from kith.upload_bucket(''test_nowhere'', ''a/b'')'), 'nothing', 'a bucket that is not there says nothing');
select is(test.program(format('select type_allowed from kith.upload_bucket(''test_sounds'', %L)', type)), format('(%s)', allowed), coalesce(type, 'a type that is not known yet'))
from (values ('audio/webm', 't'), ('audio/webm;codecs=opus', 't'), ('AUDIO/ogg ; x', 't'), ('image/png', 't'), (null, 't'), ('image/gif', 'f'),
    ('audiox/webm', 'f'), ('video/webm', 'f'), ('', 'f'), ('text/html;audio/webm', 'f')) v (type, allowed);
select is(test.program('select type_allowed from kith.upload_bucket(''test_all'', ''x/y'')'), '(t)', 'a star is all');

-- The row.  A file is stored under a new name, over an object that the caller
-- may overwrite, or by a signed URL over whatever there is.
create function test.store(n int, name text, replaces uuid default null, upsert boolean default false, owner text default 'owner') returns text language sql as $$
    select test.program(format('select right(o.version, 2)::int as n, o.owner_id is not distinct from %L as own from kith.store_object(''test_plain'', %L, %L, %L, ''{"size": 1}'', ''{"a": 1}'', %L, %L) o',
        test.id('owner'), name, test.version(n), test.id(owner), replaces, upsert))
$$;
create function test.object(name text) returns uuid language sql as $$ select id from storage.objects o where bucket_id = 'test_plain' and o.name = object.name $$;
select is(test.store(1, 'a'), '(1,t)', 'a file is stored');
select is(test.store(2, 'a'), '23505', 'a name is given once');
select set_config('test.a', test.object('a')::text, true) \g /dev/null
select is(test.store(3, 'a', test.object('a')), '(3,t)', 'who may overwrite it does');
select is(test.object('a')::text, current_setting('test.a'), 'the object stays the same');
select is((select user_metadata from storage.objects where id = test.object('a')), '{"a": 1}', 'with what is said of it');
select is(test.store(4, 'b', gen_random_uuid()), '(4,t)', 'what has gone in the meantime is made anew');
select is(test.store(5, 'b', test.object('a')), '23505', 'what has come in the meantime is not overwritten');
select is(test.store(6, 'b', null, true), '(6,t)', 'but by a signed URL that says so');
select is(test.store(7, 'c', null, true), '(7,t)', 'which also makes what is not there');
select is(test.store(8, 'a', test.object('a'), false, 'service'), '(8,t)', 'what the service overwrites stays its owner''s');
select is(test.store(9, 'b', null, true, 'service'), '(9,t)', 'whichever way');
select is(test.store(10, 'd', null, false, 'service'), '(10,f)', 'what it stores itself is nobody''s');
select is(test.program(format('select from kith.store_object(''test_nowhere'', ''a'', %L, null, ''{}'', ''{}'', null, false)', test.version(11))), '23503', 'a bucket has to be there');
select is(test.program('select from kith.store_object(''test_plain'', ''a/../b'', gen_random_uuid()::text, null, ''{}'', ''{}'', null, false)'), '23514', 'and the name be one');

-- What is given away.
insert into storage.objects (bucket_id, name, version, metadata) values
    ('test_open', 'o', test.version(20), '{"mimetype": "a/b", "cacheControl": "no-cache", "eTag": "\"x\"", "size": 3}');
select is(test.program(format('select public, right(version, 2) as v, type, cache_control, etag from kith.downloaded_object(%L, %L, %L)', bucket, key, signed)), row_text, format('%s/%s, signed: %s', bucket, key, signed))
from (values ('test_open', 'o', false, '(t,20,a/b,no-cache,"""x""")'), ('test_open', 'none', false, '(t,,,,)'), ('test_plain', 'a', false, '(f,,,,)'),
    ('test_plain', 'a', true, '(f,08,,,)'), ('test_plain', 'none', true, '(f,,,,)'), ('test_nowhere', 'a', true, 'nothing')) v (bucket, key, signed, row_text);
select is(test.program(format('select public, info ->> ''name'' as n, info ->> ''size'' as s from kith.public_object_info(%L, %L)', bucket, key)), row_text, format('info of %s/%s', bucket, key))
from (values ('test_open', 'o', '(t,o,3)'), ('test_open', 'none', '(t,,)'), ('test_plain', 'a', '(f,,)'), ('test_nowhere', 'a', 'nothing')) v (bucket, key, row_text);
select is((test.rows('service', $$ select storage.object_info(o) as i from storage.objects o where o.bucket_id = 'test_open' $$) -> 0 -> 'i') - 'id' - 'created_at',
    jsonb_build_object('name', 'o', 'version', test.version(20), 'bucket_id', 'test_open', 'size', 3, 'content_type', 'a/b', 'cache_control', 'no-cache',
        'etag', '"x"', 'metadata', '{}'::jsonb, 'last_modified', null), 'info has the members that apps read');

-- An upload whose type is not known yet is refused early only where no policy asks for it.
select is(test.program('select kith.policies_read_metadata()'), '(f)', 'no policy of ours reads metadata');
create policy "test" on storage.objects for insert to authenticated with check (metadata ->> 'mimetype' = 'a/b');
select is(test.program('select kith.policies_read_metadata()'), '(t)', 'one of an app does');

-- Nobody else calls them.
select is(test.try(who, statement), '42501', format('%s: %s', who, statement))
from unnest(array['owner', 'anon', 'service']) who, unnest(array[
    'select kith.upload_bucket(''test_open'', null)', 'select kith.downloaded_object(''test_plain'', ''a'', true)', 'select kith.policies_read_metadata()',
    'select kith.public_object_info(''test_open'', ''o'')', 'select kith.store_object(''test_plain'', ''x'', gen_random_uuid()::text, null, ''{}'', ''{}'', null, false)']) statement;

select finish();
rollback;
