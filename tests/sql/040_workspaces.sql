-- Goal: a workspace and its projects belong to its owner; pro counts as a plan.
\ir ../lib/prelude.psql
select no_plan();

select is(test.try('owner', $$ insert into public.workspaces (id, name) values ('0a0a0a0a-0000-4000-8000-000000000001', 'Home') $$), '1', 'owner makes a workspace');
select is(test.try('owner', $$ insert into public.projects (id, name, workspace_id)
    values ('0a0a0a0a-0000-4000-8000-000000000002', 'Book', '0a0a0a0a-0000-4000-8000-000000000001') $$), '1', 'and a project in it');
select is(test.try('stranger', $$ insert into public.projects (name, workspace_id) values ('x', '0a0a0a0a-0000-4000-8000-000000000001') $$),
    '42501', 'stranger cannot put a project into it');
select is(test.rows('stranger', 'select id from public.projects'), '[]', 'stranger sees no project');
select is(test.try('owner', $$ update public.workspaces set subscription_status = 'pro' $$), '42501', 'owner cannot make it pro');

select is(kith.plan_limit(test.id('owner'), 'active_memories'), 100::bigint, 'free is the plan in force');
update public.workspaces set subscription_status = 'pro' where owner_id = test.id('owner');
select is(kith.plan_limit(test.id('owner'), 'active_memories'), 1000::bigint, 'a pro workspace is the plan pro');
select is(kith.plan_limit(test.id('stranger'), 'active_memories'), 100::bigint, 'for its owner only');
update public.workspaces set subscription_expires_at = now() - interval '71 h' where owner_id = test.id('owner');
select is(kith.plan_limit(test.id('owner'), 'active_memories'), 1000::bigint, 'while the news of a renewal may be on their way');
update public.workspaces set subscription_expires_at = now() - interval '73 h' where owner_id = test.id('owner');
select is(kith.plan_limit(test.id('owner'), 'active_memories'), 100::bigint, 'until it expires');
update public.workspaces set subscription_expires_at = now() + interval '1 d' where owner_id = test.id('owner');
update public.subscriptions set plan = 'family_archive' where user_id = test.id('owner');
select is(kith.plan_limit(test.id('owner'), 'active_memories'), 5000::bigint, 'of two plans the more generous holds');
update public.plans set limits = limits - 'active_memories' where id = 'pro';
select is(kith.plan_limit(test.id('owner'), 'active_memories'), null, 'and no limit is the most generous');

-- D11
insert into public.conversations (user_id, project_id) values (test.id('owner'), '0a0a0a0a-0000-4000-8000-000000000002'), (test.id('owner'), null);
insert into public.memories (user_id, project_id, content) values (test.id('owner'), '0a0a0a0a-0000-4000-8000-000000000002', 'x'), (test.id('owner'), null, 'y');
select is(test.try('owner', 'delete from public.workspaces'), '1', 'owner deletes the workspace');
select is((select count(*)::int from public.conversations where user_id = test.id('owner')) * 10 + (select count(*)::int from public.memories where user_id = test.id('owner')), 11,
    'what was in it goes with it, what was not stays');

select finish();
rollback;
