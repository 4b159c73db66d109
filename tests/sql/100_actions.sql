-- Goal: what an agent does is done as the user, recorded, and undone exactly or
-- not at all.  Two undoing at once are in actions.t.
\ir ../lib/prelude.psql
select no_plan();

insert into public.conversations (id, user_id) values
    ('0a0a0a0a-0000-4000-8000-0000000000c0', test.id('owner')), ('0b0b0b0b-0000-4000-8000-0000000000c0', test.id('stranger'));
insert into public.parts (id, user_id, name) values ('0b0b0b0b-0000-4000-8000-000000000001', test.id('stranger'), 'Guard');

-- Numbered ids: 1 is ...01.
create function test.n(n int) returns text language sql as $$ select '0a0a0a0a-0000-4000-8000-0000000000' || lpad(n::text, 2, '0') $$;
create function test.act(action text, entity text, id text default null, payload jsonb default '{}', session text default null) returns text language sql as $$
    select format('select * from public.agent_act(session_id => %L, action_type => %L, entity_type => %L, entity_id => %L, payload => %L)', session, action, entity, id, payload)
$$;
create function test.undo(action uuid) returns text language sql as $$ select format('select * from public.revert_agent_action(id => %L)', action) $$;
-- Does it as the owner.  The id of the action.
create function test.done(action text, entity text, id text default null, payload jsonb default '{}') returns uuid language sql as $$
    select (test.rows('owner', test.act(action, entity, id, payload)) -> 0 ->> 'id')::uuid
$$;
-- All that the owner has, but for updated_at.
create function test.world() returns jsonb language sql as $$
    select test.rows('owner', $q$
        select to_jsonb(p) - 'updated_at' as r from public.parts p
        union all select to_jsonb(r) - 'updated_at' from public.part_relationships r
        union all select to_jsonb(a) - 'updated_at' from public.part_assessments a order by 1
    $q$)
$$;
create table test.worlds (name text primary key, world jsonb);
create function test.keep(name text) returns void language sql as $$ insert into test.worlds values (name, test.world()) on conflict (name) do update set world = excluded.world $$;
create function test.same(name text, because text) returns text language sql as $$ select is(test.world(), w.world, because) from test.worlds w where w.name = same.name $$;

