-- Thinking Partner: workspaces, projects, documents, semantic memory, sessions
-- that are reused for a day, and billing by workspace.
--
-- How its names map onto Kith's.  What is not listed has the same name.  Every
-- view ends with created_at and updated_at where the table has them; memories
-- and chunks show embedding_model too.
--
--   thinking_partner      public                columns that differ
--   memories              memories              -
--   chat_sessions         conversations         context_metadata = metadata; session_type is thinking_partner
--                                               if nothing is said
--   session_messages      messages              session_id = conversation_id
--   documents             documents             -
--   chunks                chunks                read only
--   workspaces            workspaces            -
--   projects              projects              -
--   work_tickets          work_tickets          -
--   work_outputs          work_outputs          -
--   subscription_events   subscription_events   read only; ls_* are Lemon Squeezy's
--   scheduled_messages    scheduled_messages    channel is email if nothing is said
--   email_delivery_log    email_delivery_log    read only
--
-- user_id, and owner_id of a workspace, are users as in auth.users.  The
-- functions have that system's names and arguments:
--   get_or_create_chat_session(user_id, project_id, session_type, scope)
--   append_session_message(session_id, role, content, metadata)
--   search_memories(query_embedding, project_id, match_count, ...)
--   search_chunks(document_id, query_embedding, match_count, ...)
--
-- session_messages: sequence_number is the server's, 1, 2, 3 ... in a session,
-- also for a direct insert.  A turn, once written, cannot be deleted singly; it
-- goes with its session.
--
-- memories: project_id null goes everywhere with the user.  is_active false is
-- how one is deleted; the cap of the plan retires memories so as well.
--
-- What the server keeps is read only: processing of a document, status and times
-- of a ticket, the subscription of a workspace, the delivery of a message.
--
-- Not here: agent_sessions, which is deprecated there; user_context
-- and blocks, which memories replaced; columns that other systems brought.

create schema if not exists thinking_partner;
comment on schema thinking_partner is
    'Thinking Partner: workspaces, sessions, documents, memories and work by that system''s names.';
grant usage on schema thinking_partner to anon, authenticated, service_role;

create or replace view thinking_partner.memories with (security_invoker = true) as
select id, user_id, project_id, content, embedding, tags, entities, importance, source_type, source_ref, is_active,
    created_at, updated_at, embedding_model
from public.memories;
call kith.follow_table('thinking_partner.memories', 'public.memories');

create or replace view thinking_partner.chat_sessions with (security_invoker = true) as
select id, user_id, project_id, session_type, status, started_at, ended_at, metadata as context_metadata, created_at,
    updated_at
from public.conversations;
call kith.follow_table('thinking_partner.chat_sessions', 'public.conversations', '{"context_metadata": "metadata"}');
alter view thinking_partner.chat_sessions alter column session_type set default 'thinking_partner';
comment on view thinking_partner.chat_sessions is 'A session of talking, with its turns.';
comment on column thinking_partner.chat_sessions.project_id is 'Project it belongs to; null is a global chat.';

create or replace view thinking_partner.session_messages with (security_invoker = true) as
select id, conversation_id as session_id, role, content, sequence_number, metadata, created_at
from public.messages;
call kith.follow_table('thinking_partner.session_messages', 'public.messages', '{"session_id": "conversation_id"}');
revoke delete on thinking_partner.session_messages from authenticated, service_role;
comment on view thinking_partner.session_messages is 'One turn of a session.';
comment on column thinking_partner.session_messages.session_id is 'Session it belongs to; never changes.';
comment on column thinking_partner.session_messages.sequence_number is
    '1, 2, 3 ... within the session; given by the server.';

create or replace view thinking_partner.documents with (security_invoker = true) as
select id, user_id, project_id, filename, file_url, storage_path, file_type, file_size, processing_status, processed_at,
    error_message, page_count, word_count, created_at, updated_at
from public.documents;
call kith.follow_table('thinking_partner.documents', 'public.documents');

create or replace view thinking_partner.chunks with (security_invoker = true) as
select id, document_id, content, embedding, chunk_index, page_number, metadata, token_count, created_at, embedding_model
from public.chunks;
call kith.follow_table('thinking_partner.chunks', 'public.chunks');

create or replace view thinking_partner.workspaces with (security_invoker = true) as
select id, name, owner_id, owner_email, subscription_status, subscription_expires_at, lemonsqueezy_customer_id,
    lemonsqueezy_subscription_id, created_at, updated_at
from public.workspaces;
call kith.follow_table('thinking_partner.workspaces', 'public.workspaces');

create or replace view thinking_partner.projects with (security_invoker = true) as
select id, name, description, workspace_id, created_at, updated_at
from public.projects;
call kith.follow_table('thinking_partner.projects', 'public.projects');

