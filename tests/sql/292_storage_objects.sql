-- Goal: lists show what the caller may see, entry by entry, page by page, and in
-- the order that is asked for; also of very many files, quickly.
\ir ../lib/prelude.psql
select no_plan();

insert into storage.buckets (id, name) values ('test_lists', 'test_lists'), ('test_other', 'test_other');
-- A bucket that everybody signed in may read, but for what is in locked/.
drop policy "owner reads own files" on storage.objects;
create policy "test" on storage.objects for select to authenticated using ((select auth.uid()) is not null and name !~ '^locked/');
insert into storage.objects (bucket_id, name, created_at, updated_at, metadata)
select 'test_lists', name, '2026-01-01'::timestamptz + n * interval '1 day', '2026-01-01'::timestamptz - n * interval '1 day', '{"size": 1}'
from unnest(array['b.txt', 'a/1.webm', 'a/2.webm', 'a/deep/er/3', 'A/4', 'B.txt', 'c_d', 'cxd', 'c%d', 'a.txt', 'locked/1', 'z/locked', 'a-b', 'dir 1/x'])
    with ordinality u (name, n) where name <> 'c%d';
insert into storage.objects (bucket_id, name) values ('test_other', 'a/elsewhere');

create function test.names(entries json) returns text language sql as $$
    select coalesce(string_agg(case when e ->> 'id' is null then e ->> 'name' || '/' else e ->> 'name' end, ' ' order by place), 'nothing')
    from json_array_elements(entries) with ordinality j (e, place)
$$;
create function test.list(prefix text, search text default '', n int default 100, skip int default 0, by text default 'name', descending boolean default false, who text default 'owner', bucket text default 'test_lists')
returns text language sql as $$
    select test.names((test.rows(who, format('select storage.list(%L, %L, %L, %s, %s, %L, %L) as l', bucket, prefix, search, n, skip, by, descending)) -> 0 -> 'l')::json)
$$;

-- The first kind.  A folder that case twins share is shown once.
select is(test.list(''), 'a-b a.txt a/ B.txt b.txt c_d cxd dir 1/ z/', 'files and folders by name, whatever the case');
select is(test.list('', descending => true), 'z/ dir 1/ cxd c_d b.txt B.txt a/ a.txt a-b', 'and the other way');
select is(test.list(prefix), '1.webm 2.webm 4 deep/', 'in a folder: ' || prefix) from unnest(array['a', 'a/', 'A']) prefix;
select is(test.list('a/deep'), 'er/', 'a folder of folders');
select is(test.list('a/deep/er'), '3', 'at the end a file');
select is(test.list('dir 1'), 'x', 'a blank is a letter');
select is(test.list(prefix), 'nothing', 'nothing in ' || prefix) from unnest(array['nowhere', 'a/1', 'a/1.webm', 'dir', '/', '../a', '%', 'locked', 'a//']) prefix;
select is(test.list('', search), expected, 'what begins with ' || search)
from (values ('b', 'B.txt b.txt'), ('B.T', 'B.txt b.txt'), ('c_', 'c_d'), ('%', 'nothing'), ('_', 'nothing'), ('a', 'a-b a.txt a/'), ('.txt', 'nothing'), ('a/', 'a/')) v (search, expected);
select is(test.list('a', 'd'), 'deep/', 'in a folder too');
select is(test.list('', n => 3, skip => skip), expected, 'three behind ' || skip)
from (values (0, 'a-b a.txt a/'), (3, 'B.txt b.txt c_d'), (6, 'cxd dir 1/ z/'), (8, 'z/'), (9, 'nothing'), (1000000, 'nothing')) v (skip, expected);
select is(test.list('', by => by, descending => descending), expected, by || ' ' || descending)
from (values ('created_at', false, 'A/ a/ dir 1/ z/ b.txt B.txt c_d cxd a.txt a-b'), ('created_at', true, 'A/ a/ dir 1/ z/ a-b a.txt cxd c_d B.txt b.txt'),
    ('updated_at', false, 'A/ a/ dir 1/ z/ a-b a.txt cxd c_d B.txt b.txt')) v (by, descending, expected);
select is(test.list('', by => 'created_at', n => 3, skip => 3), 'z/ b.txt B.txt', 'a page of that');
select is(test.list('', who => 'anon'), 'nothing', 'who may see nothing sees no folder either');
select is(test.list('', bucket => 'nowhere'), 'nothing', 'a bucket that is not there is empty');
select is(test.list('', bucket => 'test_other'), 'a/', 'each bucket has its own');
select is((test.rows('owner', $$ select storage.list('test_lists', '', '', 4, 0, 'name', false) as l $$) -> 0 -> 'l' -> 2)::text,
    '{"id": null, "name": "a", "metadata": null, "created_at": null, "updated_at": null, "last_accessed_at": null}', 'a folder is a name and nothing else');
select is((test.rows('owner', $$ select storage.list('test_lists', '', 'b.txt', 2, 1, 'name', false) as l $$) -> 0 -> 'l' -> 0) - 'id' - 'last_accessed_at',
    '{"name": "b.txt", "metadata": {"size": 1}, "created_at": "2026-01-02T00:00:00.000Z", "updated_at": "2025-12-31T00:00:00.000Z"}', 'a file has its times and metadata');

-- The second kind: names as they are, each with what is behind the last slash of
-- the prefix, and pages that are followed to the end.
create function test.pages(prefix text, by_folder boolean, n int, by text default 'name', descending boolean default false, who text default 'owner') returns text language plpgsql as $$
declare
    page jsonb;
    cursor text;
    pages text[] := '{}';
