#!/usr/bin/perl
# What is done in a user's name: the answers of agent_act and
# revert_agent_action, and the rows they are about.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana, $ben) = $k->users(qw(ana ben));
my $return = 'return=representation';

sub act ($user, $action, $entity, $id, $payload) {
	return $user->post('/rest/v1/rpc/agent_act', {
		session_id => undef, action_type => $action, entity_type => $entity, entity_id => $id, payload => $payload
	});
}

sub undo ($user, $action) { $user->post('/rest/v1/rpc/revert_agent_action', { id => $action->json->{id} }) }

sub parts ($user, $columns = 'name,status') { $user->get("/rest/v1/parts?select=$columns&order=name") }

my $created = act($ana, 'create_part', 'part', undef, { name => 'Critic', recent_evidence => [ 'one', { quote => 'two' } ] });
is_status $created, 200, 'an action is answered';
my $critic = $created->json->{entity_id};
is_json parts($ana, 'id,user_id,recent_evidence'), 200,
    [ { id => $critic, user_id => $ana->id, recent_evidence => [ 'one', { quote => 'two' } ] } ], 'the part is there';
is_json $ana->get('/rest/v1/agent_actions?select=action_type,entity_id,reverted_at,name:result->after->>name'), 200,
    [ { action_type => 'create_part', entity_id => $critic, reverted_at => undef, name => 'Critic' } ], 'so is the record';
my $changed = act($ana, 'update_part', 'part', $critic, { status => 'active' });
is_json undo($ana, $created), 409, {
	code => 'PT409', message => 'the part was changed since', details => undef,
	hint => 'Undo the later changes first, the newest before the others.'
}, 'the earlier of two is refused';
is_json parts($ana), 200, [ { name => 'Critic', status => 'active' } ], 'and changes nothing';
is_status undo($ana, $changed), 200, 'the later one is undone';
is_status undo($ana, $changed), 409, 'PT409', 'once';
is_json parts($ana), 200, [ { name => 'Critic', status => 'emerging' } ], 'the part is as it was';

is_json act($ana, 'update_part', 'part', $critic, { mood => 'grim' }), 400, {
	code => '22023', message => 'payload: "mood" is no column that an agent may write', details => undef,
	hint => 'Use name, story, status, confidence_score, recent_evidence, attributes.'
}, 'a column that is not there is named';
is_json act($ana, 'update_part', 'part', $critic, { confidence_score => 'high' }), 400, {
	code => '22023', message => 'payload: "confidence_score" is not of type double precision', details => undef, hint => undef
}, 'so is a value of the wrong type';
is_status act($ana, 'update_part', 'part', $critic, { confidence_score => 2 }), 400, '23514', 'a check is a check';
is_status act($ana, 'update_part', 'part', uuid, { name => 'x' }), 404, 'PT404', 'a part that is not there';

# Somebody else.
is_status act($ben, 'update_part', 'part', $critic, { name => 'Mine' }), 404, 'PT404', 'another user\'s part is as absent';
is_status undo($ben, $created), 404, 'PT404', 'so is their action';
is_json $ben->get('/rest/v1/agent_actions'), 200, [], 'they see none';
is_status $ana->post('/rest/v1/agent_actions', { action_type => 'create_part', entity_type => 'part', entity_id => uuid }), 403,
    '42501', 'nobody writes a record';
is_status $ana->patch("/rest/v1/agent_actions?entity_id=eq.$critic", { reverted_at => undef }), 403, '42501', 'or changes one';

# A relationship, embedded by both of its ends.
my $child = $ana->post('/rest/v1/parts?select=id', { name => 'Child' }, Prefer => $return)->json->[0]{id};
is_status act($ana, 'create_relationship', 'part_relationship', undef,
	{ from_part_id => $critic, to_part_id => $child, relationship_type => 'protector-exile' }), 200, 'two parts are related';
is_json $ana->get('/rest/v1/part_relationships?select=from:parts!from_part_id(name),to:parts!to_part_id(name)'), 200,
    [ { from => { name => 'Critic' }, to => { name => 'Child' } } ], 'each end has its name';
is_status undo($ana, $created), 409, 'PT409', 'the part is not undone under it';
my $deleted = act($ana, 'delete_part', 'part', $critic, {});
is_json $ana->get('/rest/v1/part_relationships'), 200, [], 'it goes with the part';
is_status undo($ana, $deleted), 200, 'that is undone';
is_json $ana->get('/rest/v1/part_relationships?select=relationship_type'), 200, [ { relationship_type => 'protector-exile' } ],
    'and it is back';

# Evidence is trimmed, insights go forward, onboarding is kept by its user.
is_json $ana->patch("/rest/v1/parts?id=eq.$child&select=recent_evidence", { recent_evidence => [ 1 .. 12 ] }, Prefer => $return), 200,
    [ { recent_evidence => [ 3 .. 12 ] } ], 'a list of JSON is taken, and its newest ten are kept';
my $insight = $ana->post('/rest/v1/insights?select=id,status,revealed_at', { type => 'nudge', content => { text => 'hm' } }, Prefer => $return);
my $id = $insight->json->[0]{id};
is_json $insight, 201, [ { id => $id, status => 'pending', revealed_at => undef } ], 'an insight is pending';
like $ana->patch("/rest/v1/insights?id=eq.$id&select=revealed_at", { status => 'revealed' }, Prefer => $return)->json->[0]{revealed_at},
    qr/^\d{4}-/, 'then revealed, with the time';
is_json $ana->patch("/rest/v1/insights?id=eq.$id", { status => 'pending' }), 400, {
	code => '23514', message => 'an insight that is revealed cannot become pending', details => undef,
	hint => 'An insight goes from pending to revealed to actioned, never back.'
}, 'and never pending again';
for my $step (1, 2) {
	is_json $ana->post('/rest/v1/onboarding?on_conflict=user_id&select=current_step,completed,completed_at',
		{ user_id => $ana->id, current_step => $step, data => { step => $step } },
		Prefer => "resolution=merge-duplicates,$return"), $step == 1 ? 201 : 200,
	    [ { current_step => $step, completed => false, completed_at => undef } ], "onboarding at step $step";
}

done_testing;
