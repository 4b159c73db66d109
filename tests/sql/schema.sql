-- Goal: whatever is added to the schema keeps its rules.  Cites reliability.md.
\ir ../lib/prelude.psql
select no_plan();

-- The schemas that the API may show.  A dialect's schema belongs in this list.
create view test.exposed as
select c.oid, c.oid::regclass::text as name, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relowner, c.reloptions, c.relacl
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname not in ('kith', 'auth', 'extensions', 'test', 'tap') and n.nspname !~ '^(pg_|information_schema$)'
    and c.relkind in ('r', 'v', 'm', 'f', 'p');
create view test.ours as
select c.oid, n.nspname || '.' || c.relname as name, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relowner
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname not in ('test', 'tap') and n.nspname !~ '^(pg_|information_schema$)' and c.relkind in ('r', 'v', 'm', 'f', 'p');
create view test.functions as
select p.*, p.oid::regprocedure::text as signature, n.nspname
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
where n.nspname not in ('test', 'tap') and n.nspname !~ '^(pg_|information_schema$)'
    and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e');
create function test.client_right(relation oid, who text, rights text) returns boolean language sql as
    $$ select has_table_privilege(who, relation, rights) or has_any_column_privilege(who, relation, rights) $$;

-- D3
select is_empty('select name from test.ours where relkind in (''r'', ''p'') and not (relrowsecurity and relforcerowsecurity)',
    'row-level security is enabled and forced on every table');
select set_eq(
    $$ select format('%s: %s', polrelid::regclass, polname) from pg_policy where 'anon'::regrole = any (polroles) or 0 = any (polroles) $$,
    array['plans: everybody reads plans'],
    'policies are for authenticated, but for the listed public reads');
select set_eq(
    $$ select format('%s: %s', polrelid::regclass, polname) from pg_policy
       where not ('anon'::regrole = any (polroles)) and pg_get_expr(polqual, polrelid) !~ '\( SELECT auth.uid\(\) AS uid\)' $$,
    array['work_outputs: ticket owner reads outputs'],
    'every policy asks (select auth.uid()), but for those listed, which leave it to the policy of the parent');
select is_empty(
    $$ select format('%s: %s', polrelid::regclass, polname) from pg_policy
       where pg_get_expr(polqual, polrelid) || coalesce(pg_get_expr(polwithcheck, polrelid), '') ~ '(^|[^T]) auth\.uid\(\)' $$,
    'once per statement, never once per row');
select is_empty(
    $$ select format('%s: %s', polrelid::regclass, polname) from pg_policy where polcmd in ('*', 'a', 'w') and polwithcheck is null $$,
    'a policy that allows writing has a check');
select set_eq($$ select rolname from pg_roles where rolbypassrls and not rolsuper $$, array['kith_owner', 'service_role', 'kith_auth', 'kith_storage'],
    'no role is above all that but those listed');

-- D4
select is_empty($$ select name from test.exposed where relkind in ('m', 'f') $$, 'no materialized view and no foreign table is exposed');
select is_empty($$ select name from test.exposed where relkind = 'v' and not coalesce(reloptions @> '{security_invoker=true}', false) $$,
    'every view looks with the rights of who asks');

-- D5, D13
select is_empty(
    $$ select name, who, right_ from test.ours, unnest(array['anon', 'authenticated', 'service_role']) who,
       unnest(array['TRUNCATE', 'REFERENCES', 'TRIGGER']) right_ where has_table_privilege(who, oid, right_) $$,
    'no client role truncates, references or sets triggers');
select is_empty(
    $$ select n.nspname, who from pg_namespace n, unnest(array['anon', 'authenticated', 'service_role', 'kith_api', 'kith_service']) who
       where n.nspname !~ '^(pg_|test$|tap$)' and has_schema_privilege(who, n.oid, 'CREATE') $$,
    'no client role creates in a schema');
select is_empty(
    $$ select who from unnest(array['anon', 'authenticated', 'service_role', 'kith_api', 'kith_service']) who
       where has_database_privilege(who, current_database(), 'CREATE, TEMPORARY') $$,
    'or makes temporary tables');
select is_empty(
    $$ select who from unnest(array['anon', 'authenticated', 'service_role']) who where has_schema_privilege(who, 'kith', 'USAGE') $$,
    'no client role enters kith');
