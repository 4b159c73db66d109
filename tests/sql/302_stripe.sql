-- Goal: whatever order Stripe's events come in, a user's row says what the newest
-- one says; nobody's plan is taken by somebody else's subscription.  A3
\ir ../lib/prelude.psql
select no_plan();

insert into kith.plan_prices (provider, price_id, plan) values
    ('stripe', 'price_ess_m', 'essential'), ('stripe', 'price_fam_m', 'family_archive'), ('lemonsqueezy', 'price_ls', 'pro');

-- A subscription, as the two families of API versions write it; "change" goes over it.
create function test.subscription(id text, change jsonb default '{}', shape text default 'basil', price jsonb default '{"id": "price_ess_m"}') returns jsonb language sql as $$
    select case shape
        when 'basil' then jsonb_build_object('items', jsonb_build_object('object', 'list', 'data', jsonb_build_array(
            jsonb_build_object('id', 'si_1', 'object', 'subscription_item', 'current_period_end', 1792582000, 'price', price))))
        when 'acacia' then jsonb_build_object('current_period_end', 1792582000, 'items', jsonb_build_object('data', jsonb_build_array(jsonb_build_object('id', 'si_1', 'price', price))))
        when 'ancient' then jsonb_build_object('current_period_end', 1792582000, 'plan', price)
    end || jsonb_build_object('id', id, 'object', 'subscription', 'customer', 'cus_' || split_part(id, '_', 2), 'status', 'active', 'created', 1789990000,
        'cancel_at', null, 'cancel_at_period_end', false, 'ended_at', null, 'metadata', jsonb_build_object('user_id', test.id('owner'))) || change
$$;
create sequence test.events;
create function test.send(type text, object jsonb, created bigint default 1790000000, event_id text default null) returns text language sql as $$
    select kith.apply_stripe(coalesce(event_id, 'evt_' || nextval('test.events')), type, created::text,
        jsonb_build_object('object', 'event', 'type', type, 'created', created, 'data', jsonb_build_object('object', object))::text, '\x00')
$$;
create function test.last() returns kith.webhook_events language sql as $$ select e from kith.webhook_events e order by id desc limit 1 $$;
create function test.mine(who text default 'owner') returns text language sql as $$
    select concat_ws(' ', plan, status, coalesce(extract(epoch from current_period_end)::bigint::text, '-'), cancel_at_period_end, stripe_customer_id, stripe_subscription_id, stripe_price_id)
    from public.subscriptions where user_id = test.id(who)
$$;
create function test.reset() returns void language sql as $$
    delete from kith.billing_links where provider = 'stripe' and user_id in (test.id('owner'), test.id('stranger'));
    delete from kith.billing_customers where user_id in (test.id('owner'), test.id('stranger'));
    delete from kith.jobs where kind = 'reconcile_subscription';
    delete from kith.webhook_events where event_id like 'evt\_%';
    update public.subscriptions set plan = 'free', status = 'active', current_period_end = null, cancel_at_period_end = false, stripe_customer_id = null,
        stripe_subscription_id = null, stripe_price_id = null where user_id in (test.id('owner'), test.id('stranger'))
$$;
create function test.reconciles(id text) returns bigint language sql as $$
    select count(*) from kith.jobs where kind = 'reconcile_subscription' and payload = jsonb_build_object('provider', 'stripe', 'subscription_id', reconciles.id)
$$;

