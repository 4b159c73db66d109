-- Goal: whatever order Lemon Squeezy's events come in, a workspace says what the
-- newest one says, each is recorded for its owner, and a forged link takes over
-- nothing.  A3
\ir ../lib/prelude.psql
select no_plan();

\set mine '''0a0a0a0a-0000-4000-8000-000000000001'''
\set second '''0a0a0a0a-0000-4000-8000-000000000002'''
\set theirs '''0b0b0b0b-0000-4000-8000-000000000001'''
insert into public.workspaces (id, name, owner_id, created_at) values (:mine, 'mine', test.id('owner'), '2026-01-01'), (:second, 'second', test.id('owner'), '2026-01-02'),
    (:theirs, 'theirs', test.id('stranger'), '2026-01-01');

create sequence test.events;
create function test.subscription(id text, change jsonb default '{}') returns jsonb language sql as $$
    select jsonb_build_object('type', 'subscriptions', 'id', id, 'attributes', '{"store_id": 77, "customer_id": 90210, "status": "active", "pause": null, "trial_ends_at": null,
        "renews_at": "2099-12-04T10:00:00.000000Z", "ends_at": null, "created_at": "2026-11-04T10:00:00.000000Z", "updated_at": "2026-11-20T08:00:01.000000Z", "test_mode": false}'::jsonb || change)
$$;
create function test.send(name text, data jsonb, custom jsonb default '{"workspace_id": "0a0a0a0a-0000-4000-8000-000000000001"}', event_id text default null, store text default '77', allow_test boolean default false)
returns text language sql as $$
    select kith.apply_lemonsqueezy(coalesce(event_id, 'ls_' || nextval('test.events')), name, data #>> '{attributes,updated_at}',
        jsonb_build_object('meta', jsonb_build_object('event_name', name, 'test_mode', false, 'custom_data', custom), 'data', data)::text, '\x00', store, allow_test)
$$;
create function test.last() returns kith.webhook_events language sql as $$ select e from kith.webhook_events e order by id desc limit 1 $$;
create function test.pro(name text default 'mine') returns text language sql as $$
    select concat_ws(' ', subscription_status, to_char(subscription_expires_at at time zone 'UTC', 'YYYY-MM-DD'), lemonsqueezy_customer_id, lemonsqueezy_subscription_id)
    from public.workspaces w where w.name = pro.name and owner_id in (test.id('owner'), test.id('stranger'))
$$;
create function test.reset() returns void language sql as $$
    delete from kith.billing_links where provider = 'lemonsqueezy' and user_id in (test.id('owner'), test.id('stranger'));
    delete from kith.jobs where kind = 'reconcile_subscription';
    delete from kith.webhook_events where event_id like 'ls\_%';
    update public.workspaces set subscription_status = 'free', subscription_expires_at = null, lemonsqueezy_customer_id = null, lemonsqueezy_subscription_id = null
    where owner_id in (test.id('owner'), test.id('stranger'))
$$;
create function test.fresh(name text, data jsonb) returns text language sql as $$
    select test.reset();
    select test.send(name, data) || ' ' || coalesce((test.last()).detail || ' ', '') || test.pro();
$$;
create function test.reconciles(id text) returns bigint language sql as $$
    select count(*) from kith.jobs where kind = 'reconcile_subscription' and payload = jsonb_build_object('provider', 'lemonsqueezy', 'subscription_id', reconciles.id)
$$;
create function test.audit() returns text language sql as $$
    select coalesce(string_agg(event_type, ' ' order by event_type), '') from public.subscription_events where user_id = test.id('owner')
$$;

-- The map.
select is(test.fresh('subscription_updated', test.subscription('1', change::jsonb)), 'applied ' || expected || ' 90210 1', name) from (values
    ('on trial', '{"status": "on_trial", "trial_ends_at": "2099-01-01T00:00:00.000000Z"}', 'pro 2099-01-01'),
    ('on trial without its end', '{"status": "on_trial"}', 'pro 2099-12-04'),
    ('active', '{}', 'pro 2099-12-04'),
    ('past due', '{"status": "past_due"}', 'pro 2099-12-04'),
    ('cancelled, and still paid for', '{"status": "cancelled", "ends_at": "2099-02-01T00:00:00.000000Z"}', 'pro 2099-02-01'),
    ('cancelled, and no longer paid for', '{"status": "cancelled", "ends_at": "2026-02-01T00:00:00.000000Z"}', 'free 2026-02-01'),
    ('paused for free', '{"status": "paused", "pause": {"mode": "free", "resumes_at": "2099-03-01T00:00:00.000000Z"}}', 'pro 2099-03-01'),
    ('paused without service', '{"status": "paused", "pause": {"mode": "void", "resumes_at": null}}', 'free 2099-12-04'),
    ('paused, nobody knows how', '{"status": "paused"}', 'free 2099-12-04'),
    ('unpaid', '{"status": "unpaid"}', 'free 2099-12-04'),
    ('expired', '{"status": "expired", "ends_at": "2026-02-01T00:00:00.000000Z"}', 'free 2026-02-01')
) as m (name, change, expected);
select is(test.fresh('subscription_updated', test.subscription('1', '{"status": "delighted"}')), 'failed unknown_status free', 'a status nobody knows');
select is(test.fresh('subscription_updated', test.subscription('1', '{"renews_at": "infinity"}')), 'failed 22007 free', 'a time that is none');
select is(test.fresh('subscription_updated', test.subscription('1', '{"updated_at": null}')), 'failed 23502 free', 'an event without time');

