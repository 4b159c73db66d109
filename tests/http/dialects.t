#!/usr/bin/perl
# Dialects: each system by its own names, chosen by the profile headers; written through like tables.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana, $ben) = $k->users(qw(ana ben));
my @return = (Prefer => 'return=representation');
my @merge = (Prefer => 'resolution=merge-duplicates,return=representation');
my @ignore = (Prefer => 'resolution=ignore-duplicates,return=representation');
my @one = (Accept => 'application/vnd.pgrst.object+json');
my @schemas = qw(justin companion trailhead thinking_partner essence);
my %ana = map { $_ => $ana->with(schema => $_) } @schemas;
my %ben = map { $_ => $ben->with(schema => $_) } @schemas;

# Every view is served, to those who may see it.
for my $view (split /\n/, $k->sql(<<"SQL")) {
select schemaname || '.' || viewname from pg_views where schemaname in ('@{[ join "', '", @schemas ]}') order by 1
SQL
	my ($schema, $name) = split /\./, $view;
	my $own = $name =~ /^(users|users_public|subscriptions)$/;
	is_json $ana->with(schema => $schema)->get("/rest/v1/$name"), 200,
		sub ($rows) { ref $rows eq 'ARRAY' && @$rows == ($own ? 1 : 0) }, "$view is served";
	is_status $k->anon->with(schema => $schema)->get("/rest/v1/$name"), 401, '42501', "$view is not for everybody";
}
is_status $ana->get('/rest/v1/sessions'), 404, 'PGRST205', 'a name is known in its schema only';
is_status $ana{essence}->get('/rest/v1/conversations'), 404, 'PGRST205', 'no other system\'s is';
is_status $ana{trailhead}->get('/rest/v1/sessions?select=summary'), 400, '42703', 'nor its columns';
is_status $ana{trailhead}->post('/rest/v1/sessions', { summary => 'x' }), 400, 'PGRST204', 'when writing, too';

# Justin.
my $j = $ana{justin};
my $conversation = $j->make(conversations => { title => 'Evening' });
is $conversation->{user_id}, $ana->id, 'justin: a conversation is its maker\'s';
$j->make(messages => [ map { { conversation_id => $conversation->{id}, role => 'user', content => $_ } } qw(a b) ]);
is_json $j->get(
	'/rest/v1/conversations?select=title,messages(content,has_attachments),users(email)&messages.order=created_at'),
	200,
	[ {
	title => 'Evening', messages => [ map { { content => $_, has_attachments => false } } qw(a b) ],
	users => { email => $ana->email }
	} ],
	'justin: messages and users are embedded';
is_json $j->get('/rest/v1/users?select=conversations(title),subscriptions(plan,status),user_memories(value)'), 200,
	[ {
	conversations => [ { title => 'Evening' } ], subscriptions => { plan => 'free', status => 'active' },
	user_memories => []
	} ],
	'justin: from the user, too';
is_json $j->patch(
	"/rest/v1/conversations?id=eq.$conversation->{id}&summary_count=eq.0&select=summary,summary_count",
	{ summary => 'Two words.', summary_count => 2 }, @return
	),
	200, [ { summary => 'Two words.', summary_count => 2 } ],
	'justin: the summary rolls forward';
my $memory = $j->make(user_memories => { key => 'pace', value => 'walks in the evening' });
is $memory->{is_active}, true, 'justin: a memory is live';
is_status $ana->patch("/rest/v1/memories?id=eq.$memory->{id}", { is_active => false }), 204, 'justin: it is retired';
is_json $j->get('/rest/v1/user_memories'), 200, [], 'justin: and not seen';
is_json $j->post('/rest/v1/user_memories?select=id,key,value', { id => $memory->{id}, key => 'pace', value => 'runs' },
	@merge), 201,
	[ { id => $memory->{id}, key => 'pace', value => 'runs' } ], 'justin: an upsert over it';
is_json $j->get('/rest/v1/user_memories?select=id,value'), 200, [ { id => $memory->{id}, value => 'runs' } ],
	'justin: makes it live again';