-- The map.
create table test.map as select * from (values
    ('active', '{"status": "active"}'::jsonb, 'essential active 1792582000 f'),
    ('trialing', '{"status": "trialing"}', 'essential trialing 1792582000 f'),
    ('past_due', '{"status": "past_due"}', 'essential past_due 1792582000 f'),
    ('unpaid', '{"status": "unpaid"}', 'free past_due 1792582000 f'),
    ('paused', '{"status": "paused"}', 'free past_due 1792582000 f'),
    ('canceled', '{"status": "canceled", "ended_at": 1790000500}', 'free canceled 1790000500 f'),
    ('canceled without its end', '{"status": "canceled"}', 'free canceled 1792582000 f'),
    ('canceled, with an end it had before', '{"status": "canceled", "cancel_at": 1790000400}', 'free canceled 1792582000 f'),
    ('incomplete_expired', '{"status": "incomplete_expired"}', 'free canceled 1792582000 f'),
    ('incomplete', '{"status": "incomplete"}', 'free active - f'),
    ('ends with the period', '{"cancel_at_period_end": true}', 'essential active 1792582000 t'),
    ('ends at a time', '{"cancel_at": 1792582000}', 'essential active 1792582000 t')
) as m (name, change, expected);
create function test.fresh(type text, object jsonb, created bigint default 1790000000) returns text language sql as $$
    select test.reset();
    select test.send(type, object, created) || ' ' || coalesce((test.last()).detail || ' ', '') || test.mine();
$$;
select is(test.fresh('customer.subscription.updated', test.subscription('sub_1', change, shape)), 'applied ' || expected || ' cus_1 sub_1 price_ess_m', name || ', ' || shape)
from test.map, unnest(array['basil', 'acacia', 'ancient']) as shape;
select is(test.fresh('customer.subscription.' || type, test.subscription('sub_1')), 'applied essential active 1792582000 f cus_1 sub_1 price_ess_m', type)
from unnest(array['created', 'updated', 'paused', 'resumed', 'trial_will_end']) as type;
select is(test.fresh('customer.subscription.deleted', test.subscription('sub_1')), 'applied free canceled 1792582000 f cus_1 sub_1 price_ess_m', 'deleted is canceled, whatever the object says');
select is(test.fresh('customer.subscription.updated', test.subscription('sub_1', '{"status": "delighted"}')), 'failed unknown_status free active - f', 'a status nobody knows');
select is(test.fresh('customer.subscription.updated', test.subscription('sub_1') - 'status'), 'failed unknown_status free active - f', 'or none');
select is(test.fresh('customer.subscription.updated', test.subscription('sub_1', '{"customer": {"id": "cus_1", "object": "customer"}}')),
    'applied essential active 1792582000 f cus_1 sub_1 price_ess_m', 'a customer that is written out');

-- Prices.
select is(test.fresh('customer.subscription.updated', test.subscription('sub_1', price => price::jsonb)), 'applied ' || expected, name) from (values
    ('a price that is mapped', '{"id": "price_fam_m", "lookup_key": "essential"}', 'family_archive active 1792582000 f cus_1 sub_1 price_fam_m'),
    ('one whose lookup_key is a plan', '{"id": "price_x", "lookup_key": "family_archive", "metadata": {"plan": "essential"}}', 'family_archive active 1792582000 f cus_1 sub_1 price_x'),
    ('one whose metadata names a plan', '{"id": "price_x", "lookup_key": "monthly", "metadata": {"plan": "essential"}}', 'essential active 1792582000 f cus_1 sub_1 price_x'),
    ('one that is not known', '{"id": "price_x", "lookup_key": null, "metadata": {"plan": "gold"}}', 'unmapped_price free active 1792582000 f cus_1 sub_1 price_x'),
    ('one of the other provider', '{"id": "price_ls"}', 'unmapped_price free active 1792582000 f cus_1 sub_1 price_ls')
) as p (name, price, expected);
select is(test.fresh('customer.subscription.updated', test.subscription('sub_1', '{"items": {"data": [{"price": {"id": "price_addon"}, "current_period_end": 1},
    {"price": {"id": "price_fam_m"}, "current_period_end": 1792582000}, {"price": {"id": "price_ess_m"}, "current_period_end": 2}]}}')),
    'applied family_archive active 1792582000 f cus_1 sub_1 price_fam_m', 'of several items the first whose price is mapped');
select is(test.fresh('customer.subscription.updated', test.subscription('sub_1', '{"items": {"data": [{"price": {"id": "price_a"}, "current_period_end": 1}, {"price": {"id": "price_b"}}]}}')),
    'applied unmapped_price free active 1 f cus_1 sub_1 price_a', 'or the first');
