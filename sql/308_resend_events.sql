-- News of mails from Resend, and addresses that get no mail any more.

set local role kith_owner;

-- Do not send.  An address that does not exist, or whose owner called a mail
-- spam: whoever goes on writing to it is soon taken for a spammer, and then no
-- mail of this server arrives anywhere.
create table kith.do_not_send (
    address text primary key constraint do_not_send_address_lower check (address = lower(address)),
    reason text not null constraint do_not_send_reason_known check (reason in ('bounced', 'complained', 'suppressed')),
    detail text,
    created_at timestamptz not null default now()
);
comment on table kith.do_not_send is 'Addresses that get no mail any more.';
comment on column kith.do_not_send.address is 'The address, in lower case.';
comment on column kith.do_not_send.reason is 'bounced, complained or suppressed, by what Resend told last.';
comment on column kith.do_not_send.detail is 'What it said of it.';
comment on column kith.do_not_send.created_at is 'Since when.';
alter table kith.do_not_send enable row level security, force row level security;
-- No policy and no grant: the worker asks refused_address.

-- Nothing survives an account.
create function kith.forget_address() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
    delete from kith.do_not_send d where d.address = lower(old.email);
    return null;
end
$$;
comment on function kith.forget_address() is 'Trigger: with a user goes what is known of their address.';
create trigger forget_address after delete on auth.users
    for each row execute function kith.forget_address();

-- A mail that somebody waits for, such as a code, goes to who complained of
-- others: they asked for it.
create function kith.refused_address(address text, asked_for boolean) returns text
language sql stable security definer set search_path = ''
as $$
    select pg_catalog.format('the address is on the do-not-send list: %s', d.reason)
    from kith.do_not_send d
    where d.address = lower(refused_address.address) and not (asked_for and d.reason = 'complained')
$$;
comment on function kith.refused_address(text, boolean) is
    'Why no mail is sent to an address; null when it is.  Asked for: the owner of the address waits for it.';
grant execute on function kith.refused_address(text, boolean) to kith_worker;

-- The status that a type of event stands for; null: it is about something else.
create function kith.resend_status(event_type text) returns text
language sql immutable strict parallel safe set search_path = ''
as $$
    select case event_type
        when 'email.scheduled' then 'scheduled'
        when 'email.sent' then 'sent'
        when 'email.delivery_delayed' then 'delayed'
        when 'email.delivered' then 'delivered'
        when 'email.opened' then 'opened'
        when 'email.clicked' then 'clicked'
        when 'email.failed' then 'failed'
        when 'email.bounced' then 'bounced'
        when 'email.suppressed' then 'suppressed'
        when 'email.complained' then 'complained'
    end
$$;
comment on function kith.resend_status(text) is 'Status of a mail by the type of the event; null for events of other things.';

create function kith.block_addresses(status text, data jsonb) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    if status in ('complained', 'suppressed') or status = 'bounced' and data #>> '{bounce,type}' = 'Permanent' then
        insert into kith.do_not_send as d (address, reason, detail)
        select distinct lower(t.address), status, coalesce(data #>> '{bounce,message}', data #>> '{suppressed,message}')
        from pg_catalog.jsonb_array_elements_text(
            case pg_catalog.jsonb_typeof(data -> 'to') when 'array' then data -> 'to' else '[]' end
        ) t (address)
        order by 1  -- in one order for all: two with the same addresses would wait for each other
        on conflict (address) do update set reason = excluded.reason, detail = excluded.detail;
    end if;
end
$$;
comment on function kith.block_addresses(text, jsonb) is
    'Puts the addresses of a mail on the do-not-send list, if its status is one after which nothing is to be sent.';

-- The event may be quicker than our own note of what Resend calls the mail: the
-- tag, which the worker sends along, names the row that was written before.
create function kith.find_delivery(data jsonb) returns uuid
language sql stable set search_path = ''
as $$
    select coalesce(
        (
            select l.id
            from public.email_delivery_log l
            where l.id = kith.event_uuid(data #>> '{tags,kith_log_id}')
                and l.provider = 'resend'
        ),
        (
            select l.id
            from public.email_delivery_log l
            where l.provider_message_id = data ->> 'email_id' and l.provider = 'resend'
        )
    )
$$;
comment on function kith.find_delivery(jsonb) is 'The delivery that an event of Resend is about.';

create function kith.resend_event(e kith.webhook_events, settings jsonb) returns kith.webhook_events
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
    data jsonb := e.payload -> 'data';
    news text := kith.resend_status(e.event_type);
    delivery public.email_delivery_log;
    further integer;
begin
    e.outcome := 'ignored';
    if news is null then
        return e;
    end if;
    e.object_id := data ->> 'email_id';
    perform kith.block_addresses(news, data);
    select l.* into delivery
    from public.email_delivery_log l
    where l.id = kith.find_delivery(data)
    for no key update;
    if not found then
        e.outcome := 'unmatched';
        return e;
    end if;
    e.user_id := (select m.user_id from public.scheduled_messages m where m.id = delivery.scheduled_message_id);
    further := kith.email_rank(news) - kith.email_rank(delivery.status);
    if further < 0 or further = 0 and e.occurred_at < delivery.status_updated_at then
        e.outcome := 'stale';
        return e;
    end if;
    update public.email_delivery_log l
    set status = news,
        status_updated_at = e.occurred_at,
        provider_message_id = coalesce(l.provider_message_id, e.object_id)
    where l.id = delivery.id;
    if kith.email_rank(news) >= 6 then
        update public.scheduled_messages m
        set status = 'failed',
            failure_reason = coalesce(data #>> '{bounce,message}', data #>> '{failed,reason}', data #>> '{suppressed,message}', news)
        where m.id = delivery.scheduled_message_id and m.status <> 'canceled';
    end if;
    e.outcome := 'applied';
    return e;
end
$$;
comment on function kith.resend_event(kith.webhook_events, jsonb) is
    'What an event of Resend changes: the status of a delivery, which only goes up, and what follows from it.  See 300_webhook_events.sql.';

create function kith.apply_resend(
    event_id text, event_type text, occurred_at text, payload text, body_sha256 bytea default null
) returns text
language sql volatile security definer set search_path = ''
as $$
    select kith.apply_event('resend', event_id, event_type, occurred_at, payload, body_sha256)
$$;
comment on function kith.apply_resend(text, text, text, text, bytea) is 'Applies an event of Resend, once; what became of it.';
grant execute on function kith.apply_resend(text, text, text, text, bytea) to kith_webhooks;

reset role;
