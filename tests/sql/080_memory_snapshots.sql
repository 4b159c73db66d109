-- Goal: a memory's versions are the server's, without gaps; what it has yet to
-- take in is queued once.
\ir ../lib/prelude.psql
select no_plan();

-- What the program does before it calls: it leaves what it computed.
create function test.save(who text, document text, computed text, metadata text default null) returns text language plpgsql as $$
begin
    perform set_config('kith.computed', computed, true);
    return test.try(who, format('select public.save_memory(%L, %L)', document, metadata));
end
$$;
create function test.stored() returns text language sql as $$
    select coalesce(string_agg(format('%s%s %s', version, case when is_checkpoint then '!' end, operations), ', ' order by version), 'none')
    from public.memory_snapshots where user_id = test.id('owner')
$$;

select is(test.save('owner', '{}', null), '0A000', 'only through the program');
select is(test.save('owner', '{}', ''), '0A000', 'not with what an earlier transaction left');
select is(test.save('anon', '{}', '{"after": 0}'), '42501', 'only signed in');
select is(test.save('nobody', '{}', '{"after": 0}'), '42501', 'with an account');
select is(test.save('service', '{}', '{"after": 0}'), '42501', 'as a user');
select is(test.save('owner', document, '{"after": 0}'), '22023', coalesce(document, 'null') || ' is no document')
from unnest(array['1', '"a"', 'null', 'true', null]) document;
select is(test.save('owner', '{"a": 1}', computed), '40001', computed || ' was computed for another version')
from unnest(array['{"after": 1}', '{"after": -1}', '{"after": null}', '{}']) computed;
select is(test.stored(), 'none', 'nothing is stored');

select is(test.save('owner', '{"a": 1}', '{"after": 0}'), '1', 'the first version');
select is(test.stored(), '1! [{"op": "add", "path": "", "value": {"a": 1}}]', 'is whole');
select is(test.save('owner', '{"a": 2}', '{"after": 0, "operations": []}'), '40001', 'it has a number once');
select is(test.save('owner', '{"a": 2}', '{"after": 1, "operations": 7}'), '23514', 'a patch is an array');
select is(test.save('owner', '{"a": 2}', '{"after": 1, "operations": [{"op": "replace", "path": "/a", "value": 12345678901234567890123}]}', '{"by": "test"}'), '1', 'the second one');
select is(test.save('owner', '{"a": 2}', '{"after": 2, "operations": []}'), '1', 'the third, which is the same');
select is(test.save('owner', '[3]', '{"after": 3, "operations": null}'), '1', 'the fourth, without a patch');
select is(test.stored(), '1! [{"op": "add", "path": "", "value": {"a": 1}}], 2 [{"op": "replace", "path": "/a", "value": 12345678901234567890123}], 3 [], '
    '4! [{"op": "add", "path": "", "value": [3]}]', 'differences are stored, what has none is whole');
select is(jsonb_agg(metadata order by version), '[{}, {"by": "test"}, {}, {}]', 'metadata is kept') from public.memory_snapshots where user_id = test.id('owner');
select is(test.save('stranger', '{}', '{"after": 0}'), '1', 'each user counts from 1');

-- Checkpoints.
create function test.checkpoints(versions int) returns text language plpgsql as $$
begin
    delete from public.memory_snapshots where user_id = test.id('owner');
    for i in 1 .. versions loop
        perform test.save('owner', '{}', format('{"after": %s, "operations": []}', i - 1));
    end loop;
    return (select string_agg(version::text, ' ' order by version) from public.memory_snapshots where user_id = test.id('owner') and is_checkpoint);
end
$$;
select is(test.checkpoints(101), '1 50 100', 'a checkpoint is every fiftieth version, and the first');
set local kith.memory_checkpoint_interval = 4;
select is(test.checkpoints(9), '1 4 8', 'or as the setting says');
set local kith.memory_checkpoint_interval = '';

-- Reading.
create function test.read(who text, computed text, version text default '') returns text language plpgsql as $$
declare
    result text;
