-- Voice messages: what a kept voice says.  A client writes drafts; from the
-- recording on, all is the server's.

set local role kith_owner;

create table public.voice_messages (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users on delete cascade,
    profile_id uuid not null references public.profiles on delete cascade,
    title text not null constraint voice_messages_title_length check (length(title) between 1 and 200),
    category text not null constraint voice_messages_category_length check (length(category) between 1 and 200),
    recipient_label text constraint voice_messages_recipient_label_length check (length(recipient_label) <= 200),
    moment_label text constraint voice_messages_moment_label_length check (length(moment_label) <= 200),
    prompt_text text not null constraint voice_messages_prompt_text_length check (length(prompt_text) <= 8000),
    generated_text text not null
        constraint voice_messages_generated_text_length check (length(generated_text) between 1 and 40000),
    audio_storage_path text,
    mime_type text not null default 'audio/mpeg',
    duration_ms integer constraint voice_messages_duration_ms_positive check (duration_ms >= 0),
    size_bytes bigint constraint voice_messages_size_bytes_positive check (size_bytes >= 0),
    status text not null default 'draft'
        constraint voice_messages_status_known check (status in ('draft', 'generating', 'ready', 'failed')),
    error_message text,
    play_count integer not null default 0 constraint voice_messages_play_count_positive check (play_count >= 0),
    last_played_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint voice_messages_ready_has_audio check (status <> 'ready' or audio_storage_path is not null),
    constraint voice_messages_audio_storage_path_own check (
        audio_storage_path ~ ('^[^/]+/' || user_id::text || '(/[^/]+)+$')
        and audio_storage_path !~ '/\.\.?(/|$)'
    )
);
create index on public.voice_messages (user_id, last_played_at);  -- policy and foreign key
create index on public.voice_messages (profile_id, created_at);  -- foreign key, newest of a profile
create index on public.voice_messages (audio_storage_path) where audio_storage_path is not null;  -- is the file in use

comment on table public.voice_messages is 'One message in a kept voice: its words, and the recording made of them.';
comment on column public.voice_messages.id is 'The message.';
comment on column public.voice_messages.user_id is 'Whose message.';
comment on column public.voice_messages.profile_id is 'Whose voice speaks; a profile of the same user.';
comment on column public.voice_messages.title is 'What its owner calls it.';
comment on column public.voice_messages.category is 'birthday, encouragement, apology, gratitude, other ...; a word of the app.';
comment on column public.voice_messages.recipient_label is 'Who it is for, such as My daughter.';
comment on column public.voice_messages.moment_label is 'When to listen to it, such as When you need courage.';
comment on column public.voice_messages.prompt_text is 'What was asked for.';
comment on column public.voice_messages.generated_text is 'The words that are spoken.';
comment on column public.voice_messages.audio_storage_path is 'Recording in storage, in a folder of the owner''s; null until there is one.';
comment on column public.voice_messages.mime_type is 'Kind of the recording.';
comment on column public.voice_messages.duration_ms is 'How long it lasts, in milliseconds.';
comment on column public.voice_messages.size_bytes is 'Its size.';
comment on column public.voice_messages.status is 'draft, generating, ready or failed; see generate_voice_message.';
comment on column public.voice_messages.error_message is 'Why it could not be spoken; null when it could.';
comment on column public.voice_messages.play_count is 'How often it was played.';
comment on column public.voice_messages.last_played_at is 'When it was last played.';
comment on column public.voice_messages.created_at is 'When it was made.';
comment on column public.voice_messages.updated_at is 'When the row last changed.';

alter table public.voice_messages enable row level security, force row level security;
create policy "owner keeps own voice messages" on public.voice_messages to authenticated
    using (user_id = (select auth.uid()))
    with check (
        user_id = (select auth.uid())
        and (select auth.uid()) = (select p.user_id from public.profiles p where p.id = profile_id)
    );
grant select, delete,
    insert (id, user_id, profile_id, title, category, recipient_label, moment_label, prompt_text, generated_text,
        created_at, updated_at),
    update (user_id, profile_id, title, category, recipient_label, moment_label, prompt_text, generated_text, updated_at)
    on public.voice_messages to authenticated;
-- No grant to anon.

create trigger touch before update on public.voice_messages
    for each row execute function kith.touch();
create trigger check_owner before insert or update of user_id, profile_id on public.voice_messages
    for each row execute function kith.check_profile_owner();

