-- Reviving memories: where only live memories are shown, one that is not shown
-- is not in the way.  Who writes over it, be it by insert or by upsert, has it
-- live again under its id.
--
-- The views of live memories insert is_active as null, which a client that does
-- not see hidden rows means by saying nothing.  A row that is inserted into the
-- table itself is true or false, and costs nothing here.

set local role kith_owner;

-- The hidden row goes before the new one comes.  It cannot be updated instead:
-- an upsert refuses a row that its view does not show, and one that a trigger
-- of the same statement has changed.  It goes whole, because what is new is as
-- fresh as any other when the cap asks which memory is the oldest.  Two at once:
-- the second waits, finds nothing hidden any more, and meets the first's row.
create function kith.revive_memory() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
    hidden uuid;
begin
    new.is_active := true;
    delete from public.memories m
    where m.user_id = new.user_id
        and m.id = new.id
        and (not m.is_active or m.expires_at <= pg_catalog.now());
    if not found then
        delete from public.memories m
        where m.user_id = new.user_id
            and m.category = new.category
            and m.key = new.key
            and (not m.is_active or m.expires_at <= pg_catalog.now())
        returning m.id into hidden;
    end if;
    new.id := coalesce(new.id, hidden, pg_catalog.gen_random_uuid());
    return new;
end
$$;
comment on function kith.revive_memory() is 'Trigger: a live memory takes the place of a hidden one of its id or key.';
create trigger revive_memory before insert on public.memories
    for each row when (new.is_active is null)
    execute function kith.revive_memory();

reset role;