begin
    perform set_config('kith.computed', computed, true);
    perform test.become(who);
    execute format('select public.reconstruct_memory(%s)', version) into result;
    reset role;
    perform set_config('request.jwt.claims', '', true);
    return coalesce(result, 'null');
exception when others then
    return sqlstate || ' ' || sqlerrm;
end
$$;
select is(test.read('owner', null), '0A000 reconstruct_memory can only be called through the API', 'only through the program');
select is(test.read('owner', E'9\n{"n": 1.0}'), '{"n": 1.0}', 'as the program made it');
select is(test.read('owner', E'9\n{"n": 1.0}', '9'), '{"n": 1.0}', 'at a version');
select is(test.read('owner', E'9\n{}', '10'), 'PT404 there is no version 10 of the memory', 'not of another version');
select is(test.read('owner', E'0\n', '0'), 'PT404 there is no version 0 of the memory', 'nor of one that is not there');
select is(test.read('owner', E'0\n'), 'null', 'nothing, when nothing was saved');
select is(left(test.read('anon', E'0\n'), 5), '42501', 'anon may not ask');

-- The queue.
create function test.queue(who text, columns text, "values" text, more text default '') returns text language sql as $$
    select test.try(who, format('insert into public.memory_updates (%s) values (%s) %s', columns, "values", more))
$$;
\set ref '\'0d0d0d0d-0000-4000-8000-000000000001\''
select is(test.queue('owner', 'kind, ref_id', quote_literal(kind) || ', ' || quote_literal(:ref)), '1', kind || ' is queued') from unnest(array['session', 'check_in', 'insight']) kind;
select is(test.queue('owner', 'kind, ref_id', format('''session'', %L', :ref)), '23505', 'once');
select is(test.queue('owner', 'kind, ref_id', format('''session'', %L', :ref), 'on conflict (user_id, kind, ref_id) do nothing'), '0', 'as often as a client likes');
select is(test.queue('owner', 'kind, ref_id', format('''session'', %L', :ref), 'on conflict (user_id, kind, ref_id) do update set kind = excluded.kind, ref_id = excluded.ref_id'), '1', 'by any upsert');
select is(test.queue('stranger', 'kind, ref_id', format('''session'', %L', :ref)), '1', 'stranger has a queue too');
select is(test.queue('owner', 'user_id, kind, ref_id', format('%L, ''session'', gen_random_uuid()', test.id('stranger'))), '42501', 'for themselves');
select is(test.queue('owner', 'kind, ref_id', '''dream'', gen_random_uuid()'), '23514', 'other kinds are not known');
select is(test.try('owner', 'update public.memory_updates set ' || change), '42501', 'refused: ' || change)
from unnest(array['kind = ''session'', ref_id = gen_random_uuid()', 'processed = true', 'attempts = 1', 'last_error = ''''', 'processed_at = now()']) change;
select is(test.try('owner', 'delete from public.memory_updates'), '42501', 'what was queued stays');
select is(test.rows('owner', 'select kind, processed, attempts, last_error, processed_at from public.memory_updates order by kind limit 1'),
    '[{"kind": "check_in", "attempts": 0, "processed": false, "last_error": null, "processed_at": null}]', 'and waits');
select is(test.try('service', format('update public.memory_updates set processed = true where user_id = %L and kind = ''session''', test.id('owner'))), '1', 'the server takes it');
select is(test.rows('owner', 'select kind, processed_at = now() as done from public.memory_updates order by kind'),
    '[{"done": null, "kind": "check_in"}, {"done": null, "kind": "insight"}, {"done": true, "kind": "session"}]', 'and notes when');
select is(test.try('service', format('update public.memory_updates set processed = false where user_id = %L', test.id('owner'))), '3', 'to be done again');
select is((select count(processed_at) from public.memory_updates where user_id = test.id('owner')), 0::bigint, 'it has no time');

delete from auth.users where id = test.id('owner');
select is(s + u, 0::bigint, 'a deleted user leaves none') from (select count(*) from public.memory_snapshots where user_id = test.id('owner')) a (s),
    (select count(*) from public.memory_updates where user_id = test.id('owner')) b (u);

select finish();
rollback;
