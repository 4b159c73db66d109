-- Essence: voice identities; 25 training clips each, and messages spoken by the
-- voice that was trained from them.
--
-- How its names map onto Kith's.  What is not listed has the same name.  Every
-- view ends with created_at and updated_at where the table has them.
--
--   essence          public           columns that differ
--   users_public     users            name = display_name; email is auth's
--   profiles         profiles         voice_error and voice_consent_at are more
--   training_clips   clips            -
--   messages         voice_messages   not the messages of a conversation
--   subscriptions    subscriptions    read only; plan is free, essential or family_archive
--
-- Files are in storage: avatar_storage_path and audio_storage_path are paths
-- below the owner's folder, for a clip
-- training_clips/{user_id}/{profile_id}/{prompt_index}.webm.
--
-- What the server keeps is read only: voice_model_status and what goes with it,
-- deleted_at, and of a message everything from audio_storage_path on.  So a
-- client makes drafts.  Two functions ask for the rest:
--   train_voice(profile_id, consent), which wants all 25 clips
--   generate_voice_message(id), which wants a voice that is ready
-- A clip recorded anew is an upsert with on_conflict=profile_id,prompt_index.
--
-- Not here: training_clip_count and message_count, which are counted when asked
-- for: profiles?select=*,training_clips(count); columns that other systems
-- brought.

create schema if not exists essence;
comment on schema essence is 'Essence: voice identities, their recordings and messages by that system''s names.';
grant usage on schema essence to anon, authenticated, service_role;

create or replace view essence.users_public with (security_invoker = true) as
select id, email, display_name as name, created_at, updated_at
from public.users;
call kith.follow_table('essence.users_public', 'public.users', '{"name": "display_name"}');

create or replace view essence.profiles with (security_invoker = true) as
select id, user_id, name, relation, notes, voice_model_status, elevenlabs_voice_id, training_completed_at,
    voice_ready_at, avatar_storage_path, avatar_updated_at, created_at, updated_at, deleted_at, voice_error,
    voice_consent_at
from public.profiles;
call kith.follow_table('essence.profiles', 'public.profiles');

create or replace view essence.training_clips with (security_invoker = true) as
select id, user_id, profile_id, prompt_index, prompt_text, stage, audio_storage_path, mime_type, size_bytes,
    duration_ms, quality_status, created_by, created_at, updated_at
from public.clips;
call kith.follow_table('essence.training_clips', 'public.clips');

create or replace view essence.messages with (security_invoker = true) as
select id, user_id, profile_id, title, category, recipient_label, moment_label, prompt_text, generated_text,
    audio_storage_path, mime_type, duration_ms, size_bytes, status, error_message, play_count, last_played_at,
    created_at, updated_at
from public.voice_messages;
call kith.follow_table('essence.messages', 'public.voice_messages');

create or replace view essence.subscriptions with (security_invoker = true) as
select id, user_id, plan, status, current_period_end, cancel_at_period_end, stripe_customer_id, stripe_subscription_id,
    stripe_price_id, created_at, updated_at
from public.subscriptions;
call kith.follow_table('essence.subscriptions', 'public.subscriptions');

create or replace function essence.train_voice(profile_id uuid, consent boolean) returns essence.profiles
language sql volatile security invoker set search_path = ''
as $$
    select p.id, p.user_id, p.name, p.relation, p.notes, p.voice_model_status, p.elevenlabs_voice_id,
        p.training_completed_at, p.voice_ready_at, p.avatar_storage_path, p.avatar_updated_at, p.created_at,
        p.updated_at, p.deleted_at, p.voice_error, p.voice_consent_at
    from public.train_voice(train_voice.profile_id, train_voice.consent) p
$$;
comment on function essence.train_voice(uuid, boolean) is
    'Starts the training of a voice from its 25 clips, with the consent of the person who speaks.';
grant execute on function essence.train_voice(uuid, boolean) to authenticated, service_role;

create or replace function essence.generate_voice_message(id uuid) returns essence.messages
language sql volatile security invoker set search_path = ''
as $$
    select m.id, m.user_id, m.profile_id, m.title, m.category, m.recipient_label, m.moment_label, m.prompt_text,
        m.generated_text, m.audio_storage_path, m.mime_type, m.duration_ms, m.size_bytes, m.status, m.error_message,
        m.play_count, m.last_played_at, m.created_at, m.updated_at
    from public.generate_voice_message(generate_voice_message.id) m
$$;
comment on function essence.generate_voice_message(uuid) is
    'Has a draft, or a message that failed, spoken by the voice of its profile.';
grant execute on function essence.generate_voice_message(uuid) to authenticated, service_role;
