#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// supabase-js as its documentation writes it: insert, select, update, upsert, delete.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { client, serviceKey, sql, unique, user } from './kith.mjs'

const ana = user('ana')
const ben = user('ben')
const db = ana.db

test('a conversation is made, filled, read and deleted', async () => {
	const { data: conversation, error } = await db.from('conversations').insert({ title: 'Morning' }).select().single()
	assert.equal(error, null)
	assert.equal(conversation.title, 'Morning')
	assert.equal(conversation.user_id, ana.id)

	const insert = await db.from('messages').insert([
		{ conversation_id: conversation.id, role: 'user', content: 'Good morning, garden' },
		{ conversation_id: conversation.id, role: 'assistant', content: 'héllo "you", 𝄞\n' },
	])
	assert.deepEqual([insert.error, insert.status, insert.data], [null, 201, null])

	const { data: messages } = await db.from('messages').select('sequence_number, role, content')
		.eq('conversation_id', conversation.id).order('created_at', { ascending: false }).order('sequence_number', { ascending: false }).limit(20)
	assert.deepEqual(messages, [
		{ sequence_number: 2, role: 'assistant', content: 'héllo "you", 𝄞\n' },
		{ sequence_number: 1, role: 'user', content: 'Good morning, garden' },
	])

	const update = await db.from('conversations').update({ title: 'Noon' }).eq('id', conversation.id).select('title')
	assert.deepEqual(update.data, [{ title: 'Noon' }])
	const quiet = await db.from('conversations').update({ title: 'Evening' }).eq('id', conversation.id)
	assert.deepEqual([quiet.error, quiet.status, quiet.data], [null, 204, null])

	const gone = await db.from('conversations').delete().eq('id', conversation.id)
	assert.deepEqual([gone.error, gone.status], [null, 204])
	const { data: none } = await db.from('messages').select().eq('conversation_id', conversation.id)
	assert.deepEqual(none, [])
})

test('every user sees only what is theirs', async () => {
	const { data: [mine] } = await db.from('conversations').insert({ title: 'private' }).select()
	assert.deepEqual((await ben.db.from('conversations').select()).data, [])
	assert.deepEqual((await ben.db.from('conversations').update({ title: 'x' }).eq('id', mine.id).select()).data, [])
	const { error, status } = await ben.db.from('messages').insert({ conversation_id: mine.id, role: 'user', content: 'x' })
	assert.deepEqual([status, error.code], [403, '42501'])
	const { error: signedOut } = await client().from('conversations').select()
	assert.equal(signedOut.code, '42501')
	const { data: all } = await client(serviceKey).from('conversations').select('title').eq('id', mine.id)
	assert.deepEqual(all, [{ title: 'private' }])
})

test('users read and change their own row', async () => {
	const { data: me } = await db.from('users').select('id, email, timezone').single()
	assert.deepEqual(me, { id: ana.id, email: ana.email, timezone: 'UTC' })
	const { data } = await db.from('users').update({ display_name: 'Ana' }).eq('id', ana.id).select('display_name').single()
	assert.deepEqual(data, { display_name: 'Ana' })
})

test('a token may also come as a header', async () => {
	const other = client(undefined, { global: { headers: { Authorization: `Bearer ${ana.token}` } } })
	const { data } = await other.from('users').select('id')
	assert.deepEqual(data, [{ id: ana.id }])
})

test('memories are upserted by user, category and key', async () => {
	const row = { category: 'work', key: 'job', content: 'gardener' }
	const first = await db.from('memories').upsert(row, { onConflict: 'user_id,category,key' }).select('content')
	assert.deepEqual([first.status, first.data], [201, [{ content: 'gardener' }]])
	const second = await db.from('memories').upsert({ ...row, content: 'baker' }, { onConflict: 'user_id,category,key' }).select('content')
	assert.deepEqual([second.status, second.data], [200, [{ content: 'baker' }]])
	const ignored = await db.from('memories').upsert({ ...row, content: 'cook' }, { onConflict: 'user_id,category,key', ignoreDuplicates: true }).select('content')
	assert.deepEqual([ignored.status, ignored.data], [201, []])
	const { data: [kept] } = await db.from('memories').select('content')
	assert.equal(kept.content, 'baker')
})

