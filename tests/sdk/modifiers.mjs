#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// What supabase-js puts behind a query: order, pages, forms, embeds, functions, abort.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql, unique, user } from './kith.mjs'

const ana = user('ana')
const db = ana.db
const { data: conversations } = await db.from('conversations').insert([{ title: 'Morning' }, { title: 'Evening' }]).select('id, title')
const [morning, evening] = conversations
await db.from('messages').insert([1, 2, 3].map((n) => ({ conversation_id: morning.id, role: 'user', content: `m${n}`, metadata: n === 2 ? { mood: 'calm' } : {} })))
const messages = (...columns) => db.from('messages').select(...columns).eq('conversation_id', morning.id)

test('order, limit and range', async () => {
	assert.deepEqual((await messages('content').order('sequence_number', { ascending: false }).limit(2)).data, [{ content: 'm3' }, { content: 'm2' }])
	assert.deepEqual((await messages('content').order('sequence_number').range(1, 2)).data, [{ content: 'm2' }, { content: 'm3' }])
	assert.deepEqual((await messages('content').order('metadata->>mood', { nullsFirst: false }).order('sequence_number').limit(1)).data, [{ content: 'm2' }])
	const { data, count, status } = await messages('content', { count: 'exact' }).order('sequence_number').range(0, 0)
	assert.deepEqual([data, count, status], [[{ content: 'm1' }], 3, 206])
	const behind = await messages('content', { count: 'exact' }).range(10, 20)
	assert.deepEqual([behind.status, behind.error.code], [416, 'PGRST103'])
})

test('single and maybeSingle', async () => {
	assert.deepEqual((await messages('content').eq('content', 'm1').single()).data, { content: 'm1' })
	assert.equal((await messages().single()).error.code, 'PGRST116')
	assert.deepEqual((await messages('content').eq('content', 'm1').maybeSingle()).data, { content: 'm1' })
	const none = await messages().eq('content', 'none').maybeSingle()
	assert.deepEqual([none.data, none.error], [null, null])
	assert.equal((await messages().maybeSingle()).error.code, 'PGRST116')
	const update = await db.from('messages').update({ metadata: {} }).eq('content', 'none').select().maybeSingle()
	assert.deepEqual([update.data, update.error], [null, null])
	const many = await db.from('conversations').update({ title: 'Same' }).in('id', [morning.id, evening.id]).select().single()
	assert.equal(many.error.code, 'PGRST116')
	assert.deepEqual((await db.from('conversations').select('title').eq('id', evening.id).single()).data, { title: 'Evening' }, 'and rolled back')
})

test('csv and stripNulls', async () => {
	assert.equal((await messages('sequence_number,content').order('sequence_number').csv()).data, 'sequence_number,content\n1,m1\n2,m2\n3,m3')
	assert.deepEqual((await db.from('conversations').select('title, summary').eq('id', morning.id).stripNulls()).data, [{ title: 'Morning' }])
})

test('columns, aliases, casts and JSON paths', async () => {
	const { data } = await messages('text:content, mood:metadata->>mood, n:sequence_number::text').eq('content', 'm2')
	assert.deepEqual(data, [{ text: 'm2', mood: 'calm', n: '2' }])
})

