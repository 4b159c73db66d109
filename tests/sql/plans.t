#!/usr/bin/perl
# Goal: the list queries of the five documents use their index, asked as the
# programs ask: by a user, under row-level security, with a plan for any
# parameter.  In a database of its own, with PLANS_ROWS rows (10000) of 100 users
# in each table; `make plans` does it with 100000.

use v5.36;
use Cwd qw(abs_path);
use Digest::MD5 qw(md5_hex);
use File::Basename qw(dirname);
use Test::More;

my $root = abs_path(dirname(__FILE__) . '/../..');
my $database = "kith_plans_$$";
my $rows = $ENV{PLANS_ROWS} || 10000;

sub psql ($where, $input, @arguments) {
	my $pid = open my $out, '-|';
	die "fork: $!\n" unless defined $pid;
	if (!$pid) {
		open my $psql, '|-', 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $where, @arguments or die "psql: $!\n";
		print $psql $input;
		exit !close $psql;
	}
	my $text = do { local $/; <$out> } // '';
	close $out or die "psql failed: $text\n";
	return $text;
}

my $owner = $$;
END {
	if ($$ == $owner) {
		my $status = $?;
		psql('postgres', "drop database if exists $database with (force)");
		$? = $status;
	}
}
$SIG{$_} = sub { exit 130 } for qw(INT TERM HUP);

psql('postgres', "create database $database template template0");
{
	local $ENV{PGDATABASE} = $database;
	system("$root/scripts/kith-migrate >/dev/null") == 0 or die "could not migrate\n";
}
psql($database, '', '-v', "rows=$rows", '-f', "$root/tests/sql/plans.psql");

