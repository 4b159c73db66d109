-- Goal: a document is its owner's, its file too; processing is the server's.
\ir ../lib/prelude.psql
select no_plan();

insert into public.workspaces (id, name, owner_id) values
    ('0a0a0a0a-0000-4000-8000-000000000001', 'w', test.id('owner')), ('0b0b0b0b-0000-4000-8000-000000000001', 'w', test.id('stranger'));
insert into public.projects (id, name, workspace_id) values
    ('0a0a0a0a-0000-4000-8000-000000000002', 'p', '0a0a0a0a-0000-4000-8000-000000000001'),
    ('0b0b0b0b-0000-4000-8000-000000000002', 'p', '0b0b0b0b-0000-4000-8000-000000000001');

select is(test.rows('owner', $$ insert into public.documents (id, filename, storage_path, file_type, file_size, project_id)
    values ('0a0a0a0a-0000-4000-8000-000000000003', 'Plan.pdf', '0a0a0a0a-0000-4000-8000-00000000000a/0a0a0a0a-0000-4000-8000-000000000003/original.pdf',
        'pdf', 1000, '0a0a0a0a-0000-4000-8000-000000000002')
    returning user_id, processing_status, processed_at $$),
    '[{"user_id": "0a0a0a0a-0000-4000-8000-00000000000a", "processing_status": "pending", "processed_at": null}]', 'owner uploads a document into a project');
select is(test.try('owner', 'insert into public.documents (filename) values (''note.md'')'), '1', 'and one into none');
select is(test.try('owner', 'insert into public.documents (filename, project_id) values (''x'', ''0b0b0b0b-0000-4000-8000-000000000002'')'), '42501', 'not into a stranger''s project');
select is(test.rows('stranger', 'select id from public.documents'), '[]', 'stranger sees none');
select is(test.try('owner', 'insert into public.documents (user_id, filename) values (''0b0b0b0b-0000-4000-8000-00000000000b'', ''x'')'), '42501', 'none is made for a stranger');

-- The path
create function test.path(path text) returns text language sql as $$
    select test.try('owner', format('insert into public.documents (id, filename, storage_path) values (''0a0a0a0a-0000-4000-8000-000000000004'', ''x'', %L)', path))
$$;
select is(test.path(path), '23514', 'no file of one''s own: ' || to_json(path)) from unnest(array[
    '0b0b0b0b-0000-4000-8000-00000000000b/0a0a0a0a-0000-4000-8000-000000000004/original.pdf',
    '0a0a0a0a-0000-4000-8000-00000000000a/0a0a0a0a-0000-4000-8000-000000000003/original.pdf',
    '0a0a0a0a-0000-4000-8000-00000000000a/../0b0b0b0b-0000-4000-8000-00000000000b/original.pdf',
    '0a0a0a0a-0000-4000-8000-00000000000a/0a0a0a0a-0000-4000-8000-000000000004/original.pdf/../../x',
    '0a0a0a0a-0000-4000-8000-00000000000a/0a0a0a0a-0000-4000-8000-000000000004/other.pdf',
    'x/0a0a0a0a-0000-4000-8000-00000000000a/0a0a0a0a-0000-4000-8000-000000000004/original.pdf',
    E'0a0a0a0a-0000-4000-8000-00000000000a/0a0a0a0a-0000-4000-8000-000000000004/original.pdf\n', '']) as path;
select is(test.path('0a0a0a0a-0000-4000-8000-00000000000a/0a0a0a0a-0000-4000-8000-000000000004/original.DOCX'), '1', 'the document''s own file');
select is(test.try('owner', format('update public.documents set %s', change)), '23514', 'refused: ' || change)
from unnest(array['file_type = ''exe''', 'file_size = -1', 'filename = ''''', 'filename = repeat(''x'', 256)', 'file_url = repeat(''x'', 2001)']) as change;
select is(test.try('owner', format('update public.documents set %s', change)), '42501', 'the server''s: ' || change)
from unnest(array['processing_status = ''completed''', 'processed_at = now()', 'error_message = ''x''', 'page_count = 1', 'word_count = 1']) as change;

-- The way
create function test.step(status text, also text default '') returns text language sql as $$
    select test.try('service', format('update public.documents set processing_status = %L %s where id = ''0a0a0a0a-0000-4000-8000-000000000003''', status, also))
$$;
create function test.state() returns text language sql as $$
    select concat_ws(' ', processing_status, case when processed_at = now() then 'now' else processed_at::text end, error_message)
    from public.documents where id = '0a0a0a0a-0000-4000-8000-000000000003'