is_json $j->post(
	'/rest/v1/user_memories?columns=key,value,id&select=key,value',
	[ { key => 'a', value => '1' }, { value => '2' } ], Prefer => 'missing=default,return=representation'
	),
	201,
	[ { key => 'a', value => '1' }, { key => undef, value => '2' } ],
	'justin: rows of different keys take the defaults';
is_status $j->patch('/rest/v1/subscriptions?id=not.is.null', { plan => 'pro' }), 403, '42501',
	'justin: no plan is taken';
is_status $ana{justin}->post('/rest/v1/conversations', { user_id => $ben->id }), 403, '42501',
	'justin: nothing is made for others';
is_json $ben{justin}->get("/rest/v1/messages?conversation_id=eq.$conversation->{id}"), 200, [],
	'justin: or seen by them';

# Companion.
my $c = $ana{companion};
is_json $c->get('/rest/v1/users?select=id,subscription,companion_name', @one), 200,
	{ id => $ana->id, subscription => 'free', companion_name => undef }, 'companion: users show the plan';
is_json $c->post('/rest/v1/users?select=companion_name,preferences',
	{ id => $ana->id, companion_name => 'Sam', preferences => { tone => 'dry' } }, @merge), 201,
	[ { companion_name => 'Sam', preferences => { tone => 'dry' } } ], 'companion: the own row is upserted';
is_status $c->patch('/rest/v1/users?id=eq.' . $ana->id, { subscription => 'pro' }), 403, '42501',
	'companion: but for the plan';
my @job = (
	'/rest/v1/user_context?on_conflict=user_id,category,key&select=category,key,value,expires_at',
	{ category => 'work', key => 'job', value => 'gardener' }
);
is_json $c->post(@job, @merge), 201, [ { category => 'work', key => 'job', value => 'gardener', expires_at => undef } ],
	'companion: a fact';
$job[1]{value} = 'baker';
is_json $c->post(@job, @merge), 201, [ { category => 'work', key => 'job', value => 'baker', expires_at => undef } ],
	'companion: is revised by an upsert';
is_json $c->get('/rest/v1/user_context?select=value&category=eq.work'), 200, [ { value => 'baker' } ],
	'companion: there is one';
is_status $c->post('/rest/v1/user_context', { category => 'work', key => 'job', value => 'x' }), 409, '23505',
	'companion: a second is refused';
is_json $c->post(@job, @ignore), 201, [], 'companion: or ignored';
is_status $c->patch('/rest/v1/user_context?key=eq.job', { expires_at => '2000-01-01' }), 204, 'companion: it expires';
is_json $c->get('/rest/v1/user_context?key=eq.job'), 200, [], 'companion: and is not seen';
$job[1]{value} = 'florist';
is_json $c->post(@job, @merge), 201, [ { category => 'work', key => 'job', value => 'florist', expires_at => undef } ],
	'companion: an upsert over it';
is_json $c->get('/rest/v1/user_context?select=value&key=eq.job'), 200, [ { value => 'florist' } ],
	'companion: makes it live again';
my $day = $c->make(
	conversations => { channel => 'telegram', initiated_by => 'companion', mood => 'calm', topics => ['garden'] });
$c->make(
	messages => {
		conversation_id => $day->{id}, role => 'assistant', content => 'Good morning', telegram_message_id => 7
	}
);
is_json $c->get("/rest/v1/conversations?select=channel,topics,messages(content,telegram_message_id)&id=eq.$day->{id}"),
	200,
	[ {
	channel => 'telegram', topics => ['garden'],
	messages => [ { content => 'Good morning', telegram_message_id => 7 } ]
	} ],
	'companion: messages are embedded';
is_json $c->post(
	'/rest/v1/scheduled_messages?select=channel,status,users(display_name)',
	{ scheduled_for => '2100-01-01T08:00:00Z', message_type => 'check_in', content => { text => 'How are you?' } },
	@return
	),
	201,
	[ { channel => 'telegram', status => 'pending', users => { display_name => undef } } ],
	'companion: what is scheduled goes by Telegram';
