-- Goal: memories are their owner's, keyed, and no more than the plan allows.
\ir ../lib/prelude.psql
select no_plan();

create function test.keep(key text, content text) returns text language sql as $$
    select format('insert into public.memories (user_id, category, key, content) values (auth.uid(), ''work'', %L, %L)
        on conflict (user_id, category, key) do update set content = excluded.content, is_active = true', key, content)
$$;
select is(test.try('owner', test.keep('job', 'gardener')), '1', 'owner keeps a fact');
select is(test.try('owner', test.keep('job', 'florist')), '1', 'and revises it');
select is(test.try('stranger', test.keep('job', 'baker')), '1', 'stranger has a key of the same name');
select is(test.rows('owner', 'select key, content from public.memories'), '[{"key": "job", "content": "florist"}]', 'owner sees own');
select is(test.try('owner', test.keep(null, 'tea')), '1', 'without a key');
select is(test.try('owner', test.keep(null, 'tea')), '1', 'nothing collides');
select is(test.try('owner', format('update public.memories set %s', change)), '23514', 'refused: ' || change)
from unnest(array['importance = 1.1', 'importance = -0.1', 'importance = ''NaN''', 'content = ''''', 'content = repeat(''x'', 8001)', 'source_type = ''guess''']) as change;
select is(test.try('owner', format('update public.memories set user_id = %L', test.id('stranger'))), '42501', 'a memory cannot be given away');  -- D10
delete from public.memories where user_id in (test.id('owner'), test.id('stranger'));

-- The cap: free is 100.
create function test.state() returns text language sql as $$
    select count(*) filter (where is_active) || ' active of ' || count(*) || ', retired: '
        || coalesce(string_agg(content, ' ' order by content) filter (where not is_active), 'none')
    from public.memories where user_id = test.id('owner')
$$;
create function test.add(content text, importance float8 default 0.5, expires text default null) returns text language sql as $$
    select format('insert into public.memories (content, importance, created_at, expires_at) values (%L, %s, clock_timestamp(), %L)', content, importance, expires)
$$;
select is(test.try('owner', 'insert into public.memories (content, importance, created_at) select ''m'' || i, 0.5, now() - interval ''1 day'' + i * interval ''1 s'' from generate_series(1, 100) i'), '100', 'a hundred at once');
select is(test.state(), '100 active of 100, retired: none', 'fit');
select is(test.try('owner', test.add('new')), '1', 'one more');
select is(test.state(), '100 active of 101, retired: m1', 'retires the oldest of the least important');
update public.memories set importance = 0.1 where user_id = test.id('owner') and content = 'm50';
select is(test.try('owner', test.add('newer')), '1', 'one more');
select is(test.state(), '100 active of 102, retired: m1 m50', 'retires the least important');
select is(test.try('owner', test.add('gone', 0.9, '2000-01-01')), '1', 'one that has expired');
select is(test.state(), '101 active of 103, retired: m1 m50', 'does not count');
select is(test.try('owner', 'update public.memories set is_active = true, importance = 1 where content = ''m50'''), '1', 'reviving one');
select is(test.state(), '101 active of 103, retired: m1 m2', 'retires another');
select is(test.try('owner', 'update public.memories set expires_at = null where content = ''gone'''), '1', 'so does a later expiry');
select is(test.state(), '100 active of 103, retired: m1 m2 m3', 'of the one that had expired');
select is(test.try('owner', 'update public.memories set content = content where is_active'), '100', 'other changes');
select is(test.state(), '100 active of 103, retired: m1 m2 m3', 'retire nothing');
select is(test.try('owner', 'insert into public.memories (content, is_active) values (''m0'', false)'), '1', 'an inactive one');
select is(test.state(), '100 active of 104, retired: m0 m1 m2 m3', 'retires nothing');
select is((select count(*)::int from public.memories where user_id = test.id('stranger')), 0, 'stranger''s are another matter');
update public.subscriptions set plan = 'pro' where user_id = test.id('owner');
select is(test.try('owner', test.add('more')), '1', 'a better plan');
select is(test.state(), '101 active of 105, retired: m0 m1 m2 m3', 'has more room');

select finish();
rollback;
