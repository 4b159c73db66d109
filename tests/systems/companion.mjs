#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// Companion: a client that knows only that document does all it says, by its names.

import { createHash } from 'node:crypto'
import { sql } from '../sdk/kith.mjs'
import { assert, describe, hidden, kept, nowhere, refused, system, test, touched, took } from './walk.mjs'

const { service, anon, user, shape, tables } = system('companion')
const ana = user('ana')
const ben = user('ben')
const { db } = ana

const make = async (who, table, values) => took(await who.from(table).insert(values).select().single())
const read = async (table, { id }, columns = '*') => took(await db.from(table).select(columns).eq('id', id).single())
const recent = (time) => Math.abs(Date.now() - Date.parse(time)) < 3_600_000
const conflict = { onConflict: 'user_id,category,key' }
const ahead = (hours) => new Date(Date.now() + hours * 3_600_000).toISOString()

// What the bot does when somebody sends it /start with a token, and what the
// worker does when a message is due.
const telegram_user = Number(process.pid) * 1000 + Date.now() % 1000
const start = (token, number = telegram_user) => sql(`select outcome from kith.redeem_telegram_link_token('${token}', ${number}, ${number + 1}, 'ana_on_telegram')`)
const deliver = async ({ id }, outcome = 'sent', reason = null) => {
	took(await service.from('scheduled_messages').update({ status: 'sending', attempts: 1 }).eq('id', id))
	const result = { status: outcome, sent_at: outcome === 'sent' ? ahead(0) : null, failure_reason: reason }
	return took(await service.from('scheduled_messages').update(result).eq('id', id).select().single())
}

// What the rest of the document speaks of: one of each, and of Ben's.
const conversation = await make(db, 'conversations', { channel: 'telegram', initiated_by: 'companion' })
const message = await make(db, 'messages', { conversation_id: conversation.id, role: 'assistant', content: 'Good morning, Ana.' })
const fact = await make(db, 'user_context', { category: 'work', key: 'job', value: 'software engineer' })
const scheduled = await make(db, 'scheduled_messages', { scheduled_for: ahead(24), message_type: 'morning', content: { text: 'Good morning' } })
const steps = await make(db, 'onboarding', { current_step: 1, data: { name: 'Ana' } })
const token = took(await db.rpc('create_telegram_link_token'))
const link = took(await db.from('telegram_link_tokens').select().single())
const bens = await make(ben.db, 'conversations', {})

describe('entity relationship', () => {
	test('the seven tables, and no other', async () => {
		assert.deepEqual(await tables(), ['conversations', 'messages', 'onboarding', 'scheduled_messages', 'telegram_link_tokens', 'user_context', 'users'])
	})

	test('users 1:N conversations, user_context, scheduled_messages and telegram_link_tokens, and their onboarding', async () => {
		const found = took(await db.from('users')
			.select('id, conversations(id), user_context(id), scheduled_messages(id), telegram_link_tokens(id), onboarding(id)').single())
		assert.deepEqual(found, {
			id: ana.id, conversations: [{ id: conversation.id }], user_context: [{ id: fact.id }], scheduled_messages: [{ id: scheduled.id }],
			telegram_link_tokens: [{ id: link.id }], onboarding: { id: steps.id },
		})
	})

	test('conversations 1:N messages', async () => {
		const found = took(await db.from('conversations').select('id, messages(id)').eq('id', conversation.id).single())
		assert.deepEqual(found, { id: conversation.id, messages: [{ id: message.id }] })
	})

	test('user_id (FK), conv_id (FK): each row leads back', async () => {
		const up = took(await db.from('messages').select('conversations(id, users(id))').eq('id', message.id).single())
		assert.deepEqual(up, { conversations: { id: conversation.id, users: { id: ana.id } } })
		for (const [table, { id }] of [['user_context', fact], ['scheduled_messages', scheduled], ['onboarding', steps], ['telegram_link_tokens', link]]) {
			assert.deepEqual(took(await db.from(table).select('users(id)').eq('id', id).single()), { users: { id: ana.id } }, table)
		}
	})
})

