-- Goal: a file is its owner's by the first folder of its name, whoever asks and
-- however; and nobody says which bytes a row stands for but the storage program.
-- Who may do what to a row is in matrix.sql.  C14 D9
\ir ../lib/prelude.psql
select no_plan();

insert into storage.buckets (id, name) values ('test_files', 'test_files');
create function test.store(name text, who text default 'owner', rest text default '') returns text language sql as $$
    select format('insert into storage.objects (bucket_id, name, metadata) values (%L, %L, %L) %s', 'test_files', test.id(who) || '/' || name, '{"size": 5}', rest)
$$;

-- Names of files.
select is(storage.foldername(name)::text, folders, 'folders of ' || name)
from (values ('a/b/c.txt', '{a,b}'), ('a/b', '{a}'), ('a', '{}'), ('a//b', '{a,""}')) v (name, folders);
select is(storage.filename(name), filename, 'file name of ' || name) from (values ('a/b/c.txt', 'c.txt'), ('c', 'c')) v (name, filename);
select is(storage.extension(name), extension, 'extension of ' || name) from (values ('a.b/c.tar.gz', 'gz'), ('a/c.txt', 'txt')) v (name, extension);
select is(test.try('owner', format('insert into storage.objects (bucket_id, name) values (''test_files'', %L)', test.id('owner') || name)), '23514', 'refused: ' || replace(name, E'\n', '\n'))
from unnest(array['//a', '/./a', '/../a', '/a/..', '/a/.', '/', '/a/', E'/a\nb', '/a\b', '/ä', '/a%2f', '/a#', '/a"', '/' || repeat('x', 1024)]) name;
select is(test.try('owner', test.store(name)), '1', 'taken: ' || name) from unnest(array['...', '.hidden', 'a..b', 'a b', E'it''s (1).txt', repeat('x', 1024 - 37)]) name;
select is(test.try('owner', test.store(name)), '1', 'case twins are two: ' || name) from unnest(array['twin', 'Twin']) name;
select alike(test.refusal('service', format('insert into storage.objects (bucket_id, name) values (%L, %L)', bucket, name)), expected, 'not by the service either: ' || expected)
from (values ('test_files', '../../etc/passwd', '23514%objects_name_key%'), ('nowhere', 'a', '23503%')) v (bucket, name, expected);
select is(test.try('service', format('insert into storage.buckets (id, name) values (%L, %1$L)', id)), '23514', 'no bucket: ' || replace(id, E'\n', '\n'))
from unnest(array['', ' a', 'a ', 'a/b', 'ä', E'a\n', repeat('x', 101)]) id;
select is(test.try('service', format('insert into storage.buckets (id, name) values (%L, %1$L)', id)), '1', 'a bucket: ' || id) from unnest(array['a b', 'a.b-c_d!', repeat('x', 100)]) id;
select is(test.try('service', format('update storage.buckets set %s where id = ''test_files''', change)), '23514', 'refused: ' || change)
from unnest(array['file_size_limit = -1', 'type = ''ANALYTICS''']) change;

-- Versions: not by those who may write all the rest.
update storage.objects set version = gen_random_uuid(), metadata = '{"size": 5}' where name = test.id('owner') || '/twin';
select is(test.try(who, format('update storage.objects set version = %L', gen_random_uuid())), '42501', who || ' writes no version') from unnest(array['owner', 'anon', 'service']) who;
select is(test.try(who, 'update storage.objects set version = null'), '42501', who || ' takes none away') from unnest(array['owner', 'service']) who;
select is(test.try(who, format('insert into storage.objects (bucket_id, name, version) values (''test_files'', %L, %L)', test.id('owner') || '/theft', gen_random_uuid())),
    '42501', who || ' brings no version along') from unnest(array['owner', 'service']) who;
select is(test.try('owner', test.store('twin', rest => format('on conflict (bucket_id, name) do update set version = %L', gen_random_uuid()))), '42501', 'nor does an upsert');
select throws_ok(format('insert into storage.objects (bucket_id, name, version) select bucket_id, ''x'', version from storage.objects where name = %L', test.id('owner') || '/twin'),
    '23505', null, 'no two rows share a file');
select throws_ok(format('update storage.objects set version = %L where name = %L', version, test.id('owner') || '/twin'), '23514', null, 'a version is a uuid: ' || version)
from unnest(array['../x', 'x', '', upper(gen_random_uuid()::text)]) version;