select test.fresh('customer.subscription.created', test.subscription('sub_1')) \g /dev/null
select is(test.send('customer.subscription.updated', test.subscription('sub_1', '{"status": "past_due"}', price => '{"id": "price_x"}'), 1790000001), 'applied', 'a price that is not known');
select is(test.mine(), 'essential past_due 1792582000 f cus_1 sub_1 price_x', 'leaves the plan');

-- Order.  The life of a subscription, in every order, each event twice.
create table test.life as select * from (values
    (1, 'customer.subscription.created', 1790000000, '{"status": "incomplete"}'::jsonb),
    (2, 'customer.subscription.updated', 1790000000, '{"status": "active"}'),
    (3, 'customer.subscription.updated', 1790000100, '{"status": "past_due"}'),
    (4, 'customer.subscription.updated', 1790000200, '{"status": "active", "cancel_at_period_end": true}'),
    (5, 'customer.subscription.deleted', 1790000200, '{"status": "canceled", "ended_at": 1790000200}')
) as l (n, type, created, change);
create function test.live(places int[]) returns text language plpgsql as $$
declare
    event test.life;
begin
    perform test.reset();
    for event in select l.* from unnest(places || places) with ordinality as p (n, place) join test.life l using (n) order by place loop
        perform test.send(event.type, test.subscription('sub_1', event.change), event.created, 'evt_life_' || event.n);
    end loop;
    return test.mine() || ' ' || (select string_agg(outcome, ',' order by outcome) from kith.webhook_events where event_id like 'evt_life_%' and outcome not in ('applied', 'stale'));
end
$$;
create function test.orders(n int) returns setof int[] language sql as $$
    with recursive o (places) as (
        select '{}'::int[]
        union all
        select places || next from o, generate_series(1, n) next where next <> all (places)
    )
    select places from o where cardinality(places) = n
$$;
select is((select count(*) from test.orders(5)), 120::bigint, '120 orders');
select set_eq('select coalesce(test.live(places), test.mine()) from test.orders(5) places', array['free canceled 1790000200 f cus_1 sub_1 price_ess_m'], 'lead to the same row');
select set_eq('select coalesce(test.live(places), test.mine()) from test.orders(4) places', array['essential active 1792582000 t cus_1 sub_1 price_ess_m'], 'also while it goes on');
select test.live('{5,4}') \g /dev/null
select is((select outcome from kith.webhook_events where event_id = 'evt_life_4'), 'stale', 'what is older is stale');
select is(test.send('customer.subscription.updated', test.subscription('sub_1'), 1790000200), 'stale', 'nothing of the same second revives what has ended');
select is(test.send('customer.subscription.updated', test.subscription('sub_1'), 1790000201), 'applied', 'a later one does');

-- Ties.
select test.fresh('customer.subscription.created', test.subscription('sub_1'), 1790000000) \g /dev/null
select is(test.send('customer.subscription.updated', test.subscription('sub_1', '{"status": "past_due"}'), 1790000000), 'applied', 'made and changed within a second');
select is(test.reconciles('sub_1'), 0::bigint, 'has an order');
select is(test.send('customer.subscription.updated', test.subscription('sub_1', '{"status": "active"}'), 1790000000), 'applied', 'of two changes the later arrival wins');
select is(test.reconciles('sub_1'), 1::bigint, 'and a re-fetch decides');
select is(test.send('reconcile', test.subscription('sub_1', '{"status": "past_due"}'), 1790000000, 'recon:sub_1:1'), 'applied', 'which is an event too');
select is(test.mine(), 'essential past_due 1792582000 f cus_1 sub_1 price_ess_m', 'with its effect');
select is(test.reconciles('sub_1'), 1::bigint, 'and asks for no other');
select is(test.send('reconcile', test.subscription('sub_1', '{"status": "canceled"}'), 1790000005, 'recon:sub_1:2'), 'applied', 'one that finds the end');
select is(test.send('customer.subscription.updated', test.subscription('sub_1'), 1790000005), 'stale', 'is not undone by what happened in that second');

