-- Agent actions: what an agent changed in a user's name, kept so that it can
-- be undone.
--
-- An agent's change is the user's own: it must pass every policy, grant and
-- check that the user would meet.  The record of it is not: who could forge one
-- and then undo it would make the server write what they like.  So the two
-- functions run as a role of their own, kith_agent, which is authenticated and
-- may also write the record.  It does not bypass row-level security: policies
-- ask for auth.uid(), which is the caller.

do $$
begin
    create role kith_agent with nologin inherit;
exception when duplicate_object or unique_violation then
    -- There already, or made this moment by a migration of another database.
    alter role kith_agent with nosuperuser nocreatedb nocreaterole noreplication nobypassrls nologin inherit;
end
$$;
comment on role kith_agent is 'Runs what an agent does: a signed-in user who also writes agent_actions.';
grant authenticated to kith_agent;
grant usage on schema kith to kith_agent;

set local role kith_owner;

create table public.agent_actions (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users on delete cascade,
    -- The record outlives the session.
    session_id uuid references public.conversations on delete set null,
    action_type text not null
        constraint agent_actions_action_type_length check (length(action_type) between 1 and 200),
    entity_type text not null constraint agent_actions_entity_type_known
        check (entity_type in ('part', 'part_relationship', 'part_assessment')),
    entity_id uuid not null,
    payload jsonb not null default '{}',
    result jsonb not null default '{}',
    reverted_at timestamptz,
    created_at timestamptz not null default now()
);
create index on public.agent_actions (user_id, created_at desc);  -- policy, foreign key, newest first
create index on public.agent_actions (entity_type, entity_id);
create index on public.agent_actions (session_id) where session_id is not null;  -- foreign key

comment on table public.agent_actions is 'What an agent did in a user''s name; written by agent_act.';
comment on column public.agent_actions.id is 'The action.';
comment on column public.agent_actions.user_id is 'Whose data it changed.';
comment on column public.agent_actions.session_id is
    'Conversation in which the agent did it; null when there was none, or it is gone.';
comment on column public.agent_actions.action_type is 'What it did: create_part, update_part, create_relationship ...';
comment on column public.agent_actions.entity_type is 'What it did it to: part, part_relationship or part_assessment.';
comment on column public.agent_actions.entity_id is 'The row it did it to; may be gone.';
comment on column public.agent_actions.payload is 'What the agent asked for: columns and their values.';
comment on column public.agent_actions.result is
    'The row {before, after}, null where there was none; cascaded holds the rows that went with a deleted part.';
comment on column public.agent_actions.reverted_at is 'When it was undone.';
comment on column public.agent_actions.created_at is 'When it was done.';

alter table public.agent_actions enable row level security, force row level security;
create policy "owner reads own actions" on public.agent_actions for select to authenticated
    using (user_id = (select auth.uid()));
create policy "agent records actions of its caller" on public.agent_actions to kith_agent
    using (user_id = (select auth.uid()))
    with check (
        user_id = (select auth.uid())
        and (
            session_id is null
            or (select auth.uid()) = (select c.user_id from public.conversations c where c.id = session_id)
        )
    );
grant select on public.agent_actions to authenticated;
grant insert (session_id, action_type, entity_type, entity_id, payload, result), update (reverted_at)
    on public.agent_actions to kith_agent;
-- No other grant: a user reads the record, and only agent_act and
-- revert_agent_action write it.  No grant to anon.

-- The steps that both functions are made of.  relation is one of the three
-- tables of sql/090_parts.sql; rows travel as jsonb, with times in UTC, since
-- the functions set that zone.

create function kith.agent_table(entity_type text) returns regclass
language sql stable set search_path = ''
as $$ select ('public.' || entity_type || 's')::regclass $$;
comment on function kith.agent_table(text) is 'The table of an entity type.';

create function kith.agent_caller() returns uuid
language plpgsql stable set search_path = ''
as $$
begin
    if auth.uid() is null then
        raise exception using errcode = 'insufficient_privilege',
            message = 'an agent acts for a user',
            hint = 'Call this with the token of the user whose data it is.';
    end if;
    return auth.uid();
end
$$;
comment on function kith.agent_caller() is 'Whom the agent acts for; refuses a request without a user.';

create function kith.agent_columns(relation regclass, privilege text) returns table (name text, type regtype)
language sql stable set search_path = ''
as $$
    select a.attname::text, a.atttypid::regtype
    from pg_catalog.pg_attribute a
    where a.attrelid = relation
        and a.attnum > 0
        and not a.attisdropped
        and pg_catalog.has_column_privilege(a.attrelid, a.attnum, privilege)
    order by a.attnum
