-- Goal: a user has one row of onboarding, and who is through has a time.
\ir ../lib/prelude.psql
select no_plan();

create function test.save(assignments text) returns text language sql as $$
    select format('insert into public.onboarding (user_id, %1$s) values (auth.uid(), %2$s) on conflict (user_id) do update set (user_id, %1$s) = row (excluded.user_id, %3$s)',
        (select string_agg(split_part(a, '=', 1), ',') from regexp_split_to_table(assignments, ' ') a),
        (select string_agg(split_part(a, '=', 2), ',') from regexp_split_to_table(assignments, ' ') a),
        (select string_agg('excluded.' || split_part(a, '=', 1), ',') from regexp_split_to_table(assignments, ' ') a))
$$;
create function test.state() returns text language sql as $$
    select concat_ws(' ', count(*), max(current_step), bool_and(completed), max(data::text), max(case completed_at when now() then 'now' else to_char(completed_at, 'YYYY') end))
    from public.onboarding where user_id = test.id('owner')
$$;

select is(test.try('owner', test.save('current_step=1')), '1', 'the first save makes the row');
select is(test.state(), '1 1 f {}', 'of a user who is not through');
select is(test.try('owner', test.save($$current_step=2 data='{"name":"Ana"}'$$)), '1', 'the next save');
select is(test.state(), '1 2 f {"name": "Ana"}', 'changes it');
select is(test.try('owner', test.save('completed=true')), '1', 'the user is through');
select is(test.state(), '1 2 t {"name": "Ana"} now', 'and has a time');
update public.onboarding set completed_at = '2001-01-01' where user_id = test.id('owner');
select is(test.try('owner', test.save('completed=true')), '1', 'through once more');
select is(test.state(), '1 2 t {"name": "Ana"} 2001', 'the first time stays');
select is(test.try('owner', 'update public.onboarding set completed_at = null'), '1', 'nor can it be taken away');
select is(test.state(), '1 2 t {"name": "Ana"} 2001', 'from who is through');
select is(test.try('owner', test.save('completed=true completed_at=''2002-02-02''')), '1', 'a time that the client gives');
select is(test.state(), '1 2 t {"name": "Ana"} 2002', 'is taken');
select is(test.try('owner', test.save('completed=false current_step=0')), '1', 'beginning anew');
select is(test.state(), '1 0 f {"name": "Ana"}', 'clears the time');
select is(test.try('owner', test.save('completed_at=now()')), '1', 'a time alone');
select is(test.state(), '1 0 f {"name": "Ana"}', 'makes nobody through');

select is(test.try('owner', 'insert into public.onboarding default values'), '23505', 'a second row is refused');
select is(test.try('owner', test.save('current_step=-1')), '23514', 'there is no step before the first');
select is(test.try('stranger', 'insert into public.onboarding default values'), '1', 'stranger has their own');
select is(test.rows('service', format($$ update public.onboarding set completed = true where user_id = %L returning completed_at = now() as timed $$, test.id('stranger'))), '[{"timed": true}]', 'the service''s change is timed too');

select finish();
rollback;
