-- Goal: a search shows what was ranked, and of that only what the caller may see.
\ir ../lib/prelude.psql
select no_plan();

create function test.vector(first float4) returns extensions.vector language sql as $$
    select extensions.vector_in('[' || first || repeat(',0', 1535) || ']')
$$;
insert into public.memories (id, user_id, content, embedding)
values ('0d0d0d0d-0000-4000-8000-000000000001', test.id('owner'), 'tea', test.vector(1)),
    ('0d0d0d0d-0000-4000-8000-000000000002', test.id('owner'), 'rain', test.vector(2)),
    ('0d0d0d0d-0000-4000-8000-000000000003', test.id('stranger'), 'secret', test.vector(1));
insert into public.documents (id, user_id, filename)
values ('0e0e0e0e-0000-4000-8000-000000000001', test.id('owner'), 'one.txt'), ('0e0e0e0e-0000-4000-8000-000000000002', test.id('stranger'), 'two.txt');
insert into public.chunks (id, document_id, content, chunk_index, embedding)
values ('0f0f0f0f-0000-4000-8000-000000000001', '0e0e0e0e-0000-4000-8000-000000000001', 'one', 0, test.vector(1)),
    ('0f0f0f0f-0000-4000-8000-000000000002', '0e0e0e0e-0000-4000-8000-000000000002', 'two', 0, test.vector(1));

-- As the program does it: what is ranked stands in the setting.
create function test.ranked(prefix text, numbers text) returns text language sql as $$
    select set_config('kith.computed', json_agg(json_build_object('id', prefix || '-0000-4000-8000-00000000000' || n,
        'similarity', 0.5, 'relevance', 1.0 / n::int) order by place)::text, true)
    from regexp_split_to_table(numbers, ' ') with ordinality as r (n, place)
$$;

select is(test.try('owner', 'select * from public.search_memories()'), '0A000', 'without a ranking there is no search');
select is(test.try('owner', format('select * from public.search_chunks(%L)', '0e0e0e0e-0000-4000-8000-000000000001')), '0A000', 'nor of chunks');

select test.ranked('0d0d0d0d', '3 2 1') \g /dev/null
select is(test.rows('owner', 'select content, similarity, relevance from public.search_memories()'),
    '[{"content": "tea", "similarity": 0.5, "relevance": 1}, {"content": "rain", "similarity": 0.5, "relevance": 0.5}]',
    'the ranked ones, the most relevant first; a stranger''s is not shown, whoever ranked it');
select is(test.rows('stranger', 'select content from public.search_memories()'), '[{"content": "secret"}]', 'who has that one of them');
select is(test.try('nobody', 'select * from public.search_memories()'), '0', 'without an account there is none');
select is(test.try('anon', 'select * from public.search_memories()'), '42501', 'without signing in, no search');
select is(test.try('owner', format('select * from public.search_memories(user_id => %L)', test.id('stranger'))), '42501', 'nor a stranger''s');
select is(test.try('owner', 'select * from public.search_memories(user_id => null)'), '22023', 'nor nobody''s');
select is(test.try('service', 'select * from public.search_memories()'), '22023', 'the service must say whose');
select is(test.try('service', format('select * from public.search_memories(user_id => %L)', test.id('owner'))), '3', 'then it sees what was ranked');
select set_config('kith.computed', '[]', true) \g /dev/null
select is(test.try('owner', 'select * from public.search_memories()'), '0', 'an empty ranking finds nothing');

select test.ranked('0f0f0f0f', '2 1') \g /dev/null
select is(test.rows('owner', format('select content, similarity from public.search_chunks(%L)', '0e0e0e0e-0000-4000-8000-000000000001')),
    '[{"content": "one", "similarity": 0.5}]', 'chunks are the document owner''s');
select is(test.try('anon', format('select * from public.search_chunks(%L)', '0e0e0e0e-0000-4000-8000-000000000001')), '42501', 'and nobody else''s');

-- A column that is added to a table is added to what is found in it.
select is(array(select a.attname::text from pg_attribute a where a.attrelid = ('public.' || found)::regclass and a.attnum > extra and not a.attisdropped order by a.attnum),
    array(select a.attname::text from pg_attribute a where a.attrelid = ('public.' || source)::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum),
    found || ' has the columns of ' || source)
from (values ('memory_match', 'memories', 2), ('chunk_match', 'chunks', 1)) as t (found, source, extra);

-- Half the time of a search would go into fetching what does not lie in the row.
select ok(reloptions @> '{toast_tuple_target=8160}', oid::regclass || ' keeps its embeddings in the row')
from pg_class where oid in ('public.memories'::regclass, 'public.chunks'::regclass);

select finish();
rollback;
