-- Trailhead: Internal Family Systems; parts, insights, actions of an agent that
-- can be undone, and a memory kept as differences.
--
-- How its names map onto Kith's.  What is not listed has the same name.  Every
-- view ends with created_at and updated_at where the table has them.
--
--   trailhead               public               columns that differ
--   users                   users                settings = preferences
--   sessions                conversations        status is active or ended, and takes the words of other systems too
--   messages                messages             session_id = conversation_id; user_id: whose session it is
--   parts                   parts                -
--   part_relationships      part_relationships   -
--   part_assessments        part_assessments     -
--   agent_actions           agent_actions        -
--   user_memory_snapshots   memory_snapshots     -
--   memory_updates          memory_updates       -
--   insights                insights             -
--   onboarding              onboarding           responses = data
--
-- messages: the table has no user_id, since a message belongs to whoever owns
-- its session.  The view shows the owner, and takes a user_id with a new message
-- that must be the owner's.  This needs triggers in place of writing, so an
-- upsert is not offered, as PostgreSQL has none through them.
--
-- agent_actions and user_memory_snapshots are read only.  What writes them:
--   agent_act(session_id, action_type, entity_type, entity_id, payload)
--   revert_agent_action(id)
--   save_memory(document), read back by reconstruct_memory(version)
-- memory_updates takes user_id, kind and ref_id; the rest is the server's.
-- An insight's status, rating and feedback change, and its times follow.
--
-- Not here: columns that other systems brought.

create schema if not exists trailhead;
comment on schema trailhead is
    'Trailhead: sessions, parts, insights, agent actions and memory by that system''s names.';
grant usage on schema trailhead to anon, authenticated, service_role;

create or replace view trailhead.users with (security_invoker = true) as
select id, email, preferences as settings, created_at, updated_at
from public.users;
call kith.follow_table('trailhead.users', 'public.users', '{"settings": "preferences"}');

create or replace view trailhead.sessions with (security_invoker = true) as
select id, user_id, title, status, started_at, ended_at, metadata, created_at, updated_at
from public.conversations;
call kith.follow_table('trailhead.sessions', 'public.conversations');
comment on view trailhead.sessions is 'A session of talking.';
comment on column trailhead.sessions.status is 'active or ended; completed and archived are known too.';

-- The join shows the session's own column, so that users can be embedded.
create or replace view trailhead.messages with (security_invoker = true) as
select m.id, m.conversation_id as session_id, c.user_id, m.role, m.content, m.metadata, m.created_at
from public.messages m
join public.conversations c on c.id = m.conversation_id;
call kith.follow_table('trailhead.messages', 'public.messages', '{"session_id": "conversation_id"}');
comment on view trailhead.messages is 'One turn of a session.';
comment on column trailhead.messages.session_id is 'Session it belongs to; never changes.';
comment on column trailhead.messages.user_id is 'Whose session it is; a message can be sent with no other.';
alter view trailhead.messages alter column user_id set default auth.uid();
grant insert (user_id) on trailhead.messages to authenticated, service_role;

-- Written with the rights of who writes, through the table's policies.
create or replace function trailhead.write_message() returns trigger
language plpgsql volatile security invoker set search_path = ''
as $$
declare
    owner uuid;
begin
    if tg_op = 'DELETE' then
        delete from public.messages m where m.id = old.id;
    elsif tg_op = 'UPDATE' then
        update public.messages m
        set conversation_id = new.session_id, role = new.role, content = new.content, metadata = new.metadata
        where m.id = old.id;
    else
        owner := (select c.user_id from public.conversations c where c.id = new.session_id);
        -- The service has no user of its own, and may leave it to the session.
        if new.user_id is null and not row_security_active('public.messages') then
            new.user_id := owner;
        elsif new.user_id is distinct from owner then
            raise exception using errcode = 'insufficient_privilege',
                message = 'a message belongs to the user of its session',
                hint = 'Send the user_id of the session, or none.';
        end if;
        insert into public.messages (id, conversation_id, role, content, metadata, created_at)
        values (new.id, new.session_id, new.role, new.content, new.metadata, new.created_at);
    end if;
    if not found then
        return null;
    end if;
    return case tg_op when 'DELETE' then old else new end;
end
$$;
comment on function trailhead.write_message() is 'Trigger: writes a message of the view into the table.';
create or replace trigger write_message instead of insert or update or delete on trailhead.messages
    for each row execute function trailhead.write_message();

