-- Goal: the text of the description is what generators read.
-- The whole of it, as each role gets it, is in tests/http/openapi.t.
\ir ../lib/prelude.psql
select no_plan();

create schema api_base;
create domain api_base.small as int check (value < 100);
create domain api_base.tiny as api_base.small;

select is((select (w.json_type, w.items, w.max_length)::text from kith.swagger_type('api_base.tiny[]'::regtype, null) w),
    '(array,"{""type"":""integer""}",)', 'an array of a domain upon a domain is one of what that is');
select is(kith.swagger_name('a b/ü~%"x.y-z_9'), 'a%20b%2F%C3%BC%7E%25%22x.y-z_9', 'odd names are encoded');
select is(kith.json_merge('{"b":1,"a":2}', null, '{}', '{"0":3}')::text, '{ "b" : 1, "a" : 2, "0" : 3 }', 'members keep their order');
select is(kith.swagger_summary(E'One.\n\nTwo.\nThree.') || '|' || kith.swagger_description(E'One.\n\nTwo.\nThree.'), E'One.|Two.\nThree.', 'a comment in two');

select is((kith.openapi('nowhere', 'anon') -> 'definitions')::text, '{}', 'a schema that does not exist has nothing');

select finish();
rollback;