-- What an upload asks beforehand, as the caller.
select is(test.probe('owner', test.store('new')), '1', 'owner stores a file');
select is(test.probe('owner', test.store('twin')), '23505', 'once');
select is(test.probe('owner', test.store('twin', rest => 'on conflict (bucket_id, name) do update set metadata = excluded.metadata returning id')), '1', 'or over the one before');
select is(test.probe('owner', test.store('new', 'stranger')), '42501', 'but in no other folder');
select is(test.probe('stranger', test.store('twin')), '42501', 'a stranger is not told that there is a file');
select is(test.probe(who, test.store('new', 'owner')), '42501', who || ' stores none') from unnest(array['anon', 'stranger', 'nobody']) who;
select is(test.probe('service', test.store('new')), '1', 'the service stores where it likes');
select is(test.probe('owner', format('update storage.objects set name = %L where name = %L', test.id('owner') || '/moved', test.id('owner') || '/twin')), '1', 'owner moves a file');
select is(test.probe('owner', format('update storage.objects set name = %L where name = %L', test.id('owner') || '/Twin', test.id('owner') || '/twin')), '23505', 'not over another');

-- An app that has another convention.
savepoint app;
drop policy "owner reads own files" on storage.objects;
create policy "everybody reads" on storage.objects for select to anon using (bucket_id = 'test_files' and storage.allow_only_operation('object.list'));
select is(test.rows('anon', 'select count(*) from storage.objects'), '[{"count": 0}]', 'a policy may ask what is done');
set local storage.operation = 'storage.object.list';
select isnt(test.rows('anon', 'select count(*) from storage.objects'), '[{"count": 0}]', 'and allow just that');
select is(storage.allow_any_operation(operations::text[]), expected, 'storage.object.list among ' || operations)
from (values ('{object.list}', true), ('{storage.object.list}', true), ('{object.sign,object.list}', true), ('{object.lis}', false), ('{}', false), ('{null}', false)) v (operations, expected);
select is(storage.allow_only_operation(null), false, 'null is none');
set local storage.operation = '';
select is(storage.allow_any_operation('{""}'), false, 'outside of the program nothing is');
rollback to app;

-- Deleting is for the program.
select alike(test.refusal(who, 'delete from storage.objects where false'), '42501 | storage.objects is not deleted from by SQL%', who || ' deletes no rows by SQL') from unnest(array['owner', 'service']) who;
select alike(test.refusal('service', 'delete from storage.buckets where false'), '42501 | storage.buckets is not deleted from%', 'nor buckets');
set local storage.allow_delete_query = 'true';
select is(test.probe('service', 'delete from storage.buckets where id = ''test_files'''), '23503', 'a bucket that has files stays');
select is(test.probe('owner', format('delete from storage.objects where name = %L', test.id('owner') || '/twin')), '1', 'the program does');
select is(test.probe('stranger', format('delete from storage.objects where name = %L', test.id('owner') || '/twin')), '0', 'as the caller');
set local storage.allow_delete_query = '';

-- Buckets of the settings.
select lives_ok($$ select kith.make_buckets(' test_a  test_b(public,5MB,image/*,audio/webm)
    test_c() test_d(3B) test_e(2GB)') $$, 'buckets are made');
select set_eq($$ select id, public, file_size_limit, allowed_mime_types::text from storage.buckets where id ~ '^test_.$' $$,
    $$ values ('test_a', false, null, null), ('test_b', true, 5000000, '{image/*,audio/webm}'), ('test_c', false, null, null), ('test_d', false, 3, null), ('test_e', false, 2000000000, null) $$, 'as they are listed');
update storage.buckets set public = true where id = 'test_a';
select lives_ok($$ select kith.make_buckets('test_a(1KB) test_f') $$, 'those that are there');
select set_eq($$ select public, file_size_limit from storage.buckets where id = 'test_a' $$, $$ values (true, null::bigint) $$, 'stay as they are');
select throws_ok(format('select kith.make_buckets(%L)', list), '22023', null, 'not understood: ' || list)
from unnest(array['a(', 'a/b', 'a(private)', 'a(5 MB)', 'a(-5MB)', 'a(image)', 'a(IMAGE/*)', 'a(b(c))']) list;
select lives_ok('select kith.make_buckets('''')', 'none is no error');

select finish();
rollback;
