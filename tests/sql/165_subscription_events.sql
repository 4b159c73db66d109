-- Goal: events are read by whom they concern, added by the server, and never changed.
\ir ../lib/prelude.psql
select no_plan();

insert into public.workspaces (id, name, owner_id) values
    ('0a0a0a0a-0000-4000-8000-000000000001', 'one', test.id('owner')), ('0a0a0a0a-0000-4000-8000-000000000002', 'two', test.id('owner')),
    ('0b0b0b0b-0000-4000-8000-000000000001', 'other', test.id('stranger'));
select is(test.rows('service', $$ insert into public.subscription_events (workspace_id, event_type, ls_subscription_id, ls_customer_id, payload)
    values ('0a0a0a0a-0000-4000-8000-000000000001', 'subscription_created', '481223', '90210', '{"data": 1}') returning user_id, event_source $$),
    '[{"user_id": "0a0a0a0a-0000-4000-8000-00000000000a", "event_source": "lemonsqueezy"}]', 'an event is the workspace owner''s');
select is(test.try('service', format('insert into public.subscription_events (workspace_id, user_id, event_type) values (%L, %L, ''x'')',
    '0a0a0a0a-0000-4000-8000-000000000002', test.id(who))), state, 'with user_id of ' || who) from (values ('owner', '1'), ('stranger', '42501')) as w (who, state);
select is(test.try('service', 'insert into public.subscription_events (event_type) values (''x'')'), '23502', 'an event is somebody''s');
select is(test.rows('owner', 'select event_type from public.subscription_events order by 1'), '[{"event_type": "subscription_created"}, {"event_type": "x"}]', 'owner sees own');
select is(test.rows('stranger', 'select event_type from public.subscription_events'), '[]', 'stranger sees none');

create table test.before as select to_jsonb(e) as event from public.subscription_events e where user_id = test.id('owner');
create function test.changes() returns setof text language sql as $$
    select format(change, test.id('owner'), test.id('stranger'))
    from unnest(array[
        'update public.subscription_events set payload = ''{}'' where user_id = %L',
        'update public.subscription_events set workspace_id = null where user_id = %L',
        'update public.subscription_events set workspace_id = null, event_type = ''x'' where user_id = %L',
        'update public.subscription_events set user_id = %2$L where user_id = %1$L',
        'delete from public.subscription_events where user_id = %L'
    ]) as change
$$;
select is(test.try(who, change), '42501', format('%s: %s', who, change)) from unnest(array['owner', 'service']) as who, test.changes() as change;
grant update, delete on public.subscription_events to service_role;
select is(test.try('service', change), '42501', 'also with the right to: ' || change) from test.changes() as change;
select throws_ok(change, '42501', null, 'nor by the owner of the table: ' || change) from test.changes() as change;
select set_eq('select to_jsonb(e) from public.subscription_events e where user_id = test.id(''owner'')', 'select event from test.before', 'nothing changed');

-- Two things happen to an event.
select is(test.try('owner', 'delete from public.workspaces where name = ''two'''), '1', 'a workspace goes');
select is(test.rows('owner', 'select event_type, workspace_id from public.subscription_events order by 1'),
    '[{"event_type": "subscription_created", "workspace_id": "0a0a0a0a-0000-4000-8000-000000000001"}, {"event_type": "x", "workspace_id": null}]', 'its event stays');
select throws_ok(change, '42501', null, 'and is no easier to change: ' || change)
from unnest(array['update public.subscription_events set payload = ''{"x": 1}'' where workspace_id is null and user_id = test.id(''owner'')',
    'delete from public.subscription_events where workspace_id is null and user_id = test.id(''owner'')']) as change;
insert into public.subscription_events (workspace_id, event_type) values ('0b0b0b0b-0000-4000-8000-000000000001', 'other');
delete from auth.users where id = test.id('owner');
select is((select count(*) from public.subscription_events where user_id = test.id('owner')), 0::bigint, 'a user goes, and their events with them');
select is(test.rows('stranger', 'select event_type from public.subscription_events'), '[{"event_type": "other"}]', 'those of others stay');

select finish();
rollback;
