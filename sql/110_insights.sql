-- Insights: what was noticed in a user's conversations and is to be shown to
-- them, once, at a good moment.

set local role kith_owner;

create table public.insights (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users on delete cascade,
    type text not null
        constraint insights_type_known check (type in ('session_summary', 'nudge', 'follow_up', 'observation')),
    status text not null default 'pending'
        constraint insights_status_known check (status in ('pending', 'revealed', 'actioned')),
    content jsonb not null default '{}',
    rating jsonb,
    feedback text,
    revealed_at timestamptz,
    actioned_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index on public.insights (user_id, status);  -- policy and foreign key
create index on public.insights (user_id, status, created_at desc);  -- newest of a status

comment on table public.insights is 'Something noticed in what a user said, to be shown to them.';
comment on column public.insights.id is 'The insight.';
comment on column public.insights.user_id is 'Whose insight.';
comment on column public.insights.type is 'session_summary, nudge, follow_up or observation.';
comment on column public.insights.status is 'pending, then revealed, then actioned; never back.';
comment on column public.insights.content is 'What is shown.';
comment on column public.insights.rating is 'What the user thinks of it.';
comment on column public.insights.feedback is 'The same, in their words.';
comment on column public.insights.revealed_at is 'When it was first shown; set by the server.';
comment on column public.insights.actioned_at is 'When the user acted on it; set by the server.';
comment on column public.insights.created_at is 'When it was made.';
comment on column public.insights.updated_at is 'When the row last changed.';

alter table public.insights enable row level security, force row level security;
create policy "owner keeps own insights" on public.insights to authenticated
    using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
-- The app's own server notices things in the user's name, and a user may wish
-- something unsaid: both insert and delete are theirs.  What was noticed stays
-- as it was: of a row that is there, only the answer to it changes.
grant select, delete,
    insert (id, user_id, type, status, content, rating, feedback, created_at, updated_at),
    update (status, rating, feedback)
    on public.insights to authenticated;
-- No grant to anon.

create trigger touch before update on public.insights
    for each row execute function kith.touch();

-- Forward only, a step may be skipped: what was acted on was seen.  Times that
-- are there stay, so an import keeps its own.
create function kith.advance_insight() returns trigger
language plpgsql volatile set search_path = ''
as $$
declare
    steps constant text[] := array['pending', 'revealed', 'actioned'];
begin
    if tg_op = 'UPDATE'
        and pg_catalog.array_position(steps, new.status) < pg_catalog.array_position(steps, old.status)
    then
        raise exception using errcode = 'check_violation',
            message = pg_catalog.format('an insight that is %s cannot become %s', old.status, new.status),
            hint = 'An insight goes from pending to revealed to actioned, never back.';
    end if;
    if new.status in ('revealed', 'actioned') then
        new.revealed_at := coalesce(new.revealed_at, pg_catalog.now());
    end if;
    if new.status = 'actioned' then
        new.actioned_at := coalesce(new.actioned_at, pg_catalog.now());
    end if;
    return new;
end
$$;
comment on function kith.advance_insight() is 'Trigger: an insight goes forward only, and each step has its time.';
create trigger advance_insight before insert or update of status on public.insights
    for each row execute function kith.advance_insight();

reset role;