-- What is none of ours.
select test.reset() \g /dev/null
select is(test.send(name, data || '{"id": "1", "attributes": {"store_id": 77, "customer_id": 90210}}'), 'ignored', name) from (values
    ('order_created', '{"type": "orders"}'::jsonb), ('license_key_created', '{"type": "license-keys"}'), ('x', '{}')) as o (name, data);
select is(test.send('subscription_created', test.subscription('1', change::jsonb), store => store, allow_test => allow), outcome, name) from (values
    ('another store', '{"store_id": 78}', '77', false, 'ignored'), ('no store', '{"store_id": null}', '77', false, 'ignored'), ('a test', '{"test_mode": true}', '77', false, 'ignored'),
    ('a test where tests are allowed', '{"test_mode": true}', '77', true, 'applied'), ('any store where none is configured', '{"store_id": 78}', '', false, 'applied')
) as s (name, change, store, allow, outcome);
select set_eq($$ select detail, count(*) from kith.webhook_events where event_id like 'ls\_%' and detail is not null group by 1 $$, $$ values ('other_store', 2::bigint), ('test_mode', 1) $$, 'the ledger says why');
select is(kith.apply_lemonsqueezy('ls_meta', 'subscription_created', '2026-11-20T08:00:01Z', jsonb_build_object('meta', '{"test_mode": true}'::jsonb, 'data', test.subscription('9'))::text, null, null, false),
    'ignored', 'a test by its envelope');
select is(kith.apply_lemonsqueezy('ls_odd' || n, 'subscription_created', '2026-11-20T08:00:01Z', payload, null), outcome, payload) from (values
    (1, '{}', 'ignored'), (2, '{"data": []}', 'ignored'), (3, '{"data": {"type": "subscriptions"}}', 'failed'), (4, '{"data": {"type": "subscriptions", "id": "9"}}', 'unmatched'),
    (5, '{"data": {"type": "subscription-invoices", "id": "9", "attributes": {}}}', 'failed'), (6, '[]', 'ignored')) as p (n, payload, outcome);

-- Order.
create table test.life as select * from (values
    (1, 'subscription_created', '{"updated_at": "2026-11-20T08:00:00Z", "status": "on_trial"}'::jsonb),
    (2, 'subscription_updated', '{"updated_at": "2026-11-20T08:00:00Z"}'),
    (3, 'subscription_updated', '{"updated_at": "2026-11-20T08:00:10Z", "status": "past_due"}'),
    (4, 'subscription_updated', '{"updated_at": "2026-11-20T08:00:20Z", "status": "cancelled", "ends_at": "2099-02-01T00:00:00Z"}'),
    (5, 'subscription_expired', '{"updated_at": "2026-11-20T08:00:20Z", "status": "expired", "ends_at": "2026-11-20T00:00:00Z"}')
) as l (n, name, change);
create function test.live(places int[]) returns text language plpgsql as $$
declare
    event test.life;
begin
    perform test.reset();
    for event in select l.* from unnest(places || places) with ordinality as p (n, place) join test.life l using (n) order by place loop
        perform test.send(event.name, test.subscription('1', event.change), event_id => 'ls_life_' || event.n);
    end loop;
    return test.pro();
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
select set_eq('select test.live(places) from test.orders(5) places', array['free 2026-11-20 90210 1'], 'every order leads to the same workspace');
select set_eq('select test.live(places) from test.orders(4) places', array['pro 2099-02-01 90210 1'], 'also while it is paid for');
select is(test.send('subscription_updated', test.subscription('1', '{"updated_at": "2026-11-20T08:00:20Z", "status": "past_due"}')), 'applied', 'two changes within a second');
select is(test.reconciles('1'), 1::bigint, 'ask for a re-fetch');
select is(test.send('reconcile', test.subscription('1', '{"updated_at": "2026-11-20T08:00:20Z"}'), event_id => 'recon:1:1'), 'applied', 'which decides');
select is(test.pro(), 'pro 2099-12-04 90210 1', 'what it is');
select is(test.send('reconcile', test.subscription('1', '{"updated_at": "2026-11-20T08:00:30Z", "status": "expired"}'), event_id => 'recon:1:2'), 'applied', 'one that finds the end');
select is(test.send('subscription_updated', test.subscription('1', '{"updated_at": "2026-11-20T08:00:30Z"}')), 'stale', 'is not undone by what happened in that second');

