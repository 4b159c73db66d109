-- An embedding stays in its row.  PostgreSQL would move what makes a row larger
-- than 2 kB into a table aside, to be fetched in pieces by an index: half of
-- the time of a search, which reads every embedding of a user.  A row that fits
-- into a page is left whole; only a larger one is taken apart as ever.

set local role kith_owner;

alter table public.memories set (toast_tuple_target = 8160);
alter table public.chunks set (toast_tuple_target = 8160);

reset role;
