-- Profiles: the voices being kept.

set local role kith_owner;

create table public.profiles (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users on delete cascade,
    name text not null constraint profiles_name_length check (length(name) between 1 and 200),
    relation text not null constraint profiles_relation_length check (length(relation) between 1 and 200),
    notes text constraint profiles_notes_length check (length(notes) <= 8000),
    voice_model_status text not null default 'not_submitted'
        constraint profiles_voice_model_status_known check (voice_model_status in ('not_submitted', 'training', 'ready')),
    voice_error text,
    elevenlabs_voice_id text,
    training_completed_at timestamptz,
    voice_ready_at timestamptz,
    voice_consent_at timestamptz,
    avatar_storage_path text,
    avatar_updated_at timestamptz,
    deleted_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint profiles_ready_has_voice check (voice_model_status <> 'ready' or elevenlabs_voice_id is not null),
    -- Bucket, then the owner's folder.
    constraint profiles_avatar_storage_path_own check (
        avatar_storage_path ~ ('^[^/]+/' || user_id::text || '(/[^/]+)+$')
        and avatar_storage_path !~ '/\.\.?(/|$)'
        and length(avatar_storage_path) <= 1024
    )
);
create index on public.profiles (user_id, created_at);  -- policy, foreign key, and the list
create index on public.profiles (elevenlabs_voice_id) where elevenlabs_voice_id is not null;
create index on public.profiles (avatar_storage_path) where avatar_storage_path is not null;  -- is the file in use

comment on table public.profiles is 'One person whose voice is being kept: the owner, a parent, a friend.';
comment on column public.profiles.id is 'The profile.';
comment on column public.profiles.user_id is 'Who keeps the voice; never changes.';
comment on column public.profiles.name is 'What the family calls the person.';
comment on column public.profiles.relation is 'Who the person is to the owner: self, mother, friend ...';
comment on column public.profiles.notes is 'What the owner wants to remember about the profile.';
comment on column public.profiles.voice_model_status is 'not_submitted, training or ready; see train_voice.';
comment on column public.profiles.voice_error is 'Why the last training failed; null when it did not.';
comment on column public.profiles.elevenlabs_voice_id is 'The voice at ElevenLabs.';
comment on column public.profiles.training_completed_at is 'When the provider had trained the voice.';
comment on column public.profiles.voice_ready_at is 'From then on the voice could speak.';
comment on column public.profiles.voice_consent_at is 'When the owner last said that this voice may be trained.';
comment on column public.profiles.avatar_storage_path is 'Picture in storage: bucket, the owner''s id, and a name, such as avatars/<user_id>/anna.png.';
comment on column public.profiles.avatar_updated_at is 'When the picture last changed; set with the path unless it is given.';
comment on column public.profiles.deleted_at is 'Taken out of use by the service: the profile neither trains nor speaks any more.';
comment on column public.profiles.created_at is 'When it was made.';
comment on column public.profiles.updated_at is 'When the row last changed.';

alter table public.profiles enable row level security, force row level security;
create policy "owner keeps own profiles" on public.profiles to authenticated
    using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
-- What is known of the voice is the server's.
grant select, delete,
    insert (id, user_id, name, relation, notes, avatar_storage_path, avatar_updated_at, created_at, updated_at),
    update (user_id, name, relation, notes, avatar_storage_path, avatar_updated_at, updated_at)
    on public.profiles to authenticated;
-- No grant to anon.

create trigger touch before update on public.profiles
    for each row execute function kith.touch();

create function kith.keep_profile_owner() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
    raise exception using errcode = 'insufficient_privilege',
        message = 'a profile cannot be given to another user';
end
$$;
comment on function kith.keep_profile_owner() is 'Trigger: a profile stays with its user, as its recordings do.';
create trigger keep_owner before update of user_id on public.profiles
    for each row when (old.user_id is distinct from new.user_id)
    execute function kith.keep_profile_owner();

create function kith.date_avatar() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
    if tg_op = 'INSERT' then
        new.avatar_updated_at := coalesce(new.avatar_updated_at, pg_catalog.now());
    elsif new.avatar_updated_at is not distinct from old.avatar_updated_at then
        new.avatar_updated_at := pg_catalog.now();
    end if;
    return new;
