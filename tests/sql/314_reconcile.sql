-- Goal: what a provider may have told us in vain is fetched, each once, and
-- applied by the provider's clock; without a key it ends by the calendar.
\ir ../lib/prelude.psql
select no_plan();

insert into kith.plan_prices (provider, price_id, plan) values ('stripe', 'price_test_1', 'essential');
insert into public.workspaces (id, name, owner_id) values (md5('w')::uuid, 'w', test.id('owner')), (md5('other')::uuid, 'other', test.id('stranger'));
-- Others work here at the same time: only what is the cast's is looked at.
create function test.queued() returns text language sql as $$
    select coalesce(string_agg(concat_ws(' ', j.payload ->> 'provider', j.payload ->> 'subscription_id'), ', ' order by j.payload ->> 'subscription_id'), 'nothing')
    from kith.jobs j
    where j.kind = 'reconcile_subscription' and j.user_id in (test.id('owner'), test.id('stranger')) and j.key like 'round/%'
$$;
create function test.round(ago interval default '1 minute') returns text language plpgsql as $$
begin
    delete from kith.jobs j where j.user_id in (test.id('owner'), test.id('stranger'));
    insert into kith.reconcile_rounds (provider, went_at) values ('stripe', now() - ago), ('lemonsqueezy', now() - ago)
    on conflict (provider) do update set went_at = excluded.went_at;
    perform kith.go_round('stripe'), kith.go_round('lemonsqueezy');
    return test.queued();
end
$$;
create function test.link(provider text, id text, status text, heard interval default '0') returns void language sql as $$
    insert into kith.billing_links (provider, subscription_id, customer_id, user_id, workspace_id, raw_status, heard_at)
    values (provider, id, 'customer of ' || id, test.id('owner'), case provider when 'lemonsqueezy' then md5('w')::uuid end, status, now() - heard)
    on conflict (provider, subscription_id) do update set raw_status = excluded.raw_status, heard_at = excluded.heard_at
$$;

-- Rounds.
select is(test.round('1 day'), 'nothing', 'who has no subscription is left alone');
select test.link('stripe', 'sub_test_' || s, s) from unnest(array['active', 'incomplete', 'paused', 'canceled', 'incomplete_expired']) s \g /dev/null
select test.link('stripe', 'sub_test_new', null), test.link('lemonsqueezy', '100001', 'cancelled'), test.link('lemonsqueezy', '100002', 'expired') \g /dev/null
select is(test.round(), 'nothing', 'what was just heard of is right');
select is(test.round('121 seconds'), 'lemonsqueezy 100001, stripe sub_test_active, stripe sub_test_incomplete, stripe sub_test_new, stripe sub_test_paused',
    'after two minutes in which nobody listened each that may have changed is fetched');