for my $step (1, 2) {
	is_json $c->post(
		'/rest/v1/onboarding?on_conflict=user_id&select=current_step,data',
		{ user_id => $ana->id, current_step => $step, data => { step => $step } }, @merge
		),
		201,
		[ { current_step => $step, data => { step => $step } } ], "companion: onboarding, step $step";
}
my $token = $c->post('/rest/v1/rpc/create_telegram_link_token', {});
is_json $token, 200, qr/^[A-Za-z0-9_-]{20,64}$/, 'companion: a token to link Telegram';
is_json $c->get('/rest/v1/telegram_link_tokens?select=user_id,used_at,token'), 200,
	[ { user_id => $ana->id, used_at => undef, token => sub ($kept) { $kept ne $token->json } } ],
	'companion: whose hash is kept';

# Trailhead.
my $t = $ana{trailhead};
my $session = $t->make(sessions => { title => 'Monday', metadata => { place => 'home' } });
is_json $t->post(
	'/rest/v1/messages?select=session_id,user_id,role,content',
	[ map { { session_id => $session->{id}, user_id => $ana->id, role => 'user', content => $_ } } qw(one two) ],
	@return
	),
	201,
	[ map { { session_id => $session->{id}, user_id => $ana->id, role => 'user', content => $_ } } qw(one two) ],
	'trailhead: messages are sent with a user_id';
is_status $t->post('/rest/v1/messages',
	{ session_id => $session->{id}, user_id => $ben->id, role => 'user', content => 'x' }), 403, '42501',
	'trailhead: which must be one\'s own';
is_status $ben{trailhead}->post('/rest/v1/messages',
	{ session_id => $session->{id}, user_id => $ben->id, role => 'user', content => 'x' }),
	403, '42501', 'trailhead: in one\'s own session';
is_json $t->get("/rest/v1/sessions?select=*,messages(content)&id=eq.$session->{id}&messages.order=created_at"), 200,
	[ { %$session, messages => [ { content => 'one' }, { content => 'two' } ], updated_at => qr/./ } ],
	'trailhead: messages are embedded in sessions';
is_json $t->get(
	"/rest/v1/messages?select=content,sessions(title),users(email)&session_id=eq.$session->{id}"
		. '&order=created_at.desc&limit=1'
	), 200,
	[ { content => 'two', sessions => { title => 'Monday' }, users => { email => $ana->email } } ],
	'trailhead: and the other way round';
is_json $t->patch('/rest/v1/messages?content=eq.two&select=content', { content => 'TWO' }, @return), 200,
	[ { content => 'TWO' } ],
	'trailhead: a message is changed';
is_status $t->del('/rest/v1/messages?content=eq.TWO'), 204, 'trailhead: and deleted';
is_status $t->post('/rest/v1/messages', { id => uuid, session_id => $session->{id}, role => 'user', content => 'x' },
	@merge), 400, '42P10',
	'trailhead: not merged';
is_json $t->patch("/rest/v1/sessions?id=eq.$session->{id}&select=status",
	{ status => 'ended', ended_at => '2100-01-01T00:00:00Z' }, @return),
	200, [ { status => 'ended' } ], 'trailhead: a session ends';
my ($critic, $child) = $t->make(
	parts => [ { name => 'Critic', confidence_score => 0.5 }, { name => 'Child', confidence_score => 1 } ]);
$t->make(part_relationships =>
		{ from_part_id => $critic->{id}, to_part_id => $child->{id}, relationship_type => 'protector-exile' });
is_json $t->get(
	'/rest/v1/part_relationships?select=relationship_type,from:parts!from_part_id(name),to:parts!to_part_id(name)'),
	200,
	[ { relationship_type => 'protector-exile', from => { name => 'Critic' }, to => { name => 'Child' } } ],
	'trailhead: both parts are embedded';
