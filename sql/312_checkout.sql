-- Checkout: who may buy what, and what a payment provider has to be told.
--
-- The program that asks the providers has a login of its own, which may call
-- two functions.  They answer for a verified user and check that the session
-- has not ended meanwhile; nothing is written but the count of attempts, since
-- only the provider's events say what was bought.

do $$
begin
    -- Roles belong to the cluster: another database of it may have made this one.
    begin
        create role kith_checkout with login noinherit;
    exception when duplicate_object or unique_violation then
        alter role kith_checkout with nosuperuser nocreatedb nocreaterole noreplication login noinherit;
    end;
    alter role kith_checkout set lock_timeout = '5s';
    alter role kith_checkout set idle_in_transaction_session_timeout = '30s';
    alter role kith_checkout set log_min_messages = 'log';
    execute format('grant connect on database %I to kith_checkout', current_database());
end
$$;
comment on role kith_checkout is 'Login of the checkout program; may call its functions, nothing else.';
grant usage on schema kith to kith_checkout;

set local role kith_owner;

-- The status is the provider's word where it is known.  An imported row has
-- none before the first event: then it is taken as it stands.
create function kith.has_subscription(user_id uuid) returns boolean
language sql stable set search_path = ''
as $$
    select exists (
            select from kith.billing_links l
            where l.provider = 'stripe' and l.user_id = has_subscription.user_id and kith.stripe_live(l.raw_status)
        )
        or exists (
            select from public.subscriptions s
            where s.user_id = has_subscription.user_id
                and s.stripe_subscription_id is not null
                and s.status <> 'canceled'
                and not exists (
                    select from kith.billing_links l
                    where l.provider = 'stripe' and l.subscription_id = s.stripe_subscription_id and l.raw_status is not null
                )
        )
$$;
comment on function kith.has_subscription(uuid) is 'Whether a user has a subscription at Stripe that goes on: then there must not be a second one.';

create function kith.has_subscription(w public.workspaces) returns boolean
language sql stable set search_path = ''
as $$
    select exists (
            select from kith.billing_links l
            where l.provider = 'lemonsqueezy'
                and l.workspace_id = w.id
                and kith.lemonsqueezy_live(l.raw_status, coalesce(w.subscription_expires_at, 'infinity'))
        )
        or w.lemonsqueezy_subscription_id is not null
            and w.subscription_status = 'pro'
            and not exists (
                select from kith.billing_links l
                where l.provider = 'lemonsqueezy'
                    and l.subscription_id = w.lemonsqueezy_subscription_id
                    and l.raw_status is not null
            )
$$;
comment on function kith.has_subscription(public.workspaces) is
    'Whether a workspace has a subscription at Lemon Squeezy that goes on: then there must not be a second one.';

-- A price by its name, or the only one of a plan.  What is not mapped cannot be
-- bought: nobody would know what it is good for.
create function kith.price_to_buy(provider text, plan text, price text) returns text
language plpgsql stable set search_path = ''
as $$
declare
    found_prices text[] := array(
        select p.price_id
        from kith.plan_prices p
        where p.provider = price_to_buy.provider
            and (p.price_id = price_to_buy.price or p.plan = price_to_buy.plan)
            -- A variant is a number, and sent as one.
            and (p.provider = 'stripe' or p.price_id ~ '^[0-9]{1,18}$')
        order by p.price_id
    );
begin
    if pg_catalog.cardinality(found_prices) = 0 then
        raise exception using errcode = 'invalid_parameter_value',
            message = case
                when price is not null then pg_catalog.format('the price "%s" cannot be bought', price)
                else pg_catalog.format('the plan "%s" cannot be bought', plan)
            end,
            hint = 'The prices of plans are those that "kith plans" lists.';
    elsif pg_catalog.cardinality(found_prices) > 1 then
        raise exception using errcode = 'invalid_parameter_value',
            message = pg_catalog.format('the plan "%s" has more than one price', plan),
            hint = pg_catalog.format('Name one of them: %s.', pg_catalog.array_to_string(found_prices, ', '));
    end if;
    return found_prices[1];
end
$$;
comment on function kith.price_to_buy(text, text, text) is 'The price at a provider that a name, or a plan, stands for; 22023 when there is none, or a choice.';

-- The workspace must be the user's; anybody else's is none.
create function kith.billed_workspace(user_id uuid, workspace_id uuid) returns public.workspaces
language plpgsql stable set search_path = ''
as $$
declare
    w public.workspaces;
begin
    select x.* into w
    from public.workspaces x
    where x.id = billed_workspace.workspace_id and x.owner_id = billed_workspace.user_id;
    if not found then
        raise exception using errcode = 'PT404', message = 'there is no such workspace';
    end if;
    return w;
