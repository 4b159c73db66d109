-- Stripe: what its events make of a user's subscription.  For the frame, and the
-- order of locks, see 300_webhook_events.sql.
--
-- Who pays is never asked of the e-mail address, and what the buyer may write
-- into a link of Stripe's decides nothing.

set local role kith_owner;

-- An id, which is an object where the endpoint was told to expand it.
create function kith.stripe_id(value jsonb) returns text
language plpgsql immutable set search_path = ''
as $$
begin
    return case pg_catalog.jsonb_typeof(value) when 'string' then value #>> '{}' when 'object' then value ->> 'id' end;
end
$$;
comment on function kith.stripe_id(jsonb) is 'The id of what a member of an object of Stripe''s refers to.';

create function kith.stripe_live(status text) returns boolean
language plpgsql immutable set search_path = ''
as $$
begin
    return coalesce(status in ('active', 'trialing', 'past_due', 'unpaid', 'paused'), false);
end
$$;
comment on function kith.stripe_live(text) is 'Whether a subscription of Stripe goes on: it is paid for, or may be again.';

-- Before the change of 2025-03-31 the period's end is the subscription's, since
-- then it is that of each item; very old versions have a plan in place of a price.
create function kith.stripe_item(subscription jsonb) returns jsonb
language plpgsql stable set search_path = ''
as $$
begin
    return coalesce(
        (
            select i.item
            from pg_catalog.jsonb_array_elements(
                case when pg_catalog.jsonb_typeof(subscription #> '{items,data}') = 'array'
                    then subscription #> '{items,data}' else '[]' end
            ) with ordinality as i (item, place)
            left join kith.plan_prices p
                on p.provider = 'stripe' and p.price_id = kith.stripe_id(coalesce(i.item -> 'price', i.item -> 'plan'))
            order by p.price_id is null, i.place
            limit 1
        ),
        pg_catalog.jsonb_build_object('price', subscription -> 'plan')
    );
end
$$;
comment on function kith.stripe_item(jsonb) is 'The item of a subscription that decides the plan: the first whose price is mapped, or the first.';

create function kith.stripe_plan(price jsonb) returns text
language plpgsql stable set search_path = ''
as $$
begin
    return coalesce(
        (select p.plan from kith.plan_prices p where p.provider = 'stripe' and p.price_id = kith.stripe_id(price)),
        (select p.id from public.plans p where p.id = price ->> 'lookup_key'),
        (select p.id from public.plans p where p.id = price #>> '{metadata,plan}')
    );
end
$$;
comment on function kith.stripe_plan(jsonb) is 'The plan that a price buys: as it is mapped, or as the price itself names it; null when neither is known.';

-- Whose event it is, first hit wins.  The account is kept from going until the
-- event is recorded.
create function kith.stripe_user(object jsonb, subscription_id text, customer_id text, out user_id uuid, out gone boolean)
language plpgsql volatile set search_path = ''
as $$
declare
    kind text := object ->> 'object';
    candidate uuid;
begin
    select l.user_id into candidate
    from kith.billing_links l
    where l.provider = 'stripe' and l.subscription_id = stripe_user.subscription_id;
    if found then
        select u.id into user_id from public.users u where u.id = candidate for key share;
        gone := not found;
        return;
    end if;
    gone := false;
    foreach candidate in array array[
        case kind
            when 'subscription' then kith.event_uuid(object #>> '{metadata,user_id}')
            when 'invoice' then kith.event_uuid(object #>> '{parent,subscription_details,metadata,user_id}')
        end,
        (
            select c.user_id
            from kith.billing_customers c
            where c.provider = 'stripe' and c.customer_id = stripe_user.customer_id
        ),
        (
            select s.user_id
            from public.subscriptions s
            where s.stripe_customer_id = stripe_user.customer_id
            order by s.created_at
            limit 1
        ),
        case when kind = 'checkout.session' then kith.event_uuid(object #>> '{metadata,user_id}') end,
        -- On a Payment Link the buyer writes it into the address.
        case when kind = 'checkout.session' and coalesce(object -> 'payment_link', 'null') = 'null'
            then kith.event_uuid(object ->> 'client_reference_id') end
    ]
    loop
        select u.id into user_id from public.users u where u.id = candidate for key share;
        exit when found;
    end loop;
end
$$;
comment on function kith.stripe_user(jsonb, text, text) is
    'The user whom an object of Stripe''s concerns, or null; gone when it was somebody''s whose account was erased.';

-- Locks the user's row.  It shows one subscription of Stripe's; another one takes
-- its place when that one is over, or when the same customer made this one later.
-- Of two that are over the later one is shown.
create function kith.hold_stripe(user_id uuid, link kith.billing_links) returns boolean
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
    mine public.subscriptions;
    shown kith.billing_links;
begin
    select s.* into mine from public.subscriptions s where s.user_id = hold_stripe.user_id for no key update;
    if not found then
        insert into public.subscriptions (user_id) values (hold_stripe.user_id) returning * into mine;
    end if;
    if mine.stripe_subscription_id is null or mine.stripe_subscription_id = link.subscription_id then
        return true;
    end if;
    select l.* into shown
    from kith.billing_links l
    where l.provider = 'stripe' and l.subscription_id = mine.stripe_subscription_id;
    if not found then
        -- From another server: the row is all that is known.
        shown.raw_status := mine.status;
        shown.customer_id := mine.stripe_customer_id;
        shown.object_created := '-infinity';
    end if;
    if kith.stripe_live(shown.raw_status) then
        return coalesce(
            kith.stripe_live(link.raw_status)
                and shown.customer_id = link.customer_id
                and shown.object_created < link.object_created,
            false
        );
    end if;
    return kith.stripe_live(link.raw_status)
        or coalesce(shown.object_created, '-infinity') < coalesce(link.object_created, '-infinity');
end
$$;
comment on function kith.hold_stripe(uuid, kith.billing_links) is
    'Locks a user''s row; whether this subscription of Stripe''s is what it shows, or may be from here on.';

create function kith.apply_stripe_session(e kith.webhook_events) returns kith.webhook_events
language plpgsql volatile set search_path = ''
as $$
declare
    link kith.billing_links;
begin
    -- Of the subscription itself nothing is known: any event of it is newer.
    link := row('stripe', e.object_id, e.customer_ref, e.user_id, null, null, null, '-infinity', 0, pg_catalog.now());
    if kith.see_subscription(link, e.event_id) = 'new' and kith.hold_stripe(e.user_id, link) then
        update public.subscriptions u
        set stripe_subscription_id = e.object_id, stripe_customer_id = coalesce(e.customer_ref, u.stripe_customer_id)
        where u.user_id = e.user_id;
    end if;
    perform kith.enqueue_reconcile('stripe', e.object_id, e.user_id);
    e.outcome := 'applied';
    return e;
end
$$;
comment on function kith.apply_stripe_session(kith.webhook_events) is
    'A checkout that went well: links the subscription to the user.  The plan comes with the subscription''s own events.';

create function kith.apply_stripe_subscription(e kith.webhook_events) returns kith.webhook_events
language plpgsql volatile set search_path = ''
as $$
declare
    s jsonb := e.payload #> '{data,object}';
    item jsonb := kith.stripe_item(s);
    price jsonb := coalesce(nullif(item -> 'price', 'null'), item -> 'plan');
    raw_status text := case when e.event_type = 'customer.subscription.deleted' then 'canceled' else s ->> 'status' end;
    new_status text;
    bought text;
    link kith.billing_links;
begin
    new_status := case
        when raw_status in ('active', 'trialing', 'past_due') then raw_status
        when raw_status in ('unpaid', 'paused') then 'past_due'
        when raw_status in ('canceled', 'incomplete_expired') then 'canceled'
    end;
    if new_status is null and raw_status is distinct from 'incomplete' then
        e.outcome := 'failed';
        e.detail := 'unknown_status';
        return e;
    end if;
    link := row(
        'stripe', e.object_id, e.customer_ref, e.user_id, null, raw_status, kith.event_time(s ->> 'created'), e.occurred_at,
        -- Fetched after its end: nothing of the same second revives it.
        case when e.event_type = 'reconcile' and raw_status = 'canceled' then 2 else kith.event_rank(e.event_type) end,
        pg_catalog.now()
    );
    if kith.see_subscription(link, e.event_id) = 'stale' then
        e.outcome := 'stale';
        return e;
    elsif not kith.hold_stripe(e.user_id, link) then
        e.outcome := 'conflict';
        e.detail := 'other_subscription';
        return e;
    end if;
    e.outcome := 'applied';
    -- Until the first payment: the ids, and nothing else.
    update public.subscriptions u
    set stripe_subscription_id = e.object_id, stripe_customer_id = e.customer_ref, stripe_price_id = kith.stripe_id(price)
    where u.user_id = e.user_id;
    if new_status is null then
        return e;
    end if;
    bought := case when raw_status in ('active', 'trialing', 'past_due') then kith.stripe_plan(price) else 'free' end;
    if bought is null then
        e.detail := 'unmapped_price';
    end if;
    update public.subscriptions u
    set status = new_status,
        plan = coalesce(bought, u.plan),
        current_period_end = kith.event_time(coalesce(
            case when raw_status = 'canceled' then s ->> 'ended_at' end,
            item ->> 'current_period_end',
            s ->> 'current_period_end'
        )),
        -- The portal of newer versions sets cancel_at alone.
        cancel_at_period_end = coalesce((s ->> 'cancel_at_period_end')::boolean, false)
            or (s ->> 'cancel_at' is not null and raw_status <> 'canceled')
    where u.user_id = e.user_id;
    if not kith.stripe_live(raw_status) then
        -- Whoever paid twice has another one, which had to wait.
        perform kith.enqueue_reconcile('stripe', l.subscription_id, e.user_id)
        from kith.billing_links l
        where l.provider = 'stripe' and l.user_id = e.user_id and kith.stripe_live(l.raw_status);
    end if;
    return e;
end
$$;
comment on function kith.apply_stripe_subscription(kith.webhook_events) is 'An event with the whole subscription: what the user may use from here on.';

create function kith.stripe_event(e kith.webhook_events, settings jsonb) returns kith.webhook_events
language plpgsql volatile set search_path = ''
as $$
declare
    o jsonb := e.payload #> '{data,object}';
    kind text := case
        when e.payload ->> 'object' = 'v2.core.event' then null
        when e.event_type in ('checkout.session.completed', 'checkout.session.async_payment_succeeded') then 'checkout.session'
        when e.event_type in ('invoice.paid', 'invoice.payment_failed', 'invoice.payment_action_required') then 'invoice'
        when e.event_type = 'customer.deleted' then 'customer'
        when e.event_type in (
            'customer.subscription.created', 'customer.subscription.updated', 'customer.subscription.deleted',
            'customer.subscription.paused', 'customer.subscription.resumed', 'customer.subscription.trial_will_end', 'reconcile'
        ) then 'subscription'
    end;
    whose record;
    is_news boolean;
begin
    e.outcome := 'ignored';
    e.detail := null;
    if kind is null then
        return e;
    elsif coalesce(o ->> 'object' <> kind, true) then
        e.outcome := 'failed';
        e.detail := 'unknown_object';
        return e;
    end if;
    e.customer_ref := case when kind = 'customer' then o ->> 'id' else kith.stripe_id(o -> 'customer') end;
    e.object_id := case kind
        when 'subscription' then o ->> 'id'
        when 'checkout.session' then case when o ->> 'mode' = 'subscription' then kith.stripe_id(o -> 'subscription') end
        when 'invoice' then kith.stripe_id(
            coalesce(o #> '{parent,subscription_details,subscription}', nullif(o -> 'subscription', 'null'))
        )
        else e.customer_ref
    end;
    if e.object_id is null then
        -- A payment without a subscription.
        return e;
    end if;
    perform kith.lock_customer('stripe', coalesce(e.customer_ref, e.object_id));

    if kind = 'customer' then
        -- Events of its subscriptions follow by themselves.
        delete from kith.billing_customers c where c.provider = 'stripe' and c.customer_id = e.object_id;
        e.outcome := 'applied';
        return e;
    end if;
    select w.* into whose from kith.stripe_user(o, e.object_id, e.customer_ref) w;
    e.user_id := whose.user_id;
    if e.user_id is null then
        e.outcome := 'unmatched';
        if whose.gone then
            e.detail := 'account_gone';
            e.customer_ref := null;
            e.payload := null;
        end if;
        return e;
    end if;
    if kind = 'invoice' then
        perform kith.enqueue_reconcile('stripe', e.object_id, e.user_id);
        e.outcome := 'applied';
        return e;
    end if;

    is_news := not exists (select from kith.billing_links l where l.provider = 'stripe' and l.subscription_id = e.object_id);
    if kind = 'subscription' then
        e := kith.apply_stripe_subscription(e);
    else
        e := kith.apply_stripe_session(e);
    end if;
    if e.outcome in ('applied', 'conflict') and e.customer_ref is not null then
        insert into kith.billing_customers (provider, customer_id, user_id)
        values ('stripe', e.customer_ref, e.user_id)
        on conflict (provider, customer_id) do nothing;
        is_news := is_news or found;
    end if;
    if is_news and e.outcome in ('applied', 'conflict') and not coalesce((settings ->> 'parked')::boolean, false) then
        perform kith.apply_parked('stripe', e.customer_ref, e.object_id);
    end if;
    return e;
end
$$;
comment on function kith.stripe_event(kith.webhook_events, jsonb) is 'What an event of Stripe means.';

create function kith.apply_stripe(
    event_id text, event_type text, occurred_at text, payload text, body_sha256 bytea default null
) returns text
language plpgsql volatile security definer set search_path = ''
as $$
begin
    return kith.apply_event('stripe', event_id, event_type, occurred_at, payload, body_sha256);
end
$$;
comment on function kith.apply_stripe(text, text, text, text, bytea) is
    'Applies an event of Stripe, once; or, as the type reconcile with an id that begins with recon:, a subscription as it was fetched.';
grant execute on function kith.apply_stripe(text, text, text, text, bytea) to kith_webhooks, kith_worker;

reset role;
