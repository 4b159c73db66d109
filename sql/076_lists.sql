-- Lists of everything: a user who asks for all projects reads them without a look
-- at the workspace of everybody's, one by one.

set local role kith_owner;

-- A user has few workspaces: an array of them is soon made, and finds the
-- projects by the index.
alter policy "workspace owner keeps projects" on public.projects
    using (workspace_id = any (array(select w.id from public.workspaces w where w.owner_id = (select auth.uid()))));

-- Messages keep looking their conversation up by its key.  With exists a list of
-- all of them would be ten times faster, but the newest of one conversation, of a
-- user who has thousands, twice as slow: and that is what apps ask for.

reset role;
