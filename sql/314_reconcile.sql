-- Reconcile: what the worker fetches from payment providers by itself.
--
-- A webhook is a hint.  Lemon Squeezy repeats one three times within minutes, and
-- events of one second cannot be told apart; what is right the provider knows.
-- So a subscription is fetched when its events are in doubt (kith.enqueue_reconcile),
-- and, by the rounds here,
--
--   after a time in which nobody listened, each that may have changed;
--   each day, those that were not heard of for a day;
--   each hour, those that go on past the end of what was paid.
--
-- What was fetched is applied as an event would be, under the provider's clock:
-- ours could be ahead, and later events would look old.  Without a key nothing is
-- fetched; then what ended ends by the calendar.

set local role kith_owner;

-- Rounds.
create table kith.reconcile_rounds (
    provider text primary key
        constraint reconcile_rounds_provider_known check (provider in ('stripe', 'lemonsqueezy')),
    went_at timestamptz not null default '-infinity'
);
comment on table kith.reconcile_rounds is 'When the worker last went round, which tells how long nobody listened.';
comment on column kith.reconcile_rounds.provider is 'Whose subscriptions it went through.';
comment on column kith.reconcile_rounds.went_at is 'When, by the clock of the database.';
alter table kith.reconcile_rounds enable row level security, force row level security;
-- No policy and no grant: the functions of the owner only.

-- An imported subscription has no link before it was fetched for the first time.
-- Those whose user is gone are none of ours.
create function kith.open_subscriptions(provider text)
returns table (subscription_id text, user_id uuid, heard_at timestamptz, paid_until timestamptz)
language sql stable set search_path = ''
as $$
    select l.subscription_id, l.user_id, l.heard_at, s.current_period_end
    from kith.billing_links l
    left join public.subscriptions s on s.user_id = l.user_id and s.stripe_subscription_id = l.subscription_id
    where open_subscriptions.provider = 'stripe'
        and l.provider = 'stripe'
        and l.user_id is not null
        and coalesce(l.raw_status, '') not in ('canceled', 'incomplete_expired')
    union all
    select s.stripe_subscription_id, s.user_id, '-infinity', s.current_period_end
    from public.subscriptions s
    where open_subscriptions.provider = 'stripe'
        and s.stripe_subscription_id is not null
        and s.status <> 'canceled'
        and not exists (
            select from kith.billing_links l
            where l.provider = 'stripe' and l.subscription_id = s.stripe_subscription_id
        )
    union all
    select l.subscription_id, l.user_id, l.heard_at, w.subscription_expires_at
    from kith.billing_links l
    left join public.workspaces w on w.id = l.workspace_id and w.lemonsqueezy_subscription_id = l.subscription_id
    where open_subscriptions.provider = 'lemonsqueezy'
        and l.provider = 'lemonsqueezy'
        and l.workspace_id is not null
        and coalesce(l.raw_status, '') <> 'expired'
    union all
    select w.lemonsqueezy_subscription_id, w.owner_id, '-infinity', w.subscription_expires_at
    from public.workspaces w
    where open_subscriptions.provider = 'lemonsqueezy'
        and w.lemonsqueezy_subscription_id is not null
        and w.subscription_status = 'pro'
        and not exists (
            select from kith.billing_links l
            where l.provider = 'lemonsqueezy' and l.subscription_id = w.lemonsqueezy_subscription_id
        )
$$;
comment on function kith.open_subscriptions(text) is 'Subscriptions at a provider that have not ended for good, as far as we know.';

-- The keys of the jobs are what makes a round harmless however often it is gone.
create function kith.go_round(provider text) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
declare
    before timestamptz;
    queued integer;
begin
    insert into kith.reconcile_rounds (provider) values (go_round.provider) on conflict (provider) do nothing;
    select r.went_at into before from kith.reconcile_rounds r where r.provider = go_round.provider for update skip locked;
    if not found then
        return 0;  -- another worker goes
    end if;
    update kith.reconcile_rounds r set went_at = pg_catalog.now() where r.provider = go_round.provider;
    select pg_catalog.count(
        kith.enqueue(
            'reconcile_subscription',
            pg_catalog.jsonb_build_object('provider', go_round.provider, 'subscription_id', d.subscription_id),
            d.key,
            user_id => d.user_id
        )
    )
    into queued
    from (
        select s.subscription_id, s.user_id,
            pg_catalog.concat_ws('/', 'round', go_round.provider, s.subscription_id) || case
                when before < pg_catalog.now() - interval '2 minutes' then '/since ' || extract(epoch from before)
                when s.paid_until < pg_catalog.now() - interval '1 hour'
                    then '/hour ' || pg_catalog.floor(extract(epoch from pg_catalog.now()) / 3600)
                when s.heard_at < pg_catalog.now() - interval '1 day'
                    then '/day ' || pg_catalog.floor(extract(epoch from pg_catalog.now()) / 86400)
            end as key
        from kith.open_subscriptions(go_round.provider) s
    ) d
    where d.key is not null and not exists (select from kith.jobs j where j.key = d.key);
    return queued;
end
$$;
comment on function kith.go_round(text) is 'Queues the subscriptions that should be fetched now, each once; how many are queued.';

