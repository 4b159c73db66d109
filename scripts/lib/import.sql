-- What becomes of a dump, once its rows are in temporary tables of the names of
-- those in auth: checks, the taking over, and a report.  The last line that is
-- printed says how it ended: taken over, tried or refused.

create temporary table findings (place int, what text, who text) on commit drop;
create temporary table counts (place int, what text, number bigint) on commit drop;

-- A name in the report; whatever a terminal might take for a command goes.
create function pg_temp.name(u pg_temp.users) returns text
language sql immutable
as $$
    select regexp_replace(coalesce(nullif(u.email, ''), nullif(u.phone, ''), u.id::text), '[[:cntrl:]]', '?', 'g')
$$;

create index on pg_temp.users (id);
create index on pg_temp.users (lower(email));
create index on pg_temp.sessions (id);
create index on pg_temp.sessions (user_id);
create index on pg_temp.refresh_tokens (session_id);
analyze pg_temp.users, pg_temp.identities, pg_temp.sessions, pg_temp.refresh_tokens, pg_temp.mfa_amr_claims;

-- Nobody signs up between the checks and the end.
lock table auth.users, auth.identities, auth.sessions, auth.refresh_tokens in share row exclusive mode;

-- Empty is unknown: here an address and a number are of one user only.
update pg_temp.users set email = nullif(email, ''), phone = nullif(phone, '') where email = '' or phone = '';

-- Refused: what would need a decision.
insert into findings
select 1, 'Users who are here already, with the same id; was this dump loaded before?', pg_temp.name(u)
from pg_temp.users u
where exists (select from auth.users o where o.id = u.id);

insert into findings
select 2, 'Addresses that are here already, of other users', pg_temp.name(u)
from pg_temp.users u
where not u.is_sso_user
    and exists (select from auth.users o where lower(o.email) = lower(u.email) and not o.is_sso_user and o.id <> u.id);

insert into findings
select 3, 'Addresses that are in the dump more than once, in upper and lower case', string_agg(pg_temp.name(u), ', ' order by u.email)
from pg_temp.users u
where not u.is_sso_user and u.email is not null
group by lower(u.email)
having count(*) > 1;

insert into findings
select 4, 'Users who are in the dump more than once', pg_temp.name((array_agg(u))[1])
from pg_temp.users u
group by u.id
having count(*) > 1;

insert into findings
select 5, 'Phone numbers that are here already, of other users', pg_temp.name(u)
from pg_temp.users u
where exists (select from auth.users o where o.phone = u.phone and o.id <> u.id);

insert into findings
select 6, 'Identities that are here already, of other users', format('%s of %s', i.provider, pg_temp.name(u))
from pg_temp.identities i
join pg_temp.users u on u.id = i.user_id
where exists (
    select from auth.identities o
    where o.provider_id = i.provider_id and o.provider = i.provider and o.user_id <> i.user_id
);

select case when count(*) > 0 then 'true' else 'false' end as refused from findings \gset

-- Left out: what belongs to nobody, and what nobody could continue.  A key is
-- encrypted when the other server was told to; one with a prefix is of a Kith,
-- and worth nothing without its secret.
with gone as (
    delete from pg_temp.identities i where not exists (select from pg_temp.users u where u.id = i.user_id) returning 1
)
insert into skipped select 'identities whose user is not in the dump', count(*) from gone;
with gone as (
    delete from pg_temp.sessions s where not exists (select from pg_temp.users u where u.id = s.user_id) returning 1
)
insert into skipped select 'sessions whose user is not in the dump', count(*) from gone;
with gone as (
    delete from pg_temp.sessions s
    where s.refresh_token_hmac_key !~ '^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$'
    returning 1
)
insert into skipped select 'sessions with a key that is encrypted, or of another Kith', count(*) from gone;
with gone as (
    delete from pg_temp.refresh_tokens t
    where t.session_id is null or not exists (select from pg_temp.sessions s where s.id = t.session_id)
    returning 1
)
insert into skipped select 'refresh tokens without session', count(*) from gone;
with gone as (
    delete from pg_temp.mfa_amr_claims a where not exists (select from pg_temp.sessions s where s.id = a.session_id)
    returning 1
)
insert into skipped select 'sign-in methods without session', count(*) from gone;

\if :refused
\else

-- Told: what works otherwise from here on.
insert into findings
select 11, 'Users with a password that cannot be checked here; they need a new one',
    format('%s  %s', pg_temp.name(u), coalesce(substring(u.encrypted_password from '^\$[a-z0-9-]{1,12}\$'), 'of no known kind'))
from pg_temp.users u
where u.encrypted_password <> ''
    and u.encrypted_password !~ '^\$2[aby]\$(0[4-9]|1[0-4])\$.{53}$'
    and u.encrypted_password not like '$y$%';

create temporary table second_factor on commit drop as
select f.user_id as id from pg_temp.mfa_factors f where f.status = 'verified'
union
select s.user_id from pg_temp.sessions s where s.aal > 'aal1';

