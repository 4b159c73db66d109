-- auth: who the users are.  Table and column names are Supabase's own, so that
-- its dumps load and go back; see the comment of a column for what Kith does
-- with it.  Nothing here is exposed by the API: the auth program, logged in as
-- kith_auth, is the only reader, and policies call the four functions.

create schema auth authorization kith_owner;
comment on schema auth is 'Users, identities and sessions, with the names Supabase gave them.';
grant usage on schema auth to anon, authenticated, service_role, kith_auth, kith_worker;

set local role kith_owner;

-- The four functions every policy rests on.  They have no pinned search_path:
-- with one they could not be inlined.  nullif: after a transaction that set
-- the claims, the setting is '' and not null for the rest of the connection.
create function auth.jwt() returns jsonb language sql stable parallel safe
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')
    )::jsonb
$$;
create function auth.uid() returns uuid language sql stable parallel safe
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
    )::uuid
$$;
create function auth.role() returns text language sql stable parallel safe
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.role', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
    )
$$;
create function auth.email() returns text language sql stable parallel safe
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.email', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email'
    )
$$;
comment on function auth.jwt() is 'The verified claims of the request.';
comment on function auth.uid() is 'The user of the request; null without one.  In policies: (select auth.uid()).';
comment on function auth.role() is 'The role claim of the request.';
comment on function auth.email() is 'The e-mail claim of the request.';
grant execute on function auth.jwt(), auth.uid(), auth.role(), auth.email() to anon, authenticated, service_role, kith_worker;

create type auth.aal_level as enum ('aal1', 'aal2', 'aal3');
create type auth.code_challenge_method as enum ('s256', 'plain');
create type auth.one_time_token_type as enum (
    'confirmation_token', 'reauthentication_token', 'recovery_token',
    'email_change_token_new', 'email_change_token_current', 'phone_change_token'
);
comment on type auth.aal_level is 'How surely a session knows its user.';
comment on type auth.code_challenge_method is 'How a PKCE challenge was made from its verifier.';
comment on type auth.one_time_token_type is 'What a one-time token is for.';
grant usage on type auth.aal_level, auth.code_challenge_method, auth.one_time_token_type to kith_auth;

