-- One-time links and codes: what a mail lets its reader do.  A token is a link,
-- whose text nobody can guess, and a code to be typed, which five wrong tries
-- end.  The database knows digests only; the mail that holds both is a job, in a
-- schema that is closed to users, and emptied when it was sent.
--
-- Whatever takes a token locks its user first, as do changes of the user, so
-- that none waits for the other.

set local role kith_owner;

-- Sending.  link, from the program: token_hash, code_hash, lifetime (seconds);
-- mail, the payload of the job, unless the program shows the link itself; flow,
-- where an app waits that will fetch the session by a code (PKCE).  A newer
-- token of a kind takes the place of the older one.
create function kith.begin_flow(id uuid, user_id uuid, flow json) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    -- Whoever adds one sweeps a few that nobody came back for.
    delete from auth.flow_state f
    where f.id in (
        select o.id from auth.flow_state o
        where o.created_at < pg_catalog.now() - interval '1 day'
        order by o.created_at
        limit 10
        for update skip locked
    );
    insert into auth.flow_state (
        id, user_id, code_challenge_method, code_challenge, provider_type, authentication_method, created_at, updated_at
    )
    values (
        begin_flow.id, begin_flow.user_id, (flow ->> 'method')::auth.code_challenge_method, flow ->> 'challenge', 'email',
        flow ->> 'authentication_method', pg_catalog.now(), pg_catalog.now()
    );
end
$$;
comment on function kith.begin_flow(uuid, uuid, json) is
    'Notes for which app a one-time token was asked for; the flow has the id of the token.';

create function kith.send_link(user_id uuid, type auth.one_time_token_type, address text, link json) returns void
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
    token uuid := pg_catalog.gen_random_uuid();
    u auth.users;
begin
    delete from auth.flow_state f
    using auth.one_time_tokens t
    where t.user_id = send_link.user_id and t.token_type = send_link.type and f.id = t.id;
    insert into auth.one_time_tokens (
        id, user_id, token_type, token_hash, relates_to, created_at, updated_at, code_hash, expires_at
    )
    values (
        token, send_link.user_id, send_link.type, link ->> 'token_hash', send_link.address,
        pg_catalog.now() at time zone 'UTC', pg_catalog.now() at time zone 'UTC', link ->> 'code_hash',
        pg_catalog.now() + pg_catalog.make_interval(secs => (link ->> 'lifetime')::double precision)
    )
    on conflict (user_id, token_type) do update
    set id = excluded.id,
        token_hash = excluded.token_hash,
        relates_to = excluded.relates_to,
        updated_at = excluded.updated_at,
        code_hash = excluded.code_hash,
        expires_at = excluded.expires_at,
        failed_attempts = 0;
    if link -> 'flow' is not null then
        perform kith.begin_flow(token, send_link.user_id, link -> 'flow');
    end if;
    update auth.users x
    set confirmation_sent_at = case type when 'confirmation_token' then pg_catalog.now() else x.confirmation_sent_at end,
        recovery_sent_at = case type when 'recovery_token' then pg_catalog.now() else x.recovery_sent_at end,
        email_change_sent_at = case
            when type in ('email_change_token_new', 'email_change_token_current') then pg_catalog.now()
            else x.email_change_sent_at
        end,
        reauthentication_sent_at = case type
            when 'reauthentication_token' then pg_catalog.now()
            else x.reauthentication_sent_at
        end
    where x.id = send_link.user_id
    returning * into u;
    if link -> 'mail' is not null then
        perform kith.enqueue(
            'mail',
            pg_catalog.jsonb_set((link -> 'mail')::jsonb, '{data,Data}', coalesce(u.raw_user_meta_data, '{}')),
            key => 'mail ' || (link ->> 'token_hash'),
            user_id => u.id
        );
    end if;
end
$$;
comment on function kith.send_link(uuid, auth.one_time_token_type, text, json) is
    'Keeps a one-time token for a user and queues the mail that holds it.';

create function kith.find_or_add_user(email text, hash text, data jsonb) returns auth.users
language plpgsql volatile set search_path = ''
as $$
declare
    u auth.users := kith.find_user(email);