$t->make(part_assessments => { part_id => $critic->{id}, assessment_type => 'tone', content => { words => 2 } });
is_json $t->get('/rest/v1/parts?select=name,part_assessments(assessment_type)&order=name.desc'), 200,
	[ { name => 'Critic', part_assessments => [ { assessment_type => 'tone' } ] },
	{ name => 'Child', part_assessments => [] } ],
	'trailhead: assessments too';
my $act = $t->post(
	'/rest/v1/rpc/agent_act?select=id,action_type,sessions(title)',
	{
		session_id => $session->{id}, action_type => 'update_part',
		entity_type => 'part', entity_id => $critic->{id}, payload => { story => 'It means well.' }
	}
);
is_json $act, 200, { id => qr/-/, action_type => 'update_part', sessions => { title => 'Monday' } },
	'trailhead: an agent acts';
is_json $t->get("/rest/v1/parts?select=story&id=eq.$critic->{id}"), 200, [ { story => 'It means well.' } ],
	'trailhead: which is seen';
is_json $t->post('/rest/v1/rpc/revert_agent_action?select=entity_id,reverted_at', { id => $act->json->{id} }), 200,
	{ entity_id => $critic->{id}, reverted_at => qr/^20/ }, 'trailhead: and undone';
is_json $t->get("/rest/v1/parts?select=story&id=eq.$critic->{id}"), 200, [ { story => undef } ],
	'trailhead: which is seen, too';
is_status $t->post('/rest/v1/agent_actions',
	{ action_type => 'update_part', entity_type => 'part', entity_id => $critic->{id} }), 403, '42501',
	'trailhead: a record is not forged';
my @update = (
	'/rest/v1/memory_updates?on_conflict=user_id,kind,ref_id&select=kind,processed',
	{ user_id => $ana->id, kind => 'session', ref_id => $session->{id} }
);
is_json $t->post(@update, @ignore), 201, [ { kind => 'session', processed => false } ],
	'trailhead: an update is queued';
is_json $t->post(@update, @ignore), 201, [], 'trailhead: once';
is_json $t->post(@update, @merge), 201, [ { kind => 'session', processed => false } ],
	'trailhead: however it is upserted';
is_json $t->post('/rest/v1/rpc/save_memory?select=version,is_checkpoint,users(email)',
	{ document => { likes => ['tea'] } }), 200,
	{ version => 1, is_checkpoint => true, users => { email => $ana->email } }, 'trailhead: memory is saved';
is_json $t->get('/rest/v1/rpc/reconstruct_memory'), 200, { likes => ['tea'] }, 'trailhead: and read back';
is_json $t->get('/rest/v1/user_memory_snapshots?select=version,is_checkpoint'), 200,
	[ { version => 1, is_checkpoint => true } ], 'trailhead: as a snapshot';
my $insight = $t->make(insights => { type => 'nudge', content => { text => 'Rest.' } });
is_json $t->patch("/rest/v1/insights?id=eq.$insight->{id}&select=status,revealed_at,actioned_at",
	{ status => 'revealed' }, @return), 200,
	[ { status => 'revealed', revealed_at => qr/^20/, actioned_at => undef } ], 'trailhead: an insight is revealed';
is_json $t->post('/rest/v1/onboarding?on_conflict=user_id&select=current_step,responses',
	{ current_step => 4, responses => { name => 'Ana' } }, @merge), 201,
	[ { current_step => 4, responses => { name => 'Ana' } } ], 'trailhead: onboarding keeps responses';
is_json $t->patch('/rest/v1/users?id=eq.' . $ana->id . '&select=settings', { settings => { dark => true } }, @return),
	200,
	[ { settings => { dark => true } } ], 'trailhead: users have settings';

# Thinking Partner.
my $p = $ana{thinking_partner};
my $workspace = $p->make(workspaces => { name => 'Work' });
my $project = $p->make(projects => { name => 'Book', workspace_id => $workspace->{id} });
my @today = ('/rest/v1/rpc/get_or_create_chat_session',
	{ user_id => $ana->id, project_id => $project->{id}, session_type => 'thinking_partner', scope => 'daily' });