-- Users.
create table auth.users (
    instance_id uuid,
    id uuid primary key,
    aud varchar(255),
    role varchar(255),
    email varchar(255),
    encrypted_password varchar(255),
    email_confirmed_at timestamptz,
    invited_at timestamptz,
    confirmation_token varchar(255) default '',
    confirmation_sent_at timestamptz,
    recovery_token varchar(255) default '',
    recovery_sent_at timestamptz,
    email_change_token_new varchar(255) default '',
    email_change varchar(255) default '',
    email_change_sent_at timestamptz,
    last_sign_in_at timestamptz,
    raw_app_meta_data jsonb,
    raw_user_meta_data jsonb,
    is_super_admin bool,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    phone text unique,
    phone_confirmed_at timestamptz,
    phone_change text default '',
    phone_change_token varchar(255) default '',
    phone_change_sent_at timestamptz,
    confirmed_at timestamptz generated always as (least(email_confirmed_at, phone_confirmed_at)) stored,
    email_change_token_current varchar(255) default '',
    email_change_confirm_status smallint default 0,
    banned_until timestamptz,
    reauthentication_token varchar(255) default '',
    reauthentication_sent_at timestamptz,
    is_sso_user bool not null default false,
    deleted_at timestamptz,
    is_anonymous bool not null default false
);
create unique index users_email_key on auth.users (lower(email)) where not is_sso_user;  -- unlike Supabase's, whatever the case
create index on auth.users (created_at desc);  -- the list of the administrator
comment on table auth.users is 'Who may sign in.';
comment on column auth.users.instance_id is 'All zeros; kept for dumps that go back.';
comment on column auth.users.id is 'The user, and the sub of every token.';
comment on column auth.users.aud is 'Audience of the tokens: authenticated.';
comment on column auth.users.role is 'Role of the tokens: authenticated.';
comment on column auth.users.email is 'Address in lower case; null or empty for a guest.';
comment on column auth.users.encrypted_password is 'Hash as crypt(3) writes it; null or empty means no password.';
comment on column auth.users.email_confirmed_at is 'When the address was proved.';
comment on column auth.users.invited_at is 'When an invitation was sent.';
comment on column auth.users.confirmation_token is 'Of older servers; see one_time_tokens.';
comment on column auth.users.confirmation_sent_at is 'When the last mail to confirm was queued.';
comment on column auth.users.recovery_token is 'Of older servers; see one_time_tokens.';
comment on column auth.users.recovery_sent_at is 'When the last mail to recover was queued.';
comment on column auth.users.email_change_token_new is 'Of older servers; see one_time_tokens.';
comment on column auth.users.email_change is 'Address that waits for confirmation.';
comment on column auth.users.email_change_sent_at is 'When the mails about a new address were queued.';
comment on column auth.users.last_sign_in_at is 'When the user last signed in.';
comment on column auth.users.raw_app_meta_data is 'What the server knows about the user; only the service writes it.';
comment on column auth.users.raw_user_meta_data is 'What the user says about themselves.';
comment on column auth.users.is_super_admin is 'Unused; kept for dumps.';
comment on column auth.users.created_at is 'When the user signed up.';
comment on column auth.users.updated_at is 'When the row last changed.';
comment on column auth.users.phone is 'Phone number; kept for dumps.';
comment on column auth.users.phone_confirmed_at is 'When the phone number was proved.';
comment on column auth.users.phone_change is 'Phone number that waits for confirmation.';
comment on column auth.users.phone_change_token is 'Of older servers; see one_time_tokens.';
comment on column auth.users.phone_change_sent_at is 'When the message about a new number was sent.';
comment on column auth.users.confirmed_at is 'When the first of address and number was proved.';
comment on column auth.users.email_change_token_current is 'Of older servers; see one_time_tokens.';
comment on column auth.users.email_change_confirm_status is 'How many of the two addresses confirmed a change.';
comment on column auth.users.banned_until is 'No sign-in and no session before this time.';
comment on column auth.users.reauthentication_token is 'Of older servers; see one_time_tokens.';
comment on column auth.users.reauthentication_sent_at is 'When the last code to reauthenticate was queued.';
comment on column auth.users.is_sso_user is 'Comes from single sign-on; may share an address.';
comment on column auth.users.deleted_at is 'Soft deletion: the row stays, the user is gone.';
comment on column auth.users.is_anonymous is 'A guest without address.';

-- Identities: one way of signing in each.
create table auth.identities (
    provider_id text not null,
    user_id uuid not null references auth.users on delete cascade,
    identity_data jsonb not null,
    provider text not null,
    last_sign_in_at timestamptz,
    created_at timestamptz,
    updated_at timestamptz,
    email text generated always as (lower(identity_data ->> 'email')) stored,
    id uuid primary key default gen_random_uuid(),
    unique (provider_id, provider)
);
create index on auth.identities (user_id);
create index on auth.identities (email);
comment on table auth.identities is 'The ways in which a user signs in.';
comment on column auth.identities.provider_id is 'Who the user is at the provider; for e-mail the user''s id.';
comment on column auth.identities.user_id is 'Whose identity.';
comment on column auth.identities.identity_data is 'What the provider tells about the user.';
comment on column auth.identities.provider is 'email, or the name of a foreign provider.';
comment on column auth.identities.last_sign_in_at is 'When it was last used.';
comment on column auth.identities.created_at is 'When it was linked.';
comment on column auth.identities.updated_at is 'When the row last changed.';
comment on column auth.identities.email is 'The address in identity_data.';
comment on column auth.identities.id is 'The identity.';

