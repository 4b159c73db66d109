-- Goal: a voice that is gone at the provider can be trained anew, and the ledger forgets in time.
\ir ../lib/prelude.psql
select no_plan();

create function test.event(type text, voice text, n integer default 0) returns text language sql as $$
    select kith.apply_elevenlabs(encode(sha256(concat(type, voice, n)::bytea), 'hex'), type, '1790000000',
        jsonb_build_object('type', type, 'event_timestamp', 1790000000, 'data', jsonb_build_object('voice_id', voice))::text, null)
$$;
create function test.voice(name text) returns text language sql as $$
    select concat_ws(' ', voice_model_status, elevenlabs_voice_id, training_completed_at is not null, voice_ready_at is not null, voice_error)
    from public.profiles where user_id = test.id('owner') and profiles.name = voice.name
$$;
insert into public.profiles (user_id, name, relation, voice_model_status, elevenlabs_voice_id, training_completed_at, voice_ready_at)
values (test.id('owner'), 'Anna', 'mother', 'ready', 'Vk3', now(), now()), (test.id('owner'), 'Ben', 'self', 'ready', 'Vk4', now(), now()),
    (test.id('owner'), 'Cleo', 'friend', 'not_submitted', null, null, null);

select is(test.event(type, 'Vk3'), 'ignored', type || ' changes nothing')
from unnest(array['voice_removal_notice', 'voice_removal_notice_withdrawn', 'post_call_transcription', 'post_call_audio', 'call_initiation_failure', 'x']) type;
select is(kith.apply_elevenlabs('none', null, null, '{}', null), 'ignored', 'nor does nothing at all');
select is(test.event('voice_removed', 'Vk5'), 'unmatched', 'a voice that nobody has is nobody''s');
select is(test.event('voice_removed', null), 'unmatched', 'nor is none, though profiles have none');
select is(test.voice(name), status, name || ' is as before') from (values ('Anna', 'ready Vk3 t t'), ('Ben', 'ready Vk4 t t'), ('Cleo', 'not_submitted f f')) v (name, status);
select is(test.event('voice_removed', 'Vk3'), 'applied', 'a voice is removed');
select is(test.voice('Anna'), 'not_submitted f f the voice was removed at ElevenLabs', 'its profile has none any more, and says why');
select is(test.voice('Ben'), 'ready Vk4 t t', 'others have theirs');
select is(test.event('voice_removed', 'Vk3'), 'duplicate', 'an event counts once');
select is(test.event('voice_removed', 'Vk3', 1), 'unmatched', 'and then there is nothing to remove');
update public.profiles set voice_model_status = 'training' where user_id = test.id('owner') and name = 'Anna';
update public.profiles set voice_model_status = 'ready', elevenlabs_voice_id = 'Vk6' where user_id = test.id('owner') and name = 'Anna';
select is(test.voice('Anna'), 'ready Vk6 t t', 'the voice can be trained anew');
select is((select concat_ws(' ', outcome, object_id, occurred_at = to_timestamp(1790000000), user_id = test.id('owner'), payload) from kith.webhook_events
    where provider = 'elevenlabs' and outcome = 'applied' and object_id = 'Vk3'), 'applied Vk3 t t', 'the ledger says what became of it');

-- What is forgotten.
insert into kith.webhook_events (provider, event_id, outcome, received_at, payload)
select provider, 'sweep ' || age || case when payload is null then '' else ' whole' end, 'applied', now() - age * interval '1 day', payload
from unnest(array['stripe', 'lemonsqueezy', 'resend', 'elevenlabs', 'telegram']) provider, unnest(array[6, 8, 89, 91, 399, 401]) age, (values (null), ('{}'::jsonb)) p (payload)
where payload is null or provider in ('stripe', 'lemonsqueezy');
select kith.enqueue(kind, key => 'sweep ' || kind || hours, run_at => now() - hours * interval '1 hour')
from unnest(array['telegram_notice', 'reply']) kind, unnest(array[23, 25]) hours \g /dev/null
select ok(kith.sweep_webhook_events(7) <= 14, 'some at a time');
select kith.sweep_webhook_events() \g /dev/null
select is((select jsonb_object_agg(provider || whole, ages) from (
        select provider, substring(event_id from ' whole') as whole, jsonb_agg(extract(day from now() - received_at) order by received_at desc) ages
        from kith.webhook_events where event_id like 'sweep %' group by 1, 2) s (provider, w, ages), lateral (select coalesce(w, '')) l (whole)),
    '{"stripe": [6, 8, 89], "stripe whole": [6, 8, 89, 91, 399], "lemonsqueezy": [6, 8, 89], "lemonsqueezy whole": [6, 8, 89, 91, 399],
      "resend": [6, 8, 89], "elevenlabs": [6, 8, 89], "telegram": [6]}', 'payments are known for 400 days, others for 90, updates of Telegram for 7');
select is(array(select key from kith.jobs where key like 'sweep %' order by 1), '{"sweep reply23","sweep reply25","sweep telegram_notice23"}',
    'what the bot did not say for a day is not said; replies are');

select is_empty($$
    select who, f
    from unnest(array['anon', 'authenticated', 'service_role', 'kith_api', 'kith_service', 'kith_auth', 'kith_storage']) who,
        unnest(array['kith.apply_elevenlabs(text,text,text,text,bytea)', 'kith.sweep_webhook_events(integer)']::regprocedure[]) f
    where has_function_privilege(who, f, 'execute')
$$, 'events are the webhook program''s alone, and sweeping is the worker''s');

select finish();
rollback;
