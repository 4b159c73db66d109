-- Goal: each recording is listened to, once for each file, whichever of row and
-- file came first; what is found out is noted of that file and of no other.
\ir ../lib/prelude.psql
select no_plan();

insert into public.profiles (id, user_id, name, relation) values
    ('0a0a0a0a-0000-4000-8000-000000000001', test.id('owner'), 'Anna', 'mother'),
    ('0b0b0b0b-0000-4000-8000-000000000001', test.id('stranger'), 'Cleo', 'self');
insert into storage.buckets (id, name) values ('training_clips', 'training_clips'), ('voice_messages', 'voice_messages') on conflict do nothing;
create function test.name(prompt int, who text default 'owner') returns text language sql as $$
    select format('%s/0%s0%2$s0%2$s0%2$s-0000-4000-8000-000000000001/%s.webm', test.id(who), case who when 'owner' then 'a' else 'b' end, prompt)
$$;
create function test.clip(prompt int, more text default 'null', who text default 'owner') returns text language sql as $$
    select format('insert into public.clips (profile_id, prompt_index, prompt_text, audio_storage_path, mime_type, duration_ms) values (%L, %s, ''Tell.'', %L, ''audio/webm'', %s)
            on conflict (profile_id, prompt_index) do update set audio_storage_path = excluded.audio_storage_path, duration_ms = excluded.duration_ms',
        split_part(test.name(prompt, who), '/', 2), prompt, 'training_clips/' || test.name(prompt, who), more)
$$;
create function test.store(name text, version text, bucket text default 'training_clips') returns text language sql as $$
    insert into storage.objects (bucket_id, name, version, metadata) values (bucket, store.name, store.version, '{"size": 10}')
    on conflict (bucket_id, name) do update set version = excluded.version
    returning name
$$;
-- What waits to be listened to: its number, or the title of a message.
create function test.waiting() returns text language sql as $$
    select coalesce(string_agg(coalesce(c.prompt_index::text, m.title, 'gone') || case j.status when 'pending' then '' else ' ' || j.status end, ', ' order by 1), 'nothing')
    from (select *, (payload ->> 'id')::uuid as subject from kith.jobs where kind = 'probe_recording' and user_id in (test.id('owner'), test.id('stranger'))) j
    left join public.clips c on j.payload ->> 'table' = 'clips' and c.id = j.subject
    left join public.voice_messages m on j.payload ->> 'table' = 'voice_messages' and m.id = j.subject
    where j.status in ('pending', 'running')
$$;
create function test.claim() returns text language sql as $$
    select coalesce(string_agg(attempts::text, ', '), 'nothing') from kith.claim_jobs('{probe_recording}', '1 minute', 100)
$$;
create function test.job(prompt int) returns kith.jobs language sql as $$
    select j from kith.jobs j join public.clips c on j.key = 'probe/clips/' || c.id where c.prompt_index = prompt and c.user_id = test.id('owner')
$$;
create function test.facts(prompt int) returns text language sql as $$
    select concat_ws(' ', size_bytes, duration_ms, quality_status) from public.clips where user_id = test.id('owner') and prompt_index = prompt
$$;
create function test.one(n int) returns text language sql immutable as $$ select format('11111111-0000-4000-8000-00000000000%s', n) $$;
-- The worker's own would take what is here, were it committed.
delete from kith.jobs where kind = 'probe_recording';

-- The file comes first.
select test.store(test.name(1), test.one(1)) \g /dev/null
select is(test.waiting(), 'nothing', 'a file without a row is no recording');
select is(test.try('owner', test.clip(1)), '1', 'its row is written');
select is(test.waiting(), '1', 'and it is listened to');
select is(to_jsonb(j) - '{id,created_at,run_at,payload}'::text[], jsonb_build_object('kind', 'probe_recording', 'key', 'probe/' || 'clips/' || (j.payload ->> 'id'), 'user_id', test.id('owner'),
    'status', 'pending', 'attempts', 0, 'max_attempts', 5, 'leased_until', null, 'last_error', null, 'finished_at', null), 'as a job of its owner''s') from test.job(1) j;
select is(test.claim(), '1', 'by a worker');
select is(kith.finish_job((test.job(1)).id, 1), true, 'once');
select is(test.try('owner', 'update public.clips set quality_status = ''good'', duration_ms = 1, mime_type = ''audio/ogg'' where prompt_index = 1'), '1', 'the owner says something else of it');
select is(test.waiting(), 'nothing', 'and is not contradicted');
select is(test.try('owner', test.clip(1)), '1', 'a row that is written again');
select is(test.waiting(), '1', 'is a recording again');
select is((test.job(1)).attempts || ' of ' || (test.job(1)).max_attempts, '1 of 6', 'by the same job');

-- The row comes first.
select is(test.try('owner', test.clip(2, '900')), '1', 'a row without a file');
select is(test.waiting(), '1', 'is nothing to listen to');
select test.store(test.name(2), test.one(2)) \g /dev/null
select is(test.waiting(), '1, 2', 'until the file is stored');
select is(test.claim(), '2, 1', 'workers have both');
select test.store(test.name(2), test.one(3)) \g /dev/null
select is(test.waiting(), '1 running, 2', 'a file that is replaced meanwhile is listened to anew');
select is(kith.finish_job((test.job(2)).id, 1), null, 'and who listens to the old one learns of it');
update storage.objects set name = test.name(3) where name = test.name(2);
select is(test.waiting(), '1 running, 2', 'a file that is moved to where no row is');
select is(test.try('owner', test.clip(3)), '1', 'waits for its row');
select is(test.waiting(), '1 running, 2, 3', 'and is listened to then');
update storage.objects set metadata = '{"size": 11}', user_metadata = '{"a": 1}', last_accessed_at = now() where name = test.name(3);
select is(test.claim(), '2, 1', 'workers have these');
select is(test.waiting(), '1 running, 2 running, 3 running', 'what else changes of a file does not matter');
select is(test.probe('owner', format('insert into storage.objects (bucket_id, name) values (''training_clips'', %L)', test.name(2))), '1', 'an upload is rehearsed');
select is(test.try('stranger', test.clip(1, who => 'stranger')), '1', 'another''s row');
select is(test.waiting(), '1 running, 2 running, 3 running', 'has a file of its own');

