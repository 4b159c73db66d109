-- Recordings: what the worker finds out by listening.  A clip, or a voice
-- message, says how long it is, how large, and whether it should be recorded
-- again; its file knows, whatever the app has said.

set local role kith_owner;

-- The file that a path of that table leads to.
create function kith.stored_version(relation regclass, path text) returns text
language sql stable set search_path = ''
as $$
    select o.version
    from (select kith.file_path(relation, path) as whole) p
    join storage.objects o on o.bucket_id = pg_catalog.split_part(p.whole, '/', 1)
        and o.name = pg_catalog.substr(p.whole, pg_catalog.strpos(p.whole, '/') + 1)
$$;
comment on function kith.stored_version(regclass, text) is 'The version of the file that a path of that table leads to; null when it is not stored.';

-- One job for each recording, however often it changes.  A job that is running
-- began with what was there before: it is put back, and its worker learns that
-- it is no longer its own.
create function kith.probe_recording(relation regclass, id uuid, user_id uuid) returns void
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
    name text := (select c.relname from pg_catalog.pg_class c where c.oid = relation);
    job_key text := pg_catalog.format('probe/%s/%s', name, probe_recording.id);
begin
    update kith.jobs j
    set status = 'pending',
        run_at = pg_catalog.now(),
        leased_until = null,
        finished_at = null,
        last_error = null,
        max_attempts = j.attempts + 5,
        payload = pg_catalog.jsonb_build_object('table', name, 'id', probe_recording.id),
        user_id = probe_recording.user_id
    where j.key = job_key;
    if found then
        perform pg_catalog.pg_notify('kith_jobs', 'probe_recording');
    else
        perform kith.enqueue(
            'probe_recording',
            pg_catalog.jsonb_build_object('table', name, 'id', probe_recording.id),
            job_key,
            user_id => probe_recording.user_id
        );
    end if;
end
$$;
comment on function kith.probe_recording(regclass, uuid, uuid) is 'Has the worker listen to a recording, soon and once.';

-- Row and file may come at the same time, neither seeing the other: the one that
-- comes later waits.  Before it has locked anything else, so that nobody waits
-- for it in turn.
create function kith.lock_recording() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('recording ' || case tg_relid
        when 'storage.objects'::regclass then (pg_catalog.to_jsonb(new) ->> 'bucket_id') || '/' || (pg_catalog.to_jsonb(new) ->> 'name')
        else kith.file_path(tg_relid, pg_catalog.to_jsonb(new) ->> 'audio_storage_path')
    end, 0));
    return new;
end
$$;
comment on function kith.lock_recording() is 'Trigger: of a recording and its row one waits for the other.';
create trigger lock_recording before insert on public.clips
    for each row execute function kith.lock_recording();
create trigger lock_recording before insert on public.voice_messages
    for each row when (new.audio_storage_path is not null) execute function kith.lock_recording();
-- Without a version it is the rehearsal of an upload, and no file.
create trigger lock_recording before insert on storage.objects
    for each row when (new.version is not null) execute function kith.lock_recording();

-- A row that is written after its file.  Whoever only says something else about
-- a recording, that it is good after all, is not contradicted.
create function kith.probe_written_recording() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
    if kith.stored_version(tg_relid, new.audio_storage_path) is not null then
        perform kith.probe_recording(tg_relid, new.id, new.user_id);
    end if;
    return null;
end
$$;
comment on function kith.probe_written_recording() is 'Trigger: the recording of a row that is written is listened to.';
create trigger probe_recording after insert or update of audio_storage_path on public.clips
    for each row execute function kith.probe_written_recording();
create trigger probe_recording after insert or update of audio_storage_path on public.voice_messages
    for each row when (new.audio_storage_path is not null) execute function kith.probe_written_recording();

-- A file that is stored, replaced or moved after its row was written.
create function kith.probe_stored_recording() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
    path text := new.bucket_id || '/' || new.name;
begin
    perform kith.probe_recording('public.clips', c.id, c.user_id)
    from public.clips c
    where c.audio_storage_path = path;
    perform kith.probe_recording('public.voice_messages', m.id, m.user_id)
    from public.voice_messages m
    where m.audio_storage_path = path;
    return null;
end
$$;
comment on function kith.probe_stored_recording() is 'Trigger: a recording that is stored under the path of a row is listened to.';
create trigger probe_recording after insert or update of version, bucket_id, name on storage.objects
    for each row when (new.version is not null) execute function kith.probe_stored_recording();

-- What the worker asks and tells.
create function kith.recording_version("table" text, id uuid) returns text
language sql stable security definer set search_path = ''
as $$
    select kith.stored_version('public.clips', c.audio_storage_path)
    from public.clips c
    where recording_version."table" = 'clips' and c.id = recording_version.id
    union all
    select kith.stored_version('public.voice_messages', m.audio_storage_path)
    from public.voice_messages m
    where recording_version."table" = 'voice_messages' and m.id = recording_version.id
$$;
comment on function kith.recording_version(text, uuid) is 'The version of the file of a clip or voice message; null when there is none.';

create function kith.note_recording(
    "table" text,
    id uuid,
    version text,
    size_bytes bigint,
    duration_ms integer,
    quality_status text
) returns void
language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
begin
    -- Another file by now: a job of its own tells of that.
    if note_recording."table" = 'clips' then
        update public.clips c
        set size_bytes = note_recording.size_bytes,
            duration_ms = note_recording.duration_ms,
            quality_status = note_recording.quality_status
        where c.id = note_recording.id
            and kith.stored_version('public.clips', c.audio_storage_path) = note_recording.version
            and (c.size_bytes, c.duration_ms, c.quality_status)
                is distinct from (note_recording.size_bytes, note_recording.duration_ms, note_recording.quality_status);
    elsif note_recording."table" = 'voice_messages' then
        update public.voice_messages m
        set size_bytes = note_recording.size_bytes,
            duration_ms = note_recording.duration_ms
        where m.id = note_recording.id
            and kith.stored_version('public.voice_messages', m.audio_storage_path) = note_recording.version
            and (m.size_bytes, m.duration_ms) is distinct from (note_recording.size_bytes, note_recording.duration_ms);
    end if;
end
$$;
comment on function kith.note_recording(text, uuid, text, bigint, integer, text) is
    'What was found out about the file of a clip or voice message, unless it has another file by now.';

-- When the worker has to look at released files again.
create function kith.next_expired_file(grace interval) returns double precision
language sql stable security definer set search_path = ''
as $$
    select extract(epoch from pg_catalog.min(r.released_at) + grace - pg_catalog.clock_timestamp())
    from kith.released_files r
$$;
comment on function kith.next_expired_file(interval) is 'In how many seconds a file that was let go may be removed; null when there is none.';

grant execute on function
    kith.recording_version(text, uuid),
    kith.note_recording(text, uuid, text, bigint, integer, text),
    kith.next_expired_file(interval)
    to kith_worker;

reset role;
