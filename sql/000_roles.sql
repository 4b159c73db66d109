-- Roles, the schema kith, and what nobody may do.
--
-- One owner for everything, one login per program, three roles that a request
-- may become.  A login that could become both authenticated and service_role
-- would let any SQL escalate by one set_config('role', ...), hence two logins
-- for the API.  Every login is NOINHERIT and owns nothing: before it becomes a
-- role it can do next to nothing.
--
-- Roles belong to the cluster, not to the database: a second database of the
-- same cluster finds them made.

do $$
declare
    wanted record;
begin
    for wanted in
        select *
        from (values
            -- Owns every object.  Security definer code needs to pass forced
            -- row-level security, so it bypasses it; nobody can log in as it.
            ('kith_owner', 'nologin bypassrls'),
            ('anon', 'nologin noinherit'),
            ('authenticated', 'nologin noinherit'),
            ('service_role', 'nologin noinherit bypassrls'),
            ('kith_api', 'login noinherit'),
            ('kith_service', 'login noinherit'),
            -- auth and storage work for users who are not signed in yet, or
            -- whose rights were checked before: they pass policies, and have
            -- rights on their own schema only.
            ('kith_auth', 'login noinherit bypassrls'),
            ('kith_storage', 'login noinherit bypassrls'),
            ('kith_webhooks', 'login noinherit'),
            ('kith_worker', 'login noinherit')
        ) as r (name, attributes)
    loop
        begin
            execute format('create role %I with %s', wanted.name, wanted.attributes);
        exception when duplicate_object or unique_violation then
            -- There already, or made this moment by a migration of another database.
            execute format('alter role %I with nosuperuser nocreatedb nocreaterole noreplication %s',
                wanted.name, wanted.attributes);
        end;
    end loop;
end
$$;

grant anon, authenticated to kith_api;
grant service_role to kith_service;
grant authenticated to kith_worker;

comment on role kith_owner is 'Owns every object of Kith; cannot log in.';
comment on role anon is 'A request without a user.';
comment on role authenticated is 'A request of a signed-in user.';
comment on role service_role is 'A request with the service key; passes row-level security.';
comment on role kith_api is 'Login of the API; may become anon or authenticated.';
comment on role kith_service is 'Login of the API for verified service keys only; may become service_role.';
comment on role kith_auth is 'Login of the auth program; rights on schema auth only.';
comment on role kith_storage is 'Login of the storage program; rights on schema storage only.';
comment on role kith_webhooks is 'Login of the webhook program; may call its functions, nothing else.';
comment on role kith_worker is 'Login of the worker; may become authenticated.';

-- A wait for a lock, or a transaction somebody forgot, ends by itself.  The
-- programs set the time of a statement for each request.  Errors of theirs stay
-- out of the server's log, because the message quotes what the user sent: the
-- program logs the SQLSTATE.  The server's own errors are logged as ever.
do $$
declare
    login text;
begin
    foreach login in array array['kith_api', 'kith_service', 'kith_auth', 'kith_storage', 'kith_webhooks', 'kith_worker']
    loop
        execute format('alter role %I set lock_timeout = ''5s''', login);
        execute format('alter role %I set idle_in_transaction_session_timeout = ''30s''', login);
        execute format('alter role %I set log_min_messages = ''log''', login);
    end loop;
end
$$;

-- The database: connecting is for the logins, creating for the owner, and
-- temporary tables (which can shadow real ones) are for nobody.
do $$
begin
    execute format('revoke all on database %I from public', current_database());
    execute format('grant connect on database %I to kith_api, kith_service, kith_auth, kith_storage, kith_webhooks, kith_worker',
        current_database());
    execute format('grant create, temporary on database %I to kith_owner', current_database());
end
$$;

alter schema public owner to kith_owner;
revoke all on schema public from public;
grant usage on schema public to anon, authenticated, service_role;

