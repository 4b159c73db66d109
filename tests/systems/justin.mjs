#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// Justin Lite: a client that knows only that document does all it says, by its names.

import { client } from '../sdk/kith.mjs'
import { assert, describe, hidden, kept, nowhere, refused, system, test, touched, took } from './walk.mjs'

const { schema, service, anon, user, shape, tables } = system('justin')
const ana = user('ana')
const ben = user('ben')
const { db } = ana

const make = async (who, table, values) => took(await who.from(table).insert(values).select().single())
const read = async (table, { id }, columns = '*') => took(await db.from(table).select(columns).eq('id', id).single())
const recent = (time) => Math.abs(Date.now() - Date.parse(time)) < 3_600_000

// What the rest of the document speaks of: one of each, and of Ben's.
const conversation = await make(db, 'conversations', {})
const message = await make(db, 'messages', { conversation_id: conversation.id, role: 'user', content: 'I walked by the river.' })
const memory = await make(db, 'user_memories', { key: 'pace', value: 'Walks slowly when there is much to think about' })
const bens = await make(ben.db, 'conversations', { title: 'Ben\'s' })

describe('core design principles', () => {
	test('ownership is enforced at the conversation level; messages inherit access through conversations', async () => {
		const [seen] = took(await db.from('messages').select('id, conversations(user_id)'))
		assert.deepEqual(seen, { id: message.id, conversations: { user_id: ana.id } })
		assert.deepEqual(took(await ben.db.from('messages').select()), [])
	})

	test('memory is extracted, not accumulated: what is said makes no memory', async () => {
		const { id: conversation_id } = await make(ben.db, 'conversations', {})
		took(await ben.db.from('messages').insert({ conversation_id, role: 'user', content: 'Remember that I like tea.' }))
		assert.deepEqual(took(await ben.db.from('user_memories').select()), [])
	})

	test('no table exists solely to mirror raw conversation history', async () => {
		assert.deepEqual(await tables(), ['conversations', 'messages', 'subscriptions', 'user_memories', 'users'])
		refused(await db.from('transcripts').select(), 404, 'PGRST205', { message: /'justin.transcripts'/ })
	})

	test('all user data is scoped, intentional, and revisable: changed and deleted by whose it is', async () => {
		const own = await make(db, 'conversations', { title: 'Draft' })
		const said = await make(db, 'messages', { conversation_id: own.id, role: 'user', content: 'x' })
		const known = await make(db, 'user_memories', { value: 'x' })
		for (const [table, { id }, change] of [['messages', said, { content: 'y' }], ['user_memories', known, { value: 'y' }], ['conversations', own, { title: 'y' }]]) {
			const changed = took(await db.from(table).update(change).eq('id', id).select(Object.keys(change).join()).single())
			assert.deepEqual(changed, change)
			took(await db.from(table).delete().eq('id', id))
			assert.deepEqual(took(await service.from(table).select().eq('id', id)), [], table)
		}
	})
})

describe('table users', () => {
	test('its columns', () => shape('users', { id: 'uuid' }))

	test('aligned with Supabase Auth: who signs up has a row, of the same id', async () => {
		const fresh = client(undefined, { db: { schema } })
		const email = `cleo.${ana.email}`
		const { data, error } = await fresh.auth.signUp({ email, password: 'a walk by the river' })
		assert.equal(error, null)
		assert.deepEqual(took(await fresh.from('users').select('id, email')), [{ id: data.user.id, email }])
		assert.equal((await make(fresh, 'conversations', {})).user_id, data.user.id)

		assert.equal((await service.auth.admin.deleteUser(data.user.id)).error, null)
		for (const [table, key] of [['users', 'id'], ['conversations', 'user_id'], ['subscriptions', 'user_id']]) {
			assert.deepEqual(took(await service.from(table).select().eq(key, data.user.id)), [], `${table}: nothing is left of who is gone`)
		}
	})

	test('minimal surface area: additional profile fields, and no traits', async () => {
		const { created_at, updated_at, ...row } = took(await db.from('users').select().single())
		assert.deepEqual(row, { id: ana.id, email: ana.email, display_name: null, avatar_path: null })
		for (const trait of ['traits', 'personality', 'mood']) refused(await db.from('users').select(trait), 400, '42703', { message: new RegExp(trait) })
	})

	test('the profile fields are the user\'s own to write', async () => {
		const row = took(await db.from('users').select().single())
		const named = await touched({ db, table: 'users', row, change: { display_name: 'Ana', avatar_path: `${ana.id}/face.png` } })
		assert.deepEqual([named.display_name, named.avatar_path], ['Ana', `${ana.id}/face.png`])
		refused(await db.from('users').update({ avatar_path: `${ben.id}/face.png` }).eq('id', ana.id), 400, '23514',
			{ message: /users_avatar_path_own/, hint: /your own folder/ })
		assert.equal(took(await db.from('users').upsert({ id: ana.id, display_name: 'Ana V.' }).select().single()).display_name, 'Ana V.')
	})

	test('authentication is handled by Supabase: neither the address nor the row itself is made or deleted here', async () => {
		const row = took(await db.from('users').select().single())
		await kept({ db, table: 'users', row, values: { email: 'x@example.org' } })
		refused(await db.from('users').delete().eq('id', ana.id), 403, '42501')
		refused(await db.from('users').insert({ id: nowhere }), 403, '42501')
	})

	test('a user sees and changes nobody else', async () => {
		const row = took(await db.from('users').select().single())
		await hidden({ row, table: 'users', owner: ana, stranger: ben, anon, change: { display_name: 'x' }, remove: false })
	})
})