-- The record.
delete from public.workspaces where name = 'second';
insert into public.workspaces (id, name, owner_id, created_at) values (:second, 'second', test.id('owner'), '2026-01-02');
alter table public.subscription_events disable trigger keep_event;
delete from public.subscription_events where user_id = test.id('owner');
alter table public.subscription_events enable trigger keep_event;
select test.fresh('subscription_created', test.subscription('1')) \g /dev/null
select is(test.send('subscription_updated', test.subscription('1', '{"updated_at": "2026-11-19T08:00:00Z"}')), 'stale', 'an older event');
select is(test.send('subscription_payment_failed', '{"type": "subscription-invoices", "id": "991", "attributes": {"store_id": 77, "subscription_id": 1, "customer_id": 90210, "status": "pending", "updated_at": "2026-11-20T08:00:00Z"}}', '{}'), 'applied', 'an invoice');
select is(test.send('subscription_cancelled', test.subscription('2', '{"customer_id": 4}')), 'conflict', 'another subscription');
select is(test.send('reconcile', test.subscription('1'), event_id => 'recon:1:3'), 'applied', 'what we fetched ourselves');
select is(test.audit(), 'subscription_cancelled subscription_created subscription_payment_failed subscription_updated', 'each event is recorded, but for our own');
select is(kith.replay_event((select id from kith.webhook_events where event_type = 'subscription_cancelled' and outcome = 'conflict' order by id desc limit 1)), 'conflict', 'an event that is applied again');
select is(test.audit(), 'subscription_cancelled subscription_created subscription_payment_failed subscription_updated', 'is still one');
select is(test.pro(), 'pro 2099-12-04 90210 1', 'an invoice writes no workspace');
select is((select to_jsonb(s) - '{id,created_at}'::text[] from public.subscription_events s where event_type = 'subscription_payment_failed' and user_id = test.id('owner')),
    jsonb_build_object('user_id', test.id('owner'), 'workspace_id', :mine, 'event_type', 'subscription_payment_failed', 'event_source', 'lemonsqueezy', 'ls_subscription_id', '1',
        'ls_customer_id', '90210', 'payload', (select payload from kith.webhook_events where event_type = 'subscription_payment_failed')), 'whole');
select is(test.rows('stranger', 'select event_type from public.subscription_events'), '[]', 'stranger sees none');
select is((select count(*) from test.life where test.send('subscription_payment_success', '{"type": "subscription-invoices", "id": "992", "attributes": {"store_id": 77, "subscription_id": 7777, "updated_at": "2026-11-20T08:00:00Z"}}', '{}', 'ls_inv' || n) = 'unmatched'),
    5::bigint, 'an invoice of a subscription that nobody has');

-- Whose.
create function test.whose(data jsonb, custom jsonb) returns text language sql as $$
    select test.reset();
    select test.send('subscription_created', data, custom) || coalesce(' ' || (select name from public.workspaces where id = (test.last()).workspace_id), '');
$$;
select is(test.whose(test.subscription('1'), custom::jsonb), outcome, coalesce(custom, 'nothing')) from (values
    ('{"workspace_id": "0a0a0a0a-0000-4000-8000-000000000002"}', 'applied second'),
    ('{"workspace_id": "0a0a0a0a-0000-4000-8000-000000000002", "user_id": "0b0b0b0b-0000-4000-8000-00000000000b"}', 'applied second'),
    ('{"user_id": "0a0a0a0a-0000-4000-8000-00000000000a"}', 'applied mine'),
    ('{"user_id": "0b0b0b0b-0000-4000-8000-00000000000b"}', 'applied theirs'),
    ('{"workspace_id": "x", "user_id": "0b0b0b0b-0000-4000-8000-00000000000b"}', 'applied theirs'),
    ('{"workspace_id": "0d0d0d0d-0000-4000-8000-000000000001"}', 'unmatched'), ('{"workspace_id": ""}', 'unmatched'), ('{"workspace_id": 1}', 'unmatched'),
    ('{"user_id": "0c0c0c0c-0000-4000-8000-00000000000c"}', 'unmatched'), ('{}', 'unmatched'), ('[]', 'unmatched'), ('null', 'unmatched'), (null, 'unmatched')
) as c (custom, outcome);
select test.reset() \g /dev/null
update public.workspaces set lemonsqueezy_customer_id = '90210' where name = 'theirs';
select is(test.send('subscription_created', test.subscription('3'), '{}') || ' ' || (select name from public.workspaces where id = (test.last()).workspace_id), 'applied theirs', 'the customer''s workspace');
select is(test.send('subscription_updated', test.subscription('3', '{"updated_at": "2026-11-21T08:00:00Z"}')) || ' ' || (select name from public.workspaces where id = (test.last()).workspace_id),
    'applied theirs', 'and its own first of all, whatever the buyer wrote');