$$;
select is(test.step('completed'), '23514', 'pending cannot become completed');
select is(test.step('failed'), '23514', 'nor failed');
select is(test.step('pending'), '1', 'it can stay what it is');
select is(test.step('processing'), '1', 'it is processed');
select is(test.step('pending'), '23514', 'and does not go back');
select is(test.step('failed', ', error_message = ''broken'', processed_at = now()'), '1', 'that can fail');
select is(test.state(), 'failed broken', 'which says why, and did not complete');
select is(test.step('completed'), '23514', 'failed cannot become completed');
select is(test.step('processing'), '1', 'it is tried again');
select is(test.state(), 'processing', 'with nothing left of the failure');
select is(test.step('completed', ', page_count = 3, processed_at = ''2000-01-01'''), '1', 'that completes');
select is(test.state(), 'completed now', 'at this moment, whatever the writer says');
select is(test.try('service', 'update public.documents set processed_at = null where id = ''0a0a0a0a-0000-4000-8000-000000000003'''), '1', 'the time');
select is(test.state(), 'completed now', 'does not change by itself');
select is(test.step(status), '23514', 'completed cannot become ' || status) from unnest(array['pending', 'processing', 'failed']) as status;
select is(test.step('lost'), '23514', 'an unknown status is refused');
update public.documents set processing_status = 'processing' where id = '0a0a0a0a-0000-4000-8000-000000000004';
update public.documents set processing_status = 'failed' where id = '0a0a0a0a-0000-4000-8000-000000000004';
select is(test.try('service', 'update public.documents set processing_status = ''pending'' where id = ''0a0a0a0a-0000-4000-8000-000000000004'''), '1', 'what failed can wait again');
select is(test.rows('service', format('insert into public.documents (user_id, filename, processing_status, processed_at)
    values (%L, ''old'', ''completed'', ''2020-01-01T00:00:00Z''), (%1$L, ''new'', ''completed'', null) returning processed_at = now() as now', test.id('owner'))),
    '[{"now": false}, {"now": true}]', 'an import keeps its time');

-- Chunks
insert into public.chunks (document_id, chunk_index, content, page_number) values ('0a0a0a0a-0000-4000-8000-000000000003', 0, 'Once', 1), ('0a0a0a0a-0000-4000-8000-000000000003', 1, 'upon', null);
select is(test.rows('owner', 'select chunk_index, content from public.chunks where document_id = ''0a0a0a0a-0000-4000-8000-000000000003'' order by chunk_index'),
    '[{"chunk_index": 0, "content": "Once"}, {"chunk_index": 1, "content": "upon"}]', 'owner reads the chunks');
select is(test.rows('stranger', 'select id from public.chunks'), '[]', 'stranger reads none');
select is(test.try('owner', change), '42501', 'refused: ' || change) from unnest(array[
    'insert into public.chunks (document_id, chunk_index, content) values (''0a0a0a0a-0000-4000-8000-000000000003'', 2, ''x'')',
    'update public.chunks set content = ''x''', 'delete from public.chunks']) as change;
select is(test.try('service', format('insert into public.chunks (document_id, content, %s)', change)), state, 'refused: ' || change) from (values
    ('chunk_index) values (''0a0a0a0a-0000-4000-8000-000000000003'', ''x'', 1', '23505'),
    ('chunk_index) values (''0a0a0a0a-0000-4000-8000-000000000003'', ''x'', -1', '23514'),
    ('chunk_index, page_number) values (''0a0a0a0a-0000-4000-8000-000000000003'', ''x'', 2, 0', '23514'),
    ('chunk_index, token_count) values (''0a0a0a0a-0000-4000-8000-000000000003'', ''x'', 2, -1', '23514')) as c (change, state);

-- The end
create function test.released() returns bigint language sql as $$
    select count(*) from kith.jobs j where j.kind = 'delete_files' and j.user_id = test.id('owner')
        and j.payload -> 'paths' @> '["documents/0a0a0a0a-0000-4000-8000-00000000000a/0a0a0a0a-0000-4000-8000-000000000003/original.pdf"]'
$$;
select is(test.released(), 0::bigint, 'the file stays with the document');
select is(test.try('owner', 'delete from public.documents where id = ''0a0a0a0a-0000-4000-8000-000000000003'''), '1', 'owner deletes the document');
select is((select count(*) from public.chunks where document_id = '0a0a0a0a-0000-4000-8000-000000000003'), 0::bigint, 'and its chunks');
select is(test.released(), 1::bigint, 'and its file');
update public.documents set project_id = '0a0a0a0a-0000-4000-8000-000000000002' where id = '0a0a0a0a-0000-4000-8000-000000000004';
select is(test.try('owner', 'update public.documents set storage_path = null where id = ''0a0a0a0a-0000-4000-8000-000000000004'''), '1', 'owner takes a file out');
select is((select count(*) from kith.jobs where kind = 'delete_files' and user_id = test.id('owner')), 2::bigint, 'which goes too');
select is(test.try('owner', 'delete from public.projects'), '1', 'owner deletes the project');
select is((select count(*) from public.documents where user_id = test.id('owner')), 3::bigint, 'and the documents in it');

select finish();
rollback;