describe('table users', () => {
	test('its columns', () => shape('users', {
		id: 'uuid', email: 'text', display_name: 'text', companion_name: 'text', companion_persona: 'text', companion_settings: 'jsonb',
		telegram_user_id: 'int', telegram_chat_id: 'int', telegram_username: 'text', telegram_linked_at: 'timestamptz', subscription: 'text',
		preferences: 'jsonb',
	}))

	test('extends auth.users: the row is there from sign-up on, with id and email', async () => {
		const { id, email, display_name, companion_name, preferences } = took(await db.from('users').select().single())
		assert.deepEqual({ id, email, display_name, companion_name, preferences }, { id: ana.id, email: ana.email, display_name: null, companion_name: null, preferences: {} })
	})

	test('FK to auth.users ensures consistency: nobody is here who is not there, and who goes there goes here', async () => {
		refused(await service.from('users').insert({ id: nowhere }), 409, '23503')
		const cleo = user('cleo')
		const { id } = await make(cleo.db, 'conversations', {})
		took(await cleo.db.from('messages').insert({ conversation_id: id, role: 'user', content: 'x' }))
		took(await cleo.db.from('user_context').insert({ category: 'c', key: 'k', value: 'v' }))
		took(await cleo.db.from('scheduled_messages').insert({ scheduled_for: ahead(1) }))
		took(await cleo.db.from('onboarding').insert({}))
		took(await cleo.db.rpc('create_telegram_link_token'))
		assert.equal((await service.auth.admin.deleteUser(cleo.id)).error, null)
		for (const table of ['conversations', 'user_context', 'scheduled_messages', 'onboarding', 'telegram_link_tokens']) {
			assert.deepEqual(took(await service.from(table).select('id').eq('user_id', cleo.id)), [], table)
		}
		assert.deepEqual(took(await service.from('users').select('id').eq('id', cleo.id)), [])
		assert.deepEqual(took(await service.from('messages').select('id').eq('conversation_id', id)), [])
	})

	test('companion settings: name, persona and more, the user\'s own to write', async () => {
		const row = took(await db.from('users').select().single())
		const change = { display_name: 'Ana', companion_name: 'Sam', companion_persona: 'dry and kind', companion_settings: { wakes: '07:30' } }
		const changed = await touched({ db, table: 'users', row, change })
		for (const [name, value] of Object.entries(change)) assert.deepEqual(changed[name], value, name)
		assert.equal(took(await db.from('users').upsert({ id: ana.id, companion_name: 'Kim' }).select().single()).companion_name, 'Kim')
		refused(await db.from('users').update({ companion_name: 'x'.repeat(201) }).eq('id', ana.id), 400, '23514', { hint: /companion_name has at most 200 characters/ })
	})

	test('JSONB preferences: new ones without a migration, found by what they hold', async () => {
		const preferences = { theme: 'dark', quiet: { from: 22, to: 7 } }
		took(await db.from('users').update({ preferences }).eq('id', ana.id))
		const query = db.from('users').select('theme:preferences->>theme, from:preferences->quiet->from').contains('preferences', { quiet: { from: 22 } })
		assert.deepEqual(took(await query), [{ theme: 'dark', from: 22 }])
	})

	test('a companion that writes by the clock knows the user\'s time zone', async () => {
		assert.equal(took(await db.from('users').update({ timezone: 'Europe/Vienna' }).eq('id', ana.id).select().single()).timezone, 'Europe/Vienna')
		refused(await db.from('users').update({ timezone: 'Moon/Tycho' }).eq('id', ana.id), 400, '23514', { message: /time zone "Moon\/Tycho" is not known/, hint: /Europe\/Vienna/ })
	})

	test('email, telegram_* and subscription are the server\'s', async () => {
		const row = took(await db.from('users').select().single())
		assert.equal(row.subscription, 'free')
		await kept({ db, table: 'users', row, values: { email: 'x@example.org', telegram_user_id: 1, telegram_chat_id: 1, telegram_username: 'x', telegram_linked_at: '2026-01-01' } })
		refused(await db.from('users').update({ subscription: 'pro' }).eq('id', ana.id), 403, '42501', { message: /"subscription"/ })
		assert.equal(took(await db.from('users').select('subscription').single()).subscription, 'free')
	})

	test('subscription: what is paid for is seen, one\'s own alone', async () => {
		sql(`update public.subscriptions set plan = 'pro' where user_id = '${ben.id}'`)
		assert.deepEqual(took(await ben.db.from('users').select('id, subscription')), [{ id: ben.id, subscription: 'pro' }])
	})

	test('policy auth.uid() = id', async () => {
		const row = took(await db.from('users').select().single())
		await hidden({ row, table: 'users', owner: ana, stranger: ben, anon, change: { companion_name: 'x' }, remove: false })
		refused(await ben.db.from('users').upsert({ id: ana.id, companion_name: 'x' }), 403, '42501')
	})
})