-- What a table or function gets when it is made.
--
-- Supabase used to grant everything on new tables of public to anon and
-- authenticated and trusted that row-level security would be switched on; a
-- forgotten line then shows every row to everybody, and TRUNCATE passes RLS
-- even if it was not forgotten.  Here the forgotten line fails loudly with
-- 42501 instead: service_role may use a new table, and the developer says in
-- the migration what users may do, for example
--
--     alter table public.notes enable row level security, force row level security;
--     create policy "owner keeps own notes" on public.notes to authenticated
--         using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
--     grant select, insert, update, delete on public.notes to authenticated;
--
-- Functions likewise: PostgreSQL would let everybody call a new one.
do $$
declare
    maker text;
begin
    foreach maker in array array['kith_owner', current_user]
    loop
        execute format('alter default privileges for role %I revoke execute on functions from public', maker);
        execute format('alter default privileges for role %I in schema public grant select, insert, update, delete on tables to service_role', maker);
        execute format('alter default privileges for role %I in schema public grant usage, select on sequences to service_role', maker);
        execute format('alter default privileges for role %I in schema public grant execute on functions to service_role', maker);
    end loop;
end
$$;

-- Built-in functions that PostgreSQL lets everybody call.  The API never
-- offers pg_catalog; this is the second wall, for SQL that a mistake of ours
-- lets in.  With set_config such SQL could become another user.  Functions of
-- the owner may use them; a program sets role and claims while it is still its
-- login.
do $$
declare
    f regprocedure;
begin
    for f in
        select p.oid
        from pg_catalog.pg_proc p
        where p.pronamespace = 'pg_catalog'::regnamespace
            and (
                p.proname ~ '^(query|cursor|table|schema|database)_to_xml'
                or p.proname ~ '^pg_(try_)?advisory'
                or p.proname ~ '^lo_'
                or p.proname in (
                    'loread', 'lowrite', 'pg_sleep', 'pg_sleep_for', 'pg_sleep_until', 'pg_notify', 'set_config',
                    'pg_cancel_backend', 'pg_terminate_backend', 'pg_export_snapshot', 'pg_stat_get_activity',
                    'pg_logical_emit_message', 'pg_listening_channels'
                )
            )
    loop
        execute format('revoke execute on function %s from public', f);
        execute format('grant execute on function %s to kith_owner', f);
    end loop;
end
$$;
grant execute on function pg_catalog.set_config(text, text, boolean)
    to kith_api, kith_service, kith_auth, kith_storage, kith_webhooks, kith_worker;

-- kith: internals that no client role may touch.
create schema kith authorization kith_owner;
comment on schema kith is 'Internals of Kith; no client role may touch them.';
grant usage on schema kith to kith_api, kith_service, kith_auth, kith_storage, kith_webhooks, kith_worker;

set local role kith_owner;

create table kith.migrations (
    name text primary key,
    checksum text not null constraint migrations_checksum_sha256 check (checksum ~ '^[0-9a-f]{64}$'),
    applied_at timestamptz not null default now()
);
comment on table kith.migrations is 'The files that made this database, written by kith migrate.';
comment on column kith.migrations.name is 'File name; those of an application begin with its name and a slash.';
comment on column kith.migrations.checksum is 'SHA-256 of the file when it was applied.  An applied file never changes.';
comment on column kith.migrations.applied_at is 'When it was applied.';
alter table kith.migrations enable row level security, force row level security;
-- No policy and no grant: only the owner and superusers read it.

create function kith.touch() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
    new.updated_at := now();
    return new;
end
$$;
comment on function kith.touch() is 'Trigger: keeps updated_at, whatever the client sent.';

create sequence kith.schema_version;
comment on sequence kith.schema_version is 'Counts changes of the schema, so that a program which was not listening can tell whether it missed one.';
grant select on sequence kith.schema_version to kith_api, kith_service;

create function kith.announce_schema() returns event_trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
    perform nextval('kith.schema_version');
    -- The statement, not pg_notify(): it needs no right.  Equal notices of one
    -- transaction arrive as one.
    notify kith, 'reload schema';
end
$$;
comment on function kith.announce_schema() is 'Event trigger: tells the programs that tables, functions or rights changed.';

reset role;
-- Drops, grants, policies and comments end here too, so one trigger is enough.
create event trigger kith_announce_schema on ddl_command_end execute function kith.announce_schema();
comment on event trigger kith_announce_schema is 'Sends ''reload schema'' on channel kith after every change of the schema.';