describe('table conversations', () => {
	test('its columns', () => shape('conversations', {
		id: 'uuid', user_id: 'uuid', title: 'text', system_prompt: 'text', summary: 'text', summary_count: 'int', created_at: 'timestamptz',
		updated_at: 'timestamptz',
	}))

	test('title and system_prompt optional, summary nullable, summary_count a count from 0', () => {
		const { title, system_prompt, summary, summary_count } = conversation
		assert.deepEqual({ title, system_prompt, summary, summary_count }, { title: null, system_prompt: null, summary: null, summary_count: 0 })
		assert.ok(recent(conversation.created_at) && conversation.updated_at === conversation.created_at)
	})

	test('user_id: the caller\'s, if none is said', () => {
		assert.deepEqual([conversation.user_id, bens.user_id], [ana.id, ben.id])
	})

	test('everything the document lists is kept as it was given', async () => {
		const full = { user_id: ana.id, title: 'Evening', system_prompt: 'Ask, do not tell.', summary: 'A quiet day.', summary_count: 0 }
		const made = await make(db, 'conversations', full)
		for (const [name, value] of Object.entries(full)) assert.deepEqual(made[name], value, name)
	})

	test('group messages: in the order of the talk', async () => {
		const { id } = await make(db, 'conversations', {})
		const turns = ['one', 'two', 'three'].map((content, i) => ({ conversation_id: id, role: i % 2 ? 'assistant' : 'user', content }))
		took(await db.from('messages').insert(turns))
		const found = took(await db.from('conversations').select('messages(role, content)').eq('id', id).order('created_at', { referencedTable: 'messages' }).single())
		assert.deepEqual(found.messages, turns.map(({ role, content }) => ({ role, content })))
	})

	test('system_prompt: a scoped adjustment, of this conversation only', async () => {
		const own = await make(db, 'conversations', { system_prompt: 'Speak plainly.' })
		assert.equal((await read('conversations', own)).system_prompt, 'Speak plainly.')
		assert.equal((await read('conversations', conversation)).system_prompt, null)
		assert.equal(took(await db.from('conversations').update({ system_prompt: null }).eq('id', own.id).select().single()).system_prompt, null)
	})

	test('rolling summaries: of two that roll forward from the same count, one does', async () => {
		const own = await make(db, 'conversations', {})
		took(await db.from('messages').insert(['a', 'b', 'c'].map((content) => ({ conversation_id: own.id, role: 'user', content }))))
		const roll = async (from, summary, summary_count) => took(await db.from('conversations').update({ summary, summary_count })
			.eq('id', own.id).eq('summary_count', from).select('summary, summary_count'))
		const done = await Promise.all([roll(0, 'first', 2), roll(0, 'second', 2)])
		assert.equal(done.flat().length, 1)
		assert.deepEqual(await read('conversations', own, 'summary, summary_count'), done.flat()[0])

		const rest = took(await db.from('messages').select('content').eq('conversation_id', own.id).order('created_at').range(2, 99))
		assert.deepEqual(rest, [{ content: 'c' }], 'what the summary does not cover yet')
		assert.deepEqual(await roll(2, 'all', 3), [{ summary: 'all', summary_count: 3 }])
	})

	test('summary_count is no less than 0, and a number', async () => {
		refused(await db.from('conversations').update({ summary_count: -1 }).eq('id', conversation.id), 400, '23514',
			{ message: /summary_count_positive/, hint: /summary_count is 0 or more/ })
		refused(await db.from('conversations').update({ summary_count: 'many' }).eq('id', conversation.id), 400, '22P02', { message: /"many"/ })
		assert.equal((await read('conversations', conversation)).summary_count, 0)
	})

	test('updated_at moves, also when a message comes', async () => {
		const own = await make(db, 'conversations', {})
		const named = await touched({ db, table: 'conversations', row: own, change: { title: 'Named' } })
		took(await db.from('messages').insert({ conversation_id: own.id, role: 'user', content: 'x' }))
		assert.ok(Date.parse((await read('conversations', own)).updated_at) > Date.parse(named.updated_at))
	})

	test('the primary ownership boundary: a stranger neither sees, changes, deletes nor makes one', async () => {
		const row = await read('conversations', conversation)
		await hidden({ row, table: 'conversations', owner: ana, stranger: ben, anon, change: { title: 'x' } })
		refused(await ben.db.from('conversations').insert({ user_id: ana.id }), 403, '42501', { hint: /must be your own/ })
		refused(await ben.db.from('conversations').update({ user_id: ana.id }).eq('id', bens.id), 403, '42501')
		refused(await ben.db.from('conversations').upsert({ id: conversation.id, title: 'x' }), 403, '42501')
		refused(await anon.from('conversations').insert({}), 401, '42501')
	})
})

