-- Embeddings: pgvector's type where the server has it, else a domain over bytea.
--
-- On the wire an embedding is pgvector's text, [0.1,...].  Both kinds offer
-- extensions.vector_in(text) and extensions.vector_out(extensions.vector).
-- The domain holds 1536 float4 in network order, which is also what
-- pgvector sends in binary (after a header of four bytes): the program that
-- ranks reads either without conversion.

create schema extensions authorization kith_owner;
comment on schema extensions is 'Types and functions of extensions; nothing of the application.';
grant usage on schema extensions to anon, authenticated, service_role, kith_worker;

do $kith$
begin
    if exists (select from pg_catalog.pg_available_extensions where name = 'vector') then
        create extension if not exists vector with schema extensions;

        -- pgvector brings vector_out itself.
        create function extensions.vector_in(value text) returns extensions.vector
        language sql immutable strict parallel safe set search_path = ''
        as $$ select value::extensions.vector(1536) $$;
    else
        create domain extensions.vector as bytea
            constraint vector_dimensions check (octet_length(value) = 4 * 1536);
        comment on domain extensions.vector is 'Stands in for pgvector''s vector(1536): float4 values in network order.';
        alter domain extensions.vector owner to kith_owner;

        create function extensions.vector_in(value text) returns extensions.vector
        language plpgsql immutable strict parallel safe set search_path = ''
        as $$
        declare
            numbers float4[];
            bytes bytea;
        begin
            -- Brackets first: an array would also take {a,{b}} and NULL.
            if value !~ '^\s*\[[-+0-9.eE,\s]*\]\s*$' then
                raise exception using errcode = 'invalid_text_representation',
                    message = 'invalid input syntax for type vector',
                    hint = 'A vector is written [0.1,0.2,...] with finite numbers.';
            end if;
            begin
                numbers := pg_catalog.translate(value, '[]', '{}')::float4[];
            exception
                when invalid_text_representation or numeric_value_out_of_range then
                    raise exception using errcode = 'invalid_text_representation',
                        message = 'invalid input syntax for type vector',
                        hint = 'A vector is written [0.1,0.2,...] with finite numbers.';
            end;
            if pg_catalog.cardinality(numbers) <> 1536 then
                raise exception using errcode = 'data_exception',
                    message = pg_catalog.format('expected 1536 dimensions, not %s', pg_catalog.cardinality(numbers));
            end if;
            select pg_catalog.string_agg(pg_catalog.float4send(n.number), '' order by n.place)
            into bytes
            from pg_catalog.unnest(numbers) with ordinality as n (number, place);
            return bytes;
        end
        $$;

        -- SQL has no way back from four bytes to a float4, so it is put
        -- together: sign, exponent, mantissa.  Every step is exact in float8.
        -- A stored value is compressed: it is unpacked once, and not by each
        -- of the 6144 calls of get_byte.
        create function extensions.vector_out(value extensions.vector) returns text
        language sql immutable strict parallel safe set search_path = '' set extra_float_digits = 1
        as $$
            with unpacked as materialized (
                select value || '\x'::bytea as bytes
            ),
            number as materialized (
                select i as place,
                    (pg_catalog.get_byte(bytes, i)::int8 << 24)
                    | (pg_catalog.get_byte(bytes, i + 1) << 16)
                    | (pg_catalog.get_byte(bytes, i + 2) << 8)
                    | pg_catalog.get_byte(bytes, i + 3) as bits
                from unpacked, pg_catalog.generate_series(0, pg_catalog.octet_length(bytes) - 4, 4) as i
            )
            select '[' || pg_catalog.string_agg(
                ((1 - 2 * (bits >> 31))
                 * case (bits >> 23) & 255
                       when 0 then (bits & 8388607) * 1.401298464324817e-45::float8
                       else (8388608 + (bits & 8388607)) * pg_catalog.power(2::float8, ((bits >> 23) & 255) - 150)
                   end)::float4::text,
                ',' order by place) || ']'
            from number
        $$;
        comment on function extensions.vector_out(extensions.vector) is 'The text of an embedding, [0.1,...].';
        alter function extensions.vector_out(extensions.vector) owner to kith_owner;
        grant execute on function extensions.vector_out(extensions.vector) to anon, authenticated, service_role, kith_worker;
    end if;
    comment on function extensions.vector_in(text) is 'An embedding of 1536 numbers from its text, [0.1,...].';
    alter function extensions.vector_in(text) owner to kith_owner;
    grant execute on function extensions.vector_in(text) to anon, authenticated, service_role, kith_worker;
end
$kith$;

-- What declares an embedding column: the domain carries its dimension, the
-- type of pgvector wants it as a modifier.
create function kith.vector_type() returns text
language sql stable set search_path = ''
as $$
    select case t.typtype when 'd' then 'extensions.vector' else 'extensions.vector(1536)' end
    from pg_catalog.pg_type t
    where t.oid = 'extensions.vector'::regtype
$$;
alter function kith.vector_type() owner to kith_owner;
comment on function kith.vector_type() is 'How a migration declares an embedding column on this server.';
