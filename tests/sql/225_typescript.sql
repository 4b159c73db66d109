-- Goal: the types of a schema are laid out as the generator of the ecosystem does.
-- That they compile, and fit what comes, is in tests/sdk/types.mjs.
\ir ../lib/prelude.psql
select no_plan();

create schema "odd-one";
create schema other;
create type other.side as enum ('left', 'a "right"');
create domain other.small as int;
create table other.rows (id int, "B" text not null);
create type "odd-one".kind as enum ('a word of some length', 'another word of length', 'a third word to get far', 'x');
create type "odd-one".pair as (b int, a "odd-one".kind[]);
create table "odd-one".t (
    b_c other.small not null, ab other.side, "B" other.side[], "1st" "odd-one".pair, d daterange,
    a_name_that_takes_room_so_that_the_line_gets_too_long "odd-one".kind
);
create function "odd-one".two(a int) returns int language sql as 'select 1';
create function "odd-one".two() returns other.small language sql as 'select 1';
create function "odd-one".away() returns setof other.rows language sql as 'select 1, ''''';
create type other.found as (score float, "B" text);
create function "odd-one".find() returns setof other.found language sql as 'select 1.0, ''''';
create function "odd-one".out_two(x int, out y bool, out z text) language sql as 'select true, ''''';
create function "odd-one".unnamed(int) returns int language sql as 'select 1';
create function "odd-one".whole(json) returns json language sql as 'select null::json';

create function test.part(from_ text, to_ text) returns text language sql as $$
    select substring(kith.typescript('{odd-one}') from position(from_ in kith.typescript('{odd-one}')) for
        position(to_ in substring(kith.typescript('{odd-one}') from position(from_ in kith.typescript('{odd-one}')))) - 1)
$$;

select is(test.part('        Row: {', '        Insert'), $$        Row: {
          "1st": Database["odd-one"]["CompositeTypes"]["pair"] | null
          a_name_that_takes_room_so_that_the_line_gets_too_long:
            | Database["odd-one"]["Enums"]["kind"]
            | null
          ab: "left" | "a \"right\"" | null
          B: ("left" | "a \"right\"")[] | null
          b_c: number
          d: unknown
        }
$$, 'columns: order, quotes, long lines, types of another schema');
select is(test.part('    Functions: {', '    Enums'), $$    Functions: {
      away: {
        Args: Record<PropertyKey, never>
        Returns: {
          B: string
          id: number | null
        }[]
      }
      find: {
        Args: Record<PropertyKey, never>
        Returns: {
          B: string | null
          score: number | null
        }[]
      }
      out_two: {
        Args: { x: number }
        Returns: {
          y: boolean
          z: string
        }
      }
      two:
        | { Args: Record<PropertyKey, never>; Returns: number }
        | { Args: { a: number }; Returns: number }
      whole: { Args: { "": Json }; Returns: Json }
    }
$$, 'functions: rows of another schema, several of a name, what cannot be called');
select is(test.part('    Enums: {', 'type DatabaseWithout'), $$    Enums: {
      kind:
        | "a word of some length"
        | "another word of length"
        | "a third word to get far"
        | "x"
    }
    CompositeTypes: {
      pair: {
        b: number | null
        a: Database["odd-one"]["Enums"]["kind"][] | null
      }
    }
  }
}

$$, 'enumerations and composites');
select is(kith.typescript('{odd-one,nowhere}'), null, 'a schema that does not exist');
select matches(kith.typescript('{other,odd-one}'), 'ab: Database\["other"\]\["Enums"\]\["side"\] \| null', 'a type of a schema that is printed too');
select matches(kith.typescript('{other,odd-one}'), 'type DefaultSchema = "other"', 'the first is the one that is meant');
select is(kith.typescript('{odd-one,other}') ~ E'\n  "odd-one": .*\n  other: ', true, 'they are printed in the order of their names');

select finish();
rollback;