begin
    if u.id is not null then
        return u;
    end if;
    begin
        return kith.add_user(email, hash, false, '{"provider": "email", "providers": ["email"]}', data);
    exception when unique_violation then
        u := kith.find_user(email);
        if u.id is null then
            raise;  -- of an app's own trigger
        end if;
        return u;  -- another request was faster by a moment
    end;
end
$$;
comment on function kith.find_or_add_user(text, text, jsonb) is 'The user of an address, made unless there is one.';

-- Asked for by anybody, with an address: neither the answer nor its time tells
-- whether somebody has it.
create function kith.send_nothing(link json) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    perform kith.enqueue('mail', pg_catalog.jsonb_set((link -> 'mail')::jsonb, '{data,Data}', '{}'), key => 'mail ' || (link ->> 'token_hash'));
    raise exception using errcode = 'KI001', message = 'undone';
exception when sqlstate 'KI001' then
    -- What was written goes to the disk with the commit all the same, which takes longest.
    null;
end
$$;
comment on function kith.send_nothing(json) is 'Takes as long as mailing a link does, and mails none.';

create function kith.send_recovery(email text, link json) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    u auth.users := kith.find_user(email);
begin
    if u.id is not null and u.deleted_at is null then
        perform kith.send_link(u.id, 'recovery_token', email, link);
    else
        perform kith.send_nothing(link);
    end if;
end
$$;
comment on function kith.send_recovery(text, json) is 'Mails a link to whoever forgot the password of an address.';

-- links: confirmation, for a user who has not proved the address yet, and magic,
-- for one who has.
create function kith.send_code(email text, body jsonb, may_sign_up boolean, links json) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
    u auth.users := kith.find_user(email);
begin
    if u.id is null and not may_sign_up then
        perform kith.send_nothing(links -> 'magic');
        return false;
    elsif u.id is null then
        u := kith.find_or_add_user(email, null, kith.merge_metadata('{}', coalesce(nullif(body -> 'data', 'null'), '{}')));
    end if;
    if u.deleted_at is not null then
        perform kith.send_nothing(links -> 'magic');
    elsif u.confirmed_at is null then
        perform kith.send_link(u.id, 'confirmation_token', email, links -> 'confirmation');
    else
        perform kith.send_link(u.id, 'recovery_token', email, links -> 'magic');
    end if;
    return true;
end
$$;
comment on function kith.send_code(text, jsonb, boolean, json) is
    'Mails a link and a code to sign in with, to a new user too when they may sign up; false when there is none.';

create function kith.resend_confirmation(email text, link json) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    u auth.users := kith.find_user(email);
begin
    if u.id is not null and u.confirmed_at is null and u.deleted_at is null then
        perform kith.send_link(u.id, 'confirmation_token', email, link);
    else
        perform kith.send_nothing(link);
    end if;
end
$$;
comment on function kith.resend_confirmation(text, json) is 'Mails the link to confirm an address again, while it is not confirmed.';

-- Another address.  The change waits in email_change until both addresses, or the
-- one that was asked, confirmed it; email_change_confirm_status counts, and begins
-- at one where there is one to ask.
create function kith.set_email(user_id uuid, email text, proved boolean) returns boolean
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
    u auth.users;
begin
    begin
        update auth.users x
        set email = set_email.email,
            email_confirmed_at = case when proved then pg_catalog.now() else x.email_confirmed_at end,
            email_change = '',
            email_change_confirm_status = 0,
            raw_app_meta_data = case
                when x.is_anonymous then coalesce(x.raw_app_meta_data, '{}') || '{"provider": "email", "providers": ["email"]}'
                else x.raw_app_meta_data
            end,
            is_anonymous = false,
            updated_at = pg_catalog.now()
        where x.id = set_email.user_id
        returning * into u;
    exception when unique_violation then
        if (kith.find_user(set_email.email)).id is null then
            raise;  -- of an app's own trigger
        end if;
        return false;
    end;
    perform kith.add_email_identity(u);
    -- What went to the old address is worth nothing any more.
    delete from auth.one_time_tokens t where t.user_id = u.id;
    return true;
end
$$;
comment on function kith.set_email(uuid, text, boolean) is 'Gives a user another address; false when it is taken.';

create function kith.change_email(u auth.users, email text, proved boolean default true) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    if (kith.find_user(email)).id is distinct from u.id and (kith.find_user(email)).id is not null
        or not kith.set_email(u.id, email, proved)
    then
        perform kith.refuse(422, 'email_exists', 'A user with this email address has already been registered');
    end if;
