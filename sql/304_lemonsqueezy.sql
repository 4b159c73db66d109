-- Lemon Squeezy: what its events make of a workspace.  For the frame, and the
-- order of locks, see 300_webhook_events.sql.
--
-- Its checkout links carry whom they are for in the address, where the buyer may
-- change it.  Somebody can therefore pay for a workspace that is not theirs; they
-- cannot take it over from who pays for it.

set local role kith_owner;

-- The workspace and its owner are kept from going until the event is recorded;
-- the owner first, as an account that goes does it.
create function kith.keep_workspace(id uuid, out workspace_id uuid, out user_id uuid)
language plpgsql volatile set search_path = ''
as $$
begin
    perform from public.users u
    where u.id = (select w.owner_id from public.workspaces w where w.id = keep_workspace.id)
    for key share;
    select w.id, w.owner_id into workspace_id, user_id from public.workspaces w where w.id = keep_workspace.id for key share;
end
$$;
comment on function kith.keep_workspace(uuid) is 'Locks a workspace and its owner against going; null when there is none.';

-- Whose event it is, first hit wins.
create function kith.lemonsqueezy_workspace(
    payload jsonb, subscription_id text, customer_id text, out workspace_id uuid, out user_id uuid, out gone boolean
)
language plpgsql volatile set search_path = ''
as $$
declare
    candidate uuid;
