-- Hints: the comment of a policy is what a client reads beside the general words
-- when a row does not pass.

set local role kith_owner;

comment on policy "user schedules messages to themselves" on public.scheduled_messages is
    'recipient_email is your own address, or left out.';
comment on policy "user changes own pending messages" on public.scheduled_messages is
    'recipient_email is your own address, or left out.';

reset role;
