-- Accounts: all of a user, to take away or to erase.
--
-- What belongs to a user is asked of the catalogue, each time: the rows that
-- foreign keys lead from to the user, on the shortest way.  A table that is
-- added later, by an application too, cannot be forgotten.
--
-- Nothing survives an account, invoices neither: the payment provider keeps
-- those, and is told to end the subscription.

set local role kith_owner;

-- The condition is about a row t, and the user $1.
create function kith.owned_tables() returns table (relation regclass, condition text)
language plpgsql stable set search_path = ''
as $$
declare
    -- Conditions by the oid of the table.
    known jsonb := pg_catalog.jsonb_build_object(
        'auth.users'::regclass::oid, 't.id = $1',
        'public.users'::regclass::oid, 't.id = $1'
    );
    found_now jsonb;
begin
    -- One step away from the users, then two ...: a comment on another's post
    -- is its writer's, because the way by the post is longer.
    loop
        select pg_catalog.jsonb_object_agg(f.conrelid::oid, f.condition) into found_now
        from (
            select k.conrelid,
                pg_catalog.string_agg(
                    case
                        when k.confrelid in ('auth.users'::regclass, 'public.users'::regclass) and columns.parents = 't.id'
                            then pg_catalog.format('%s = $1', columns.own)
                        else pg_catalog.format('(%s) in (select %s from %s t where %s)',
                            columns.own, columns.parents, k.confrelid::regclass, known ->> k.confrelid::text)
                    end,
                    ' or ' order by k.conname
                ) as condition
            from pg_catalog.pg_constraint k
            join pg_catalog.pg_class c on c.oid = k.conrelid
            cross join lateral (
                select pg_catalog.string_agg(pg_catalog.format('t.%I', a.attname), ', ' order by n.place) as own,
                    pg_catalog.string_agg(pg_catalog.format('t.%I', p.attname), ', ' order by n.place) as parents
                from unnest(k.conkey, k.confkey) with ordinality as n (own, parent, place)
                join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = n.own
                join pg_catalog.pg_attribute p on p.attrelid = k.confrelid and p.attnum = n.parent
            ) as columns
            where k.contype = 'f'
                and not c.relispartition
                and known ? k.confrelid::text
                and not known ? k.conrelid::text
            group by k.conrelid
        ) f;
        exit when found_now is null;
        known := known || found_now;
    end loop;
    return query
        select o.key::oid::regclass, o.value
        from pg_catalog.jsonb_each_text(known) o;
end
$$;
comment on function kith.owned_tables() is 'Every table with rows of users, and the condition that a row t is of user $1.';

create function kith.owned_rows(relation regclass, condition text, owner uuid) returns json
language plpgsql stable set search_path = ''
as $$
declare
    columns text;
    oldest_first text;
    rows json;
begin
    select pg_catalog.string_agg(pg_catalog.format('t.%I', a.attname), ', ' order by a.attnum),
        pg_catalog.string_agg('order by t.created_at', '') filter (where a.attname = 'created_at')
    into columns, oldest_first
    from pg_catalog.pg_attribute a
    where a.attrelid = owned_rows.relation
        and a.attnum > 0
        and not a.attisdropped
        -- Made from the text beside it, and larger than all the rest.
        and a.atttypid <> 'extensions.vector'::regtype;
    execute pg_catalog.format(
        'select coalesce(json_agg(r), ''[]'') from (select %s from %s t where %s %s) r',
        columns, relation, condition, oldest_first
    ) into rows using owner;
    return rows;
end
$$;
comment on function kith.owned_rows(regclass, text, uuid) is 'The rows of a table that a condition of kith.owned_tables() finds, without embeddings.';

create function kith.owned_files(owner uuid) returns text[]
language plpgsql stable set search_path = ''
as $$
declare
    c record;
    more text[];
    paths text[] := '{}';
begin
    for c in
        select f.relation, f.column_name, o.condition
        from kith.file_columns() f
        join kith.owned_tables() o using (relation)
    loop
        execute pg_catalog.format(
            'select array(select kith.file_path(%L, t.%I) from %s t where t.%2$I is not null and (%4$s))',
            c.relation, c.column_name, c.relation, c.condition
        ) into more using owner;
        paths := paths || more;
    end loop;
    -- What was uploaded without a row of its own.
    if pg_catalog.to_regclass('storage.objects') is not null then
        execute 'select array(select o.bucket_id || ''/'' || o.name from storage.objects o where o.owner_id = $1 or o.name like $1 || ''/%'')'
        into more using owner::text;
        paths := paths || more;
    end if;
    return array(select distinct p from pg_catalog.unnest(paths) p order by p);
end
$$;
comment on function kith.owned_files(uuid) is 'The paths, with bucket, of all files of a user.';

-- Export.  Of schema auth it tells what is known of the person, and no secret;
-- what is in kith is the server's own.
create function public.export_my_data(tables text[] default null) returns json
language plpgsql stable security definer set search_path = ''
as $$
declare
    account uuid := (select auth.uid());
    person json;
    rows_by_table json;
    unknown text;