end
$$;
comment on function kith.change_email(auth.users, text, boolean) is 'Gives a user another address at once; refused when it is taken.';

create function kith.own_email(user_id uuid, session_id uuid) returns text
language sql volatile set search_path = ''
as $$
    select pg_catalog.lower(nullif((kith.current_user_of(user_id, session_id)).email, ''))
$$;
comment on function kith.own_email(uuid, uuid) is 'Address of the user of a verified token; null for a guest.';

-- links: new, to the new address, and current, to the old one, where that is
-- asked too.
create function kith.begin_email_change(u auth.users, email text, links json) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    if (kith.find_user(email)).id is not null then
        perform kith.refuse(422, 'email_exists', 'A user with this email address has already been registered');
    end if;
    update auth.users x
    set email_change = begin_email_change.email,
        email_change_confirm_status = case when links -> 'current' is null then 1 else 0 end,
        updated_at = pg_catalog.now()
    where x.id = u.id;
    delete from auth.one_time_tokens t
    where t.user_id = u.id and t.token_type in ('email_change_token_new', 'email_change_token_current');
    perform kith.send_link(u.id, 'email_change_token_new', email, links -> 'new');
    if links -> 'current' is not null then
        perform kith.send_link(u.id, 'email_change_token_current', pg_catalog.lower(u.email), links -> 'current');
    end if;
end
$$;
comment on function kith.begin_email_change(auth.users, text, json) is 'Keeps another address until it is confirmed, and mails the links for that.';

create function kith.pending_email(email text) returns text
language sql stable set search_path = ''
as $$
    select nullif(u.email_change, '') from kith.find_user(email) u where u.deleted_at is null
$$;
comment on function kith.pending_email(text) is 'The address that waits to take the place of this one; null without one.';

-- Only what is still to be confirmed: an address that was asked again could
-- confirm twice, in the name of the other.
create function kith.resend_email_change(email text, pending text, links json) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    u auth.users := kith.find_user(email);
    open auth.one_time_token_type[];
begin
    if u.id is null or pending is null or u.email_change is distinct from pending or u.deleted_at is not null then
        perform kith.send_nothing(links -> 'new');
        return;
    end if;
    perform from auth.users x where x.id = u.id for no key update;
    open := array(
        select t.token_type from auth.one_time_tokens t
        where t.user_id = u.id
            and (t.token_type = 'email_change_token_new' and t.relates_to = pending
                or t.token_type = 'email_change_token_current' and t.relates_to = email)
    );
    if 'email_change_token_new' = any (open) then
        perform kith.send_link(u.id, 'email_change_token_new', pending, links -> 'new');
    end if;
    if 'email_change_token_current' = any (open) and links -> 'current' is not null then
        perform kith.send_link(u.id, 'email_change_token_current', email, links -> 'current');
    end if;
end
$$;
comment on function kith.resend_email_change(text, text, json) is 'Mails the links for another address again, those that were not used.';

-- Redeeming.  Wrong, used and expired look alike.
create function kith.take_code(address text, types auth.one_time_token_type[], codes text[]) returns auth.one_time_tokens
language plpgsql volatile set search_path = ''
as $$
declare
    t auth.one_time_tokens;
begin
    -- One try after the other, or many at once would count as one.
    perform from auth.users u
    where u.id in (
        select x.user_id from auth.one_time_tokens x where x.relates_to = address and x.token_type = any (types)
    )
    order by u.id
    for no key update;
    delete from auth.one_time_tokens x
    using unnest(types, codes) as presented (type, code)
    where x.relates_to = address
        and x.token_type = presented.type
        and x.code_hash = presented.code
        and x.expires_at > pg_catalog.now()
    returning x.* into t;
    if t.id is null then
        update auth.one_time_tokens x
        set failed_attempts = x.failed_attempts + 1, updated_at = pg_catalog.now() at time zone 'UTC'
        where x.relates_to = address and x.token_type = any (types);
        delete from auth.one_time_tokens x
        where x.relates_to = address and x.token_type = any (types) and x.failed_attempts >= 5;
    end if;
    return t;
end
$$;
comment on function kith.take_code(text, auth.one_time_token_type[], text[]) is
    'The token whose code this is, which ends with it; all null, and one try less for each that it was not.';

