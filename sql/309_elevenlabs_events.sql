-- Events of ElevenLabs, and how long the ledger of events is kept.

set local role kith_owner;

-- None tells that a voice is ready: the worker asks for that.  One tells that a
-- voice is gone, which can then be trained anew.
create function kith.elevenlabs_event(e kith.webhook_events, settings jsonb) returns kith.webhook_events
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
    owner uuid;
begin
    e.outcome := 'ignored';
    e.object_id := e.payload #>> '{data,voice_id}';
    if e.event_type = 'voice_removed' then
        update public.profiles p
        set voice_model_status = 'not_submitted',
            elevenlabs_voice_id = null,
            training_completed_at = null,
            voice_ready_at = null,
            voice_error = 'the voice was removed at ElevenLabs'
        where p.elevenlabs_voice_id = e.object_id
        returning p.user_id into owner;
        e.user_id := owner;
        e.outcome := case when owner is not null then 'applied' else 'unmatched' end;
    end if;
    return e;
end
$$;
comment on function kith.elevenlabs_event(kith.webhook_events, jsonb) is
    'What an event of ElevenLabs changes: the profile of a voice that was removed.  See 300_webhook_events.sql.';

create function kith.apply_elevenlabs(
    event_id text, event_type text, occurred_at text, payload text, body_sha256 bytea default null
) returns text
language sql volatile security definer set search_path = ''
as $$
    select kith.apply_event('elevenlabs', event_id, event_type, occurred_at, payload, body_sha256)
$$;
comment on function kith.apply_elevenlabs(text, text, text, text, bytea) is
    'Applies an event of ElevenLabs, once; what became of it.';
grant execute on function kith.apply_elevenlabs(text, text, text, text, bytea) to kith_webhooks;

-- How long an event is known.  Those of payments are the history of an account,
-- and can be applied again; of the others only the id is kept, for as long as
-- the provider may repeat them.  Telegram begins to count anew after a week.
-- What the bot could not say for a day need not be said.
create function kith.sweep_webhook_events(batch integer default 1000) returns bigint
language sql volatile security definer set search_path = ''
as $$
    with gone as (
        delete from kith.webhook_events w
        where w.id in (
            select x.id
            from kith.webhook_events x
            where x.received_at < pg_catalog.now() - interval '7 days'
                and x.received_at < pg_catalog.now() - case
                    when x.provider = 'telegram' then interval '7 days'
                    when x.payload is null then interval '90 days'
                    else interval '400 days'
                end
            order by x.received_at
            limit batch
            for update skip locked
        )
        returning 1
    ), unsaid as (
        delete from kith.jobs j
        where j.id in (
            select d.id
            from kith.jobs d
            where d.kind = 'telegram_notice'
                and d.status = 'pending'
                and d.run_at < pg_catalog.now() - interval '1 day'
            limit batch
            for update skip locked
        )
        returning 1
    )
    select (select pg_catalog.count(*) from gone) + (select pg_catalog.count(*) from unsaid)
$$;
comment on function kith.sweep_webhook_events(integer) is
    'Forgets events: of Telegram after 7 days, others after 90, those of payments after 400; and notices of the bot after one; how many.';
grant execute on function kith.sweep_webhook_events(integer) to kith_worker;

reset role;
