-- Goal: a provider is asked to sell what is mapped, to whoever is signed in at
-- this moment, for what is theirs, and not twice.
\ir ../lib/prelude.psql
select no_plan();

insert into kith.plan_prices (provider, price_id, plan) values
    ('stripe', 'price_test_1', 'essential'), ('stripe', 'price_test_2', 'family_archive'), ('stripe', 'price_test_3', 'family_archive'),
    ('lemonsqueezy', '700001', 'pro'), ('lemonsqueezy', 'no number', 'family_archive');
insert into public.workspaces (id, name, owner_id) values (md5('owner')::uuid, 'w', test.id('owner'));

create function test.buy(plan text, price text, workspace uuid default null, who text default 'owner') returns text language plpgsql as $$
declare
    r record;
begin
    select * into r from kith.begin_checkout(test.id(who), null, workspace, plan, price);
    return concat_ws(' | ', r.wait, r.price_id, r.customer_id, r.email);
exception when others then
    return concat_ws(' | ', sqlstate, sqlerrm);
end
$$;
create function test.portal(workspace uuid default null, who text default 'owner') returns text language plpgsql as $$
declare
    r record;
begin
    select * into r from kith.begin_portal(test.id(who), null, workspace);
    return concat_ws(' | ', r.wait, r.customer_id, r.subscription_id);
exception when others then
    return concat_ws(' | ', sqlstate, sqlerrm);
end
$$;
create function test.link(provider text, status text, workspace uuid default null) returns void language sql as $$
    insert into kith.billing_links (provider, subscription_id, user_id, workspace_id, raw_status)
    values (provider, 'test_link', test.id('owner'), workspace, status)
    on conflict (provider, subscription_id) do update set raw_status = excluded.raw_status
$$;
create function test.buy_with(provider text, status text, workspace uuid default null) returns text language plpgsql as $$
begin
    perform test.link(provider, status, workspace);
    return test.buy(case provider when 'stripe' then 'essential' else 'pro' end, null, workspace);
end
$$;
create function test.waits(n int) returns int[] language plpgsql as $$
declare
    waits int[];
begin
    for i in 1 .. n loop
        waits := waits || (select p.wait from kith.begin_portal(test.id('owner'), null, null) p);
    end loop;
    return waits;
end
$$;
create function test.forget_attempts() returns void language sql as $$ delete from kith.rate_limits where key like 'checkout 0a0a0a0a%' $$;

-- What is for sale.
select is(test.buy(null, 'price_test_1'), 'price_test_1 | owner@kith.test', 'a price that is mapped');
select is(test.buy('essential', null), 'price_test_1 | owner@kith.test', 'a plan with one price');
select is(test.buy('family_archive', null), '22023 | the plan "family_archive" has more than one price', 'not one with two');
select is(test.buy(null, p), '22023 | the price "' || p || '" cannot be bought', 'nor the price ' || p) from unnest(array['', 'price_none', '700001', 'essential', '%s']) p;
select is(test.buy(p, null), '22023 | the plan "' || p || '" cannot be bought', 'nor the plan ' || p) from unnest(array['', 'gold', 'free', 'pro', 'price_test_1']) p;
select is(test.buy('pro', null, md5('owner')::uuid), '700001 | owner@kith.test', 'a workspace buys a variant');
select is(test.buy('family_archive', null, md5('owner')::uuid), '22023 | the plan "family_archive" cannot be bought', 'which is a number');
select is(test.buy(null, 'price_test_1', md5('owner')::uuid), '22023 | the price "price_test_1" cannot be bought', 'and none of Stripe''s');

-- For whom.
select is(test.buy('pro', null, md5('owner')::uuid, 'stranger'), 'PT404 | there is no such workspace', 'nobody pays for another''s workspace');
select is(test.buy('pro', null, gen_random_uuid()), 'PT404 | there is no such workspace', 'or for none');
select is(test.buy('essential', null, null, 'nobody'), 'PT401 | there is no such user', 'an account that is gone buys nothing');
select is(test.portal(null, 'nobody'), 'PT401 | there is no such user', 'and sees nothing');
insert into auth.sessions (id, user_id) values (md5('session')::uuid, test.id('owner'));
select lives_ok($$ select from kith.begin_checkout(test.id('owner'), md5('session')::uuid, null, 'essential', null) $$, 'a session that is alive');
select throws_ok($$ select from kith.begin_checkout(test.id('stranger'), md5('session')::uuid, null, 'essential', null) $$, 'PT401', null, 'is one user''s');
select test.forget_attempts() \g /dev/null
delete from auth.sessions where id = md5('session')::uuid;
select throws_ok($$ select from kith.begin_checkout(test.id('owner'), md5('session')::uuid, null, 'essential', null) $$, 'PT401', null, 'one that has ended buys nothing');
select throws_ok($$ select from kith.begin_portal(test.id('owner'), md5('session')::uuid, null) $$, 'PT401', null, 'and sees nothing');

-- As which customer.
select is(test.portal(), 'PT404 | there is no customer yet', 'who never bought has no portal');
select is(test.portal(md5('owner')::uuid), 'PT404 | there is no customer yet', 'nor has a workspace that was never paid for');
insert into kith.billing_customers (provider, customer_id, user_id, created_at) values
    ('stripe', 'cus_test_1', test.id('owner'), now() - interval '1 day'), ('stripe', 'cus_test_2', test.id('owner'), now());
