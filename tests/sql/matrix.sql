-- Goal: who may do what to whose row, for every relation, column and function
-- that there is.  These, and the foreign keys, come from the catalogue, the
-- expected answers from matrix.psql; what is in one and not in the other fails.
-- `make mutate` breaks one rule after the other and has this find out.  D1 D2
\ir ../lib/prelude.psql
select no_plan();
\ir catalogue.psql
\ir fixtures.psql
-- As the storage program does: without it, no policy is asked whether a file may be deleted.
set local storage.allow_delete_query = 'true';
-- How many rows one may have is told in 310_plan_limits.sql.
update public.plans set limits = '{}';

-- The file names exactly what there is.
select set_eq('select name from test.expected_cells', 'select name from test.relations', 'every relation has its lines, and no line is without a relation');
select is_empty($$ select name from test.expected_cells group by name having count(distinct who) <> 4 or count(*) <> 4 $$, 'four lines each');
select set_eq('select name from test.columns', 'select name from test.expected_columns', 'every column has its line, and no line is without a column');
select set_eq($$ select signature, name from test.functions where prorettype <> 'trigger'::regtype $$,
    $$ select f.signature, e.name from test.expected_calls e left join test.functions f using (name) $$, 'every function has its line, and no line is without a function');
select is_empty('select * from test.wrong_rights()', 'nobody has another right than expected');

select test.row(relation, who) from test.tables, unnest(array['owner', 'stranger']) who \g /dev/null
select is(count(*), 2 * (select count(*) from test.tables) - 2, 'both users own a row in every table') from test.fixtures;

-- D1: each cell acts on the owner's row, and is undone.
create function test.cell(relation regclass, who text, action text) returns text language plpgsql as $$
declare
    id text := test.row(relation, 'owner');
    -- What anybody may update, else what nobody may.
    changed text := (select column_name from test.columns c where c.relation = cell.relation order by updatable desc, column_name = 'created_at' desc, attnum limit 1);
begin
    return test.probe(who, case action
        when 'select' then format('select from %s where id = %L', relation, id)
        when 'insert' then test.insert(relation, 'owner')
        when 'update' then format('update %s set %I = %2$I where id = %3$L', relation, changed, id)
        when 'delete' then format('delete from %s where id = %L', relation, id)
        when 'merge_new' then test.insert(relation, 'owner') || format(' on conflict (id) do update set %I = excluded.%1$I', changed)
        when 'merge_old' then test.insert(relation, 'owner', id) || format(' on conflict (id) do update set %I = excluded.%1$I', changed)
    end);
end
$$;
select is(test.cell(r.relation, e.who, c.action), c.expected, format('%s: %s of the owner''s row by %s', r.name, c.action, e.who))
from test.relations r
join test.expected_cells e using (name),
lateral (values ('select', e.may_select), ('insert', e.may_insert), ('update', e.may_update), ('delete', e.may_delete),
    ('merge_new', e.may_merge_new), ('merge_old', e.may_merge_old)) as c (action, expected);

-- D10: a filter on another's id finds nothing, and says nothing.
select is(test.probe('stranger', format('select from %s where id = %L', relation, test.row(relation, 'owner'))), '0', name || ': another''s id is no row')
from test.relations where base <> 'public.plans'::regclass;

-- A policy for each verb: also where no condition asks to read the row, and not into another's folder.
select is(test.probe('stranger', statement), '1', 'of one''s own only: ' || statement)
from unnest(array['update storage.objects set user_metadata = ''{}''', 'delete from storage.objects']) statement;
select is(test.probe('owner', format('update storage.objects set name = %L', test.id('stranger') || '/x')), '42501', 'no file is moved into another''s folder');

-- D9: what the server keeps, the owner cannot write, in whatever way.
-- Seen with the owner's eyes: other sessions write at the same time.
create function test.content(relation regclass) returns jsonb language sql as $$
    select test.rows('owner', format('select * from %s order by id', relation))
$$;
create table test.before as select relation, test.content(relation) as content from test.tables;
select is(test.try('owner', test.insert(relation, 'owner', given => jsonb_build_object(column_name, test.value(c, 'owner')))), kept, name || ': not by insert')
from test.columns c where not insertable and parent is null;
select is(test.try('owner', format('update %s set %I = %2$I where id = %L', relation, column_name, test.row(relation, 'owner'))), kept, name || ': not by update')
from test.columns c where not updatable;
select is(test.try('owner', test.insert(relation, 'owner', test.row(relation, 'owner')) || format(' on conflict (id) do update set %I = excluded.%1$I', column_name)), kept, name || ': not by upsert')
from test.columns c where not updatable;
select is(test.content(relation), content, relation || ': nothing was written') from test.before;

-- D10: nothing can be given away, or moved into what is another's.
select is(test.try('owner', format('update %s set %I = %L where id = %L', c.relation, column_name, test.row(parent, 'stranger'), test.row(c.relation, 'owner'))), '42501',
    name || ': cannot become the stranger''s')
from test.columns c where parent is not null and parent <> 'public.plans'::regclass;
-- Without a condition, PostgreSQL does not ask whether the new row may be read.
select is(test.probe('owner', format('update %s set %I = %L', c.relation, column_name, test.row(parent, 'stranger'))), '42501',
    name || ': nor if all of them do')
from test.columns c where parent is not null and parent <> 'public.plans'::regclass and updatable;

