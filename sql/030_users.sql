-- Users: what a person tells the app about themselves.  Who they are, and how
-- they sign in, is the business of auth.users.

set local role kith_owner;

create table public.users (
    id uuid primary key default auth.uid() references auth.users on delete cascade,
    email text,
    display_name text constraint users_display_name_length check (length(display_name) <= 200),
    avatar_path text constraint users_avatar_path_own check (avatar_path like id::text || '/%' and avatar_path !~ '(^|/)\.\.?(/|$)'),
    timezone text not null default 'UTC' constraint users_timezone_length check (length(timezone) between 1 and 64),
    companion_name text constraint users_companion_name_length check (length(companion_name) <= 200),
    companion_persona text,
    companion_settings jsonb not null default '{}',
    telegram_user_id bigint,
    telegram_chat_id bigint,
    telegram_username text,
    telegram_linked_at timestamptz,
    preferences jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create unique index users_telegram_user_id_key on public.users (telegram_user_id);  -- one account per Telegram user

comment on table public.users is 'One row per user, made at sign-up: name, settings and links to other services.';
comment on column public.users.id is 'The user, as in auth.users.';
comment on column public.users.email is 'Address to sign in with; changed through auth only.';
comment on column public.users.display_name is 'What the app calls the user.';
comment on column public.users.avatar_path is 'Picture in storage, below a folder named by the user''s id.';
comment on column public.users.timezone is 'Time zone by its IANA name; says when a day begins.';
comment on column public.users.companion_name is 'What the user calls the companion.';
comment on column public.users.companion_persona is 'How the companion speaks.';
comment on column public.users.companion_settings is 'Settings of the companion.';
comment on column public.users.telegram_user_id is 'Linked Telegram user; set by linking.';
comment on column public.users.telegram_chat_id is 'Chat to write to; set by linking.';
comment on column public.users.telegram_username is 'Name on Telegram when linked.';
comment on column public.users.telegram_linked_at is 'When Telegram was linked.';
comment on column public.users.preferences is 'Settings of the app.';
comment on column public.users.created_at is 'When the user signed up.';
comment on column public.users.updated_at is 'When the row last changed.';

alter table public.users enable row level security, force row level security;
create policy "user keeps own row" on public.users to authenticated
    using (id = (select auth.uid())) with check (id = (select auth.uid()));
-- Insert is for the common upsert of one's own row, which exists since sign-up.
grant select,
    insert (id, display_name, avatar_path, timezone, companion_name, companion_persona, companion_settings, preferences,
        created_at, updated_at),
    update (display_name, avatar_path, timezone, companion_name, companion_persona, companion_settings, preferences,
        updated_at)
    on public.users to authenticated;
-- No delete: a user goes by auth, and everything of theirs with them.
-- No grant to anon.

create trigger touch before update on public.users
    for each row execute function kith.touch();

-- A trigger and not a check: a zone that a later tzdata drops must not keep a
-- dump from loading.
create function kith.check_timezone() returns trigger
language plpgsql stable set search_path = ''
as $$
begin
    perform pg_catalog.timezone(new.timezone, pg_catalog.now());
    return new;
exception when invalid_parameter_value then
    raise exception using errcode = 'check_violation',
        message = pg_catalog.format('time zone "%s" is not known', new.timezone),
        hint = 'Use an IANA name such as Europe/Vienna.';
end
$$;
comment on function kith.check_timezone() is 'Trigger: refuses a time zone that PostgreSQL does not know.';
create trigger check_timezone before insert or update of timezone on public.users
    for each row execute function kith.check_timezone();

create function kith.follow_auth_user() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
    -- The update: the address changed, or a dump was loaded over the row.
    insert into public.users as u (id, email, created_at)
    values (new.id, nullif(new.email, ''), coalesce(new.created_at, pg_catalog.now()))
    on conflict (id) do update set email = excluded.email
    where u.email is distinct from excluded.email;
    return null;
end
$$;
comment on function kith.follow_auth_user() is 'Trigger: makes the row of a new user and keeps its address in step.';
create trigger follow_auth_user after insert or update of email on auth.users
    for each row execute function kith.follow_auth_user();
-- Also while a dump is loaded with session_replication_role = replica.
alter table auth.users enable always trigger follow_auth_user;

reset role;