describe('table conversations', () => {
	test('its columns', () => shape('conversations', {
		id: 'uuid', user_id: 'uuid', channel: 'text', initiated_by: 'text', started_at: 'timestamptz', mood: 'text', topics: 'text[]',
	}))

	test('started by the user, on the web, now, if nothing is said', async () => {
		const made = await make(ben.db, 'conversations', {})
		assert.deepEqual([made.user_id, made.channel, made.initiated_by, made.mood, made.topics], [ben.id, 'web', 'user', null, []])
		assert.ok(recent(made.started_at))
	})

	test('metadata per day or session, mood and topic summaries per conversation', async () => {
		const change = { mood: 'calm', topics: ['garden', 'sister'], summary: 'Spoke of the garden.', metadata: { day: '2026-02-01' }, status: 'ended', ended_at: '2026-02-01T20:00:00+00:00' }
		const changed = await touched({ db, table: 'conversations', row: conversation, change })
		for (const [name, value] of Object.entries(change)) assert.deepEqual(changed[name], value, name)
		assert.deepEqual(took(await db.from('conversations').select('id').contains('topics', ['garden'])), [{ id: conversation.id }])
	})

	test('multiple channels: web, telegram, whatsapp', async () => {
		const eve = user('eve')
		took(await eve.db.from('conversations').insert(['web', 'telegram', 'whatsapp'].map((channel) => ({ channel }))))
		for (const channel of ['web', 'telegram', 'whatsapp']) assert.equal(took(await eve.db.from('conversations').select('id').eq('channel', channel)).length, 1, channel)
	})

	test('initiated_by: user or companion, and how often each', async () => {
		const eve = user('eve')
		took(await eve.db.from('conversations').insert(['user', 'companion', 'companion'].map((initiated_by) => ({ initiated_by }))))
		const often = async (who) => (await eve.db.from('conversations').select('*', { count: 'exact', head: true }).eq('initiated_by', who)).count
		assert.deepEqual([await often('user'), await often('companion')], [1, 2])
		refused(await eve.db.from('conversations').insert({ initiated_by: 'robot' }), 400, '23514', { message: /initiated_by_known/, hint: /initiated_by is one of user, companion/ })
	})

	test('indexes (user_id), (started_at DESC): the user\'s conversations, recent first', async () => {
		const eve = user('eve')
		took(await eve.db.from('conversations').insert([1, 3, 2].map((day) => ({ title: `${day}`, started_at: `2026-01-0${day}T10:00:00Z` }))))
		const found = took(await eve.db.from('conversations').select('title').eq('user_id', eve.id).order('started_at', { ascending: false }))
		assert.deepEqual(found, [{ title: '3' }, { title: '2' }, { title: '1' }])
		const second = took(await eve.db.from('conversations').select('title').order('started_at', { ascending: false }).gte('started_at', '2026-01-02').range(1, 1))
		assert.deepEqual(second, [{ title: '2' }])
	})

	test('users can only access their own', async () => {
		await hidden({ row: await read('conversations', conversation), table: 'conversations', owner: ana, stranger: ben, anon, change: { mood: 'x' } })
		refused(await ben.db.from('conversations').insert({ user_id: ana.id }), 403, '42501', { hint: /must be your own/ })
		refused(await db.from('conversations').update({ user_id: ben.id }).eq('id', conversation.id), 403, '42501')
	})
})

