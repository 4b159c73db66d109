-- Goal: a client writes drafts, a voice that is ready speaks them once, and
-- what was spoken stays as it is heard.
\ir ../lib/prelude.psql
select no_plan();

insert into public.profiles (id, user_id, name, relation, voice_model_status, elevenlabs_voice_id) values
    ('0a0a0a0a-0000-4000-8000-000000000001', test.id('owner'), 'Anna', 'mother', 'ready', 'v1'),
    ('0a0a0a0a-0000-4000-8000-000000000002', test.id('owner'), 'Ben', 'self', 'not_submitted', null),
    ('0b0b0b0b-0000-4000-8000-000000000001', test.id('stranger'), 'Cleo', 'self', 'ready', 'v2');
create function test.draft(id uuid, profile uuid default '0a0a0a0a-0000-4000-8000-000000000001', given text default '') returns text language sql as $$
    select format('insert into public.voice_messages (id, profile_id, title, category, prompt_text, generated_text %s) values (%L, %L, ''For Mia'', ''birthday'', ''kind words'', ''Happy birthday.'' %s)',
        split_part(given, ' = ', 1), id, profile, split_part(given, ' = ', 2))
$$;
create function test.jobs() returns text language sql as $$
    with gone as (delete from kith.jobs where user_id in (test.id('owner'), test.id('stranger')) returning *)
    select coalesce(string_agg(kind || ' ' || coalesce((select string_agg(regexp_replace(p, '.*/', ''), ' ' order by p) from jsonb_array_elements_text(payload -> 'paths') p),
        payload ->> 'voice_message_id', payload ->> 'voice_id'), ', ' order by kind, id), 'nothing') from gone
$$;
create function test.set(assignments text, who text default 'owner', id text default '0a0a0a0a-0000-4000-8000-000000000011') returns text language sql as $$
    select test.try(who, format('update public.voice_messages set %s where id = %L', assignments, id))
$$;
create function test.speak(who text default 'owner', id text default '0a0a0a0a-0000-4000-8000-000000000011') returns text language sql as $$
    select test.refusal(who, format('select * from public.generate_voice_message(%L)', id))
$$;
create function test.state(id uuid default '0a0a0a0a-0000-4000-8000-000000000011') returns text language sql as $$
    select status || coalesce(': ' || error_message, '') from public.voice_messages m where m.id = state.id
$$;

-- Drafts.
select is(test.rows('owner', test.draft('0a0a0a0a-0000-4000-8000-000000000011') || ' returning status, mime_type, audio_storage_path, play_count, last_played_at'),
    '[{"status": "draft", "mime_type": "audio/mpeg", "audio_storage_path": null, "play_count": 0, "last_played_at": null}]', 'owner writes a draft');
select is(test.rows('stranger', 'select * from public.voice_messages'), '[]', 'stranger sees none of it');
select is(test.try('owner', test.draft(gen_random_uuid(), profile)), '42501', 'refused: in the voice of a profile that is ' || what)
from (values ('0b0b0b0b-0000-4000-8000-000000000001'::uuid, 'another''s'), (gen_random_uuid(), 'not there')) v (profile, what);
select is(test.try('service', format('update public.voice_messages set profile_id = %L', '0b0b0b0b-0000-4000-8000-000000000001') || ' where user_id = ''' || test.id('owner') || ''''), '23503', 'the service cannot mix owners either');
select is(test.try('owner', test.draft(gen_random_uuid(), given => given)), '42501', 'the server''s: ' || given)
from unnest(array[', status = , ''ready''', ', audio_storage_path = , ''x''', ', mime_type = , ''x''', ', duration_ms = , 1', ', size_bytes = , 1', ', error_message = , ''x''', ', play_count = , 9', ', last_played_at = , now()']) given;
select is(test.set(change), result, change)
from (values ('title = ''Mia'', category = ''other'', recipient_label = ''My daughter'', moment_label = ''When you need courage'', prompt_text = ''warm words'', generated_text = ''Happy birthday, Mia.''', '1'),
    ('title = ''''', '23514'), ('generated_text = ''''', '23514'), ('generated_text = null', '23502'), ('generated_text = repeat(''x'', 40001)', '23514'), ('prompt_text = null', '23502'), ('category = null', '23502'),
    ('status = ''ready''', '42501'), ('play_count = 1', '42501')) v (change, result);

-- Speaking.
select is(test.speak('stranger'), 'PT404 | voice message not found', 'for the stranger there is no such message');
select is(test.speak(id => gen_random_uuid()::text), 'PT404 | voice message not found', 'as if it did not exist');
select alike(test.speak('anon'), '42501%', 'anon cannot call');
select is(test.try('owner', test.draft('0a0a0a0a-0000-4000-8000-000000000012', '0a0a0a0a-0000-4000-8000-000000000002')), '1', 'a draft for a voice that is not trained');
select is(test.speak(id => '0a0a0a0a-0000-4000-8000-000000000012'), 'PT409 | the voice of "Ben" is not ready | Record the 25 clips and train the voice first.', 'is not spoken');
update public.profiles set voice_model_status = 'training' where id = '0a0a0a0a-0000-4000-8000-000000000002';
select is(test.speak(id => '0a0a0a0a-0000-4000-8000-000000000012'), 'PT409 | the voice of "Ben" is not ready | It is being trained; try again when voice_model_status is ready.', 'nor while it is trained');
update public.profiles set voice_model_status = 'ready', elevenlabs_voice_id = 'v3', deleted_at = now() where id = '0a0a0a0a-0000-4000-8000-000000000002';
select is(test.speak(id => '0a0a0a0a-0000-4000-8000-000000000012'), 'PT409 | the voice of "Ben" is not ready | The profile was taken out of use.', 'nor after it was taken out of use');
select is(test.jobs(), 'nothing', 'nothing was queued');
select is(test.rows('owner', 'select id, status from public.generate_voice_message(''0a0a0a0a-0000-4000-8000-000000000011'')'),
    '[{"id": "0a0a0a0a-0000-4000-8000-000000000011", "status": "generating"}]', 'a voice that is ready speaks');
