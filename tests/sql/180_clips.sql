-- Goal: 25 clips of one's own profile, one for each prompt, train its voice
-- once, with consent.  Calls at the same time are in concurrency.t.
\ir ../lib/prelude.psql
select no_plan();

insert into public.profiles (id, user_id, name, relation) values
    ('0a0a0a0a-0000-4000-8000-000000000001', test.id('owner'), 'Anna', 'mother'),
    ('0a0a0a0a-0000-4000-8000-000000000002', test.id('owner'), 'Ben', 'self'),
    ('0b0b0b0b-0000-4000-8000-000000000001', test.id('stranger'), 'Cleo', 'self');
create function test.path(profile uuid, prompt int, ending text default 'webm', who text default 'owner') returns text language sql as $$
    select format('training_clips/%s/%s/%s.%s', test.id(who), profile, prompt, ending)
$$;
create function test.clip(prompt int, profile uuid default '0a0a0a0a-0000-4000-8000-000000000001', path text default null, rest text default '') returns text language sql as $$
    select format('insert into public.clips (profile_id, prompt_index, prompt_text, audio_storage_path, mime_type) values (%L, %s, %L, %L, %L) %s',
        profile, prompt, 'Tell of your day.', coalesce(path, test.path(profile, prompt)), 'audio/webm;codecs=opus', rest)
$$;
create function test.jobs() returns text language sql as $$
    with gone as (delete from kith.jobs where user_id in (test.id('owner'), test.id('stranger')) returning *)
    select coalesce(string_agg(kind || ' ' || coalesce((select string_agg(regexp_replace(p, '.*/', ''), ' ' order by p) from jsonb_array_elements_text(payload -> 'paths') p),
        payload ->> 'profile_id'), ', ' order by kind, id), 'nothing') from gone
$$;

select is(test.rows('owner', test.clip(0) || ' returning prompt_index, stage, quality_status, created_by, size_bytes'),
    '[{"prompt_index": 0, "stage": null, "quality_status": "unknown", "created_by": "user", "size_bytes": null}]', 'owner stores a clip');
select is(test.rows('stranger', 'select * from public.clips'), '[]', 'stranger sees none');
select alike(test.refusal('owner', test.clip(0)), '23505%"clips_one_per_prompt"%', 'a second clip of a prompt says which rule');
select alike(test.refusal('owner', test.clip(25)), '23514%"clips_prompt_index_range"%', 'so does a 26th clip');
select is(test.try('owner', test.clip(-1)), '23514', 'and one before the first');
select is(test.try('owner', test.clip(0, '0a0a0a0a-0000-4000-8000-000000000002')), '1', 'another profile has prompts of its own');
select is(test.try('owner', test.clip(1, profile)), '42501', 'refused: a clip of a profile that is ' || what)
from (values ('0b0b0b0b-0000-4000-8000-000000000001'::uuid, 'another''s'), (gen_random_uuid(), 'not there')) v (profile, what);
select is(test.try('service', format('insert into public.clips (user_id, profile_id, prompt_index, prompt_text, audio_storage_path, mime_type) values (%L, %L, 1, ''x'', %L, ''x'')',
    test.id('stranger'), '0a0a0a0a-0000-4000-8000-000000000001', test.path('0a0a0a0a-0000-4000-8000-000000000001', 1, who => 'stranger'))), '23503', 'the service cannot mix owners either');
