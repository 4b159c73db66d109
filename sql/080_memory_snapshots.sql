-- What is known of a user as one document: every version of it, as differences,
-- and the queue of what it has to take in.

set local role kith_owner;

-- Snapshots: version by version the JSON Patch (RFC 6902) that makes the
-- document out of the one before; a checkpoint sets the whole of it.  Patches
-- are made, and applied, in C: lib/memory_document.c.
create table public.memory_snapshots (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users on delete cascade,
    version integer not null constraint memory_snapshots_version_positive check (version >= 1),
    is_checkpoint boolean not null default false,
    operations jsonb not null
        constraint memory_snapshots_operations_array check (jsonb_typeof(operations) = 'array'),
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now(),
    constraint memory_snapshots_version_key unique (user_id, version),
    constraint memory_snapshots_first_whole check (version > 1 or is_checkpoint)
);
-- The unique constraint's index serves the policy and the foreign key, and is
-- read backwards for the newest.  This one finds the nearest checkpoint.
create index on public.memory_snapshots (user_id, version) where is_checkpoint;

comment on table public.memory_snapshots is
    'One version of the document of a user''s memory, as its difference to the version before; written by save_memory.';
comment on column public.memory_snapshots.id is 'The snapshot.';
comment on column public.memory_snapshots.user_id is 'Whose memory.';
comment on column public.memory_snapshots.version is '1, 2, 3 ... of the user, without gaps.';
comment on column public.memory_snapshots.is_checkpoint is 'True when the one operation sets the whole document.';
comment on column public.memory_snapshots.operations is 'JSON Patch (RFC 6902) from the version before; empty when nothing changed.';
comment on column public.memory_snapshots.metadata is 'What the app keeps with the version.';
comment on column public.memory_snapshots.created_at is 'When it was saved.';

alter table public.memory_snapshots enable row level security, force row level security;
create policy "owner reads own snapshots" on public.memory_snapshots for select to authenticated
    using (user_id = (select auth.uid()));
grant select on public.memory_snapshots to authenticated;
-- No writing by users, who would leave gaps or patches that do not fit.  No
-- grant to anon.

-- Between checkpoints, most versions (one comes earlier where patches pile up);
-- a setting of the database:
--     alter database kith set kith.memory_checkpoint_interval = 20;
create function kith.memory_checkpoint_interval() returns integer
language sql stable set search_path = ''
as $$
    select coalesce(nullif(pg_catalog.current_setting('kith.memory_checkpoint_interval', true), '')::integer, 50)
$$;
comment on function kith.memory_checkpoint_interval() is 'Every so manieth version of a memory is a checkpoint.';

-- The program has read the history as the user, and computed the difference.
-- Both happen under the lock on the user's row that is taken here again: for a
-- version that is not the next one, the whole is tried again.
create function public.save_memory(document json, metadata jsonb default '{}') returns public.memory_snapshots
language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
declare
    caller uuid := auth.uid();
    computed json := nullif(pg_catalog.current_setting('kith.computed', true), '')::json;
    next integer;
    whole boolean;
    saved public.memory_snapshots;
begin
    if computed is null then
        raise exception using errcode = 'feature_not_supported',
            message = 'save_memory can only be called through the API',
            hint = 'The difference to the version before is made by the server, not by PostgreSQL.';
    end if;
    if pg_catalog.json_typeof(document) is null or pg_catalog.json_typeof(document) not in ('object', 'array') then
        raise exception using errcode = 'invalid_parameter_value',
            message = 'the document must be an object or an array';
    end if;
    perform from public.users u where u.id = caller for no key update;
    if not found then
        raise exception using errcode = 'insufficient_privilege',
            message = 'a memory belongs to a user',
            hint = 'Sign in, and save it as that user.';
    end if;
    next := 1 + coalesce((select pg_catalog.max(s.version) from public.memory_snapshots s where s.user_id = caller), 0);
    if 1 + (computed ->> 'after')::integer is distinct from next then
        raise exception using errcode = 'serialization_failure',
            message = 'the memory was saved by somebody else at the same time';
    end if;
    whole := next = 1 or next % kith.memory_checkpoint_interval() = 0 or (computed ->> 'operations') is null;
    insert into public.memory_snapshots as s (user_id, version, is_checkpoint, operations, metadata)
    values (
        caller,
        next,
        whole,
        case
            when whole then pg_catalog.jsonb_build_array(
                pg_catalog.jsonb_build_object('op', 'add', 'path', '', 'value', document::jsonb)
            )
            else (computed -> 'operations')::jsonb
        end,
        coalesce(save_memory.metadata, '{}')
    )
    returning s.* into saved;
    return saved;
