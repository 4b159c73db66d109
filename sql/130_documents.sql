-- Documents and chunks: uploaded files, and the pieces they are searched by.

set local role kith_owner;

-- Documents.  The client uploads the file and makes the row; what comes of
-- processing it is the server's to say.
create table public.documents (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users on delete cascade,
    project_id uuid references public.projects on delete cascade,
    filename text not null constraint documents_filename_length check (length(filename) between 1 and 255),
    file_url text constraint documents_file_url_length check (length(file_url) <= 2000),
    storage_path text,
    file_type text constraint documents_file_type_known check (file_type in ('pdf', 'docx', 'txt', 'md')),
    file_size integer constraint documents_file_size_positive check (file_size >= 0),
    processing_status text not null default 'pending'
        constraint documents_processing_status_known
            check (processing_status in ('pending', 'processing', 'completed', 'failed')),
    processed_at timestamptz,
    error_message text,
    page_count integer constraint documents_page_count_positive check (page_count >= 0),
    word_count integer constraint documents_word_count_positive check (word_count >= 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    -- Nobody can name the file of another, or have it processed as theirs.
    constraint documents_storage_path_own
        check (storage_path ~ ('^' || user_id::text || '/' || id::text || '/original\.[A-Za-z0-9]{1,10}$'))
);
create index on public.documents (user_id, created_at desc);  -- policy, foreign key, newest first
create index on public.documents (project_id) where project_id is not null;  -- foreign key
create index on public.documents (created_at) where processing_status in ('pending', 'processing');  -- what is to be done
create index on public.documents (storage_path) where storage_path is not null;  -- whether a file is in use

comment on table public.documents is 'An uploaded file, and how far its processing is.';
comment on column public.documents.id is 'The document.';
comment on column public.documents.user_id is 'Whose document.';
comment on column public.documents.project_id is 'Project it stays in; null goes everywhere with the user.';
comment on column public.documents.filename is 'Name the file was uploaded by.';
comment on column public.documents.file_url is 'Where the app shows the file from.';
comment on column public.documents.storage_path is
    'File in the bucket documents: {user_id}/{id}/original.{ext}, so the client makes the id before it uploads.';
comment on column public.documents.file_type is 'pdf, docx, txt or md.';
comment on column public.documents.file_size is 'Bytes.';
comment on column public.documents.processing_status is
    'pending, processing, completed or failed; kept by the server.  What failed can be tried again.';
comment on column public.documents.processed_at is 'When processing completed.';
comment on column public.documents.error_message is 'Why processing failed.';
comment on column public.documents.page_count is 'How many pages, where the file has such.';
comment on column public.documents.word_count is 'About how many words.';
comment on column public.documents.created_at is 'When it was uploaded.';
comment on column public.documents.updated_at is 'When the row last changed.';

alter table public.documents enable row level security, force row level security;
create policy "owner keeps own documents" on public.documents to authenticated
    using (user_id = (select auth.uid()))
    with check (
        user_id = (select auth.uid())
        and (
            project_id is null
            or (select auth.uid()) = (
                select w.owner_id
                from public.projects p
                join public.workspaces w on w.id = p.workspace_id
                where p.id = project_id
            )
        )
    );
grant select, delete,
    insert (id, user_id, project_id, filename, file_url, storage_path, file_type, file_size, created_at, updated_at),
    update (user_id, project_id, filename, file_url, storage_path, file_type, file_size, updated_at)
    on public.documents to authenticated;
-- No grant to anon.

create trigger touch before update on public.documents
    for each row execute function kith.touch();

-- The way of a document.  The time and the reason belong to the step, whoever
-- takes it; a row that is loaded with its status keeps what it brings.
create function kith.step_document() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
    if tg_op = 'INSERT' then
        if new.processing_status = 'completed' then
            new.processed_at := coalesce(new.processed_at, pg_catalog.now());
        end if;
        return new;
    end if;
    if new.processing_status = old.processing_status then
        new.processed_at := old.processed_at;
        return new;
    end if;
    if (old.processing_status, new.processing_status) not in (
        ('pending', 'processing'), ('processing', 'completed'), ('processing', 'failed'),
        ('failed', 'pending'), ('failed', 'processing')
    ) then
        raise exception using errcode = 'check_violation',
            message = pg_catalog.format('a document that is %s cannot become %s', old.processing_status, new.processing_status),
            hint = 'A document goes from pending to processing, then to completed or failed.  A failed one can be tried again.';
    end if;
    new.processed_at := case new.processing_status when 'completed' then pg_catalog.now() end;
    if new.processing_status <> 'failed' then
        new.error_message := null;
    end if;
    return new;
end
$$;
comment on function kith.step_document() is 'Trigger: a document takes one step after the other, and the step sets its time.';
create trigger step_document before insert or update of processing_status, processed_at on public.documents
    for each row execute function kith.step_document();

-- The file goes with its row, or with the path that named it.
create trigger release_deleted after delete on public.documents
    referencing old table as old_rows
    for each statement execute function kith.release_files('storage_path');
create trigger release_updated after update of storage_path on public.documents
    for each row when (old.storage_path is distinct from new.storage_path)
    execute function kith.release_files('storage_path');

-- Chunks: made by the server when it processes a document, all of them anew.
-- Hence no updated_at.
create table public.chunks (
    id uuid primary key default gen_random_uuid(),
    document_id uuid not null references public.documents on delete cascade,
    content text not null,
    embedding_model text constraint chunks_embedding_model_length check (length(embedding_model) <= 200),
    chunk_index integer not null constraint chunks_chunk_index_from_zero check (chunk_index >= 0),
    page_number integer constraint chunks_page_number_from_one check (page_number >= 1),
    metadata jsonb not null default '{}',
    token_count integer constraint chunks_token_count_positive check (token_count >= 0),
    created_at timestamptz not null default now(),
    -- Serves the policy, the foreign key and the order of reading.
    constraint chunks_chunk_index_key unique (document_id, chunk_index)
);
do $$
begin
    execute 'alter table public.chunks add column embedding ' || kith.vector_type();
end
$$;
comment on table public.chunks is 'A piece of a document, small enough to be found by its meaning.';
comment on column public.chunks.id is 'The chunk.';
comment on column public.chunks.document_id is 'Document it is a piece of; its owner may read it.';
comment on column public.chunks.content is 'The text, of about 400 tokens.';
comment on column public.chunks.embedding is 'Its meaning as 1536 numbers, written [0.1,...].';
comment on column public.chunks.embedding_model is 'Model that made the embedding.';
comment on column public.chunks.chunk_index is '0, 1, 2 ... in the order of the document.';
comment on column public.chunks.page_number is 'Page it begins on, from 1; null where the file has no pages.';
comment on column public.chunks.metadata is 'Title and level of its section, and the like.';
comment on column public.chunks.token_count is 'How many tokens it has.';
comment on column public.chunks.created_at is 'When it was made.';

alter table public.chunks enable row level security, force row level security;
-- Exists leaves the way to the planner: few chunks look their document up by its
-- key, a list of all is compared with a hash of the user's documents.
create policy "document owner reads chunks" on public.chunks for select to authenticated
    using (exists (
        select from public.documents d where d.id = document_id and d.user_id = (select auth.uid())
    ));
grant select on public.chunks to authenticated;
-- No writing by users: a chunk says what the file says.  No grant to anon.

reset role;