$$;
comment on function kith.agent_columns(regclass, text) is
    'The columns of a table that who runs this may insert, or update.';

-- A named check or foreign key says by itself what is wrong with a value.  This
-- says what cannot be a value at all, and what is not the agent's to write.
create function kith.check_agent_payload(relation regclass, privilege text, payload jsonb) returns void
language plpgsql stable set search_path = ''
as $$
declare
    given record;
    wanted regtype;
begin
    if pg_catalog.jsonb_typeof(payload) <> 'object' then
        raise exception using errcode = 'invalid_parameter_value',
            message = 'payload must be an object of columns and their values';
    end if;
    for given in select p.key, p.value from pg_catalog.jsonb_each(payload) p loop
        select c.type into wanted
        from kith.agent_columns(relation, privilege) c
        where c.name = given.key and c.name not in ('id', 'user_id', 'created_at', 'updated_at');
        if not found then
            raise exception using errcode = 'invalid_parameter_value',
                message = pg_catalog.format('payload: "%s" is no column that an agent may write', given.key),
                hint = (
                    select pg_catalog.format('Use %s.', pg_catalog.string_agg(c.name, ', '))
                    from kith.agent_columns(relation, privilege) c
                    where c.name not in ('id', 'user_id', 'created_at', 'updated_at')
                );
        end if;
        begin
            -- Any JSON can be made a text, {"a": 1} too; an agent that sends that is mistaken.
            if wanted = 'text'::regtype and pg_catalog.jsonb_typeof(given.value) not in ('string', 'null') then
                raise data_exception;
            end if;
            execute pg_catalog.format('select pg_catalog.jsonb_populate_record(null::%s, $1)', relation)
                using pg_catalog.jsonb_build_object(given.key, given.value);
        exception when data_exception then
            raise exception using errcode = 'invalid_parameter_value',
                message = pg_catalog.format('payload: "%s" is not of type %s', given.key, wanted);
        end;
    end loop;
end
$$;
comment on function kith.check_agent_payload(regclass, text, jsonb) is
    'Refuses a payload that names what an agent may not write, or is of the wrong type.';

-- The columns of a row that may be written, as a list.
create function kith.agent_list(relation regclass, privilege text, content jsonb) returns text
language sql stable set search_path = ''
as $$
    select pg_catalog.string_agg(pg_catalog.quote_ident(c.name), ', ')
    from kith.agent_columns(relation, privilege) c
    where content ? c.name
$$;
comment on function kith.agent_list(regclass, text, jsonb) is 'The names of a row''s columns that may be written.';

create function kith.agent_lock(relation regclass, id uuid) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
    content jsonb;
begin
    execute pg_catalog.format('select pg_catalog.to_jsonb(t) from %s t where t.id = $1 for update', relation)
        into content using agent_lock.id;
    return content;
end
$$;
comment on function kith.agent_lock(regclass, uuid) is 'A row, locked until the end; null when there is none.';

-- A part must be locked already: its foreign keys then keep others from adding any.
create function kith.agent_cascade(part_id uuid) returns jsonb
language sql volatile set search_path = ''
as $$
    with r as (
        select *
        from public.part_relationships t
        where agent_cascade.part_id in (t.from_part_id, t.to_part_id)
        for update
    ), a as (
        select *
        from public.part_assessments t
        where t.part_id = agent_cascade.part_id
        for update
    ), gone as (
        select 'part_relationships' as name, pg_catalog.jsonb_agg(pg_catalog.to_jsonb(r)) as contents from r
        union all
        select 'part_assessments', pg_catalog.jsonb_agg(pg_catalog.to_jsonb(a)) from a
    )
    select coalesce(pg_catalog.jsonb_object_agg(g.name, g.contents), '{}')
    from gone g
    where g.contents is not null
$$;
comment on function kith.agent_cascade(uuid) is 'The rows that go when a part goes, by table, locked.';

create function kith.agent_insert(relation regclass, content jsonb) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
    written jsonb;
begin
    execute pg_catalog.format(
        'insert into %1$s as t (%2$s) select %2$s from pg_catalog.jsonb_populate_record(null::%1$s, $1)
        returning pg_catalog.to_jsonb(t)',
        relation, kith.agent_list(relation, 'insert', content)
    ) into written using content;
    return written;
end
$$;
comment on function kith.agent_insert(regclass, jsonb) is 'Inserts a row; returns it as it became.';

create function kith.agent_update(relation regclass, id uuid, content jsonb) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
    written jsonb;
