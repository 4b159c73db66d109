-- Lists of everything: a user who asks for all projects, or all messages, reads
-- them without a look at the parent of everybody's rows, one by one.

set local role kith_owner;

-- A user has few workspaces: an array of them is soon made, and finds the
-- projects by the index.
alter policy "workspace owner keeps projects" on public.projects
    using (workspace_id = any (array(select w.id from public.workspaces w where w.owner_id = (select auth.uid()))));

-- A user may have thousands of conversations, which an array would read for
-- every single message.  Exists leaves the way to the planner: the messages of
-- one conversation look it up by its key, a list of all is compared with a hash
-- of the user's conversations.  At 100,000 messages that takes 25 ms, and 280 if
-- each one looks its conversation up.
alter policy "conversation owner keeps messages" on public.messages
    using (exists (
        select from public.conversations c where c.id = conversation_id and c.user_id = (select auth.uid())
    ));

reset role;
