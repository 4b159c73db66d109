-- Goal: one call takes out all of a user, one call erases it, and neither
-- touches anybody else.  That no table is forgotten is in matrix.sql.  A14 D11
\ir ../lib/prelude.psql
select no_plan();

create function test.export(who text, tables text default 'null') returns jsonb language sql as $$
    select test.rows(who, format('select public.export_my_data(%s) as export', tables)) -> 0 -> 'export'
$$;
create function test.jobs() returns text language sql as $$
    select coalesce(string_agg(kind || ' ' || coalesce((select string_agg(replace(p, test.id('owner')::text, 'O'), ' ' order by p) from jsonb_array_elements_text(payload -> 'paths') p),
        payload ->> 'voice_id', concat_ws(' ', payload ->> 'provider', payload ->> 'subscription_id')), ', ' order by kind, key), 'nothing')
    from kith.jobs where user_id in (test.id('owner'), test.id('stranger'))
$$;

-- Of each user the same, in public, in auth, and in what an application adds.
set local role kith_owner;
create schema app;
create table public.test_posts (id int primary key, author_id uuid references auth.users on delete cascade, picture_storage_path text);
create table app.comments (id int primary key, post_id int not null references public.test_posts on delete cascade, user_id uuid not null references public.users on delete cascade, body text);
create table app.likes (comment_id int not null references app.comments on delete cascade);
create table app.visits (user_id text, page text);
create table app.odd (user_id uuid references public.users on delete cascade, r text, created_at json, album_storage_path jsonb, cover_storage_path varchar(100));
create table public.test_places (id int primary key, name text);
reset role;
create table test.cast (who text, other text, n int);
insert into test.cast values ('owner', 'stranger', 1), ('stranger', 'owner', 2);
update auth.users u set encrypted_password = 'secret-' || c.who, raw_user_meta_data = jsonb_build_object('name', c.who) from test.cast c where u.id = test.id(c.who);
insert into auth.identities (provider_id, user_id, identity_data, provider) select c.who, test.id(c.who), '{}', 'email' from test.cast c;
insert into auth.sessions (id, user_id, ip, refresh_token_hmac_key) select md5(c.who)::uuid, test.id(c.who), '10.0.0.1', 'secret-' || c.who from test.cast c;
insert into auth.mfa_amr_claims (session_id, created_at, updated_at, authentication_method, id) select md5(c.who)::uuid, now(), now(), 'password', gen_random_uuid() from test.cast c;
insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to) select gen_random_uuid(), test.id(c.who), 'recovery_token', 'secret-' || c.who, c.who || '@kith.test' from test.cast c;
insert into auth.refresh_tokens (token, user_id, session_id) select 'secret-' || c.who || s, test.id(c.who), case s when 1 then md5(c.who)::uuid end from test.cast c, generate_series(1, 2) s;
insert into auth.flow_state (id, user_id, provider_type, authentication_method) select gen_random_uuid(), test.id(c.who), 'email', 'recovery' from test.cast c;
insert into public.conversations (id, user_id) select md5(c.who)::uuid, test.id(c.who) from test.cast c;
insert into public.messages (conversation_id, role, content) select md5(c.who)::uuid, 'user', 'words of ' || c.who from test.cast c;
insert into public.memories (user_id, content) select test.id(c.who), 'memory of ' || c.who from test.cast c;
insert into public.profiles (id, user_id, name, relation, voice_model_status, elevenlabs_voice_id, avatar_storage_path)
select md5(c.who)::uuid, test.id(c.who), c.who, 'self', 'ready', 'v' || n, 'avatars/' || test.id(c.who) || '/me.png' from test.cast c;
insert into public.clips (user_id, profile_id, prompt_index, prompt_text, audio_storage_path, mime_type)
select test.id(c.who), md5(c.who)::uuid, i, 'x', format('training_clips/%s/%s/%s.webm', test.id(c.who), md5(c.who)::uuid, i), 'audio/webm' from test.cast c, generate_series(0, 1) i;
update public.subscriptions s set stripe_subscription_id = 'sub_' || c.n from test.cast c where s.user_id = test.id(c.who);
insert into public.workspaces (id, name, owner_id, lemonsqueezy_subscription_id) select md5(c.who)::uuid, 'w', test.id(c.who), 'ls_' || n from test.cast c;
insert into public.subscription_events (workspace_id, user_id, event_type, event_source) select md5(c.who)::uuid, test.id(c.who), 'created', 'webhook' from test.cast c;
insert into public.test_posts select n, test.id(who), test.id(who) || '/post.jpg' from test.cast;
insert into app.comments select n, (select o.n from test.cast o where o.who = c.other), test.id(who), 'by ' || who from test.cast c;
insert into app.likes select n from test.cast;
insert into app.visits select test.id(who), 'front' from test.cast;
insert into app.odd select test.id(who), 'r', '{}', '["a"]', 'covers/' || test.id(who) || '/1' from test.cast;
insert into public.test_places values (1, 'Vienna');
select kith.enqueue('mail', jsonb_build_object('to', who || '@kith.test'), who || ' mail', user_id => test.id(who)), kith.enqueue('delete_files', '{"paths": ["old"]}', who || ' old', user_id => test.id(who)) from test.cast \g /dev/null
select kith.finish_job(id, attempts) from kith.claim_jobs('{mail}', '1 minute', 100) where user_id = test.id('stranger') \g /dev/null

