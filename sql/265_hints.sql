-- Hints: the comment of a constraint is what a client reads as the hint when
-- the constraint refuses.  Those whose rule can be read from their definition
-- get the words from there; a table that comes later writes its own, or calls
-- kith.hint_constraints() again.

set local role kith_owner;

create function kith.hint_constraints() returns void
language plpgsql volatile set search_path = ''
as $$
declare
    k record;
    part text[];
    hint text;
begin
    for k in
        select c.conrelid::regclass as relation, c.conname as name, pg_catalog.pg_get_constraintdef(c.oid) as definition
        from pg_catalog.pg_constraint c
        join pg_catalog.pg_class t on t.oid = c.conrelid
        where c.connamespace = 'public'::regnamespace
            and c.contype = 'c'
            and t.relowner = 'kith_owner'::regrole
            and pg_catalog.obj_description(c.oid, 'pg_constraint') is null
    loop
        hint := null;
        part := pg_catalog.regexp_match(k.definition, '^CHECK \(\((\w+) = ANY \(ARRAY\[(.+)\]\)\)\)$');
        if part is not null then
            hint := pg_catalog.format('%s is one of %s.', part[1], pg_catalog.regexp_replace(part[2], '''([^'']*)''::text', '\1', 'g'));
        end if;
        part := pg_catalog.regexp_match(k.definition, '^CHECK \(\(length\((\w+)\) <= (\d+)\)\)$');
        if part is not null then
            hint := pg_catalog.format('%s has at most %s characters.', part[1], part[2]);
        end if;
        part := pg_catalog.regexp_match(k.definition, '^CHECK \(\(\(length\((\w+)\) >= (\d+)\) AND \(length\(\w+\) <= (\d+)\)\)\)$');
        if part is not null then
            hint := pg_catalog.format('%s has %s to %s characters.', part[1], part[2], part[3]);
        end if;
        part := pg_catalog.regexp_match(
            k.definition, '^CHECK \(\(\((\w+) >= \(?(\d+)\)?(?:::double precision)?\) AND \(\w+ <= \(?(\d+)\)?(?:::double precision)?\)\)\)$'
        );
        if part is not null then
            hint := pg_catalog.format('%s lies between %s and %s.', part[1], part[2], part[3]);
        end if;
        part := pg_catalog.regexp_match(k.definition, '^CHECK \(\((\w+) >= (\d+)\)\)$');
        if part is not null then
            hint := pg_catalog.format('%s is %s or more.', part[1], part[2]);
        end if;
        if hint is not null then
            execute pg_catalog.format('comment on constraint %I on %s is %L', k.name, k.relation, hint);
        end if;
    end loop;
end
$$;
comment on function kith.hint_constraints() is
    'Comments constraints of Kith''s tables that have no comment, where the rule can be read from the definition.';
do $$ begin perform kith.hint_constraints(); end $$;

comment on constraint users_avatar_path_own on public.users is 'avatar_path lies in your own folder: <your id>/<file>.';
comment on constraint plans_id_word on public.plans is 'id is a word of small letters, digits and _.';
comment on constraint plans_limits_object on public.plans is 'limits is an object, such as {"active_memories": 100}.';
comment on constraint subscriptions_user_id_key on public.subscriptions is 'A user has one subscription.';
comment on constraint memories_key_unique on public.memories is
    'You have a memory of this category and key: upsert with on_conflict=user_id,category,key to replace it.';
comment on constraint memory_updates_ref_unique on public.memory_updates is
    'This update is queued already: upsert with on_conflict=user_id,kind,ref_id to leave it as it is.';
comment on constraint parts_recent_evidence_flat on public.parts is 'Each piece of recent_evidence is an object or a text, not a list and not null.';
comment on constraint part_relationships_parts_differ on public.part_relationships is 'A part has no relationship with itself.';
comment on constraint onboarding_user_id_key on public.onboarding is
    'Your onboarding has begun: update it, or upsert with on_conflict=user_id.';
comment on constraint documents_storage_path_own on public.documents is
    'storage_path is <your id>/<id of the document>/original.<extension>.';
comment on constraint work_outputs_fits_type on public.work_outputs is
    'An output of type text has content and no file_url, one of type file has file_url and no content.';
comment on constraint profiles_avatar_storage_path_own on public.profiles is
    'avatar_storage_path lies in your own folder: <bucket>/<your id>/<file>.';
comment on constraint profiles_ready_has_voice on public.profiles is 'A voice is ready when elevenlabs_voice_id names it.';
comment on constraint clips_audio_storage_path_own on public.clips is
    'audio_storage_path is training_clips/<your id>/<profile_id>/<prompt_index>.<extension>.';
comment on constraint clips_one_per_prompt on public.clips is
    'The profile has a clip for this prompt: upsert with on_conflict=profile_id,prompt_index to record it again.';
comment on constraint clips_prompt_index_range on public.clips is 'A profile has 25 clips: prompt_index lies between 0 and 24.';
comment on constraint voice_messages_audio_storage_path_own on public.voice_messages is
    'audio_storage_path lies in the owner''s folder: <bucket>/<user_id>/<file>.';
comment on constraint voice_messages_ready_has_audio on public.voice_messages is 'A message is ready when audio_storage_path says where its audio is.';

reset role;