describe('table messages', () => {
	test('its columns', () => shape('messages', {
		id: 'uuid', conversation_id: 'uuid', role: 'text', content: 'text', has_attachments: 'boolean', created_at: 'timestamptz',
	}))

	test('role: user, assistant, system; any other is told which', async () => {
		for (const role of ['user', 'assistant', 'system']) {
			assert.equal((await make(db, 'messages', { conversation_id: conversation.id, role, content: role })).role, role)
		}
		refused(await db.from('messages').insert({ conversation_id: conversation.id, role: 'tool', content: 'x' }), 400, '23514',
			{ message: /messages_role_known/, hint: /role is one of user, assistant, system/ })
	})

	test('content and role required, has_attachments false if nothing is said', async () => {
		assert.equal(message.has_attachments, false)
		assert.ok(recent(message.created_at))
		const said = { conversation_id: conversation.id, role: 'user', content: 'A picture', has_attachments: true }
		assert.equal((await make(db, 'messages', said)).has_attachments, true)
		for (const column of ['role', 'content']) refused(await db.from('messages').insert({ ...said, [column]: null }), 400, '23502', { message: new RegExp(`"${column}"`) })
	})

	test('messages do not store user_id', async () => {
		refused(await db.from('messages').select('user_id'), 400, '42703', { message: /user_id/ })
		refused(await db.from('messages').insert({ conversation_id: conversation.id, user_id: ana.id, role: 'user', content: 'x' }), 400, 'PGRST204', { message: /'user_id'/ })
	})

	test('access is inherited through conversation_id', async () => {
		await hidden({ row: await read('messages', message), table: 'messages', owner: ana, stranger: ben, anon, change: { content: 'x' } })
		const foreign = { conversation_id: conversation.id, role: 'user', content: 'x' }
		refused(await ben.db.from('messages').insert(foreign), 403, '42501', { hint: /every row that it refers to, must be your own/ })
		refused(await anon.from('messages').insert(foreign), 401, '42501')
		refused(await db.from('messages').insert({ ...foreign, conversation_id: nowhere }), 403, '42501')
		assert.deepEqual(took(await db.from('messages').select().eq('conversation_id', conversation.id).eq('content', 'x')), [])
	})

	test('no ownership drift: a message stays in its conversation, and changes owner with it', async () => {
		refused(await db.from('messages').update({ conversation_id: bens.id }).eq('id', message.id), 403, '42501')
		const other = await make(db, 'conversations', {})
		refused(await db.from('messages').update({ conversation_id: other.id }).eq('id', message.id), 403, '42501', { message: /cannot move to another conversation/ })
		const dora = user('dora')
		took(await db.from('messages').insert({ conversation_id: other.id, role: 'user', content: 'handed over' }))
		took(await service.from('conversations').update({ user_id: dora.id }).eq('id', other.id))
		assert.deepEqual(took(await dora.db.from('messages').select('content')), [{ content: 'handed over' }])
		assert.deepEqual(took(await db.from('messages').select().eq('conversation_id', other.id)), [])
	})

	test('preserve conversational flow: the newest first, page by page', async () => {
		const { id } = await make(db, 'conversations', {})
		took(await db.from('messages').insert(Array.from({ length: 30 }, (_, i) => ({ conversation_id: id, role: 'user', content: `${i}` }))))
		const page = async (from) => took(await db.from('messages').select('content').eq('conversation_id', id)
			.order('created_at', { ascending: false }).range(from, from + 19)).map(({ content }) => Number(content))
		assert.deepEqual([...await page(0), ...await page(20)], Array.from({ length: 30 }, (_, i) => 29 - i))
	})
})