end
$$;
comment on function kith.date_avatar() is 'Trigger: sets avatar_updated_at with a new picture.';
create trigger date_avatar before insert on public.profiles
    for each row when (new.avatar_storage_path is not null)
    execute function kith.date_avatar();
create trigger date_changed_avatar before update of avatar_storage_path on public.profiles
    for each row when (old.avatar_storage_path is distinct from new.avatar_storage_path)
    execute function kith.date_avatar();

-- The way of a voice.  Whoever changes the status, the times follow; what a
-- provider says of its own time holds.
create function kith.follow_voice_status() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
    if old.voice_model_status = 'not_submitted' and new.voice_model_status = 'ready' then
        raise exception using errcode = 'check_violation',
            message = pg_catalog.format('a voice cannot go from "%s" to "%s"', old.voice_model_status, new.voice_model_status),
            hint = 'A voice is trained before it is ready.';
    end if;
    if new.voice_model_status = 'training' then
        new.training_completed_at := null;
        new.voice_ready_at := null;
        new.voice_error := null;
    elsif new.voice_model_status = 'ready' then
        new.training_completed_at := coalesce(new.training_completed_at, pg_catalog.now());
        new.voice_ready_at := coalesce(new.voice_ready_at, pg_catalog.now());
        new.voice_error := null;
    end if;
    return new;
end
$$;
comment on function kith.follow_voice_status() is 'Trigger: refuses a step that a voice cannot take, and sets the times of the others.';
create trigger follow_voice_status before update of voice_model_status on public.profiles
    for each row when (old.voice_model_status is distinct from new.voice_model_status)
    execute function kith.follow_voice_status();

-- Work for a row that goes.  One that is under way at this moment is told by
-- finish_job, or finds no row to write to.  What is locked is being finished:
-- waiting for it could be waiting for each other.
create function kith.drop_jobs(kind text, user_id uuid, subject text, id uuid) returns void
language sql volatile security definer set search_path = ''
as $$
    delete from kith.jobs j
    where j.id in (
        select d.id
        from kith.jobs d
        where d.user_id = drop_jobs.user_id
            and d.kind = drop_jobs.kind
            and d.status in ('pending', 'running')
            and d.payload ->> subject = drop_jobs.id::text
        for update skip locked
    )
$$;
comment on function kith.drop_jobs(text, uuid, text, uuid) is 'Drops the open jobs of a kind whose subject is gone.';

-- A voice is biometric: it must not outlive its row.  Queued in the transaction
-- that deletes the profile, replaces the voice, or erases the account.  While
-- the voice is being trained nobody knows its id yet; the worker finds it by
-- the name it gave it, kith-<profile_id>.
create function kith.release_voice() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
    perform kith.drop_jobs('train_voice', old.user_id, 'profile_id', old.id) where tg_op = 'DELETE';
    perform kith.enqueue(
        'delete_voice',
        pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
            'profile_id', old.id,
            'voice_id', old.elevenlabs_voice_id
        )),
        user_id => old.user_id,
        max_attempts => 100
    );
    return null;
end
$$;
comment on function kith.release_voice() is 'Trigger: queues the deletion of a voice at its provider.';
create trigger release_voice after delete on public.profiles
    for each row when (old.elevenlabs_voice_id is not null or old.voice_model_status = 'training')
    execute function kith.release_voice();
create trigger release_replaced_voice after update of elevenlabs_voice_id on public.profiles
    for each row when (old.elevenlabs_voice_id is not null and old.elevenlabs_voice_id is distinct from new.elevenlabs_voice_id)
    execute function kith.release_voice();

create trigger release_deleted_file after delete on public.profiles
    referencing old table as old_rows
    for each statement execute function kith.release_files('avatar_storage_path');
create trigger release_replaced_file after update of avatar_storage_path on public.profiles
    for each row when (old.avatar_storage_path is distinct from new.avatar_storage_path)
    execute function kith.release_files('avatar_storage_path');

reset role;