describe('table messages', () => {
	test('its columns', () => shape('messages', {
		id: 'uuid', conversation_id: 'uuid', role: 'text', content: 'text', telegram_message_id: 'int', created_at: 'timestamptz',
	}))

	test('not in conversations JSONB: many, large, each a row', async () => {
		const { id } = await make(db, 'conversations', {})
		const content = 'word '.repeat(8_000)
		took(await db.from('messages').insert(Array.from({ length: 20 }, () => ({ conversation_id: id, role: 'user', content }))))
		const [one, ...rest] = took(await db.from('messages').select('content').eq('conversation_id', id))
		assert.ok(one.content === content && rest.length === 19)
		assert.equal(took(await db.from('conversations').select('message_count').eq('id', id).single()).message_count, 20)
	})

	test('telegram_message_id: links to the original for edits and replies, however large', async () => {
		const telegram_message_id = 9_007_199_254_740_991
		const sent = await make(db, 'messages', { conversation_id: conversation.id, role: 'user', content: 'x', telegram_message_id })
		const edited = took(await db.from('messages').update({ content: 'y' }).eq('conversation_id', conversation.id).eq('telegram_message_id', telegram_message_id).select('id, content'))
		assert.deepEqual(edited, [{ id: sent.id, content: 'y' }])
		assert.equal(message.telegram_message_id, null, 'null on the web')
	})

	test('role: user, assistant, system; content required', async () => {
		const { id: conversation_id } = await make(db, 'conversations', {})
		for (const role of ['user', 'assistant', 'system']) assert.equal((await make(db, 'messages', { conversation_id, role, content: 'x' })).role, role)
		refused(await db.from('messages').insert({ conversation_id, role: 'companion', content: 'x' }), 400, '23514', { hint: /role is one of user, assistant, system/ })
		refused(await db.from('messages').insert({ conversation_id, role: 'user' }), 400, '23502', { message: /content/ })
	})

	test('indexes (conversation_id), (created_at DESC): messages in a conversation, recent first', async () => {
		const { id: conversation_id } = await make(db, 'conversations', {})
		took(await db.from('messages').insert(['1', '2', '3'].map((content) => ({ conversation_id, role: 'user', content }))))
		const found = took(await db.from('messages').select('content').eq('conversation_id', conversation_id).order('created_at', { ascending: false }).limit(2))
		assert.deepEqual(found, [{ content: '3' }, { content: '2' }])
		const [newest] = took(await db.from('messages').select('content').order('created_at', { ascending: false }).limit(1))
		assert.deepEqual(newest, { content: '3' })
	})

	test('policy: conversation_id in the user\'s conversations', async () => {
		await hidden({ row: await read('messages', message), table: 'messages', owner: ana, stranger: ben, anon, change: { content: 'x' } })
		refused(await ben.db.from('messages').insert({ conversation_id: conversation.id, role: 'user', content: 'x' }), 403, '42501',
			{ hint: /every row that it refers to, must be your own/ })
		refused(await db.from('messages').update({ conversation_id: bens.id }).eq('id', message.id), 403, '42501')
		refused(await db.from('messages').insert({ conversation_id: nowhere, role: 'user', content: 'x' }), 403, '42501')
	})
})