-- Export.
create table test.exported as select test.export('owner') as export;
select set_eq($$ select jsonb_object_keys(export) from test.exported $$, array['exported_at', 'user', 'tables', 'files'], 'an export tells when, who, what and which files');
select is((export -> 'user') - '{created_at,identities,sessions}'::text[], jsonb_build_object('id', test.id('owner'), 'email', 'owner@kith.test', 'phone', null, 'is_anonymous', false,
    'email_confirmed_at', null, 'last_sign_in_at', null, 'app_metadata', null, 'user_metadata', '{"name": "owner"}'::jsonb), 'the account') from test.exported;
select is(export #>> '{user,identities,0,provider}' || ' ' || (export #>> '{user,sessions,0,ip}'), 'email 10.0.0.1', 'how and from where the user signed in') from test.exported;
select is((select jsonb_agg(m -> 'content') from jsonb_array_elements(export #> '{tables,messages}') m), '["words of owner"]', 'rows of children without an owner''s column') from test.exported;
select is((select jsonb_agg(m -> 'body') from jsonb_array_elements(export #> '{tables,app.comments}') m), '["by owner"]', 'what the user wrote, not what others wrote to it') from test.exported;
select is(export #> '{tables,app.likes}', '[{"comment_id": 1}]', 'tables of an application') from test.exported;
select is((export #> '{tables,app.odd,0}') - 'user_id', format('{"r": "r", "created_at": {}, "album_storage_path": ["a"], "cover_storage_path": "covers/%s/1"}', test.id('owner'))::jsonb, 'whole rows, whatever the columns are called') from test.exported;
select is(export #> '{tables,test_places}', null, 'but none that belongs to nobody') from test.exported;
select is(export #> '{tables,insights}', '[]', 'a table without rows is there') from test.exported;
select is(export -> 'tables' -> 'memories' -> 0 ? 'embedding', false, 'embeddings are left out') from test.exported;
select is(replace(export ->> 'files', test.id('owner')::text, 'O'),
    format('["avatars/O/me.png", "covers/O/1", "test_posts/O/post.jpg", "training_clips/O/%1$s/0.webm", "training_clips/O/%1$s/1.webm"]', md5('owner')::uuid), 'and the files') from test.exported;
select unalike(export::text, '%secret%', 'no secret of the account') from test.exported;
select unalike(export::text, '%stranger%', 'nothing of the stranger') from test.exported;
select unalike(export::text, '%' || test.id('stranger') || '%', 'not even the id') from test.exported;
select is((test.export('owner', $$ '{messages,app.likes}' $$) -> 'tables') - 'messages', '{"app.likes": [{"comment_id": 1}]}', 'a part may be asked for');
select is(test.export('owner', $$ '{}' $$) -> 'tables', '{}', 'or none');
select is(test.refusal('owner', format('select public.export_my_data(%L)', tables)), '22023 | there is no table "' || name || '" with data of users | Without tables everything is exported.', 'not: ' || name)
from (values ('{messages,x}', 'x'), ('{test_places}', 'test_places'), ('{kith.jobs}', 'kith.jobs'), ('{auth.users}', 'auth.users')) as v (tables, name);
select is(test.refusal(who, 'select public.export_my_data()'), '42501 | only a signed-in user has data to export', who || ' has nothing to export') from unnest(array['nobody', 'service']) who;
select alike(test.refusal('anon', 'select public.export_my_data()'), '42501 | permission denied%', 'anon cannot call');
select is((test.export('stranger') #>> '{tables,messages,0,content}'), 'words of stranger', 'stranger exports own');

-- Erasure.  Rows of every table, as text: those that hold a word of who's.
create function test.traces(who text) returns setof text language plpgsql as $$
declare
    r record;
    n bigint;
begin
    for r in
        select c.oid::regclass as relation from pg_class c join pg_namespace s on s.oid = c.relnamespace
        where c.relkind in ('r', 'p') and not c.relispartition and s.nspname !~ '^(pg_|information_schema$|test$|tap$)'
    loop
        execute format('select count(*) from %s t where position(%L in to_jsonb(t)::text) > 0 or position(%L in to_jsonb(t)::text) > 0', r.relation, test.id(who), who || '@kith.test') into n;
        if n > 0 then
            return next r.relation || ' ' || n;
        end if;
    end loop;
end
$$;
select cmp_ok((select count(*) from test.traces('owner')), '>', 15::bigint, 'the owner has left traces in many tables');
create table test.before as select trace from test.traces('stranger') trace;
-- What falls with the owner's post is the stranger's comment there, and its like.
update test.before set trace = null where trace ~ '^app.comments';
select alike(test.refusal('anon', 'select public.delete_my_account()'), '42501 | permission denied%', 'anon cannot call');
select is(test.refusal(who, 'select public.delete_my_account()'), '42501 | only a signed-in user has an account to delete', who || ' has no account') from unnest(array['nobody', 'service']) who;
select is(test.probe('owner', 'select public.delete_my_account()'), '1', 'an erasure that is rolled back');
select is(test.jobs(), 'delete_files old, delete_files old, mail , mail ', 'queues nothing');
select is(test.try('owner', 'select public.delete_my_account()'), '1', 'owner erases the account');
select set_eq($$ select * from test.traces('owner') $$, array['kith.jobs 5'], 'nothing of it is left but what is to be removed');
select is((select string_agg(kind || ' ' || coalesce(replace(payload ->> 'paths', test.id('owner')::text, 'O'), payload ->> 'voice_id', concat_ws(' ', payload ->> 'provider', payload ->> 'subscription_id')), ', ' order by kind, payload::text)
    from kith.jobs where user_id = test.id('owner')),
    format('cancel_subscription lemonsqueezy ls_1, cancel_subscription stripe sub_1, delete_files ["avatars/O/me.png", "covers/O/1", "test_posts/O/post.jpg", "training_clips/O/%1$s/0.webm", "training_clips/O/%1$s/1.webm"], delete_files ["old"], delete_voice v1',
        md5('owner')::uuid), 'at the providers and in storage, each once');
select set_eq($$ select t from test.traces('stranger') t where t !~ '^app.comments' $$, $$ select trace from test.before where trace is not null $$, 'the stranger has everything of before');
select is((select string_agg(body, ' ') from app.comments), null, 'but for the comment on the owner''s post');
select is(test.refusal('owner', 'select public.delete_my_account()'), '42501 | only a signed-in user has an account to delete', 'an erased account cannot be erased');
select is(test.refusal('owner', 'select public.export_my_data()'), '42501 | only a signed-in user has data to export', 'nor exported');

-- However the account goes.
insert into auth.users (id, email) values ('0d0d0d0d-0000-4000-8000-00000000000d', 'guest@kith.test');
insert into public.test_posts values (9, '0d0d0d0d-0000-4000-8000-00000000000d', '0d0d0d0d-0000-4000-8000-00000000000d/x.jpg');
delete from auth.users where id = '0d0d0d0d-0000-4000-8000-00000000000d';
select is((select payload ->> 'paths' from kith.jobs where user_id = '0d0d0d0d-0000-4000-8000-00000000000d'), '["test_posts/0d0d0d0d-0000-4000-8000-00000000000d/x.jpg"]', 'an administrator leaves no file either');

-- Objects in storage, of which no row tells.
do $$
begin
    if to_regclass('storage.objects') is null then
        create schema storage;
        create table storage.objects (bucket_id text, name text, owner_id text);
        alter schema storage owner to kith_owner;
        alter table storage.objects owner to kith_owner;
        insert into storage.objects values ('notes', test.id('stranger') || '/a', null), ('notes', 'b', test.id('stranger')), ('notes', 'c', test.id('nobody')), ('notes', test.id('nobody') || '/' || test.id('stranger'), null);
    else
        insert into storage.buckets (id, name) values ('notes', 'notes');
        insert into storage.objects (bucket_id, name, owner_id) values ('notes', test.id('stranger') || '/a', null), ('notes', 'b', test.id('stranger')), ('notes', 'c', test.id('nobody')), ('notes', test.id('nobody') || '/' || test.id('stranger'), null);
    end if;
end
$$;
select is((select array_agg(replace(f, test.id('stranger')::text, 'S')) from unnest(kith.owned_files(test.id('stranger'))) f where f ~ '^notes'), '{notes/S/a,notes/b}', 'are the user''s by owner, or by folder');

-- A workspace that goes alone.
select is(test.try('stranger', 'delete from public.workspaces'), '1', 'a workspace that is deleted');
select is((select payload from kith.jobs where user_id = test.id('stranger') and kind = 'cancel_subscription'), '{"provider": "lemonsqueezy", "subscription_id": "ls_2"}', 'is no longer paid for');

-- Keys that would keep an account from going, or rows from going with it.  Those
-- of this file are dropped first, so that what is named here is the schema's.
drop table app.likes, app.comments, app.odd, public.test_posts;
select is_empty($$
    select k.conrelid::regclass, k.conname
    from pg_constraint k
    join kith.owned_tables() o on o.relation = k.confrelid
    where k.contype = 'f' and k.confdeltype in ('a', 'r')
$$, 'no foreign key holds an account back');
create function test.left_behind() returns setof regclass language sql as $$
    -- Rows that go: of the users, and on by cascades only.
    with recursive going as (
        select unnest(array['auth.users', 'public.users']::regclass[]) as relation
        union
        select k.conrelid from pg_constraint k join going g on k.confrelid = g.relation where k.contype = 'f' and k.confdeltype = 'c'
    )
    select relation from kith.owned_tables() except select relation from going
$$;
-- These keep an id of the provider's, or a file until it is removed, and forget whose it was: 300_webhook_events.sql, 296_storage_files.sql.
create table test.forgetting as select unnest(array['kith.billing_links', 'kith.released_files', 'kith.webhook_events'])::regclass as relation;
select set_eq('select test.left_behind()', 'select relation from test.forgetting', 'every table of a user''s goes with the user, but for those that forget them');
create table public.test_forgotten (id int, user_id uuid references public.users on delete set null);
select set_eq('select test.left_behind() except select relation from test.forgetting', $$ values ('public.test_forgotten'::regclass) $$, 'one that would not is named');
select set_eq($$
    select a.attrelid::regclass::text
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid
    join pg_namespace n on n.oid = c.relnamespace
    where a.attname in ('user_id', 'owner_id') and c.relkind in ('r', 'p') and n.nspname !~ '^(pg_|information_schema$|test$|tap$|app$|storage$)'
        and not exists (select from pg_constraint k where k.contype = 'f' and k.conrelid = a.attrelid and a.attnum = any (k.conkey))
$$, array['auth.flow_state', 'auth.refresh_tokens', 'kith.jobs'], 'only these name a user without a foreign key');
-- Files.
select is_empty($$
    select f.relation, f.column_name from kith.file_columns() f
    where 2 <> (select count(*) from pg_trigger t where t.tgrelid = f.relation and t.tgfoid = 'kith.release_files()'::regprocedure
        and t.tgargs = convert_to(f.column_name, 'UTF8') || '\x00')
$$, 'every column that holds a path lets the file go, when the row goes and when the path changes');

select finish();
rollback;
