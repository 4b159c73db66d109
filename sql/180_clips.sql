-- Clips: the 25 recordings that a voice is trained from.

set local role kith_owner;

create table public.clips (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users on delete cascade,
    profile_id uuid not null references public.profiles on delete cascade,
    prompt_index integer not null constraint clips_prompt_index_range check (prompt_index between 0 and 24),
    prompt_text text not null constraint clips_prompt_text_length check (length(prompt_text) between 1 and 4000),
    stage integer constraint clips_stage_range check (stage between 1 and 3),
    audio_storage_path text not null,
    mime_type text not null constraint clips_mime_type_length check (length(mime_type) between 1 and 200),
    size_bytes bigint constraint clips_size_bytes_positive check (size_bytes >= 0),
    duration_ms integer constraint clips_duration_ms_positive check (duration_ms >= 0),
    quality_status text not null default 'unknown'
        constraint clips_quality_status_known check (quality_status in ('good', 'redo_suggested', 'unknown')),
    created_by text not null default 'user' constraint clips_created_by_known check (created_by in ('user', 'system')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    -- With the range above: 25 of a profile, and no more.
    constraint clips_one_per_prompt unique (profile_id, prompt_index),
    constraint clips_audio_storage_path_own check (
        audio_storage_path ~ (
            '^training_clips/' || user_id::text || '/' || profile_id::text || '/' || prompt_index::text || '\.[a-z0-9]{1,8}$'
        )
    )
);
create index on public.clips (user_id);  -- policy and foreign key
create index on public.clips (audio_storage_path);  -- is the file in use

comment on table public.clips is 'One recorded prompt of a profile; 25 of them train its voice.';
comment on column public.clips.id is 'The clip.';
comment on column public.clips.user_id is 'Whose clip.';
comment on column public.clips.profile_id is 'Profile whose voice it is; of the same user.';
comment on column public.clips.prompt_index is 'Which prompt, 0 to 24; one clip each.';
comment on column public.clips.prompt_text is 'What was read aloud.';
comment on column public.clips.stage is 'Stage of the training it belongs to: 1, 2 or 3.';
comment on column public.clips.audio_storage_path is 'Recording in storage: training_clips/<user_id>/<profile_id>/<prompt_index>.<ending>.';
comment on column public.clips.mime_type is 'Kind of the recording, as the browser named it.';
comment on column public.clips.size_bytes is 'Its size.';
comment on column public.clips.duration_ms is 'How long it lasts, in milliseconds.';
comment on column public.clips.quality_status is 'good, redo_suggested or unknown.';
comment on column public.clips.created_by is 'Who made the row: user or system.';
comment on column public.clips.created_at is 'When it was made.';
comment on column public.clips.updated_at is 'When the row last changed.';

alter table public.clips enable row level security, force row level security;
create policy "owner keeps own clips" on public.clips to authenticated
    using (user_id = (select auth.uid()))
    with check (
        user_id = (select auth.uid())
        and (select auth.uid()) = (select p.user_id from public.profiles p where p.id = profile_id)
    );
-- Nothing of it is the server's: an app uploads, then writes the row, and says
-- what it knows of the recording.  What the worker finds out later overwrites.
grant select, delete,
    insert (id, user_id, profile_id, prompt_index, prompt_text, stage, audio_storage_path, mime_type, size_bytes,
        duration_ms, quality_status, created_by, created_at, updated_at),
    update (user_id, profile_id, prompt_index, prompt_text, stage, audio_storage_path, mime_type, size_bytes,
        duration_ms, quality_status, created_by, updated_at)
    on public.clips to authenticated;
-- No grant to anon.

create trigger touch before update on public.clips
    for each row execute function kith.touch();

-- The policy asks the same of users; this is for those whom it does not bind.
create function kith.check_profile_owner() returns trigger
language plpgsql stable security invoker set search_path = ''
as $$
begin
    if not pg_catalog.row_security_active(tg_relid)
        and exists (select from public.profiles p where p.id = new.profile_id and p.user_id <> new.user_id)
    then
        raise exception using errcode = 'foreign_key_violation',
            message = 'the profile belongs to another user',
            hint = 'user_id must be that of the profile.';
    end if;
    return new;
end
$$;
comment on function kith.check_profile_owner() is 'Trigger: what belongs to a profile belongs to its user.';
create trigger check_owner before insert or update of user_id, profile_id on public.clips
    for each row execute function kith.check_profile_owner();

create trigger release_deleted_files after delete on public.clips
    referencing old table as old_rows
    for each statement execute function kith.release_files('audio_storage_path');
create trigger release_replaced_file after update of audio_storage_path on public.clips
    for each row when (old.audio_storage_path is distinct from new.audio_storage_path)
    execute function kith.release_files('audio_storage_path');

-- Training.  Security definer, because the status is the server's: it asks for
-- the owner itself.  The profile's row is the lock; of two calls at once the
-- second finds the voice in training.
create function public.train_voice(profile_id uuid, consent boolean) returns public.profiles
language plpgsql volatile security definer set search_path = ''
as $$
declare
    profile public.profiles;
    missing text[];
begin
    select p.* into profile
    from public.profiles p
    where p.id = train_voice.profile_id
        and p.user_id = (select auth.uid())
        and p.deleted_at is null
    for no key update;
    if not found then
        raise exception using errcode = 'PT404', message = 'profile not found';
    end if;
    if train_voice.consent is not true then
        raise exception using errcode = 'invalid_parameter_value',
            message = 'a voice cannot be trained without consent',
            hint = 'Ask the person whose voice it is, then call again with consent true.';
    end if;
    if profile.voice_model_status = 'training' then
        raise exception using errcode = 'PT409',
            message = 'the voice is being trained already',
            hint = 'Wait until voice_model_status is ready.';
    end if;
    select pg_catalog.array_agg(i::text order by i) into missing
    from pg_catalog.generate_series(0, 24) i
    where not exists (
        select from public.clips c where c.profile_id = profile.id and c.prompt_index = i
    );
    if missing is not null then
        raise exception using errcode = 'PT409',
            message = pg_catalog.format('could not start training: %s of 25 clips recorded', 25 - pg_catalog.cardinality(missing)),
            detail = pg_catalog.format('There is no clip with prompt_index %s.', pg_catalog.array_to_string(missing, ', ')),
            hint = pg_catalog.format('Record the missing %s first.',
                case pg_catalog.cardinality(missing) when 1 then 'clip' else pg_catalog.cardinality(missing) || ' clips' end);
    end if;

    update public.profiles p
    set voice_model_status = 'training', voice_consent_at = pg_catalog.now()
    where p.id = profile.id
    returning p.* into profile;
    perform kith.enqueue(
        'train_voice',
        pg_catalog.jsonb_build_object('profile_id', profile.id),
        user_id => profile.user_id
    );
    return profile;
end
$$;
comment on function public.train_voice(uuid, boolean) is
    'Sends the 25 clips of a profile to be trained as a voice.  Consent must be given, and is recorded.  Returns the profile.';
grant execute on function public.train_voice(uuid, boolean) to authenticated;

-- A training that was given up, for whatever reason, gives the profile back.
create function kith.fail_training() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
    update public.profiles p
    set voice_model_status = 'not_submitted', voice_error = new.last_error
    where p.id = (new.payload ->> 'profile_id')::uuid and p.voice_model_status = 'training';
    return null;
end
$$;
comment on function kith.fail_training() is 'Trigger: a profile whose training was given up may be submitted again.';
create trigger fail_training after update of status on kith.jobs
    for each row when (new.kind = 'train_voice' and new.status = 'failed')
    execute function kith.fail_training();

reset role;