describe('table user_context', () => {
	test('its columns', () => shape('user_context', { id: 'uuid', user_id: 'uuid', category: 'text', key: 'text', value: 'text', expires_at: 'timestamptz' }))

	test('key acts as "what" (job), value is "detail" (software engineer)', () => {
		const { user_id, category, key, value, expires_at } = fact
		assert.deepEqual({ user_id, category, key, value, expires_at }, { user_id: ana.id, category: 'work', key: 'job', value: 'software engineer', expires_at: null })
	})

	test('prevent duplicate facts: unique (user_id, category, key), of each user', async () => {
		refused(await db.from('user_context').insert({ category: 'work', key: 'job', value: 'gardener' }), 409, '23505',
			{ message: /memories_key_unique/, hint: /upsert with on_conflict=user_id,category,key/ })
		assert.equal((await read('user_context', fact)).value, 'software engineer')
		assert.equal((await make(db, 'user_context', { category: 'dream', key: 'job', value: 'gardener' })).value, 'gardener')
		assert.equal((await make(ben.db, 'user_context', { category: 'work', key: 'job', value: 'baker' })).value, 'baker')
	})

	test('upsert pattern for updates: the fact is revised, and stays one', async () => {
		const revise = async (value, more = {}) => took(await db.from('user_context').upsert({ category: 'work', key: 'job', value, ...more }, conflict).select().single())
		assert.deepEqual([(await revise('team lead')).id, (await revise('team lead, part time', { user_id: ana.id })).id], [fact.id, fact.id])
		assert.deepEqual(took(await db.from('user_context').select('value').eq('category', 'work').eq('key', 'job')), [{ value: 'team lead, part time' }])
		const ignored = took(await db.from('user_context').upsert({ category: 'work', key: 'job', value: 'x' }, { ...conflict, ignoreDuplicates: true }).select())
		assert.deepEqual(ignored, [])
		const several = took(await db.from('user_context').upsert([['work', 'job', 'lead'], ['home', 'pet', 'cat']].map(([category, key, value]) => ({ category, key, value })), conflict).select('key, value'))
		assert.deepEqual(several, [{ key: 'job', value: 'lead' }, { key: 'pet', value: 'cat' }])
	})

	test('one fact also when ten upsert it at once', async () => {
		const all = await Promise.all(Array.from({ length: 10 }, (_, i) => db.from('user_context').upsert({ category: 'mood', key: 'today', value: `${i}` }, conflict).select('id').single()))
		assert.equal(new Set(all.map((answer) => took(answer).id)).size, 1)
		assert.equal(took(await db.from('user_context').select('id').eq('category', 'mood')).length, 1)
	})

	test('different lifecycles: some expire, some are permanent', async () => {
		const trip = { category: 'plan', key: 'trip', value: 'Lisbon', expires_at: ahead(24) }
		const known = await make(db, 'user_context', trip)
		assert.equal(Date.parse((await read('user_context', known)).expires_at), Date.parse(trip.expires_at))
		took(await db.from('user_context').update({ expires_at: ahead(-1) }).eq('id', known.id))
		assert.deepEqual(took(await db.from('user_context').select().eq('category', 'plan')), [])
		const anew = took(await db.from('user_context').upsert({ ...trip, value: 'Porto' }, conflict).select('id, value').single())
		assert.deepEqual(anew, { id: known.id, value: 'Porto' }, 'what expired is not in the way of the same fact')
	})

	test('many context items per user, up to what the plan allows; the oldest are retired', async () => {
		const eve = user('eve')
		took(await eve.db.from('user_context').insert(Array.from({ length: 102 }, (_, i) => ({ category: 'n', key: `${i}`, value: 'x', created_at: new Date(Date.UTC(2026, 0, 1, 0, i)).toISOString() }))))
		assert.equal((await eve.db.from('user_context').select('*', { count: 'exact', head: true })).count, 100)
		assert.deepEqual(took(await eve.db.from('user_context').select('key').in('key', ['0', '1', '2'])), [{ key: '2' }])
		took(await eve.db.from('user_context').upsert({ category: 'n', key: '0', value: 'again' }, conflict))
		assert.deepEqual(took(await eve.db.from('user_context').select('key').in('key', ['0', '1', '2'])), [{ key: '0' }], 'and is as new, when it is said again')
	})

	test('indexes (user_id), (category): the user\'s memories, by type', async () => {
		const eve = user('eve')
		took(await eve.db.from('user_context').insert([['work', 'job'], ['work', 'place'], ['family', 'sister']].map(([category, key]) => ({ category, key, value: 'x' }))))
		assert.equal(took(await eve.db.from('user_context').select('key').eq('user_id', eve.id)).length, 3)
		assert.deepEqual(took(await eve.db.from('user_context').select('key').eq('category', 'work').order('key')), [{ key: 'job' }, { key: 'place' }])
	})

	test('value required, and none of them too long', async () => {
		refused(await db.from('user_context').insert({ category: 'c', key: 'empty' }), 400, '23502', { hint: /content is called value/ })
		refused(await db.from('user_context').insert({ category: 'c', key: 'empty', value: '' }), 400, '23514', { hint: /1 to 8000 characters. Here content is called value/ })
		for (const column of ['category', 'key']) {
			refused(await db.from('user_context').insert({ category: 'c', key: 'k', value: 'x', [column]: 'x'.repeat(201) }), 400, '23514', { hint: new RegExp(`${column} has at most 200 characters`) })
		}
		assert.deepEqual(took(await db.from('user_context').select().eq('category', 'c')), [])
	})

	test('updated_at moves', () => touched({ db, table: 'user_context', row: fact, change: { value: 'retired' } }))

	test('policy auth.uid() = user_id', async () => {
		await hidden({ row: await read('user_context', fact), table: 'user_context', owner: ana, stranger: ben, anon, change: { value: 'x' } })
		refused(await ben.db.from('user_context').insert({ user_id: ana.id, category: 'c', key: 'k', value: 'x' }), 403, '42501')
		refused(await ben.db.from('user_context').upsert({ user_id: ana.id, category: 'work', key: 'job', value: 'x' }, conflict), 403, '42501')
		refused(await db.from('user_context').update({ user_id: ben.id }).eq('id', fact.id), 403, '42501')
		assert.equal((await read('user_context', fact)).value, 'retired')
	})
})