select is(test.try('service', 'update public.clips set profile_id = ''0b0b0b0b-0000-4000-8000-000000000001'' where user_id = ''' || test.id('owner') || ''''), '23503', 'nor move a clip to another''s profile');
select is(test.try('owner', test.clip(1, path => path)), '23514', 'refused: ' || replace(path, test.id('owner')::text, 'O'))
from unnest(array[
    test.path('0a0a0a0a-0000-4000-8000-000000000001', 2), test.path('0a0a0a0a-0000-4000-8000-000000000002', 1), test.path('0a0a0a0a-0000-4000-8000-000000000001', 1, who => 'stranger'),
    test.path('0a0a0a0a-0000-4000-8000-000000000001', 1, ''), test.path('0a0a0a0a-0000-4000-8000-000000000001', 1, '../x'), test.path('0a0a0a0a-0000-4000-8000-000000000001', 1, E'webm\n'),
    'data:audio/webm;base64,AAAA', 'x' || test.path('0a0a0a0a-0000-4000-8000-000000000001', 1)
]) path;
select is(test.try('owner', format('update public.clips set %s where profile_id = ''0a0a0a0a-0000-4000-8000-000000000001''', change)), result, change)
from (values ('quality_status = ''good'', size_bytes = 5000000000, duration_ms = 4000, stage = 3', '1'), ('quality_status = ''fine''', '23514'), ('stage = 4', '23514'),
    ('stage = 0', '23514'), ('size_bytes = -1', '23514'), ('duration_ms = -1', '23514'), ('prompt_text = null', '23502'), ('mime_type = null', '23502'), ('created_by = ''robot''', '23514')) v (change, result);
