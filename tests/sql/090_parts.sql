-- Goal: parts, their relationships and assessments are one user's, whoever
-- writes them, and evidence keeps the newest 10.
\ir ../lib/prelude.psql
select no_plan();

insert into public.parts (id, user_id, name) values
    ('0a0a0a0a-0000-4000-8000-000000000001', test.id('owner'), 'Critic'),
    ('0a0a0a0a-0000-4000-8000-000000000002', test.id('owner'), 'Child'),
    ('0b0b0b0b-0000-4000-8000-000000000001', test.id('stranger'), 'Guard');

create function test.part(name text) returns text language sql as $$
    select id::text from public.parts p where p.name = part.name and p.user_id in (test.id('owner'), test.id('stranger'))
$$;

-- Parts
select is(test.rows('owner', $$ insert into public.parts (name) values ('Planner') returning user_id, status, confidence_score, recent_evidence, attributes $$),
    '[{"user_id": "0a0a0a0a-0000-4000-8000-00000000000a", "status": "emerging", "confidence_score": null, "recent_evidence": [], "attributes": {}}]',
    'a part is its maker''s, and emerging');
select is(test.probe('owner', format('update public.parts set status = %L', status)), '3', 'a part may be ' || status)
from unnest(array['emerging', 'acknowledged', 'active', 'integrated']) as status;
select is(test.try('owner', 'update public.parts set ' || change), '23514', 'refused: ' || change)
from unnest(array['status = ''gone''', 'confidence_score = 1.01', 'confidence_score = -0.01', 'confidence_score = ''NaN''', 'name = ''''',
    'name = repeat(''x'', 201)', 'recent_evidence = array[''[1]''::jsonb]', 'recent_evidence = array[array[''1''::jsonb]]',
    'recent_evidence = array[''null''::jsonb]', 'recent_evidence = array[null::jsonb]',
    'recent_evidence = array[''{"a":[1e131000,1e131000,1e131000,1e131000,1e131000,1e131000,1e131000,1e131000]}''::jsonb]']) as change;
select is(test.probe('owner', 'update public.parts set confidence_score = ' || score), '3', 'confidence may be ' || score) from unnest(array['0', '0.5', '1', 'null']) as score;
select is(test.try('owner', format('update public.parts set user_id = %L', test.id('stranger'))), '42501', 'a part cannot be given away');
select is(test.try('service', format('update public.parts set user_id = %L where id = ''0a0a0a0a-0000-4000-8000-000000000001''', test.id('stranger'))), '42501', 'the service cannot give it away either');
select is(test.try('service', format('update public.parts set user_id = %L where id = ''0a0a0a0a-0000-4000-8000-000000000001''', test.id('owner'))), '1', 'sending the same user changes nothing');
update public.parts set updated_at = '2000-01-01' where id::text = test.part('Critic');
select is(updated_at, now(), 'updated_at is the server''s') from public.parts where id::text = test.part('Critic');