select set_eq($$ select name from test.ours where test.client_right(oid, 'anon', 'SELECT, INSERT, UPDATE') or has_table_privilege('anon', oid, 'DELETE') $$,
    array['public.plans', 'storage.buckets', 'storage.objects'], 'anon has rights on the listed tables only');
select is_empty($$ select name from test.ours where name ~ '^(auth|kith)\.' and (test.client_right(oid, 'authenticated', 'SELECT, INSERT, UPDATE')
    or test.client_right(oid, 'service_role', 'SELECT, INSERT, UPDATE')) $$, 'auth and kith are closed');
select is_empty($$ select defaclobj from (select unnest(defaclacl)::text as defaclobj from pg_default_acl) d where defaclobj ~ '^(anon|authenticated)?=[^/]*[arwdDxtX]' $$,
    'nothing new is opened to users, or to everybody, by default');
select is_empty($$ select oid::regclass from pg_class where relkind = 'S' and relpersistence <> 't'
    and (has_sequence_privilege('anon', oid, 'USAGE, SELECT, UPDATE') or has_sequence_privilege('authenticated', oid, 'USAGE, SELECT, UPDATE')) $$,
    'no sequence tells a user how much there is');  -- D14

-- D9: a right to write names columns, a right to read never does.
select is_empty($$ select name from test.exposed where has_table_privilege('authenticated', oid, 'INSERT, UPDATE') and name !~ '^storage\.' $$,
    'no right to write a whole table');
select is_empty($$ select name from test.exposed where has_any_column_privilege('authenticated', oid, 'SELECT') and not has_table_privilege('authenticated', oid, 'SELECT') $$,
    'no right to read a part of one');
select is_empty($$ select a.attrelid::regclass, a.attname from pg_attribute a join test.exposed e on e.oid = a.attrelid
    where a.attname in ('id', 'created_at') and has_column_privilege('authenticated', a.attrelid, a.attnum, 'UPDATE') $$,
    'id and created_at never change');