select is(test.try('owner', 'insert into public.clips (profile_id, prompt_index, prompt_text, audio_storage_path, mime_type, created_by) values
    (''0a0a0a0a-0000-4000-8000-000000000001'', 1, ''x'', ''' || test.path('0a0a0a0a-0000-4000-8000-000000000001', 1) || ''', ''x'', ''robot'')'), '23514', 'created_by is a known word');

-- Recording again.
create function test.again(prompt int, ending text) returns text language sql as $$
    select test.clip(prompt, path => test.path('0a0a0a0a-0000-4000-8000-000000000001', prompt, ending),
        rest => 'on conflict (profile_id, prompt_index) do update set profile_id = excluded.profile_id, prompt_index = excluded.prompt_index, prompt_text = excluded.prompt_text,
            audio_storage_path = excluded.audio_storage_path, mime_type = excluded.mime_type, created_by = excluded.created_by')
$$;
select is(test.try('owner', test.again(0, 'webm')), '1', 'a prompt recorded again, in the same place');
select is(test.jobs(), 'nothing', 'leaves nothing to remove');
select is(test.try('owner', test.again(0, 'mp4')), '1', 'in another');
select is(test.jobs(), 'delete_files 0.webm', 'leaves the old recording');
select is(test.try('owner', test.clip(1)), '1', 'one more clip');
select is(test.try('stranger', 'delete from public.clips'), '0', 'stranger deletes nothing');
select is(test.try('owner', 'delete from public.clips where profile_id = ''0a0a0a0a-0000-4000-8000-000000000001'''), '2', 'owner deletes both');
select is(test.jobs(), 'delete_files 0.mp4 1.webm', 'and their recordings');

-- Training.
create function test.train(consent text default 'true', who text default 'owner', profile text default '0a0a0a0a-0000-4000-8000-000000000001') returns text language sql as $$
    select test.refusal(who, format('select * from public.train_voice(%L, %s)', profile, consent))
$$;
select is(test.train(), 'PT409 | could not start training: 0 of 25 clips recorded | There is no clip with prompt_index 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24. | Record the missing 25 clips first.',
    'no clips, no training');
insert into public.clips (user_id, profile_id, prompt_index, prompt_text, audio_storage_path, mime_type)
select test.id('owner'), p.id, i, 'x', test.path(p.id, i), 'audio/webm' from public.profiles p, generate_series(0, 24) i
where p.id = '0a0a0a0a-0000-4000-8000-000000000001' and i not in (3, 24);
select is(test.train(), 'PT409 | could not start training: 23 of 25 clips recorded | There is no clip with prompt_index 3, 24. | Record the missing 2 clips first.', 'those that are missing are named');
select is(test.try('owner', test.clip(24)), '1', 'with one more');
select is(test.train(), 'PT409 | could not start training: 24 of 25 clips recorded | There is no clip with prompt_index 3. | Record the missing clip first.', 'one is missing');
select is(test.try('owner', test.clip(3)), '1', 'with the last');
select is(test.train(consent), '22023 | a voice cannot be trained without consent | Ask the person whose voice it is, then call again with consent true.', 'consent ' || consent || ' is none')
from unnest(array['false', 'null']) consent;
select is(test.train(who => 'stranger'), 'PT404 | profile not found', 'for the stranger there is no such profile');
select is(test.train(profile => gen_random_uuid()::text), 'PT404 | profile not found', 'as if it did not exist');
select is(test.train(who => 'nobody'), 'PT404 | profile not found', 'nor for somebody whose account is gone');
select alike(test.train(who => 'anon'), '42501%', 'anon cannot call');
update public.profiles set deleted_at = now() where id = '0a0a0a0a-0000-4000-8000-000000000001';
select is(test.train(), 'PT404 | profile not found', 'nor is there one that was taken out of use');
update public.profiles set deleted_at = null where id = '0a0a0a0a-0000-4000-8000-000000000001';
select is(test.jobs(), 'nothing', 'nothing was queued');
select is((select voice_model_status || coalesce(voice_consent_at::text, ' without consent') from public.profiles where id = '0a0a0a0a-0000-4000-8000-000000000001'), 'not_submitted without consent', 'nothing was recorded');
select is(test.rows('owner', 'select id, voice_model_status, voice_consent_at = now() as consented from public.train_voice(''0a0a0a0a-0000-4000-8000-000000000001'', true)'),
    '[{"id": "0a0a0a0a-0000-4000-8000-000000000001", "voice_model_status": "training", "consented": true}]', 'with all of them, and consent, the voice is trained');
select alike(test.train(), 'PT409 | the voice is being trained already%', 'once');
select is((select count(*)::int from kith.jobs where user_id = test.id('owner')), 1, 'by one job');

-- What becomes of it.
create function test.fail(final boolean) returns text language sql as $$
    select kith.fail_job(c.id, c.attempts, '422 invalid_content', final => fail.final)
    from kith.claim_jobs('{train_voice}', '1 minute', 100) c where c.user_id = test.id('owner')
$$;
create function test.voice() returns text language sql as $$
    select voice_model_status || coalesce(': ' || voice_error, '') from public.profiles where id = '0a0a0a0a-0000-4000-8000-000000000001'
$$;
select is(test.fail(false), 'pending', 'an attempt that fails');
select is(test.voice(), 'training', 'is not the end');
update kith.jobs set run_at = now() where user_id = test.id('owner');
select is(test.fail(true), 'failed', 'a training that is given up');
select is(test.voice(), 'not_submitted: 422 invalid_content', 'is');
select is(test.jobs(), 'train_voice 0a0a0a0a-0000-4000-8000-000000000001', 'one job did it');
select is(test.train(), 'done', 'it may be submitted again');
update kith.jobs set status = 'running', attempts = 5, leased_until = now() - interval '1 s' where user_id = test.id('owner');
select is((select count(*)::int from kith.claim_jobs('{train_voice}', '1 minute', 100) c where c.user_id = test.id('owner')), 0, 'workers that all died');
select is(test.voice(), 'not_submitted: the lease of the last attempt ran out', 'do not keep it either');
select is(test.jobs(), 'train_voice 0a0a0a0a-0000-4000-8000-000000000001', 'each training is a job of its own');

-- With the profile goes everything of it.
update public.profiles set voice_model_status = 'training' where id = '0a0a0a0a-0000-4000-8000-000000000001';
update public.profiles set voice_model_status = 'ready', elevenlabs_voice_id = 'v' where id = '0a0a0a0a-0000-4000-8000-000000000001';
select is(test.try('owner', 'delete from public.profiles where id = ''0a0a0a0a-0000-4000-8000-000000000001'''), '1', 'owner deletes the profile');
select is((select count(*)::int from public.clips where user_id = test.id('owner')), 1, 'its clips go with it');
select is((select jsonb_array_length(payload -> 'paths') from kith.jobs where kind = 'delete_files' and user_id = test.id('owner')), 25, 'and 25 files, in one job');
select is((select payload from kith.jobs where kind = 'delete_voice' and user_id = test.id('owner')), '{"voice_id": "v", "profile_id": "0a0a0a0a-0000-4000-8000-000000000001"}', 'and the voice');

select finish();
rollback;