select is(test.speak(), 'PT409 | the voice message is generating already | A draft, or a message that failed, can be generated.', 'once');
select is(test.refusal('owner', 'update public.voice_messages set ' || change || ' where id = ''0a0a0a0a-0000-4000-8000-000000000011'''),
    'PT409 | the words of a message that is generating cannot change | Title, category and labels can; for other words make another message.', 'meanwhile it keeps: ' || change)
from unnest(array['generated_text = ''x''', 'prompt_text = ''x''', 'profile_id = ''0a0a0a0a-0000-4000-8000-000000000002''']) change;
select is(test.set('title = ''Mia again'', recipient_label = null, generated_text = generated_text'), '1', 'its title is the owner''s at any time');
select is(test.set('generated_text = ''corrected''', 'service'), '1', 'the service may correct its words');
select is(test.jobs(), 'generate_voice_message 0a0a0a0a-0000-4000-8000-000000000011', 'one job speaks it');

-- What becomes of it.
select is(test.set('status = ''ready''', 'service'), '23514', 'nothing is ready without a recording');
select is(test.set(format('audio_storage_path = %L', path), 'service'), '23514', 'a recording lies with its owner, not in ' || path)
from unnest(array['messages/' || test.id('stranger') || '/1.mp3', 'messages/1.mp3', 'messages/' || test.id('owner') || '/../1.mp3', test.id('owner') || '/1.mp3',
    '../' || test.id('owner') || '/1.mp3', 'messages/' || test.id('owner') || '/%2e%2e/1.mp3']) path;
select is(test.set(format('status = ''ready'', audio_storage_path = %L, duration_ms = 4000, size_bytes = 64000', 'messages/' || test.id('owner') || '/1.mp3'), 'service'), '1', 'with one it is');
select is(test.state(), 'ready', 'ready');
select is(test.set('status = ''' || status || '''', 'service'), '23514', 'from ready there is no way to ' || status) from unnest(array['draft', 'generating', 'failed']) status;
select alike(test.speak(), 'PT409 | the voice message is ready already%', 'and nothing to speak');
select is(test.set('generated_text = ''x'''), 'PT409', 'its words are what is heard');
select is(test.set('title = ''For ever'''), '1', 'its title is not');
select is(test.set(format('audio_storage_path = %L', 'messages/' || test.id('owner') || '/2.mp3'), 'service'), '1', 'another recording');
select is(test.jobs(), 'delete_files 1.mp3', 'takes the place of the first');

-- Failing.
update public.profiles set deleted_at = null where id = '0a0a0a0a-0000-4000-8000-000000000002';
select is(test.set('status = ''ready''', 'service', '0a0a0a0a-0000-4000-8000-000000000012'), '23514', 'from draft there is no way to ready');
select is(test.speak(id => '0a0a0a0a-0000-4000-8000-000000000012'), 'done', 'another message');
select is((select kith.fail_job(c.id, c.attempts, '401 quota_exceeded', final => true) from kith.claim_jobs('{generate_voice_message}', '1 minute', 100) c where c.user_id = test.id('owner')), 'failed', 'that is given up');
select is(test.state('0a0a0a0a-0000-4000-8000-000000000012'), 'failed: 401 quota_exceeded', 'says why');
select is(test.set('generated_text = ''Shorter.''', id => '0a0a0a0a-0000-4000-8000-000000000012'), '1', 'its words may change again');
select is(test.jobs(), 'generate_voice_message 0a0a0a0a-0000-4000-8000-000000000012', 'one job tried');
select is(test.speak(id => '0a0a0a0a-0000-4000-8000-000000000012'), 'done', 'and it may be tried again');
select is(test.state('0a0a0a0a-0000-4000-8000-000000000012'), 'generating', 'without the old error');

-- Deleting.
select is(test.try('stranger', 'delete from public.voice_messages'), '0', 'stranger deletes nothing');
select is(test.try('owner', 'delete from public.voice_messages where id = ''0a0a0a0a-0000-4000-8000-000000000012'''), '1', 'owner deletes what is being spoken');
select is(test.jobs(), 'nothing', 'which calls it off');
select is(test.try('owner', 'delete from public.profiles where id = ''0a0a0a0a-0000-4000-8000-000000000001'''), '1', 'owner deletes the profile');
select is(test.rows('owner', 'select id from public.voice_messages'), '[]', 'its messages go with it');
select is(test.jobs(), 'delete_files 2.mp3, delete_voice v1', 'and the recording, and the voice');

-- The newest of a profile, by its index.
create function test.plan(who text, statement text) returns setof text language plpgsql as $$
begin
    perform test.become(who);
    return query execute 'explain ' || statement;
    reset role;
end
$$;
insert into public.voice_messages (user_id, profile_id, title, category, prompt_text, generated_text)
select test.id('stranger'), '0b0b0b0b-0000-4000-8000-000000000001', 'x', 'x', 'x', 'x' from generate_series(1, 3000);
analyze public.voice_messages;
select matches(string_agg(p, E'\n'), 'voice_messages_profile_id_created_at_idx', 'the newest of a profile are read by their index')
from test.plan('owner', 'select * from public.voice_messages where profile_id = ''0a0a0a0a-0000-4000-8000-000000000002'' order by created_at desc limit 20') p;

select finish();
rollback;