describe('table scheduled_messages', () => {
	test('its columns', () => shape('scheduled_messages', { id: 'uuid', user_id: 'uuid', scheduled_for: 'timestamptz', status: 'text' }))

	test('pending, for oneself and by Telegram, if nothing is said', () => {
		const { user_id, channel, status, attempts, sent_at, failure_reason } = scheduled
		assert.deepEqual({ user_id, channel, status, attempts, sent_at, failure_reason },
			{ user_id: ana.id, channel: 'telegram', status: 'pending', attempts: 0, sent_at: null, failure_reason: null })
	})

	test('track delivery status: the server\'s to write', async () => {
		await kept({
			db, table: 'scheduled_messages', row: scheduled, insert: { scheduled_for: ahead(1) },
			values: { status: 'sent', attempts: 1, sent_at: '2026-01-01', failure_reason: 'x' },
		})
		const own = await make(db, 'scheduled_messages', { scheduled_for: ahead(1) })
		const sent = await deliver(own)
		assert.deepEqual([sent.status, sent.attempts, recent(sent.sent_at)], ['sent', 1, true])
		assert.deepEqual(await read('scheduled_messages', own), sent)
		const other = await deliver(await make(db, 'scheduled_messages', { scheduled_for: ahead(1) }), 'failed', 'blocked by the user')
		assert.deepEqual([other.status, other.failure_reason], ['failed', 'blocked by the user'])
		refused(await service.from('scheduled_messages').update({ status: 'lost' }).eq('id', own.id), 400, '23514', { hint: /status is one of pending, sending, sent, failed, canceled/ })
	})

	test('audit trail for debugging: what was tried is neither changed nor deleted', async () => {
		const sent = await deliver(await make(db, 'scheduled_messages', { scheduled_for: ahead(1), content: { text: 'kept' } }))
		assert.deepEqual(took(await db.from('scheduled_messages').update({ content: {} }).eq('id', sent.id).select()), [])
		assert.deepEqual(took(await db.from('scheduled_messages').delete().eq('id', sent.id).select()), [])
		assert.deepEqual((await read('scheduled_messages', sent)).content, { text: 'kept' })
	})

	test('what is pending can be put off, and canceled by deleting it', async () => {
		const own = await make(db, 'scheduled_messages', { scheduled_for: ahead(1) })
		const later = ahead(48)
		const moved = await touched({ db, table: 'scheduled_messages', row: own, change: { scheduled_for: later } })
		assert.equal(Date.parse(moved.scheduled_for), Date.parse(later))
		assert.deepEqual(took(await db.from('scheduled_messages').delete().eq('id', own.id).select('id')), [{ id: own.id }])
	})

	test('prevent duplicate sends (check if sent today)', async () => {
		const schedule = () => sql(`select kith.schedule_message('${ana.id}', 'evening', timestamptz '2999-01-01 12:00+00', 'telegram')`)
		assert.deepEqual([schedule() !== '', schedule()], [true, ''])
		const day = db.from('scheduled_messages').select('message_type').eq('message_type', 'evening').gte('scheduled_for', '2999-01-01').lt('scheduled_for', '2999-01-02')
		assert.deepEqual(took(await day), [{ message_type: 'evening' }])

		const midnight = new Date().toISOString().slice(0, 10)
		await deliver(await make(db, 'scheduled_messages', { scheduled_for: ahead(1), message_type: 'noon' }))
		const today = (type) => db.from('scheduled_messages').select('*', { count: 'exact', head: true }).eq('message_type', type).eq('status', 'sent').gte('sent_at', midnight)
		assert.deepEqual([(await today('noon')).count, (await today('night')).count], [1, 0])
	})

	test('indexes (user_id), (status): the user\'s scheduled messages, the pending ones', async () => {
		const eve = user('eve')
		const [one, two] = took(await eve.db.from('scheduled_messages').insert([1, 2].map((hours) => ({ scheduled_for: ahead(hours) }))).select())
		await deliver(one)
		assert.equal(took(await eve.db.from('scheduled_messages').select('id').eq('user_id', eve.id)).length, 2)
		assert.deepEqual(took(await eve.db.from('scheduled_messages').select('id').eq('status', 'pending')), [{ id: two.id }])
		assert.deepEqual(took(await service.from('scheduled_messages').select('id').eq('status', 'pending').eq('user_id', eve.id)), [{ id: two.id }], 'as the worker finds it')
	})

	test('a time is required, and a channel that is known', async () => {
		refused(await db.from('scheduled_messages').insert({}), 400, '23502', { message: /scheduled_for/ })
		refused(await db.from('scheduled_messages').insert({ scheduled_for: 'tomorrow-ish' }), 400, '22007')
		refused(await db.from('scheduled_messages').insert({ scheduled_for: ahead(1), channel: 'pigeon' }), 400, '23514', { hint: /channel is one of telegram, email/ })
	})

	test('users can only access their own', async () => {
		await hidden({ row: await read('scheduled_messages', scheduled), table: 'scheduled_messages', owner: ana, stranger: ben, anon, change: { content: {} } })
		refused(await ben.db.from('scheduled_messages').insert({ user_id: ana.id, scheduled_for: ahead(1) }), 403, '42501')
		refused(await db.from('scheduled_messages').insert({ scheduled_for: ahead(1), channel: 'email', recipient_email: 'somebody@example.org' }), 403, '42501')
	})
})

