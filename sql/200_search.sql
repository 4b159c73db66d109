-- Semantic search.  The program of the resource ranks: it reads the caller's
-- vectors under RLS, scores every one of them against query_embedding, and
-- leaves the best in the setting kith.computed, as
--
--     [{"id": uuid, "similarity": number, "relevance": number}, ...]
--
-- The functions here join the rows to them.  Of their arguments they look at
-- none that only matters for ranking; query_embedding is text because the
-- program reads it, and PostgreSQL need not.  It is pgvector's, [0.1,...].

set local role kith_owner;

-- What is found has all columns of its table.  They come last: one that is
-- added to the table is added to the type in the same way.
do $$
declare
    columns text;
begin
    select string_agg(format('%I %s', a.attname, a.atttypid::regtype), ', ' order by a.attnum) into columns
    from pg_catalog.pg_attribute a
    where a.attrelid = 'public.memories'::regclass and a.attnum > 0 and not a.attisdropped;
    execute format('create type public.memory_match as (similarity double precision, relevance double precision, %s)', columns);

    select string_agg(format('%I %s', a.attname, a.atttypid::regtype), ', ' order by a.attnum) into columns
    from pg_catalog.pg_attribute a
    where a.attrelid = 'public.chunks'::regclass and a.attnum > 0 and not a.attisdropped;
    execute format('create type public.chunk_match as (similarity double precision, %s)', columns);
end
$$;
comment on type public.memory_match is 'A memory, and how well it answers a search.';
comment on column public.memory_match.similarity is 'Cosine of the angle between its embedding and the query''s: 1 is the same meaning.';
comment on column public.memory_match.relevance is '0.7 similarity + 0.3 importance.';
comment on type public.chunk_match is 'A chunk, and how well it answers a search.';
comment on column public.chunk_match.similarity is 'Cosine of the angle between its embedding and the query''s: 1 is the same meaning.';

create function public.search_memories(
    query_embedding text default null,
    project_id uuid default null,
    match_count integer default 20,
    query_text text default null,
    embedding_model text default null,
    user_id uuid default auth.uid()
) returns setof public.memory_match
language plpgsql stable security invoker rows 20 set search_path = ''
as $$
#variable_conflict use_column
declare
    ranked json := nullif(current_setting('kith.computed', true), '');
begin
    if ranked is null then
        raise exception using errcode = 'feature_not_supported',
            message = 'search_memories ranks in the program that serves it',
            hint = 'Call /rest/v1/rpc/search_memories.';
    end if;
    if search_memories.user_id is null then
        raise exception using errcode = 'invalid_parameter_value',
            message = 'user_id must say whose memories are searched';
    end if;
    if row_security_active('public.memories') and search_memories.user_id <> (select auth.uid()) then
        raise exception using errcode = 'insufficient_privilege',
            message = 'the memories of another user cannot be searched';
    end if;
    return query
        select r.similarity, r.relevance, m.*
        from pg_catalog.json_to_recordset(ranked) as r (id uuid, similarity double precision, relevance double precision)
        join public.memories m using (id)
        order by r.relevance desc, m.id;
end
$$;
comment on function public.search_memories(text, uuid, integer, text, text, uuid) is
    'The memories that matter most to what query_embedding means: live ones with an embedding, of the user alone and, with project_id, of that project.  All must be of one model, or embedding_model chooses.';
grant execute on function public.search_memories(text, uuid, integer, text, text, uuid) to authenticated;

create function public.search_chunks(
    document_id uuid,
    query_embedding text default null,
    match_count integer default 5,
    embedding_model text default null
) returns setof public.chunk_match
language plpgsql stable security invoker rows 5 set search_path = ''
as $$
#variable_conflict use_column
declare
    ranked json := nullif(current_setting('kith.computed', true), '');
begin
    if ranked is null then
        raise exception using errcode = 'feature_not_supported',
            message = 'search_chunks ranks in the program that serves it',
            hint = 'Call /rest/v1/rpc/search_chunks.';
    end if;
    return query
        select r.similarity, c.*
        from pg_catalog.json_to_recordset(ranked) as r (id uuid, similarity double precision)
        join public.chunks c using (id)
        order by r.similarity desc, c.id;
end
$$;
comment on function public.search_chunks(uuid, text, integer, text) is
    'The chunks of a document that are most similar to what query_embedding means.  All must be of one model, or embedding_model chooses.';
grant execute on function public.search_chunks(uuid, text, integer, text) to authenticated;

reset role;
