-- Goal: each system finds every table, column and function of its document, and
-- may do to a view what it may do to the table behind it.
\ir ../lib/prelude.psql
select no_plan();

-- The documents, word by word: schema.table: columns.
create table test.lines (line text);
copy test.lines from stdin;
justin.users: id
justin.conversations: id user_id title system_prompt summary summary_count created_at updated_at
justin.messages: id conversation_id role content has_attachments created_at
justin.user_memories: id user_id key value created_at
justin.subscriptions: user_id plan status
companion.users: id email display_name companion_name companion_persona companion_settings telegram_user_id telegram_chat_id telegram_username telegram_linked_at subscription preferences
companion.conversations: id user_id channel initiated_by started_at mood topics summary
companion.messages: id conversation_id role content telegram_message_id created_at
companion.user_context: id user_id category key value expires_at
companion.scheduled_messages: id user_id scheduled_for status sent_at
companion.onboarding: id user_id current_step data
companion.telegram_link_tokens: id user_id token expires_at used_at
trailhead.users: id email created_at settings
trailhead.sessions: id user_id title status started_at ended_at metadata
trailhead.messages: id session_id user_id role content metadata created_at
trailhead.parts: id user_id name story status confidence_score recent_evidence attributes created_at updated_at
trailhead.part_relationships: id user_id from_part_id to_part_id relationship_type polarization_level notes created_at updated_at
trailhead.part_assessments: id user_id part_id assessment_type content created_at
trailhead.agent_actions: id user_id session_id action_type entity_type entity_id payload result reverted_at created_at
trailhead.user_memory_snapshots: id user_id version is_checkpoint operations metadata created_at
trailhead.memory_updates: id user_id kind ref_id processed created_at
trailhead.insights: id user_id type status content rating feedback revealed_at actioned_at created_at updated_at
trailhead.onboarding: id user_id current_step completed responses completed_at created_at
thinking_partner.memories: id user_id project_id content embedding tags entities importance source_type source_ref is_active created_at updated_at
thinking_partner.chat_sessions: id user_id project_id session_type status started_at ended_at context_metadata created_at updated_at
thinking_partner.session_messages: id session_id role content sequence_number metadata created_at
thinking_partner.documents: id user_id project_id filename file_url storage_path file_type file_size processing_status processed_at error_message page_count word_count created_at
thinking_partner.chunks: id document_id content embedding chunk_index page_number metadata token_count created_at
thinking_partner.workspaces: id name owner_id owner_email subscription_status subscription_expires_at lemonsqueezy_customer_id lemonsqueezy_subscription_id created_at updated_at
thinking_partner.projects: id name description workspace_id created_at updated_at
thinking_partner.work_tickets: id task agent_type status parameters error_message project_id created_at started_at completed_at
thinking_partner.work_outputs: id title output_type content file_url file_format ticket_id created_at
thinking_partner.subscription_events: id workspace_id event_type event_source ls_subscription_id ls_customer_id payload created_at
thinking_partner.scheduled_messages: id workspace_id scheduled_for message_type subject content recipient_email status sent_at failure_reason created_at
thinking_partner.email_delivery_log: id scheduled_message_id recipient subject provider provider_message_id status status_updated_at created_at
essence.users_public: id email name created_at
essence.profiles: id user_id name relation notes voice_model_status elevenlabs_voice_id training_completed_at voice_ready_at avatar_storage_path avatar_updated_at created_at updated_at deleted_at
essence.training_clips: id user_id profile_id prompt_index prompt_text stage audio_storage_path mime_type size_bytes duration_ms quality_status created_by created_at
essence.messages: id user_id profile_id title category recipient_label moment_label prompt_text generated_text audio_storage_path mime_type duration_ms size_bytes status error_message play_count last_played_at created_at updated_at
essence.subscriptions: id user_id plan status current_period_end cancel_at_period_end stripe_customer_id stripe_subscription_id stripe_price_id created_at updated_at
\.
create table test.documents as
select split_part(line, ': ', 1) as name, c.name as column_name, c.place
from test.lines, string_to_table(split_part(line, ': ', 2), ' ') with ordinality as c (name, place);

