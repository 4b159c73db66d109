-- A clip in one call: its file and its row together, or neither.  The storage
-- program has written the file, and has asked as the caller whether both rows may
-- be written.

set local role kith_owner;

create function kith.store_clip(
    profile_id uuid,
    prompt_index integer,
    prompt_text text,
    stage integer,
    key text,
    file text,
    owner text,
    metadata jsonb,
    replaces uuid
) returns table (id uuid, clip json)
language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
declare
    kept public.clips;
begin
    select o.id into id
    from kith.store_object('training_clips', store_clip.key, store_clip.file, store_clip.owner, store_clip.metadata, '{}',
        store_clip.replaces, false) o;
    -- What was known of the recording before does not hold for this one.
    insert into public.clips as c (user_id, profile_id, prompt_index, prompt_text, stage, audio_storage_path, mime_type, size_bytes)
    select p.user_id, p.id, store_clip.prompt_index, store_clip.prompt_text, store_clip.stage,
        'training_clips/' || store_clip.key, store_clip.metadata ->> 'mimetype', (store_clip.metadata ->> 'size')::bigint
    from public.profiles p
    where p.id = store_clip.profile_id
    on conflict (profile_id, prompt_index) do update
    set prompt_text = excluded.prompt_text,
        stage = excluded.stage,
        audio_storage_path = excluded.audio_storage_path,
        mime_type = excluded.mime_type,
        size_bytes = excluded.size_bytes,
        duration_ms = null,
        quality_status = 'unknown'
    returning * into kept;
    if kept.id is null then
        raise exception using errcode = 'PT404', message = 'profile not found';
    end if;
    clip := pg_catalog.row_to_json(kept);
    return next;
end
$$;
comment on function kith.store_clip(uuid, integer, text, integer, text, text, text, jsonb, uuid) is
    'Writes the rows of a recorded clip: its object, as kith.store_object() does, and what the app knows it by.';
grant execute on function kith.store_clip(uuid, integer, text, integer, text, text, text, jsonb, uuid) to kith_storage;

reset role;
