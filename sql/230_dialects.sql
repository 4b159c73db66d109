-- Dialects: what the files of sql/dialects/ are written with.
--
-- A dialect is a schema of views, one for each table of a system's own data
-- model.  A view looks and writes with the rights of who asks, so the policies
-- and grants of its table hold; the grants of the view say the same once more.

set local role kith_owner;

create procedure kith.follow_table(view regclass, base regclass, renamed jsonb default '{}')
language plpgsql set search_path = ''
as $$
declare
    shown record;
    who text;
    verb text;
    columns text;
begin
    -- A comment of the view's own, or a default or a right, is said after the call.
    execute pg_catalog.format('comment on view %s is %L', view, pg_catalog.obj_description(base, 'pg_class'));
    for shown in
        select v.attname as name, pg_catalog.col_description(base, b.attnum) as comment,
            pg_catalog.pg_get_expr(d.adbin, d.adrelid) as default_value
        from pg_catalog.pg_attribute v
        join pg_catalog.pg_attribute b
            on b.attrelid = base and b.attname = coalesce(renamed ->> v.attname, v.attname) and not b.attisdropped
        left join pg_catalog.pg_attrdef d on d.adrelid = base and d.adnum = b.attnum and b.attgenerated = ''
        where v.attrelid = view and v.attnum > 0 and not v.attisdropped
    loop
        execute pg_catalog.format('comment on column %s.%I is %L', view, shown.name, shown.comment);
        execute pg_catalog.format('alter view %s alter column %I %s', view, shown.name,
            coalesce('set default ' || shown.default_value, 'drop default'));
    end loop;

    execute pg_catalog.format('revoke all on %s from anon, authenticated, service_role', view);
    foreach who in array array['anon', 'authenticated', 'service_role'] loop
        foreach verb in array array['select', 'delete'] loop
            if pg_catalog.has_table_privilege(who, base, verb) then
                execute pg_catalog.format('grant %s on %s to %I', verb, view, who);
            end if;
        end loop;
        foreach verb in array array['insert', 'update'] loop
            select pg_catalog.string_agg(pg_catalog.quote_ident(v.attname), ', ' order by v.attnum)
            into columns
            from pg_catalog.pg_attribute v
            join pg_catalog.pg_attribute b
                on b.attrelid = base and b.attname = coalesce(renamed ->> v.attname, v.attname) and not b.attisdropped
            where v.attrelid = view
                and v.attnum > 0
                and not v.attisdropped
                and pg_catalog.has_column_privilege(who, base, b.attnum, verb);
            if columns is not null then
                execute pg_catalog.format('grant %s (%s) on %s to %I', verb, columns, view, who);
            end if;
        end loop;
    end loop;
end
$$;
comment on procedure kith.follow_table(regclass, regclass, jsonb) is
    'Gives a view the comments, defaults and rights of its table; renamed maps names of the view to those of the table.';

reset role;
