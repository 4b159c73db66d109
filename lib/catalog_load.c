/*
 * The catalog from five queries.  They run as the login itself and read only
 * pg_catalog; each is one pass, since a process reads them when it starts.
 */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "catalog_internal.h"
#include "sql.h"

/* What an extension brought is not the application's: it is neither a resource nor callable. */
#define NOT_OF_AN_EXTENSION(class, oid) \
	"not exists (select from pg_depend x where x.classid = '" class "'::regclass" \
	" and x.objid = " oid " and x.deptype = 'e')"

#define FUNCTIONS \
	"functions as materialized (select p.*, e.nspname from pg_proc p join exposed e on e.oid = p.pronamespace" \
	" where p.prokind = 'f' and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)" \
	" and " NOT_OF_AN_EXTENSION("pg_proc", "p.oid") ")"

/* Beside the exposed relations the row types that functions return, which may lie elsewhere. */
#define RELATIONS \
	"relations as materialized (select c.oid, c.relname, c.relkind, n.nspname," \
	" e.oid is not null and c.relkind <> 'c' as exposed" \
	" from pg_class c join pg_namespace n on n.oid = c.relnamespace left join exposed e on e.oid = n.oid" \
	" where (e.oid is not null and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition" \
	" and " NOT_OF_AN_EXTENSION("pg_class", "c.oid") ")" \
	" or c.oid in (select t.typrelid from pg_type t join functions f on f.prorettype = t.oid" \
	" where t.typrelid <> 0))"

/*
 * Names are printed in full whatever the search path; -1 as modifier keeps
 * format_type from printing "character", which SQL reads as character(1).
 */
#define TYPE_NAME \
	"case when n.nspname = 'pg_catalog' then format_type(t.oid, -1)" \
	" when en.nspname = 'pg_catalog' then format_type(e.oid, -1) || '[]'" \
	" when e.oid is not null then format('%I.%I[]', en.nspname, e.typname)" \
	" else format('%I.%I', n.nspname, t.typname) end"

/*
 * v: the stand-in for pgvector; j: arrays, composites, records, and what has a
 * cast of its own to json, as to_json() sees it; p: everything else.
 */
#define TYPE_FORM \
	"case when n.nspname = 'extensions' and t.typname = 'vector' and t.typtype = 'd' then 'v'" \
	" when base.typcategory = 'A' or base.typtype = 'c'" \
	" or (base.typtype = 'p' and base.oid <> 'void'::regtype) then 'j'" \
	" when base.oid >= 16384 and exists (select from pg_cast k where k.castsource = base.oid" \
	" and k.casttarget = 'json'::regtype) then 'j' else 'p' end"

static void
types_query(struct kith_sql *q)
{
	kith_sql_text(q, ", used (oid) as ("
	    "select a.atttypid from pg_attribute a join relations r on r.oid = a.attrelid"
	    " where a.attnum > 0 and not a.attisdropped"
	    " union select unnest(array[f.prorettype] || coalesce(f.proallargtypes, f.proargtypes::oid[]))"
	    " from functions f"
	    " union select t.oid from pg_type t join exposed s on s.oid = t.typnamespace where t.typtype in ('e', 'd')"
	    "), bases (oid, base) as (select oid, oid from used union all"
	    " select b.oid, t.typbasetype from bases b join pg_type t on t.oid = b.base where t.typtype = 'd')"
	    " select t.oid, " TYPE_NAME ", " TYPE_FORM ", base.typcategory = 'A',"
	    " base.oid in ('json'::regtype, 'jsonb'::regtype), base.oid = 'tsvector'::regtype,"
	    " case when t.typtype in ('e', 'd') then array_position($1::name[], n.nspname) end, t.typname,"
	    " (select last_value from kith.schema_version)"
	    " from bases b join pg_type base on base.oid = b.base and base.typtype <> 'd'"
	    " join pg_type t on t.oid = b.oid join pg_namespace n on n.oid = t.typnamespace"
	    " left join (pg_type e join pg_namespace en on en.oid = e.typnamespace)"
	    " on e.oid = t.typelem and t.typcategory = 'A'"
	    " order by t.oid");
}