select is(test.round('119 seconds'), 'nothing', 'not after less');
select is((select max(r.went_at) from kith.reconcile_rounds r where provider in ('stripe', 'lemonsqueezy')), now(), 'a round is noted');
delete from kith.jobs where user_id = test.id('owner');
select is(kith.go_round('stripe') + kith.go_round('lemonsqueezy'), 0, 'so the next one has nothing to do');
update kith.reconcile_rounds set went_at = '-infinity';
select kith.go_round('stripe') \g /dev/null
select is(test.queued(), 'stripe sub_test_active, stripe sub_test_incomplete, stripe sub_test_new, stripe sub_test_paused', 'the first round fetches all');
select test.link('stripe', 'sub_test_active', 'active', '25 hours'), test.link('stripe', 'sub_test_canceled', 'canceled', '25 hours'), test.link('lemonsqueezy', '100001', 'active', '25 hours') \g /dev/null
select is(test.round(), 'lemonsqueezy 100001, stripe sub_test_active', 'what was not heard of for a day is fetched');
select is(kith.go_round('stripe') + kith.go_round('lemonsqueezy'), 0, 'once a day');
update kith.jobs set status = 'done', finished_at = now() where user_id = test.id('owner');
select is(kith.go_round('stripe') + kith.go_round('lemonsqueezy'), 0, 'also when that is done');
select test.link('stripe', 'sub_test_active', 'active'), test.link('lemonsqueezy', '100001', 'active') \g /dev/null
update public.subscriptions set stripe_subscription_id = 'sub_test_active', current_period_end = now() - interval '59 minutes' where user_id = test.id('owner');
update public.workspaces set lemonsqueezy_subscription_id = '100001', subscription_status = 'pro', subscription_expires_at = now() - interval '59 minutes' where id = md5('w')::uuid;
select is(test.round(), 'nothing', 'a period that just ended is being renewed');
update public.subscriptions set current_period_end = now() - interval '61 minutes' where user_id = test.id('owner');
update public.workspaces set subscription_expires_at = now() - interval '61 minutes' where id = md5('w')::uuid;
select is(test.round(), 'lemonsqueezy 100001, stripe sub_test_active', 'one that ended an hour ago is asked about');
select is(kith.go_round('stripe') + kith.go_round('lemonsqueezy'), 0, 'once an hour');
select is(count(*)::int, 2, 'for its user') from kith.jobs where user_id = test.id('owner') and kind = 'reconcile_subscription';
update public.subscriptions set stripe_subscription_id = 'sub_test_imported', current_period_end = now() + interval '1 day' where user_id = test.id('stranger');
update public.workspaces set lemonsqueezy_subscription_id = '100003', subscription_status = 'pro' where id = md5('other')::uuid;
update public.subscriptions set current_period_end = now() + interval '1 day' where user_id = test.id('owner');
update public.workspaces set subscription_expires_at = null where id = md5('w')::uuid;
select is(test.round(), 'lemonsqueezy 100003, stripe sub_test_imported', 'what was imported is fetched');
update public.subscriptions set status = 'canceled' where user_id = test.id('stranger');
update public.workspaces set subscription_status = 'free' where id = md5('other')::uuid;
select is(test.round(), 'nothing', 'unless it had ended');
delete from public.workspaces where id = md5('w')::uuid;
select is(test.round('1 day'), 'stripe sub_test_active, stripe sub_test_incomplete, stripe sub_test_new, stripe sub_test_paused', 'what was a workspace''s that is gone is nobody''s');

-- By the calendar.
create function test.expire() returns text language plpgsql as $$
begin
    perform kith.expire_subscriptions('stripe'), kith.expire_subscriptions('lemonsqueezy');
    return (select concat_ws(' ', s.plan, s.status, w.subscription_status) from public.subscriptions s, public.workspaces w
        where s.user_id = test.id('owner') and w.id = md5('other')::uuid);
end
$$;
update public.subscriptions set plan = 'essential', status = 'active', current_period_end = now() - interval '71 hours', cancel_at_period_end = true where user_id = test.id('owner');
update public.workspaces set subscription_status = 'pro', subscription_expires_at = now() - interval '71 hours' where id = md5('other')::uuid;
select is(test.expire(), 'essential active pro', 'three days of grace');
update public.subscriptions set current_period_end = now() - interval '73 hours' where user_id = test.id('owner');
update public.workspaces set subscription_expires_at = now() - interval '73 hours' where id = md5('other')::uuid;
select is(test.expire(), 'free canceled free', 'and it has ended');
update public.subscriptions set plan = 'essential', status = 'active', cancel_at_period_end = false where user_id = test.id('owner');
update public.workspaces set subscription_status = 'pro', subscription_expires_at = null where id = md5('other')::uuid;
select is(test.expire(), 'essential active pro', 'what is renewed, or has no end, does not');
update public.subscriptions set stripe_subscription_id = null, cancel_at_period_end = true where user_id = test.id('owner');
update public.workspaces set lemonsqueezy_subscription_id = null, subscription_expires_at = now() - interval '1 year' where id = md5('other')::uuid;
select is(test.expire(), 'essential active pro', 'nor does what an operator gave');

