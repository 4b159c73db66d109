-- Passwords of addresses that nobody has proved yet.  Whoever signs up names a
-- password and a mail goes out; only the newest mail works, and with it goes the
-- newest password.  A link or code that was not asked for by signing up proves
-- the address and no password: one that a stranger may have chosen goes.

set local role kith_owner;

-- confirmed: addresses need no mail.  Otherwise the answer is a user without
-- session, and looks the same when the address is taken; its owner is told by
-- mail, which link holds for that case as "notice".
create or replace function kith.sign_up(email text, hash text, body jsonb, confirmed boolean, link json, context json)
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
    end if;
    if known then
        -- Looked at again under its lock: it may have been confirmed just now.
        update auth.users x
        set encrypted_password = hash, updated_at = pg_catalog.now()
        where x.id = u.id and x.confirmed_at is null and x.deleted_at is null;
    end if;
    if not known or found then
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

create function kith.drop_unproved_password(user_id uuid) returns void
language sql volatile set search_path = ''
as $$
    update auth.users x
    set encrypted_password = '', updated_at = pg_catalog.now()
    where x.id = drop_unproved_password.user_id and x.confirmed_at is null and x.encrypted_password <> ''
$$;
comment on function kith.drop_unproved_password(uuid) is
    'Takes the password of a user away whose address is not proved: anybody may have chosen it.';

create or replace function kith.send_code(email text, body jsonb, may_sign_up boolean, links json) returns boolean
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
        perform kith.drop_unproved_password(u.id);
        perform kith.send_link(u.id, 'confirmation_token', email, links -> 'confirmation');
    else
        perform kith.send_link(u.id, 'recovery_token', email, links -> 'magic');
    end if;
    return true;
end
$$;

-- flow_code: digest of a code for the app that waits for it, where a link was
-- followed in a browser; null where the app itself presented the token.
create or replace function kith.redeem(t auth.one_time_tokens, flow_code text, context json) returns kith.signed_in
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
        if t.token_type = 'recovery_token' then
            perform kith.drop_unproved_password(u.id);
        end if;
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
-- Who signed in by a link or a code need not know a password: they may have
-- forgotten it.
create function kith.signed_in_by_password(session_id uuid) returns boolean
language sql stable set search_path = ''
as $$
    select exists (
        select from auth.mfa_amr_claims a where a.session_id = signed_in_by_password.session_id and a.authentication_method = 'password'
    )
$$;
comment on function kith.signed_in_by_password(uuid) is 'Whether whoever holds a session has said the password for it.';

grant execute on function kith.drop_unproved_password(uuid), kith.signed_in_by_password(uuid) to kith_auth;

reset role;