describe('table user_memories', () => {
	test('its columns', () => shape('user_memories', { id: 'uuid', user_id: 'uuid', key: 'text', value: 'text', created_at: 'timestamptz' }))

	test('key optional, value not; whose it is is the caller', async () => {
		assert.deepEqual([memory.user_id, memory.key], [ana.id, 'pace'])
		assert.ok(recent(memory.created_at))
		assert.equal((await make(db, 'user_memories', { value: 'Prefers mornings' })).key, null)
		refused(await db.from('user_memories').insert({ key: 'pace' }), 400, '23502', { hint: /content is called value/ })
	})

	test('pattern-based, across conversations: a memory belongs to none, and outlives them all', async () => {
		refused(await db.from('user_memories').select('conversation_id'), 400, '42703')
		const eve = user('eve')
		const { id } = await make(eve.db, 'conversations', {})
		took(await eve.db.from('user_memories').insert({ value: 'Comes back to the sea' }))
		took(await eve.db.from('conversations').delete().eq('id', id))
		assert.deepEqual(took(await eve.db.from('user_memories').select('value')), [{ value: 'Comes back to the sea' }])
	})

	test('avoid full transcript storage: entries are lightweight', async () => {
		refused(await db.from('user_memories').insert({ value: 'x'.repeat(8001) }), 400, '23514', { message: /memories_content_length/, hint: /1 to 8000 characters/ })
		refused(await db.from('user_memories').insert({ value: '' }), 400, '23514', { hint: /content is called value/ })
		refused(await db.from('user_memories').insert({ key: 'k'.repeat(201), value: 'x' }), 400, '23514', { hint: /key has at most 200 characters/ })
	})

	test('entries are capped: the newest 100 stay, and nothing is refused', async () => {
		const eve = user('eve')
		const values = Array.from({ length: 105 }, (_, i) => ({ key: 'n', value: `${i}`, created_at: new Date(Date.UTC(2026, 0, 1, 0, i)).toISOString() }))
		took(await eve.db.from('user_memories').insert(values))
		const live = took(await eve.db.from('user_memories').select('value').order('created_at')).map(({ value }) => Number(value))
		assert.deepEqual(live, Array.from({ length: 100 }, (_, i) => i + 5))
	})

	test('revisable: the value changes, updated_at tells; a key may come twice', async () => {
		const revised = await touched({ db, table: 'user_memories', row: memory, change: { value: 'Walks faster these days' } })
		assert.deepEqual([revised.id, revised.value], [memory.id, 'Walks faster these days'])
		const second = await make(db, 'user_memories', { key: 'pace', value: 'Runs on Sundays' })
		assert.equal(took(await db.from('user_memories').select('id').eq('key', 'pace')).length, 2)
		took(await db.from('user_memories').delete().eq('id', second.id))
	})

	test('a memory that is retired is not shown, and lives again when it is written anew', async () => {
		const own = await make(db, 'user_memories', { key: 'old', value: 'Smokes' })
		took(await db.from('user_memories').update({ is_active: false }).eq('id', own.id))
		assert.deepEqual(took(await db.from('user_memories').select().eq('key', 'old')), [])
		const again = took(await db.from('user_memories').upsert({ id: own.id, key: 'old', value: 'Smoked' }).select().single())
		assert.deepEqual([again.id, again.value, again.is_active], [own.id, 'Smoked', true])
	})

	test('no emotional scoring, profiling, or identity labeling is stored: there is no column for it', async () => {
		for (const column of ['score', 'emotion', 'sentiment', 'importance', 'confidence', 'trait', 'label', 'profile']) {
			refused(await db.from('user_memories').select(column), 400, '42703', { message: new RegExp(column) })
			refused(await db.from('user_memories').insert({ value: 'x', [column]: 'x' }), 400, 'PGRST204', { message: new RegExp(column) })
		}
	})

	test('a stranger neither sees, changes, deletes nor makes one', async () => {
		await hidden({ row: await read('user_memories', memory), table: 'user_memories', owner: ana, stranger: ben, anon, change: { value: 'x' } })
		refused(await ben.db.from('user_memories').insert({ user_id: ana.id, value: 'x' }), 403, '42501')
		refused(await ben.db.from('user_memories').upsert({ id: memory.id, value: 'x' }), 403, '42501')
		refused(await db.from('user_memories').update({ user_id: ben.id }).eq('id', memory.id), 403, '42501')
	})
})

