-- Before a dump is read: temporary tables for its rows, without constraints and
-- without generated columns.  Everything from here to the end of import.sql is
-- one transaction.

begin;
set local client_min_messages = warning;
set local log_min_messages = log;  -- the message of an error quotes what the dump holds
set local idle_in_transaction_session_timeout = 0;  -- the dump may hold much that is skipped
set local lock_timeout = '10s';
set local session_replication_role = replica;  -- an app's own triggers were fired when the rows were made

create temporary table users (like auth.users including defaults) on commit drop;
create temporary table identities (like auth.identities including defaults) on commit drop;
create temporary table sessions (like auth.sessions including defaults) on commit drop;
create temporary table refresh_tokens (like auth.refresh_tokens including defaults) on commit drop;
create temporary table mfa_amr_claims (like auth.mfa_amr_claims including defaults) on commit drop;
create temporary table mfa_factors (user_id uuid, status text) on commit drop;
create temporary table skipped (what text, number bigint) on commit drop;