-- Whose.
create function test.whose(type text, object jsonb) returns text language sql as $$
    select test.send(type, object) || coalesce(' ' || (select who from unnest(array['owner', 'stranger']) who where test.id(who) = (test.last()).user_id), '');
$$;
select test.reset() \g /dev/null
select is(test.whose('customer.subscription.created', test.subscription('sub_n1', format('{"metadata": {"user_id": "%s"}}', bad)::jsonb)), 'unmatched', format('metadata that names nobody: "%s"', bad))
from unnest(array['', 'x', '0d0d0d0d-0000-4000-8000-00000000000d', test.id('nobody')::text]) as bad;
select is(test.whose('customer.subscription.created', test.subscription('sub_n2', '{"metadata": {}, "customer_email": "owner@kith.test"}')), 'unmatched', 'an address is nobody');
select is(test.whose('customer.subscription.created', test.subscription('sub_n2') - 'metadata'), 'unmatched', 'nor is nothing');
select test.reset() \g /dev/null
select is(test.whose('customer.subscription.created', test.subscription('sub_w1')), 'applied owner', 'the user of its metadata');
select is(test.whose('customer.subscription.updated', test.subscription('sub_w1', jsonb_build_object('metadata', jsonb_build_object('user_id', test.id('stranger'))))), 'applied owner', 'first of all the user who has it');
select is(test.whose('customer.subscription.updated', test.subscription('sub_w2', '{"metadata": {}, "customer": "cus_w1", "created": 1789990001}')), 'applied owner', 'then the customer''s');
select test.reset() \g /dev/null
update public.subscriptions set stripe_customer_id = 'cus_w3' where user_id = test.id('stranger');
select is(test.whose('customer.subscription.updated', test.subscription('sub_w3', '{"metadata": {}}')), 'applied stranger', 'or who is known to be that customer from before');

-- Checkout.
create function test.session(id text, change jsonb default '{}') returns jsonb language sql as $$
    select jsonb_build_object('id', 'cs_' || id, 'object', 'checkout.session', 'mode', 'subscription', 'status', 'complete', 'payment_link', null, 'customer', 'cus_' || id,
        'subscription', 'sub_' || id, 'client_reference_id', test.id('owner'), 'metadata', '{}'::jsonb) || change
$$;
select test.reset() \g /dev/null
select is(test.whose('checkout.session.completed', test.session('c1')), 'applied owner', 'a checkout that was paid');
select is(test.mine(), 'free active - f cus_c1 sub_c1', 'writes the ids only');
select is(test.reconciles('sub_c1'), 1::bigint, 'and asks for the rest');
select is(test.send('customer.subscription.created', test.subscription('sub_c1', '{"metadata": {}}'), 1789000000), 'applied', 'which is newer, whenever it happened');
select is(test.mine(), 'essential active 1792582000 f cus_c1 sub_c1 price_ess_m', 'and has its effect');
select is(test.whose('checkout.session.completed', test.session('c1')), 'applied owner', 'the checkout again');
select is(test.mine(), 'essential active 1792582000 f cus_c1 sub_c1 price_ess_m', 'changes nothing');
select is(test.whose('checkout.session.completed', test.session('c2', jsonb_build_object('metadata', jsonb_build_object('user_id', test.id('stranger'))))), 'applied stranger', 'metadata, which we wrote, before the reference');
select is(test.whose('checkout.session.completed', test.session('c3', '{"payment_link": "plink_1"}')), 'unmatched', 'of a payment link the buyer writes the reference');
select is(test.whose('checkout.session.completed', test.session('c4', '{"mode": "payment", "subscription": null}')), 'ignored', 'a payment is none of ours');
select test.reset() \g /dev/null
select is(test.whose('checkout.session.async_payment_succeeded', test.session('c5')), 'applied owner', 'paid later');

