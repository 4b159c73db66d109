-- A provider waits for two seconds gladly, and for five at most: what takes
-- longer comes again.  The login's own limit ends a statement; one for locks,
-- which a connection's options would win over, belongs to the function.

alter role kith_webhooks set statement_timeout = '3s';

set local role kith_owner;

alter function kith.apply_event(text, text, text, text, text, bytea, jsonb) set lock_timeout = '2s';

-- Asked for with each new connection, as by every program.
grant select on sequence kith.schema_version to kith_webhooks;

reset role;