create or replace view thinking_partner.work_tickets with (security_invoker = true) as
select id, task, agent_type, status, parameters, error_message, project_id, created_at, started_at, completed_at,
    updated_at
from public.work_tickets;
call kith.follow_table('thinking_partner.work_tickets', 'public.work_tickets');

create or replace view thinking_partner.work_outputs with (security_invoker = true) as
select id, title, output_type, content, file_url, file_format, ticket_id, created_at
from public.work_outputs;
call kith.follow_table('thinking_partner.work_outputs', 'public.work_outputs');

create or replace view thinking_partner.subscription_events with (security_invoker = true) as
select id, workspace_id, event_type, event_source, ls_subscription_id, ls_customer_id, payload, created_at
from public.subscription_events;
call kith.follow_table('thinking_partner.subscription_events', 'public.subscription_events');

create or replace view thinking_partner.scheduled_messages with (security_invoker = true) as
select id, workspace_id, scheduled_for, message_type, subject, content, recipient_email, status, sent_at,
    failure_reason, created_at, updated_at, channel
from public.scheduled_messages;
call kith.follow_table('thinking_partner.scheduled_messages', 'public.scheduled_messages');
alter view thinking_partner.scheduled_messages alter column channel set default 'email';

create or replace view thinking_partner.email_delivery_log with (security_invoker = true) as
select id, scheduled_message_id, recipient, subject, provider, provider_message_id, status, status_updated_at,
    created_at
from public.email_delivery_log;
call kith.follow_table('thinking_partner.email_delivery_log', 'public.email_delivery_log');

create or replace function thinking_partner.get_or_create_chat_session(
    user_id uuid default auth.uid(),
    project_id uuid default null,
    session_type text default 'thinking_partner',
    scope text default 'daily'
) returns thinking_partner.chat_sessions
language sql volatile security invoker set search_path = ''
as $$
    select c.id, c.user_id, c.project_id, c.session_type, c.status, c.started_at, c.ended_at, c.metadata, c.created_at,
        c.updated_at
    from public.get_or_create_chat_session(
        get_or_create_chat_session.user_id, get_or_create_chat_session.project_id,
        get_or_create_chat_session.session_type, get_or_create_chat_session.scope
    ) c
$$;
comment on function thinking_partner.get_or_create_chat_session(uuid, uuid, text, text) is
    'Today''s active session of a user, project and type, made if there is none.  Scope conversation always makes one.';
grant execute on function thinking_partner.get_or_create_chat_session(uuid, uuid, text, text)
    to authenticated, service_role;

create or replace function thinking_partner.append_session_message(
    session_id uuid, role text, content text, metadata jsonb default '{}'
) returns thinking_partner.session_messages
language sql volatile security invoker set search_path = ''
as $$
    select m.id, m.conversation_id, m.role, m.content, m.sequence_number, m.metadata, m.created_at
    from public.append_session_message(
        append_session_message.session_id, append_session_message.role, append_session_message.content,
        append_session_message.metadata
    ) m
$$;
comment on function thinking_partner.append_session_message(uuid, text, text, jsonb) is
    'Appends a turn to a session and returns it with its number.';
grant execute on function thinking_partner.append_session_message(uuid, text, text, jsonb)
    to authenticated, service_role;

create or replace function thinking_partner.search_memories(
    query_embedding text default null,
    project_id uuid default null,
    match_count integer default 20,
    query_text text default null,
    embedding_model text default null,
    user_id uuid default auth.uid()
) returns setof public.memory_match
language sql stable security invoker rows 20 set search_path = ''
as $$
    select *
    from public.search_memories(
        search_memories.query_embedding, search_memories.project_id, search_memories.match_count,
        search_memories.query_text, search_memories.embedding_model, search_memories.user_id
    )
$$;
comment on function thinking_partner.search_memories(text, uuid, integer, text, text, uuid) is
    'The memories that answer a query best, of a user and a project: 0.7 similarity + 0.3 importance.';
grant execute on function thinking_partner.search_memories(text, uuid, integer, text, text, uuid)
    to authenticated, service_role;

create or replace function thinking_partner.search_chunks(
    document_id uuid,
    query_embedding text default null,
    match_count integer default 5,
    embedding_model text default null
) returns setof public.chunk_match
language sql stable security invoker rows 5 set search_path = ''
as $$
    select *
    from public.search_chunks(
        search_chunks.document_id, search_chunks.query_embedding, search_chunks.match_count,
        search_chunks.embedding_model
    )
$$;
comment on function thinking_partner.search_chunks(uuid, text, integer, text) is
    'The chunks of a document that answer a query best.';
grant execute on function thinking_partner.search_chunks(uuid, text, integer, text) to authenticated, service_role;
