-- Signing up, in and out: what the auth program does to users and sessions, one
-- function for each thing that must happen as a whole.  Hashes, signatures and
-- random bytes come from the program.  What is refused is raised as PTxyz, with
-- HTTP's status, and the code that the SDKs know as the detail; what is refused
-- and yet leaves its mark comes back as "failure", since raising would undo the
-- mark.

set local role kith_owner;

create function kith.refuse(status integer, code text, message text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    raise exception using errcode = 'PT' || status, message = message, detail = code;
end
$$;
comment on function kith.refuse(integer, text, text) is 'Raises an HTTP status with a code that the SDKs know.';

-- Limits: fixed windows, counted for all processes together.  A crash of the
-- server empties the table and forgives a few minutes.
create unlogged table kith.rate_limits (
    key text primary key,
    hits integer not null default 1,
    ends_at timestamptz not null
);
create index on kith.rate_limits (ends_at);  -- sweep
comment on table kith.rate_limits is 'How often something was tried in the window that runs.';
comment on column kith.rate_limits.key is 'What is counted, with an HMAC of who tries it or whom it concerns.';
comment on column kith.rate_limits.hits is 'How often so far.';
comment on column kith.rate_limits.ends_at is 'When the window ends and counting starts again.';
alter table kith.rate_limits enable row level security, force row level security;
grant select, insert, update, delete on kith.rate_limits to kith_auth;

-- Whoever counts also sweeps a little: more than they add, so windows that ended
-- do not pile up.
create function kith.hit(keys text[], maxima integer[], seconds integer[]) returns integer
language sql volatile set search_path = ''
as $$
    delete from kith.rate_limits r
    where r.key in (
        select o.key from kith.rate_limits o
        where o.ends_at < pg_catalog.now() and o.key <> all (keys)
        order by o.ends_at
        limit 10
        for update skip locked
    );
    with counted as (
        insert into kith.rate_limits as r (key, ends_at)
        select t.key, pg_catalog.now() + pg_catalog.make_interval(secs => t.seconds)
        from unnest(keys, seconds) as t (key, seconds)
        order by t.key  -- in one order for all: two with the same keys would wait for each other
        on conflict (key) do update
        set hits = case when r.ends_at > pg_catalog.now() then r.hits + 1 else 1 end,
            ends_at = case when r.ends_at > pg_catalog.now() then r.ends_at else excluded.ends_at end
        returning r.key, r.hits, r.ends_at
    )
    select coalesce(pg_catalog.ceil(pg_catalog.max(extract(epoch from c.ends_at - pg_catalog.now())))::integer, 0)
    from counted c
    join unnest(keys, maxima) as l (key, maximum) on l.key = c.key
    where c.hits > l.maximum
$$;
comment on function kith.hit(text[], integer[], integer[]) is
    'Counts one try for each key and returns for how many seconds one of them is above its maximum; 0 when none is.';

create function kith.limited(keys text[], maxima integer[]) returns integer
language sql stable set search_path = ''
as $$
    select coalesce(pg_catalog.ceil(pg_catalog.max(extract(epoch from r.ends_at - pg_catalog.now())))::integer, 0)
    from unnest(keys, maxima) as l (key, maximum)
    join kith.rate_limits r on r.key = l.key
    where r.hits >= l.maximum and r.ends_at > pg_catalog.now()
$$;
comment on function kith.limited(text[], integer[]) is 'As kith.hit(), for keys that only failures count: looks, and counts nothing.';

-- What the SDKs see.
create function kith.rfc3339(at timestamptz) returns text
language sql immutable set search_path = ''
as $$
    select pg_catalog.to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;
comment on function kith.rfc3339(timestamptz) is 'A time as RFC 3339 writes it, in UTC.';

create function kith.without_nulls(object json) returns json
language sql immutable set search_path = ''
as $$
    select pg_catalog.json_object_agg(m.key, m.value order by m.place)
    from pg_catalog.json_each(object) with ordinality as m (key, value, place)
    where pg_catalog.json_typeof(m.value) <> 'null'
$$;
comment on function kith.without_nulls(json) is 'An object without its members that are null; deeper ones stay.';

create function kith.identity_json(i auth.identities) returns json
language sql stable set search_path = ''
as $$
    select kith.without_nulls(pg_catalog.json_build_object(
        'identity_id', i.id,
        'id', i.provider_id,
        'user_id', i.user_id,
        'identity_data', i.identity_data,
        'provider', i.provider,
        'last_sign_in_at', kith.rfc3339(i.last_sign_in_at),
        'created_at', kith.rfc3339(i.created_at),
        'updated_at', kith.rfc3339(i.updated_at),
        'email', i.email
    ))
$$;
comment on function kith.identity_json(auth.identities) is 'An identity as the API shows it.';

-- No hash and no token is among it.
create function kith.user_json(u auth.users) returns json
language sql stable set search_path = ''
as $$
    select kith.without_nulls(pg_catalog.json_build_object(
        'id', u.id,
        'aud', coalesce(nullif(u.aud, ''), 'authenticated'),
        'role', coalesce(nullif(u.role, ''), 'authenticated'),
        'email', coalesce(u.email, ''),
        'phone', coalesce(u.phone, ''),
        'email_confirmed_at', kith.rfc3339(u.email_confirmed_at),
        'phone_confirmed_at', kith.rfc3339(u.phone_confirmed_at),
        'confirmed_at', kith.rfc3339(u.confirmed_at),
        'confirmation_sent_at', kith.rfc3339(u.confirmation_sent_at),
        'recovery_sent_at', kith.rfc3339(u.recovery_sent_at),
        'invited_at', kith.rfc3339(u.invited_at),
        'new_email', nullif(u.email_change, ''),
        'email_change_sent_at', kith.rfc3339(u.email_change_sent_at),
        'reauthentication_sent_at', kith.rfc3339(u.reauthentication_sent_at),
        'last_sign_in_at', kith.rfc3339(u.last_sign_in_at),
        'app_metadata', coalesce(u.raw_app_meta_data, '{}'),
        'user_metadata', coalesce(u.raw_user_meta_data, '{}'),
        'identities', coalesce(
            (
                select pg_catalog.json_agg(kith.identity_json(i) order by i.created_at, i.id)
                from auth.identities i
                where i.user_id = u.id
            ),
            '[]'
        ),
        'created_at', kith.rfc3339(u.created_at),
        'updated_at', kith.rfc3339(u.updated_at),
        'banned_until', kith.rfc3339(u.banned_until),
        'deleted_at', kith.rfc3339(u.deleted_at),
        'is_anonymous', u.is_anonymous
    ))
$$;
comment on function kith.user_json(auth.users) is 'A user as the API shows them.';

-- What the program needs to make the two tokens.
create type kith.signed_in as (
    failure text,
    session_id uuid,
    counter bigint,
    key text,
    claims json,
    user_json json
);
comment on type kith.signed_in is
    'A session: its id, counter and key make the refresh token, the claims the access token.  Or why there is none.';

-- Metadata that would make the token too large for a header stays out of it.
create function kith.access_claims(s auth.sessions, u auth.users, context json) returns json
language sql stable set search_path = ''
as $$
    select pg_catalog.json_build_object(
        'iss', context ->> 'issuer',
        'sub', u.id,
        'aud', coalesce(nullif(u.aud, ''), 'authenticated'),
        'exp', pg_catalog.floor(extract(epoch from pg_catalog.now()))::bigint + (context ->> 'lifetime')::bigint,
        'iat', pg_catalog.floor(extract(epoch from pg_catalog.now()))::bigint,
        'email', coalesce(u.email, ''),
        'phone', coalesce(u.phone, ''),
        'app_metadata', coalesce(u.raw_app_meta_data, '{}'),
        'user_metadata', case
            when pg_catalog.octet_length(u.raw_user_meta_data::text) <= 2048 then u.raw_user_meta_data
            else '{}'
        end,
        'role', coalesce(nullif(u.role, ''), 'authenticated'),
        'aal', coalesce(s.aal::text, 'aal1'),
        'amr', coalesce(
            (
                select pg_catalog.json_agg(
                    pg_catalog.json_build_object(
                        'method', a.authentication_method,
                        'timestamp', pg_catalog.floor(extract(epoch from a.updated_at))::bigint
                    )
                    order by a.updated_at desc, a.authentication_method
                )
                from auth.mfa_amr_claims a
                where a.session_id = s.id
            ),
            '[]'
        ),
        'session_id', s.id,
        'is_anonymous', u.is_anonymous
    )
$$;
comment on function kith.access_claims(auth.sessions, auth.users, json) is 'The claims of an access token.';

create function kith.signed_in(s auth.sessions, context json) returns kith.signed_in
language sql stable set search_path = ''
as $$
    select null, s.id, coalesce(s.refresh_token_counter, 0), s.refresh_token_hmac_key, kith.access_claims(s, u, context),
        kith.user_json(u)
    from auth.users u
    where u.id = s.user_id
$$;
comment on function kith.signed_in(auth.sessions, json) is 'What the program needs to answer with a session.';

create function kith.failed(failure text) returns kith.signed_in
language sql immutable set search_path = ''
as $$
    select row(failure, null, null, null, null, null)::kith.signed_in
$$;
comment on function kith.failed(text) is 'No session, and why.';

-- context, from the program: ip, user_agent, issuer, lifetime (seconds), key
-- (of a new session's refresh tokens).
create function kith.start_session(user_id uuid, method text, context json) returns kith.signed_in
language plpgsql volatile set search_path = ''
as $$
declare
    s auth.sessions;
    u auth.users;
begin
    select * into u from auth.users x where x.id = start_session.user_id;
    if u.deleted_at is not null then
        perform kith.refuse(403, 'user_not_found', 'User not found');
    end if;
    if u.banned_until > pg_catalog.now() then
        perform kith.refuse(400, 'user_banned', 'User is banned');
    end if;
    insert into auth.sessions (
        id, user_id, created_at, updated_at, refreshed_at, aal, user_agent, ip, refresh_token_hmac_key,
        refresh_token_counter
    )
    values (
        pg_catalog.gen_random_uuid(), u.id, pg_catalog.now(), pg_catalog.now(), pg_catalog.now() at time zone 'UTC', 'aal1',
        context ->> 'user_agent', (context ->> 'ip')::inet, context ->> 'key', 0
    )
    returning * into s;
    insert into auth.mfa_amr_claims (session_id, created_at, updated_at, authentication_method, id)
    values (s.id, pg_catalog.now(), pg_catalog.now(), start_session.method, pg_catalog.gen_random_uuid());
    update auth.users x set last_sign_in_at = pg_catalog.now(), updated_at = pg_catalog.now() where x.id = u.id;
    update auth.identities i
    set last_sign_in_at = pg_catalog.now(), updated_at = pg_catalog.now()
    where i.user_id = u.id and i.provider = 'email';
    return kith.signed_in(s, context);
end
$$;
comment on function kith.start_session(uuid, text, json) is 'Signs a user in; method is how they proved who they are.';

-- Users.
create function kith.merge_metadata(old jsonb, new jsonb) returns jsonb
language plpgsql immutable set search_path = ''
as $$
declare
    merged jsonb;
begin
    if pg_catalog.jsonb_typeof(new) <> 'object' then
        perform kith.refuse(400, 'validation_failed', 'metadata must be an object');
    end if;
    select pg_catalog.jsonb_object_agg(m.key, m.value) into merged
    from pg_catalog.jsonb_each(coalesce(old, '{}') || new) m
    where m.value <> 'null' or not new ? m.key;
    if pg_catalog.octet_length(merged::text) > 16384 then
        perform kith.refuse(400, 'validation_failed', 'metadata must not be larger than 16 KiB');
    end if;
    return coalesce(merged, '{}');
end
$$;
comment on function kith.merge_metadata(jsonb, jsonb) is 'Old metadata with the new members; one that is null goes.';

create function kith.add_email_identity(u auth.users) returns void
language sql volatile set search_path = ''
as $$
    insert into auth.identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
    values (
        u.id::text,
        u.id,
        pg_catalog.jsonb_build_object(
            'sub', u.id, 'email', u.email, 'email_verified', u.email_confirmed_at is not null, 'phone_verified', false
        ),
        'email', pg_catalog.now(), pg_catalog.now(), pg_catalog.now()
    )
    on conflict (provider_id, provider) do update
    set identity_data = identities.identity_data || excluded.identity_data, updated_at = excluded.updated_at
$$;
comment on function kith.add_email_identity(auth.users) is 'Lets a user sign in by their address.';

create function kith.find_user(email text) returns auth.users
language sql stable set search_path = ''
as $$
    select u.* from auth.users u where pg_catalog.lower(u.email) = pg_catalog.lower(find_user.email) and not u.is_sso_user
$$;
comment on function kith.find_user(text) is 'The user of an address, whatever its case; all null when there is none.';

-- A user with an address is confirmed, or has still to follow a link.
create function kith.add_user(
    email text,
    hash text,
    confirmed boolean,
    app_metadata jsonb,
    user_metadata jsonb,
    id uuid default pg_catalog.gen_random_uuid()
) returns auth.users
language plpgsql volatile set search_path = ''
as $$
declare
    u auth.users;
begin
    insert into auth.users (
        instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data, raw_user_meta_data,
        created_at, updated_at, is_anonymous
    )
    values (
        '00000000-0000-0000-0000-000000000000', add_user.id, 'authenticated', 'authenticated',
        add_user.email, coalesce(add_user.hash, ''), case when confirmed then pg_catalog.now() end, app_metadata,
        user_metadata, pg_catalog.now(), pg_catalog.now(), add_user.email is null
    )
    returning * into u;
    if u.email is not null then
        perform kith.add_email_identity(u);
    end if;
    -- An app's own trigger may have changed it.
    select * into u from auth.users x where x.id = u.id;
    return u;
end
$$;
comment on function kith.add_user(text, text, boolean, jsonb, jsonb, uuid) is 'Makes a user; one without address is a guest.';

create function kith.made_up_user(email text, metadata jsonb) returns auth.users
language plpgsql volatile set search_path = ''
as $$
declare
    u auth.users;
begin
    u.id := pg_catalog.gen_random_uuid();
    u.email := made_up_user.email;
    u.raw_app_meta_data := '{"provider": "email", "providers": ["email"]}';
    u.raw_user_meta_data := metadata;
    u.confirmation_sent_at := pg_catalog.now();
    u.created_at := pg_catalog.now();
    u.updated_at := pg_catalog.now();
    u.is_anonymous := false;
    return u;
end
$$;
comment on function kith.made_up_user(text, jsonb) is 'What a sign-up shows of an address that is taken: a user who is not there.';

-- confirmed: addresses need no mail.  Otherwise the answer is a user without
-- session, and looks the same when the address is taken; its owner is told by
-- mail, which link holds for that case as "notice".
create function kith.sign_up(email text, hash text, body jsonb, confirmed boolean, link json, context json)
returns kith.signed_in
language plpgsql volatile set search_path = ''
as $$
declare
    data jsonb := kith.merge_metadata('{}', coalesce(nullif(body -> 'data', 'null'), '{}'));
    u auth.users := kith.find_user(email);
    known boolean := u.id is not null;
    answer kith.signed_in;
begin
    if not known then
        begin
            u := kith.add_user(email, hash, confirmed, '{"provider": "email", "providers": ["email"]}', data);
        exception when unique_violation then
            u := kith.find_user(email);
            if u.id is null then
                raise;  -- of an app's own trigger
            end if;
            known := true;  -- another sign-up was faster by a moment
        end;
    end if;
    if confirmed and known then
        perform kith.refuse(422, 'user_already_exists', 'User already registered');
    elsif confirmed then
        return kith.start_session(u.id, 'password', context);
    elsif u.confirmed_at is null then
        perform kith.send_link(u.id, 'confirmation_token', email, link);
        select * into u from auth.users x where x.id = u.id;
        if known then
            u.raw_user_meta_data := data;  -- not what somebody else said of them
        end if;
    else
        perform kith.enqueue('mail', (link -> 'notice')::jsonb, user_id => u.id);
        u := kith.made_up_user(email, data);
    end if;
    answer.user_json := kith.user_json(u);
    return answer;
end
$$;
comment on function kith.sign_up(text, text, jsonb, boolean, json, json) is 'A new user with a password.';

create function kith.sign_up_guest(body jsonb, context json) returns kith.signed_in
language plpgsql volatile set search_path = ''
as $$
declare
    u auth.users := kith.add_user(
        null, null, false, '{}', kith.merge_metadata('{}', coalesce(nullif(body -> 'data', 'null'), '{}'))
    );
begin
    return kith.start_session(u.id, 'anonymous', context);
end
$$;
comment on function kith.sign_up_guest(jsonb, json) is 'A new user without address or password.';

-- Passwords are compared by the program, between these two: that takes long, and
-- no transaction may wait for it.
create function kith.password_of(email text, out user_id uuid, out hash text) returns record
language sql stable set search_path = ''
as $$
    select u.id, nullif(u.encrypted_password, '') from kith.find_user(email) u where u.deleted_at is null
$$;
comment on function kith.password_of(text) is 'The user of an address, and the hash of their password; null without one.';

-- old: the hash that was compared, so that a password changed meanwhile is not
-- good any more; new: one of today's kind, when that is outdated.
create function kith.sign_in(user_id uuid, old text, new text, context json) returns kith.signed_in
language plpgsql volatile set search_path = ''
as $$
declare
    u auth.users;
begin
    select * into u from auth.users x where x.id = sign_in.user_id for no key update;
    if u.encrypted_password is distinct from old or u.deleted_at is not null then
        perform kith.refuse(400, 'invalid_credentials', 'Invalid login credentials');
    end if;
    if u.confirmed_at is null then
        perform kith.refuse(400, 'email_not_confirmed', 'Email not confirmed');
    end if;
    if new is not null then
        update auth.users x set encrypted_password = new where x.id = u.id;
    end if;
    return kith.start_session(u.id, 'password', context);
end
$$;
comment on function kith.sign_in(uuid, text, text, json) is 'Signs in a user whose password was right.';

-- Refreshing.
create function kith.refresh_key(session_id uuid) returns text
language sql stable set search_path = ''
as $$
    select s.refresh_token_hmac_key from auth.sessions s where s.id = session_id
$$;
comment on function kith.refresh_key(uuid) is 'Key of a session''s refresh tokens; null when there is no such session.';

create function kith.session_failure(s auth.sessions) returns text
language sql stable set search_path = ''
as $$
    select case
        when u.deleted_at is not null then 'session_not_found'
        when u.banned_until > pg_catalog.now() then 'user_banned'
        when s.not_after <= pg_catalog.now() then 'session_expired'
    end
    from auth.users u
    where u.id = s.user_id
$$;
comment on function kith.session_failure(auth.sessions) is 'Why a session cannot go on; null when it can.';

create function kith.touch_session(s auth.sessions, context json) returns kith.signed_in
language plpgsql volatile set search_path = ''
as $$
begin
    update auth.sessions x
    set refresh_token_counter = s.refresh_token_counter,
        refresh_token_hmac_key = s.refresh_token_hmac_key,
        refreshed_at = pg_catalog.now() at time zone 'UTC',
        updated_at = pg_catalog.now(),
        user_agent = context ->> 'user_agent',
        ip = (context ->> 'ip')::inet
    where x.id = s.id;
    return kith.signed_in(s, context);
end
$$;
comment on function kith.touch_session(auth.sessions, json) is 'Notes a refresh and returns its session.';

-- presented: the counter in the token.  The one before the current one is
-- answered with the current one again: the client never got it.  Older ones come
-- from tabs that refresh at the same moment, or from a thief.
create function kith.refresh(session_id uuid, presented bigint, context json) returns kith.signed_in
language plpgsql volatile set search_path = '' set lock_timeout = '3s'
as $$
declare
    s auth.sessions;
    failure text;
begin
    select * into s from auth.sessions x where x.id = refresh.session_id for update;
    if not found then
        return kith.failed('session_not_found');
    end if;
    failure := kith.session_failure(s);
    if failure is not null then
        return kith.failed(failure);
    end if;
    s.refresh_token_counter := coalesce(s.refresh_token_counter, 0);
    if presented > s.refresh_token_counter then
        return kith.failed('validation_failed');
    elsif presented = s.refresh_token_counter then
        s.refresh_token_counter := s.refresh_token_counter + 1;
        return kith.touch_session(s, context);
    elsif presented = s.refresh_token_counter - 1
        or s.refreshed_at > pg_catalog.now() at time zone 'UTC' - interval '10 seconds'
    then
        return kith.signed_in(s, context);
    end if;
    delete from auth.sessions x where x.id = s.id;
    return kith.failed('refresh_token_already_used');
end
$$;
comment on function kith.refresh(uuid, bigint, json) is
    'The next refresh token of a session, or the current one again; an old one ends the session.';

-- Tokens of a server that Kith took over from: each is exchanged for the new
-- kind, by which its session goes on.
create function kith.refresh_imported(token text, context json) returns kith.signed_in
language plpgsql volatile set search_path = '' set lock_timeout = '3s'
as $$
declare
    t auth.refresh_tokens;
    s auth.sessions;
    failure text;
begin
    select * into t from auth.refresh_tokens x where x.token = refresh_imported.token;
    if not found then
        return kith.failed('refresh_token_not_found');
    end if;
    select * into s from auth.sessions x where x.id = t.session_id for update;
    if not found then
        return kith.failed('session_not_found');
    end if;
    failure := kith.session_failure(s);
    if failure is not null then
        return kith.failed(failure);
    end if;
    -- Again, now that nobody else can exchange it.
    select * into t from auth.refresh_tokens x where x.id = t.id;
    if t.revoked
        and t.updated_at <= pg_catalog.now() - interval '10 seconds'
        -- Whoever holds the parent of the active one never got that.
        and not exists (
            select from auth.refresh_tokens x
            where x.session_id = s.id and x.parent = t.token and not x.revoked
        )
        -- It was exchanged, and the client never got or never used what it was exchanged for.
        and (s.refresh_token_counter = 0 and t.updated_at = s.updated_at) is not true
    then
        delete from auth.sessions x where x.id = s.id;
        return kith.failed('refresh_token_already_used');
    end if;
    update auth.refresh_tokens x
    set revoked = true, updated_at = pg_catalog.now()
    where x.session_id = s.id and not x.revoked;
    if s.refresh_token_hmac_key is null then
        s.refresh_token_hmac_key := context ->> 'key';
        s.refresh_token_counter := 0;
        return kith.touch_session(s, context);
    end if;
    return kith.signed_in(s, context);
end
$$;
comment on function kith.refresh_imported(text, json) is 'Exchanges a refresh token of another server for one of the new kind.';

-- The user of a token.
create function kith.current_user_of(user_id uuid, session_id uuid) returns auth.users
language plpgsql volatile set search_path = ''
as $$
declare
    u auth.users;
begin
    select * into u from auth.users x where x.id = current_user_of.user_id;
    if u.id is null or u.deleted_at is not null then
        perform kith.refuse(403, 'user_not_found', 'User from sub claim in JWT does not exist');
    end if;
    if session_id is not null
        and not exists (
            select from auth.sessions s
            where s.id = session_id and s.user_id = u.id and (s.not_after is null or s.not_after > pg_catalog.now())
        )
    then
        perform kith.refuse(403, 'session_not_found', 'Session from session_id claim in JWT does not exist');
    end if;
    if u.banned_until > pg_catalog.now() then
        perform kith.refuse(403, 'user_banned', 'User is banned');
    end if;
    return u;
end
$$;
comment on function kith.current_user_of(uuid, uuid) is 'The user of a verified token, unless they or the session are gone.';

-- A token whose session has ended ends no others.
create function kith.sign_out(user_id uuid, session_id uuid, scope text) returns void
language sql volatile set search_path = ''
as $$
    select kith.current_user_of(user_id, session_id);
    delete from auth.sessions s
    where s.user_id = sign_out.user_id
        and case scope
            when 'local' then s.id = sign_out.session_id
            when 'others' then s.id is distinct from sign_out.session_id
            else true
        end
$$;
comment on function kith.sign_out(uuid, uuid, text) is 'Ends sessions of a user: this one, the others, or all (global).';

create function kith.get_user(user_id uuid, session_id uuid) returns json
language sql volatile set search_path = ''
as $$
    select kith.user_json(kith.current_user_of(user_id, session_id))
$$;
comment on function kith.get_user(uuid, uuid) is 'The user of a verified token, as the API shows them.';

create function kith.own_password(user_id uuid, session_id uuid) returns text
language sql volatile set search_path = ''
as $$
    select nullif((kith.current_user_of(user_id, session_id)).encrypted_password, '')
$$;
comment on function kith.own_password(uuid, uuid) is 'Hash of a user''s own password; null without one.';

create function kith.set_password(user_id uuid, hash text, except_session uuid) returns void
language sql volatile set search_path = ''
as $$
    update auth.users x set encrypted_password = hash, updated_at = pg_catalog.now() where x.id = user_id;
    delete from auth.sessions s where s.user_id = set_password.user_id and s.id is distinct from except_session;
    -- A link that was asked for with the old password must not undo the new one.
    delete from auth.one_time_tokens t where t.user_id = set_password.user_id;
$$;
comment on function kith.set_password(uuid, text, uuid) is 'A new password ends every other session and every pending link.';

-- body: what the client sent, of which "data" is merged.  links: mails to prove
-- another address, unless it is confirmed without.
create function kith.update_user(
    user_id uuid,
    session_id uuid,
    body jsonb,
    email text,
    hash text,
    confirmed boolean,
    links json default null
) returns json
language plpgsql volatile set search_path = ''
as $$
declare
    u auth.users := kith.current_user_of(user_id, session_id);
begin
    if body ? 'data' and body -> 'data' <> 'null' then
        update auth.users x
        set raw_user_meta_data = kith.merge_metadata(x.raw_user_meta_data, body -> 'data'), updated_at = pg_catalog.now()
        where x.id = u.id;
    end if;
    if hash is not null then
        if u.is_anonymous and (email is null or not confirmed) then
            perform kith.refuse(422, 'validation_failed', 'Updating password of an anonymous user without an email or phone is not allowed');
        end if;
        perform kith.set_password(u.id, hash, session_id);
    end if;
    -- Behind the password, which ends pending links.
    if email is not null and email is distinct from pg_catalog.lower(u.email) then
        if confirmed then
            perform kith.change_email(u, email);
        else
            perform kith.begin_email_change(u, email, links);
        end if;
    end if;
    select * into u from auth.users x where x.id = u.id;
    return kith.user_json(u);
end
$$;
comment on function kith.update_user(uuid, uuid, jsonb, text, text, boolean, json) is 'What a user changes of themselves.';

grant select on sequence kith.schema_version to kith_auth;
grant execute on function
    kith.get_user(uuid, uuid),
    kith.own_password(uuid, uuid),
    kith.update_user(uuid, uuid, jsonb, text, text, boolean, json),
    kith.refuse(integer, text, text),
    kith.hit(text[], integer[], integer[]),
    kith.limited(text[], integer[]),
    kith.rfc3339(timestamptz),
    kith.without_nulls(json),
    kith.identity_json(auth.identities),
    kith.user_json(auth.users),
    kith.access_claims(auth.sessions, auth.users, json),
    kith.signed_in(auth.sessions, json),
    kith.failed(text),
    kith.start_session(uuid, text, json),
    kith.merge_metadata(jsonb, jsonb),
    kith.add_email_identity(auth.users),
    kith.find_user(text),
    kith.add_user(text, text, boolean, jsonb, jsonb, uuid),
    kith.made_up_user(text, jsonb),
    kith.sign_up(text, text, jsonb, boolean, json, json),
    kith.sign_up_guest(jsonb, json),
    kith.password_of(text),
    kith.sign_in(uuid, text, text, json),
    kith.refresh_key(uuid),
    kith.session_failure(auth.sessions),
    kith.touch_session(auth.sessions, json),
    kith.refresh(uuid, bigint, json),
    kith.refresh_imported(text, json),
    kith.sign_out(uuid, uuid, text),
    kith.current_user_of(uuid, uuid),
    kith.set_password(uuid, text, uuid)
    to kith_auth;

reset role;