end
$$;
comment on function kith.billed_workspace(uuid, uuid) is 'A workspace of the user''s; PT404 when it is not.';

create function kith.paying_user(user_id uuid, session_id uuid) returns auth.users
language plpgsql stable set search_path = ''
as $$
declare
    u auth.users;
begin
    perform kith.check_session(session_id, user_id);
    select x.* into u
    from auth.users x
    join public.users p on p.id = x.id
    where x.id = paying_user.user_id;
    if not found then
        raise exception using errcode = 'PT401', message = 'there is no such user';
    end if;
    return u;
end
$$;
comment on function kith.paying_user(uuid, uuid) is 'The user of a verified token; PT401 when the session has ended, or the user is gone.';

-- A provider takes so many calls a minute of all of us together.
create function kith.count_payment_call(user_id uuid) returns integer
language sql volatile set search_path = ''
as $$
    select nullif(kith.hit(array['checkout ' || user_id], '{10}', '{60}'), 0)
$$;
comment on function kith.count_payment_call(uuid) is 'Counts one call of a user''s; for how many seconds there may be no other, or null.';

create function kith.stripe_customer(user_id uuid) returns text
language sql stable set search_path = ''
as $$
    select coalesce(
        (select s.stripe_customer_id from public.subscriptions s where s.user_id = stripe_customer.user_id),
        (
            select c.customer_id
            from kith.billing_customers c
            where c.provider = 'stripe' and c.user_id = stripe_customer.user_id
            order by c.created_at desc, c.customer_id
            limit 1
        )
    )
$$;
comment on function kith.stripe_customer(uuid) is 'What Stripe calls a user; null when it does not know them.';

-- The key makes a double click one session: the same user, the same price, the
-- same ten minutes.
create function kith.begin_checkout(user_id uuid, session_id uuid, workspace_id uuid, plan text, price text)
returns table (wait integer, price_id text, customer_id text, email text, key text, expires_at text)
language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
declare
    u auth.users := kith.paying_user(begin_checkout.user_id, begin_checkout.session_id);
    w public.workspaces;
    found_price text;
begin
    if begin_checkout.workspace_id is not null then
        w := kith.billed_workspace(u.id, begin_checkout.workspace_id);
    end if;
    found_price := kith.price_to_buy(
        case when w.id is null then 'stripe' else 'lemonsqueezy' end, begin_checkout.plan, begin_checkout.price
    );
    if (case when w.id is null then kith.has_subscription(u.id) else kith.has_subscription(w) end) then
        raise exception using errcode = 'PT409',
            message = 'there is a subscription already',
            hint = 'The portal changes, resumes or ends it: POST /functions/v1/portal.';
    end if;
    return query
        select kith.count_payment_call(u.id),
            found_price,
            case when w.id is null then kith.stripe_customer(u.id) end,
            coalesce(nullif(w.owner_email, ''), nullif(u.email, '')),
            pg_catalog.format('co:%s:%s:%s', u.id, found_price, pg_catalog.floor(extract(epoch from pg_catalog.now()) / 600)),
            kith.rfc3339(pg_catalog.now() + interval '1 day');
end
$$;
comment on function kith.begin_checkout(uuid, uuid, uuid, text, text) is
    'What a provider has to know to sell a plan to a user, or for a workspace.  wait: seconds, when there were too many attempts.';

-- A session of the portal is made per click, and two clicks are two.
create function kith.begin_portal(user_id uuid, session_id uuid, workspace_id uuid)
returns table (wait integer, customer_id text, subscription_id text, key text)
language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
declare
    u auth.users := kith.paying_user(begin_portal.user_id, begin_portal.session_id);
    w public.workspaces;
    customer text;
    subscription text;
begin
    if begin_portal.workspace_id is null then
        customer := kith.stripe_customer(u.id);
    else
        w := kith.billed_workspace(u.id, begin_portal.workspace_id);
        customer := w.lemonsqueezy_customer_id;
        subscription := w.lemonsqueezy_subscription_id;
    end if;
    if customer is null and subscription is null then
        raise exception using errcode = 'PT404',
            message = 'there is no customer yet',
            hint = 'Whoever buys something becomes one: POST /functions/v1/checkout.';
    end if;
    return query
        select kith.count_payment_call(u.id), customer, subscription, 'po:' || pg_catalog.gen_random_uuid();
end
$$;
comment on function kith.begin_portal(uuid, uuid, uuid) is
    'Whose portal a provider has to show to a user, or for a workspace.  wait: seconds, when there were too many attempts.';

grant execute on function
    kith.begin_checkout(uuid, uuid, uuid, text, text),
    kith.begin_portal(uuid, uuid, uuid)
    to kith_checkout;
grant select on sequence kith.schema_version to kith_checkout;  -- looked at when a connection opens

reset role;
