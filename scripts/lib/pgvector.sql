-- From the stand-in for vectors to pgvector's own type: sql/005_extensions.sql
-- says what both are.  One transaction; the table of memories is locked while
-- its rows are rewritten.

\set ON_ERROR_STOP on
begin;
set local lock_timeout = '10s';
set local search_path = '';

select typtype <> 'd' as done from pg_catalog.pg_type where oid = 'extensions.vector'::pg_catalog.regtype \gset
\if :done
	\echo the database has pgvector
	\quit
\endif

-- The views of the dialects show the columns; they are made again afterwards.
-- An application's view stops the command, with its name.
do $$
declare
    v regclass;
begin
    for v in
        select distinct w.ev_class::regclass
        from pg_catalog.pg_attribute a
        join pg_catalog.pg_depend d on d.refobjid = a.attrelid and d.refobjsubid = a.attnum
        join pg_catalog.pg_rewrite w on w.oid = d.objid and d.classid = 'pg_rewrite'::regclass
        join pg_catalog.pg_class c on c.oid = w.ev_class
        where a.atttypid = 'extensions.vector'::regtype
            and 'dialects/' || c.relnamespace::regnamespace || '.sql' in (select m.name from kith.migrations m)
    loop
        execute format('drop view %s', v);
    end loop;
end
$$;
delete from kith.migrations where name like 'dialects/%';

alter domain extensions.vector rename to vector_bytes;
alter function extensions.vector_out(extensions.vector_bytes) rename to vector_bytes_out;
drop function extensions.vector_in(text);
create extension vector with schema extensions;
create function extensions.vector_in(value text) returns extensions.vector
language sql immutable strict parallel safe set search_path = ''
as $$ select value::extensions.vector(1536) $$;
comment on function extensions.vector_in(text) is 'An embedding of 1536 numbers from its text, [0.1,...].';
alter function extensions.vector_in(text) owner to kith_owner;
grant execute on all functions in schema extensions to anon, authenticated, service_role, kith_owner, kith_worker;

do $$
declare
    vectors record;
begin
    for vectors in
        select a.attrelid::regclass as relation, a.attname as name, c.relkind
        from pg_catalog.pg_attribute a
        join pg_catalog.pg_class c on c.oid = a.attrelid
        where a.atttypid = 'extensions.vector_bytes'::regtype and not a.attisdropped and c.relkind in ('r', 'p', 'c')
    loop
        if vectors.relkind = 'c' then
            execute format('alter type %s alter attribute %I set data type extensions.vector', vectors.relation, vectors.name);
        else
            execute format(
                'alter table %s alter column %I type extensions.vector(1536)'
                || ' using extensions.vector_bytes_out(%2$I)::extensions.vector(1536)',
                vectors.relation, vectors.name
            );
        end if;
    end loop;
end
$$;
drop function extensions.vector_bytes_out(extensions.vector_bytes);
drop domain extensions.vector_bytes;
commit;
