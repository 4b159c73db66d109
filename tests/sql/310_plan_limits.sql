-- Goal: nobody grows above what their plan allows of profiles, documents and
-- spoken messages, and is told which plan does; what is there stays.  C18
\ir ../lib/prelude.psql
select no_plan();

update public.plans p
set limits = v.limits
from (values
    ('free', '{"profiles": 1, "documents": 3, "voice_messages_per_month": 2}'::jsonb),
    ('pro', '{"profiles": 2, "documents": 5, "voice_messages_per_month": 4}'),
    ('essential', '{"profiles": 2, "documents": 4, "voice_messages_per_month": 4}'),
    ('family_archive', '{"profiles": 4, "voice_messages_per_month": 100}')
) v (id, limits)
where p.id = v.id;
create function test.profiles(n integer, who text default 'owner') returns text language sql as $$
    select test.refusal(who, format('insert into public.profiles (name, relation) select i::text, ''friend'' from generate_series(1, %s) i', n))
$$;
create function test.documents(n integer, who text default 'owner') returns text language sql as $$
    select test.refusal(who, format('insert into public.documents (filename) select i::text from generate_series(1, %s) i', n))
$$;
create function test.subscribe(plan text, who text default 'owner') returns void language sql as $$
    update public.subscriptions set plan = subscribe.plan where user_id = test.id(who)
$$;

-- Profiles.
select is(test.profiles(2), 'PT403 | the plan allows 1 profile | PlanLimitReached | The plan essential allows 2.', 'two at once are too many');
select is((select count(*)::int from public.profiles where user_id = test.id('owner')), 0, 'and none is made');
select is(test.profiles(1), 'done', 'one is not');
select is(test.profiles(1), 'PT403 | the plan allows 1 profile | PlanLimitReached | The plan essential allows 2.', 'the second is');
select is(test.profiles(1, 'stranger'), 'done', 'what others have does not matter');
select is(test.profiles(3), 'PT403 | the plan allows 1 profile | PlanLimitReached | The plan family_archive allows 4.', 'the smallest plan that is enough is named');
select is(test.profiles(9), 'PT403 | the plan allows 1 profile | PlanLimitReached | Delete what is not needed.', 'or none');
update public.plans set limits = limits - 'profiles' where id = 'pro';
select is(test.profiles(9), 'PT403 | the plan allows 1 profile | PlanLimitReached | The plan pro has no limit.', 'one without a limit is enough');
select test.subscribe('pro') \g /dev/null
select is(test.profiles(9), 'done', 'and has none');
select test.subscribe('essential') \g /dev/null
select is(test.profiles(1), 'PT403 | the plan allows 2 profiles | PlanLimitReached | The plan pro has no limit.', 'after a downgrade nothing is added');
select is(json_array_length(test.rows('owner', 'select * from public.profiles')::json), 10, 'all are there to read');
select is(test.try('owner', 'update public.profiles set notes = ''still mine'''), '10', 'and to change');
select is(test.try('owner', 'delete from public.profiles where name <> ''1'''), '8', 'those that go');
select is(test.profiles(1), 'PT403 | the plan allows 2 profiles | PlanLimitReached | The plan family_archive allows 4.', 'make no room above the limit');
update public.profiles set deleted_at = now() where id = (select id from public.profiles where user_id = test.id('owner') limit 1);
select is(test.profiles(1), 'done', 'below it they do, and one that was taken out of use does not count');
select is(test.try('service', format('insert into public.profiles (user_id, name, relation) select %L, ''x'', ''x'' from generate_series(1, 5)', test.id('owner'))), '5',
    'the service may give more');
select is(test.refusal('owner', 'insert into essence.profiles (name, relation) values (''x'', ''x'')'),
    'PT403 | the plan allows 2 profiles | PlanLimitReached | The plan pro has no limit.', 'there is no way around by a view');

-- Documents.
select is(test.documents(3, 'stranger'), 'done', 'three documents');
select is(test.documents(1, 'stranger'), 'PT403 | the plan allows 3 documents | PlanLimitReached | The plan essential allows 4.', 'and no fourth');
select is(test.refusal('stranger', 'insert into thinking_partner.documents (filename) values (''x'')'),
    'PT403 | the plan allows 3 documents | PlanLimitReached | The plan essential allows 4.', 'nor by a view');