# Queries of a user's: what $1 is, the index that the plan must name, and whether
# the rows must come in order, so that a limit reads no more than it needs.
my @of_a_user = (
	# Companion
	[ 'companion.conversations order by started_at desc limit 20', '', 'conversations_user_id_started_at_idx', 'in order' ],
	[ 'companion.conversations', '', 'conversations_user_id_' ],
	[ 'companion.messages where conversation_id = $1', 'conversation', 'messages_(conversation_id_created_at_idx|sequence_number_key)' ],
	[ 'companion.messages where conversation_id = $1 order by created_at desc limit 20', 'conversation', 'messages_conversation_id_created_at_idx', 'in order' ],
	[ 'companion.user_context', '', 'memories_' ],
	[ "companion.user_context where category = 'category 1'", '', 'memories_key_unique' ],
	[ "companion.user_context where category = 'category 1' and key = 'key 100'", '', 'memories_key_unique' ],
	[ 'companion.scheduled_messages order by scheduled_for desc limit 20', '', 'scheduled_messages_user_id_scheduled_for_idx', 'in order' ],
	[ "companion.scheduled_messages where status = 'pending'", '', 'scheduled_messages_user_id_status_idx' ],
	[ 'companion.onboarding', '', 'onboarding_user_id' ],
	[ 'companion.telegram_link_tokens', '', 'telegram_link_tokens_user_id_idx' ],
	# Trailhead
	[ "trailhead.sessions where status = 'active'", '', 'conversations_user_id_status_idx' ],
	[ 'trailhead.sessions order by started_at desc limit 20', '', 'conversations_user_id_started_at_idx', 'in order' ],
	[ 'trailhead.messages where session_id = $1 order by created_at', 'conversation', 'messages_conversation_id_created_at_idx', 'in order' ],
	[ "trailhead.parts where status = 'active'", '', 'parts_user_id_status_idx' ],
	[ 'trailhead.part_relationships', '', 'part_relationships_user_id_idx' ],
	[ 'trailhead.part_relationships where from_part_id = $1', 'part', 'part_relationships_from_part_id_idx' ],
	[ 'trailhead.part_relationships where to_part_id = $1', 'part', 'part_relationships_to_part_id_idx' ],
	[ 'trailhead.part_assessments where part_id = $1 order by created_at desc', 'part', 'part_assessments_part_id_created_at_idx', 'in order' ],
	[ 'trailhead.agent_actions order by created_at desc limit 20', '', 'agent_actions_user_id_created_at_idx', 'in order' ],
	[ "trailhead.agent_actions where entity_type = 'part' and entity_id = \$1", 'part', 'agent_actions_entity_type_entity_id_idx' ],
	[ 'trailhead.user_memory_snapshots order by version desc limit 1', '', 'memory_snapshots_version_key', 'in order' ],
	[ 'trailhead.memory_updates where not processed order by created_at limit 20', '', 'memory_updates_user_id_processed_created_at_idx', 'in order' ],
	[ "trailhead.insights where status = 'pending'", '', 'insights_user_id_status_' ],
	[ "trailhead.insights where status = 'pending' order by created_at desc limit 20", '', 'insights_user_id_status_created_at_idx', 'in order' ],
	# Thinking Partner
	[ 'thinking_partner.memories order by created_at desc limit 20', '', 'memories_user_id_created_at_idx', 'in order' ],
	[ 'thinking_partner.memories where project_id = $1', 'project', 'memories_project_id_idx' ],
	[ 'thinking_partner.chat_sessions where project_id = $1', 'project', 'conversations_project_id_idx' ],
	[ 'thinking_partner.session_messages where session_id = $1 order by sequence_number', 'conversation', 'messages_sequence_number_key', 'in order' ],
	[ 'thinking_partner.documents order by created_at desc limit 20', '', 'documents_user_id_created_at_idx', 'in order' ],
	[ 'thinking_partner.documents where project_id = $1', 'project', 'documents_project_id_idx' ],
	[ 'thinking_partner.chunks where document_id = $1 order by chunk_index', 'document', 'chunks_chunk_index_key', 'in order' ],
	[ 'thinking_partner.work_tickets where project_id = $1 order by created_at desc limit 20', 'project', 'work_tickets_project_id_created_at_idx' ],
	[ 'thinking_partner.work_tickets', '', 'work_tickets_project_id_created_at_idx' ],
	[ 'thinking_partner.work_outputs where ticket_id = $1 order by created_at desc', 'ticket', 'work_outputs_ticket_id_created_at_idx', 'in order' ],
	[ 'thinking_partner.projects', '', 'projects_workspace_id_idx' ],
	[ 'thinking_partner.projects where workspace_id = $1', 'workspace', 'projects_workspace_id_idx' ],
	[ 'thinking_partner.subscription_events order by created_at desc limit 20', '', 'subscription_events_user_id_created_at_idx', 'in order' ],
	[ 'thinking_partner.subscription_events where workspace_id = $1', 'workspace', 'subscription_events_workspace_id_idx' ],
	[ 'thinking_partner.scheduled_messages where workspace_id = $1', 'workspace', 'scheduled_messages_workspace_id_idx' ],
	[ 'thinking_partner.email_delivery_log where scheduled_message_id = $1 order by created_at desc', 'scheduled', 'email_delivery_log_scheduled_message_id_created_at_idx', 'in order' ],
	# Essence
	[ 'essence.profiles order by created_at limit 20', '', 'profiles_user_id_created_at_idx', 'in order' ],
	[ 'essence.training_clips', '', 'clips_user_id_idx' ],
	[ 'essence.training_clips where profile_id = $1 order by prompt_index', 'profile', 'clips_one_per_prompt' ],
	[ 'essence.messages', '', 'voice_messages_user_id_last_played_at_idx' ],
	[ 'essence.messages order by last_played_at limit 20', '', 'voice_messages_user_id_last_played_at_idx', 'in order' ],
	[ 'essence.messages where profile_id = $1 order by created_at desc limit 20', 'profile', 'voice_messages_profile_id_created_at_idx' ],
	[ 'essence.subscriptions', '', 'subscriptions_user_id' ],
	# Justin
	[ 'justin.conversations', '', 'conversations_user_id_' ],
	[ 'justin.messages where conversation_id = $1 order by created_at', 'conversation', 'messages_conversation_id_created_at_idx', 'in order' ],
	[ 'justin.user_memories', '', 'memories_' ],
	# Whatever the table, a row by its key.
	map({ [ "public.$_->[0] where id = \$1", $_->[1], "$_->[0]_pkey" ] }
		[ projects => 'project' ], [ messages => 'message' ], [ chunks => 'chunk' ], [ work_tickets => 'ticket' ],
		[ work_outputs => 'output' ], [ email_delivery_log => 'delivery' ]),
);
# What the server asks for.
my @of_the_service = (
	[ 'public.subscriptions where stripe_customer_id = $1', 'text', 'subscriptions_stripe_customer_id_idx' ],
	[ 'public.subscriptions where stripe_subscription_id = $1', 'text', 'subscriptions_stripe_subscription_id_idx' ],
	[ 'public.profiles where elevenlabs_voice_id = $1', 'text', 'profiles_elevenlabs_voice_id_idx' ],
	[ 'public.memory_updates where not processed order by created_at limit 20', '', 'memory_updates_created_at_idx', 'in order' ],
	[ "public.documents where processing_status in ('pending', 'processing') order by created_at limit 20", '', 'documents_created_at_idx', 'in order' ],
	[ "public.work_tickets where status in ('pending', 'running') order by created_at limit 20", '', 'work_tickets_created_at_idx', 'in order' ],
);
# Many parents of a user: all of their rows are compared with a hash of these.  None is looked up for a single row.
my @whole = map { [ "public.$_", '', qr/Filter: \(hashed SubPlan/ ] } qw(chunks work_outputs email_delivery_log);

# As plans.id makes it, for the eighth user and rows of theirs.
sub id ($kind) { md5_hex("${kind}7") =~ s/^(.{8})(.{4})(.{4})(.{4})/$1-$2-$3-$4-/r }

# Plans of a role's queries, as it would run them.
sub plans ($role, @queries) {
	my $user = id('user');
	my $script = qq{begin;\nset local request.jwt.claims = '{"role":"$role","sub":"$user"}';\nset local role $role;\n}
	    . "set local plan_cache_mode = force_generic_plan;\n";
	for my $i (keys @queries) {
		my ($query, $kind) = @{ $queries[$i] };
		my ($type, $value) = !$kind ? ('', '') : $kind eq 'text' ? ('(text)', "('x')") : ('(uuid)', "('" . id($kind) . "')");
		$script .= "prepare q$i$type as select * from $query;\n\\echo # $i\nexplain (costs off) execute q$i$value;\n";
	}
	my (undef, @plans) = split /^# \d+\n/m, psql($database, "$script rollback;\n");
	return @plans;
}

for my $set ([ authenticated => @of_a_user, @whole ], [ service_role => @of_the_service ]) {
	my ($role, @queries) = @$set;
	my @plans = plans($role, @queries);
	is scalar @plans, scalar @queries, "a plan for each query of $role";
	for my $i (keys @queries) {
		my ($query, undef, $wanted, $in_order) = @{ $queries[$i] };
		my $plan = $plans[$i] // '';
		my $fine = ref $wanted
		    ? $plan =~ $wanted
		    : $plan =~ /\b(?:Index|Bitmap Index).* $wanted/ && $plan !~ /Seq Scan on (?!workspaces|projects)/;
		ok $fine && !($in_order && $plan =~ /Sort/), "$role: $query" or diag $plan;
	}
}

done_testing;