describe('table onboarding', () => {
	test('its columns', () => shape('onboarding', { id: 'uuid', user_id: 'uuid', current_step: 'int', data: 'jsonb' }))

	test('temporary state: begins at step 0 with nothing, and can be thrown away', async () => {
		const made = await make(ben.db, 'onboarding', {})
		assert.deepEqual([made.user_id, made.current_step, made.data, made.completed], [ben.id, 0, {}, false])
		took(await ben.db.from('onboarding').delete().eq('id', made.id))
		assert.deepEqual(took(await ben.db.from('onboarding').select()), [])
	})

	test('complex data: step progress, partial inputs', async () => {
		const data = { name: 'Ana', answers: [{ question: 1, text: 'half a sent' }] }
		const next = took(await db.from('onboarding').upsert({ user_id: ana.id, current_step: 2, data }, { onConflict: 'user_id' }).select().single())
		assert.deepEqual([next.id, next.current_step, next.data], [steps.id, 2, data])
		const done = await touched({ db, table: 'onboarding', row: next, change: { completed: true } })
		assert.ok(recent(done.completed_at))
	})

	test('one per user, its step no less than 0', async () => {
		refused(await db.from('onboarding').insert({ current_step: 1 }), 409, '23505', { hint: /upsert with on_conflict=user_id/ })
		refused(await db.from('onboarding').update({ current_step: -1 }).eq('id', steps.id), 400, '23514', { hint: /current_step is 0 or more/ })
	})

	test('policy auth.uid() = user_id', async () => {
		await hidden({ row: await read('onboarding', steps), table: 'onboarding', owner: ana, stranger: ben, anon, change: { current_step: 9 } })
		refused(await ben.db.from('onboarding').insert({ user_id: ana.id }), 403, '42501')
		refused(await ben.db.from('onboarding').upsert({ user_id: ana.id, current_step: 9 }, { onConflict: 'user_id' }), 403, '42501')
	})
})

