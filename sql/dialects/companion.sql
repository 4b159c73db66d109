-- Companion: a companion on the web and on Telegram that also writes first.
--
-- How its names map onto Kith's.  What is not listed has the same name.  Every
-- view ends with created_at and updated_at where the table has them.
--
--   companion              public                columns that differ
--   users                  users                 subscription: the plan in force, read only; preferences
--   conversations          conversations         -
--   messages               messages              no user_id: who owns the conversation owns them
--   user_context           memories              value = content
--   scheduled_messages     scheduled_messages    channel is telegram if nothing is said
--   onboarding             onboarding            -
--   telegram_link_tokens   telegram_link_tokens  token is what is kept of it: its SHA-256
--
-- users: companion_name, companion_persona and companion_settings are the
-- user's; telegram_* are set by linking an account.
--
-- user_context shows live memories only: neither retired by the cap of the plan
-- nor past expires_at.  Unique is (user_id, category, key), so an upsert with
-- on_conflict=user_id,category,key writes a fact or revises it; also over one
-- that expired or was retired, which is live again then.  is_active is true for
-- what is seen; setting it false retires a fact.
--
-- scheduled_messages: status, attempts, sent_at and failure_reason are the
-- server's.  A pending message is canceled by deleting it.
--
-- telegram_link_tokens is read only: create_telegram_link_token() makes a token
-- and shows it once.  It holds for ten minutes and one use.
--
-- Not here: columns that other systems brought.

create schema if not exists companion;
comment on schema companion is
    'Companion: users, conversations, context, schedules and Telegram links by that system''s names.';
grant usage on schema companion to anon, authenticated, service_role;

create or replace view companion.users with (security_invoker = true) as
select id, email, display_name, avatar_path, timezone, companion_name, companion_persona, companion_settings,
    telegram_user_id, telegram_chat_id, telegram_username, telegram_linked_at,
    (select s.plan from public.subscriptions s where s.user_id = u.id) as subscription,
    preferences, created_at, updated_at
from public.users u;
call kith.follow_table('companion.users', 'public.users');
comment on column companion.users.subscription is
    'Plan in force: free, pro ...  Changed by the provider of payments only.';

create or replace view companion.conversations with (security_invoker = true) as
select id, user_id, title, channel, initiated_by, status, summary, mood, topics, metadata, message_count, started_at,
    ended_at, created_at, updated_at
from public.conversations;
call kith.follow_table('companion.conversations', 'public.conversations');
comment on view companion.conversations is 'A day or a session of talking, on one channel.';

create or replace view companion.messages with (security_invoker = true) as
select id, conversation_id, role, content, telegram_message_id, metadata, created_at
from public.messages;
call kith.follow_table('companion.messages', 'public.messages');

create or replace view companion.user_context with (security_invoker = true) as
select id, user_id, category, key, content as value, expires_at, is_active, created_at, updated_at
from public.memories
where is_active and (expires_at is null or expires_at > now());
call kith.follow_table('companion.user_context', 'public.memories', '{"value": "content"}');
-- Null is for the trigger of sql/075_revive_memories.sql; "default null" would be
-- none of the view's own.
alter view companion.user_context
    alter column id set default case when false then gen_random_uuid() end,
    alter column is_active set default case when false then true end;
comment on view companion.user_context is 'What is known of a user and holds now; one fact for each category and key.';
comment on column companion.user_context.category is 'Kind of fact, a word of the app.';
comment on column companion.user_context.key is 'What the fact is about, such as job.';
comment on column companion.user_context.value is 'The detail, such as software engineer.';
comment on column companion.user_context.expires_at is 'The fact holds until then; null is for good.';
comment on column companion.user_context.is_active is 'True for what is seen; false retires the fact.';

create or replace view companion.scheduled_messages with (security_invoker = true) as
select id, user_id, channel, scheduled_for, message_type, subject, content, recipient_email, status, attempts, sent_at,
    failure_reason, created_at, updated_at
from public.scheduled_messages;
call kith.follow_table('companion.scheduled_messages', 'public.scheduled_messages');
alter view companion.scheduled_messages alter column channel set default 'telegram';

create or replace view companion.onboarding with (security_invoker = true) as
select id, user_id, current_step, completed, data, completed_at, created_at, updated_at
from public.onboarding;
call kith.follow_table('companion.onboarding', 'public.onboarding');

create or replace view companion.telegram_link_tokens with (security_invoker = true) as
select id, user_id, token, expires_at, used_at, created_at
from public.telegram_link_tokens;
call kith.follow_table('companion.telegram_link_tokens', 'public.telegram_link_tokens');

create or replace function companion.create_telegram_link_token()
returns text
language sql volatile security invoker set search_path = ''
as $$ select public.create_telegram_link_token() $$;
comment on function companion.create_telegram_link_token() is
    'Makes the token that links Telegram to the caller; it is shown this once and replaces an earlier one.';
grant execute on function companion.create_telegram_link_token() to authenticated, service_role;