-- The words of a recording stay what is heard.  Title and labels are the
-- owner's at any time, and so are the words of a draft, or of a message that
-- could not be spoken.  The service is free: it may correct what it generates.
create function kith.keep_spoken_words() returns trigger
language plpgsql stable security invoker set search_path = ''
as $$
begin
    if pg_catalog.row_security_active('public.voice_messages') then
        raise exception using errcode = 'PT409',
            message = pg_catalog.format('the words of a message that is %s cannot change', old.status),
            hint = 'Title, category and labels can; for other words make another message.';
    end if;
    return new;
end
$$;
comment on function kith.keep_spoken_words() is 'Trigger: refuses other words or another voice once a message is being spoken.';
create trigger keep_spoken_words before update of profile_id, prompt_text, generated_text on public.voice_messages
    for each row when (
        old.status in ('generating', 'ready')
        and (old.profile_id, old.prompt_text, old.generated_text)
            is distinct from (new.profile_id, new.prompt_text, new.generated_text)
    )
    execute function kith.keep_spoken_words();

create function kith.follow_message_status() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
    if (old.status, new.status) not in (
        ('draft', 'generating'), ('generating', 'ready'), ('generating', 'failed'),
        ('failed', 'generating'), ('failed', 'draft')
    ) then
        raise exception using errcode = 'check_violation',
            message = pg_catalog.format('a voice message cannot go from "%s" to "%s"', old.status, new.status),
            hint = 'The way is draft, generating, then ready or failed; what failed may be generated again.';
    end if;
    if new.status <> 'failed' then
        new.error_message := null;
    end if;
    return new;
end
$$;
comment on function kith.follow_message_status() is 'Trigger: refuses a step that a voice message cannot take.';
create trigger follow_message_status before update of status on public.voice_messages
    for each row when (old.status is distinct from new.status)
    execute function kith.follow_message_status();

create trigger release_deleted_files after delete on public.voice_messages
    referencing old table as old_rows
    for each statement execute function kith.release_files('audio_storage_path');
create trigger release_replaced_file after update of audio_storage_path on public.voice_messages
    for each row when (old.audio_storage_path is distinct from new.audio_storage_path)
    execute function kith.release_files('audio_storage_path');

-- Speaking.  Security definer as train_voice is; the message's row is the lock.
create function public.generate_voice_message(id uuid) returns public.voice_messages
language plpgsql volatile security definer set search_path = ''
as $$
declare
    message public.voice_messages;
    profile public.profiles;
begin
    select m.* into message
    from public.voice_messages m
    where m.id = generate_voice_message.id and m.user_id = (select auth.uid())
    for no key update;
    if not found then
        raise exception using errcode = 'PT404', message = 'voice message not found';
    end if;
    if message.status not in ('draft', 'failed') then
        raise exception using errcode = 'PT409',
            message = pg_catalog.format('the voice message is %s already', message.status),
            hint = 'A draft, or a message that failed, can be generated.';
    end if;
    select p.* into profile from public.profiles p where p.id = message.profile_id for share;
    if profile.voice_model_status <> 'ready' or profile.deleted_at is not null then
        raise exception using errcode = 'PT409',
            message = pg_catalog.format('the voice of "%s" is not ready', profile.name),
            hint = case
                when profile.deleted_at is not null then 'The profile was taken out of use.'
                when profile.voice_model_status = 'training' then 'It is being trained; try again when voice_model_status is ready.'
                else 'Record the 25 clips and train the voice first.'
            end;
    end if;

    update public.voice_messages m
    set status = 'generating'
    where m.id = message.id
    returning m.* into message;
    perform kith.enqueue(
        'generate_voice_message',
        pg_catalog.jsonb_build_object('voice_message_id', message.id),
        user_id => message.user_id
    );
    return message;
end
$$;
comment on function public.generate_voice_message(uuid) is
    'Has a draft spoken by the voice of its profile, which must be ready.  Returns the message, which is generating.';
grant execute on function public.generate_voice_message(uuid) to authenticated;

create function kith.fail_generating() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
    update public.voice_messages m
    set status = 'failed', error_message = new.last_error
    where m.id = (new.payload ->> 'voice_message_id')::uuid and m.status = 'generating';
    return null;
end
$$;
comment on function kith.fail_generating() is 'Trigger: a message whose generation was given up says so, and may be tried again.';
create trigger fail_generating after update of status on kith.jobs
    for each row when (new.kind = 'generate_voice_message' and new.status = 'failed')
    execute function kith.fail_generating();

create function kith.drop_generating() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
    perform kith.drop_jobs('generate_voice_message', old.user_id, 'voice_message_id', old.id);
    return null;
end
$$;
comment on function kith.drop_generating() is 'Trigger: a message that goes need not be spoken.';
create trigger drop_generating after delete on public.voice_messages
    for each row when (old.status = 'generating')
    execute function kith.drop_generating();

reset role;