create function kith.take_link(token_hash text, types auth.one_time_token_type[]) returns auth.one_time_tokens
language plpgsql volatile set search_path = ''
as $$
declare
    t auth.one_time_tokens;
begin
    perform from auth.users u
    where u.id in (select x.user_id from auth.one_time_tokens x where x.token_hash = take_link.token_hash)
    for no key update;
    delete from auth.one_time_tokens x
    where x.token_hash = take_link.token_hash and x.token_type = any (types) and x.expires_at > pg_catalog.now()
    returning x.* into t;
    return t;
end
$$;
comment on function kith.take_link(text, auth.one_time_token_type[]) is 'The token of a link, which ends with it; all null when there is none.';

create function kith.is_link_open(token_hash text, types auth.one_time_token_type[]) returns boolean
language sql stable set search_path = ''
as $$
    select exists (
        select from auth.one_time_tokens x
        where x.token_hash = is_link_open.token_hash and x.token_type = any (types) and x.expires_at > pg_catalog.now()
    )
$$;
comment on function kith.is_link_open(text, auth.one_time_token_type[]) is 'Whether a link would still be taken.';

create function kith.confirm_email_change(u auth.users, t auth.one_time_tokens) returns text
language plpgsql volatile set search_path = ''
as $$
begin
    if coalesce(u.email_change, '') = ''
        -- Asked for before one of the two was changed.
        or t.relates_to is distinct from (
            case t.token_type when 'email_change_token_new' then u.email_change else pg_catalog.lower(u.email) end
        )
    then
        return 'otp_expired';
    end if;
    if coalesce(u.email_change_confirm_status, 0) = 0 then
        update auth.users x
        set email_change_confirm_status = 1, updated_at = pg_catalog.now()
        where x.id = u.id;
        return 'other_address';
    end if;
    if not kith.set_email(u.id, u.email_change, true) then
        return 'email_exists';
    end if;
    return null;
end
$$;
comment on function kith.confirm_email_change(auth.users, auth.one_time_tokens) is
    'Counts one address that confirmed a change, and makes it when it was the last; why not, otherwise.';

create function kith.confirm_email(user_id uuid) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    u auth.users;
begin
    update auth.users x
    set email_confirmed_at = pg_catalog.now(), updated_at = pg_catalog.now()
    where x.id = confirm_email.user_id and x.email_confirmed_at is null
    returning * into u;
    if found then
        perform kith.add_email_identity(u);
    end if;
end
$$;
comment on function kith.confirm_email(uuid) is 'An address was proved.';

-- flow_code: digest of a code for the app that waits for it, where a link was
-- followed in a browser; null where the app itself presented the token.
create function kith.redeem(t auth.one_time_tokens, flow_code text, context json) returns kith.signed_in
language plpgsql volatile set search_path = ''
as $$
declare
    u auth.users;
    failure text;
begin
    select * into u from auth.users x where x.id = t.user_id;
    if u.id is null or u.deleted_at is not null then
        return kith.failed('otp_expired');
    elsif u.banned_until > pg_catalog.now() then
        return kith.failed('user_banned');
    end if;
    if t.token_type in ('email_change_token_new', 'email_change_token_current') then
        failure := kith.confirm_email_change(u, t);
    elsif t.relates_to is distinct from pg_catalog.lower(u.email) then
        failure := 'otp_expired';
    else
        perform kith.confirm_email(u.id);
    end if;
    if failure is not null then
        delete from auth.flow_state f where f.id = t.id;
        return kith.failed(failure);
    end if;
    update auth.flow_state f
    set auth_code = flow_code, auth_code_issued_at = pg_catalog.now(), updated_at = pg_catalog.now()
    where f.id = t.id and flow_code is not null;
    if found then
        return kith.failed('fetch_by_code');
    end if;
    delete from auth.flow_state f where f.id = t.id;
    return kith.start_session(u.id, 'otp', context);
end
$$;
comment on function kith.redeem(auth.one_time_tokens, text, json) is
    'Does what a token that was taken is for, and signs in.  Failures beside those of the SDKs: other_address, of a change that the other one has still to confirm; fetch_by_code, when the app will do so.';