create view test.views as
select c.oid, n.nspname || '.' || c.relname as name
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('justin', 'companion', 'trailhead', 'thinking_partner', 'essence') and c.relkind in ('v', 'r', 'm', 'f', 'p');
select set_eq('select name from test.views', 'select name from test.documents', 'the tables of the documents, and no other');
select is_empty(
    $$ select name, column_name from test.documents d where not exists (
        select from test.views v join pg_attribute a on a.attrelid = v.oid
        where v.name = d.name and a.attname = d.column_name and not a.attisdropped) $$,
    'with every column that they name');

-- The tables behind them, and what is called otherwise.
create table test.behind (name text, base text, renamed jsonb default '{}');
insert into test.behind (name, base)
select v.name, 'public.' || split_part(v.name, '.', 2) from test.views v;
update test.behind b
set base = 'public.' || o.base, renamed = o.renamed
from (values
    ('justin.user_memories', 'memories', '{"value": "content"}'::jsonb),
    ('companion.user_context', 'memories', '{"value": "content"}'),
    ('trailhead.users', 'users', '{"settings": "preferences"}'),
    ('trailhead.sessions', 'conversations', '{}'),
    ('trailhead.messages', 'messages', '{"session_id": "conversation_id"}'),
    ('trailhead.user_memory_snapshots', 'memory_snapshots', '{}'),
    ('trailhead.onboarding', 'onboarding', '{"responses": "data"}'),
    ('thinking_partner.chat_sessions', 'conversations', '{"context_metadata": "metadata"}'),
    ('thinking_partner.session_messages', 'messages', '{"session_id": "conversation_id"}'),
    ('essence.users_public', 'users', '{"name": "display_name"}'),
    ('essence.training_clips', 'clips', '{}'),
    ('essence.messages', 'voice_messages', '{}')
) as o (name, base, renamed)
where b.name = o.name;
create view test.columns as
select b.name, b.base, v.attname as column_name, v.attrelid as view_oid, v.attnum as view_place, t.attrelid as base_oid, t.attnum as base_place,
    v.atttypid, t.atttypid as base_type
from test.behind b
join pg_attribute v on v.attrelid = b.name::regclass and v.attnum > 0 and not v.attisdropped
left join pg_attribute t on t.attrelid = b.base::regclass and t.attname = coalesce(b.renamed ->> v.attname, v.attname) and not t.attisdropped;

select set_eq('select name, column_name::text from test.columns where base_oid is null',
    $$ values ('companion.users', 'subscription'), ('trailhead.messages', 'user_id') $$, 'two columns are no column of the table');
select is_empty('select name, column_name from test.columns where atttypid <> base_type', 'every other one has its type');
select is_empty($$ select name from test.views v where not exists (select from pg_class c where c.oid = v.oid and c.reloptions @> '{security_invoker=true}') $$,
    'every view looks with the rights of who asks');

-- Rights: those of the table, column by column, for every client role.
select is_empty(
    $$ select name, column_name, who, verb
       from test.columns, unnest(array['anon', 'authenticated', 'service_role']) who, unnest(array['SELECT', 'INSERT', 'UPDATE']) verb
       where base_oid is not null
           and has_column_privilege(who, view_oid, view_place, verb) <> has_column_privilege(who, base_oid, base_place, verb) $$,
    'a column may be read and written as that of the table');
select set_eq(
    $$ select b.name, who from test.behind b, unnest(array['anon', 'authenticated', 'service_role']) who
       where has_table_privilege(who, b.name::regclass, 'DELETE') <> has_table_privilege(who, b.base::regclass, 'DELETE') $$,
    $$ values ('thinking_partner.session_messages', 'authenticated'), ('thinking_partner.session_messages', 'service_role') $$,
    'rows may be deleted as those of the table, but for the turns of a session');
select is_empty(
    $$ select name, who from test.views, unnest(array['anon', 'authenticated', 'service_role']) who
       where has_table_privilege(who, oid, 'TRUNCATE, REFERENCES, TRIGGER') $$, 'and nothing else');