begin
    execute pg_catalog.format(
        'update %1$s t set (%2$s) = (select %2$s from pg_catalog.jsonb_populate_record(null::%1$s, $2))
        where t.id = $1 returning pg_catalog.to_jsonb(t)',
        relation, kith.agent_list(relation, 'update', content)
    ) into written using agent_update.id, content;
    return written;
end
$$;
comment on function kith.agent_update(regclass, uuid, jsonb) is 'Updates a row; returns it as it became.';

create function kith.agent_delete(relation regclass, id uuid) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    execute pg_catalog.format('delete from %s t where t.id = $1', relation) using agent_delete.id;
end
$$;
comment on function kith.agent_delete(regclass, uuid) is 'Deletes a row, and what hangs on it.';

-- updated_at does not count: undoing a later action moves it, and leaves the
-- row as the earlier one had it.  A column that was added since does not count
-- either, since the record cannot know it.
create function kith.agent_unchanged(relation regclass, recorded jsonb, content jsonb) returns boolean
language plpgsql stable set search_path = ''
as $$
declare
    same boolean;
begin
    execute pg_catalog.format(
        'select pg_catalog.to_jsonb(pg_catalog.jsonb_populate_record(c, $1)) - ''updated_at''
            = pg_catalog.to_jsonb(c) - ''updated_at''
        from pg_catalog.jsonb_populate_record(null::%s, $2) c',
        relation
    ) into same using recorded, content;
    return same;
end
$$;
comment on function kith.agent_unchanged(regclass, jsonb, jsonb) is 'Whether a row is still as it was recorded.';

grant execute on function
    kith.agent_table(text), kith.agent_caller(), kith.check_agent_payload(regclass, text, jsonb),
    kith.agent_columns(regclass, text), kith.agent_list(regclass, text, jsonb), kith.agent_lock(regclass, uuid),
    kith.agent_cascade(uuid), kith.agent_insert(regclass, jsonb), kith.agent_update(regclass, uuid, jsonb),
    kith.agent_delete(regclass, uuid), kith.agent_unchanged(regclass, jsonb, jsonb)
    to kith_agent;

-- The bare argument names are those clients send; inside they are written with
-- the function's name.
create function public.agent_act(
    session_id uuid,
    action_type text,
    entity_type text,
    entity_id uuid default null,
    payload jsonb default '{}'
) returns public.agent_actions
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
#variable_conflict use_column
declare
    caller uuid := kith.agent_caller();
    words text[] := pg_catalog.regexp_match(agent_act.action_type,
        '^(create|update|delete)_((?:part_)?relationship|(?:part_)?assessment|part)(?:_[a-z0-9_]+)?$');
    given jsonb := coalesce(agent_act.payload, '{}');
    target uuid := agent_act.entity_id;
    relation regclass;
    before jsonb;
    after jsonb;
    cascaded jsonb := '{}';
    action public.agent_actions;
begin
    if agent_act.session_id is not null
        and caller is distinct from (select c.user_id from public.conversations c where c.id = agent_act.session_id)
    then
        raise exception using errcode = 'insufficient_privilege',
            message = 'the session is not one of the user''s';
    end if;
    if words is null then
        raise exception using errcode = 'invalid_parameter_value',
            message = pg_catalog.format('action type "%s" is not known', agent_act.action_type),
            hint = 'Use create_, update_ or delete_ and part, relationship or assessment, such as create_part.';
    end if;
    if coalesce(agent_act.entity_type, '') not in ('part', 'part_relationship', 'part_assessment') then
        raise exception using errcode = 'invalid_parameter_value',
            message = pg_catalog.format('entity type "%s" is not known', agent_act.entity_type),
            hint = 'Use part, part_relationship or part_assessment.';
    end if;
    -- Trailing words are the app's: update_part_status.
    if agent_act.entity_type not in (words[2], 'part_' || words[2]) then
        raise exception using errcode = 'invalid_parameter_value',
            message = pg_catalog.format('action type "%s" does not fit entity type "%s"',
                agent_act.action_type, agent_act.entity_type);
    end if;
    relation := kith.agent_table(agent_act.entity_type);

    if words[1] = 'create' then
        perform kith.check_agent_payload(relation, 'insert', given);
        target := coalesce(target, pg_catalog.gen_random_uuid());
        after := kith.agent_insert(relation, given || pg_catalog.jsonb_build_object('id', target, 'user_id', caller));
    else
        before := kith.agent_lock(relation, target);
        if before is null then
            raise exception using errcode = 'PT404',
                message = pg_catalog.format('there is no such %s', pg_catalog.replace(agent_act.entity_type, '_', ' ')),
                hint = 'entity_id names the row to change; it may be gone.';
        end if;
        if words[1] = 'update' then
            perform kith.check_agent_payload(relation, 'update', given);
            if given = '{}' then
                raise exception using errcode = 'invalid_parameter_value',
                    message = 'payload has nothing to update';
            end if;
            after := kith.agent_update(relation, target, given);
        else
            if given <> '{}' then
                raise exception using errcode = 'invalid_parameter_value',
                    message = 'payload must be empty to delete';
            end if;
            if agent_act.entity_type = 'part' then
                cascaded := kith.agent_cascade(target);
            end if;
            perform kith.agent_delete(relation, target);
        end if;
    end if;

    insert into public.agent_actions as a (session_id, action_type, entity_type, entity_id, payload, result)
    values (
        agent_act.session_id, agent_act.action_type, agent_act.entity_type, target, given,
        pg_catalog.jsonb_build_object('before', before, 'after', after)
            || case when cascaded = '{}' then '{}' else pg_catalog.jsonb_build_object('cascaded', cascaded) end
    )
    returning a.* into action;
    return action;
