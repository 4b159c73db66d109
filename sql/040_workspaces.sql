-- Workspaces and projects: where work is kept together.

set local role kith_owner;

-- Workspaces.
create table public.workspaces (
    id uuid primary key default gen_random_uuid(),
    name text not null constraint workspaces_name_length check (length(name) between 1 and 200),
    owner_id uuid not null default auth.uid() references public.users on delete cascade,
    owner_email text constraint workspaces_owner_email_length check (length(owner_email) <= 255),
    subscription_status text not null default 'free'
        constraint workspaces_subscription_status_known check (subscription_status in ('free', 'pro')),
    subscription_expires_at timestamptz,
    lemonsqueezy_customer_id text,
    lemonsqueezy_subscription_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index on public.workspaces (owner_id);  -- policy and foreign key
create index on public.workspaces (lemonsqueezy_subscription_id);
comment on table public.workspaces is 'What a user works in; holds projects.';
comment on column public.workspaces.id is 'The workspace.';
comment on column public.workspaces.name is 'What its owner calls it.';
comment on column public.workspaces.owner_id is 'Whose workspace.';
comment on column public.workspaces.owner_email is 'Where its mail goes.';
comment on column public.workspaces.subscription_status is 'free or pro.';
comment on column public.workspaces.subscription_expires_at is 'Paid until then.';
comment on column public.workspaces.lemonsqueezy_customer_id is 'Customer at Lemon Squeezy.';
comment on column public.workspaces.lemonsqueezy_subscription_id is 'Subscription at Lemon Squeezy.';
comment on column public.workspaces.created_at is 'When it was made.';
comment on column public.workspaces.updated_at is 'When the row last changed.';
alter table public.workspaces enable row level security, force row level security;
create policy "owner keeps own workspaces" on public.workspaces to authenticated
    using (owner_id = (select auth.uid())) with check (owner_id = (select auth.uid()));
grant select, delete,
    insert (id, name, owner_id, owner_email, created_at, updated_at),
    update (name, owner_id, owner_email, updated_at)
    on public.workspaces to authenticated;
-- No grant to anon.
create trigger touch before update on public.workspaces
    for each row execute function kith.touch();

-- Projects.
create table public.projects (
    id uuid primary key default gen_random_uuid(),
    name text not null constraint projects_name_length check (length(name) between 1 and 200),
    description text,
    workspace_id uuid not null references public.workspaces on delete cascade,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index on public.projects (workspace_id);  -- policy and foreign key
comment on table public.projects is 'Work within a workspace: its conversations and memories stay together.';
comment on column public.projects.id is 'The project.';
comment on column public.projects.name is 'What its owner calls it.';
comment on column public.projects.description is 'What it is about.';
comment on column public.projects.workspace_id is 'Where it belongs; its owner owns the project.';
comment on column public.projects.created_at is 'When it was made.';
comment on column public.projects.updated_at is 'When the row last changed.';
alter table public.projects enable row level security, force row level security;
create policy "workspace owner keeps projects" on public.projects to authenticated
    using ((select auth.uid()) = (select w.owner_id from public.workspaces w where w.id = workspace_id))
    with check ((select auth.uid()) = (select w.owner_id from public.workspaces w where w.id = workspace_id));
grant select, delete,
    insert (id, name, description, workspace_id, created_at, updated_at),
    update (name, description, workspace_id, updated_at)
    on public.projects to authenticated;
-- No grant to anon.
create trigger touch before update on public.projects
    for each row execute function kith.touch();

-- The limit in force.  A pro workspace counts as the plan pro; of two plans
-- the more generous one holds.
create function kith.plan_limit(user_id uuid, name text) returns bigint
language sql stable security definer set search_path = ''
as $$
    select case when bool_and(p.limits ? plan_limit.name) then max((p.limits ->> plan_limit.name)::bigint) end
    from public.plans p
    where p.id = coalesce((select s.plan from public.subscriptions s where s.user_id = plan_limit.user_id), 'free')
        or p.id = 'pro' and exists (
            select from public.workspaces w
            where w.owner_id = plan_limit.user_id
                and w.subscription_status = 'pro'
                and (w.subscription_expires_at is null or w.subscription_expires_at > pg_catalog.now())
        )
$$;
comment on function kith.plan_limit(uuid, text) is 'How much a user''s plan allows; null is no limit.';
-- Called by the owner's own functions only.

reset role;