begin
    select l.workspace_id into candidate
    from kith.billing_links l
    where l.provider = 'lemonsqueezy' and l.subscription_id = lemonsqueezy_workspace.subscription_id;
    if found then
        select k.workspace_id, k.user_id into workspace_id, user_id from kith.keep_workspace(candidate) k;
        gone := workspace_id is null;
        return;
    end if;
    gone := false;
    foreach candidate in array array[
        kith.event_uuid(payload #>> '{meta,custom_data,workspace_id}'),
        (
            select w.id
            from public.workspaces w
            where w.owner_id = kith.event_uuid(payload #>> '{meta,custom_data,user_id}')
            order by w.created_at, w.id
            limit 1
        ),
        -- One customer may pay for several: which of them is not ours to guess.
        (
            select w.id
            from public.workspaces w
            where w.lemonsqueezy_customer_id = lemonsqueezy_workspace.customer_id
                and not exists (
                    select from public.workspaces x
                    where x.lemonsqueezy_customer_id = w.lemonsqueezy_customer_id and x.id <> w.id
                )
        )
    ]
    loop
        select k.workspace_id, k.user_id into workspace_id, user_id from kith.keep_workspace(candidate) k;
        exit when workspace_id is not null;
    end loop;
end
$$;
comment on function kith.lemonsqueezy_workspace(jsonb, text, text) is
    'The workspace that an event of Lemon Squeezy concerns, and its owner, or null; gone when it was some workspace''s that was deleted.';

-- Cancelled, a subscription goes on until the end of what is paid.
create function kith.lemonsqueezy_live(status text, ends_at timestamptz) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
    return coalesce(
        status in ('on_trial', 'active', 'past_due', 'paused', 'unpaid') or status = 'cancelled' and ends_at > pg_catalog.now(),
        false
    );
end
$$;
comment on function kith.lemonsqueezy_live(text, timestamptz) is 'Whether a subscription of Lemon Squeezy goes on.';

-- As kith.hold_stripe(): whether a workspace shows this subscription, or may.
create function kith.hold_lemonsqueezy(workspace_id uuid, link kith.billing_links, is_live boolean) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
    mine public.workspaces;
    shown kith.billing_links;
begin
    select w.* into mine from public.workspaces w where w.id = hold_lemonsqueezy.workspace_id for no key update;
    if mine.lemonsqueezy_subscription_id is null or mine.lemonsqueezy_subscription_id = link.subscription_id then
        return true;
    end if;
    select l.* into shown
    from kith.billing_links l
    where l.provider = 'lemonsqueezy' and l.subscription_id = mine.lemonsqueezy_subscription_id;
    if not found then
        -- From another server: the workspace is all that is known.
        shown.raw_status := case when mine.subscription_status = 'pro' then 'active' end;
        shown.customer_id := mine.lemonsqueezy_customer_id;
        shown.object_created := '-infinity';
    end if;
    if kith.lemonsqueezy_live(shown.raw_status, mine.subscription_expires_at) then
        return coalesce(is_live and shown.customer_id = link.customer_id and shown.object_created < link.object_created, false);
    end if;
    return is_live or coalesce(shown.object_created, '-infinity') < coalesce(link.object_created, '-infinity');
end
$$;
comment on function kith.hold_lemonsqueezy(uuid, kith.billing_links, boolean) is
    'Locks a workspace; whether this subscription of Lemon Squeezy''s is what it shows, or may be from here on.';

create function kith.apply_lemonsqueezy_subscription(e kith.webhook_events) returns kith.webhook_events
language plpgsql volatile set search_path = ''
as $$
declare
    a jsonb := e.payload #> '{data,attributes}';
    raw_status text := a ->> 'status';
    ends_at timestamptz := kith.event_time(a ->> 'ends_at');
    renews_at timestamptz := kith.event_time(a ->> 'renews_at');
    is_pro boolean;
    until timestamptz;
    is_live boolean;
    link kith.billing_links;
begin
    is_pro := case
        when raw_status in ('on_trial', 'active', 'past_due') then true
        when raw_status = 'cancelled' then coalesce(ends_at > pg_catalog.now(), false)
        when raw_status = 'paused' then coalesce(a #>> '{pause,mode}' = 'free', false)
        when raw_status in ('unpaid', 'expired') then false
    end;
    if is_pro is null then
        e.outcome := 'failed';
        e.detail := 'unknown_status';
        return e;
    end if;
    until := case raw_status
        when 'on_trial' then coalesce(kith.event_time(a ->> 'trial_ends_at'), renews_at)
        when 'cancelled' then ends_at
        when 'expired' then ends_at
        when 'paused' then coalesce(kith.event_time(a #>> '{pause,resumes_at}'), renews_at)
        else renews_at
    end;
    link := row(
        'lemonsqueezy', e.object_id, e.customer_ref, e.user_id, e.workspace_id, raw_status, kith.event_time(a ->> 'created_at'),
        e.occurred_at,
        -- Fetched after its end: nothing of the same second revives it.
        case when e.event_type = 'reconcile' and raw_status = 'expired' then 2 else kith.event_rank(e.event_type) end,
        pg_catalog.now()
    );
    if kith.see_subscription(link, e.event_id) = 'stale' then
        e.outcome := 'stale';
        return e;
    end if;
    is_live := kith.lemonsqueezy_live(raw_status, ends_at);
    if not kith.hold_lemonsqueezy(e.workspace_id, link, is_live) then
        e.outcome := 'conflict';
        e.detail := 'other_subscription';
        return e;
    end if;
    e.outcome := 'applied';
    update public.workspaces w
    set subscription_status = case when is_pro then 'pro' else 'free' end,
        subscription_expires_at = until,
        lemonsqueezy_subscription_id = e.object_id,
        lemonsqueezy_customer_id = e.customer_ref
    where w.id = e.workspace_id;
    if not is_live then
        -- Whoever paid twice has another one, which had to wait.
        perform kith.enqueue_reconcile('lemonsqueezy', l.subscription_id, e.user_id)
        from kith.billing_links l
        where l.provider = 'lemonsqueezy'
            and l.workspace_id = e.workspace_id
            and l.subscription_id <> e.object_id
            and kith.lemonsqueezy_live(l.raw_status, 'infinity');
    end if;
    return e;
end
$$;
comment on function kith.apply_lemonsqueezy_subscription(kith.webhook_events) is
    'An event with the whole subscription: what the workspace is from here on.';

-- settings, from the program: store_id, when events of others are to be ignored,
-- and allow_test.
create function kith.lemonsqueezy_event(e kith.webhook_events, settings jsonb) returns kith.webhook_events
language plpgsql volatile set search_path = ''
as $$
declare
    a jsonb := e.payload #> '{data,attributes}';
    kind text := e.payload #>> '{data,type}';
    -- Applied again, it is still one event.
    is_recorded boolean := e.outcome in ('applied', 'stale', 'conflict');
    whose record;
    is_news boolean;
begin
    e.outcome := 'ignored';
    e.detail := null;
    if a ->> 'store_id' is distinct from coalesce(settings ->> 'store_id', a ->> 'store_id') then
        e.detail := 'other_store';
        return e;
    elsif not coalesce((settings ->> 'allow_test')::boolean, true)
        and 'true' in (e.payload #>> '{meta,test_mode}', a ->> 'test_mode')
    then
        e.detail := 'test_mode';
        return e;
    elsif kind is distinct from 'subscriptions' and kind is distinct from 'subscription-invoices' then
        return e;
    end if;
    e.customer_ref := a ->> 'customer_id';
    -- The id of an invoice is the invoice's own.
    e.object_id := case kind when 'subscriptions' then e.payload #>> '{data,id}' else a ->> 'subscription_id' end;
    if e.object_id is null or e.event_type is null then
        e.outcome := 'failed';
        e.detail := 'unknown_object';
        return e;
    end if;
    perform kith.lock_customer('lemonsqueezy', coalesce(e.customer_ref, e.object_id));

    select w.* into whose from kith.lemonsqueezy_workspace(e.payload, e.object_id, e.customer_ref) w;
    e.workspace_id := whose.workspace_id;
    e.user_id := whose.user_id;
    if e.workspace_id is null then
        e.outcome := 'unmatched';
        if whose.gone then
            e.detail := 'workspace_gone';
            e.customer_ref := null;
            e.payload := null;
        end if;
        return e;
    end if;

    e.outcome := 'applied';
    if kind = 'subscriptions' then
        is_news := not exists (
            select from kith.billing_links l where l.provider = 'lemonsqueezy' and l.subscription_id = e.object_id
        );
        e := kith.apply_lemonsqueezy_subscription(e);
    end if;
    -- What we fetched ourselves every day is no event.
    if e.event_type <> 'reconcile' and not is_recorded then
        insert into public.subscription_events (workspace_id, event_type, ls_subscription_id, ls_customer_id, payload)
        values (e.workspace_id, e.event_type, e.object_id, e.customer_ref, e.payload);
    end if;
    if is_news and e.outcome in ('applied', 'conflict') and not coalesce((settings ->> 'parked')::boolean, false) then
        perform kith.apply_parked('lemonsqueezy', e.customer_ref, e.object_id);
    end if;
    return e;
end
$$;
comment on function kith.lemonsqueezy_event(kith.webhook_events, jsonb) is 'What an event of Lemon Squeezy means.';

create function kith.apply_lemonsqueezy(
    event_id text,
    event_type text,
    occurred_at text,
    payload text,
    body_sha256 bytea default null,
    store_id text default null,
    allow_test boolean default true
) returns text
language plpgsql volatile security definer set search_path = ''
as $$
begin
    return kith.apply_event(
        'lemonsqueezy', event_id, event_type, occurred_at, payload, body_sha256,
        pg_catalog.jsonb_build_object('store_id', nullif(store_id, ''), 'allow_test', allow_test)
    );
end
$$;
comment on function kith.apply_lemonsqueezy(text, text, text, text, bytea, text, boolean) is
    'Applies an event of Lemon Squeezy, once; or, as the type reconcile with an id that begins with recon:, a subscription as it was fetched.';
grant execute on function kith.apply_lemonsqueezy(text, text, text, text, bytea, text, boolean) to kith_webhooks, kith_worker;

reset role;