begin
    loop
        page := test.rows(who, format('select storage.list_v2(''test_lists'', %L, %L, %s, %L, %L, %L) as l', prefix, by_folder, n, by, descending, cursor)) -> 0 -> 'l';
        pages := pages || concat_ws(' ',
            (select string_agg(e ->> 'name' || '=' || (e ->> 'key'), ' ' order by place) from jsonb_array_elements(page -> 'folders') with ordinality j (e, place)),
            (select string_agg(e ->> 'name', ' ' order by place) from jsonb_array_elements(page -> 'objects') with ordinality j (e, place)));
        exit when not (page ->> 'hasNext')::boolean;
        cursor := page ->> 'nextCursor';
    end loop;
    assert not page ? 'nextCursor';
    return array_to_string(pages, ' | ');
end
$$;
select is(test.pages('', false, 100), 'A/4 B.txt a-b a.txt a/1.webm a/2.webm a/deep/er/3 b.txt c_d cxd dir 1/x z/locked', 'all names, by their bytes');
select is(test.pages('', false, 5), 'A/4 B.txt a-b a.txt a/1.webm | a/2.webm a/deep/er/3 b.txt c_d cxd | dir 1/x z/locked', 'by fives');
select is(test.pages('', false, 4, descending => true), 'z/locked dir 1/x cxd c_d | b.txt a/deep/er/3 a/2.webm a/1.webm | a.txt a-b B.txt A/4', 'from the end; a full last page is the last');
select is(test.pages('', true, 100), 'A/=A a/=a dir 1/=dir 1 z/=z B.txt a-b a.txt b.txt c_d cxd', 'folders and files');
select is(test.pages('', true, 2), 'A/=A B.txt | a-b a.txt | a/=a b.txt | c_d cxd | dir 1/=dir 1 z/=z', 'each once, though a page ends with it');
select is(test.pages('', true, 1, descending => true), 'z/=z | dir 1/=dir 1 | cxd | c_d | b.txt | a/=a | a.txt | a-b | B.txt | A/=A', 'the other way too');
select is(test.pages('a', true, 100), 'a/=a a-b a.txt', 'a prefix is part of a name');
select is(test.pages('a/', true, 2), 'a/1.webm a/2.webm | a/deep/=deep', 'or a folder');
select is(test.pages('a/d', false, 2), 'a/deep/er/3', 'or both');
select is(test.pages('', true, 3, 'created_at'), 'A/=A a/=a dir 1/=dir 1 | z/=z b.txt B.txt | c_d cxd a.txt | a-b', 'by a time, folders first');
select is(test.pages('', true, 3, 'created_at', true), 'A/=A a/=a dir 1/=dir 1 | z/=z a-b a.txt | cxd c_d B.txt | b.txt', 'the latest first');
select is(test.pages('', false, 5, 'updated_at'), 'dir 1/x a-b z/locked a.txt cxd | c_d B.txt A/4 a/deep/er/3 a/2.webm | a/1.webm b.txt', 'without folders');
update storage.objects set created_at = '2026-03-03' where bucket_id = 'test_lists';
select is(test.pages('', false, 5, 'created_at', true), 'z/locked dir 1/x cxd c_d b.txt | a/deep/er/3 a/2.webm a/1.webm a.txt a-b | B.txt A/4', 'also where all times are one');
select is(test.pages('', true, 5, who => 'anon'), '', 'nobody sees what is not theirs');
select is(test.try('owner', format('select storage.list_v2(''test_lists'', '''', false, 5, ''created_at'', false, %L)', cursor)), state, 'no cursor: ' || cursor)
from (values ('?', '22023'), ('/w==', '22021'), (encode(E'a\nb', 'base64'), '22007')) v (cursor, state);

-- Very many, beneath the policy that comes along: no statement of a list looks at
-- more than it shows.
drop policy "test" on storage.objects;
create policy "owner reads own files" on storage.objects for select to authenticated using ((storage.foldername(name))[1] = (select auth.uid())::text);
insert into storage.objects (bucket_id, name)
select 'test_lists', format('%s/%s%s.webm', test.id('owner'), case when i % 2 = 0 then 'd' || i % 40 || '/' end, i) from generate_series(1, 20000) i;
analyze storage.objects;
create function test.looked_at(statement text, who text default 'owner') returns bigint language plpgsql as $$
declare
    before bigint;
    read bigint;
begin
    perform pg_stat_force_next_flush(), pg_stat_clear_snapshot();
    select coalesce(sum(pg_stat_get_xact_tuples_returned(i.indexrelid)), 0) + pg_stat_get_xact_tuples_returned('storage.objects'::regclass) into before
    from pg_index i where i.indrelid = 'storage.objects'::regclass;
    perform test.rows(who, statement);
    select coalesce(sum(pg_stat_get_xact_tuples_returned(i.indexrelid)), 0) + pg_stat_get_xact_tuples_returned('storage.objects'::regclass) - before into read
    from pg_index i where i.indrelid = 'storage.objects'::regclass;
    return read;
end
$$;
select cmp_ok(test.looked_at(format('select storage.list(''test_lists'', %L, %L, 50, 0, ''name'', %L)', test.id('owner'), search, descending)), '<', most,
    'entries of 20,000: ' || search || ' ' || descending)
from (values ('', false, 1500::bigint), ('', true, 500), ('1', false, 500), ('d', false, 1500)) v (search, descending, most);
select cmp_ok(test.looked_at(format('select storage.list_v2(''test_lists'', %L, true, 50, ''name'', false, null)', test.id('owner') || '/')), '<', 1500::bigint, 'likewise of the second kind');
select is(test.looked_at(format('select storage.list(''test_lists'', %L, '''', 50, 0, ''name'', false)', test.id('stranger')), 'stranger'), 0::bigint, 'and nothing of the others''');

select finish();
rollback;