describe('table subscriptions', () => {
	test('its columns', () => shape('subscriptions', { user_id: 'uuid', plan: 'text', status: 'text' }))

	test('currently passive: everybody has one, free and active, from sign-up on', async () => {
		const own = took(await db.from('subscriptions').select('user_id, plan, status'))
		assert.deepEqual(own, [{ user_id: ana.id, plan: 'free', status: 'active' }])
	})

	test('integrates with Stripe: what the server writes, the user reads and cannot write', async () => {
		const paid = { plan: 'pro', status: 'trialing', stripe_customer_id: `cus_${ana.id}` }
		const row = took(await service.from('subscriptions').update(paid).eq('user_id', ana.id).select().single())
		assert.deepEqual(took(await db.from('subscriptions').select('plan, status, stripe_customer_id').single()), paid)
		await kept({ db, table: 'subscriptions', row, insert: { user_id: ana.id }, values: { plan: 'free', status: 'active', stripe_customer_id: 'x' } })
		await hidden({ row, table: 'subscriptions', owner: ana, stranger: ben, anon, change: { plan: 'pro' }, update: false, remove: false })
		refused(await service.from('subscriptions').update({ status: 'paid' }).eq('user_id', ana.id), 400, '23514', { hint: /status is one of active, trialing/ })
		refused(await service.from('subscriptions').insert({ user_id: ana.id }), 409, '23505', { hint: /one subscription/ })
	})

	test('subscription-based features, without schema churn: a plan with a higher limit keeps more', async () => {
		const eve = user('eve')
		took(await service.from('subscriptions').update({ plan: 'pro' }).eq('user_id', eve.id))
		took(await eve.db.from('user_memories').insert(Array.from({ length: 105 }, (_, i) => ({ value: `${i}` }))))
		assert.equal((await eve.db.from('user_memories').select('*', { count: 'exact', head: true })).count, 105)
	})
})

describe('relationships', () => {
	test('users → conversations (1:N) → messages (1:N), users → user_memories (1:N)', async () => {
		const eve = user('eve')
		const made = took(await eve.db.from('conversations').insert([{ title: 'a' }, { title: 'b' }]).select())
		took(await eve.db.from('messages').insert(made.flatMap(({ id }) => [1, 2].map((n) => ({ conversation_id: id, role: 'user', content: `${n}` })))))
		took(await eve.db.from('user_memories').insert([{ value: 'm' }, { value: 'n' }]))
		const found = took(await eve.db.from('users').select('id, conversations(title, messages(content)), user_memories(value), subscriptions(plan)')
			.order('title', { referencedTable: 'conversations' }).order('created_at', { referencedTable: 'conversations.messages' })
			.order('value', { referencedTable: 'user_memories' }).single())
		const messages = [{ content: '1' }, { content: '2' }]
		assert.deepEqual(found, {
			id: eve.id, conversations: [{ title: 'a', messages }, { title: 'b', messages }], user_memories: [{ value: 'm' }, { value: 'n' }],
			subscriptions: { plan: 'free' },
		})
	})

	test('and back: a message, its conversation, its user', async () => {
		const found = took(await db.from('messages').select('id, conversations(id, users(id))').eq('id', message.id).single())
		assert.deepEqual(found, { id: message.id, conversations: { id: conversation.id, users: { id: ana.id } } })
		assert.deepEqual(took(await db.from('user_memories').select('users(id)').eq('id', memory.id).single()), { users: { id: ana.id } })
	})

	test('a conversation that goes takes its messages along', async () => {
		const own = await make(db, 'conversations', {})
		const said = await make(db, 'messages', { conversation_id: own.id, role: 'user', content: 'x' })
		took(await db.from('conversations').delete().eq('id', own.id))
		assert.deepEqual(took(await service.from('messages').select().eq('id', said.id)), [])
	})
})
