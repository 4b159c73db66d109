-- Goal: a profile is its owner's, its voice is the server's, and what it leaves
-- in storage and at the provider is removed.
\ir ../lib/prelude.psql
select no_plan();

create function test.profile(who text, rest text default '', given text default '') returns text language sql as $$
    select format('insert into public.profiles (name, relation %s) values (''Anna'', ''mother'' %s)', rest, given)
$$;
create function test.jobs() returns text language sql as $$
    with gone as (delete from kith.jobs where user_id in (test.id('owner'), test.id('stranger')) returning *)
    select coalesce(string_agg(kind || ' ' || coalesce(payload ->> 'voice_id', payload ->> 'paths', 'unknown'), ', ' order by kind desc, id), 'nothing') from gone
$$;
create function test.set(assignments text, who text default 'service') returns text language sql as $$
    select test.try(who, format('update public.profiles set %s where user_id = %L', assignments, test.id('owner')))
$$;
create function test.state() returns text language sql as $$
    select voice_model_status || case when training_completed_at is not null then ' completed' else '' end || case when voice_ready_at is not null then ' can speak' else '' end
        || coalesce(': ' || voice_error, '')
    from public.profiles where user_id = test.id('owner')
$$;

select is(test.rows('owner', test.profile('owner') || ' returning name, relation, voice_model_status, elevenlabs_voice_id, avatar_updated_at'),
    '[{"name": "Anna", "relation": "mother", "voice_model_status": "not_submitted", "elevenlabs_voice_id": null, "avatar_updated_at": null}]', 'owner makes a profile');
select is(test.rows('stranger', 'select * from public.profiles'), '[]', 'stranger sees none of it');
select is(test.try('stranger', 'update public.profiles set name = ''x'''), '0', 'and changes none of it');
select is(test.try('owner', statement), '23502', 'required: ' || statement)
from unnest(array['insert into public.profiles (name) values (''x'')', 'insert into public.profiles (relation) values (''x'')']) statement;
select is(test.set(change, 'owner'), '42501', 'the server''s: ' || change)
from unnest(array['voice_model_status = ''ready''', 'elevenlabs_voice_id = ''x''', 'voice_error = null', 'training_completed_at = now()', 'voice_ready_at = now()',
    'voice_consent_at = now()', 'deleted_at = now()']) change;
select is(test.set('voice_model_status = ''asleep'''), '23514', 'a status is a known word');
select is(test.set(format('user_id = %L', test.id('stranger'))), '42501', 'nobody gives a profile away, not even the service');

-- The picture.
select is(test.set(format('avatar_storage_path = %L', path), 'owner'), result, 'picture ' || replace(path, test.id('owner')::text, 'O'))
from (values
    ('avatars/' || test.id('owner') || '/anna.png', '1'), ('photos/' || test.id('owner') || '/2026/anna.png', '1'), ('avatars/' || test.id('owner') || '/..anna', '1'),
    ('avatars/' || test.id('stranger') || '/anna.png', '23514'), (test.id('owner') || '/anna.png', '23514'), ('avatars/' || test.id('owner'), '23514'),
    ('avatars/' || test.id('owner') || '/', '23514'), ('avatars/' || test.id('owner') || '//a', '23514'), ('avatars/' || test.id('owner') || '/../x/a', '23514'),
    ('avatars/' || test.id('owner') || '/./a', '23514'), ('avatars/x/' || test.id('owner') || '/a', '23514'), ('avatars/' || test.id('owner') || '/' || repeat('x', 1024), '23514'), ('', '23514'),
    ('../' || test.id('owner') || '/a', '23514'), ('./' || test.id('owner') || '/a', '23514'), ('avatars/' || test.id('owner') || '/%2e%2e/a', '23514'),
    ('avatars/' || test.id('owner') || '/..\..\a', '23514'), ('avatars/' || test.id('owner') || E'/a\n', '23514'), ('avatars/' || test.id('owner') || '/ä', '23514')
) as v (path, result);
select is(test.jobs(), format('delete_files ["avatars/%1$s/anna.png"], delete_files ["photos/%1$s/2026/anna.png"]', test.id('owner')), 'a picture that is replaced is removed');
update public.profiles set avatar_updated_at = '2000-01-01' where user_id = test.id('owner');
select is(test.set('avatar_storage_path = avatar_storage_path, notes = ''x''', 'owner'), '1', 'a picture that stays');
select is((select avatar_updated_at from public.profiles where user_id = test.id('owner')), '2000-01-01', 'is as old as it was');
select is(test.set(format('avatar_storage_path = %L', 'avatars/' || test.id('owner') || '/new.png'), 'owner'), '1', 'a new one');
select is((select avatar_updated_at from public.profiles where user_id = test.id('owner')), now(), 'is new');
select is(test.set(format('avatar_storage_path = %L, avatar_updated_at = ''2001-01-01''', 'avatars/' || test.id('owner') || '/newer.png'), 'owner'), '1', 'unless its time');
select is((select avatar_updated_at from public.profiles where user_id = test.id('owner')), '2001-01-01', 'is given');
select is(test.jobs(), format('delete_files ["avatars/%1$s/..anna"], delete_files ["avatars/%1$s/new.png"]', test.id('owner')), 'both are removed');

