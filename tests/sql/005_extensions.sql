-- Goal: an embedding comes back as it went in, and rubbish is refused.
\ir ../lib/prelude.psql
select no_plan();

create function test.vector(number text) returns text language sql as $$
    select '[' || string_agg(number, ',') || ']' from generate_series(1, 1536)
$$;
-- Every exponent a float4 has, both signs; with it the denormal ones and zero.
select setseed(0.5) \g /dev/null
create table test.sample as
select '[' || string_agg(case i when 1 then '0' when 2 then '-0' when 3 then '1e-45' when 4 then '-3.4028235e+38' when 5 then '1.1754944e-38'
    else ((random() - 0.5) * power(10, random() * 80 - 42))::float4::text end, ',' order by i) || ']' as text
from generate_series(1, 1536) i;

select is(extensions.vector_out(extensions.vector_in(text))::text, text, 'every finite float4 survives') from test.sample;
select is(extensions.vector_out(extensions.vector_in(test.vector(' 0.1 ')))::text, test.vector('0.1'), 'blanks are allowed');
select ok(extensions.vector_in(null) is null, 'null stays null');
-- pgvector tells some of these apart by another code of the same class.
select matches(test.try('owner', format('select extensions.vector_in(%L)', test.vector(number))), '^22', 'refused: ' || number)
from unnest(array['NaN', 'Infinity', '-inf', '', 'x', '1e', '1e99', '{1}', 'NULL', '"1"', '1 2', '--1']
    || case kith.vector_type() when 'extensions.vector' then '{0x10}'::text[] end) as number;  -- pgvector reads it as 16
select matches(test.try('owner', format('select extensions.vector_in(%L)', text)), '^22', 'refused: ' || text)
from unnest(array['', '1', '{1,2}', '[[1,2]]', '[1,2', '1,2]', '[1,2]]', '[1],[2]', '(1,2)', '[1,2];']) as text;
select matches(test.try('owner', format('select extensions.vector_in(%L)', text)), '^22', 'wrong dimension refused: ' || text)
from unnest(array['[1]', '[1,2,3]', '[]']) as text;

insert into public.memories (user_id, content, embedding) select test.id('owner'), 'tea', extensions.vector_in(text) from test.sample;
select is(test.rows('owner', 'select extensions.vector_out(embedding)::text as text from public.memories') -> 0 ->> 'text', text,
    'the owner reads the text back') from test.sample;
select is(test.try('owner', format('update public.memories set embedding = extensions.vector_in(%L)', test.vector('0.5'))), '1',
    'the owner writes it by its text');
select ok(provolatile = 'i' and proisstrict and proparallel = 's', oid::regprocedure || ' is strict, immutable and parallel safe')
from pg_proc where pronamespace = 'extensions'::regnamespace and proname in ('vector_in', 'vector_out') and prolang <> 13;

select finish();
rollback;
