-- Plans and subscriptions: what a user may use.

set local role kith_owner;

-- Plans: read by everybody, written by migrations and the service.
create table public.plans (
    id text primary key constraint plans_id_word check (id ~ '^[a-z][a-z0-9_]*$'),
    name text not null,
    limits jsonb not null default '{}' constraint plans_limits_object check (jsonb_typeof(limits) = 'object'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on table public.plans is 'What can be subscribed to, and what each plan allows.';
comment on column public.plans.id is 'free, pro, essential, family_archive ...';
comment on column public.plans.name is 'Name to show.';
comment on column public.plans.limits is
    'Most active_memories, profiles, voice_messages_per_month, storage_bytes and documents; a missing one is no limit.';
comment on column public.plans.created_at is 'When the plan was made.';
comment on column public.plans.updated_at is 'When the row last changed.';
alter table public.plans enable row level security, force row level security;
create policy "everybody reads plans" on public.plans for select to anon, authenticated using (true);
grant select on public.plans to anon, authenticated;
-- No writing by users.
create trigger touch before update on public.plans
    for each row execute function kith.touch();

insert into public.plans (id, name, limits) values
    ('free', 'Free',
        '{"active_memories": 100, "profiles": 1, "voice_messages_per_month": 5, "storage_bytes": 104857600, "documents": 10}'),
    ('pro', 'Pro',
        '{"active_memories": 1000, "profiles": 3, "voice_messages_per_month": 50, "storage_bytes": 5368709120, "documents": 500}'),
    ('essential', 'Essential',
        '{"active_memories": 1000, "profiles": 3, "voice_messages_per_month": 100, "storage_bytes": 10737418240, "documents": 100}'),
    ('family_archive', 'Family archive',
        '{"active_memories": 5000, "profiles": 25, "voice_messages_per_month": 1000, "storage_bytes": 53687091200, "documents": 1000}');

-- Subscriptions: all server-controlled, one per user, made at sign-up.
create table public.subscriptions (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null unique references public.users on delete cascade,
    plan text not null default 'free' references public.plans on delete restrict,
    status text not null default 'active'
        constraint subscriptions_status_known check (status in ('active', 'trialing', 'past_due', 'canceled')),
    current_period_end timestamptz,
    cancel_at_period_end boolean not null default false,
    stripe_customer_id text,
    stripe_subscription_id text,
    stripe_price_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index on public.subscriptions (plan);  -- foreign key
create index on public.subscriptions (stripe_customer_id);
create index on public.subscriptions (stripe_subscription_id);
comment on table public.subscriptions is 'The plan of each user.';
comment on column public.subscriptions.id is 'The subscription.';
comment on column public.subscriptions.user_id is 'Whose subscription.';
comment on column public.subscriptions.plan is 'What the user may use now.';
comment on column public.subscriptions.status is 'active, trialing, past_due or canceled.';
comment on column public.subscriptions.current_period_end is 'Paid until then.';
comment on column public.subscriptions.cancel_at_period_end is 'Ends with the period.';
comment on column public.subscriptions.stripe_customer_id is 'Customer at Stripe.';
comment on column public.subscriptions.stripe_subscription_id is 'Subscription at Stripe.';
comment on column public.subscriptions.stripe_price_id is 'Price at Stripe.';
comment on column public.subscriptions.created_at is 'When the row was made.';
comment on column public.subscriptions.updated_at is 'When the row last changed.';
alter table public.subscriptions enable row level security, force row level security;
create policy "user reads own subscription" on public.subscriptions for select to authenticated
    using (user_id = (select auth.uid()));
grant select on public.subscriptions to authenticated;
-- No writing by users, no grant to anon.
create trigger touch before update on public.subscriptions
    for each row execute function kith.touch();

create function kith.start_subscription() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
    insert into public.subscriptions (user_id) values (new.id) on conflict (user_id) do nothing;
    return null;
end
$$;
comment on function kith.start_subscription() is 'Trigger: a new user is on the free plan.';
create trigger start_subscription after insert on public.users
    for each row execute function kith.start_subscription();
alter table public.users enable always trigger start_subscription;

reset role;