-- Sessions: signing out deletes the row, and with it every token of it.
create table auth.sessions (
    id uuid primary key,
    user_id uuid not null references auth.users on delete cascade,
    created_at timestamptz,
    updated_at timestamptz,
    factor_id uuid,
    aal auth.aal_level,
    not_after timestamptz,
    refreshed_at timestamp,
    user_agent text,
    ip inet,
    tag text,
    oauth_client_id uuid,
    refresh_token_hmac_key text,
    refresh_token_counter bigint,
    scopes text
);
create index on auth.sessions (user_id, created_at);
create index on auth.sessions (not_after desc);
comment on table auth.sessions is 'One sign-in on one device.';
comment on column auth.sessions.id is 'The session_id of its tokens.';
comment on column auth.sessions.user_id is 'Who is signed in.';
comment on column auth.sessions.created_at is 'When the user signed in.';
comment on column auth.sessions.updated_at is 'When the row last changed.';
comment on column auth.sessions.factor_id is 'Second factor; kept for dumps.';
comment on column auth.sessions.aal is 'How surely the user is known.';
comment on column auth.sessions.not_after is 'The session ends then, if set.';
comment on column auth.sessions.refreshed_at is 'When it was last refreshed, UTC.';
comment on column auth.sessions.user_agent is 'Program that last refreshed it.';
comment on column auth.sessions.ip is 'Address it was last refreshed from.';
comment on column auth.sessions.tag is 'Kept for dumps.';
comment on column auth.sessions.oauth_client_id is 'Kept for dumps.';
comment on column auth.sessions.refresh_token_hmac_key is 'Key of its refresh tokens.';
comment on column auth.sessions.refresh_token_counter is 'How often it was refreshed.';
comment on column auth.sessions.scopes is 'Kept for dumps.';

-- Refresh tokens of other servers; each is exchanged once for the new kind.
create table auth.refresh_tokens (
    instance_id uuid,
    id bigserial primary key,
    token varchar(255) unique,
    user_id varchar(255),
    revoked bool,
    created_at timestamptz,
    updated_at timestamptz,
    parent varchar(255),
    session_id uuid references auth.sessions on delete cascade
);
create index on auth.refresh_tokens (session_id, revoked);
create index on auth.refresh_tokens (parent);
comment on table auth.refresh_tokens is 'Imported refresh tokens; Kith''s own need no row.';
comment on column auth.refresh_tokens.instance_id is 'All zeros; kept for dumps.';
comment on column auth.refresh_tokens.id is 'Order of making.';
comment on column auth.refresh_tokens.token is 'The token, as the other server stored it.';
comment on column auth.refresh_tokens.user_id is 'Whose token; text, as in the dumps.';
comment on column auth.refresh_tokens.revoked is 'Used or withdrawn.';
comment on column auth.refresh_tokens.created_at is 'When it was made.';
comment on column auth.refresh_tokens.updated_at is 'When it was revoked.';
comment on column auth.refresh_tokens.parent is 'The token it was exchanged for.';
comment on column auth.refresh_tokens.session_id is 'Session it belongs to.';

-- How a session was entered: the amr claim.
create table auth.mfa_amr_claims (
    session_id uuid not null references auth.sessions on delete cascade,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    authentication_method text not null,
    id uuid primary key,
    unique (session_id, authentication_method)
);
comment on table auth.mfa_amr_claims is 'How the user of a session proved who they are.';
comment on column auth.mfa_amr_claims.session_id is 'Which session.';
comment on column auth.mfa_amr_claims.created_at is 'When it was first used.';
comment on column auth.mfa_amr_claims.updated_at is 'When it was last used.';
comment on column auth.mfa_amr_claims.authentication_method is 'password, otp, recovery, anonymous ...';
comment on column auth.mfa_amr_claims.id is 'The claim.';

-- One-time tokens: only digests are kept.
create table auth.one_time_tokens (
    id uuid primary key,
    user_id uuid not null references auth.users on delete cascade,
    token_type auth.one_time_token_type not null,
    token_hash text not null constraint one_time_tokens_hash_present check (token_hash <> ''),
    relates_to text not null,
    created_at timestamp not null default now(),
    updated_at timestamp not null default now(),
    code_hash text,
    failed_attempts int not null default 0,
    expires_at timestamptz,
    unique (user_id, token_type)
);
create index on auth.one_time_tokens using hash (token_hash);
create index on auth.one_time_tokens using hash (relates_to);
comment on table auth.one_time_tokens is 'What a mail lets its reader do once.';
comment on column auth.one_time_tokens.id is 'The token.';
comment on column auth.one_time_tokens.user_id is 'Whose token.';
comment on column auth.one_time_tokens.token_type is 'What it is for.';
comment on column auth.one_time_tokens.token_hash is 'SHA-256 of the token in the link.';
comment on column auth.one_time_tokens.relates_to is 'Address the mail went to.';
comment on column auth.one_time_tokens.created_at is 'When it was made, UTC.';
comment on column auth.one_time_tokens.updated_at is 'When the row last changed, UTC.';
comment on column auth.one_time_tokens.code_hash is 'HMAC of the code in the mail.';
comment on column auth.one_time_tokens.failed_attempts is 'Wrong codes so far; five end it.';
comment on column auth.one_time_tokens.expires_at is 'Worth nothing after this.';