-- What was fetched, of Stripe.
update public.subscriptions set plan = 'free', status = 'active', current_period_end = null, cancel_at_period_end = false where user_id = test.id('owner');
delete from kith.billing_links where user_id = test.id('owner');
create function test.sub(status text, more jsonb default '{}') returns jsonb language sql as $$
    select jsonb_build_object('id', 'sub_test_1', 'object', 'subscription', 'customer', 'cus_test_1', 'status', status, 'livemode', false, 'created', 1789990000,
        'metadata', jsonb_build_object('user_id', test.id('owner')), 'items', jsonb_build_object('data', jsonb_build_array(jsonb_build_object(
            'id', 'si_1', 'current_period_end', 1792582000, 'price', '{"id": "price_test_1"}'::jsonb)))) || more
$$;
create function test.state() returns text language sql as $$
    select concat_ws(' ', s.plan, s.status, s.stripe_subscription_id) from public.subscriptions s where s.user_id = test.id('owner')
$$;
select is(kith.apply_fetched_stripe('sub_test_1', test.sub('active'), 1790000010), 'applied', 'what was fetched is applied');
select is(test.state(), 'essential active sub_test_1', 'as an event would be');
select matches(e.event_id || ' ' || e.event_type, '^recon:sub_test_1:1790000010:[0-9a-f]{8} reconcile$', 'and is in the ledger') from kith.webhook_events e where e.object_id = 'sub_test_1';
select is(l.seen_at, to_timestamp(1790000008), 'by the provider''s clock, two seconds early') from kith.billing_links l where l.subscription_id = 'sub_test_1';
select is(kith.apply_fetched_stripe('sub_test_1', test.sub('active'), 1790000010), 'duplicate', 'once');
select isnt(kith.fetched_id('sub_test_1', test.sub('past_due'), 1790000010), kith.fetched_id('sub_test_1', test.sub('active'), 1790000010),
    'but what is another answer of the same second is another event');
select is(kith.apply_stripe('evt_test_1', 'customer.subscription.updated', '1790000009', jsonb_build_object('id', 'evt_test_1', 'object', 'event', 'type', 'customer.subscription.updated', 'livemode', false, 'data', jsonb_build_object('object', test.sub('past_due')))::text),
    'applied', 'an event of the second before the answer counts');
select is(kith.apply_fetched_stripe('sub_test_1', test.sub('active'), 1790000010 - 5), 'stale', 'an older answer does not');
select is(test.state(), 'essential past_due sub_test_1', 'and changes nothing');
select is(kith.apply_fetched_stripe('sub_test_1', answer, 1790000020), null, 'refused: ' || answer::text)
from unnest(array['{}', '[]', 'null', '1', '{"object": "subscription", "id": "sub_test_2"}', '{"object": "customer", "id": "sub_test_1"}', '{"id": "sub_test_1"}']::jsonb[]) answer;
select is(kith.apply_fetched_stripe('sub_test_1', test.sub('shiny'), 1790000030), 'failed', 'a status that nobody knows fails');
select is(test.state(), 'essential past_due sub_test_1', 'and changes nothing either');

-- What Stripe does not know any more.
select is(kith.apply_missing_stripe('sub_test_1', true, 1790000040), null, 'with a key of the other mode nothing is known');
select is(kith.apply_missing_stripe('sub_test_1', null, 1790000040), null, 'nor with a key that does not say');
select is(kith.apply_missing_stripe('sub_test_9', false, 1790000040), null, 'nor of what we never heard of');
select is(test.state(), 'essential past_due sub_test_1', 'so nothing changes');
select is(kith.apply_missing_stripe('sub_test_1', false, 1790000050), 'applied', 'with a key of its own mode it has ended');
select is(test.state(), 'free canceled sub_test_1', 'for good');
select is(s.current_period_end, to_timestamp(1790000048), 'at that time') from public.subscriptions s where s.user_id = test.id('owner');
select is(kith.apply_fetched_stripe('sub_test_1', test.sub('active'), 1790000050), 'stale', 'an answer of that second revives nothing');