begin
    select pg_catalog.json_build_object(
        'id', u.id,
        'email', u.email,
        'phone', u.phone,
        'is_anonymous', u.is_anonymous,
        'created_at', u.created_at,
        'email_confirmed_at', u.email_confirmed_at,
        'last_sign_in_at', u.last_sign_in_at,
        'app_metadata', u.raw_app_meta_data,
        'user_metadata', u.raw_user_meta_data,
        'identities', (
            select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
                'provider', i.provider, 'provider_id', i.provider_id, 'identity_data', i.identity_data,
                'created_at', i.created_at, 'last_sign_in_at', i.last_sign_in_at
            ) order by i.created_at, i.id), '[]')
            from auth.identities i
            where i.user_id = u.id
        ),
        'sessions', (
            select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
                'created_at', s.created_at, 'refreshed_at', s.refreshed_at, 'user_agent', s.user_agent, 'ip', s.ip
            ) order by s.created_at, s.id), '[]')
            from auth.sessions s
            where s.user_id = u.id
        )
    )
    into person
    from auth.users u
    where u.id = account;
    if not found then
        raise exception using errcode = 'insufficient_privilege',
            message = 'only a signed-in user has data to export';
    end if;

    with named as (
        select case n.nspname when 'public' then c.relname else n.nspname || '.' || c.relname end as name,
            o.relation, o.condition
        from kith.owned_tables() o
        join pg_catalog.pg_class c on c.oid = o.relation
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname not in ('auth', 'kith')
    )
    select pg_catalog.json_object_agg(n.name, kith.owned_rows(n.relation, n.condition, account) order by n.name)
            filter (where export_my_data.tables is null or n.name = any (export_my_data.tables)),
        (select x.name from pg_catalog.unnest(export_my_data.tables) x (name) where x.name not in (select k.name from named k) limit 1)
    into rows_by_table, unknown
    from named n;
    if unknown is not null then
        raise exception using errcode = 'invalid_parameter_value',
            message = pg_catalog.format('there is no table "%s" with data of users', unknown),
            hint = 'Without tables everything is exported.';
    end if;

    return pg_catalog.json_build_object(
        'exported_at', pg_catalog.now(),
        'user', person,
        'tables', coalesce(rows_by_table, '{}'),
        'files', pg_catalog.to_json(kith.owned_files(account))
    );
end
$$;
comment on function public.export_my_data(text[]) is
    'All that is kept of the caller: the account, the rows of every table (or of those named, when all at once is too much), the paths of files.  Embeddings, which are made from the text beside them, are left out.';
grant execute on function public.export_my_data(text[]) to authenticated;

-- Erasure.  Foreign keys do most of it.  The trigger does the rest, whoever
-- deletes the user: the owner, an administrator, the auth program.
create function kith.erase_user() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
    c record;
begin
    -- Work for the account, and what is remembered of work that was done.  What
    -- ends something outside goes on.  For the lock see drop_jobs.
    delete from kith.jobs j
    where j.id in (
        select d.id
        from kith.jobs d
        where d.user_id = old.id and (d.finished_at is not null or d.kind !~ '^(delete|cancel)_')
        for update skip locked
    );
    perform kith.delete_files(old.id, kith.owned_files(old.id));
    -- Columns that name the user without a foreign key, such as those of
    -- auth.refresh_tokens, which has the type of Supabase's dumps.
    for c in
        select a.attrelid::regclass as relation, pg_catalog.format_type(a.atttypid, null) as type
        from pg_catalog.pg_attribute a
        join pg_catalog.pg_class r on r.oid = a.attrelid
        join pg_catalog.pg_namespace n on n.oid = r.relnamespace
        where a.attname = 'user_id'
            and a.atttypid in ('uuid'::regtype, 'text'::regtype, 'varchar'::regtype)
            and r.relkind in ('r', 'p')
            and not r.relispartition
            and n.nspname not in ('kith', 'information_schema')
            and n.nspname !~ '^pg_'
            and not exists (
                select from pg_catalog.pg_constraint k
                where k.contype = 'f' and k.conrelid = a.attrelid and a.attnum = any (k.conkey)
            )
    loop
        execute pg_catalog.format('delete from %s where user_id = $1::%s', c.relation, c.type) using old.id::text;
    end loop;
    return old;
end
$$;
comment on function kith.erase_user() is 'Trigger: with a user go the jobs, the files, and the rows that no foreign key leads to.';
create trigger erase_user before delete on auth.users
    for each row execute function kith.erase_user();

-- A subscription that nobody has any more must not be paid on.
create function kith.cancel_stripe() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
    perform kith.enqueue(
        'cancel_subscription',
        pg_catalog.jsonb_build_object('provider', 'stripe', 'subscription_id', old.stripe_subscription_id),
        'cancel/stripe/' || old.stripe_subscription_id,
        user_id => old.user_id,
        max_attempts => 100
    );
    return null;
end
$$;
comment on function kith.cancel_stripe() is 'Trigger: a subscription whose row goes is ended at Stripe.';
create trigger cancel_stripe after delete on public.subscriptions
    for each row when (old.stripe_subscription_id is not null and old.status <> 'canceled')
    execute function kith.cancel_stripe();

create function kith.cancel_lemonsqueezy() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
    perform kith.enqueue(
        'cancel_subscription',
        pg_catalog.jsonb_build_object('provider', 'lemonsqueezy', 'subscription_id', old.lemonsqueezy_subscription_id),
        'cancel/lemonsqueezy/' || old.lemonsqueezy_subscription_id,
        user_id => old.owner_id,
        max_attempts => 100
    );
    return null;
end
$$;
comment on function kith.cancel_lemonsqueezy() is 'Trigger: the subscription of a workspace that goes is ended at Lemon Squeezy.';
create trigger cancel_lemonsqueezy after delete on public.workspaces
    for each row when (old.lemonsqueezy_subscription_id is not null)
    execute function kith.cancel_lemonsqueezy();

create function public.delete_my_account() returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
    delete from auth.users u where u.id = (select auth.uid());
    if not found then
        raise exception using errcode = 'insufficient_privilege',
            message = 'only a signed-in user has an account to delete';
    end if;
end
$$;
comment on function public.delete_my_account() is
    'Erases the caller: account, sessions, every row, every file, and the voices at the provider.  Nothing can be brought back.';
grant execute on function public.delete_my_account() to authenticated;

reset role;
