-- Memories: what was said that is worth keeping.  Observations, not
-- conclusions: lightweight, capped by plan, revisable.

set local role kith_owner;

create table public.memories (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users on delete cascade,
    project_id uuid references public.projects on delete cascade,
    category text constraint memories_category_length check (length(category) <= 200),
    key text constraint memories_key_length check (length(key) <= 200),
    content text not null constraint memories_content_length check (length(content) between 1 and 8000),
    embedding_model text constraint memories_embedding_model_length check (length(embedding_model) <= 200),
    tags text[] not null default '{}',
    entities jsonb not null default '{}',
    importance double precision not null default 0.5
        constraint memories_importance_range check (importance between 0 and 1),
    source_type text not null default 'manual'
        constraint memories_source_type_known check (source_type in ('chat', 'document', 'manual', 'import')),
    source_ref jsonb,
    is_active boolean not null default true,
    expires_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    -- Nulls differ: what has no key, or no category, never collides.
    constraint memories_key_unique unique (user_id, category, key)
);
do $$
begin
    execute 'alter table public.memories add column embedding ' || kith.vector_type();
end
$$;
-- The unique constraint's index serves the policy and the foreign key.  This
-- one finds the live memories of a user and those to retire first.
create index on public.memories (user_id, importance, created_at desc) where is_active;
create index on public.memories (user_id, created_at desc);
create index on public.memories (project_id) where project_id is not null;  -- foreign key

comment on table public.memories is 'What is remembered about a user''s words: observations that can be revised.';
comment on column public.memories.id is 'The memory.';
comment on column public.memories.user_id is 'Whose memory.';
comment on column public.memories.project_id is 'Project it stays in; null goes everywhere with the user.';
comment on column public.memories.category is 'Kind of thing, a word of the app.';
comment on column public.memories.key is 'What it is about; one memory per user, category and key.';
comment on column public.memories.content is 'What was observed.';
comment on column public.memories.embedding is 'Its meaning as 1536 numbers, written [0.1,...].';
comment on column public.memories.embedding_model is 'Model that made the embedding.';
comment on column public.memories.tags is 'Words to find it by.';
comment on column public.memories.entities is 'People, companies and concepts in it.';
comment on column public.memories.importance is 'From 0 to 1: what is kept and found first.';
comment on column public.memories.source_type is 'Where it came from: chat, document, manual or import.';
comment on column public.memories.source_ref is 'Ids of where it came from.';
comment on column public.memories.is_active is 'False when retired; retired ones leave every search.';
comment on column public.memories.expires_at is 'Leaves every search after this.';
comment on column public.memories.created_at is 'When it was made.';
comment on column public.memories.updated_at is 'When the row last changed.';

alter table public.memories enable row level security, force row level security;
create policy "owner keeps own memories" on public.memories to authenticated
    using (user_id = (select auth.uid()))
    with check (
        user_id = (select auth.uid())
        and (
            project_id is null
            or (select auth.uid()) = (
                select w.owner_id
                from public.projects p
                join public.workspaces w on w.id = p.workspace_id
                where p.id = project_id
            )
        )
    );
grant select, delete,
    insert (id, user_id, project_id, category, key, content, embedding, embedding_model, tags, entities, importance,
        source_type, source_ref, is_active, expires_at, created_at, updated_at),
    update (user_id, project_id, category, key, content, embedding, embedding_model, tags, entities, importance,
        source_type, source_ref, is_active, expires_at, updated_at)
    on public.memories to authenticated;
-- No grant to anon.

create trigger touch before update on public.memories
    for each row execute function kith.touch();

-- The cap.  Retires the least important, oldest memories above what the plan
-- allows; deletes nothing.  The user's row is the lock: of two writers the
-- second counts what the first has left.
create function kith.retire_memories(user_id uuid) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
    allowed bigint := kith.plan_limit(retire_memories.user_id, 'active_memories');
begin
    if allowed is null then
        return;
    end if;
    perform from public.users u where u.id = retire_memories.user_id for no key update;
    update public.memories m
    set is_active = false
    where m.id in (
        select k.id
        from public.memories k
        where k.user_id = retire_memories.user_id
            and k.is_active
            and (k.expires_at is null or k.expires_at > pg_catalog.now())
        order by k.importance desc, k.created_at desc, k.id
        offset allowed
    );
end
$$;
comment on function kith.retire_memories(uuid) is 'Retires a user''s least important, oldest memories above the cap of the plan.';

create function kith.cap_memories() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
    writer uuid;
begin
    if tg_op = 'INSERT' then
        for writer in select distinct n.user_id from new_rows n where n.is_active loop
            perform kith.retire_memories(writer);
        end loop;
    else
        -- Those that came to life: an upsert over a retired row, a later expiry.
        for writer in
            select distinct n.user_id
            from new_rows n
            join old_rows o using (id)
            where n.is_active
                and (not o.is_active or o.user_id <> n.user_id or o.expires_at is distinct from n.expires_at)
        loop
            perform kith.retire_memories(writer);
        end loop;
    end if;
    return null;
end
$$;
comment on function kith.cap_memories() is 'Trigger: holds the cap of active memories after every statement.';
create trigger cap_inserted after insert on public.memories
    referencing new table as new_rows
    for each statement execute function kith.cap_memories();
create trigger cap_updated after update on public.memories
    referencing old table as old_rows new table as new_rows
    for each statement execute function kith.cap_memories();

reset role;
