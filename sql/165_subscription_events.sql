-- Subscription events: what the payment provider of workspaces told, kept as it
-- came.  A record that can be changed proves nothing, so it only grows.

set local role kith_owner;

create table public.subscription_events (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references public.users on delete cascade,
    workspace_id uuid references public.workspaces on delete set null,
    event_type text not null constraint subscription_events_event_type_length check (length(event_type) between 1 and 200),
    event_source text not null default 'lemonsqueezy',
    ls_subscription_id text,
    ls_customer_id text,
    payload jsonb not null default '{}',
    created_at timestamptz not null default now()
);
create index on public.subscription_events (user_id, created_at desc);  -- policy, foreign key, newest first
create index on public.subscription_events (workspace_id) where workspace_id is not null;  -- foreign key
create index on public.subscription_events (ls_subscription_id);

comment on table public.subscription_events is 'What the payment provider told about a workspace''s subscription.';
comment on column public.subscription_events.id is 'The event.';
comment on column public.subscription_events.user_id is 'Owner of the workspace; filled in from it.';
comment on column public.subscription_events.workspace_id is 'Whose subscription; null once the workspace is gone.';
comment on column public.subscription_events.event_type is 'subscription_created, subscription_updated ...';
comment on column public.subscription_events.event_source is 'Who told: lemonsqueezy.';
comment on column public.subscription_events.ls_subscription_id is 'Subscription at Lemon Squeezy.';
comment on column public.subscription_events.ls_customer_id is 'Customer at Lemon Squeezy.';
comment on column public.subscription_events.payload is 'The whole event, as it came.';
comment on column public.subscription_events.created_at is 'When it came.';

alter table public.subscription_events enable row level security, force row level security;
create policy "user reads own subscription events" on public.subscription_events for select to authenticated
    using (user_id = (select auth.uid()));
grant select on public.subscription_events to authenticated;
-- No writing by users, no grant to anon, and the service may only add.
revoke update, delete on public.subscription_events from service_role;

create trigger follow_workspace_owner before insert on public.subscription_events
    for each row when (new.workspace_id is not null) execute function kith.follow_workspace_owner();

-- Rights can be granted anew; this holds for the owner of the table too.  Two
-- things do happen to an event: its user goes, and it with them; its workspace
-- goes, and it stays without one.  Both come from a foreign key, after the row
-- it points to is gone.  With the owner's rights: a row that row-level security
-- hides is not gone.
create function kith.keep_subscription_event() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
    if tg_op = 'DELETE' then
        if not exists (select from public.users u where u.id = old.user_id) then
            return old;
        end if;
    elsif new.workspace_id is null
        and not exists (select from public.workspaces w where w.id = old.workspace_id)
        and pg_catalog.to_jsonb(new) - 'workspace_id' = pg_catalog.to_jsonb(old) - 'workspace_id'
    then
        return new;
    end if;
    raise exception using errcode = 'insufficient_privilege',
        message = 'a subscription event is never changed',
        hint = 'Events go with the account they belong to.';
end
$$;
comment on function kith.keep_subscription_event() is 'Trigger: subscription events are only added.';
create trigger keep_event before update or delete on public.subscription_events
    for each row execute function kith.keep_subscription_event();

reset role;
