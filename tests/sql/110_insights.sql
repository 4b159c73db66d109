-- Goal: an insight goes forward only, and each step has its time.
\ir ../lib/prelude.psql
select no_plan();

create function test.state(insight text) returns text language sql as $$
    select concat_ws(' ', status, case revealed_at when now() then 'revealed_at' end, case actioned_at when now() then 'actioned_at' end)
    from public.insights where content ->> 'name' = insight and user_id = test.id('owner')
$$;
create function test.set(insight text, status text) returns text language sql as $$
    select format('update public.insights set status = %L where content ->> ''name'' = %L and user_id = %L', status, insight, test.id('owner'))
$$;

select is(test.try('owner', $$ insert into public.insights (type, content) values ('nudge', '{"name": "a"}'), ('observation', '{"name": "b"}') $$), '2', 'owner keeps insights');
select is(test.state('a'), 'pending', 'one begins pending, without times');
select is(test.try('owner', test.set('a', 'pending')), '1', 'setting the same status');
select is(test.state('a'), 'pending', 'changes nothing');
select is(test.try('owner', test.set('a', 'revealed')), '1', 'it is revealed');
select is(test.state('a'), 'revealed revealed_at', 'and has the time');
update public.insights set revealed_at = '2000-01-01' where content ->> 'name' = 'a' and user_id = test.id('owner');
select is(test.try('owner', test.set('a', 'revealed')), '1', 'once more');
select is(revealed_at, '2000-01-01', 'the first time stays') from public.insights where content ->> 'name' = 'a' and user_id = test.id('owner');
select is(test.try('owner', test.set('a', 'actioned')), '1', 'it is acted on');
select is(test.state('a'), 'actioned actioned_at', 'and has that time too');
select is(revealed_at, '2000-01-01', 'and still the first') from public.insights where content ->> 'name' = 'a' and user_id = test.id('owner');
select is(test.try(who, test.set('a', status)), '23514', format('%s cannot set it back to %s', who, status)) from unnest(array['owner', 'service']) who, unnest(array['pending', 'revealed']) status;
select is(test.state('a'), 'actioned actioned_at', 'which changes nothing');
select is(test.try('owner', test.set('b', 'actioned')), '1', 'a step may be skipped');
select is(test.state('b'), 'actioned revealed_at actioned_at', 'what was acted on was seen');

select is(test.rows('owner', $$ insert into public.insights (type, status) values ('follow_up', 'revealed') returning revealed_at = now() as revealed, actioned_at $$),
    '[{"revealed": true, "actioned_at": null}]', 'one that is made revealed has its time');
select is(test.rows('service', format($$ insert into public.insights (user_id, type, status, revealed_at) values (%L, 'follow_up', 'revealed', '2001-01-01Z') returning revealed_at $$, test.id('owner'))),
    '[{"revealed_at": "2001-01-01T00:00:00+00:00"}]', 'an import keeps its own');

select is(test.try('owner', format('insert into public.insights (type) values (%L)', type)), expected, format('type %s: %s', type, expected))
from (values ('session_summary', '1'), ('nudge', '1'), ('follow_up', '1'), ('observation', '1'), ('judgement', '23514')) as v (type, expected);
select is(test.try('owner', test.set('a', 'dismissed')), '23514', 'status is a known word');
select is(test.try('owner', $$ update public.insights set rating = '{"stars": 5}', feedback = 'so true' where content ->> 'name' = 'a' $$), '1', 'owner answers it');
select is(test.try('owner', 'update public.insights set ' || change), '42501', 'owner cannot change it: ' || change)  -- D9
from unnest(array['content = ''{}''', 'type = ''nudge''', 'revealed_at = now()', 'actioned_at = null', 'created_at = now()']) as change;
select is(test.try('stranger', 'update public.insights set feedback = ''x'''), '0', 'stranger answers none');
select is(test.try('owner', 'delete from public.insights'), (select count(*)::text from public.insights where user_id = test.id('owner')), 'owner deletes them');

select finish();
rollback;
