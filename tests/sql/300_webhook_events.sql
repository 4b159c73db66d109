-- Goal: an event is applied once and leaves one row; what cannot be applied is
-- told in it, what may work next time leaves nothing; who goes is forgotten.  A3
-- Copies at the same time are in webhooks.t.
\ir ../lib/prelude.psql
select no_plan();

-- A provider for this file only: elevenlabs, with an event that does as it is told.
create or replace function kith.elevenlabs_event(e kith.webhook_events, settings jsonb) returns kith.webhook_events
language plpgsql volatile set search_path = '' as $$
begin
    insert into kith.jobs (kind, key) values ('test_effect', e.event_id || ' ' || gen_random_uuid());
    e.object_id := e.payload ->> 'object';
    e.customer_ref := e.payload ->> 'customer';
    e.user_id := (e.payload ->> 'user_id')::uuid;
    e.outcome := coalesce(e.payload ->> 'outcome', 'applied');
    e.detail := settings ->> 'note';
    if e.payload ? 'raise' then
        raise exception using errcode = e.payload ->> 'raise', message = 'words of a user', constraint = coalesce(e.payload ->> 'rule', '');
    end if;
    return e;
end
$$;
create function test.apply(event_id text, payload text default '{}', settings jsonb default null, type text default 'test', at text default '1790000000') returns text language sql as $$
    select kith.apply_event('elevenlabs', event_id, type, at, payload, '\xab', settings)
$$;
create function test.event(event_id text) returns kith.webhook_events language sql as $$ select e from kith.webhook_events e where e.event_id = event.event_id $$;
create function test.effects(event_id text) returns bigint language sql as $$ select count(*) from kith.jobs where kind = 'test_effect' and key like event_id || ' %' $$;

-- Once.
select is(test.apply('one', '{"object": "o1", "customer": "c1", "user_id": "0a0a0a0a-0000-4000-8000-00000000000a"}', '{"note": "n"}'), 'applied', 'an event is applied');
select is(to_jsonb(test.event('one')) - '{id,received_at,occurred_at}'::text[],
    '{"provider": "elevenlabs", "event_id": "one", "event_type": "test", "object_id": "o1", "customer_ref": "c1", "outcome": "applied", "detail": "n",
      "user_id": "0a0a0a0a-0000-4000-8000-00000000000a", "workspace_id": null, "payload": null, "body_sha256": "\\xab"}', 'and leaves its row');
select is((test.event('one')).occurred_at, to_timestamp(1790000000), 'with the provider''s time');
select is(test.apply('one', '{"object": "other"}'), 'duplicate', 'its copy is a duplicate');
select is(test.effects('one'), 1::bigint, 'without effect');
select is((test.event('one')).object_id, 'o1', 'and without trace');
select isnt(kith.apply_event('telegram', 'one', 'test', null, '{}', null), 'duplicate', 'the same id of another provider is another event');
select is((test.event('one')).payload, null, 'what users wrote is not kept');

-- What cannot be applied.
select is(test.apply('poison', '{"raise": "23514", "rule": "some_rule"}'), 'failed', 'a rule that is broken fails the event');
select is((test.event('poison')).detail, '23514 some_rule', 'the row tells the rule, and nothing of the message');
select is(test.effects('poison'), 0::bigint, 'what it did before is undone');
select is(test.apply('poison', '{}'), 'duplicate', 'it is not tried again by a copy');
select is(test.apply(name, payload, at => at), 'failed', 'failed: ' || name)
from (values
    ('no json', '{"a"', '1'), ('nothing', '', '1'), ('a number beyond numbers', '{"a": 1e999999}', '1'), ('no time', '{}', 'yesterday'),
    ('no end of time', '{}', 'infinity'), ('no such month', '{}', '2026-13-01T00:00:00Z'), ('a uuid that is none', '{"user_id": "x"}', '1')
) as f (name, payload, at);
select set_eq($$ select event_id, detail from kith.webhook_events where outcome = 'failed' and detail ~ '^22' $$, $$ values
    ('no json', '22P02'), ('nothing', '22P02'), ('a number beyond numbers', '22003'), ('no time', '22007'), ('no end of time', '22007'),
    ('no such month', '22008'), ('a uuid that is none', '22P02') $$, 'each with its state in the ledger');
select throws_ok($$ select test.apply('no outcome', '{"outcome": "x"}') $$, '23514', null, 'an outcome is one of six');
select throws_ok(format('select test.apply(%L, %L)', 'transient ' || state, jsonb_build_object('raise', state)), state, null, state || ' may work next time')
from unnest(array['08006', '40001', '40P01', '53300', '57P01', '55P03']) as state;
select is((select count(*) from kith.webhook_events where event_id like 'transient%'), 0::bigint, 'and leaves nothing');
select throws_ok($$ select kith.apply_event('stranger', 'x', 'x', null, '{}', null) $$, '23514', null, 'only known providers');
select throws_ok($$ select test.apply('') $$, '23514', null, 'an event has an id');
select is(test.apply('no type', '{}', type => null, at => null), 'applied', 'an event without type and time');