test('bulk writes, defaults and counts', async () => {
	const table = unique('bulk', (t) => `drop table if exists public.${t}`)
	sql(`create table public.${table} (id int primary key, name text default 'unnamed', n int default 7); grant select, insert, update, delete on public.${table} to authenticated`)
	const insert = await db.from(table).insert([{ id: 1, name: 'one' }, { id: 2 }, { id: 3, n: 1 }], { count: 'exact' }).select().order('id')
	assert.equal(insert.count, 3)
	assert.deepEqual(insert.data, [{ id: 1, name: 'one', n: null }, { id: 2, name: null, n: null }, { id: 3, name: null, n: 1 }])
	const defaults = await db.from(table).insert([{ id: 4, name: 'four' }, { id: 5 }], { defaultToNull: false }).select()
	assert.deepEqual(defaults.data, [{ id: 4, name: 'four', n: 7 }, { id: 5, name: 'unnamed', n: 7 }])
	const update = await db.from(table).update({ n: 0 }, { count: 'exact' }).gt('id', 3)
	assert.deepEqual([update.status, update.count], [204, 2])
	const upsert = await db.from(table).upsert([{ id: 5, name: 'five' }, { id: 6, name: 'six' }], { count: 'exact' }).select('id, name').order('id')
	assert.deepEqual([upsert.status, upsert.count, upsert.data], [201, 2, [{ id: 5, name: 'five' }, { id: 6, name: 'six' }]])
	const gone = await db.from(table).delete({ count: 'exact' }).in('id', [1, 2, 99])
	assert.deepEqual([gone.status, gone.count], [204, 2])
	const { count, data } = await db.from(table).select('*', { count: 'exact', head: true })
	assert.deepEqual([count, data], [4, null])
	for (const kind of ['exact', 'planned', 'estimated']) {
		const counted = await db.from(table).select('id', { count: kind }).limit(1)
		assert.ok(Number.isInteger(counted.count), `${kind} is a number`)
	}
	const empty = await db.from(table).insert([]).select()
	assert.deepEqual([empty.status, empty.data], [201, []])
})

test('without a filter nothing is changed', async () => {
	const update = await db.from('conversations').update({ title: 'all' })
	assert.deepEqual([update.status, update.error.code], [400, '21000'])
	const gone = await db.from('conversations').delete()
	assert.deepEqual([gone.status, gone.error.code], [400, '21000'])
})

test('errors have code, message, details and hint', async () => {
	const cases = [
		[db.from('nope').select(), 404, 'PGRST205', /public\.nope/],
		[db.from('messages').select('nope'), 400, '42703', /nope/],
		[db.from('messages').insert({ nope: 1 }), 400, 'PGRST204', /'nope' column of 'messages'/],
		[db.from('messages').select().eq('id', 'x'), 400, '22P02', /uuid: "x"/],
		[db.from('conversations').select('*, plans(*)'), 400, 'PGRST200', /relationship/],
		[db.from('conversations').select().eq('id', randomUUID()).single(), 406, 'PGRST116', /single JSON object/],
		[db.rpc('nope', { a: 1 }), 404, 'PGRST202', /public\.nope/],
		[db.schema('secret').from('messages').select(), 406, 'PGRST106', /Invalid schema: secret/],
		[db.from('conversations').update({ message_count: 1 }).eq('title', 'x'), 403, '42501', /permission denied/],
		[client('wrong').from('messages').select(), 401, undefined, /Invalid API key/],
	]
	for (const [query, status, code, message] of cases) {
		const { error, status: got, data } = await query
		assert.equal(got, status)
		assert.equal(data, null)
		if (code) assert.equal(error.code, code)
		assert.match(error.message, message)
		assert.ok('details' in error && 'hint' in error)
	}
	await assert.rejects(async () => { await db.from('nope').select().throwOnError() }, /schema cache/)
})
