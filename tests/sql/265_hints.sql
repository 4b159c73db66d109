-- Goal: whatever a check refuses, the client reads what holds.
\ir ../lib/prelude.psql
select no_plan();

-- What only the server writes needs no words for clients.
select ok(obj_description(k.oid, 'pg_constraint') is not null, format('%s on %s has a hint', k.conname, k.conrelid::regclass))
from pg_constraint k
where k.connamespace = 'public'::regnamespace and k.contype = 'c'
    and exists (
        select from unnest(k.conkey) c (number)
        join pg_attribute a on a.attrelid = k.conrelid and a.attnum = c.number
        where has_column_privilege('authenticated', k.conrelid, a.attnum, 'insert')
            and a.attname not in ('id', 'user_id', 'created_at')
    );
select is(obj_description(oid, 'pg_constraint'), hint, conname || ' says what holds')
from (values
    ('messages_role_known', 'role is one of user, assistant, system.'),
    ('memories_importance_range', 'importance lies between 0 and 1.'),
    ('memories_content_length', 'content has 1 to 8000 characters.'),
    ('users_display_name_length', 'display_name has at most 200 characters.'),
    ('part_relationships_polarization_level_range', 'polarization_level lies between 0 and 10.'),
    ('onboarding_current_step_positive', 'current_step is 0 or more.')
) as expected (name, hint)
join pg_constraint on conname = name;

select finish();
rollback;
