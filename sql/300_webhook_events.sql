-- What providers tell us: the ledger of events, and whose customer, subscription
-- and price is whose.
--
-- Events come more than once, at the same time, in any order, or not at all.
-- Three things make that harmless:
--
--   once       The row in kith.webhook_events is inserted first, and the unique
--              key on it decides: a copy waits for the first to commit, and is a
--              duplicate then, or takes its place when it was rolled back.
--   monotonic  kith.billing_links knows the newest event that a subscription has
--              seen, by the provider's clock; what is older changes nothing.
--   atomic     The event, its effect and its trace are one transaction.
--
-- The webhook program has one function for each provider, kith.apply_<provider>,
-- and no right to anything else.  Each is kith.apply_event() with the name of the
-- provider; what an event means is kith.<provider>_event(e, settings), which gets
-- the ledger row and returns it with what became of it (settings are what the
-- program passes on of its own, and {"parked": true} for one that had waited):
--
--   outcome       applied     it had its effect, or had nothing to add
--                 stale       something newer was there before
--                 ignored     not about anything that we keep
--                 unmatched   about nobody that we know so far; applied as soon
--                             as the customer or the subscription is known
--                 conflict    it would have taken over what another one holds
--                 failed      it cannot be applied; detail says why
--   detail        why, in a word
--   object_id     the subscription, mail, voice ... that it is about
--   customer_ref  whose it is at the provider
--   user_id, workspace_id   whose it is here
--   payload       null when it must not be kept
--
-- Locks, always in this order: the event, the customer (kith.lock_customer), the
-- user or workspace for key share (so that it does not go meanwhile), the
-- subscription in kith.billing_links, the user's row or the workspace for no key
-- update, and last what refers to them.
--
-- What runs with each event is PL/pgSQL, also where it is one expression: a
-- session plans it once, and a function in SQL again in every transaction.

-- A provider waits for two seconds gladly, and for five at most: what takes
-- longer comes again.
alter role kith_webhooks set statement_timeout = '3s';

set local role kith_owner;

-- Asked for with each new connection, as by every program.
grant select on sequence kith.schema_version to kith_webhooks;

-- Events.
create table kith.webhook_events (
    id bigint generated always as identity primary key,
    provider text not null
        constraint webhook_events_provider_known
        check (provider in ('stripe', 'lemonsqueezy', 'resend', 'telegram', 'elevenlabs')),
    event_id text not null constraint webhook_events_event_id_length check (length(event_id) between 1 and 255),
    event_type text,
    occurred_at timestamptz,
    received_at timestamptz not null default now(),
    object_id text,
    customer_ref text,
    user_id uuid references public.users on delete set null,
    workspace_id uuid references public.workspaces on delete set null,
    outcome text not null default 'failed'
        constraint webhook_events_outcome_known
        check (outcome in ('applied', 'stale', 'ignored', 'unmatched', 'conflict', 'failed')),
    detail text,
    payload jsonb,
    body_sha256 bytea,
    constraint webhook_events_event_key unique (provider, event_id)
);
create index on kith.webhook_events (user_id) where user_id is not null;  -- foreign key
create index on kith.webhook_events (workspace_id) where workspace_id is not null;  -- foreign key
create index on kith.webhook_events (received_at);  -- newest first, and what is purged
-- What waits for its owner to become known, and what somebody has to look at.
create index webhook_events_parked_customer on kith.webhook_events (provider, customer_ref) where outcome = 'unmatched';
create index webhook_events_parked_object on kith.webhook_events (provider, object_id) where outcome = 'unmatched';
create index webhook_events_failed on kith.webhook_events (received_at) where outcome = 'failed';

