-- Onboarding: how far a new user has come, and what they answered on the way.
-- Apart from users, because it is of use for a few minutes only.

set local role kith_owner;

create table public.onboarding (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users on delete cascade
        constraint onboarding_user_id_key unique,
    current_step integer not null default 0
        constraint onboarding_current_step_positive check (current_step >= 0),
    completed boolean not null default false,
    data jsonb not null default '{}',
    completed_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
-- The unique constraint's index serves the policy and the foreign key.

comment on table public.onboarding is 'How far a user has come in the first steps; one row per user.';
comment on column public.onboarding.id is 'The row.';
comment on column public.onboarding.user_id is 'Whose first steps.';
comment on column public.onboarding.current_step is 'Step to show next, counted from 0.';
comment on column public.onboarding.completed is 'Whether the user is through.';
comment on column public.onboarding.data is 'What the user answered so far, also in part.';
comment on column public.onboarding.completed_at is 'When the user got through; null as long as they are not.';
comment on column public.onboarding.created_at is 'When it was made.';
comment on column public.onboarding.updated_at is 'When the row last changed.';

alter table public.onboarding enable row level security, force row level security;
create policy "owner keeps own onboarding" on public.onboarding to authenticated
    using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
grant select, delete,
    insert (id, user_id, current_step, completed, data, completed_at, created_at, updated_at),
    update (user_id, current_step, completed, data, completed_at, updated_at)
    on public.onboarding to authenticated;
-- No grant to anon.

create trigger touch before update on public.onboarding
    for each row execute function kith.touch();

-- A time that the client gives is taken; who is through has one, who is not
-- has none.
create function kith.complete_onboarding() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
    if not new.completed then
        new.completed_at := null;
    elsif new.completed_at is null then
        new.completed_at := coalesce(old.completed_at, pg_catalog.now());
    end if;
    return new;
end
$$;
comment on function kith.complete_onboarding() is 'Trigger: keeps completed_at in step with completed.';
create trigger complete_onboarding before insert or update of completed, completed_at on public.onboarding
    for each row execute function kith.complete_onboarding();

reset role;
