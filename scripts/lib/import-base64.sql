-- import-base64.sql - where a recording of the old tables belongs, and its row.
-- Read by scripts/lib/import-base64.sh for each row.  Who cannot be taken over is
-- told by an exception, in words for the list of bad rows.
--
-- Variables: step (place or keep), source (voice_recordings or messages), id,
-- ending, type, bytes; $ROW is a file with the row as JSON, without the sound.
\set ON_ERROR_STOP on
\set row `cat "$ROW"`
set client_min_messages = warning;

-- A column, by the first of these names that is there; of userId, user_id and
-- USERID all is the same name.
create function pg_temp.value(r jsonb, variadic names text[]) returns text
language sql immutable
as $$
    select c.value
    from unnest(names) with ordinality n (name, place)
    join jsonb_each_text(r) c on lower(replace(c.key, '_', '')) = replace(n.name, '_', '')
    where c.value <> ''
    order by n.place
    limit 1
$$;

create function pg_temp.profile(r jsonb) returns public.profiles
language plpgsql stable
as $$
declare
    profile public.profiles;
    given text := pg_temp.value(r, 'profile_id');
begin
    if given is null then
        raise exception 'it names no profile: there is no column profile_id, or it is empty';
    end if;
    select p.* into profile from public.profiles p where p.id::text = given;
    if not found then
        raise exception 'there is no profile %', given;
    end if;
    if pg_temp.value(r, 'user_id') <> profile.user_id::text then
        raise exception 'profile % belongs to another user', given;
    end if;
    return profile;
end
$$;

-- Numbers of older servers become a uuid, always the same.
create function pg_temp.id(source text, id text) returns uuid
language sql immutable
as $$
    select case
        when id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then id::uuid
        else md5(source || '/' || id)::uuid
    end
$$;

create function pg_temp.prompt_index(r jsonb) returns integer
language plpgsql immutable
as $$
declare
    given text := pg_temp.value(r, 'prompt_index');
begin
    if given is null or given !~ '^[0-9]{1,2}$' or given::integer > 24 then
        raise exception 'prompt_index is %, and should be 0 to 24', coalesce('"' || given || '"', 'missing');
    end if;
    return given::integer;
end
$$;

create function pg_temp.place(source text, id text, ending text, r jsonb) returns text
language plpgsql stable
as $$
declare
    profile public.profiles := pg_temp.profile(r);
    there text;
    path text;
begin
    if source = 'voice_recordings' then
        path := format('training_clips/%s/%s/%s.%s', profile.user_id, profile.id, pg_temp.prompt_index(r), ending);
        select c.audio_storage_path into there
        from public.clips c
        where c.profile_id = profile.id and c.prompt_index = pg_temp.prompt_index(r);
        if not found and pg_temp.value(r, 'prompt_text', 'prompt') is null then
            raise exception 'it does not say what was read: there is no column prompt_text, or it is empty';
        end if;
    else
        path := format('voice_messages/%s/%s/%s.%s', profile.user_id, profile.id, pg_temp.id(source, place.id), ending);
        select m.audio_storage_path into there
        from public.voice_messages m
        where m.id = pg_temp.id(source, place.id);
        if not found and pg_temp.value(r, 'generated_text', 'content', 'text') is null then
            raise exception 'it has no words: there is no column generated_text, or it is empty';
        end if;
    end if;
    if there <> path then
        raise exception 'another recording has taken its place: %', there;
    end if;
    return path;
end
$$;

-- As if its user had uploaded it: it counts as theirs, and goes with them.
create function pg_temp.own(path text, owner uuid) returns void
language plpgsql volatile
as $$
declare
    file kith.stored_files;
begin
    update storage.objects o
    set owner = own.owner, owner_id = own.owner::text
    where o.bucket_id = split_part(path, '/', 1) and o.name = substr(path, strpos(path, '/') + 1) and o.owner_id is null;
    delete from kith.stored_files f
    using storage.objects o
    where o.bucket_id = split_part(path, '/', 1)
        and o.name = substr(path, strpos(path, '/') + 1)
        and f.version = o.version
        and f.user_id is null
    returning f.* into file;
    if found then
        insert into kith.stored_files (version, user_id, size, stored_at)
        values (file.version, own.owner, file.size, file.stored_at);
    end if;
end
$$;

create function pg_temp.keep(source text, id text, ending text, type text, bytes bigint, r jsonb) returns text
language plpgsql volatile
as $$
declare
    profile public.profiles := pg_temp.profile(r);
    path text := pg_temp.place(source, keep.id, ending, r);
    made timestamptz := coalesce(pg_temp.value(r, 'created_at')::timestamptz, now());
    own_id uuid := pg_temp.id(source, keep.id);
begin
    if source = 'voice_recordings' then
        insert into public.clips (id, user_id, profile_id, prompt_index, prompt_text, stage, audio_storage_path, mime_type,
            size_bytes, created_at)
        values (own_id, profile.user_id, profile.id, pg_temp.prompt_index(r), pg_temp.value(r, 'prompt_text', 'prompt'),
            pg_temp.value(r, 'stage')::integer, path, type, bytes, made)
        on conflict (profile_id, prompt_index) do update
        set audio_storage_path = excluded.audio_storage_path, mime_type = excluded.mime_type, size_bytes = excluded.size_bytes;
    else
        insert into public.voice_messages (id, user_id, profile_id, title, category, recipient_label, moment_label, prompt_text,
            generated_text, created_at)
        values (own_id, profile.user_id, profile.id,
            coalesce(pg_temp.value(r, 'title'), left(pg_temp.value(r, 'generated_text', 'content', 'text'), 80)),
            coalesce(pg_temp.value(r, 'category'), 'other'), pg_temp.value(r, 'recipient_label'), pg_temp.value(r, 'moment_label'),
            coalesce(pg_temp.value(r, 'prompt_text', 'prompt'), ''), pg_temp.value(r, 'generated_text', 'content', 'text'), made)
        on conflict on constraint voice_messages_pkey do nothing;
        -- The way that a message takes when it is spoken.
        update public.voice_messages m set status = 'generating' where m.id = own_id and m.status in ('draft', 'failed');
        update public.voice_messages m
        set status = 'ready', audio_storage_path = path, mime_type = type, size_bytes = bytes
        where m.id = own_id;
    end if;
    perform pg_temp.own(path, profile.user_id);
    return path;
end
$$;

select :'step' = 'keep' as keeps \gset
\if :keeps
select pg_temp.keep(:'source', :'id', :'ending', :'type', :bytes, :'row');
\else
select pg_temp.place(:'source', :'id', :'ending', :'row');
\endif