comment on table kith.webhook_events is 'Each event that a provider sent, once, and what became of it.';
comment on column kith.webhook_events.id is 'The event, in the order of arrival.';
comment on column kith.webhook_events.provider is 'Who sent it.';
comment on column kith.webhook_events.event_id is 'What makes it this event: the provider''s id, or the digest of the body where there is none.';
comment on column kith.webhook_events.event_type is 'customer.subscription.updated, subscription_created ...';
comment on column kith.webhook_events.occurred_at is 'When it happened, by the provider''s clock.';
comment on column kith.webhook_events.received_at is 'When it came.';
comment on column kith.webhook_events.object_id is 'The subscription, mail or voice that it is about.';
comment on column kith.webhook_events.customer_ref is 'The customer at the provider.';
comment on column kith.webhook_events.user_id is 'Whom it concerns; null once they are gone.';
comment on column kith.webhook_events.workspace_id is 'The workspace that it concerns; null once it is gone.';
comment on column kith.webhook_events.outcome is 'applied, stale, ignored, unmatched, conflict or failed.';
comment on column kith.webhook_events.detail is 'Why, in a word; nothing of the payload.';
comment on column kith.webhook_events.payload is 'The event as it came; of payment providers only.';
comment on column kith.webhook_events.body_sha256 is 'Digest of the body as it came; null for what the worker fetched itself.';
alter table kith.webhook_events enable row level security, force row level security;
-- No policy and no grant: written by the functions of the owner only.

-- Customers of Stripe.  Those of Lemon Squeezy are in workspaces: one customer
-- there may pay for several.
create table kith.billing_customers (
    provider text not null constraint billing_customers_provider_known check (provider in ('stripe', 'lemonsqueezy')),
    customer_id text not null,
    user_id uuid references public.users on delete cascade,
    workspace_id uuid references public.workspaces on delete cascade,
    created_at timestamptz not null default now(),
    primary key (provider, customer_id)
);
create index on kith.billing_customers (user_id) where user_id is not null;  -- foreign key
create index on kith.billing_customers (workspace_id) where workspace_id is not null;  -- foreign key
comment on table kith.billing_customers is 'Whose customer at a payment provider is whose.';
comment on column kith.billing_customers.provider is 'stripe or lemonsqueezy.';
comment on column kith.billing_customers.customer_id is 'The customer at the provider.';
comment on column kith.billing_customers.user_id is 'The user who pays.';
comment on column kith.billing_customers.workspace_id is 'The workspace that is paid for.';
comment on column kith.billing_customers.created_at is 'When it became known.';
alter table kith.billing_customers enable row level security, force row level security;
-- No policy and no grant.

-- Subscriptions.  A row outlives its user, without naming them: an event that
-- comes later is known to be about nobody any more, and is not kept.
create table kith.billing_links (
    provider text not null constraint billing_links_provider_known check (provider in ('stripe', 'lemonsqueezy')),
    subscription_id text not null
        constraint billing_links_subscription_id_length check (length(subscription_id) between 1 and 150),
    customer_id text,
    user_id uuid references public.users on delete set null,
    workspace_id uuid references public.workspaces on delete set null,
    raw_status text,
    object_created timestamptz,
    seen_at timestamptz not null default '-infinity',
    seen_rank smallint not null default 0,
    heard_at timestamptz not null default now(),
    primary key (provider, subscription_id)
);
create index on kith.billing_links (user_id) where user_id is not null;  -- foreign key
create index on kith.billing_links (workspace_id) where workspace_id is not null;  -- foreign key
create index on kith.billing_links (provider, customer_id);
comment on table kith.billing_links is 'Whose subscription at a payment provider is whose, and the newest that is known of it.';
comment on column kith.billing_links.provider is 'stripe or lemonsqueezy.';
comment on column kith.billing_links.subscription_id is 'The subscription at the provider.';
comment on column kith.billing_links.customer_id is 'The customer at the provider.';
comment on column kith.billing_links.user_id is 'The user who pays; null once they are gone.';
comment on column kith.billing_links.workspace_id is 'The workspace that is paid for; null once it is gone, and for Stripe.';
comment on column kith.billing_links.raw_status is 'Its status in the provider''s word; null while only its id is known.';
comment on column kith.billing_links.object_created is 'When it was made, by the provider''s clock.';
comment on column kith.billing_links.seen_at is 'Time of the newest event, by the provider''s clock.';
comment on column kith.billing_links.seen_rank is 'Order within that time: 0 made, 1 changed, 2 ended.';
comment on column kith.billing_links.heard_at is 'When something came of it last, by our clock, old or new.';
alter table kith.billing_links enable row level security, force row level security;
-- No policy and no grant.

