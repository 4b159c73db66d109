-- Users, identities and one new session for each address in :emails (one per
-- line); answers header.payload of their access tokens, ready to be signed.

with wanted as materialized (
    select row_number() over () as place, lower(e) as email, gen_random_uuid() as session_id
    from regexp_split_to_table(:'emails', E'\n') as e
), made as (
    insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at,
                            raw_app_meta_data, raw_user_meta_data)
    select '00000000-0000-0000-0000-000000000000', gen_random_uuid(), 'authenticated', 'authenticated', email, '',
           now(), '{"provider": "email", "providers": ["email"]}', '{}'
    from (select distinct email from wanted) as w
    on conflict (lower(email)) where not is_sso_user do nothing
    returning *
), found as (
    select * from auth.users where lower(email) in (select email from wanted) and not is_sso_user
    union all
    select * from made
), identified as (
    insert into auth.identities (provider_id, user_id, provider, identity_data, last_sign_in_at, created_at, updated_at)
    select id::text, id, 'email',
           jsonb_build_object('sub', id, 'email', email, 'email_verified', true, 'phone_verified', false),
           now(), now(), now()
    from found
    on conflict (provider_id, provider) do nothing
), started as (
    insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent)
    select w.session_id, f.id, now(), now(), 'aal1', 'kith token'
    from wanted w
    join found f on lower(f.email) = w.email
    returning id
), proved as (
    insert into auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method)
    select gen_random_uuid(), id, now(), now(), 'password'
    from started
)
select :'header' || '.' || translate(encode(convert_to(json_build_object(
           'iss', :'issuer',
           'sub', f.id,
           'aud', 'authenticated',
           'exp', now_s + :seconds,
           'iat', now_s,
           'email', coalesce(f.email, ''),
           'phone', coalesce(f.phone, ''),
           'app_metadata', coalesce(f.raw_app_meta_data, '{}'),
           'user_metadata', coalesce(f.raw_user_meta_data, '{}'),
           'role', 'authenticated',
           'aal', 'aal1',
           'amr', json_build_array(json_build_object('method', 'password', 'timestamp', now_s)),
           'session_id', w.session_id,
           'is_anonymous', f.is_anonymous)::text, 'UTF8'), 'base64'), E'+/=\n', '-_')
from wanted w
join found f on lower(f.email) = w.email,
     (select floor(extract(epoch from now()))::bigint as now_s) as clock
order by w.place;