-- Create, update, delete; the record says what was before and after.
select test.keep('empty') \g /dev/null
select is(
    (select r - 'id' - 'created_at' - 'entity_id' - 'result' || jsonb_build_object('before', r #> '{result,before}', 'same_id', r -> 'entity_id' = r #> '{result,after,id}', 'after', r #>> '{result,after,name}')
     from jsonb_array_elements(test.rows('owner', test.act('create_part', 'part', null, '{"name": "Critic", "recent_evidence": ["a", {"b": 1}]}', '0a0a0a0a-0000-4000-8000-0000000000c0'))) r),
    jsonb_build_object('user_id', test.id('owner'), 'session_id', '0a0a0a0a-0000-4000-8000-0000000000c0', 'action_type', 'create_part', 'entity_type', 'part', 'reverted_at', null,
        'payload', '{"name": "Critic", "recent_evidence": ["a", {"b": 1}]}'::jsonb, 'before', null, 'same_id', true, 'after', 'Critic'),
    'an agent creates a part, and the answer is the record');
select is((select jsonb_agg(to_jsonb(p.recent_evidence)) from public.parts p where user_id = test.id('owner')), '[["a", {"b": 1}]]', 'the part is there, the owner''s');
select is(result -> 'after', to_jsonb(p), 'the record holds it as it is') from public.agent_actions a join public.parts p on p.id = a.entity_id where a.user_id = test.id('owner');
select is(test.try('owner', test.undo(id)), '1', 'undone') from public.agent_actions where user_id = test.id('owner');
select test.same('empty', 'it is gone');
select is(test.rows('owner', 'select reverted_at = now() as r from public.agent_actions'), '[{"r": true}]', 'the record says when');

create table test.actions (name text primary key, id uuid);
insert into test.actions values
    ('critic', test.done('create_part', 'part', test.n(1), '{"name": "Critic", "confidence_score": 0.1, "attributes": {"age": null, "list": [1, null]}}')),
    ('child', test.done('create_part', 'part', test.n(2), '{"name": "Child", "story": "hid"}'));
create function test.action(name text) returns uuid language sql as $$ select id from test.actions a where a.name = action.name $$;
select is((select array_agg(id::text order by id) from public.parts where user_id = test.id('owner')), array[test.n(1), test.n(2)], 'an agent may choose the id');
select test.keep('two parts') \g /dev/null
insert into test.actions select 'evidence', test.done('update_part', 'part', test.n(1), jsonb_build_object('confidence_score', 0.7, 'recent_evidence', (select jsonb_agg(i) from generate_series(1, 12) i)));
select is((result #> '{before,confidence_score}', result #> '{after,confidence_score}', result #> '{after,recent_evidence}'), ('0.1'::jsonb, '0.7'::jsonb, '[3,4,5,6,7,8,9,10,11,12]'::jsonb),
    'an update records the values before, and after as the triggers made them') from public.agent_actions where id = test.action('evidence');
insert into test.actions select 'status', test.done('update_part_status', 'part', test.n(1), '{"status": "active"}');

-- Undoing in order, and out of it.
select is(test.refusal('owner', test.undo(test.action('evidence'))), 'PT409 | the part was changed since | Undo the later changes first, the newest before the others.', 'the earlier of two changes is not undone');
select is(test.refusal('owner', test.undo(test.action('critic'))), 'PT409 | the part was changed since | Undo the later changes first, the newest before the others.', 'nor the creation');
select is(reverted_at, null, 'nor are they marked') from public.agent_actions where id in (test.action('evidence'), test.action('critic'));
select is(test.rows('owner', 'select status, confidence_score from public.parts where name = ''Critic'''), '[{"status": "active", "confidence_score": 0.7}]', 'nothing is written');
select is(test.try('owner', test.undo(test.action('status'))), '1', 'the later one is');
select alike(test.refusal('owner', test.undo(test.action('status'))), 'PT409 | the action was undone before | It was undone at %', 'once');
select is(test.try('owner', test.undo(test.action('evidence'))), '1', 'then the earlier one');
select test.same('two parts', 'and all is as it was');

-- A change that is none of the agent's counts as well; going back by hand does not.
insert into test.actions select 'story', test.done('update_part', 'part', test.n(2), '{"story": "spoke"}');
update public.parts set attributes = '{"x": 1}', updated_at = now() where id::text = test.n(2);
select is(test.refusal('owner', test.undo(test.action('story'))), 'PT409 | the part was changed since | Undo the later changes first, the newest before the others.', 'any column counts');
update public.parts set attributes = '{}' where id::text = test.n(2);
select is(test.try('owner', test.undo(test.action('story'))), '1', 'what was set back does not');
select test.same('two parts', 'undone');

-- Relationships and assessments.
insert into test.actions values
    ('relate', test.done('create_relationship', 'part_relationship', test.n(3), jsonb_build_object('from_part_id', test.n(1), 'to_part_id', test.n(2), 'relationship_type', 'polarized', 'polarization_level', 7))),
    ('assess', test.done('create_assessment', 'part_assessment', test.n(4), jsonb_build_object('part_id', test.n(1), 'assessment_type', 'role', 'content', '{"a": null, "b": [{"c": null}]}'::jsonb)));
select is(test.refusal('owner', test.undo(test.action(part))), 'PT409 | the part has relationships or assessments | Undo or delete those first: they would go with the part.', 'undoing the creation takes nothing along: ' || part) from unnest(array['critic', 'child']) part;
select test.keep('all') \g /dev/null
insert into test.actions values ('level', test.done('update_part_relationship', 'part_relationship', test.n(3), '{"polarization_level": 2, "notes": "eased"}')), ('content', test.done('update_assessment', 'part_assessment', test.n(4), '{"content": []}'));
select is(test.try('owner', test.undo(test.action(name))), '1', 'undone: ' || name) from unnest(array['level', 'content']) name;
select test.same('all', 'as before');
insert into test.actions values ('unrelate', test.done('delete_relationship', 'part_relationship', test.n(3))), ('unassess', test.done('delete_part_assessment', 'part_assessment', test.n(4)));
select test.same('two parts', 'an agent deletes both');
select is(test.refusal('owner', test.undo(test.action('relate'))), 'PT409 | the part relationship is gone | If another action deleted it, undo that one first.', 'what is gone cannot be uncreated');
select is(test.try('owner', test.undo(test.action(name))), '1', 'undone: ' || name) from unnest(array['unrelate', 'unassess']) name;
select test.same('all', 'they are back, with their ids and all');

-- A deleted part takes them along, and brings them back.
insert into test.actions select 'part gone', test.done('delete_part', 'part', test.n(1));
select is((select r -> 'name' from jsonb_array_elements(test.world()) x, lateral (select x -> 'r') l (r)), '"Child"', 'one part is left, and nothing of the other');
select is(jsonb_array_length(result #> '{cascaded,part_relationships}') || ' ' || jsonb_array_length(result #> '{cascaded,part_assessments}'), '1 1', 'the record holds what went with it') from public.agent_actions where id = test.action('part gone');
insert into test.actions select 'other gone', test.done('delete_part', 'part', test.n(2));
select is(result ? 'cascaded', false, 'the other took nothing along') from public.agent_actions where id = test.action('other gone');
select is(test.refusal('owner', test.undo(test.action('part gone'))), 'PT409 | the part cannot be as it was | A part that it refers to is gone, or its id is taken. | If another action deleted the part, undo that one first.', 'a relationship needs its other part');
select test.same('empty', 'a refused undo leaves nothing of itself');
select is(test.try('owner', test.undo(test.action('other gone'))), '1', 'the last deletion is undone');
select is(test.try('owner', test.undo(test.action('part gone'))), '1', 'then the one before');
select test.same('all', 'and all is back');
select is(test.try('owner', test.undo(test.action('assess'))), '1', 'an action from before the deletion can still be undone');
insert into test.actions select 'part gone again', test.done('delete_part', 'part', test.n(1));
insert into public.parts (id, user_id, name) values (test.n(1)::uuid, test.id('owner'), 'Another');
select is(test.refusal('owner', test.undo(test.action('part gone again'))), 'PT409 | the part was changed since | Undo the later changes first, the newest before the others.', 'an id that is used again is not overwritten');
select is((select count(*) from pg_constraint where contype = 'f' and confrelid in ('public.parts'::regclass, 'public.part_relationships'::regclass, 'public.part_assessments'::regclass)), 3::bigint,
    'nothing else goes with a part: kith.agent_cascade knows all');

-- Whose.
select is(test.refusal('stranger', test.undo(test.action('unassess'))), 'PT404 | there is no such action', 'another user''s action is as absent');
select is(test.refusal('owner', test.undo(gen_random_uuid())), 'PT404 | there is no such action', 'as one that is');
select is(test.refusal('stranger', test.act('update_part', 'part', test.n(2), '{"name": "Mine"}')), 'PT404 | there is no such part | entity_id names the row to change; it may be gone.', 'so is another user''s part');
select is(test.refusal('stranger', test.act('delete_part', 'part', test.n(2))), 'PT404 | there is no such part | entity_id names the row to change; it may be gone.', 'which is not deleted');
select is(test.try('stranger', test.act('create_part', 'part', test.n(2), '{"name": "Mine"}')), '23505', 'nor replaced');
select is(test.try('stranger', test.act('create_assessment', 'part_assessment', null, jsonb_build_object('part_id', test.n(2), 'assessment_type', 'x'))), '42501', 'nor assessed');
select is(test.try('stranger', test.act('create_relationship', 'part_relationship', null, jsonb_build_object('from_part_id', test.n(2), 'to_part_id', '0b0b0b0b-0000-4000-8000-000000000001', 'relationship_type', 'allied'))), '42501', 'nor related');
select is(test.refusal('owner', test.act('create_part', 'part', null, '{"name": "x"}', session)), '42501 | the session is not one of the user''s', 'a session that is not the user''s is refused')
from unnest(array['0b0b0b0b-0000-4000-8000-0000000000c0', gen_random_uuid()::text]) session;
select is(test.try('anon', test.act('create_part', 'part', null, '{"name": "x"}')), '42501', 'anon does not act');
select is(test.try('anon', test.undo(gen_random_uuid())), '42501', 'nor undo');
select is(test.refusal('service', test.act('create_part', 'part', null, '{"name": "x"}')), '42501 | an agent acts for a user | Call this with the token of the user whose data it is.', 'the service acts for nobody');
select is(test.refusal('service', test.undo(test.action('unassess'))), '42501 | an agent acts for a user | Call this with the token of the user whose data it is.', 'nor undoes');
select is(test.rows('stranger', 'select * from public.agent_actions'), '[]', 'stranger sees no action');
select is(test.try('owner', statement), '42501', 'the record is read only: ' || statement)
from unnest(array['insert into public.agent_actions (action_type, entity_type, entity_id) values (''create_part'', ''part'', gen_random_uuid())',
    'update public.agent_actions set reverted_at = null', 'update public.agent_actions set result = ''{}''', 'delete from public.agent_actions']) statement;

-- Bad input: the name of what is wrong, and nothing is written.
select test.keep('before errors') \g /dev/null
create table test.recorded as select count(*) from public.agent_actions where user_id = test.id('owner');
select is(test.refusal('owner', test.act(action, entity, test.n(2), payload::jsonb)), expected, format('refused: %s %s %s', action, entity, payload))
from (values
    ('paint_part', 'part', '{}', '22023 | action type "paint_part" is not known | Use create_, update_ or delete_ and part, relationship or assessment, such as create_part.'),
    ('create_party', 'part', '{}', '22023 | action type "create_party" is not known | Use create_, update_ or delete_ and part, relationship or assessment, such as create_part.'),
    (null, 'part', '{}', '22023 | action type "" is not known | Use create_, update_ or delete_ and part, relationship or assessment, such as create_part.'),
    ('create_user', 'user', '{}', '22023 | action type "create_user" is not known | Use create_, update_ or delete_ and part, relationship or assessment, such as create_part.'),
    ('create_part', 'parts', '{}', '22023 | entity type "parts" is not known | Use part, part_relationship or part_assessment.'),
    ('create_part', null, '{}', '22023 | entity type "" is not known | Use part, part_relationship or part_assessment.'),
    ('create_part', 'part_assessment', '{}', '22023 | action type "create_part" does not fit entity type "part_assessment"'),
    ('create_part_relationship', 'part', '{}', '22023 | action type "create_part_relationship" does not fit entity type "part"'),
    ('update_assessment', 'part_relationship', '{}', '22023 | action type "update_assessment" does not fit entity type "part_relationship"'),
    ('update_part', 'part', '{}', '22023 | payload has nothing to update'),
    ('delete_part', 'part', '{"name": "x"}', '22023 | payload must be empty to delete'),
    ('update_part', 'part', '[]', '22023 | payload must be an object of columns and their values'),
    ('update_part', 'part', '{"colour": "red"}', '22023 | payload: "colour" is no column that an agent may write | Use name, story, status, confidence_score, recent_evidence, attributes.'),
    ('update_part', 'part', '{"user_id": "0b0b0b0b-0000-4000-8000-00000000000b"}', '22023 | payload: "user_id" is no column that an agent may write | Use name, story, status, confidence_score, recent_evidence, attributes.'),
    ('update_part', 'part', '{"confidence_score": "high"}', '22023 | payload: "confidence_score" is not of type double precision'),
    ('update_part', 'part', '{"confidence_score": 1e999}', '22023 | payload: "confidence_score" is not of type double precision'),
    ('update_part', 'part', '{"name": {"first": "x"}}', '22023 | payload: "name" is not of type text'),
    ('update_part', 'part', '{"recent_evidence": "x"}', '22023 | payload: "recent_evidence" is not of type jsonb[]'),
    ('create_relationship', 'part_relationship', '{"polarization_level": 1.5}', '22023 | payload: "polarization_level" is not of type integer'),
    ('create_relationship', 'part_relationship', '{"from_part_id": "x"}', '22023 | payload: "from_part_id" is not of type uuid')
) as v (action, entity, payload, expected);
select is(test.try('owner', test.act('update_part', 'part', test.n(2), payload::jsonb)), expected, 'the table''s own rule holds: ' || payload)
from (values ('{"status": "gone"}', '23514'), ('{"confidence_score": 2}', '23514'), ('{"name": null}', '23502'), ('{"name": ""}', '23514')) as v (payload, expected);
select is(test.refusal('owner', test.act('create_part', 'part', null, jsonb_build_object(name, '2020-01-01'))), format('22023 | payload: "%s" is no column that an agent may write | Use name, story, status, confidence_score, recent_evidence, attributes.', name),
    'not given: ' || name) from unnest(array['id', 'user_id', 'created_at', 'updated_at']) name;
select test.same('before errors', 'nothing was written');
select is((select count(*) from public.agent_actions where user_id = test.id('owner')), count, 'nor recorded') from test.recorded;

-- What is too much to be answered is not done.
insert into public.part_assessments (user_id, part_id, assessment_type, content)
select test.id('owner'), test.n(2)::uuid, 'long', to_jsonb(repeat('x', 900000)) from generate_series(1, 5);
select alike(test.refusal('owner', test.act('delete_part', 'part', test.n(2))), '23514 | %agent_actions_result_size%', 'a part with very much on it is not deleted by an agent');
delete from public.part_assessments where assessment_type = 'long';
select test.same('before errors', 'and all is as it was');

-- Whatever zone the session speaks, the record is in UTC, and equal.
insert into test.actions values ('zone', test.done('update_part', 'part', test.n(2), '{"name": "Kid"}'));
set local timezone = 'Asia/Kathmandu';
select is(test.try('owner', test.undo(test.action('zone'))), '1', 'another time zone is no change');
set local timezone = 'UTC';
select test.same('before errors', 'and it was undone');

-- An import may hold anything; undoing it does what the user could do, or nothing.
insert into public.agent_actions (id, user_id, action_type, entity_type, entity_id, result) values
    (test.n(50)::uuid, test.id('owner'), 'merge_parts', 'part', test.n(2)::uuid, '{}'),
    (test.n(51)::uuid, test.id('owner'), 'update_part', 'part', '0b0b0b0b-0000-4000-8000-000000000001', '{"before": {"name": "Mine"}, "after": {"name": "Guard"}}'),
    (test.n(52)::uuid, test.id('owner'), 'delete_part', 'part', '0b0b0b0b-0000-4000-8000-000000000001', '{"before": {"id": "0b0b0b0b-0000-4000-8000-000000000001", "name": "Mine"}, "after": null}');
select is(test.refusal('owner', test.undo(test.n(n)::uuid)), expected, format('import %s: %s', n, expected))
from (values (50, 'PT409 | the action has no record of what it changed'), (51, 'PT409 | the part is gone | If another action deleted it, undo that one first.'),
    (52, 'PT409 | the part cannot be as it was | A part that it refers to is gone, or its id is taken. | If another action deleted the part, undo that one first.')) as v (n, expected);
select is(test.rows('stranger', 'select name from public.parts'), '[{"name": "Guard"}]', 'the stranger''s part is untouched');

-- The record outlives the session, and goes with the user.
select is(test.try('owner', 'delete from public.conversations'), '1', 'the session is deleted');
select is(count(*) filter (where session_id is null), count(*), 'its actions are still there') from public.agent_actions where user_id = test.id('owner');
delete from auth.users where id = test.id('owner');
select is((select count(*) from public.agent_actions where user_id = test.id('owner')), 0::bigint, 'a deleted user leaves none');

select finish();
rollback;
