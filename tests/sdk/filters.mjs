#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// Every filter method of supabase-js, over values that need care.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { sql, unique, user } from './kith.mjs'

const { db } = user('ana')
const table = unique('things', (t) => `drop table if exists public.${t}`)
sql(`
create table public.${table} (id int primary key, name text, n numeric, ok boolean, tags text[], doc jsonb, span int4range, times tstzrange, words tsvector, u uuid);
grant select on public.${table} to authenticated;
insert into public.${table} values
 (1, 'Garden', 1.5, true, '{family,work}', '{"people": ["Ann"], "usage": {"model": "small"}}', '[1,5)', '[2026-01-01,2026-01-03)', to_tsvector('english', 'the quick brown foxes'), '00000000-0000-0000-0000-000000000001'),
 (2, 'a,b', 2, false, '{work}', '{"people": ["Bob"]}', '[5,9)', '[2026-02-01,2026-02-03)', to_tsvector('english', 'slow dogs jump'), null),
 (3, 'say "hi"', 3.25, null, '{}', '[]', '[20,30)', null, to_tsvector('english', 'quick dogs'), null),
 (4, '(paren).dot:colon', null, true, '{"a b","c,d"}', null, null, null, null, null),
 (5, '100% + 1', 0, false, null, '{"a": 1, "b": [1, 2]}', 'empty', null, null, null);`)

const rows = () => db.from(table).select('id').order('id')
const cases = {
	eq: [(q) => q.eq('name', 'a,b'), [2]],
	'eq with blanks and percent': [(q) => q.eq('name', '100% + 1'), [5]],
	'eq with quotes': [(q) => q.eq('name', 'say "hi"'), [3]],
	'eq of a boolean': [(q) => q.eq('ok', true), [1, 4]],
	'eq of a uuid': [(q) => q.eq('u', '00000000-0000-0000-0000-000000000001'), [1]],
	'eq of a JSON path': [(q) => q.eq('doc->usage->>model', 'small'), [1]],
	neq: [(q) => q.neq('id', 1), [2, 3, 4, 5]],
	gt: [(q) => q.gt('n', 1.5), [2, 3]],
	gte: [(q) => q.gte('n', 1.5), [1, 2, 3]],
	lt: [(q) => q.lt('n', 2), [1, 5]],
	lte: [(q) => q.lte('n', 2), [1, 2, 5]],
	like: [(q) => q.like('name', '%ard%'), [1]],
	'like with a percent sign': [(q) => q.like('name', '100\\%%'), [5]],
	likeAllOf: [(q) => q.likeAllOf('name', ['G%', '%n']), [1]],
	likeAnyOf: [(q) => q.likeAnyOf('name', ['G%', '%b']), [1, 2]],
	ilike: [(q) => q.ilike('name', '%GARD%'), [1]],
	ilikeAllOf: [(q) => q.ilikeAllOf('name', ['g%', '%N']), [1]],
	ilikeAnyOf: [(q) => q.ilikeAnyOf('name', ['g%', '%B']), [1, 2]],
	regexMatch: [(q) => q.regexMatch('name', '^G.*n$'), [1]],
	regexIMatch: [(q) => q.regexIMatch('name', '^g'), [1]],
	'is null': [(q) => q.is('ok', null), [3]],
	'is true': [(q) => q.is('ok', true), [1, 4]],
	isDistinct: [(q) => q.isDistinct('n', 2), [1, 3, 4, 5]],
	in: [(q) => q.in('id', [1, 3, 99]), [1, 3]],
	'in with commas and brackets': [(q) => q.in('name', ['a,b', '(paren).dot:colon', 'Garden']), [1, 2, 4]],
	'in of nothing': [(q) => q.in('id', []), []],
	notIn: [(q) => q.notIn('id', [1, 2]), [3, 4, 5]],
	'contains an array': [(q) => q.contains('tags', ['family', 'work']), [1]],
	'contains JSON': [(q) => q.contains('doc', { people: ['Ann'] }), [1]],
	'contains a range': [(q) => q.contains('span', '[2,3]'), [1]],
	'containedBy an array': [(q) => q.containedBy('tags', ['work', 'family', 'x']), [1, 2, 3]],
	'containedBy JSON': [(q) => q.containedBy('doc', { a: 1, b: [1, 2, 3], c: 1 }), [5]],
	rangeGt: [(q) => q.rangeGt('span', '[1,9)'), [3]],
	rangeGte: [(q) => q.rangeGte('span', '[5,9)'), [2, 3]],
	rangeLt: [(q) => q.rangeLt('span', '[5,9)'), [1]],
	rangeLte: [(q) => q.rangeLte('span', '[1,9)'), [1, 2]],
	rangeAdjacent: [(q) => q.rangeAdjacent('span', '[5,9)'), [1]],
	'overlaps an array': [(q) => q.overlaps('tags', ['work', 'zzz']), [1, 2]],
	'overlaps a range': [(q) => q.overlaps('times', '[2026-01-02,2026-01-10)'), [1]],
	textSearch: [(q) => q.textSearch('words', 'quick & fox', { config: 'english' }), [1]],
	'textSearch plain': [(q) => q.textSearch('words', 'the quick dogs', { type: 'plain', config: 'english' }), [3]],
	'textSearch phrase': [(q) => q.textSearch('words', 'brown foxes', { type: 'phrase', config: 'english' }), [1]],
	'textSearch web': [(q) => q.textSearch('words', 'quick -fox', { type: 'websearch', config: 'english' }), [3]],
	match: [(q) => q.match({ ok: true, name: 'Garden' }), [1]],
	not: [(q) => q.not('ok', 'is', null), [1, 2, 4, 5]],
	'not in': [(q) => q.not('id', 'in', '(1,2)'), [3, 4, 5]],
	or: [(q) => q.or('id.eq.1,and(id.gt.3,ok.is.false)'), [1, 5]],
	'or with quotes': [(q) => q.or('name.eq."a,b",id.eq.5'), [2, 5]],
	filter: [(q) => q.filter('name', 'in', '("a,b",Garden)'), [1, 2]],
}
for (const [name, [apply, want]] of Object.entries(cases)) {
	test(name, async () => {
		const { data, error } = await apply(rows())
		assert.equal(error, null)
		assert.deepEqual(data.map((row) => row.id), want)
	})
}

test('a list of 300 uuids fits', async () => {
	const { data, error } = await rows().in('u', Array.from({ length: 300 }, () => randomUUID()))
	assert.deepEqual([error, data], [null, []])
})