-- The way of a voice.
select is(test.set('voice_model_status = ''ready'', elevenlabs_voice_id = ''v1'''), '23514', 'no voice is ready without training');
select is(test.set('voice_model_status = ''training'''), '1', 'training');
select is(test.state(), 'training', 'has not ended');
select is(test.set('voice_model_status = ''ready'''), '23514', 'a voice that is ready has an id');
select is(test.set('voice_model_status = ''not_submitted'', voice_error = ''422 too short'''), '1', 'a training that fails');
select is(test.state(), 'not_submitted: 422 too short', 'gives the profile back, and says why');
select is(test.set('voice_model_status = ''training'''), '1', 'a second training');
select is(test.state(), 'training', 'has no error yet');
select is(test.set('voice_model_status = ''ready'', elevenlabs_voice_id = ''v1'''), '1', 'and succeeds');
select is(test.state(), 'ready completed can speak', 'with its times');
select is(test.set('elevenlabs_voice_id = null'), '23514', 'the id stays while it is ready');
select is(test.set('voice_model_status = ''training'''), '1', 'a voice may be trained again');
select is(test.state(), 'training', 'from the beginning');
select is(test.set('voice_model_status = ''ready'', training_completed_at = ''2026-01-01'''), '1', 'what the provider says of its time');
select is((select training_completed_at from public.profiles where user_id = test.id('owner')), '2026-01-01', 'holds');
select is(test.jobs(), 'nothing', 'no voice is deleted by that');
select is(test.set('elevenlabs_voice_id = ''v2'''), '1', 'another voice');
select is(test.jobs(), 'delete_voice v1', 'takes the place of the old one');

-- Deleting.
select is(test.try('stranger', 'delete from public.profiles'), '0', 'stranger deletes nothing');
select is(test.probe('owner', 'delete from public.profiles'), '1', 'a deletion that is rolled back');
select is(test.jobs(), 'nothing', 'queues nothing');
select is(test.try('owner', 'delete from public.profiles'), '1', 'owner deletes the profile');
select is(test.jobs(), format('delete_voice v2, delete_files ["avatars/%s/newer.png"]', test.id('owner')), 'its voice and its picture go');
select is(test.try('owner', test.profile('owner')), '1', 'a profile without either');
select is(test.try('owner', 'delete from public.profiles'), '1', 'is deleted');
select is(test.jobs(), 'nothing', 'and leaves nothing to remove');
select is(test.try('owner', test.profile('owner')), '1', 'one whose voice is being trained');
select is(test.set('voice_model_status = ''training'''), '1', 'has no id yet');
select kith.enqueue('train_voice', jsonb_build_object('profile_id', id), user_id => user_id) from public.profiles where user_id = test.id('owner') \g /dev/null
select kith.enqueue('train_voice', '{"profile_id": "0a0a0a0a-0000-4000-8000-000000000009"}', 'another', user_id => test.id('owner')) \g /dev/null
select is(test.try('owner', 'delete from public.profiles'), '1', 'its deletion');
select is((select array_agg(key order by key) from kith.jobs where kind = 'train_voice' and user_id = test.id('owner')), '{another}', 'calls off the training, and no other');
select is(test.jobs(), 'train_voice unknown, delete_voice unknown', 'and has the worker look for the voice');
insert into public.profiles (user_id, name, relation, voice_model_status, elevenlabs_voice_id, avatar_storage_path)
select test.id(who), 'x', 'x', 'ready', who, 'avatars/' || test.id(who) || '/x' from unnest(array['owner', 'owner', 'stranger']) who;
delete from public.profiles where user_id = test.id('owner') and ctid = (select min(ctid) from public.profiles where user_id = test.id('owner'));
select is(test.jobs(), 'delete_voice owner', 'a picture that another profile shows stays');

-- The documents' index.
create function test.plan(who text, statement text) returns setof text language plpgsql as $$
begin
    perform test.become(who);
    return query execute 'explain ' || statement;
    reset role;
end
$$;
insert into auth.users (id, email) select gen_random_uuid(), 'crowd' || i || '@kith.test' from generate_series(1, 500) i;
insert into public.profiles (user_id, name, relation) select u.id, 'x', 'x' from public.users u, generate_series(1, 20) where u.email ~ '^crowd';
analyze public.profiles;
select matches(string_agg(p, E'\n'), 'Index Scan.* profiles_user_id_created_at_idx', 'the list is read by its index')
from test.plan('owner', 'select * from public.profiles order by created_at') p;

select finish();
rollback;