-- Prices.
create table kith.plan_prices (
    provider text not null constraint plan_prices_provider_known check (provider in ('stripe', 'lemonsqueezy')),
    price_id text not null constraint plan_prices_price_id_length check (length(price_id) between 1 and 150),
    plan text not null references public.plans on delete cascade,
    created_at timestamptz not null default now(),
    primary key (provider, price_id)
);
create index on kith.plan_prices (plan);  -- foreign key
comment on table kith.plan_prices is 'Which plan a price of a payment provider buys.';
comment on column kith.plan_prices.provider is 'stripe or lemonsqueezy.';
comment on column kith.plan_prices.price_id is 'The price at Stripe, or the variant at Lemon Squeezy.';
comment on column kith.plan_prices.plan is 'The plan that it buys.';
comment on column kith.plan_prices.created_at is 'When it was mapped.';
alter table kith.plan_prices enable row level security, force row level security;
-- No policy and no grant.

-- Nothing survives an account.  What stays is the id by which a copy is known.
create function kith.forget_event() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
    new.object_id := null;
    new.customer_ref := null;
    new.payload := null;
    return new;
end
$$;
comment on function kith.forget_event() is 'Trigger: an event whose user is gone says nothing any more.';
create trigger forget_event before update on kith.webhook_events
    for each row when (old.user_id is not null and new.user_id is null) execute function kith.forget_event();

create function kith.forget_customer() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
    new.customer_id := null;
    return new;
end
$$;
comment on function kith.forget_customer() is 'Trigger: a subscription whose user is gone is nobody''s.';
create trigger forget_customer before update on kith.billing_links
    for each row when (old.user_id is not null and new.user_id is null) execute function kith.forget_customer();

-- Reading what providers write.
create function kith.event_time(value text) returns timestamptz
language plpgsql stable set search_path = ''
as $$
begin
    if value ~ '^[0-9]{1,11}(\.[0-9]{1,9})?$' then
        return pg_catalog.to_timestamp(value::numeric);
    elsif value ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}' then
        return value::timestamptz;
    elsif value is not null then
        -- Not "infinity", and whatever else PostgreSQL knows beyond a time.
        raise exception using errcode = 'invalid_datetime_format', message = 'a time is seconds, or as in RFC 3339';
    end if;
    return null;
end
$$;
comment on function kith.event_time(text) is 'A time: seconds since 1970, or as RFC 3339 writes it.';

create function kith.event_uuid(value text) returns uuid
language plpgsql immutable set search_path = ''
as $$
begin
    return case when value ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then value::uuid end;
end
$$;
comment on function kith.event_uuid(text) is 'The id of a user or workspace that an event names; null when it is none.';

create function kith.event_rank(event_type text) returns smallint
language plpgsql immutable set search_path = ''
as $$
begin
    return case
        when event_type in ('customer.subscription.created', 'subscription_created') then 0
        when event_type in ('customer.subscription.deleted', 'subscription_expired') then 2
        else 1
    end::smallint;
end
$$;
comment on function kith.event_rank(text) is 'Order of events that happened within one second: 0 made, 1 changed, 2 ended.';

