-- Reviving memories, for clients that say is_active themselves: the views of
-- live memories give no id then either, so that is what tells an insert through
-- them.  One that is written over may be hidden by its id and another one by its
-- key; neither is in the way.

set local role kith_owner;

create or replace function kith.revive_memory() returns trigger
language plpgsql volatile set search_path = ''
as $$
declare
    hidden uuid;
begin
    new.is_active := coalesce(new.is_active, true);
    delete from public.memories m
    where m.user_id = new.user_id
        and m.id = new.id
        and (not m.is_active or m.expires_at <= pg_catalog.now());
    delete from public.memories m
    where m.user_id = new.user_id
        and m.category = new.category
        and m.key = new.key
        and (not m.is_active or m.expires_at <= pg_catalog.now())
    returning m.id into hidden;
    new.id := coalesce(new.id, hidden, pg_catalog.gen_random_uuid());
    return new;
end
$$;
create or replace trigger revive_memory before insert on public.memories
    for each row when (new.is_active is null or new.id is null)
    execute function kith.revive_memory();

reset role;