insert into findings
select 12, case when :without_second_factor
        then 'Users with a second factor, which is not asked for here; their password alone lets them in'
        else 'Users with a second factor, which is not asked for here; they are banned until you say kith user unban'
    end, pg_temp.name(u)
from pg_temp.users u
where u.id in (select id from second_factor);

update pg_temp.users u
set banned_until = greatest(u.banned_until, now() + interval '100 years')
where not :without_second_factor and u.id in (select id from second_factor);

insert into findings
select 13, 'Users without e-mail address, who are not guests; they cannot sign in', pg_temp.name(u)
from pg_temp.users u
where u.email is null and not u.is_anonymous and u.deleted_at is null;

insert into findings
select 14, 'Users of single sign-on; they cannot sign in', pg_temp.name(u)
from pg_temp.users u
where u.is_sso_user and u.deleted_at is null;

insert into findings
select 15, 'Users without password; a link by mail lets them in', concat_ws(
    '  ', pg_temp.name(u),
    (select string_agg(i.provider, ', ' order by i.provider) from pg_temp.identities i where i.user_id = u.id and i.provider <> 'email')
)
from pg_temp.users u
where coalesce(u.encrypted_password, '') = '' and u.email is not null and not u.is_sso_user and u.deleted_at is null;

insert into findings
select 16, 'Users with another role than authenticated', format('%s  %s', pg_temp.name(u), regexp_replace(u.role, '[[:cntrl:]]', '?', 'g'))
from pg_temp.users u
where u.role not in ('', 'authenticated');

insert into findings
select 17, 'Users who were mailed a link or code, which is good for nothing here', pg_temp.name(u)
from pg_temp.users u
where concat(u.confirmation_token, u.recovery_token, u.email_change_token_new, u.email_change_token_current,
    u.phone_change_token, u.reauthentication_token) <> '';
update pg_temp.users
set confirmation_token = '', recovery_token = '', email_change_token_new = '', email_change_token_current = '',
    phone_change_token = '', reauthentication_token = '';

insert into counts values
    (1, 'users', (select count(*) from pg_temp.users)),
    (2, 'identities', (select count(*) from pg_temp.identities)),
    (3, 'sessions', (select count(*) from pg_temp.sessions)),
    (4, 'refresh tokens', (select count(*) from pg_temp.refresh_tokens)),
    (5, 'sign-in methods', (select count(*) from pg_temp.mfa_amr_claims));

-- Taken over.  Refresh tokens get numbers of ours, in their order: those of two
-- servers may be the same.
select format('insert into auth.%1$I (%2$s) select %2$s from pg_temp.%1$I order by %3$s',
    c.relname, string_agg(quote_ident(a.attname), ', ' order by a.attnum), case c.relname when 'users' then 'created_at' else 'id' end)
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
where c.relnamespace = 'auth'::regnamespace
    and c.relname in ('users', 'identities', 'sessions', 'refresh_tokens', 'mfa_amr_claims')
    and (c.relname, a.attname) <> ('refresh_tokens', 'id')
group by c.relname
order by array_position('{users,identities,sessions,refresh_tokens,mfa_amr_claims}', c.relname::text)
\gexec

-- What our own triggers made, and what foreign keys would have said.
do $$
begin
    if (select count(*) from pg_temp.users u join auth.users a on a.id = u.id join public.users p on p.id = u.id)
            <> (select number from pg_temp.counts where what = 'users')
        or (select count(*) from pg_temp.identities i join auth.identities a on a.id = i.id)
            <> (select number from pg_temp.counts where what = 'identities')
        or (select count(*) from pg_temp.sessions s join auth.sessions a on a.id = s.id)
            <> (select number from pg_temp.counts where what = 'sessions')
        or (select count(*) from pg_temp.refresh_tokens t join auth.refresh_tokens a on a.token = t.token)
            <> (select number from pg_temp.counts where what = 'refresh tokens')
    then
        raise exception 'not everything arrived';
    end if;
end
$$;
\endif

-- The report.
\pset tuples_only on
\pset format unaligned
select line
from (
    select 0 as part, 0 as place, 'Taken over:' as line where not :refused
    union all
    select 1, place, format('  %-9s %s', number, what) from counts
    union all
    select 2, 0, 'Left out:' where exists (select from skipped where number > 0) and not :refused
    union all
    select 3, row_number() over (order by what), format('  %-9s %s', number, what) from skipped where number > 0 and not :refused
) r
order by part, place;
select line
from (
    select place, row_number() over (partition by place order by who) as n,
        case when row_number() over (partition by place order by who) <= 20 then '  ' || who end as line
    from findings
    union all
    select place, 0, format('%s (%s):', min(what), count(*)) from findings group by place
    union all
    select place, 1e9, format('  and %s more', count(*) - 20) from findings group by place having count(*) > 20
) r
where line is not null
order by place, n;
select 'The dump says nothing about second factors: add -t auth.mfa_factors, if any user has one.'
where exists (select from skipped where what = 'no second factors') and not :refused;

\if :refused
rollback;
\echo refused
\elif :dry_run
rollback;
\echo tried
\else
commit;
\echo taken over
\endif
