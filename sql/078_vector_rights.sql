-- pgvector's functions.  What PostgreSQL gives to everybody was taken away from
-- what comes later (000_roles.sql), those of an extension included; but storing
-- a vector calls one of them as whoever stores it.  The stand-in has none.

grant execute on all functions in schema extensions to anon, authenticated, service_role, kith_owner, kith_worker;