/* The empty search path makes pg_get_expr() print every name in full. */
static void
columns_query(struct kith_sql *q)
{
	kith_sql_text(q, " select r.oid, r.exposed, r.nspname, r.relname, r.relkind, a.attnum, a.attname, a.atttypid,"
	    " case when a.attidentity = 'd' then (select format('nextval(%L::regclass)', s.objid::regclass)"
	    " from pg_depend s where s.refclassid = 'pg_class'::regclass and s.refobjid = a.attrelid"
	    " and s.refobjsubid = a.attnum and s.classid = 'pg_class'::regclass and s.deptype = 'i')"
	    " when a.attgenerated = ''"
	    " then coalesce(pg_get_expr(d.adbin, d.adrelid), pg_get_expr(t.typdefaultbin, 0)) end,"
	    " a.attnotnull, a.attgenerated <> '' or a.attidentity = 'a'"
	    " from relations r cross join (select set_config('search_path', '', true)) as nothing_visible"
	    " join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped"
	    " join pg_type t on t.oid = a.atttypid"
	    " left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum"
	    " order by r.exposed desc, r.nspname, r.relname, r.oid, a.attnum");
}

/* Keys of every schema: a view may show a table that is not exposed. */
static void
keys_query(struct kith_sql *q)
{
	kith_sql_text(q, " select k.conrelid, k.contype, k.conname, array_to_string(k.conkey, ' '),"
	    " k.confrelid, array_to_string(k.confkey, ' ')"
	    " from pg_constraint k join pg_namespace n on n.oid = k.connamespace"
	    " where k.contype in ('p', 'u', 'f') and k.conparentid = 0"
	    " and n.nspname not in ('pg_catalog', 'information_schema')"
	    " order by k.conrelid, k.conname");
}

/*
 * What a view's columns come from is told only by its parse tree: by the nodes
 * {QUERY ... {TARGETENTRY ... :resno 1 ... :resorigtbl 16400 :resorigcol 2 ...}}
 * two braces deep; deeper ones belong to subqueries and aggregates.  Cut at
 * every closing brace, the opening ones so far tell the depth.
 */
static void
views_query(struct kith_sql *q)
{
	kith_sql_text(q, " select v.oid, split_part(split_part(v.node, ':resno ', 2), ' ', 1),"
	    " split_part(split_part(v.node, ':resorigtbl ', 2), ' ', 1),"
	    " split_part(split_part(v.node, ':resorigcol ', 2), ' ', 1)"
	    " from (select r.oid, n.node, sum(length(n.node) - length(replace(n.node, '{', '')))"
	    " over (partition by r.oid order by n.place) - n.place + 1 as depth"
	    " from relations r join pg_rewrite w on w.ev_class = r.oid and w.rulename = '_RETURN',"
	    " string_to_table(replace(replace(w.ev_action::text, '\\{', ''), '\\}', ''), '}')"
	    " with ordinality as n (node, place) where r.relkind in ('v', 'm')) as v"
	    " where v.depth = 2 and v.node like '%:resorigtbl %'"
	    " order by v.oid");
}

static void
functions_query(struct kith_sql *q)
{
	kith_sql_text(q, " select f.oid, f.nspname, f.proname, f.proretset, f.prorettype, f.provolatile,"
	    " f.pronargs, f.pronargdefaults, t.typrelid, a.type, a.mode, a.name, r.typrelid"
	    " from functions f join pg_type t on t.oid = f.prorettype"
	    " left join lateral unnest(coalesce(f.proallargtypes, f.proargtypes::oid[]), f.proargmodes, f.proargnames)"
	    " with ordinality as a (type, mode, name, place) on true"
	    " left join pg_type r on r.oid = a.type"
	    " order by f.nspname, f.proname, f.oid, a.place");
}

struct kith_sql *
kith_catalog_query(struct kith_arena *a, enum kith_catalog_query which, const char *const *schemas)
{
	static void (*const rest[])(struct kith_sql *) = {
		[KITH_CATALOG_TYPES] = types_query,
		[KITH_CATALOG_COLUMNS] = columns_query,
		[KITH_CATALOG_KEYS] = keys_query,
		[KITH_CATALOG_VIEWS] = views_query,
		[KITH_CATALOG_FUNCTIONS] = functions_query,
	};
	struct kith_sql *q = kith_sql_new(a);
	struct kith_buf list;

	kith_buf_init(&list, a, 100);
	kith_sql_array(&list, schemas);
	kith_sql_text(q, "with recursive exposed as materialized (select n.oid, n.nspname from pg_namespace n"
	    " where n.nspname = any(");
	kith_sql_param(q, list.s);
	kith_sql_text(q, "::name[])), " FUNCTIONS ", " RELATIONS);
	rest[which](q);
	return q;
}