-- What is found out.
select is(kith.recording_version('clips', (select id from public.clips where user_id = test.id('owner') and prompt_index = 1)), test.one(1), 'the file of a clip');
select is(kith.recording_version('clips', (select id from public.clips where user_id = test.id('owner') and prompt_index = 2)), null, 'of one without');
select is(kith.recording_version(t, (select id from public.clips where user_id = test.id('owner') and prompt_index = 1)), null, 'and not of another table: ' || t) from unnest(array['voice_messages', 'profiles', 'x']) t;
create function test.note(version int, facts text) returns void language sql as $$
    select kith.note_recording('clips', (select id from public.clips where user_id = test.id('owner') and prompt_index = 1), test.one(version),
        split_part(facts, ' ', 1)::bigint, nullif(split_part(facts, ' ', 2), '-')::int, split_part(facts, ' ', 3))
$$;
select is(test.facts(1), 'good', 'what its owner said');
select test.note(2, '10 2000 good') \g /dev/null
select is(test.facts(1), 'good', 'stands against what is noted of another file');
select test.note(1, '10 2000 redo_suggested') \g /dev/null
select is(test.facts(1), '10 2000 redo_suggested', 'not of this one');
select test.note(1, '10 - unknown') \g /dev/null
select is(test.facts(1), '10 unknown', 'also that it cannot be known');
select is(test.facts(3), 'unknown', 'another clip is as it was');
update public.clips set updated_at = 'epoch' where prompt_index = 1 and user_id = test.id('owner');
create function test.touched() returns void language plpgsql as $$ begin raise exception 'touched'; end $$;
create function test.refuse() returns trigger language plpgsql as $$ begin raise exception 'touched'; end $$;
create trigger a_refuse before update on public.clips for each row execute function test.refuse();
select lives_ok($$ select test.note(1, '10 - unknown') $$, 'what is known already writes nothing');
select throws_ok($$ select test.note(1, '10 1 good') $$, 'P0001', 'touched', 'what is not does');
drop trigger a_refuse on public.clips;
select is(test.waiting(), '1 running, 2 running, 3 running', 'to note is not to write');

-- Voice messages.
insert into public.voice_messages (id, user_id, profile_id, title, category, prompt_text, generated_text, audio_storage_path) values
    ('0a0a0a0a-0000-4000-8000-000000000021', test.id('owner'), '0a0a0a0a-0000-4000-8000-000000000001', 'For Mia', 'birthday', 'x', 'x', 'voice_messages/' || test.id('owner') || '/mia.mp3'),
    ('0a0a0a0a-0000-4000-8000-000000000022', test.id('owner'), '0a0a0a0a-0000-4000-8000-000000000001', 'For Tom', 'birthday', 'x', 'x', null);
delete from kith.jobs where kind = 'probe_recording';
select test.store(test.id('owner') || '/mia.mp3', test.one(5), 'voice_messages') \g /dev/null
select is(test.waiting(), 'For Mia', 'a message whose recording is stored is listened to');
select test.store(test.id('owner') || '/tom.mp3', test.one(6), 'voice_messages') \g /dev/null
update public.voice_messages set audio_storage_path = 'voice_messages/' || test.id('owner') || '/tom.mp3' where title = 'For Tom';
select is(test.waiting(), 'For Mia, For Tom', 'so is one that is told of it later');
update public.voice_messages set audio_storage_path = null where title = 'For Tom';
select is(kith.recording_version('voice_messages', '0a0a0a0a-0000-4000-8000-000000000021'), test.one(5), 'the file of a message');
select is(kith.recording_version('voice_messages', '0a0a0a0a-0000-4000-8000-000000000022'), null, 'and of one without');
select kith.note_recording('voice_messages', '0a0a0a0a-0000-4000-8000-000000000021', test.one(v), v, 1500, 'good') from unnest(array[6, 5]) v \g /dev/null
select is((select size_bytes || ' ' || duration_ms from public.voice_messages where title = 'For Mia'), '5 1500', 'what is noted of its own file');

-- Files that were let go.
delete from kith.released_files;
select is(kith.next_expired_file('1 minute'), null, 'no file waits');
insert into kith.released_files (version, released_at) values (test.one(8), now() - interval '10 seconds'), (test.one(9), now());
select ok(kith.next_expired_file('1 minute') between 40 and 50, 'the oldest is due first');

-- Nobody else.
select is(test.try(who, statement), '42501', who || ' cannot: ' || statement)
from unnest(array['anon', 'owner', 'service']) who, unnest(array[$$ select kith.recording_version('clips', gen_random_uuid()) $$,
    $$ select kith.note_recording('clips', gen_random_uuid(), '', 1, 1, 'good') $$, $$ select kith.next_expired_file('1 minute') $$,
    $$ select kith.probe_recording('public.clips', gen_random_uuid(), gen_random_uuid()) $$, $$ select kith.stored_version('public.clips', 'a/b') $$]) statement;

select finish();
rollback;
