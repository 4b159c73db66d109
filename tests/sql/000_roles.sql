-- Goal: a login can do nothing before it becomes a role, and no role can
-- become another.
\ir ../lib/prelude.psql
select no_plan();

select is(
    (select jsonb_object_agg(r.rolname, (select coalesce(jsonb_agg(g.rolname order by g.rolname), '[]')
        from pg_auth_members m join pg_roles g on g.oid = m.roleid where m.member = r.oid))
     from pg_roles r where r.rolname ~ '^kith_' or r.rolname in ('anon', 'authenticated', 'service_role')),
    '{"anon": [], "authenticated": [], "service_role": [], "kith_owner": [], "kith_agent": ["authenticated"], "kith_api": ["anon", "authenticated"],
      "kith_service": ["service_role"], "kith_worker": ["authenticated"], "kith_auth": [], "kith_storage": [], "kith_webhooks": [], "kith_checkout": []}'::jsonb,
    'each login may become its own roles and no other');
select is_empty(
    $$ select rolname from pg_roles where rolname ~ '^kith_' and (rolinherit and rolcanlogin or rolsuper or rolcreatedb or rolcreaterole or rolreplication) $$,
    'no login inherits, and none has a right over the cluster');
select set_eq(
    $$ select rolname from pg_roles where rolbypassrls and not rolsuper and (rolname ~ '^kith_' or rolname = 'service_role') $$,
    array['kith_owner', 'kith_auth', 'kith_storage', 'service_role'],
    'only those four pass row-level security');
select is_empty($$ select rolname from pg_roles where rolname in ('kith_owner', 'kith_agent') and rolcanlogin $$,
    'the owner cannot log in, nor the agent');
select is_empty(
    $$ select c.oid::regclass from pg_class c join pg_roles r on r.oid = c.relowner where r.rolname ~ '^kith_' and r.rolname <> 'kith_owner' $$,
    'no login owns a relation');

-- The escalation that one login for everything would allow.
create function test.as_login(login text, statement text) returns text language plpgsql as $$
begin
    execute format('set local session authorization %I', login);
    execute statement;
    reset session authorization;
    return 'done';
exception when others then
    return sqlstate;
end
$$;
select is(test.as_login('kith_api', 'set local role service_role'), '42501', 'kith_api cannot become service_role');
select is(test.as_login('kith_api', $$ select set_config('role', 'service_role', true) $$), '42501', 'nor by set_config');
select is(test.as_login('kith_service', 'set local role authenticated'), '42501', 'kith_service cannot become authenticated');
select is(test.as_login('kith_worker', 'set local role service_role'), '42501', 'kith_worker cannot become service_role');
select is(test.as_login('kith_api', 'select from public.messages'), '42501', 'kith_api reads nothing by itself');
select is(test.as_login('kith_service', 'select from public.messages'), '42501', 'kith_service reads nothing by itself');
select is(test.as_login('kith_auth', 'select from public.messages'), '42501', 'kith_auth reads no table of public');
select is(test.as_login('kith_webhooks', 'select from public.subscriptions'), '42501', 'kith_webhooks has no right on a table');
select is(test.as_login('kith_checkout', 'select from public.subscriptions'), '42501', 'kith_checkout neither');
select is(test.as_login('kith_api', $$ select set_config('role', 'authenticated', true), set_config('request.jwt.claims', '{}', true) $$), 'done',
    'kith_api sets role and claims in one statement');
select is(test.as_login('kith_api', 'create temporary table t ()'), '42501', 'a login makes no temporary table');

-- D14, C10
select is(test.try('owner', statement), '42501', 'a user cannot call ' || statement)
from unnest(array[
    'select pg_sleep(0)', $$ select set_config('request.jwt.claims', '{}', true) $$, $$ select query_to_xml('select 1', true, false, '') $$,
    $$ select table_to_xml('pg_class', true, false, '') $$, 'select pg_advisory_lock(1)', 'select pg_try_advisory_xact_lock(1)',
    'select lo_create(0)', 'select lo_get(1)', $$ select pg_notify('kith', 'reload schema') $$, 'select pg_cancel_backend(1)',
    $$ update pg_settings set setting = '{}' where name = 'search_path' $$, 'create temporary table t ()', 'create schema s',
    'create table public.t ()', 'select from kith.migrations', 'select kith.check_session(null, null)',
    'select kith.plan_limit(null, null)', 'select from auth.users'
]) as statement;

-- A developer's table is closed to users until its migration opens it.
set local role kith_owner;
create table public.made_later (id bigserial primary key);
create function public.made_later() returns int language sql as 'select 1';
reset role;
create table public.made_by_superuser (id int);
select is(test.try('owner', 'select from public.made_later'), '42501', 'a new table is closed to users');
select is(test.try('anon', 'select from public.made_later'), '42501', 'and to guests');
select is(test.try('service', 'insert into public.made_later default values'), '1', 'but open to the service');
select is(test.try('owner', 'select public.made_later()'), '42501', 'a new function is closed to users');
select is(test.try('service', 'select public.made_later()'), '1', 'but open to the service');
select is(test.try('owner', 'select from public.made_by_superuser'), '42501', 'also when a superuser made it');
select is(test.try('service', 'truncate public.made_later'), '42501', 'nobody but the owner truncates');

-- B17: the programs hear of every kind of change.
select is(evtenabled::text || evtevent, 'Oddl_command_end', 'schema changes are announced')
from pg_event_trigger where evtname = 'kith_announce_schema';
select is(evttags, null, 'all of them') from pg_event_trigger where evtname = 'kith_announce_schema';

select finish();
rollback;