create function kith.expire_subscriptions(provider text) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
    n integer;
begin
    if provider = 'stripe' then
        update public.subscriptions s
        set status = 'canceled', plan = 'free'
        where s.stripe_subscription_id is not null
            and s.cancel_at_period_end
            and s.status <> 'canceled'
            and s.current_period_end < pg_catalog.now() - interval '3 days';
    else
        update public.workspaces w
        set subscription_status = 'free'
        where w.lemonsqueezy_subscription_id is not null
            and w.subscription_status = 'pro'
            and w.subscription_expires_at < pg_catalog.now() - interval '3 days';
    end if;
    get diagnostics n = row_count;
    return n;
end
$$;
comment on function kith.expire_subscriptions(text) is
    'Ends by the calendar what should have ended three days ago, where the provider cannot be asked; how many.';

-- Fetched twice within a second a subscription may be two things, which both count.
create function kith.fetched_id(subscription_id text, answer jsonb, answered_at bigint) returns text
language sql immutable set search_path = ''
as $$
    select pg_catalog.concat_ws(':', 'recon', subscription_id, answered_at, pg_catalog.left(pg_catalog.md5(answer::text), 8))
$$;
comment on function kith.fetched_id(text, jsonb, bigint) is 'The event that a fetched subscription is: the same answer of the same second is the same one.';

-- What was fetched, as an event.  now: the provider's clock, two seconds early,
-- since an event of the moment in which it answered may be newer.
create function kith.apply_fetched_stripe(subscription_id text, answer jsonb, answered_at bigint) returns text
language sql volatile security definer set search_path = ''
as $$
    select case when answer ->> 'object' = 'subscription' and answer ->> 'id' = subscription_id then
        kith.apply_stripe(
            kith.fetched_id(subscription_id, answer, answered_at),
            'reconcile',
            (answered_at - 2)::text,
            pg_catalog.jsonb_build_object(
                'id', kith.fetched_id(subscription_id, answer, answered_at),
                'object', 'event',
                'type', 'reconcile',
                'created', answered_at - 2,
                'livemode', answer -> 'livemode',
                'data', pg_catalog.jsonb_build_object('object', answer)
            )::text
        )
    end
$$;
comment on function kith.apply_fetched_stripe(text, jsonb, bigint) is
    'Applies a subscription as Stripe answered it at that second; the outcome, or null when it is none, or another one.';

-- One that Stripe does not know any more has ended.  With a key of the other
-- mode, live or test, none is known.
create function kith.apply_missing_stripe(subscription_id text, livemode boolean, answered_at bigint) returns text
language sql volatile security definer set search_path = ''
as $$
    select kith.apply_fetched_stripe(
        subscription_id,
        known.object || pg_catalog.jsonb_build_object(
            'status', 'canceled',
            'ended_at', coalesce(nullif(known.object -> 'ended_at', 'null'), pg_catalog.to_jsonb(answered_at - 2)),
            'livemode', livemode
        ),
        answered_at
    )
    from (
        select e.payload #> '{data,object}' as object, (e.payload ->> 'livemode')::boolean as livemode
        from kith.billing_links l
        join kith.webhook_events e on e.user_id = l.user_id and e.provider = l.provider and e.object_id = l.subscription_id
        where l.provider = 'stripe'
            and l.subscription_id = apply_missing_stripe.subscription_id
            and e.payload #>> '{data,object,object}' = 'subscription'
        order by e.occurred_at desc nulls last, e.id desc
        limit 1
    ) known
    where known.livemode = apply_missing_stripe.livemode
$$;
comment on function kith.apply_missing_stripe(text, boolean, bigint) is
    'Ends a subscription that Stripe does not know any more; null when it was of the other mode, or nothing says of which.';

create function kith.apply_fetched_lemonsqueezy(subscription_id text, answer jsonb, answered_at bigint, store_id text) returns text
language sql volatile security definer set search_path = ''
as $$
    select case when answer #>> '{data,type}' = 'subscriptions' and answer #>> '{data,id}' = subscription_id then
        kith.apply_lemonsqueezy(
            kith.fetched_id(subscription_id, answer, answered_at),
            'reconcile',
            answer #>> '{data,attributes,updated_at}',
            pg_catalog.jsonb_build_object(
                'meta', pg_catalog.jsonb_build_object(
                    'event_name', 'reconcile', 'test_mode', answer #> '{data,attributes,test_mode}'
                ),
                'data', answer -> 'data'
            )::text,
            store_id => apply_fetched_lemonsqueezy.store_id
        )
    end
$$;
comment on function kith.apply_fetched_lemonsqueezy(text, jsonb, bigint, text) is
    'Applies a subscription as Lemon Squeezy answered it at that second; the outcome, or null when it is none, or another one.';

grant execute on function
    kith.go_round(text),
    kith.expire_subscriptions(text),
    kith.apply_fetched_stripe(text, jsonb, bigint),
    kith.apply_missing_stripe(text, boolean, bigint),
    kith.apply_fetched_lemonsqueezy(text, jsonb, bigint, text)
    to kith_worker;

reset role;