select is(has_column_privilege('authenticated', 'companion.users', 'subscription', 'INSERT, UPDATE'), false, 'the plan is read only');
select is(has_column_privilege('authenticated', 'trailhead.messages', 'user_id', 'UPDATE'), false, 'the user of a message is said once');

-- Defaults: those of the table, but where the documents differ.
select set_eq(
    $$ select c.name, c.column_name::text
       from test.columns c
       left join pg_attrdef v on v.adrelid = c.view_oid and v.adnum = c.view_place
       left join pg_attrdef t on t.adrelid = c.base_oid and t.adnum = c.base_place
       where pg_get_expr(v.adbin, v.adrelid) is distinct from pg_get_expr(t.adbin, t.adrelid) $$,
    $$ values ('justin.user_memories', 'id'), ('justin.user_memories', 'is_active'), ('companion.user_context', 'id'), ('companion.user_context', 'is_active'),
        ('companion.scheduled_messages', 'channel'), ('thinking_partner.scheduled_messages', 'channel'), ('thinking_partner.chat_sessions', 'session_type'),
        ('trailhead.messages', 'user_id') $$,
    'defaults are the table''s, but for these');
select is(pg_get_expr(adbin, adrelid), wanted, format('%s.%s', relation, column_name))
from (values
    ('companion.scheduled_messages', 'channel', '''telegram''::text'),
    ('thinking_partner.scheduled_messages', 'channel', '''email''::text'),
    ('thinking_partner.chat_sessions', 'session_type', '''thinking_partner''::text'),
    ('trailhead.messages', 'user_id', 'auth.uid()')
) as w (relation, column_name, wanted)
left join pg_attribute a on a.attrelid = relation::regclass and attname = column_name
left join pg_attrdef on adrelid = attrelid and adnum = attnum;

-- Functions: those of public, for the same roles.
create view test.calls as
select n.nspname || '.' || p.proname as name, p.oid, p.proname, pg_get_function_identity_arguments(p.oid) as arguments,
    pg_get_function_arguments(p.oid) as with_defaults, p.provolatile, p.proretset, p.prosecdef, n.nspname
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
where p.prorettype <> 'trigger'::regtype and n.nspname in ('public', 'justin', 'companion', 'trailhead', 'thinking_partner', 'essence')
    and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e');
select set_eq($$ select name from test.calls where nspname <> 'public' $$, array[
    'companion.create_telegram_link_token',
    'trailhead.agent_act', 'trailhead.revert_agent_action', 'trailhead.save_memory', 'trailhead.reconstruct_memory',
    'thinking_partner.get_or_create_chat_session', 'thinking_partner.append_session_message',
    'thinking_partner.search_memories', 'thinking_partner.search_chunks',
    'essence.train_voice', 'essence.generate_voice_message'
], 'the functions of the dialects');
select is_empty(
    $$ select c.name from test.calls c where c.nspname <> 'public' and not exists (
        select from test.calls b where b.nspname = 'public' and b.proname = c.proname
            and (b.with_defaults, b.provolatile, b.proretset) = (c.with_defaults, c.provolatile, c.proretset)) $$,
    'take the arguments of public''s');
select is_empty($$ select name from test.calls where nspname <> 'public' and prosecdef $$, 'with the rights of who calls');
select is_empty(
    $$ select c.name, who from test.calls c join test.calls b on b.nspname = 'public' and b.proname = c.proname, unnest(array['anon', 'authenticated', 'service_role']) who
       where c.nspname <> 'public' and has_function_privilege(who, c.oid, 'EXECUTE') <> has_function_privilege(who, b.oid, 'EXECUTE') $$,
    'for who may call public''s');

-- Messages of Trailhead.
insert into public.conversations (id, user_id) values
    ('0a0a0a0a-0000-4000-8000-000000000001', test.id('owner')), ('0a0a0a0a-0000-4000-8000-000000000002', test.id('owner')),
    ('0b0b0b0b-0000-4000-8000-000000000001', test.id('stranger'));
create function test.say(session uuid, who text default null, content text default 'hi') returns text language sql as $$
    select format('insert into trailhead.messages (session_id, role, content%s) values (%L, ''user'', %L%s)',
        case when who is not null then ', user_id' end, session, content, case when who is not null then format(', %L', test.id(who)) end)
$$;
select is(test.rows('owner', test.say('0a0a0a0a-0000-4000-8000-000000000001', 'owner') || ' returning session_id, user_id, role, content, metadata'), jsonb_build_array(jsonb_build_object(
    'session_id', '0a0a0a0a-0000-4000-8000-000000000001', 'user_id', test.id('owner'), 'role', 'user', 'content', 'hi', 'metadata', '{}'::jsonb)), 'who sends their own user_id');
select is(test.rows('owner', test.say('0a0a0a0a-0000-4000-8000-000000000001', content => 'ho') || ' returning user_id'), jsonb_build_array(jsonb_build_object('user_id', test.id('owner'))), 'or none');
select is(test.rows('service', test.say('0a0a0a0a-0000-4000-8000-000000000001', content => 'he') || ' returning user_id'), jsonb_build_array(jsonb_build_object('user_id', test.id('owner'))), 'as the service may');
select is((select string_agg(sequence_number || content, ' ' order by sequence_number) from public.messages where conversation_id = '0a0a0a0a-0000-4000-8000-000000000001'), '1hi 2ho 3he', 'writes a message of the session');
select is(test.try('owner', test.say('0a0a0a0a-0000-4000-8000-000000000001', 'stranger')), '42501', 'another''s user_id is refused');
select is(test.try('service', test.say('0a0a0a0a-0000-4000-8000-000000000001', 'stranger')), '42501', 'from the service too');
select is(test.try('stranger', test.say('0a0a0a0a-0000-4000-8000-000000000001', who)), '42501', 'nobody writes into another''s session, as ' || coalesce(who, 'nobody'))
from unnest(array['stranger', 'owner', null]) who;
select is(test.try('stranger', test.say(gen_random_uuid(), 'stranger')), '42501', 'nor into one that is not there');
select is(test.try('anon', test.say('0a0a0a0a-0000-4000-8000-000000000001', 'owner')), '42501', 'nor without a user');
select is(test.try('owner', $$ update trailhead.messages set content = 'HO', metadata = '{"a": 1}' where content = 'ho' $$), '1', 'owner changes a message');
select is((select content || metadata::text from public.messages where sequence_number = 2 and conversation_id = '0a0a0a0a-0000-4000-8000-000000000001'), 'HO{"a": 1}', 'which is changed');
select is(test.try('owner', $$ update trailhead.messages set session_id = '0a0a0a0a-0000-4000-8000-000000000002' $$), '42501', 'it stays in its session');
select is(test.try('owner', $$ update trailhead.messages set id = gen_random_uuid() $$), '42501', 'its id stays');
select is(test.try('owner', $$ update trailhead.messages set role = 'robot' $$), '23514', 'what the table refuses is refused');
select is(test.try('owner', format($$ insert into trailhead.messages (session_id, role, content) values (%L, 'user', null) $$, '0a0a0a0a-0000-4000-8000-000000000001')), '23502', 'also what is missing');
select is(test.probe('stranger', statement), touched, 'stranger: ' || statement) from (values
    ('select from trailhead.messages', '0'), ('update trailhead.messages set content = ''x''', '0'), ('delete from trailhead.messages', '0')) as t (statement, touched);
select is(test.try('owner', $$ delete from trailhead.messages where content = 'he' $$), '1', 'owner deletes a message');
select is((select message_count from public.conversations where id = '0a0a0a0a-0000-4000-8000-000000000001'), 2, 'which is gone');
select is(test.try('owner', test.say('0a0a0a0a-0000-4000-8000-000000000001') || ' on conflict (id) do nothing'), '42P10', 'an upsert is not offered');

-- The newest of a session are found by the index, through the view as well.
insert into public.messages (conversation_id, role, content)
select c.id, 'user', repeat('x', 100) from public.conversations c, generate_series(1, 50) where user_id = test.id('owner');
insert into public.conversations (user_id) select test.id('owner') from generate_series(1, 100);
insert into public.messages (conversation_id, role, content)
select c.id, 'user', repeat('x', 100) from public.conversations c, generate_series(1, 50) where user_id = test.id('owner');
analyze public.messages; analyze public.conversations;
create function test.plan(query text) returns text language plpgsql as $$
declare
    line text;
    plan text := '';
begin
    perform test.become('owner');
    set local plan_cache_mode = force_generic_plan;
    execute format('prepare q as %s', query);
    for line in execute 'explain (costs off) execute q (''0a0a0a0a-0000-4000-8000-000000000001'')' loop
        plan := plan || line || E'\n';
    end loop;
    deallocate q;
    reset role;
    return plan;
end
$$;
select matches(test.plan(query), 'Index Scan Backward using messages_conversation_id_created_at(?!.*Sort)', query)
from unnest(array['trailhead.messages where session_id', 'justin.messages where conversation_id', 'companion.messages where conversation_id']) q,
    lateral (select format('select * from %s = $1 order by created_at desc limit 20', q) as query) f;
select matches(test.plan(query), 'messages_sequence_number_key(?!.*Sort)', query)
from unnest(array['select * from thinking_partner.session_messages where session_id = $1 order by sequence_number limit 20']) query;

-- Turns of Thinking Partner.
select is(test.try('owner', 'delete from thinking_partner.session_messages'), '42501', 'a turn is not deleted singly');
select is(test.try('owner', $$ insert into thinking_partner.session_messages (session_id, role, content, sequence_number) values ('0a0a0a0a-0000-4000-8000-000000000002', 'user', 'x', 7) $$), '42501', 'nor numbered by the client');
select is(test.try('owner', $$ delete from thinking_partner.chat_sessions where id = '0a0a0a0a-0000-4000-8000-000000000002' $$), '1', 'it goes with its session');
select is((select count(*) from public.messages where conversation_id = '0a0a0a0a-0000-4000-8000-000000000002'), 0::bigint, 'whole');

-- Upserts that the documents name, or that their keys ask for.
create function test.twice(who text, statement text) returns text language sql as $$ select test.try(who, statement) || test.try(who, statement) $$;
select is(test.twice('owner', $$ insert into companion.user_context (category, key, value) values ('work', 'job', 'gardener')
    on conflict (user_id, category, key) do update set value = excluded.value $$), '11', 'user_context, by user, category and key');
select is(test.twice('owner', $$ insert into companion.onboarding (current_step, data) values (2, '{"a": 1}')
    on conflict (user_id) do update set current_step = excluded.current_step, data = excluded.data $$), '11', 'onboarding, by user');
select is(test.twice('owner', $$ insert into trailhead.onboarding (current_step, responses) values (3, '{"b": 1}')
    on conflict (user_id) do update set responses = excluded.responses $$), '11', 'under either name');
select is(test.rows('owner', 'select current_step, data from companion.onboarding'), '[{"current_step": 2, "data": {"b": 1}}]', 'it is the same row');
insert into public.profiles (id, user_id, name, relation) values ('0a0a0a0a-0000-4000-8000-000000000009', test.id('owner'), 'Nana', 'grandmother');
select is(test.twice('owner', format($$ insert into essence.training_clips (profile_id, prompt_index, prompt_text, audio_storage_path, mime_type)
    values (%L, 0, 'Hello', %L, 'audio/webm') on conflict (profile_id, prompt_index) do update set audio_storage_path = excluded.audio_storage_path $$,
    '0a0a0a0a-0000-4000-8000-000000000009', format('training_clips/%s/0a0a0a0a-0000-4000-8000-000000000009/0.webm', test.id('owner')))), '11', 'training_clips, by profile and index');
select is(test.twice('owner', $$ insert into trailhead.memory_updates (kind, ref_id) values ('session', '0a0a0a0a-0000-4000-8000-000000000001')
    on conflict (user_id, kind, ref_id) do nothing $$), '10', 'memory_updates, by user, kind and reference');

select finish();
rollback;