my $chat = $p->post(@today)->json;
is $chat->{session_type}, 'thinking_partner', 'thinking_partner: a session';
is_json $p->post(@today), 200, $chat, 'thinking_partner: is the same all day';
is $p->make(chat_sessions => { context_metadata => { model => 'x' } })->{session_type}, 'thinking_partner',
	'thinking_partner: also one that is inserted is of that type';
is_json $p->post(
	'/rest/v1/rpc/append_session_message?select=sequence_number,role,metadata,chat_sessions(status)',
	{
		session_id => $chat->{id}, role => 'user', content => 'Hello',
		metadata => { tokens => 1 }
	}
	),
	200,
	{ sequence_number => 1, role => 'user', metadata => { tokens => 1 }, chat_sessions => { status => 'active' } },
	'thinking_partner: a turn is appended';
$p->make(session_messages => { session_id => $chat->{id}, role => 'assistant', content => 'Hi' });
is_json $p->get(
	'/rest/v1/chat_sessions?select=projects(name,workspaces(name)),session_messages(sequence_number,content)'
		. "&id=eq.$chat->{id}&session_messages.order=sequence_number"
	),
	200, [ {
	projects => { name => 'Book', workspaces => { name => 'Work' } },
	session_messages => [ { sequence_number => 1, content => 'Hello' }, { sequence_number => 2, content => 'Hi' } ]
	} ],
	'thinking_partner: turns, project and workspace are embedded';
is_status $p->del("/rest/v1/session_messages?session_id=eq.$chat->{id}"), 403, '42501',
	'thinking_partner: a turn is not deleted singly';
is_status $p->post('/rest/v1/session_messages',
	{ session_id => $chat->{id}, role => 'user', content => 'x', sequence_number => 9 }), 403, '42501',
	'thinking_partner: nor numbered';
my $document = uuid;
is_json $p->post(
	'/rest/v1/documents?select=processing_status,chunks(chunk_index),projects(name)',
	{
		id => $document, project_id => $project->{id}, filename => 'a.pdf',
		file_type => 'pdf', storage_path => $ana->id . "/$document/original.pdf"
	},
	@return
	),
	201,
	[ { processing_status => 'pending', chunks => [], projects => { name => 'Book' } } ],
	'thinking_partner: a document waits';
is_status $p->patch("/rest/v1/documents?id=eq.$document", { processing_status => 'completed' }), 403, '42501',
	'thinking_partner: for the server';
my $ticket =
	$p->make(work_tickets => { task => 'Find sources', agent_type => 'research', project_id => $project->{id} });
$p->make(work_outputs => { ticket_id => $ticket->{id}, title => 'Sources', output_type => 'text', content => 'None.' });
is_json $p->get('/rest/v1/work_tickets?select=status,work_outputs(title)'), 200,
	[ { status => 'pending', work_outputs => [ { title => 'Sources' } ] } ],
	'thinking_partner: tickets with outputs';
is_json $p->post(
	'/rest/v1/scheduled_messages?select=channel,workspaces(name)',
	{
		workspace_id => $workspace->{id}, scheduled_for => '2100-01-01T08:00:00Z',
		message_type => 'weekly', subject => 'Your week', content => { text => 'x' }
	},
	@return
	),
	201,
	[ { channel => 'email', workspaces => { name => 'Work' } } ],
	'thinking_partner: what is scheduled goes by mail';
is_status $p->patch("/rest/v1/workspaces?id=eq.$workspace->{id}", { subscription_status => 'pro' }), 403, '42501',
	'thinking_partner: no subscription is taken';
my $vector = '[' . join(',', 1, (0) x 1535) . ']';
$p->make(
	memories => {
		content => 'Writes at night', embedding => $vector, importance => 1, project_id => $project->{id},
		tags => ['habit']
	}
);
is_json $p->post('/rest/v1/rpc/search_memories?select=content,relevance',
	{ query_embedding => $vector, project_id => $project->{id}, match_count => 5 }), 200,
	[ { content => 'Writes at night', relevance => 1 } ], 'thinking_partner: memories are searched';