describe('table telegram_link_tokens', () => {
	test('its columns', () => shape('telegram_link_tokens', { id: 'uuid', user_id: 'uuid', token: 'text', expires_at: 'timestamptz', used_at: 'timestamptz' }))

	test('security: what is kept is not the token, but its SHA-256', () => {
		assert.equal(link.token, createHash('sha256').update(token).digest('hex'))
		assert.deepEqual([link.user_id, link.used_at], [ana.id, null])
	})

	test('tokens are short-lived: ten minutes, and worth nothing after', async () => {
		assert.equal(Date.parse(link.expires_at) - Date.parse(link.created_at), 600_000)
		const late = took(await ben.db.rpc('create_telegram_link_token'))
		took(await service.from('telegram_link_tokens').update({ expires_at: ahead(-1) }).eq('user_id', ben.id))
		assert.equal(start(late, telegram_user + 7), 'expired')
		assert.equal(took(await ben.db.from('users').select('telegram_user_id').single()).telegram_user_id, null)
	})

	test('one-time use: marked used_at after linking, and the user has telegram_*', async () => {
		assert.equal(start(token), 'linked')
		assert.ok(recent((await read('telegram_link_tokens', link)).used_at))
		const linked = took(await db.from('users').select('telegram_user_id, telegram_chat_id, telegram_username, telegram_linked_at').single())
		assert.deepEqual({ ...linked, telegram_linked_at: recent(linked.telegram_linked_at) },
			{ telegram_user_id: telegram_user, telegram_chat_id: telegram_user + 1, telegram_username: 'ana_on_telegram', telegram_linked_at: true })
		assert.deepEqual([start(token), start('a guess')], ['used', 'unknown'])
		assert.deepEqual(took(await service.from('users').select('id').eq('telegram_user_id', telegram_user)), [{ id: ana.id }], 'as the bot finds who writes to it')
	})

	test('clean up old unused tokens: a new one takes the place of the one before', async () => {
		const eve = user('eve')
		const [first, second] = [took(await eve.db.rpc('create_telegram_link_token')), took(await eve.db.rpc('create_telegram_link_token'))]
		assert.notEqual(first, second)
		assert.equal(took(await eve.db.from('telegram_link_tokens').select('id')).length, 1)
		assert.equal(start(first, telegram_user + 9), 'unknown')
		took(await service.from('telegram_link_tokens').delete().lt('expires_at', ahead(24)).is('used_at', null).eq('user_id', eve.id))
		assert.deepEqual(took(await eve.db.from('telegram_link_tokens').select()), [])
	})

	test('a token is the server\'s to make: none that was chosen, none for others', async () => {
		await kept({ db, table: 'telegram_link_tokens', row: await read('telegram_link_tokens', link), values: { token: 'x', expires_at: '2999-01-01', used_at: null }, insert: {} })
		await hidden({ row: await read('telegram_link_tokens', link), table: 'telegram_link_tokens', owner: ana, stranger: ben, anon, change: { used_at: null }, update: false, remove: false })
	})
})

describe('function create_telegram_link_token', () => {
	test('a token that fits into t.me/<bot>?start=, different each time, for who is signed in', async () => {
		const eve = user('eve')
		assert.match(took(await eve.db.rpc('create_telegram_link_token')), /^[A-Za-z0-9_-]{43}$/)
		refused(await anon.rpc('create_telegram_link_token'), 401, '42501')
		refused(await service.rpc('create_telegram_link_token'), 403, '42501', { message: /only a signed-in user/ })
	})
})
