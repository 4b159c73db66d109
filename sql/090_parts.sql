-- Parts: the parts of a person, in the sense of Internal Family Systems, how
-- they stand to each other, and what was observed about them.

set local role kith_owner;

-- Parts.
create table public.parts (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users on delete cascade,
    name text not null constraint parts_name_length check (length(name) between 1 and 200),
    story text,
    status text not null default 'emerging'
        constraint parts_status_known check (status in ('emerging', 'acknowledged', 'active', 'integrated')),
    confidence_score double precision
        constraint parts_confidence_score_range check (confidence_score between 0 and 1),
    -- A list within the list would come back from JSON as another dimension.
    recent_evidence jsonb[] not null default '{}' constraint parts_recent_evidence_flat check (
        not jsonb_path_exists(to_jsonb(recent_evidence), 'strict $[*] ? (@.type() == "array" || @ == null)')
    ),
    attributes jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index on public.parts (user_id, status);  -- policy, foreign key, parts of a stage
comment on table public.parts is 'A part of a person, as they speak of it.';
comment on column public.parts.id is 'The part.';
comment on column public.parts.user_id is 'Whose part; never changes.';
comment on column public.parts.name is 'What the person calls it.';
comment on column public.parts.story is 'Its story, in the person''s words.';
comment on column public.parts.status is 'How far it has come: emerging, acknowledged, active or integrated.';
comment on column public.parts.confidence_score is 'From 0 to 1: how strong the evidence is; null is not judged yet.';
comment on column public.parts.recent_evidence is
    'What the person said that speaks of it, newest last; the newest 10 are kept.';
comment on column public.parts.attributes is 'What the app keeps with it.';
comment on column public.parts.created_at is 'When it was made.';
comment on column public.parts.updated_at is 'When the row last changed.';
alter table public.parts enable row level security, force row level security;
create policy "owner keeps own parts" on public.parts to authenticated
    using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
-- user_id may be sent again by an upsert; the trigger keeps it.
grant select, delete,
    insert (id, user_id, name, story, status, confidence_score, recent_evidence, attributes, created_at, updated_at),
    update (user_id, name, story, status, confidence_score, recent_evidence, attributes, updated_at)
    on public.parts to authenticated;
-- No grant to anon.
create trigger touch before update on public.parts
    for each row execute function kith.touch();

create function kith.cap_recent_evidence() returns trigger
language plpgsql volatile set search_path = ''
as $$
declare
    newest integer := pg_catalog.array_upper(new.recent_evidence, 1);
begin
    new.recent_evidence := new.recent_evidence[newest - 9:newest];
    return new;
end
$$;
comment on function kith.cap_recent_evidence() is 'Trigger: keeps the newest 10 pieces of evidence, those at the end.';
create trigger cap_recent_evidence before insert or update of recent_evidence on public.parts
    for each row when (cardinality(new.recent_evidence) > 10)
    execute function kith.cap_recent_evidence();

create function kith.keep_part_owner() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
    raise exception using errcode = 'insufficient_privilege',
        message = 'a part cannot move to another user';
end
$$;
comment on function kith.keep_part_owner() is 'Trigger: a part stays with its user, and so does what hangs on it.';
create trigger keep_owner before update of user_id on public.parts
    for each row when (old.user_id is distinct from new.user_id)
    execute function kith.keep_part_owner();

-- The policies below hold users to their own parts.  This holds whoever passes
-- them.  It runs after the policy and under the rights of the writer: who does
-- not see a part was refused before, and learns nothing here.
create function kith.check_part_owner() returns trigger
language plpgsql volatile security invoker set search_path = ''
as $$
declare
    part_ids uuid[] := array(
        select (pg_catalog.to_jsonb(new) ->> c.name)::uuid
        from pg_catalog.unnest(tg_argv) as c (name)
    );
begin
    if exists (select from public.parts p where p.id = any (part_ids) and p.user_id <> new.user_id) then
        raise exception using errcode = 'check_violation',
            message = pg_catalog.format('a row of %I belongs to the user of its parts', tg_table_name),
            hint = 'Give it the user_id that its parts have.';
    end if;
    return null;
end
$$;
comment on function kith.check_part_owner() is
    'Trigger: the parts that the named columns refer to are the row''s user''s.';

-- Relationships.
create table public.part_relationships (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users on delete cascade,
    from_part_id uuid not null references public.parts on delete cascade,
    to_part_id uuid not null references public.parts on delete cascade,
    relationship_type text not null constraint part_relationships_relationship_type_known
        check (relationship_type in ('protector-exile', 'polarized', 'allied')),
    polarization_level integer
        constraint part_relationships_polarization_level_range check (polarization_level between 0 and 10),
    notes text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint part_relationships_parts_differ check (from_part_id <> to_part_id)
);
create index on public.part_relationships (user_id);  -- policy and foreign key
create index on public.part_relationships (from_part_id);  -- foreign key
create index on public.part_relationships (to_part_id);  -- foreign key
comment on table public.part_relationships is 'How one part of a person stands to another.';
comment on column public.part_relationships.id is 'The relationship.';
comment on column public.part_relationships.user_id is 'Whose relationship; both parts are theirs.';
comment on column public.part_relationships.from_part_id is 'The part it starts from, such as the protector.';
comment on column public.part_relationships.to_part_id is 'The other part, such as the exile.';
comment on column public.part_relationships.relationship_type is 'protector-exile, polarized or allied.';
comment on column public.part_relationships.polarization_level is
    'From 0 to 10: how far the two pull apart; null is not judged.';
comment on column public.part_relationships.notes is 'What else there is to say.';
comment on column public.part_relationships.created_at is 'When it was made.';
comment on column public.part_relationships.updated_at is 'When the row last changed.';
alter table public.part_relationships enable row level security, force row level security;
create policy "owner relates own parts" on public.part_relationships to authenticated
    using (user_id = (select auth.uid()))
    with check (
        user_id = (select auth.uid())
        and (select auth.uid()) = (select p.user_id from public.parts p where p.id = from_part_id)
        and (select auth.uid()) = (select p.user_id from public.parts p where p.id = to_part_id)
    );
grant select, delete,
    insert (id, user_id, from_part_id, to_part_id, relationship_type, polarization_level, notes, created_at,
        updated_at),
    update (user_id, from_part_id, to_part_id, relationship_type, polarization_level, notes, updated_at)
    on public.part_relationships to authenticated;
-- No grant to anon.
create trigger touch before update on public.part_relationships
    for each row execute function kith.touch();
create trigger check_part_owner after insert or update of user_id, from_part_id, to_part_id
    on public.part_relationships for each row execute function kith.check_part_owner('from_part_id', 'to_part_id');

-- Assessments.
create table public.part_assessments (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users on delete cascade,
    part_id uuid not null references public.parts on delete cascade,
    assessment_type text not null
        constraint part_assessments_assessment_type_length check (length(assessment_type) between 1 and 200),
    content jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index on public.part_assessments (user_id);  -- policy and foreign key
create index on public.part_assessments (part_id, created_at desc);  -- foreign key, newest first
comment on table public.part_assessments is 'An observation about a part.';
comment on column public.part_assessments.id is 'The assessment.';
comment on column public.part_assessments.user_id is 'Whose assessment; the part is theirs.';
comment on column public.part_assessments.part_id is 'The part it is about.';
comment on column public.part_assessments.assessment_type is 'Kind of assessment, a word of the app.';
comment on column public.part_assessments.content is 'What was observed.';
comment on column public.part_assessments.created_at is 'When it was made.';
comment on column public.part_assessments.updated_at is 'When the row last changed.';
alter table public.part_assessments enable row level security, force row level security;
create policy "owner assesses own parts" on public.part_assessments to authenticated
    using (user_id = (select auth.uid()))
    with check (
        user_id = (select auth.uid())
        and (select auth.uid()) = (select p.user_id from public.parts p where p.id = part_id)
    );
grant select, delete,
    insert (id, user_id, part_id, assessment_type, content, created_at, updated_at),
    update (user_id, part_id, assessment_type, content, updated_at)
    on public.part_assessments to authenticated;
-- No grant to anon.
create trigger touch before update on public.part_assessments
    for each row execute function kith.touch();
create trigger check_part_owner after insert or update of user_id, part_id on public.part_assessments
    for each row execute function kith.check_part_owner('part_id');

reset role;