-- Whose events are applied one after the other.  Without it the event that tells
-- whose a customer is could miss another that is being parked at that moment.
create function kith.lock_customer(provider text, customer_id text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    perform pg_catalog.pg_advisory_xact_lock(
        pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', 'customer', lock_customer.provider, lock_customer.customer_id), 0)
    );
end
$$;
comment on function kith.lock_customer(text, text) is 'Until the end of the transaction nobody else applies events of this customer.';

-- A re-fetch.  Those that are asked for within ten seconds are one, which comes
-- after all of them.
create function kith.enqueue_reconcile(provider text, subscription_id text, user_id uuid default null) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    ten_seconds bigint := pg_catalog.floor(extract(epoch from pg_catalog.clock_timestamp()) / 10);
begin
    perform kith.enqueue(
        'reconcile_subscription',
        pg_catalog.jsonb_build_object(
            'provider', enqueue_reconcile.provider, 'subscription_id', enqueue_reconcile.subscription_id
        ),
        pg_catalog.concat_ws('/', 'reconcile', enqueue_reconcile.provider, enqueue_reconcile.subscription_id, ten_seconds),
        -- The provider's clock has to be past the time that is in doubt.
        run_at => pg_catalog.to_timestamp(ten_seconds * 10 + 14),
        user_id => enqueue_reconcile.user_id
    );
end
$$;
comment on function kith.enqueue_reconcile(text, text, uuid) is 'Asks the worker to fetch a subscription from the provider, and to apply what it is.';

-- What a subscription is seen to be.  Equal times do not tell which came later:
-- the later arrival wins for the moment, and a re-fetch decides.
create function kith.see_subscription(seen kith.billing_links, event_id text) returns text
language plpgsql volatile set search_path = ''
as $$
declare
    known kith.billing_links;
    is_known boolean;
begin
    select l.* into known
    from kith.billing_links l
    where l.provider = seen.provider and l.subscription_id = seen.subscription_id
    for no key update;
    is_known := found;
    insert into kith.billing_links as l (
        provider, subscription_id, customer_id, user_id, workspace_id, raw_status, object_created, seen_at, seen_rank
    )
    values (
        seen.provider, seen.subscription_id, seen.customer_id, seen.user_id, seen.workspace_id, seen.raw_status,
        seen.object_created, seen.seen_at, seen.seen_rank
    )
    on conflict (provider, subscription_id) do update
    set customer_id = coalesce(excluded.customer_id, l.customer_id),
        raw_status = coalesce(excluded.raw_status, l.raw_status),
        object_created = coalesce(excluded.object_created, l.object_created),
        seen_at = excluded.seen_at,
        seen_rank = excluded.seen_rank,
        heard_at = pg_catalog.now()
    where (excluded.seen_at, excluded.seen_rank) >= (l.seen_at, l.seen_rank);
    if not found then
        update kith.billing_links l
        set heard_at = pg_catalog.now()
        where l.provider = seen.provider and l.subscription_id = seen.subscription_id;
        return 'stale';
    end if;
    if (known.seen_at, known.seen_rank) = (seen.seen_at, seen.seen_rank)
        and seen.seen_at > '-infinity'
        and event_id not like 'recon:%'
    then
        perform kith.enqueue_reconcile(seen.provider, seen.subscription_id, seen.user_id);
    end if;
    return case when is_known then 'known' else 'new' end;
end
$$;
comment on function kith.see_subscription(kith.billing_links, text) is
    'Records what an event says of a subscription: new, known, or stale when something newer is recorded.';

-- Applying.
create function kith.settle_event(
    e kith.webhook_events,
    occurred_at text default null,
    payload text default null,
    settings jsonb default null
) returns text
language plpgsql volatile set search_path = ''
as $$
declare
    state text;
    rule text;
begin
    -- A savepoint: what cannot be applied is undone, and its row stays.
    begin
        e.occurred_at := coalesce(kith.event_time(settle_event.occurred_at), e.occurred_at);
        e.payload := coalesce(settle_event.payload::jsonb, e.payload);
        case e.provider
            when 'stripe' then e := kith.stripe_event(e, settings);
            when 'lemonsqueezy' then e := kith.lemonsqueezy_event(e, settings);
            when 'resend' then e := kith.resend_event(e, settings);
            when 'telegram' then e := kith.telegram_event(e, settings);
            when 'elevenlabs' then e := kith.elevenlabs_event(e, settings);
        end case;
    exception when others then
        get stacked diagnostics state = returned_sqlstate, rule = constraint_name;
        -- May work next time: the provider repeats it.
        if state ~ '^(08|40|53|57)' or state = '55P03' then
            raise;
        end if;
        e.outcome := 'failed';
        e.detail := pg_catalog.concat_ws(' ', state, nullif(rule, ''));
    end;
    update kith.webhook_events w
    set event_type = e.event_type,
        occurred_at = e.occurred_at,
        object_id = e.object_id,
        customer_ref = e.customer_ref,
        user_id = e.user_id,
        workspace_id = e.workspace_id,
        outcome = e.outcome,
        detail = e.detail,
        -- Of the others an event is what a user wrote, or to whom.
        payload = case when e.provider in ('stripe', 'lemonsqueezy') then e.payload end
    where w.id = e.id;
    return e.outcome;
end
$$;
comment on function kith.settle_event(kith.webhook_events, text, text, jsonb) is
    'Applies an event of the ledger and records what became of it; raises only what may work next time.';

-- Its limit for locks is its own: one of the login would lose against the options
-- of a connection.
create function kith.apply_event(
    provider text,
    event_id text,
    event_type text,
    occurred_at text,
    payload text,
    body_sha256 bytea,
    settings jsonb default null
) returns text
language plpgsql volatile set search_path = '' set lock_timeout = '2s'
as $$
#variable_conflict use_column
declare
    e kith.webhook_events;
begin
    insert into kith.webhook_events as w (provider, event_id, event_type, body_sha256)
    values (apply_event.provider, apply_event.event_id, apply_event.event_type, apply_event.body_sha256)
    on conflict (provider, event_id) do nothing
    returning w.* into e;
    if not found then
        return 'duplicate';
    end if;
    return kith.settle_event(e, apply_event.occurred_at, apply_event.payload, settings);
end
$$;
comment on function kith.apply_event(text, text, text, text, text, bytea, jsonb) is
    'Records an event and applies it; its outcome, or duplicate.  The payload is text, so that one that is no JSON fails in the ledger.';

-- What waited for its owner.  In the order in which it happened; the newer ones
-- win in any case.
create function kith.apply_parked(provider text, customer_id text, subscription_id text) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    e kith.webhook_events;
begin
    for e in
        select w.*
        from kith.webhook_events w
        where w.provider = apply_parked.provider
            and w.outcome = 'unmatched'
            and (w.customer_ref = apply_parked.customer_id or w.object_id = apply_parked.subscription_id)
        order by w.occurred_at, kith.event_rank(w.event_type), w.id
        for no key update
    loop
        perform kith.settle_event(e, settings => '{"parked": true}');
    end loop;
end
$$;
comment on function kith.apply_parked(text, text, text) is
    'Applies the unmatched events of a customer or subscription that has become known.';

create function kith.replay_event(id bigint) returns text
language plpgsql volatile set search_path = ''
as $$
declare
    e kith.webhook_events;
begin
    select w.* into e from kith.webhook_events w where w.id = replay_event.id for no key update;
    if not found then
        return null;
    elsif e.payload is null then
        raise exception using errcode = 'object_not_in_prerequisite_state',
            message = 'the event''s payload was not kept',
            hint = 'Let the provider send it again.';
    end if;
    return kith.settle_event(e);
end
$$;
comment on function kith.replay_event(bigint) is 'Applies an event of the ledger again, whatever became of it; its outcome, or null when there is none.';

reset role;
