-- A record that is too large to be answered: whoever deletes a part with very
-- much on it would neither be told that it is done nor be able to undo it.

set local role kith_owner;

alter table public.agent_actions
    add constraint agent_actions_result_size check (octet_length(result::text) <= 4500000);
comment on constraint agent_actions_result_size on public.agent_actions is
    'An action can be undone, so it must not change more than 4.5 MB at once: delete what hangs on the part first.';

reset role;