-- Sign-ins that leave for another page and come back with a code (PKCE).
create table auth.flow_state (
    id uuid primary key,
    user_id uuid,
    auth_code text,
    code_challenge_method auth.code_challenge_method,
    code_challenge text,
    provider_type text not null,
    provider_access_token text,
    provider_refresh_token text,
    created_at timestamptz,
    updated_at timestamptz,
    authentication_method text not null,
    auth_code_issued_at timestamptz,
    invite_token text,
    referrer text,
    oauth_client_state_id uuid,
    linking_target_id uuid,
    email_optional bool not null default false
);
create index on auth.flow_state (auth_code);
create index on auth.flow_state (user_id, authentication_method);
create index on auth.flow_state (created_at desc);  -- purge
comment on table auth.flow_state is 'Sign-ins under way that end with a code.';
comment on column auth.flow_state.id is 'The flow.';
comment on column auth.flow_state.user_id is 'Who signs in, once known.';
comment on column auth.flow_state.auth_code is 'Code that the app exchanges for a session, once.';
comment on column auth.flow_state.code_challenge_method is 'How the challenge was made.';
comment on column auth.flow_state.code_challenge is 'What the verifier must match.';
comment on column auth.flow_state.provider_type is 'email, or a foreign provider.';
comment on column auth.flow_state.provider_access_token is 'Kept for dumps.';
comment on column auth.flow_state.provider_refresh_token is 'Kept for dumps.';
comment on column auth.flow_state.created_at is 'When it began.';
comment on column auth.flow_state.updated_at is 'When the row last changed.';
comment on column auth.flow_state.authentication_method is 'Becomes the amr claim.';
comment on column auth.flow_state.auth_code_issued_at is 'Five minutes from then the code is worth nothing.';
comment on column auth.flow_state.invite_token is 'Kept for dumps.';
comment on column auth.flow_state.referrer is 'Where the browser goes afterwards.';
comment on column auth.flow_state.oauth_client_state_id is 'Kept for dumps.';
comment on column auth.flow_state.linking_target_id is 'Kept for dumps.';
comment on column auth.flow_state.email_optional is 'Kept for dumps.';

-- Forced and without a policy: who does not bypass row-level security sees nothing.
alter table auth.users enable row level security, force row level security;
alter table auth.identities enable row level security, force row level security;
alter table auth.sessions enable row level security, force row level security;
alter table auth.refresh_tokens enable row level security, force row level security;
alter table auth.mfa_amr_claims enable row level security, force row level security;
alter table auth.one_time_tokens enable row level security, force row level security;
alter table auth.flow_state enable row level security, force row level security;

grant select, insert, update, delete
    on auth.users, auth.identities, auth.sessions, auth.refresh_tokens,
        auth.mfa_amr_claims, auth.one_time_tokens, auth.flow_state
    to kith_auth;
grant usage, select on sequence auth.refresh_tokens_id_seq to kith_auth;
-- No grant to anon, authenticated or service_role.

-- The session of a token is looked up in the statement that sets the claims:
-- signing out, a ban and a deletion hold from the next request on.
create function kith.check_session(session_id uuid, user_id uuid) returns void
language plpgsql stable security definer set search_path = ''
as $$
begin
    if session_id is null then
        return;  -- an API key, or a token of a foreign issuer
    end if;
    perform from auth.sessions s
    join auth.users u on u.id = s.user_id
    where s.id = check_session.session_id
        and s.user_id = check_session.user_id
        and (s.not_after is null or s.not_after > pg_catalog.now())
        and (u.banned_until is null or u.banned_until <= pg_catalog.now())
        and u.deleted_at is null;
    if not found then
        raise exception using errcode = 'PT401', message = 'session not found';
    end if;
end
$$;
comment on function kith.check_session(uuid, uuid) is 'Refuses with PT401 unless the session is alive and its user neither banned nor deleted.';
grant execute on function kith.check_session(uuid, uuid) to kith_api, kith_service;

reset role;
