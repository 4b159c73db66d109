-- The users as a dump that Supabase loads: columns are named, those of ours are
-- not among them, and where GoTrue cannot read null there is none.  What GoTrue
-- cannot check stays here: one-time tokens, of which we keep another digest,
-- and sessions with a key of ours ("k1.").

begin isolation level repeatable read read only;
set local idle_in_transaction_session_timeout = 0;

-- First, while nothing of ours waits in a buffer: what is dumped goes to the same
-- file, as descriptor 3, and shows the same moment.  Where Kith's schema is, its
-- plans are as well, and a new user gets a subscription even from a dump, so
-- theirs go before them.
\if :all
select pg_export_snapshot() as snapshot \gset
\setenv SNAPSHOT :snapshot
\setenv FIRST '--table=public.plans --table=public.subscriptions --column-inserts --on-conflict-do-nothing'
\setenv REST '--schema=public --exclude-table=public.plans --exclude-table=public.subscriptions'
\set dumped `for what in "$FIRST" "$REST"; do "$PG_DUMP" --data-only --snapshot="$SNAPSHOT" $what >&3 || exit; done; echo true`
select coalesce(nullif(:'dumped', ''), 'false') as dumped \gset
\if :dumped
\else
\warn 'kith: could not dump the schema public'
do $$ begin raise exception 'no dump'; end $$;
\endif
\endif

-- Of a session without key, the refresh tokens are rows.
\set goes '(s.refresh_token_hmac_key not like ''k1.%'' or s.refresh_token_hmac_key is null and exists (select from auth.refresh_tokens r where r.session_id = s.id))'
\set users 'instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, invited_at, confirmation_token, confirmation_sent_at, recovery_token, recovery_sent_at, email_change_token_new, email_change, email_change_sent_at, last_sign_in_at, raw_app_meta_data, raw_user_meta_data, is_super_admin, created_at, updated_at, phone, phone_confirmed_at, phone_change, phone_change_token, phone_change_sent_at, email_change_token_current, email_change_confirm_status, banned_until, reauthentication_token, reauthentication_sent_at, is_sso_user, deleted_at, is_anonymous'
\set identities 'provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at, id'
\set sessions 'id, user_id, created_at, updated_at, factor_id, aal, not_after, refreshed_at, user_agent, ip, tag, oauth_client_id, refresh_token_hmac_key, refresh_token_counter, scopes'
-- Without their ids: there they get others.
\set refresh_tokens 'instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id'
\set mfa_amr_claims 'session_id, created_at, updated_at, authentication_method, id'

\echo
\echo 'COPY auth.users (':users') FROM stdin;'
copy (
    select coalesce(instance_id, '00000000-0000-0000-0000-000000000000'), id, coalesce(nullif(aud, ''), 'authenticated'),
        coalesce(nullif(role, ''), 'authenticated'), email, coalesce(encrypted_password, ''), email_confirmed_at, invited_at,
        coalesce(confirmation_token, ''), confirmation_sent_at, coalesce(recovery_token, ''), recovery_sent_at,
        coalesce(email_change_token_new, ''), coalesce(email_change, ''), email_change_sent_at, last_sign_in_at,
        coalesce(raw_app_meta_data, '{}'), coalesce(raw_user_meta_data, '{}'), is_super_admin, created_at, updated_at, phone,
        phone_confirmed_at, coalesce(phone_change, ''), coalesce(phone_change_token, ''), phone_change_sent_at,
        coalesce(email_change_token_current, ''), coalesce(email_change_confirm_status, 0), banned_until,
        coalesce(reauthentication_token, ''), reauthentication_sent_at, is_sso_user, deleted_at, is_anonymous
    from auth.users
    order by created_at, id
) to stdout;
\echo '\\.'

\echo
\echo 'COPY auth.identities (':identities') FROM stdin;'
copy (select :identities from auth.identities order by created_at, id) to stdout;
\echo '\\.'

\echo
\echo 'COPY auth.sessions (':sessions') FROM stdin;'
copy (select :sessions from auth.sessions s where :goes order by created_at, id) to stdout;
\echo '\\.'

\echo
\echo 'COPY auth.refresh_tokens (':refresh_tokens') FROM stdin;'
copy (
    select :refresh_tokens from auth.refresh_tokens t
    where t.session_id in (select s.id from auth.sessions s where :goes)
    order by t.id
) to stdout;
\echo '\\.'

\echo
\echo 'COPY auth.mfa_amr_claims (':mfa_amr_claims') FROM stdin;'
copy (
    select :mfa_amr_claims from auth.mfa_amr_claims a
    where a.session_id in (select s.id from auth.sessions s where :goes)
    order by a.created_at, a.id
) to stdout;
\echo '\\.'

\echo
\echo 'RESET ALL;'
\echo '-- PostgreSQL database dump complete'

select (select count(*) from auth.users) as users,
    (select count(*) from auth.sessions s where :goes) as sessions,
    (select count(*) from auth.sessions s where (:goes) is not true) as stay,
    (select count(*) from auth.one_time_tokens) as links,
    (select count(*) from auth.users u where u.encrypted_password <> '' and u.encrypted_password !~ '^\$(2[aby]|argon2id?|fbscrypt)\$') as hashes
\gset
\warn users: :users, sessions: :sessions
\warn left out: sessions that only this Kith continues: :stay, pending links: :links
select :hashes > 0 as told \gset
\if :told
\warn users with a password that Supabase cannot check: :hashes
\endif
commit;