is_json $p->get('/rest/v1/memories?select=tags,embedding,projects(name)&content=eq.Writes at night'), 200,
	[ { tags => ['habit'], embedding => $vector, projects => { name => 'Book' } } ], 'thinking_partner: and read';
is_json $p->post('/rest/v1/rpc/search_chunks',
	{ document_id => $document, query_embedding => $vector, match_count => 5 }), 200, [],
	'thinking_partner: like chunks';

# Essence.
my $e = $ana{essence};
my $profile = $e->make(profiles => { name => 'Nana', relation => 'grandmother' });
is $profile->{voice_model_status}, 'not_submitted', 'essence: a voice to be kept';
my @clip = (
	'/rest/v1/training_clips?on_conflict=profile_id,prompt_index&select=id,audio_storage_path',
	{
		user_id => $ana->id, profile_id => $profile->{id}, prompt_index => 0,
		prompt_text => 'Hello', audio_storage_path => 'training_clips/' . $ana->id . "/$profile->{id}/0.webm",
		mime_type => 'audio/webm'
	}
);
my $clip = $e->post(@clip, @merge)->json->[0];
$clip[1]{audio_storage_path} =~ s/webm$/mp3/;
is_json $e->post(@clip, @merge), 201, [ { id => $clip->{id}, audio_storage_path => $clip[1]{audio_storage_path} } ],
	'essence: a clip is recorded anew';
is_json $e->get(
	'/rest/v1/profiles?select=name,training_clips(prompt_index,quality_status),n:training_clips(count),users_public(name)'
	), 200,
	[ {
	name => 'Nana', training_clips => [ { prompt_index => 0, quality_status => 'unknown' } ],
	n => [ { count => 1 } ], users_public => { name => undef }
	} ],
	'essence: clips are embedded and counted';
my $draft = $e->make(
	messages => {
		profile_id => $profile->{id}, title => 'For June', category => 'birthday', prompt_text => 'Warm',
		generated_text => 'Dear June'
	}
);
is "$draft->{status} $draft->{mime_type} $draft->{play_count}", 'draft audio/mpeg 0', 'essence: a message is a draft';
is_json $e->get('/rest/v1/messages?select=title,profiles(name)&status=eq.draft'), 200,
	[ { title => 'For June', profiles => { name => 'Nana' } } ], 'essence: of a profile';
is_status $e->patch("/rest/v1/messages?id=eq.$draft->{id}", { status => 'ready' }), 403, '42501',
	'essence: the server says when it is ready';
is_status $e->patch("/rest/v1/profiles?id=eq.$profile->{id}", { voice_model_status => 'ready' }), 403, '42501',
	'essence: and the voice';
is_status $e->post('/rest/v1/rpc/train_voice', { profile_id => $profile->{id}, consent => true }), 409, 'PT409',
	'essence: which wants all clips';
is_status $e->post('/rest/v1/rpc/generate_voice_message', { id => $draft->{id} }), 409, 'PT409',
	'essence: as a message wants the voice';
is_json $e->patch('/rest/v1/users_public?id=eq.' . $ana->id . '&select=id,name', { name => 'Ana' }, @return), 200,
	[ { id => $ana->id, name => 'Ana' } ], 'essence: users have a name';
is_status $ben{essence}->post('/rest/v1/messages',
	{ profile_id => $profile->{id}, title => 'x', category => 'x', prompt_text => 'x', generated_text => 'x' }),
	403, '42501',
	'essence: nobody speaks with another\'s voice';
is_json $ben{essence}->get('/rest/v1/profiles?select=*,messages(*)'), 200, [], 'essence: or hears it';
is_status $e->del("/rest/v1/profiles?id=eq.$profile->{id}"), 204, 'essence: a profile is deleted';
is_json $e->get('/rest/v1/messages'), 200, [], 'essence: with what is its';

# The systems show the same rows.
is_json $ana{companion}->get('/rest/v1/users?select=display_name,preferences'), 200,
	[ { display_name => 'Ana', preferences => { dark => true } } ],
	'what one system writes, another reads';

done_testing;