test('embeds both ways', async () => {
	const { data: down } = await db.from('conversations').select('title, messages(content)').order('title')
		.order('sequence_number', { referencedTable: 'messages', ascending: false }).limit(1, { referencedTable: 'messages' })
	assert.deepEqual(down, [{ title: 'Evening', messages: [] }, { title: 'Morning', messages: [{ content: 'm3' }] }])
	const { data: up } = await db.from('messages').select('content, conversation:conversations!inner(title)').eq('conversation.title', 'Morning').order('sequence_number').limit(1)
	assert.deepEqual(up, [{ content: 'm1', conversation: { title: 'Morning' } }])
	const { data: counted } = await db.from('conversations').select('title, messages(count)').order('title')
	assert.deepEqual(counted, [{ title: 'Evening', messages: [{ count: 0 }] }, { title: 'Morning', messages: [{ count: 3 }] }])
	const { data: spread } = await db.from('messages').select('content, ...conversations(topic:title)').eq('content', 'm1')
	assert.deepEqual(spread, [{ content: 'm1', topic: 'Morning' }])
	const { data: either } = await db.from('conversations').select('title, messages(content)').or('content.eq.m1,content.eq.m2', { referencedTable: 'messages' }).eq('id', morning.id)
	assert.deepEqual(either[0].messages.map((m) => m.content).sort(), ['m1', 'm2'])
	const { data: empty } = await db.from('conversations').select('title, messages()').is('messages', null)
	assert.deepEqual(empty, [{ title: 'Evening' }])
	const { data: written } = await db.from('messages').insert({ conversation_id: evening.id, role: 'user', content: 'late' }).select('content, conversations(title)').single()
	assert.deepEqual(written, { content: 'late', conversations: { title: 'Evening' } })
})

test('functions', async () => {
	const { data: session, error } = await db.rpc('get_or_create_chat_session', { user_id: ana.id, scope: 'daily' })
	assert.equal(error, null)
	assert.equal(session.user_id, ana.id)
	const { data: again } = await db.rpc('get_or_create_chat_session', { user_id: ana.id, scope: 'daily' })
	assert.equal(again.id, session.id)
	const { data: message } = await db.rpc('append_session_message', { session_id: session.id, role: 'user', content: 'hi', metadata: { a: 1 } })
	assert.deepEqual([message.sequence_number, message.metadata], [1, { a: 1 }])

	const fn = unique('fn', (f) => `drop function if exists public.${f}_add(int, int), public.${f}_list(int), public.${f}_void()`)
	sql(`create function public.${fn}_add(a int, b int default 1) returns int language sql immutable as 'select a + b';
		create function public.${fn}_list(n int) returns table (i int, square int) language sql stable as 'select g, g * g from generate_series(1, n) g';
		create function public.${fn}_void() returns void language sql as '';
		grant execute on function public.${fn}_add, public.${fn}_list, public.${fn}_void to authenticated`)
	assert.equal((await db.rpc(`${fn}_add`, { a: 1 })).data, 2)
	assert.equal((await db.rpc(`${fn}_add`, { a: 1, b: 5 }, { get: true })).data, 6)
	assert.deepEqual((await db.rpc(`${fn}_list`, { n: 5 }).select('i').gt('square', 4).order('i', { ascending: false }).limit(2)).data, [{ i: 5 }, { i: 4 }])
	assert.deepEqual((await db.rpc(`${fn}_list`, { n: 1 }).single()).data, { i: 1, square: 1 })
	const counted = await db.rpc(`${fn}_list`, { n: 5 }, { count: 'exact', head: true, get: true })
	assert.deepEqual([counted.count, counted.data], [5, null])
	const nothing = await db.rpc(`${fn}_void`)
	assert.deepEqual([nothing.status, nothing.data, nothing.error], [204, null, null])
	const wrong = await db.rpc(`${fn}_add`, { x: 1 })
	assert.deepEqual([wrong.status, wrong.error.code], [404, 'PGRST202'])
})

test('maxAffected', async () => {
	const { error } = await db.from('messages').update({ metadata: { x: 1 } }).eq('conversation_id', morning.id).maxAffected(2)
	assert.equal(error.code, 'PGRST124')
	const { data } = await messages('metadata').eq('content', 'm1')
	assert.deepEqual(data, [{ metadata: {} }], 'and rolled back')
})

test('schema names the schema', async () => {
	const { data } = await db.schema('public').from('conversations').select('title').eq('id', morning.id)
	assert.deepEqual(data, [{ title: 'Morning' }])
})

test('an aborted request ends with an error, and nothing else does', async () => {
	const controller = new AbortController()
	const query = messages().abortSignal(controller.signal)
	controller.abort()
	const { error, data } = await query
	assert.equal(data, null)
	assert.match(error.message, /abort/i)
	assert.equal((await messages('content')).data.length, 3)
})