-- Of Lemon Squeezy.
insert into public.workspaces (id, name, owner_id) values (md5('w')::uuid, 'w', test.id('owner'));
insert into kith.billing_links (provider, subscription_id, customer_id, user_id, workspace_id, raw_status, seen_at)
values ('lemonsqueezy', '100009', '90210', test.id('owner'), md5('w')::uuid, 'on_trial', '2026-11-20T08:00:00Z');
create function test.lemon(status text, updated text, more jsonb default '{}') returns jsonb language sql as $$
    select jsonb_build_object('jsonapi', '{"version": "1.0"}'::jsonb, 'data', jsonb_build_object('type', 'subscriptions', 'id', '100009', 'attributes', jsonb_build_object(
        'store_id', 77, 'customer_id', 90210, 'status', status, 'updated_at', updated, 'created_at', '2026-11-01T00:00:00.000000Z', 'renews_at', '2099-12-04T10:00:00.000000Z') || more))
$$;
create function test.workspace() returns text language sql as $$
    select concat_ws(' ', w.subscription_status, w.lemonsqueezy_subscription_id, w.subscription_expires_at::date) from public.workspaces w where w.id = md5('w')::uuid
$$;
select is(kith.apply_fetched_lemonsqueezy('100009', test.lemon('active', '2026-11-20T08:00:00.000000Z'), 1790000000, '77'), 'applied', 'what was fetched of the same second decides');
select is(test.workspace(), 'pro 100009 2099-12-04', 'and is applied');
select is((select count(*)::int from kith.jobs j where j.user_id = test.id('owner') and j.kind = 'reconcile_subscription' and j.key like 'reconcile/lemonsqueezy/%'), 0, 'without being fetched again');
select is((select count(*)::int from public.subscription_events e where e.user_id = test.id('owner')), 0, 'and is no event of the user''s');
select is(kith.apply_fetched_lemonsqueezy('100009', test.lemon('expired', '2026-11-19T08:00:00.000000Z'), 1790000001, '77'), 'stale', 'what is older is not applied');
select is(kith.apply_fetched_lemonsqueezy('100009', test.lemon('expired', '2026-11-21T08:00:00.000000Z'), 1790000002, '78'), 'ignored', 'nor is another store''s');
select is(kith.apply_fetched_lemonsqueezy('100009', test.lemon('expired', '2026-11-21T08:00:00.000000Z', '{"ends_at": "2026-11-21T07:00:00.000000Z"}'), 1790000003, '77'), 'applied', 'what is newer is');
select is(test.workspace(), 'free 100009 2026-11-21', 'and ends it');
select is(kith.apply_fetched_lemonsqueezy('100009', answer, 1790000004, '77'), null, 'refused: ' || answer::text)
from unnest(array['{}', '[]', 'null', '{"data": []}', '{"data": {"type": "subscriptions", "id": "100008"}}', '{"data": {"type": "customers", "id": "100009"}}']::jsonb[]) answer;

-- Nobody else.
select is_empty(
    $$ select f, who from unnest(array['kith.go_round(text)', 'kith.expire_subscriptions(text)', 'kith.apply_fetched_stripe(text,jsonb,bigint)',
       'kith.apply_missing_stripe(text,boolean,bigint)', 'kith.apply_fetched_lemonsqueezy(text,jsonb,bigint,text)']::regprocedure[]) f,
       unnest(array['anon', 'authenticated', 'service_role', 'kith_api', 'kith_service', 'kith_auth', 'kith_webhooks', 'kith_checkout', 'kith_storage']) who
       where has_function_privilege(who, f, 'EXECUTE') $$,
    'only the worker reconciles');

select finish();
rollback;