end
$$;
comment on function public.agent_act(uuid, text, text, uuid, jsonb) is
    'Creates, updates or deletes a part, relationship or assessment for an agent, and records it to be undone.';

-- Undoes one action, wholly or not at all.  409 when it was undone before, or
-- when the row is no longer as the action left it: what came later would be
-- lost.  The action of another user is as absent.
create function public.revert_agent_action(id uuid) returns public.agent_actions
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC'
as $$
#variable_conflict use_column
declare
    action public.agent_actions;
    entity text;
    relation regclass;
    before jsonb;
    after jsonb;
    content jsonb;
    part record;
begin
    perform kith.agent_caller();
    -- Of two at once the second waits here, then finds reverted_at.
    select a.* into action
    from public.agent_actions a
    where a.id = revert_agent_action.id
    for update;
    if not found then
        raise exception using errcode = 'PT404', message = 'there is no such action';
    end if;
    if action.reverted_at is not null then
        raise exception using errcode = 'PT409',
            message = 'the action was undone before',
            detail = pg_catalog.format('It was undone at %s.', action.reverted_at::timestamptz(0));
    end if;

    entity := pg_catalog.replace(action.entity_type, '_', ' ');
    relation := kith.agent_table(action.entity_type);
    before := nullif(action.result -> 'before', 'null');
    after := nullif(action.result -> 'after', 'null');
    content := kith.agent_lock(relation, action.entity_id);
    if before is null and after is null then
        raise exception using errcode = 'PT409', message = 'the action has no record of what it changed';
    elsif after is not null and content is null then
        raise exception using errcode = 'PT409',
            message = pg_catalog.format('the %s is gone', entity),
            hint = 'If another action deleted it, undo that one first.';
    elsif (after is null and content is not null) or not kith.agent_unchanged(relation, after, content) then
        raise exception using errcode = 'PT409',
            message = pg_catalog.format('the %s was changed since', entity),
            hint = 'Undo the later changes first, the newest before the others.';
    elsif before is null and action.entity_type = 'part' and kith.agent_cascade(action.entity_id) <> '{}' then
        raise exception using errcode = 'PT409',
            message = 'the part has relationships or assessments',
            hint = 'Undo or delete those first: they would go with the part.';
    end if;

    begin
        if before is null then
            perform kith.agent_delete(relation, action.entity_id);
        elsif after is not null then
            perform kith.agent_update(relation, action.entity_id, before);
        else
            perform kith.agent_insert(relation, before);
            for part in
                select ('public.' || t.key)::regclass as relation, r.value as content
                from pg_catalog.jsonb_each(action.result -> 'cascaded') t, pg_catalog.jsonb_array_elements(t.value) r
            loop
                perform kith.agent_insert(part.relation, part.content);
            end loop;
        end if;
    -- The policy, when a part is not there to refer to.
    exception when insufficient_privilege or foreign_key_violation or unique_violation then
        raise exception using errcode = 'PT409',
            message = pg_catalog.format('the %s cannot be as it was', entity),
            detail = 'A part that it refers to is gone, or its id is taken.',
            hint = 'If another action deleted the part, undo that one first.';
    end;

    update public.agent_actions a
    set reverted_at = pg_catalog.now()
    where a.id = action.id
    returning a.* into action;
    return action;
end
$$;
comment on function public.revert_agent_action(uuid) is
    'Undoes an agent''s action; refused when it was undone before or what it changed was changed since.';

grant execute on function public.agent_act(uuid, text, text, uuid, jsonb), public.revert_agent_action(uuid)
    to authenticated;

reset role;
alter function public.agent_act(uuid, text, text, uuid, jsonb) owner to kith_agent;
alter function public.revert_agent_action(uuid) owner to kith_agent;