-- D6
select set_eq($$ select signature from test.functions where prosecdef $$, array[
    'kith.announce_schema()', 'kith.cap_memories()', 'kith.check_session(uuid,uuid)', 'kith.count_messages()', 'kith.follow_auth_user()',
    'kith.plan_limit(uuid,text)', 'kith.retire_memories(uuid)', 'kith.start_subscription()',
    'kith.claim_jobs(text[],interval,integer)', 'kith.delete_files(uuid,text[])', 'kith.enqueue(text,jsonb,text,timestamp with time zone,uuid,integer)',
    'kith.fail_job(bigint,integer,text,interval,boolean)', 'kith.finish_job(bigint,integer)', 'kith.release_files()', 'kith.sweep_jobs(interval)',
    'kith.keep_job(bigint,integer,jsonb,interval)', 'kith.postpone_job(bigint,integer,text,interval)', 'kith.next_job(text[])', 'kith.sweep(integer)',
    'kith.unused_files(text[])',
    'kith.drop_generating()', 'kith.drop_jobs(text,uuid,text,uuid)', 'kith.fail_generating()', 'kith.fail_training()', 'kith.release_voice()',
    'generate_voice_message(uuid)', 'train_voice(uuid,boolean)'
] || array[
    'kith.cancel_workspace_messages()', 'kith.claim_messages(integer,interval,text[])', 'kith.next_message(text[])', 'kith.announce_messages()', 'kith.keep_email_status()',
    'kith.finish_message(uuid,integer,text,text,text,timestamp with time zone)', 'kith.follow_scheduled_message()',
    'kith.keep_subscription_event()', 'kith.post_message(uuid,integer,jsonb,text,text)',
    'kith.redeem_telegram_link_token(text,bigint,bigint,text)',
    'kith.schedule_message(uuid,text,timestamp with time zone,text,text,jsonb,uuid,text)', 'create_telegram_link_token()'
] || array[
    'delete_my_account()', 'export_my_data(text[])', 'kith.cancel_lemonsqueezy()', 'kith.cancel_stripe()', 'kith.erase_user()'
] || array[
    'agent_act(uuid,text,text,uuid,jsonb)', 'revert_agent_action(uuid)'
] || array[
    'kith.begin_checkout(uuid,uuid,uuid,text,text)', 'kith.begin_portal(uuid,uuid,uuid)',
    'kith.go_round(text)', 'kith.expire_subscriptions(text)', 'kith.apply_fetched_stripe(text,jsonb,bigint)',
    'kith.apply_missing_stripe(text,boolean,bigint)', 'kith.apply_fetched_lemonsqueezy(text,jsonb,bigint,text)'
] || array[
    'save_memory(json,jsonb)'
] || array[
    'kith.hold_limit()', 'kith.count_spoken()'
] || array[
    'kith.check_quota(uuid,bigint)', 'kith.check_released(uuid,bigint)', 'kith.check_upload(text,text,uuid,bigint)', 'kith.count_stored()',
    'kith.delete_stored_files(text[],timestamp with time zone)', 'kith.erase_user_objects()', 'kith.expired_files(interval,integer)',
    'kith.forget_files(text[])', 'kith.keep_version()', 'kith.release_versions()',
    'kith.unknown_files(text[])', 'storage_usage()'
] || array[
    'kith.advance_upload(uuid,bigint)', 'kith.create_upload(uuid,text,uuid,text,text,bigint,boolean,text)', 'kith.end_upload(uuid)',
    'kith.find_upload(uuid,text,uuid,uuid)', 'kith.finish_upload(uuid,text,text,text,jsonb,jsonb,uuid,boolean)',
    'kith.store_clip(uuid,integer,text,integer,text,text,text,jsonb,uuid)'
] || array[
    'kith.apply_elevenlabs(text,text,text,text,bytea)', 'kith.apply_resend(text,text,text,text,bytea)',
    'kith.apply_telegram(text,text,text,text,bytea)', 'kith.forget_address()', 'kith.refused_address(text,boolean)', 'kith.sweep_webhook_events(integer)'
] || array[
    'kith.lock_recording()', 'kith.next_expired_file(interval)', 'kith.note_recording(text,uuid,text,bigint,integer,text)', 'kith.probe_stored_recording()', 'kith.probe_written_recording()',
    'kith.recording_version(text,uuid)'
] || array[
    'kith.apply_stripe(text,text,text,text,bytea)', 'kith.apply_lemonsqueezy(text,text,text,text,bytea,text,boolean)'
], 'only these functions run with the owner''s rights');
select is_empty($$ select signature from test.functions where not (prosecdef and nspname = 'public')
    and prosecdef and (has_function_privilege('anon', oid, 'EXECUTE') or has_function_privilege('authenticated', oid, 'EXECUTE')) $$,
    'none of them can be called by a user');
select is_empty($$ select signature from test.functions where coalesce(array_to_string(proconfig, ','), '') !~ 'search_path=""'
    and signature not in ('auth.uid()', 'auth.jwt()', 'auth.role()', 'auth.email()')
    and prosqlbody is null $$, 'every function pins its search_path, or was parsed when it was made');
select is_empty($$ select signature from test.functions where exists (select from aclexplode(coalesce(proacl, acldefault('f', proowner))) a where a.grantee = 0) $$,
    'no function is open to everybody');
select is_empty($$ select name from test.ours where relowner <> 'kith_owner'::regrole union all
    select signature from test.functions where proowner <> 'kith_owner'::regrole and signature not in ('agent_act(uuid,text,text,uuid,jsonb)', 'revert_agent_action(uuid)') $$,
    'kith_owner owns everything, but for what runs as a user');
select is_empty($$ select signature from test.functions where signature in ('agent_act(uuid,text,text,uuid,jsonb)', 'revert_agent_action(uuid)') and proowner <> 'kith_agent'::regrole $$,
    'that belongs to kith_agent');