create function kith.verify_code(address text, types auth.one_time_token_type[], codes text[], context json)
returns kith.signed_in
language sql volatile set search_path = ''
as $$
    select kith.redeem(kith.take_code(address, types, codes), null, context)
$$;
comment on function kith.verify_code(text, auth.one_time_token_type[], text[], json) is
    'Signs in by a code; codes holds its HMAC for each type of token.';

create function kith.verify_link(token_hash text, types auth.one_time_token_type[], flow_code text, context json)
returns kith.signed_in
language sql volatile set search_path = ''
as $$
    select kith.redeem(kith.take_link(token_hash, types), flow_code, context)
$$;
comment on function kith.verify_link(text, auth.one_time_token_type[], text, json) is 'Signs in by a link.';

-- challenge: what a verifier must have been made into, by the method s256.
create function kith.exchange_code(code text, verifier text, challenge text, context json) returns kith.signed_in
language plpgsql volatile set search_path = ''
as $$
declare
    f auth.flow_state;
begin
    select * into f from auth.flow_state x where x.auth_code = exchange_code.code for update;
    if not found then
        perform kith.refuse(404, 'flow_state_not_found', 'invalid flow state, no valid flow state found');
    elsif f.auth_code_issued_at < pg_catalog.now() - interval '5 minutes' then
        perform kith.refuse(422, 'flow_state_expired', 'invalid flow state, flow state has expired');
    elsif f.code_challenge is distinct from (case f.code_challenge_method when 's256' then challenge else verifier end) then
        perform kith.refuse(400, 'bad_code_verifier', 'code challenge does not match previously saved code verifier');
    end if;
    delete from auth.flow_state x where x.id = f.id;
    return kith.start_session(f.user_id, f.authentication_method, context);
end
$$;
comment on function kith.exchange_code(text, text, text, json) is 'Signs in the app that asked for a link, by the code that the link ended with.';

-- Reauthentication: a code before the password of somebody who signed in long ago
-- may be changed.
create function kith.send_reauthentication(user_id uuid, session_id uuid, address text, link json) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    u auth.users := kith.current_user_of(user_id, session_id);
begin
    perform kith.send_link(u.id, 'reauthentication_token', address, link);
end
$$;
comment on function kith.send_reauthentication(uuid, uuid, text, json) is 'Mails a code that shows again who somebody is.';

-- address: to which it was mailed; null when the user has none.
create function kith.reauthenticate(session_id uuid, address text, code text) returns text
language plpgsql volatile set search_path = ''
as $$
begin
    if exists (select from auth.sessions s where s.id = session_id and s.created_at > pg_catalog.now() - interval '1 day')
        or address is null
    then
        return null;
    elsif code is null then
        return 'reauthentication_needed';
    elsif (kith.take_code(address, '{reauthentication_token}', array[code])).id is null then
        return 'reauthentication_not_valid';
    end if;
    return null;
end
$$;
comment on function kith.reauthenticate(uuid, text, text) is
    'Why a password may not be changed yet; null when the session is young, there is no address to ask, or the code is right.';

grant execute on function
    kith.begin_flow(uuid, uuid, json),
    kith.send_link(uuid, auth.one_time_token_type, text, json),
    kith.find_or_add_user(text, text, jsonb),
    kith.send_nothing(json),
    kith.send_recovery(text, json),
    kith.send_code(text, jsonb, boolean, json),
    kith.resend_confirmation(text, json),
    kith.set_email(uuid, text, boolean),
    kith.change_email(auth.users, text, boolean),
    kith.own_email(uuid, uuid),
    kith.begin_email_change(auth.users, text, json),
    kith.pending_email(text),
    kith.resend_email_change(text, text, json),
    kith.take_code(text, auth.one_time_token_type[], text[]),
    kith.take_link(text, auth.one_time_token_type[]),
    kith.is_link_open(text, auth.one_time_token_type[]),
    kith.confirm_email_change(auth.users, auth.one_time_tokens),
    kith.confirm_email(uuid),
    kith.redeem(auth.one_time_tokens, text, json),
    kith.verify_code(text, auth.one_time_token_type[], text[], json),
    kith.verify_link(text, auth.one_time_token_type[], text, json),
    kith.exchange_code(text, text, text, json),
    kith.send_reauthentication(uuid, uuid, text, json),
    kith.reauthenticate(uuid, text, text)
    to kith_auth;

reset role;
