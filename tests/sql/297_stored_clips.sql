-- Goal: a clip's object and its row are written together or not at all.
\ir ../lib/prelude.psql
select no_plan();

insert into storage.buckets (id, name) values ('training_clips', 'training_clips') on conflict do nothing;
insert into public.profiles (id, user_id, name, relation) values ('1b000000-0000-4000-8000-000000000001', test.id('owner'), 'Anna', 'self');
create function test.key(index integer, ending text default 'webm') returns text language sql as $$
    select test.id('owner') || '/1b000000-0000-4000-8000-000000000001/' || index || '.' || ending
$$;
create function test.store(index integer, file uuid, replaces uuid default null, ending text default 'webm', profile uuid default '1b000000-0000-4000-8000-000000000001')
returns json language sql as $$
    select c.clip from kith.store_clip(profile, index, 'Prompt', 1, test.key(index, ending), file::text, test.id('owner')::text,
        '{"size": 500, "mimetype": "audio/webm"}', replaces) c
$$;
create function test.state(statement text) returns text language plpgsql as $$
begin
    execute statement;
    return null;
exception when others then
    return sqlstate;
end
$$;
\set first '\'1c000000-0000-4000-8000-000000000001\''
\set second '\'1c000000-0000-4000-8000-000000000002\''
\set third '\'1c000000-0000-4000-8000-000000000003\''

create temp table clip as select test.store(0, :first) as made;
select is(array[made ->> 'user_id', made ->> 'audio_storage_path', made ->> 'mime_type', made ->> 'size_bytes', made ->> 'quality_status'],
    array[test.id('owner')::text, 'training_clips/' || test.key(0), 'audio/webm', '500', 'unknown'], 'the row says of the file what was measured') from clip;
select is(version, :first, 'and its object is there') from storage.objects where name = test.key(0);

-- What the worker found out is about the recording before.
update public.clips set duration_ms = 7000, quality_status = 'good' where prompt_index = 0 and user_id = test.id('owner');
select is(
    array[again ->> 'id', again ->> 'duration_ms', again ->> 'quality_status'], array[(select made ->> 'id' from clip), null, 'unknown'],
    'recorded anew: the same row, of which nothing else is known')
from (select test.store(0, :second, (select id from storage.objects where name = test.key(0))) as again) s;
select is(version, :second, 'and the same object with another file') from storage.objects where name = test.key(0);
select isnt_empty(format('select from kith.released_files where version = %L', :first), 'the first file is let go');

-- What is refused leaves neither.
select is(test.state(format('select test.store(0, %L)', :third)), '23505', 'an object that nobody asked about is not overwritten');
select is(test.state(format('select test.store(25, %L)', :third)), '23514', 'no 26th clip');
select is_empty(format('select from storage.objects where version = %L', :third), 'nor its file');
select is(test.state(format('select test.store(3, %L, profile => gen_random_uuid())', :third)), 'PT404', 'no clip of no profile');
select is_empty(format('select from storage.objects where version = %L', :third), 'nor its file');
select is(version, :second, 'what was there is there') from storage.objects where name = test.key(0);

select is(test.try(who, format('select kith.store_clip(gen_random_uuid(), 0, '''', 1, '''', %L, null, ''{}'', null)', :third)), '42501', who || ' cannot call it')
from unnest(array['anon', 'stranger', 'owner', 'service']) who;

select * from finish();
rollback;