end
$$;
comment on function public.save_memory(json, jsonb) is
    'Saves the document of the caller''s memory, an object or array, as the next version, and returns that; also when nothing changed.';
grant execute on function public.save_memory(json, jsonb) to authenticated;

create function public.reconstruct_memory(version integer default null) returns json
language plpgsql stable security invoker set search_path = ''
as $$
declare
    computed text := nullif(pg_catalog.current_setting('kith.computed', true), '');
    saved integer;
    newest integer;
begin
    if computed is null then
        raise exception using errcode = 'feature_not_supported',
            message = 'reconstruct_memory can only be called through the API',
            hint = 'Patches are applied by the server, not by PostgreSQL.';
    end if;
    -- On its first line the version, or 0; then the document.
    saved := pg_catalog.split_part(computed, E'\n', 1);
    if saved = coalesce(version, saved) and saved > 0 then
        return pg_catalog.substr(computed, pg_catalog.strpos(computed, E'\n') + 1);
    elsif version is null then
        return null;
    end if;
    newest := (select pg_catalog.max(s.version) from public.memory_snapshots s where s.user_id = auth.uid());
    raise exception using errcode = 'PT404',
        message = pg_catalog.format('there is no version %s of the memory', version),
        hint = case
            when newest is null then 'Nothing was saved yet.'
            else pg_catalog.format('There are versions 1 to %s.', newest)
        end;
end
$$;
comment on function public.reconstruct_memory(integer) is
    'The document of the caller''s memory as it was at a version, else as it is; null when nothing was saved.';
grant execute on function public.reconstruct_memory(integer) to authenticated;

-- Updates: what the memory has yet to take in.  ref_id names a conversation, an
-- insight, or a check-in, which has no table: hence no foreign key.  What does
-- the work reads it as the row's owner, so another's id leads to nothing.
create table public.memory_updates (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users on delete cascade,
    kind text not null constraint memory_updates_kind_known check (kind in ('session', 'check_in', 'insight')),
    ref_id uuid not null,
    processed boolean not null default false,
    attempts integer not null default 0 constraint memory_updates_attempts_positive check (attempts >= 0),
    last_error text,
    processed_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    -- The same thing twice is one update.
    constraint memory_updates_ref_unique unique (user_id, kind, ref_id)
);
create index on public.memory_updates (user_id, processed, created_at);
create index on public.memory_updates (created_at) where not processed;  -- what the worker takes next

comment on table public.memory_updates is 'Something that a user''s memory has yet to take in, once.';
comment on column public.memory_updates.id is 'The update.';
comment on column public.memory_updates.user_id is 'Whose memory.';
comment on column public.memory_updates.kind is 'session, check_in or insight.';
comment on column public.memory_updates.ref_id is 'The conversation, check-in or insight; never changes.';
comment on column public.memory_updates.processed is 'Whether it was taken in; set by the server.';
comment on column public.memory_updates.attempts is 'How often that was tried.';
comment on column public.memory_updates.last_error is 'Why the last attempt failed.';
comment on column public.memory_updates.processed_at is 'When it was taken in.';
comment on column public.memory_updates.created_at is 'When it was queued.';
comment on column public.memory_updates.updated_at is 'When the row last changed.';

alter table public.memory_updates enable row level security, force row level security;
create policy "owner queues own updates" on public.memory_updates to authenticated
    using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
-- What an upsert sends again may be updated; the trigger keeps it as it is.
grant select,
    insert (id, user_id, kind, ref_id, created_at),
    update (user_id, kind, ref_id)
    on public.memory_updates to authenticated;
-- No delete: what was queued once would be queued again.  No grant to anon.

create trigger touch before update on public.memory_updates
    for each row execute function kith.touch();

create function kith.date_memory_update() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
    new.processed_at := case when new.processed then coalesce(new.processed_at, pg_catalog.now()) end;
    return new;
end
$$;
comment on function kith.date_memory_update() is 'Trigger: an update that was taken in has its time, any other has none.';
create trigger date_memory_update before insert or update on public.memory_updates
    for each row execute function kith.date_memory_update();

create function kith.keep_memory_update() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
    raise exception using errcode = 'insufficient_privilege',
        message = 'a queued update stays what it is',
        hint = 'Queue another one instead.';
end
$$;
comment on function kith.keep_memory_update() is 'Trigger: what was queued for a memory does not become something else.';
create trigger keep_memory_update before update of user_id, kind, ref_id on public.memory_updates
    for each row when (old.user_id <> new.user_id or old.kind <> new.kind or old.ref_id <> new.ref_id)
    execute function kith.keep_memory_update();

reset role;
