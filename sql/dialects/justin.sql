-- Justin Lite: deliberate reflection in conversations, with rolling summaries
-- and a capped, extracted memory.
--
-- How its names map onto Kith's.  What is not listed has the same name.  Every
-- view ends with created_at and updated_at where the table has them.
--
--   justin           public          columns that differ
--   users            users           minimal by design: id, email, display_name, avatar_path
--   conversations    conversations   -
--   messages         messages        no user_id: who owns the conversation owns them
--   user_memories    memories        value = content
--   subscriptions    subscriptions   read only
--
-- user_memories shows live memories only: neither retired by the cap of the plan
-- nor expired.  is_active is true for what is seen; setting it false retires a
-- memory.  Writing over a retired one, by its id, makes it live again.
--
-- summary and summary_count are the client's to write; a writer that rolls the
-- summary forward filters by the summary_count that it read.
--
-- Not here: the other columns of conversations and memories, which other
-- systems brought; an upsert of memories by key, which is a label and not
-- unique.  Roles, times and ownership are as in public.

create schema if not exists justin;
comment on schema justin is
    'Justin Lite: users, conversations, messages, memories and subscriptions by that system''s names.';
grant usage on schema justin to anon, authenticated, service_role;

create or replace view justin.users with (security_invoker = true) as
select id, email, display_name, avatar_path, created_at, updated_at
from public.users;
call kith.follow_table('justin.users', 'public.users');

create or replace view justin.conversations with (security_invoker = true) as
select id, user_id, title, system_prompt, summary, summary_count, created_at, updated_at
from public.conversations;
call kith.follow_table('justin.conversations', 'public.conversations');
comment on view justin.conversations is 'A conversation with its rolling summary; the boundary of ownership.';

create or replace view justin.messages with (security_invoker = true) as
select id, conversation_id, role, content, has_attachments, created_at
from public.messages;
call kith.follow_table('justin.messages', 'public.messages');

create or replace view justin.user_memories with (security_invoker = true) as
select id, user_id, key, content as value, is_active, created_at, updated_at
from public.memories
where is_active and (expires_at is null or expires_at > now());
call kith.follow_table('justin.user_memories', 'public.memories', '{"value": "content"}');
-- Null is for the trigger of sql/075_revive_memories.sql; "default null" would be
-- none of the view's own.
alter view justin.user_memories
    alter column id set default case when false then gen_random_uuid() end,
    alter column is_active set default case when false then true end;
comment on view justin.user_memories is
    'What was extracted from conversations and is live: observations, not conclusions.';
comment on column justin.user_memories.key is 'What it is about; a label, not unique.';
comment on column justin.user_memories.is_active is 'True for what is seen; false retires the memory.';

create or replace view justin.subscriptions with (security_invoker = true) as
select id, user_id, plan, status, current_period_end, cancel_at_period_end, stripe_customer_id, stripe_subscription_id,
    stripe_price_id, created_at, updated_at
from public.subscriptions;
call kith.follow_table('justin.subscriptions', 'public.subscriptions');