-- D7: the parent must be one's own; that it exists makes no difference.
select is(test.probe('stranger', test.insert(relation, 'stranger', given => jsonb_build_object(column_name, quote_literal(p.id)))), '42501',
    format('%s: %s', name, p.whose))
from test.columns c, lateral (values (test.row(c.parent, 'owner'), 'another''s parent is refused'), (gen_random_uuid()::text, 'so is one that is not there')) as p (id, whose)
where parent is not null and parent <> 'public.plans'::regclass and insertable;
select is(test.probe('stranger', test.insert(relation, 'stranger', given => jsonb_build_object(column_name, quote_literal(test.row(c.parent, 'stranger'))))), expected,
    format('%s: one''s own is taken', name))
from test.columns c, lateral (
    -- Where there is one row for each parent, the fixture is it.
    select case when exists (select from pg_index i where i.indrelid = base and i.indisunique and i.indkey::text = base_attnum::text)
        then '23505' else '1' end as expected
) e
where parent is not null and parent <> 'public.plans'::regclass and insertable;

-- What depends on more than whose the row is: mail goes to the user alone, a
-- message that is on its way stays, and an agent records for its caller only.
select is(test.probe('owner', test.insert('public.scheduled_messages', 'owner', given => jsonb_build_object('recipient_email', quote_literal(address)))), expected, 'mail to ' || address)
from (values ('owner@kith.test', '1'), ('stranger@kith.test', '42501')) as t (address, expected);
select is(test.probe('owner', format('update public.scheduled_messages set recipient_email = %L where id = %L', address, test.row('public.scheduled_messages', 'owner'))), expected, 'also later, to ' || address)
from (values ('owner@kith.test', '1'), ('stranger@kith.test', '42501')) as t (address, expected);
update public.scheduled_messages set status = 'sending' where id = test.row('public.scheduled_messages', 'owner')::uuid;
select is(test.probe('owner', format(statement, test.row('public.scheduled_messages', 'owner'))), '0', 'on its way: ' || statement)
from unnest(array['update public.scheduled_messages set subject = ''x'' where id = %L', 'delete from public.scheduled_messages where id = %L']) statement;
grant insert (user_id) on public.agent_actions to kith_agent;  -- it has no such right, and the policy would refuse too
select is(test.probe('agent', format($$ insert into public.agent_actions (user_id, action_type, entity_type, entity_id) values (%L, 'update_part', 'part', gen_random_uuid()) $$, test.id(who))),
    expected, 'the agent of the owner records for the ' || who)
from (values ('owner', '1'), ('stranger', '42501')) as t (who, expected);
select is(test.probe('agent', format($$ insert into public.agent_actions (session_id, action_type, entity_type, entity_id) values (%L, 'update_part', 'part', gen_random_uuid()) $$,
    test.row('public.conversations', who))), expected, 'and in a session of the ' || who)
from (values ('owner', '1'), ('stranger', '42501')) as t (who, expected);

-- D6: functions, called with the ids of the owner's rows.
select is(test.probe(who, test.call(e.name, e.arguments)), expected, format('%s, called by %s', e.name, who))
from test.expected_calls e, lateral (values ('anon', e.anon), ('owner', e.owner), ('stranger', e.stranger), ('service', e.service)) as c (who, expected);

-- D13: somebody whose account is gone sees and writes nothing.
select is(test.probe('nobody', format('select from %s', relation)), '0', name || ': a deleted user sees nothing')
from test.relations where base <> 'public.plans'::regclass;
select is(test.probe('nobody', test.insert(relation, 'owner')), '42501', name || ': and writes nothing') from test.relations;

-- D11 A14: deleting a user leaves nothing of theirs, and all of the other's.
create function test.nobodys() returns regclass[] language sql as $$ select array['public.plans', 'storage.buckets']::regclass[] $$;
create function test.rows_of(who text) returns jsonb language plpgsql as $$
declare
    r record;
    n bigint;
    result jsonb := '{}';
begin
    for r in select f.relation, f.id from test.fixtures f where f.who = rows_of.who and f.relation <> all (test.nobodys()) loop
        execute format('select count(*) from %s where id::text = %L', r.relation, r.id) into n;
        result := result || jsonb_build_object(r.relation, n);
    end loop;
    return result;
end
$$;
create table test.of_stranger as select test.rows_of('stranger') as rows;
create table test.export as select test.rows('owner', 'select public.export_my_data() as export') #> '{0,export,tables}' as tables;
select ok(exists (select from jsonb_array_elements(tables -> split_part(r.name, '.', 2)) e where e ->> 'id' = f.id), r.name || ': is exported')
from test.relations r join test.fixtures f using (relation), test.export
where f.who = 'owner' and r.is_public and r.name <> 'public.plans';
select is_empty($$ select f.relation from test.fixtures f, test.export where f.who = 'stranger' and f.relation <> all (test.nobodys()) and position(f.id in tables::text) > 0 $$,
    'nothing of the stranger is');
select is(test.try('owner', 'select public.delete_my_account()'), '1', 'the owner erases the account');
select is((select sum(value::int) from jsonb_each_text(test.rows_of('owner'))), 0::bigint, 'nothing of the owner is left');
select is(test.rows_of('stranger'), rows, 'the stranger lost nothing') from test.of_stranger;

select finish();
rollback;
