-- Goal: everybody reads the plans and their own subscription; nobody writes them.
\ir ../lib/prelude.psql
select no_plan();

select is(test.rows(who, 'select id from public.plans order by id'),
    '[{"id": "essential"}, {"id": "family_archive"}, {"id": "free"}, {"id": "pro"}]', who || ' reads the plans')
from unnest(array['anon', 'owner', 'service']) as who;
select is((limits ->> 'active_memories')::int, 100, 'free is 100 memories') from public.plans where id = 'free';
select is_empty($$ select id from public.plans where not limits ?& array['active_memories', 'profiles', 'voice_messages_per_month', 'storage_bytes', 'documents'] $$,
    'every plan names every limit');

select is(test.rows('owner', 'select plan, status from public.subscriptions'), '[{"plan": "free", "status": "active"}]',
    'owner reads own subscription, made at sign-up');
select is(test.try('owner', 'update public.subscriptions set plan = ''pro'''), '42501', 'owner cannot change it');
select is(test.try('owner', 'insert into public.subscriptions (user_id) values (auth.uid())'), '42501', 'nor make one');
select is(test.try('owner', 'delete from public.subscriptions'), '42501', 'nor delete it');
select is(test.try('service', format('update public.subscriptions set plan = ''essential'' where user_id = %L', test.id('owner'))), '1', 'the service does');
select is(test.try('service', format('update public.subscriptions set status = ''paid'' where user_id = %L', test.id('owner'))), '23514', 'with known words only');
select is(test.try('service', format('insert into public.subscriptions (user_id) values (%L)', test.id('owner'))), '23505', 'one per user');

select finish();
rollback;