update public.plans set limits = limits || '{"documents": 0}' where id = 'free';
select is(test.documents(1, 'stranger'), 'PT403 | the plan allows 0 documents | PlanLimitReached | The plan essential allows 4.', 'a limit may be nothing at all');
select is(test.try('stranger', 'insert into public.documents (id, filename) select id, ''again'' from public.documents on conflict (id) do update set filename = excluded.filename'), '3',
    'an upsert over what is there adds nothing');
insert into public.workspaces (owner_id, name, subscription_status) values (test.id('stranger'), 'paid', 'pro');
select is(test.documents(2, 'stranger'), 'done', 'a workspace that is pro is the plan pro');
update public.workspaces set subscription_expires_at = now() - interval '4 days' where owner_id = test.id('stranger');
select is(test.documents(1, 'stranger'), 'PT403 | the plan allows 0 documents | PlanLimitReached | The plan family_archive has no limit.', 'until it expires');

-- Spoken messages.
delete from public.profiles where user_id = test.id('owner');
insert into public.profiles (id, user_id, name, relation, voice_model_status, elevenlabs_voice_id) values
    ('0a0a0a0a-0000-4000-8000-000000000001', test.id('owner'), 'Anna', 'mother', 'ready', 'v1');
insert into public.voice_messages (id, user_id, profile_id, title, category, prompt_text, generated_text)
select format('0a0a0a0a-0000-4000-8000-%s', lpad(i::text, 12, '0'))::uuid, test.id('owner'), '0a0a0a0a-0000-4000-8000-000000000001', 'x', 'other', 'x', 'x'
from generate_series(11, 19) i;
create function test.speak(n integer) returns text language sql as $$
    select test.refusal('owner', format('select * from public.generate_voice_message(%L)', '0a0a0a0a-0000-4000-8000-0000000000' || n))
$$;
select test.subscribe('free') \g /dev/null
select is(test.speak(11), 'done', 'a message is spoken');
select is(test.speak(12), 'done', 'another');
select is(test.speak(13), 'PT403 | the plan allows 2 voice messages a month | PlanLimitReached | The plan essential allows 4.', 'no third in a month');
select is((select status from public.voice_messages where id = '0a0a0a0a-0000-4000-8000-000000000013'), 'draft', 'which stays a draft');
select is((select count(*)::int from kith.jobs where user_id = test.id('owner') and kind = 'generate_voice_message'), 2, 'and costs nothing');
delete from public.voice_messages where id = '0a0a0a0a-0000-4000-8000-000000000011';
select alike(test.speak(13), 'PT403%', 'one that is deleted was spoken');
update public.voice_messages set status = 'failed' where id = '0a0a0a0a-0000-4000-8000-000000000012';
select is(test.speak(13), 'done', 'one that failed was not');
select alike(test.speak(12), 'PT403%', 'and counts when it is tried again');
update public.voice_messages set status = 'ready', audio_storage_path = format('voice_messages/%s/x.mp3', user_id) where id = '0a0a0a0a-0000-4000-8000-000000000013';
select alike(test.speak(12), 'PT403%', 'one that is ready counts');
update kith.spoken_messages set began_at = date_trunc('month', now(), 'UTC') where user_id = test.id('owner');
select alike(test.speak(12), 'PT403%', 'from the first moment of the month');
update kith.spoken_messages set began_at = date_trunc('month', now(), 'UTC') - interval '1 microsecond' where user_id = test.id('owner');
select is(test.speak(12), 'done', 'another month is another count');
select is((select count(*)::int from kith.spoken_messages where user_id = test.id('owner')), 1, 'which is all that is kept');
update public.plans set limits = '{"voice_messages_per_month": 1}' where id = 'family_archive';
update public.plans set limits = '{"voice_messages_per_month": 1}' where id <> 'family_archive';
select is(test.speak(14), 'PT403 | the plan allows 1 voice message a month | PlanLimitReached | The next month begins anew.', 'where no plan has more, time has');
delete from auth.users where id = test.id('owner');
select is((select count(*)::int from kith.spoken_messages where user_id = test.id('owner')), 0, 'nothing survives the account');

select * from finish();
rollback;
