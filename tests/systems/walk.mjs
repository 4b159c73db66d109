// What the walks start from.  A walk is a client of real supabase-js that knows
// one document only: its schema, its names.  One test per promise of the
// document, in its order and in its words.
//
//   describe('table NAME', ...)      a table of the document
//   describe('function NAME', ...)   a function of it
//   describe(..., ...)               its rules, keys and patterns
//
// tests/systems/report counts these.

import assert from 'node:assert/strict'
import { anonKey, client, serviceKey, url, user } from '../sdk/kith.mjs'

export { assert }
export { after, before, describe, test } from 'node:test'

export const nowhere = '00000000-0000-0000-0000-00000000dead'

// Clients of one system.  user(NAME) is a fresh person, signed in: { id, email,
// db }.  service is the system's own server.  tables() are the names of all there
// are.
export function system(schema) {
	const options = { db: { schema } }
	const service = client(serviceKey, options)
	let described
	const definitions = async () => (described ??= await specification(schema)).definitions

	// What the document says of a table, { column: 'uuid', ... }, is what there
	// is: each column by its name and type.  Kith may show more of them.
	async function shape(table, columns) {
		const there = (await definitions())[table]?.properties
		assert.ok(there, `there is no table ${table}`)
		const found = Object.fromEntries(Object.keys(columns).map((name) => [name, plain(there[name]?.format)]))
		assert.deepEqual(found, columns)
		took(await service.from(table).select(Object.keys(columns).join()).limit(1))
	}

	return {
		schema, service, shape,
		anon: client(anonKey, options),
		user: (name) => user(`${schema}.${name}`, options),
		tables: async () => Object.keys(await definitions()).sort(),
	}
}

async function specification(schema) {
	const headers = { apikey: serviceKey, Authorization: `Bearer ${serviceKey}`, 'Accept-Profile': schema }
	return (await fetch(`${url}/rest/v1/`, { headers })).json()
}

// A type in the words of the documents.
function plain(format) {
	const words = { 'timestamp with time zone': 'timestamptz', integer: 'int', bigint: 'int', 'double precision': 'float' }
	return words[format] ?? format?.replace(/^.*\bvector\b.*$/, 'vector(1536)')
}

// The data of an answer that must be good.
export function took({ data, error }) {
	if (error) assert.fail(`${error.code} ${error.message} (${error.details}; ${error.hint})`)
	return data
}

// An answer that must be a refusal: its status, its code, and whatever of
// message, details and hint the caller is told; a pattern for each.
export function refused(answer, status, code, told = {}) {
	assert.ok(answer.error, `it was done: ${JSON.stringify(answer.data)}`)
	const { error } = answer
	assert.deepEqual([answer.status, error.code, answer.data], [status, code, null], `${error.message} (${error.hint})`)
	for (const [part, pattern] of Object.entries(told)) assert.match(String(error[part]), pattern)
}

// Nobody but its owner has anything of a row.  change is what another user
// tries to write into it; that the table takes no update, or no delete, of any
// user is told by the document.
export async function hidden({ row, table, owner, stranger, anon, change, update = true, remove = true, key = 'id' }) {
	const its = (query) => query.eq(key, row[key])
	assert.deepEqual(took(await its(stranger.db.from(table).select())), [], 'a stranger reads nothing')
	refused(await its(anon.from(table).select()), 401, '42501')

	const changed = await its(stranger.db.from(table).update(change)).select()
	if (update) assert.deepEqual(took(changed), [], 'a stranger changes nothing')
	else refused(changed, 403, '42501')

	const removed = await its(stranger.db.from(table).delete()).select()
	if (remove) assert.deepEqual(took(removed), [], 'a stranger deletes nothing')
	else refused(removed, 403, '42501')

	const [kept] = took(await its(owner.db.from(table).select(Object.keys(row).join())))
	assert.deepEqual(kept, row, 'the row is as it was')
}

// Neither by insert nor by update does a client write what the server keeps:
// each { column: value } of values alone is refused, and told why.
export async function kept({ db, table, row, values, insert, key = 'id' }) {
	const told = { hint: /The server keeps it/ }
	for (const [column, value] of Object.entries(values)) {
		refused(await db.from(table).update({ [column]: value }).eq(key, row[key]), 403, '42501', told)
		if (insert) refused(await db.from(table).insert({ ...insert, [column]: value }), 403, '42501', told)
	}
	const names = [key, ...Object.keys(values)].join()
	const before = Object.fromEntries(names.split(',').map((name) => [name, row[name]]))
	assert.deepEqual(took(await db.from(table).select(names).eq(key, row[key]).single()), before, 'nothing was written')
}

// updated_at: the server moves it, whatever the change.
export async function touched({ db, table, row, change, key = 'id' }) {
	const after = took(await db.from(table).update(change).eq(key, row[key]).select().single())
	assert.ok(Date.parse(after.updated_at) > Date.parse(row.updated_at), 'updated_at moved')
	assert.equal(after.created_at, row.created_at)
	return after
}