-- Evidence
create function test.evidence() returns text language sql as $$
    select string_agg(e #>> '{}', ' ' order by place) || ', lower bound ' || array_lower(recent_evidence, 1)
    from public.parts, unnest(recent_evidence) with ordinality as u (e, place) where id = '0a0a0a0a-0000-4000-8000-000000000001' group by recent_evidence
$$;
create function test.evidence_of(first int, last int, bounds text default '') returns text language sql as $$
    select format('update public.parts set recent_evidence = %L where id = ''0a0a0a0a-0000-4000-8000-000000000001''', bounds || array_agg(to_jsonb(i))::text) from generate_series(first, last) i
$$;
select is(test.try('owner', test.evidence_of(1, 10)), '1', 'ten pieces of evidence');
select is(test.evidence(), '1 2 3 4 5 6 7 8 9 10, lower bound 1', 'are kept');
select is(test.try('owner', $$ update public.parts set recent_evidence = recent_evidence || '11'::jsonb where name = 'Critic' $$), '1', 'one more');
select is(test.evidence(), '2 3 4 5 6 7 8 9 10 11, lower bound 1', 'drops the oldest');
select is(test.try('owner', test.evidence_of(1, 1000)), '1', 'a thousand at once');
select is(test.evidence(), '991 992 993 994 995 996 997 998 999 1000, lower bound 1', 'leave the newest ten');
select is(test.try('owner', test.evidence_of(1, 12, '[5:16]=')), '1', 'twelve, counted from five');
select is(test.evidence(), '3 4 5 6 7 8 9 10 11 12, lower bound 1', 'leave ten, counted from one');
select is(test.rows('owner', $$ insert into public.parts (name, recent_evidence) select 'Full', array_agg(jsonb_build_object('quote', i)) from generate_series(1, 11) i
    returning cardinality(recent_evidence) as kept, recent_evidence[1] as oldest $$), '[{"kept": 10, "oldest": {"quote": 2}}]', 'an insert too keeps the newest ten');

-- Relationships
create function test.relate(from_part text, to_part text, rest text default '') returns text language sql as $$
    select format('insert into public.part_relationships (from_part_id, to_part_id, relationship_type%s) values (%L, %L, ''polarized''%s)',
        case when rest <> '' then ', user_id' else '' end, from_part, to_part, rest)
$$;
select is(test.try('owner', test.relate(test.part('Critic'), test.part('Child'))), '1', 'owner relates two parts');
select is(test.try('owner', test.relate(test.part('Critic'), test.part('Critic'))), '23514', 'a part has no relationship to itself');
select is(test.try('owner', test.relate(f, t)), '42501', format('refused: from %s to %s', f, t))  -- D7
from (values (test.part('Critic'), test.part('Guard')), (test.part('Guard'), test.part('Critic')), (test.part('Critic'), gen_random_uuid()::text), (gen_random_uuid()::text, test.part('Critic'))) as v (f, t);
select is(test.try('owner', format('update public.part_relationships set %I = %L', c, test.part('Guard'))), '42501', c || ' cannot become a stranger''s part') from unnest(array['from_part_id', 'to_part_id']) c;
select is(test.probe('owner', format('update public.part_relationships set relationship_type = %L', kind)), '1', 'two parts may be ' || kind) from unnest(array['protector-exile', 'polarized', 'allied']) as kind;
select is(test.try('owner', 'update public.part_relationships set ' || change), '23514', 'refused: ' || change)
from unnest(array['relationship_type = ''enemies''', 'polarization_level = -1', 'polarization_level = 11', 'to_part_id = from_part_id']) as change;
select is(test.probe('owner', 'update public.part_relationships set polarization_level = ' || level), '1', 'polarization may be ' || level) from unnest(array['0', '10', 'null']) as level;

-- The same holds for the service, which passes the policies.
select is(test.try('service', test.relate(f, t, format(', %L', test.id('owner')))), expected, 'service: ' || what)
from (values
    (test.part('Critic'), test.part('Full'), '1', 'relates two parts of a user'),
    (test.part('Critic'), test.part('Guard'), '23514', 'not to another user''s part'),
    (test.part('Guard'), test.part('Critic'), '23514', 'not from another user''s part'),
    (test.part('Critic'), gen_random_uuid()::text, '23503', 'not to a part that is not there')
) as v (f, t, expected, what);
select is(test.try('service', test.relate(test.part('Critic'), test.part('Child'), format(', %L', test.id('stranger')))), '23514', 'service: not for a user who has neither part');
select is(test.try('service', format('update public.part_relationships set user_id = %L where user_id = %L', test.id('stranger'), test.id('owner'))), '23514', 'service: a relationship stays with its parts');

-- Assessments
create function test.assess(who text, part text) returns text language sql as $$
    select format('insert into public.part_assessments (user_id, part_id, assessment_type, content) values (%L, %L, ''role'', ''{"seen": "often"}'')', test.id(who), test.part(part))
$$;
select is(test.try('owner', test.assess('owner', 'Critic')), '1', 'owner assesses a part');
select is(test.try('owner', test.assess('owner', 'Guard')), '42501', 'but no stranger''s');
select is(test.try('owner', format('update public.part_assessments set part_id = %L', test.part('Guard'))), '42501', 'nor later');
select is(test.try('owner', 'update public.part_assessments set assessment_type = '''''), '23514', 'an assessment has a type');
select is(test.try('service', test.assess('owner', 'Guard')), '23514', 'service: an assessment is the user''s whose part it is of');

-- What hangs on a part goes with it, and nothing else.
select is(test.try('owner', format('delete from public.parts where id = %L', test.part('Critic'))), '1', 'owner deletes a part');
select is((select count(*) from public.part_relationships where user_id = test.id('owner')) + (select count(*) from public.part_assessments where user_id = test.id('owner')), 0::bigint,
    'its relationships and assessments are gone');
select is(test.rows('owner', 'select name from public.parts order by name'), '[{"name": "Child"}, {"name": "Full"}, {"name": "Planner"}]', 'the other parts are there');

select finish();
rollback;