-- Parked.
select test.reset() \g /dev/null
select is(test.send('customer.subscription.created', test.subscription('sub_p', '{"metadata": {}, "status": "incomplete"}'), 1790000000, 'evt_p1'), 'unmatched', 'Stripe is often faster than its own checkout');
select is(test.send('customer.subscription.updated', test.subscription('sub_p', '{"metadata": {}}'), 1790000001, 'evt_p2'), 'unmatched', 'nobody is known');
select is(test.send('invoice.paid', '{"object": "invoice", "id": "in_1", "customer": "cus_p", "parent": {"subscription_details": {"subscription": "sub_p"}}}', 1790000001, 'evt_p3'), 'unmatched', 'of the invoice either');
select is(test.send('customer.subscription.created', test.subscription('sub_other', '{"metadata": {}}'), 1790000000, 'evt_p4'), 'unmatched', 'and somebody else''s');
select is(test.whose('checkout.session.completed', test.session('p')), 'applied owner', 'the checkout tells who');
select is(test.mine(), 'essential active 1792582000 f cus_p sub_p price_ess_m', 'and what waited is applied');
select is((select string_agg(outcome, ' ' order by event_id) from kith.webhook_events where event_id like 'evt_p_'), 'applied applied applied unmatched', 'and told so in the ledger');
select test.reset() \g /dev/null
select is(test.send('customer.subscription.updated', test.subscription('sub_p', '{"metadata": {}}'), 1790000001, 'evt_p2'), 'unmatched', 'a later event waits');
select is(test.send('customer.subscription.created', test.subscription('sub_p', '{"status": "incomplete"}'), 1790000000, 'evt_p1'), 'applied', 'the one before it knows who');
select is(test.mine(), 'essential active 1792582000 f cus_p sub_p price_ess_m', 'the later one counts');

-- Invoices and customers.
select test.fresh('customer.subscription.created', test.subscription('sub_i')) \g /dev/null
select is(test.whose('invoice.' || type, invoice), 'applied owner', format('invoice.%s %s', type, invoice)) from unnest(array['paid', 'payment_failed', 'payment_action_required']) as type,
    unnest(array['{"object": "invoice", "customer": "cus_i", "parent": {"subscription_details": {"subscription": "sub_i"}}}',
        '{"object": "invoice", "customer": "cus_i", "subscription": "sub_i"}', '{"object": "invoice", "customer": "cus_i", "subscription": {"id": "sub_i"}}']::jsonb[]) as invoice;
select cmp_ok(test.reconciles('sub_i'), '>=', 1::bigint, 'an invoice asks for a re-fetch');
select is(test.mine(), 'essential active 1792582000 f cus_i sub_i price_ess_m', 'and says nothing itself');
select is(test.whose('invoice.paid', '{"object": "invoice", "customer": "cus_i", "subscription": null}'), 'ignored', 'without a subscription it is none of ours');
select is(test.whose('invoice.paid', format('{"object": "invoice", "customer": "cus_j", "parent": {"subscription_details": {"subscription": "sub_j", "metadata": {"user_id": "%s"}}}}', test.id('stranger'))::jsonb),
    'applied stranger', 'it may name the user');
select is(test.send('customer.deleted', '{"object": "customer", "id": "cus_i"}'), 'applied', 'a customer goes');
select is((select count(*) from kith.billing_customers where customer_id = 'cus_i'), 0::bigint, 'and is forgotten');
select is(test.mine(), 'essential active 1792582000 f cus_i sub_i price_ess_m', 'the subscription tells its end itself');
select is(test.send(type, test.subscription('sub_i')), 'ignored', type) from unnest(array['charge.refunded', 'customer.updated', 'customer.subscription.pending_update_applied', 'invoice.created', '']) as type;
select is(kith.apply_stripe('evt_thin', 'customer.subscription.updated', null, '{"object": "v2.core.event", "related_object": {"id": "sub_i"}}'), 'ignored', 'a thin event');
select is(test.send('customer.subscription.updated', object), 'failed', format('an object that is none: %s', object)) from unnest(array['null', '[]', '{}', '"x"', '{"object": "invoice"}']::jsonb[]) as object;