update public.workspaces set lemonsqueezy_customer_id = '90210' where name = 'mine';
select is(test.send('subscription_created', test.subscription('4'), '{}'), 'unmatched', 'of two we do not guess');

-- Parked.
select test.reset() \g /dev/null
select is(test.send('subscription_updated', test.subscription('5', '{"updated_at": "2026-11-20T09:00:00Z", "status": "past_due"}'), '{}', 'ls_p2'), 'unmatched', 'about nobody');
select is(test.send('subscription_payment_success', '{"type": "subscription-invoices", "id": "993", "attributes": {"store_id": 77, "subscription_id": 5, "updated_at": "2026-11-20T08:00:00Z"}}', '{}', 'ls_p3'), 'unmatched', 'so far');
select is(test.send('subscription_created', test.subscription('5')), 'applied', 'the first event tells whose');
select is((select string_agg(outcome, ' ') from kith.webhook_events where event_id like 'ls_p_'), 'applied applied', 'and what waited is applied');
select is((select raw_status from kith.billing_links where subscription_id = '5' and provider = 'lemonsqueezy'), 'past_due', 'the newest counts');

-- Taking over: the buyer writes the address of the checkout.
create function test.two(first jsonb, second jsonb) returns text language sql as $$
    select test.reset();
    select test.send('subscription_created', test.subscription('1', first));
    select test.send('subscription_created', test.subscription('2', second)) || ' ' || test.pro();
$$;
select is(test.two('{}', '{"customer_id": 4, "created_at": "2026-11-05T10:00:00Z"}'), 'conflict pro 2099-12-04 90210 1', 'a stranger who pays for a workspace does not take it over');
select is(test.two('{}', '{"customer_id": 4, "status": "expired", "updated_at": "2027-01-01T00:00:00Z"}'), 'conflict pro 2099-12-04 90210 1', 'and does not end it');
select is(test.two('{}', '{"created_at": "2026-11-05T10:00:00Z"}'), 'applied pro 2099-12-04 90210 2', 'the same customer may change the subscription');
select is(test.two('{}', '{"created_at": "2026-11-03T10:00:00Z"}'), 'conflict pro 2099-12-04 90210 1', 'to a later one');
select is(test.two('{"status": "cancelled", "ends_at": "2099-01-01T00:00:00Z"}', '{"customer_id": 4}'), 'conflict pro 2099-01-01 90210 1', 'one that is cancelled is paid for until its end');
select is(test.two('{"status": "cancelled", "ends_at": "2026-11-19T00:00:00Z"}', '{"customer_id": 4}'), 'applied pro 2099-12-04 4 2', 'after it another may pay');
select is(test.two('{"status": "expired"}', '{"customer_id": 4}'), 'applied pro 2099-12-04 4 2', 'or when it has expired');
select test.two('{}', '{"customer_id": 4}') \g /dev/null
select is(test.send('subscription_expired', test.subscription('1', '{"status": "expired", "updated_at": "2026-12-01T00:00:00Z"}')), 'applied', 'when it ends');
select is(test.reconciles('2'), 1::bigint, 'the other one is fetched');
select test.reset() \g /dev/null
update public.workspaces set subscription_status = 'pro', lemonsqueezy_subscription_id = '1', lemonsqueezy_customer_id = '90210' where name = 'mine';
select is(test.send('subscription_created', test.subscription('2', '{"customer_id": 4}')), 'conflict', 'a workspace that came from elsewhere is guarded too');
select is(test.send('subscription_created', test.subscription('3')), 'applied', 'its own customer may go on');

-- A workspace that goes.
select test.fresh('subscription_created', test.subscription('1')) \g /dev/null
delete from public.workspaces where name = 'mine';
select is(test.send('subscription_cancelled', test.subscription('1', '{"updated_at": "2026-11-21T08:00:00Z"}'), '{"user_id": "0a0a0a0a-0000-4000-8000-00000000000a"}', 'ls_gone'), 'unmatched', 'its subscription is nobody''s');
select is((select detail || coalesce(payload::text, '') from kith.webhook_events where event_id = 'ls_gone'), 'workspace_gone', 'and passes to no other workspace');

select finish();
rollback;
