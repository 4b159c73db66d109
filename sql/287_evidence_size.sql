-- Evidence is what a person said: a piece may be given as a text that PostgreSQL
-- reads as JSON, and then holds numbers that are long when written out.

set local role kith_owner;

alter table public.parts
    add constraint parts_recent_evidence_size check (octet_length(recent_evidence::text) <= 1000000);
comment on constraint parts_recent_evidence_size on public.parts is 'The pieces of recent_evidence have at most 1 MB together.';

reset role;
