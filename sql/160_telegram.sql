-- Linking Telegram.  The app shows a link with a token, the user opens it in
-- Telegram, the bot is told the token: whoever wrote to it is that user.

set local role kith_owner;

-- Tokens.  Only the digest is kept.  A token is 244 random bits, so nobody
-- finds it from its digest, which may therefore be read by its owner.
create table public.telegram_link_tokens (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references public.users on delete cascade,
    token text not null constraint telegram_link_tokens_token_sha256 check (token ~ '^[0-9a-f]{64}$'),
    expires_at timestamptz not null default now() + interval '10 minutes',
    used_at timestamptz,
    created_at timestamptz not null default now(),
    constraint telegram_link_tokens_token_key unique (token)
);
create index on public.telegram_link_tokens (user_id);  -- policy and foreign key
-- One live token per user: a new one takes the place of the unused one.
create unique index telegram_link_tokens_live_key on public.telegram_link_tokens (user_id) where used_at is null;

comment on table public.telegram_link_tokens is 'Tokens that link a Telegram account, made by create_telegram_link_token().';
comment on column public.telegram_link_tokens.id is 'The row.';
comment on column public.telegram_link_tokens.user_id is 'Who wants to link Telegram.';
comment on column public.telegram_link_tokens.token is 'SHA-256 of the token, in hexadecimal.';
comment on column public.telegram_link_tokens.expires_at is 'Worth nothing after this.';
comment on column public.telegram_link_tokens.used_at is 'When it linked an account; works once.';
comment on column public.telegram_link_tokens.created_at is 'When it was made.';

alter table public.telegram_link_tokens enable row level security, force row level security;
create policy "user reads own link tokens" on public.telegram_link_tokens for select to authenticated
    using (user_id = (select auth.uid()));
grant select on public.telegram_link_tokens to authenticated;
-- No writing by users: a token they chose could be guessed.  No grant to anon.

create function kith.telegram_token_digest(token text) returns text
language sql immutable strict parallel safe set search_path = ''
as $$
    select pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(token, 'UTF8')), 'hex')
$$;
comment on function kith.telegram_token_digest(text) is 'What is kept of a token.';

-- 43 letters of A-Za-z0-9_-; Telegram's /start takes up to 64 of these.  The
-- user's row is the lock: of two calls at once the second replaces the token of
-- the first.
create function public.create_telegram_link_token() returns text
language plpgsql volatile security definer set search_path = ''
as $$
declare
    owner uuid := (select auth.uid());
    token text;
begin
    perform from public.users u where u.id = owner for no key update;
    if not found then
        raise exception using errcode = 'insufficient_privilege',
            message = 'only a signed-in user can link Telegram';
    end if;
    token := pg_catalog.translate(
        pg_catalog.encode(
            pg_catalog.sha256(pg_catalog.uuid_send(gen_random_uuid()) || pg_catalog.uuid_send(gen_random_uuid())),
            'base64'
        ),
        '+/=', '-_'
    );
    delete from public.telegram_link_tokens t where t.user_id = owner and t.used_at is null;
    insert into public.telegram_link_tokens (user_id, token) values (owner, kith.telegram_token_digest(token));
    return token;
end
$$;
comment on function public.create_telegram_link_token() is
    'A token for the link https://t.me/<bot>?start=<token>, told this once.  It works once, for ten minutes, and replaces an earlier one.';
grant execute on function public.create_telegram_link_token() to authenticated;

-- The other end, for the webhook: somebody sent /start with a token.  A Telegram
-- account belongs to one user, so it leaves the one it was linked to: it takes a
-- fresh token and the account itself to do that.  The outcome says what to answer:
--
--   linked    the account is the user's
--   used      the token worked before
--   expired   the token is older than ten minutes
--   unknown   no such token, or one that a newer one replaced
--
-- Locks, always in this order: the Telegram account (it has no row of its own),
-- the users, the token.
create function kith.redeem_telegram_link_token(
    token text, telegram_user_id bigint, telegram_chat_id bigint, telegram_username text default null
) returns table (outcome text, user_id uuid)
language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
declare
    digest text := kith.telegram_token_digest(redeem_telegram_link_token.token);
    link public.telegram_link_tokens;
begin
    perform pg_catalog.pg_advisory_xact_lock(
        pg_catalog.hashtextextended('telegram ' || redeem_telegram_link_token.telegram_user_id, 0)
    );
    perform from public.users u
    where u.id = (select t.user_id from public.telegram_link_tokens t where t.token = digest)
        or u.telegram_user_id = redeem_telegram_link_token.telegram_user_id
    order by u.id
    for no key update;
    select t.* into link from public.telegram_link_tokens t where t.token = digest for update;
    if not found then
        return query select 'unknown', null::uuid;
    elsif link.used_at is not null then
        return query select 'used', link.user_id;
    elsif link.expires_at <= pg_catalog.clock_timestamp() then
        return query select 'expired', link.user_id;
    else
        update public.telegram_link_tokens t set used_at = pg_catalog.now() where t.id = link.id;
        update public.users u
        set telegram_user_id = null, telegram_chat_id = null, telegram_username = null, telegram_linked_at = null
        where u.telegram_user_id = redeem_telegram_link_token.telegram_user_id and u.id <> link.user_id;
        update public.users u
        set telegram_user_id = redeem_telegram_link_token.telegram_user_id,
            telegram_chat_id = redeem_telegram_link_token.telegram_chat_id,
            telegram_username = redeem_telegram_link_token.telegram_username,
            telegram_linked_at = pg_catalog.now()
        where u.id = link.user_id;
        return query select 'linked', link.user_id;
    end if;
end
$$;
comment on function kith.redeem_telegram_link_token(text, bigint, bigint, text) is
    'Links a Telegram account to the user who made the token: linked, used, expired or unknown.';
-- Called by the owner's own functions only.

reset role;
