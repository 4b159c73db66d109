-- Goal: the status of a mail only goes up, whatever comes twice or late, and who does not want mail gets none.
\ir ../lib/prelude.psql
select no_plan();

create sequence test.events;
create table test.mails (name text primary key, message uuid, delivery uuid);
create function test.mail(mail text, message_status text default 'sent', status text default 'sent') returns void language sql as $$
    with m as (
        insert into public.scheduled_messages (user_id, channel, scheduled_for, status) values (test.id('owner'), 'email', now(), message_status) returning id
    ), l as (
        insert into public.email_delivery_log (scheduled_message_id, recipient, status, status_updated_at, provider_message_id)
        select id, 'ana@example.net', mail.status, '2026-11-20 08:00:00Z', case when message_status = 'sent' then 're_' || mail end from m
        returning id, scheduled_message_id
    )
    insert into test.mails select mail, scheduled_message_id, id from l
$$;
-- What Resend sends about a mail, so many seconds after it was sent.
create function test.event(status text, mail text, seconds numeric, data jsonb default '{}', svix_id text default 'msg_' || nextval('test.events')) returns text language sql as $$
    select kith.apply_resend(svix_id, 'email.' || status, to_char('2026-11-20 08:00:00Z'::timestamptz at time zone 'UTC' + seconds * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        jsonb_build_object('type', 'email.' || status, 'data', jsonb_build_object('email_id', 're_' || mail, 'to', '["Ana@Example.net"]'::jsonb) || data)::text, null)
$$;
create function test.state(mail text) returns text language sql as $$
    select concat_ws(' ', l.status, extract(epoch from l.status_updated_at - '2026-11-20 08:00:00Z')::numeric(9, 3), m.status, m.failure_reason)
    from test.mails t join public.email_delivery_log l on l.id = t.delivery join public.scheduled_messages m on m.id = t.message where t.name = mail
$$;
create function test.tag(mail text) returns jsonb language sql as $$
    select jsonb_build_object('email_id', 're_unknown_' || mail, 'tags', jsonb_build_object('kith_log_id', delivery)) from test.mails where name = mail
$$;

select test.mail('a'), test.mail('b', 'sending', 'queued'), test.mail('c'), test.mail('d'), test.mail('e', 'canceled'), test.mail('f') \g /dev/null

-- Up, and never down.
select is(test.event('delivered', 'a', 2.31), 'applied', 'a mail is delivered');
select is(test.state('a'), 'delivered 2.310 sent', 'at the time that the provider says');
select is(test.event('sent', 'a', 3), 'stale', 'what is less comes late, whatever its time');
select is(test.event('delivery_delayed', 'a', 4), 'stale', 'this too');
select is(test.event('delivered', 'a', 1), 'stale', 'the same of an earlier time');
select is(test.state('a'), 'delivered 2.310 sent', 'and all that changes nothing');
select is(test.event('delivered', 'a', 5), 'applied', 'the same of a later time does');
select is(test.event('opened', 'a', 6, svix_id => 'msg_one'), 'applied', 'a mail is opened');
select is(test.event('opened', 'a', 7, svix_id => 'msg_one'), 'duplicate', 'an event counts once');
select is(test.event('clicked', 'a', 1), 'applied', 'more is more, though it be earlier');
select is(test.state('a'), 'clicked 1.000 sent', 'as it was said');
select is(array(select test.event(s, 'f', 60 - n) || ' ' || test.state('f')
        from unnest(array['scheduled', 'sent', 'delivery_delayed', 'delivered', 'opened', 'clicked', 'failed', 'complained']) with ordinality as t (s, n)),
    '{"stale sent 0.000 sent","applied sent 58.000 sent","applied delayed 57.000 sent","applied delivered 56.000 sent","applied opened 55.000 sent","applied clicked 54.000 sent","applied failed 53.000 failed failed","applied complained 52.000 failed complained"}',
    'this is how far a mail comes');

-- Which mail.
select is(test.event('delivered', 'b', 2), 'unmatched', 'a mail whose name is not known yet is nobody''s');
select is(test.event('delivered', 'b', 2, test.tag('b')), 'applied', 'but for the tag that was sent along');
select is((select provider_message_id from public.email_delivery_log l join test.mails t on t.delivery = l.id where t.name = 'b'), 're_unknown_b', 'and its name is known from then on');
select is((select count(*) from kith.finish_message((select message from test.mails where name = 'b'), 0, 'sent', provider_message_id => 're_unknown_b') f where f), 1::bigint,
    'our own note, which comes later');
select is(test.state('b'), 'delivered 2.000 sent', 'does not take it back');
select is(test.event('opened', 'a', 8, '{"email_id": "re_nobody", "tags": [{"name": "kith_log_id", "value": "x"}]}'), 'unmatched', 'tags that are none');
select is(test.event('opened', 'a', 8, '{"email_id": "re_nobody", "tags": {"kith_log_id": "x"}}'), 'unmatched', 'or no id');
select is(test.event('opened', 'a', 8, '{"email_id": null, "to": null}'), 'unmatched', 'name nothing');
update public.email_delivery_log set provider = 'smtp' where id = (select delivery from test.mails where name = 'a');
select is(test.event('complained', 'a', 9, '{"to": []}'), 'unmatched', 'a mail that went another way is not Resend''s');
select is((select concat_ws(' ', object_id, user_id = test.id('owner'), payload) from kith.webhook_events where event_id = 'msg_one'), 're_a t', 'the ledger says which and whose, not what');

-- Who gets no mail any more.
delete from kith.do_not_send where address = 'ana@example.net';
select is(test.event('bounced', 'c', 3, '{"bounce": {"type": "Transient", "subType": "MailboxFull", "message": "the box is full"}}'), 'applied', 'a mail comes back');
select is(test.state('c'), 'bounced 3.000 failed the box is full', 'so it failed, and why is known');
select is(kith.refused_address('ana@example.net', false), null, 'for a while: the next one is sent');
select is(test.event('bounced', 'c', 4, '{"bounce": {"type": "Permanent", "subType": "General", "message": "no such user"}}'), 'applied', 'for good');
select is(test.state('c'), 'bounced 4.000 failed no such user', 'it failed');
select is(kith.refused_address('ana@example.net', false), 'the address is on the do-not-send list: bounced', 'and no other is sent');
select is(kith.refused_address('ANA@Example.NET', true), 'the address is on the do-not-send list: bounced', 'however the address is written, and whoever asked');
select is(kith.refused_address('ben@example.net', false), null, 'others get theirs');
select is(test.event('complained', 'd', 3), 'applied', 'who calls it spam');
select is(test.state('d'), 'complained 3.000 failed complained', 'ends it');
select is(kith.refused_address('ana@example.net', false), 'the address is on the do-not-send list: complained', 'gets none');
select is(kith.refused_address('ana@example.net', true), null, 'but for those that they ask for');
select is(test.event('suppressed', 'e', 3, test.tag('e') || '{"to": ["ben@example.net", "Cleo@example.net"], "suppressed": {"message": "on the list", "type": "x"}}'), 'applied', 'a list of the provider''s');
select is(test.state('e'), 'suppressed 3.000 canceled', 'leaves what was canceled as it is');
select is((select jsonb_object_agg(address, reason || ': ' || detail) from kith.do_not_send where address in ('ben@example.net', 'cleo@example.net')),
    '{"ben@example.net": "suppressed: on the list", "cleo@example.net": "suppressed: on the list"}', 'and is ours from then on');
select is(test.event('bounced', 'nobody', 3, '{"to": ["dan@example.net"], "bounce": {"type": "Permanent"}}'), 'unmatched', 'a mail that is in no log');
select is(kith.refused_address('dan@example.net', true), 'the address is on the do-not-send list: bounced', 'tells of its address too');
select is(test.event('bounced', 'nobody', 3, '{"to": "eve@example.net", "bounce": {"type": "Permanent"}}'), 'unmatched', 'one that is to no list of addresses tells of none');

select is((select count(*) from kith.do_not_send where address = 'owner@kith.test'), 0::bigint, 'the owner is not on the list');
select is(test.event('complained', 'nobody', 3, '{"to": ["Owner@kith.test", "stranger@kith.test"]}'), 'unmatched', 'two complain');

-- What is about something else.
select is(array(select distinct kith.apply_resend('msg_' || t, t, '2026-11-20T08:00:00Z', '{}', null)
        from unnest(array['email.received', 'contact.created', 'domain.updated', 'suppression.created', 'email.new', 'x']) t), '{ignored}', 'other events are in the ledger only');
select is(kith.apply_resend('msg_none', null, null, '{}', null), 'ignored', 'and so is one without a type');
select is(kith.apply_resend('msg_late', 'email.opened', 'yesterday', '{"data": {}}', null), 'failed', 'a time that is none fails');
select is(test.event('opened', 'd', 1, svix_id => 'msg_later'), 'stale', 'nothing comes after a complaint');
insert into kith.webhook_events (provider, event_id) values ('resend', 'x');
select is(kith.apply_resend('msg_timeless', 'email.clicked', null, jsonb_build_object('data', jsonb_build_object('email_id', 're_c'))::text, null), 'stale', 'an event without a time is as late as can be');

delete from auth.users where id = test.id('owner');
select is(array(select address from kith.do_not_send where address like '%@kith.test'), '{stranger@kith.test}', 'with an account goes what is known of its address');

select is_empty($$
    select who, f
    from unnest(array['anon', 'authenticated', 'service_role', 'kith_api', 'kith_service', 'kith_auth', 'kith_storage']) who,
        unnest(array['kith.apply_resend(text,text,text,text,bytea)', 'kith.refused_address(text,boolean)', 'kith.block_addresses(text,jsonb)']::regprocedure[]) f
    where has_function_privilege(who, f, 'execute')
$$, 'events are the webhook program''s alone, and the list is the worker''s');
select is(array(select who from unnest(array['kith_webhooks', 'kith_worker']) who where has_function_privilege(who, 'kith.block_addresses(text,jsonb)', 'execute')), '{}',
    'neither writes the list by hand');

select finish();
rollback;
