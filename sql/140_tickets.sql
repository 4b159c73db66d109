-- Tickets and outputs: work given to an agent, and what came of it.  They
-- belong to whoever owns the project's workspace.

set local role kith_owner;

-- Tickets.
create table public.work_tickets (
    id uuid primary key default gen_random_uuid(),
    task text not null constraint work_tickets_task_length check (length(task) between 1 and 20000),
    agent_type text not null
        constraint work_tickets_agent_type_known check (agent_type in ('research', 'content', 'reporting')),
    status text not null default 'pending'
        constraint work_tickets_status_known check (status in ('pending', 'running', 'completed', 'failed')),
    parameters jsonb not null default '{}',
    error_message text,
    project_id uuid not null references public.projects on delete cascade,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    completed_at timestamptz,
    updated_at timestamptz not null default now()
);
create index on public.work_tickets (project_id, created_at desc);  -- policy, foreign key, newest first
create index on public.work_tickets (created_at) where status in ('pending', 'running');  -- what is to be done

comment on table public.work_tickets is 'A piece of work for an agent.';
comment on column public.work_tickets.id is 'The ticket.';
comment on column public.work_tickets.task is 'What is to be done.';
comment on column public.work_tickets.agent_type is 'Who is to do it: research, content or reporting.';
comment on column public.work_tickets.status is
    'pending, running, completed or failed; kept by the server.  What failed can be tried again.';
comment on column public.work_tickets.parameters is 'What this kind of agent wants to know besides.';
comment on column public.work_tickets.error_message is 'Why it failed.';
comment on column public.work_tickets.project_id is 'Project it is done for; its owner owns the ticket.';
comment on column public.work_tickets.created_at is 'When it was made.';
comment on column public.work_tickets.started_at is 'When the agent began.';
comment on column public.work_tickets.completed_at is 'When the agent ended, well or not.';
comment on column public.work_tickets.updated_at is 'When the row last changed.';

alter table public.work_tickets enable row level security, force row level security;
-- A user has few projects: an array of them is soon made, and finds the user's
-- tickets by the index.  At 100,000 tickets of 100 users, all of one user are
-- listed in 2 ms, and in 600 if each ticket looks its project up.
create policy "project owner keeps tickets" on public.work_tickets to authenticated
    using (project_id = any (array(
        select p.id
        from public.projects p
        join public.workspaces w on w.id = p.workspace_id
        where w.owner_id = (select auth.uid())
    )))
    with check ((select auth.uid()) = (
        select w.owner_id
        from public.projects p
        join public.workspaces w on w.id = p.workspace_id
        where p.id = project_id
    ));
grant select, delete,
    insert (id, task, agent_type, parameters, project_id, created_at, updated_at),
    update (task, agent_type, parameters, project_id, updated_at)
    on public.work_tickets to authenticated;
-- No grant to anon.

create trigger touch before update on public.work_tickets
    for each row execute function kith.touch();

-- The way of a ticket, as that of a document: the times belong to the step.
create function kith.step_ticket() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
    if tg_op = 'INSERT' then
        if new.status <> 'pending' then
            new.started_at := coalesce(new.started_at, pg_catalog.now());
        end if;
        if new.status in ('completed', 'failed') then
            new.completed_at := coalesce(new.completed_at, pg_catalog.now());
        end if;
        return new;
    end if;
    if new.status = old.status then
        new.started_at := old.started_at;
        new.completed_at := old.completed_at;
        return new;
    end if;
    if (old.status, new.status) not in (
        ('pending', 'running'), ('running', 'completed'), ('running', 'failed'),
        ('failed', 'pending'), ('failed', 'running')
    ) then
        raise exception using errcode = 'check_violation',
            message = pg_catalog.format('a ticket that is %s cannot become %s', old.status, new.status),
            hint = 'A ticket goes from pending to running, then to completed or failed.  A failed one can be tried again.';
    end if;
    new.started_at := case new.status
        when 'pending' then null
        when 'running' then pg_catalog.now()
        else old.started_at
    end;
    new.completed_at := case when new.status in ('completed', 'failed') then pg_catalog.now() end;
    if new.status <> 'failed' then
        new.error_message := null;
    end if;
    return new;
end
$$;
comment on function kith.step_ticket() is 'Trigger: a ticket takes one step after the other, and the step sets its time.';
create trigger step_ticket before insert or update of status, started_at, completed_at on public.work_tickets
    for each row execute function kith.step_ticket();

-- Outputs: made once, never changed, gone with their ticket.
create table public.work_outputs (
    id uuid primary key default gen_random_uuid(),
    title text not null constraint work_outputs_title_length check (length(title) between 1 and 500),
    output_type text not null constraint work_outputs_output_type_known check (output_type in ('text', 'file')),
    content text,
    file_url text constraint work_outputs_file_url_length check (length(file_url) <= 2000),
    file_format text constraint work_outputs_file_format_length check (length(file_format) between 1 and 20),
    ticket_id uuid not null references public.work_tickets on delete cascade,
    created_at timestamptz not null default now(),
    constraint work_outputs_fits_type check (
        case output_type
            when 'text' then content is not null and file_url is null
            when 'file' then content is null and file_url is not null
        end
    )
);
create index on public.work_outputs (ticket_id, created_at desc);  -- policy, foreign key, newest first

comment on table public.work_outputs is 'What an agent delivered for a ticket: a text or a file.';
comment on column public.work_outputs.id is 'The output.';
comment on column public.work_outputs.title is 'What it is called.';
comment on column public.work_outputs.output_type is 'text, which has content, or file, which has file_url.';
comment on column public.work_outputs.content is 'The text.';
comment on column public.work_outputs.file_url is 'Where the file is.';
comment on column public.work_outputs.file_format is 'Format of the file: pdf, pptx, docx ...';
comment on column public.work_outputs.ticket_id is 'Ticket it was made for; its owner owns the output.';
comment on column public.work_outputs.created_at is 'When it was delivered.';

alter table public.work_outputs enable row level security, force row level security;
-- Whose ticket it is, is not asked again: the policy of tickets holds in here.
create policy "ticket owner reads outputs" on public.work_outputs for select to authenticated
    using (exists (select from public.work_tickets t where t.id = ticket_id));
create policy "ticket owner makes outputs" on public.work_outputs for insert to authenticated
    with check ((select auth.uid()) = (
        select w.owner_id
        from public.work_tickets t
        join public.projects p on p.id = t.project_id
        join public.workspaces w on w.id = p.workspace_id
        where t.id = ticket_id
    ));
grant select, insert (id, title, output_type, content, file_url, file_format, ticket_id, created_at)
    on public.work_outputs to authenticated;
-- No update and no delete by users: what was delivered stays as long as its
-- ticket.
-- No grant to anon.

reset role;