-- Taking over.
create function test.two(first jsonb, second jsonb) returns text language sql as $$
    select test.reset();
    select test.send('customer.subscription.created', test.subscription('sub_1', first), 1790000000);
    select test.send('customer.subscription.created', test.subscription('sub_2', second), 1790000001) || ' ' || test.mine();
$$;
select is(test.two('{}', '{}'), 'conflict essential active 1792582000 f cus_1 sub_1 price_ess_m', 'another customer cannot take over what is paid for');
select is((test.last()).detail, 'other_subscription', 'and the ledger says so');
select is(test.two('{}', '{"customer": "cus_1", "created": 1789990000}'), 'conflict essential active 1792582000 f cus_1 sub_1 price_ess_m', 'nor the same customer with one made at the same time');
select is(test.two('{}', '{"customer": "cus_1", "created": 1789990001}'), 'applied essential active 1792582000 f cus_1 sub_2 price_ess_m', 'with one made later it can');
select is(split_part(test.two(jsonb_build_object('status', status), '{}'), ' ', 1), 'conflict', 'not while it is ' || status) from unnest(array['trialing', 'past_due', 'unpaid', 'paused']) as status;
select is(split_part(test.two(jsonb_build_object('status', status), '{}'), ' ', 1), 'applied', 'but when it is ' || status) from unnest(array['canceled', 'incomplete', 'incomplete_expired']) as status;
select is(test.two('{}', '{"status": "canceled", "customer": "cus_1", "created": 1789990001}'), 'conflict essential active 1792582000 f cus_1 sub_1 price_ess_m', 'the end of another one is not its end');
select is(test.two('{"status": "canceled"}', '{"status": "canceled", "created": 1789980000}'), 'conflict free canceled 1792582000 f cus_1 sub_1 price_ess_m', 'of two that are over the one that was made later is shown');
select is(test.two('{"status": "canceled", "created": 1789980000}', '{"status": "canceled"}'), 'applied free canceled 1792582000 f cus_2 sub_2 price_ess_m', 'in any order');
select test.two('{}', '{}') \g /dev/null
delete from kith.jobs where kind = 'reconcile_subscription';
select is(test.send('customer.subscription.deleted', test.subscription('sub_1'), 1790000009), 'applied', 'who paid twice and ends one');
select is(test.reconciles('sub_2'), 1::bigint, 'gets the other one');
select is(test.send('reconcile', test.subscription('sub_2'), 1790000010, 'recon:sub_2:1') || ' ' || test.mine(), 'applied essential active 1792582000 f cus_2 sub_2 price_ess_m', 'as soon as it is fetched');
-- A row from another server, where nothing is known of its subscription.
select test.reset() \g /dev/null
update public.subscriptions set plan = 'essential', stripe_customer_id = 'cus_old', stripe_subscription_id = 'sub_old' where user_id = test.id('owner');
select is(test.send('customer.subscription.created', test.subscription('sub_new')), 'conflict', 'a row that came from elsewhere is guarded too');
select is(test.send('customer.subscription.created', test.subscription('sub_new2', '{"customer": "cus_old"}')), 'applied', 'its own customer may go on');

select is((select count(*) from kith.jobs where kind <> 'reconcile_subscription' and user_id = test.id('owner')), 0::bigint, 'nothing else is queued');
select is((select count(*) from public.subscriptions where user_id in (test.id('owner'), test.id('stranger'))), 2::bigint, 'one row for each user');
delete from public.subscriptions where user_id = test.id('owner');
select test.reset() \g /dev/null
select is(test.fresh('customer.subscription.created', test.subscription('sub_1')), 'applied essential active 1792582000 f cus_1 sub_1 price_ess_m', 'also for one who had none');

select finish();
rollback;