select is(test.portal(), 'cus_test_2', 'the newest customer counts');
update public.subscriptions set stripe_customer_id = 'cus_test_3' where user_id = test.id('owner');
select is(test.portal(), 'cus_test_3', 'unless the subscription names one');
select is(test.buy('essential', null), 'price_test_1 | cus_test_3 | owner@kith.test', 'who buys as that one too');
select is(test.portal(null, 'stranger'), 'PT404 | there is no customer yet', 'others do not');
update public.workspaces set lemonsqueezy_customer_id = '90210', owner_email = 'bills@kith.test' where id = md5('owner')::uuid;
select is(test.portal(md5('owner')::uuid), '90210', 'a customer of Lemon Squeezy');
update public.workspaces set lemonsqueezy_subscription_id = '481223' where id = md5('owner')::uuid;
select is(test.portal(md5('owner')::uuid), '90210 | 481223', 'with a subscription');
select is(test.portal(md5('owner')::uuid, 'stranger'), 'PT404 | there is no such workspace', 'is seen by the owner');
select is(test.buy('pro', null, md5('owner')::uuid), '700001 | bills@kith.test', 'whose mail goes where the workspace says');

-- Not twice.
select test.forget_attempts() \g /dev/null
select is(test.buy_with('stripe', s), 'PT409 | there is a subscription already', s || ' is one')
from unnest(array['active', 'trialing', 'past_due', 'unpaid', 'paused']) s;
select is(test.buy_with('stripe', s), 'price_test_1 | cus_test_3 | owner@kith.test', coalesce(s, 'nothing known') || ' is none')
from unnest(array['canceled', 'incomplete', 'incomplete_expired', 'something new', null]) s;
select is(test.buy('essential', null, null, 'stranger'), 'price_test_1 | stranger@kith.test', 'another''s is none');
select test.forget_attempts() \g /dev/null
update public.subscriptions set stripe_subscription_id = 'test_imported', status = s.status from (values ('past_due')) as s (status) where user_id = test.id('owner');
select is(test.buy('essential', null), 'PT409 | there is a subscription already', 'a row that was imported is one');
update public.subscriptions set stripe_subscription_id = 'test_link', status = 'active' where user_id = test.id('owner');
select test.link('stripe', 'canceled') \g /dev/null
select is(test.buy('essential', null), 'price_test_1 | cus_test_3 | owner@kith.test', 'what the provider said last counts more');
select is(test.buy_with('lemonsqueezy', s, md5('owner')::uuid), 'PT409 | there is a subscription already', 'of a workspace: ' || s || ' is one')
from unnest(array['on_trial', 'active', 'past_due', 'unpaid', 'paused', 'cancelled']) s;
update public.workspaces set subscription_expires_at = now() - interval '1 second' where id = md5('owner')::uuid;
select is(test.buy_with('lemonsqueezy', 'cancelled', md5('owner')::uuid), '700001 | bills@kith.test', 'cancelled is none when its time is over');
select is(test.buy_with('lemonsqueezy', 'expired', md5('owner')::uuid), '700001 | bills@kith.test', 'expired is none');
update public.workspaces set subscription_status = 'pro', lemonsqueezy_subscription_id = 'test_imported' where id = md5('owner')::uuid;
select is(test.buy('pro', null, md5('owner')::uuid), 'PT409 | there is a subscription already', 'a workspace that was imported as pro has one');

-- Once in ten minutes, and not without end.
select test.forget_attempts() \g /dev/null
select is(c.key, format('co:%s:price_test_1:%s', test.id('owner'), floor(extract(epoch from now()) / 600)), 'a key for ten minutes')
from kith.begin_checkout(test.id('owner'), null, null, 'essential', null) c;
select isnt(a.key, b.key, 'and one for each click') from kith.begin_portal(test.id('owner'), null, null) a, kith.begin_portal(test.id('owner'), null, null) b;
select is(test.waits(9), '{null,null,null,null,null,null,null,60,60}', 'ten attempts a minute');
select is((select c.wait from kith.begin_checkout(test.id('owner'), null, null, 'essential', null) c), 60, 'of both kinds together');
select is(test.buy('essential', null, null, 'stranger'), 'price_test_1 | stranger@kith.test', 'each for themselves');

-- Nobody else.
select is_empty(
    $$ select f, who from unnest(array['kith.begin_checkout(uuid,uuid,uuid,text,text)', 'kith.begin_portal(uuid,uuid,uuid)']::regprocedure[]) f,
       unnest(array['anon', 'authenticated', 'service_role', 'kith_api', 'kith_service', 'kith_auth', 'kith_webhooks', 'kith_worker', 'kith_storage']) who
       where has_function_privilege(who, f, 'EXECUTE') $$,
    'only the checkout program asks');
select set_eq($$ select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'kith'::regnamespace and has_function_privilege('kith_checkout', p.oid, 'EXECUTE') $$,
    array['kith.begin_checkout(uuid,uuid,uuid,text,text)', 'kith.begin_portal(uuid,uuid,uuid)'], 'and it asks nothing else');
select is_empty($$ select c.oid::regclass from pg_class c where c.relnamespace = any ('{public,kith,auth}'::regnamespace[]) and c.relkind in ('r', 'v', 'm', 'p')
    and has_table_privilege('kith_checkout', c.oid, 'SELECT, INSERT, UPDATE, DELETE') $$, 'nor reads a table');

select finish();
rollback;