select set_eq($$ select signature, who from test.functions, unnest(array['anon', 'authenticated']) who
    where nspname = 'public' and has_function_privilege(who, oid, 'EXECUTE') $$,
    $$ values ('agent_act(uuid,text,text,uuid,jsonb)', 'authenticated'), ('revert_agent_action(uuid)', 'authenticated'),
        ('get_or_create_chat_session(uuid,uuid,text,text)', 'authenticated'), ('append_session_message(uuid,text,text,jsonb)', 'authenticated'),
        ('train_voice(uuid,boolean)', 'authenticated'), ('generate_voice_message(uuid)', 'authenticated'),
        ('delete_my_account()', 'authenticated'), ('export_my_data(text[])', 'authenticated'),
        ('search_memories(text,uuid,integer,text,text,uuid)', 'authenticated'), ('search_chunks(uuid,text,integer,text)', 'authenticated'),
        ('create_telegram_link_token()', 'authenticated'), ('storage_usage()', 'authenticated'),
        ('save_memory(json,jsonb)', 'authenticated'), ('reconstruct_memory(integer)', 'authenticated') $$,
    'users may call these functions');

-- D6: objects of the same name in pg_temp change nothing.
create temporary table messages (id int);
create temporary table conversations (id int);
create function pg_temp.now() returns timestamptz language sql as $$ select 'epoch'::timestamptz $$;
insert into public.conversations (id, user_id) values ('0a0a0a0a-0000-4000-8000-000000000001', test.id('owner'));
set local search_path = pg_temp, tap, public;
select is(test.rows('owner', $$ select sequence_number from public.append_session_message('0a0a0a0a-0000-4000-8000-000000000001', 'user', 'x') $$),
    '[{"sequence_number": 1}]', 'temporary twins are not looked at');
set local search_path = tap, public;
select isnt(updated_at, 'epoch', 'nor temporary functions') from public.conversations;

-- D8: what a unique index tells must be the asker's own.
select is_empty($$
    select i.indexrelid::regclass
    from pg_index i
    join test.exposed e on e.oid = i.indrelid
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indisunique
        and not (i.indisprimary and a.atttypid = 'uuid'::regtype)
        -- nobody's, and made by those whom an app trusts with it
        and i.indrelid <> 'storage.buckets'::regclass
        -- server-controlled
        and (has_column_privilege('authenticated', a.attrelid, a.attnum, 'INSERT') or has_column_privilege('authenticated', a.attrelid, a.attnum, 'UPDATE'))
        -- begins with the owner, or a parent that has one
        and not exists (
            select from pg_constraint c
            where c.contype = 'f' and c.conrelid = i.indrelid and c.conkey = array[a.attnum] and c.confrelid <> 'public.plans'::regclass
        )
$$, 'every unique index begins with an owner, or is the server''s');

-- Foreign keys say what becomes of the child, and have an index.
select is_empty($$ select conname from pg_constraint c join test.ours o on o.oid = c.conrelid where contype = 'f' and confdeltype = 'a' $$,
    'every foreign key says on delete');
select is_empty($$
    select c.conrelid::regclass, c.conname
    from pg_constraint c
    join test.ours o on o.oid = c.conrelid
    where c.contype = 'f' and not exists (
        select from pg_index i where i.indrelid = c.conrelid and i.indkey[0] = c.conkey[1]
            and (i.indpred is null or pg_get_expr(i.indpred, i.indrelid) ~ 'IS NOT NULL')
    )
$$, 'every foreign key has an index');
select is_empty($$ select e.name from test.exposed e where relkind = 'r' and not exists (select from pg_attribute a where a.attrelid = e.oid and a.attname = 'created_at') $$,
    'every table has created_at');

-- D12: the row counts of a plan are of all users.
select is_empty($$ select p.oid::regprocedure from pg_proc p where p.proleakproof and p.pronamespace <> 'pg_catalog'::regnamespace $$, 'nothing of ours claims to be leakproof');  -- D15

-- Comments are the documentation.
select is_empty($$ select name from test.ours where obj_description(oid, 'pg_class') is null $$, 'every table has a comment');
select is_empty($$ select o.name, a.attname from test.ours o join pg_attribute a on a.attrelid = o.oid and a.attnum > 0 and not a.attisdropped
    where col_description(a.attrelid, a.attnum) is null $$, 'every column has a comment');
select is_empty($$ select signature from test.functions where obj_description(oid, 'pg_proc') is null $$, 'every function has a comment');
select is_empty($$ select nspname from pg_namespace where nspname !~ '^(pg_|information_schema$|test$|tap$)' and obj_description(oid, 'pg_namespace') is null $$,
    'every schema has a comment');

select finish();
rollback;