create or replace view trailhead.parts with (security_invoker = true) as
select id, user_id, name, story, status, confidence_score, recent_evidence, attributes, created_at, updated_at
from public.parts;
call kith.follow_table('trailhead.parts', 'public.parts');

create or replace view trailhead.part_relationships with (security_invoker = true) as
select id, user_id, from_part_id, to_part_id, relationship_type, polarization_level, notes, created_at, updated_at
from public.part_relationships;
call kith.follow_table('trailhead.part_relationships', 'public.part_relationships');

create or replace view trailhead.part_assessments with (security_invoker = true) as
select id, user_id, part_id, assessment_type, content, created_at, updated_at
from public.part_assessments;
call kith.follow_table('trailhead.part_assessments', 'public.part_assessments');

create or replace view trailhead.agent_actions with (security_invoker = true) as
select id, user_id, session_id, action_type, entity_type, entity_id, payload, result, reverted_at, created_at
from public.agent_actions;
call kith.follow_table('trailhead.agent_actions', 'public.agent_actions');

create or replace view trailhead.user_memory_snapshots with (security_invoker = true) as
select id, user_id, version, is_checkpoint, operations, metadata, created_at
from public.memory_snapshots;
call kith.follow_table('trailhead.user_memory_snapshots', 'public.memory_snapshots');

create or replace view trailhead.memory_updates with (security_invoker = true) as
select id, user_id, kind, ref_id, processed, attempts, last_error, processed_at, created_at, updated_at
from public.memory_updates;
call kith.follow_table('trailhead.memory_updates', 'public.memory_updates');

create or replace view trailhead.insights with (security_invoker = true) as
select id, user_id, type, status, content, rating, feedback, revealed_at, actioned_at, created_at, updated_at
from public.insights;
call kith.follow_table('trailhead.insights', 'public.insights');

create or replace view trailhead.onboarding with (security_invoker = true) as
select id, user_id, current_step, completed, data as responses, completed_at, created_at, updated_at
from public.onboarding;
call kith.follow_table('trailhead.onboarding', 'public.onboarding', '{"responses": "data"}');

create or replace function trailhead.agent_act(
    session_id uuid,
    action_type text,
    entity_type text,
    entity_id uuid default null,
    payload jsonb default '{}'
) returns trailhead.agent_actions
language sql volatile security invoker set search_path = ''
as $$
    select a.id, a.user_id, a.session_id, a.action_type, a.entity_type, a.entity_id, a.payload, a.result, a.reverted_at,
        a.created_at
    from public.agent_act(
        agent_act.session_id, agent_act.action_type, agent_act.entity_type, agent_act.entity_id, agent_act.payload
    ) a
$$;
comment on function trailhead.agent_act(uuid, text, text, uuid, jsonb) is
    'Changes a part, a relationship or an assessment for the caller, and records before and after.';
grant execute on function trailhead.agent_act(uuid, text, text, uuid, jsonb) to authenticated, service_role;

create or replace function trailhead.revert_agent_action(id uuid) returns trailhead.agent_actions
language sql volatile security invoker set search_path = ''
as $$
    select a.id, a.user_id, a.session_id, a.action_type, a.entity_type, a.entity_id, a.payload, a.result, a.reverted_at,
        a.created_at
    from public.revert_agent_action(revert_agent_action.id) a
$$;
comment on function trailhead.revert_agent_action(uuid) is
    'Undoes exactly what an action did, or refuses when the row changed since.';
grant execute on function trailhead.revert_agent_action(uuid) to authenticated, service_role;

create or replace function trailhead.save_memory(document json, metadata jsonb default '{}')
returns trailhead.user_memory_snapshots
language sql volatile security invoker set search_path = ''
as $$
    select s.id, s.user_id, s.version, s.is_checkpoint, s.operations, s.metadata, s.created_at
    from public.save_memory(save_memory.document, save_memory.metadata) s
$$;
comment on function trailhead.save_memory(json, jsonb) is
    'Saves the document of the caller''s memory as the next version, and returns that.';
grant execute on function trailhead.save_memory(json, jsonb) to authenticated, service_role;

create or replace function trailhead.reconstruct_memory(version integer default null) returns json
language sql stable security invoker set search_path = ''
as $$ select public.reconstruct_memory(reconstruct_memory.version) $$;
comment on function trailhead.reconstruct_memory(integer) is
    'The document of the caller''s memory as it was at a version, else as it is; null when nothing was saved.';
grant execute on function trailhead.reconstruct_memory(integer) to authenticated, service_role;
