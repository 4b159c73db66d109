-- Goal: tickets and outputs belong to the project's owner; the way of a ticket is the server's.
\ir ../lib/prelude.psql
select no_plan();

insert into public.workspaces (id, name, owner_id) values
    ('0a0a0a0a-0000-4000-8000-000000000001', 'w', test.id('owner')), ('0b0b0b0b-0000-4000-8000-000000000001', 'w', test.id('stranger'));
insert into public.projects (id, name, workspace_id) values
    ('0a0a0a0a-0000-4000-8000-000000000002', 'p', '0a0a0a0a-0000-4000-8000-000000000001'),
    ('0b0b0b0b-0000-4000-8000-000000000002', 'p', '0b0b0b0b-0000-4000-8000-000000000001');

select is(test.rows('owner', $$ insert into public.work_tickets (id, task, agent_type, parameters, project_id)
    values ('0a0a0a0a-0000-4000-8000-000000000003', 'Compare prices', 'research', '{"depth": 2}', '0a0a0a0a-0000-4000-8000-000000000002')
    returning status, started_at, completed_at $$),
    '[{"status": "pending", "started_at": null, "completed_at": null}]', 'owner gives work to an agent');
select is(test.try('owner', 'insert into public.work_tickets (task, agent_type, project_id) values (''x'', ''content'', ''0b0b0b0b-0000-4000-8000-000000000002'')'), '42501', 'not in a stranger''s project');
select is(test.try('owner', 'update public.work_tickets set project_id = ''0b0b0b0b-0000-4000-8000-000000000002'''), '42501', 'nor moves it there');
select is(test.rows('stranger', 'select id from public.work_tickets'), '[]', 'stranger sees none');
select is(test.try('owner', 'update public.work_tickets set task = ''Compare prices and quality'''), '1', 'owner words it better');
select is(test.try('owner', format('update public.work_tickets set %s', change)), '23514', 'refused: ' || change)
from unnest(array['agent_type = ''spy''', 'task = ''''']) as change;
select is(test.try('owner', format('update public.work_tickets set %s', change)), '42501', 'the server''s: ' || change)
from unnest(array['status = ''running''', 'started_at = now()', 'completed_at = now()', 'error_message = ''x''']) as change;

create function test.step(status text, also text default '') returns text language sql as $$
    select test.try('service', format('update public.work_tickets set status = %L %s where id = ''0a0a0a0a-0000-4000-8000-000000000003''', status, also))
$$;
create function test.state() returns text language sql as $$
    select format('%s, %s, %s, %s', status,
        case when started_at = now() then 'started now' when started_at is null then 'not started' else 'started before' end,
        case when completed_at = now() then 'ended now' when completed_at is null then 'not ended' else 'ended before' end,
        coalesce(error_message, 'no error'))
    from public.work_tickets where id = '0a0a0a0a-0000-4000-8000-000000000003'
$$;
select is(test.step('completed'), '23514', 'pending cannot become completed');
select is(test.step('failed'), '23514', 'nor failed');
select is(test.step('running', ', started_at = ''2000-01-01'''), '1', 'an agent begins');
select is(test.state(), 'running, started now, not ended, no error', 'at this moment');
select is(test.step('pending'), '23514', 'and does not go back');
-- As if it had begun before this transaction.
set local session_replication_role = replica;
update public.work_tickets set started_at = now() - interval '1 minute' where id = '0a0a0a0a-0000-4000-8000-000000000003';
set local session_replication_role = origin;
select is(test.step('failed', ', error_message = ''no network'''), '1', 'it can fail');
select is(test.state(), 'failed, started before, ended now, no network', 'and says why and when');
select is(test.step('completed'), '23514', 'failed cannot become completed');
select is(test.step('pending'), '1', 'it waits for another try');
select is(test.state(), 'pending, not started, not ended, no error', 'with nothing left of the first');
select is(test.step('running'), '1', 'another agent begins');
select is(test.step('completed'), '1', 'and completes');
select is(test.state(), 'completed, started now, ended now, no error', 'at this moment');
select is(test.try('service', 'update public.work_tickets set started_at = null, completed_at = null where id = ''0a0a0a0a-0000-4000-8000-000000000003'''), '1', 'the times');
select is(test.state(), 'completed, started now, ended now, no error', 'do not change by themselves');
select is(test.step(status), '23514', 'completed cannot become ' || status) from unnest(array['pending', 'running', 'failed', 'lost']) as status;
select is(test.rows('service', 'insert into public.work_tickets (task, agent_type, project_id, status, started_at, completed_at)
    values (''old'', ''reporting'', ''0a0a0a0a-0000-4000-8000-000000000002'', ''failed'', ''2020-01-01T00:00:00Z'', null) returning started_at = now() as started_now, completed_at = now() as ended_now'),
    '[{"started_now": false, "ended_now": true}]', 'an import keeps its times');

-- Outputs
create function test.deliver(columns text, literals text) returns text language sql as $$
    select format('insert into public.work_outputs (ticket_id, title, %s) values (''0a0a0a0a-0000-4000-8000-000000000003'', ''t'', %s)', columns, literals)
$$;
select is(test.try('owner', test.deliver('output_type, content', '''text'', ''All cost the same.''')), '1', 'owner makes a text');
select is(test.try('owner', test.deliver('output_type, file_url, file_format', '''file'', ''https://files.test/1'', ''pdf''')), '1', 'and a file');
select is(test.try('stranger', test.deliver('output_type, content', '''text'', ''x''')), '42501', 'stranger makes none for the ticket');
select is(test.rows('stranger', 'select id from public.work_outputs'), '[]', 'and sees none');
select is(test.rows('owner', 'select output_type from public.work_outputs order by 1'), '[{"output_type": "file"}, {"output_type": "text"}]', 'owner sees both');
select is(test.try('owner', test.deliver(columns, literals)), '23514', format('refused: %s as %s', columns, literals)) from (values
    ('output_type', '''text'''), ('output_type', '''file'''), ('output_type, file_url', '''text'', ''https://files.test/1'''),
    ('output_type, content', '''file'', ''x'''), ('output_type, content, file_url', '''text'', ''x'', ''https://files.test/1'''),
    ('output_type, content, file_url', '''file'', ''x'', ''https://files.test/1'''), ('output_type, content', '''video'', ''x''')) as o (columns, literals);
select is(test.try('owner', 'update public.work_outputs set title = ''x'''), '42501', 'an output does not change');
select is(test.try('owner', 'delete from public.work_outputs'), '42501', 'or go by itself');
select is(test.try('owner', 'delete from public.work_tickets where status = ''completed'''), '1', 'owner deletes the ticket');
select is((select count(*) from public.work_outputs where ticket_id = '0a0a0a0a-0000-4000-8000-000000000003'), 0::bigint, 'its outputs go with it');
select is(test.try('owner', 'delete from public.projects'), '1', 'owner deletes the project');
select is((select count(*) from public.work_tickets where project_id = '0a0a0a0a-0000-4000-8000-000000000002'), 0::bigint, 'its tickets go with it');

select finish();
rollback;