-- Reading.
select is(kith.event_time('1790000000'), '2026-09-21 14:13:20+00'::timestamptz, 'seconds');
select is(kith.event_time('1790000000.5'), '2026-09-21 14:13:20.5+00'::timestamptz, 'and parts of one');
select is(kith.event_time('2026-12-04T10:00:00.000000Z'), '2026-12-04 10:00:00+00'::timestamptz, 'RFC 3339');
select is(kith.event_time(null), null, 'no time');
select is(kith.event_uuid('0A0A0A0A-0000-4000-8000-00000000000A'), test.id('owner'), 'a uuid');
select is(kith.event_uuid(value), null, format('none: "%s"', value)) from unnest(array['', 'x', '0a0a0a0a-0000-4000-8000-00000000000', '{0a0a0a0a-0000-4000-8000-00000000000a}', null]) as value;

-- Again.
select is(kith.replay_event(0), null, 'no such event');
select throws_ok(format('select kith.replay_event(%s)', (test.event('poison')).id), '55000', null, 'an event whose payload is gone');
select is(kith.apply_event('stripe', 'again', 'customer.subscription.updated', '1790000000', '{"data": {"object": {"object": "subscription", "id": "sub_again", "customer": "cus_again", "status": "active"}}}', null),
    'unmatched', 'about nobody');
select is((test.event('again')).payload #>> '{data,object,id}', 'sub_again', 'payments are kept');
insert into kith.billing_customers (provider, customer_id, user_id) values ('stripe', 'cus_again', test.id('owner'));
select is(kith.replay_event((test.event('again')).id), 'applied', 'until somebody says whose it is');

-- Who is gone.
update public.subscriptions set stripe_subscription_id = null where user_id = test.id('owner');
delete from auth.users where id = test.id('owner');
select is(to_jsonb(test.event('again')) - '{id,received_at,occurred_at}'::text[],
    '{"provider": "stripe", "event_id": "again", "event_type": "customer.subscription.updated", "object_id": null, "customer_ref": null, "outcome": "applied",
      "detail": "unmapped_price", "user_id": null, "workspace_id": null, "payload": null, "body_sha256": null}', 'of an event about somebody who is gone the id stays');
select is((select to_jsonb(l) - '{seen_at,heard_at,seen_rank}'::text[] from kith.billing_links l where l.subscription_id = 'sub_again'),
    '{"provider": "stripe", "subscription_id": "sub_again", "customer_id": null, "user_id": null, "workspace_id": null, "raw_status": "active", "object_created": null}', 'as does that of the subscription');
select is((select count(*) from kith.billing_customers where customer_id = 'cus_again'), 0::bigint, 'their customer is forgotten');
select is(kith.apply_event('stripe', 'later', 'customer.subscription.deleted', '1790000001', '{"data": {"object": {"object": "subscription", "id": "sub_again", "customer": "cus_again", "status": "canceled"}}}', null),
    'unmatched', 'a later event is about nobody');
select is(to_jsonb(test.event('later')) - '{id,received_at,occurred_at}'::text[],
    '{"provider": "stripe", "event_id": "later", "event_type": "customer.subscription.deleted", "object_id": "sub_again", "customer_ref": null, "outcome": "unmatched",
      "detail": "account_gone", "user_id": null, "workspace_id": null, "payload": null, "body_sha256": null}', 'and is not kept');

-- A re-fetch is asked for once in ten seconds, and comes after them.
select kith.enqueue_reconcile('stripe', 'sub_r') from generate_series(1, 20) \g /dev/null
select cmp_ok((select count(*) from kith.jobs where payload ->> 'subscription_id' = 'sub_r'), '<=', 2::bigint, 'one job for many');
select ok(bool_and(run_at > clock_timestamp() + interval '3 seconds'), 'later than all of them') from kith.jobs where payload ->> 'subscription_id' = 'sub_r';

-- Rights.
create function test.as_webhooks(statement text) returns text language plpgsql as $$
begin
    set local session authorization kith_webhooks;
    execute statement;
    reset session authorization;
    return 'may';
exception when others then
    return sqlstate;
end
$$;
select is(test.as_webhooks(statement), '42501', 'kith_webhooks may not: ' || statement) from unnest(array[
    'select from kith.webhook_events', 'insert into kith.webhook_events (provider, event_id) values (''stripe'', ''x'')', 'select from kith.billing_links',
    'select from kith.billing_customers', 'select from kith.plan_prices', 'select from public.subscriptions', 'update public.workspaces set name = ''x''',
    'select from public.users', 'select from auth.users', 'select kith.enqueue(''x'')', 'select kith.replay_event(1)',
    'select kith.apply_event(''stripe'', ''x'', ''x'', ''1'', ''{}'', null)', 'set role authenticated', 'set role service_role', 'create table public.x ()'
]) as statement;
select set_eq($$
    select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname in ('public', 'kith', 'auth') and has_function_privilege('kith_webhooks', p.oid, 'EXECUTE') and p.proname not like 'apply\_%'
$$, array[]::text[], 'it calls what applies events, and nothing else');
select is(test.as_webhooks(format('select kith.apply_%s(''as %1$s'', ''x'', null, ''{}'')', provider)), 'may', 'it may apply events of ' || provider)
from unnest(array['stripe', 'lemonsqueezy']) as provider;

select finish();
rollback;
