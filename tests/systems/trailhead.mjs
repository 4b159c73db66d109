#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// Trailhead: a client that knows only that document does all it says, by its names.

import { randomUUID } from 'node:crypto'
import { assert, describe, hidden, kept, nowhere, refused, system, test, touched, took } from './walk.mjs'

const { service, anon, user, shape, tables } = system('trailhead')
const ana = user('ana')
const ben = user('ben')
const { db } = ana

const make = async (who, table, values) => took(await who.from(table).insert(values).select().single())
const read = async (table, { id }, columns = '*') => took(await db.from(table).select(columns).eq('id', id).single())
const count = async (who, table) => (await who.from(table).select('*', { count: 'exact', head: true })).count
const recent = (time) => Math.abs(Date.now() - Date.parse(time)) < 3_600_000
const at = (day) => `2026-01-0${day}T10:00:00+00:00`
const act = (who, action_type, entity, payload, more = {}) => who.rpc('agent_act', {
	session_id: null, action_type, entity_type: 'part', entity_id: entity?.id, payload, ...more,
})
const revert = (who, { id }) => who.rpc('revert_agent_action', { id })

// What the rest of the document speaks of: one of each, and of Ben's.
const session = await make(db, 'sessions', { title: 'Monday' })
const message = await make(db, 'messages', { session_id: session.id, user_id: ana.id, role: 'user', content: 'Something in me says I should have known.' })
const critic = await make(db, 'parts', { name: 'Critic', confidence_score: 0.5 })
const child = await make(db, 'parts', { name: 'Child' })
const relationship = await make(db, 'part_relationships', { from_part_id: critic.id, to_part_id: child.id, relationship_type: 'protector-exile' })
const assessment = await make(db, 'part_assessments', { part_id: critic.id, assessment_type: 'tone', content: { words: ['should'] } })
const action = took(await act(db, 'update_part', critic, { story: 'It came with school.' }, { session_id: session.id }))
const snapshot = took(await db.rpc('save_memory', { document: { name: 'Ana' } }))
const update = await make(db, 'memory_updates', { user_id: ana.id, kind: 'session', ref_id: session.id })
const insight = await make(db, 'insights', { type: 'nudge', content: { text: 'Rest.' } })
const steps = await make(db, 'onboarding', { current_step: 1 })
const bens = { session: await make(ben.db, 'sessions', {}), part: await make(ben.db, 'parts', { name: 'Ben\'s' }) }

describe('core entities', () => {
	test('the eleven tables, and no other', async () => {
		assert.deepEqual(await tables(), ['agent_actions', 'insights', 'memory_updates', 'messages', 'onboarding', 'part_assessments',
			'part_relationships', 'parts', 'sessions', 'user_memory_snapshots', 'users'])
	})
})

describe('table users', () => {
	test('its columns', () => shape('users', { id: 'uuid', email: 'text', created_at: 'timestamptz', settings: 'jsonb' }))

	test('Supabase Auth integration: the row is there from sign-up on', async () => {
		const { created_at, updated_at, ...row } = took(await db.from('users').select().single())
		assert.deepEqual(row, { id: ana.id, email: ana.email, settings: {} })
		assert.ok(recent(created_at))
	})

	test('email unique', async () => {
		const { error } = await service.auth.admin.createUser({ email: ana.email })
		assert.deepEqual([error.status, error.code], [422, 'email_exists'])
	})

	test('settings: any JSON object, found by what it holds', async () => {
		const row = took(await db.from('users').select().single())
		const settings = { dark: true, pace: { words: 80 } }
		assert.deepEqual((await touched({ db, table: 'users', row, change: { settings } })).settings, settings)
		assert.deepEqual(took(await db.from('users').select('words:settings->pace->words').contains('settings', { dark: true })), [{ words: 80 }])
	})

	test('users can only access their own records', async () => {
		const row = took(await db.from('users').select().single())
		await hidden({ row, table: 'users', owner: ana, stranger: ben, anon, change: { settings: {} }, remove: false })
		await kept({ db, table: 'users', row, values: { email: 'x@example.org' } })
		refused(await ben.db.from('users').upsert({ id: ana.id, settings: {} }), 403, '42501')
	})
})

describe('table sessions', () => {
	test('its columns', () => shape('sessions', {
		id: 'uuid', user_id: 'uuid', title: 'text', status: 'text', started_at: 'timestamptz', ended_at: 'timestamptz', metadata: 'jsonb',
	}))

	test('active, begun now, not ended, the caller\'s, if nothing is said', () => {
		const { user_id, status, ended_at, metadata } = session
		assert.deepEqual({ user_id, status, ended_at, metadata }, { user_id: ana.id, status: 'active', ended_at: null, metadata: {} })
		assert.ok(recent(session.started_at))
	})

	test('status: active, ended', async () => {
		const own = await make(db, 'sessions', { user_id: ana.id, title: 'Short', metadata: { place: 'home' } })
		const ended = await touched({ db, table: 'sessions', row: own, change: { status: 'ended', ended_at: at(2) } })
		assert.deepEqual([ended.title, ended.status, ended.ended_at, ended.metadata], ['Short', 'ended', at(2), { place: 'home' }])
		refused(await db.from('sessions').update({ status: 'over' }).eq('id', own.id), 400, '23514', { hint: /status is one of active, ended/ })
	})

	test('indexes (user_id, status), (user_id, started_at DESC): the active ones, the newest first', async () => {
		const eve = user('eve')
		took(await eve.db.from('sessions').insert([[1, 'ended'], [3, 'active'], [2, 'active']].map(([day, status]) => ({ title: `${day}`, status, started_at: at(day) }))))
		const newest = () => eve.db.from('sessions').select('title').eq('user_id', eve.id).order('started_at', { ascending: false })
		assert.deepEqual(took(await newest()), [{ title: '3' }, { title: '2' }, { title: '1' }])
		assert.deepEqual(took(await newest().eq('status', 'active')), [{ title: '3' }, { title: '2' }])
	})

	test('RLS: user_id = auth.uid()', async () => {
		await hidden({ row: await read('sessions', session), table: 'sessions', owner: ana, stranger: ben, anon, change: { title: 'x' } })
		refused(await ben.db.from('sessions').insert({ user_id: ana.id }), 403, '42501', { hint: /must be your own/ })
		refused(await db.from('sessions').update({ user_id: ben.id }).eq('id', session.id), 403, '42501')
	})
})

describe('table messages', () => {
	test('its columns', () => shape('messages', {
		id: 'uuid', session_id: 'uuid', user_id: 'uuid', role: 'text', content: 'text', metadata: 'jsonb', created_at: 'timestamptz',
	}))

	test('user_id: sent along, or left out; the owner of the session\'s either way', async () => {
		assert.deepEqual([message.user_id, message.session_id, message.metadata], [ana.id, session.id, {}])
		assert.ok(recent(message.created_at))
		const said = await make(db, 'messages', { session_id: session.id, role: 'assistant', content: 'Who says that?', metadata: { tokens: 4 } })
		assert.deepEqual([said.user_id, said.metadata], [ana.id, { tokens: 4 }])
		assert.deepEqual(took(await db.from('messages').select('id').eq('user_id', ana.id).order('created_at')), [{ id: message.id }, { id: said.id }])
		refused(await db.from('messages').insert({ session_id: session.id, user_id: ben.id, role: 'user', content: 'x' }), 403, '42501',
			{ message: /belongs to the user of its session/, hint: /Send the user_id of the session, or none/ })
	})

	test('role: user, assistant, system; content required', async () => {
		const { id: session_id } = await make(db, 'sessions', {})
		for (const role of ['user', 'assistant', 'system']) assert.equal((await make(db, 'messages', { session_id, role, content: 'x' })).role, role)
		refused(await db.from('messages').insert({ session_id, role: 'part', content: 'x' }), 400, '23514', { hint: /role is one of user, assistant, system/ })
		refused(await db.from('messages').insert({ session_id, role: 'user' }), 400, '23502', { message: /content/ })
		assert.equal(took(await db.from('messages').select('id').eq('session_id', session_id)).length, 3)
	})

	test('index (session_id, created_at): in the order they were said', async () => {
		const { id: session_id } = await make(db, 'sessions', {})
		took(await db.from('messages').insert(['one', 'two', 'three'].map((content) => ({ session_id, user_id: ana.id, role: 'user', content }))))
		const said = took(await db.from('messages').select('content').eq('session_id', session_id).order('created_at'))
		assert.deepEqual(said, [{ content: 'one' }, { content: 'two' }, { content: 'three' }])
	})

	test('changed, and deleted, by whose they are', async () => {
		const own = await make(db, 'messages', { session_id: session.id, role: 'user', content: 'x' })
		const changed = took(await db.from('messages').update({ content: 'y', metadata: { edited: true } }).eq('id', own.id).select().single())
		assert.deepEqual([changed.content, changed.metadata], ['y', { edited: true }])
		took(await db.from('messages').delete().eq('id', own.id))
		assert.deepEqual(took(await service.from('messages').select().eq('id', own.id)), [])
	})

	test('RLS: user_id = auth.uid()', async () => {
		await hidden({ row: await read('messages', message), table: 'messages', owner: ana, stranger: ben, anon, change: { content: 'x' } })
		for (const user_id of [ana.id, ben.id, undefined]) refused(await ben.db.from('messages').insert({ session_id: session.id, user_id, role: 'user', content: 'x' }), 403, '42501')
		refused(await db.from('messages').insert({ session_id: nowhere, user_id: ana.id, role: 'user', content: 'x' }), 403, '42501')
		refused(await db.from('messages').update({ session_id: bens.session.id }).eq('id', message.id), 403, '42501')
		refused(await db.from('messages').update({ user_id: ben.id }).eq('id', message.id), 403, '42501')
		assert.deepEqual(took(await service.from('messages').select().eq('content', 'x').eq('session_id', session.id)), [])
	})
})

describe('table parts', () => {
	test('its columns', () => shape('parts', {
		id: 'uuid', user_id: 'uuid', name: 'text', story: 'text', status: 'text', confidence_score: 'float', recent_evidence: 'jsonb[]',
		attributes: 'jsonb', created_at: 'timestamptz', updated_at: 'timestamptz',
	}))

	test('emerging, without evidence, the caller\'s, if nothing is said', () => {
		const { user_id, status, story, confidence_score, recent_evidence, attributes } = child
		assert.deepEqual({ user_id, status, story, confidence_score, recent_evidence, attributes },
			{ user_id: ana.id, status: 'emerging', story: null, confidence_score: null, recent_evidence: [], attributes: {} })
	})

	test('everything the document lists is kept as it was given', async () => {
		const full = {
			user_id: ana.id, name: 'Planner', story: 'It keeps lists.', status: 'active', confidence_score: 0.75,
			recent_evidence: [{ quote: 'I made a list', at: 1 }, { quote: 'another list' }], attributes: { color: 'blue', age: 9 },
		}
		const made = await make(db, 'parts', full)
		for (const [name, value] of Object.entries(full)) assert.deepEqual(made[name], value, name)
	})

	test('status, lifecycle stage: emerging, acknowledged, active, integrated', async () => {
		for (const status of ['acknowledged', 'active', 'integrated', 'emerging']) {
			assert.equal(took(await db.from('parts').update({ status }).eq('id', child.id).select().single()).status, status)
		}
		refused(await db.from('parts').update({ status: 'gone' }).eq('id', child.id), 400, '23514',
			{ message: /parts_status_known/, hint: /status is one of emerging, acknowledged, active, integrated/ })
	})

	test('confidence_score, evidence strength: 0.0 to 1.0', async () => {
		for (const confidence_score of [0, 1]) assert.equal(took(await db.from('parts').update({ confidence_score }).eq('id', child.id).select().single()).confidence_score, confidence_score)
		for (const confidence_score of [-0.1, 1.1, 'NaN']) {
			refused(await db.from('parts').update({ confidence_score }).eq('id', child.id), 400, '23514', { message: /parts_confidence_score_range/, hint: /between 0 and 1/ })
		}
		assert.equal((await read('parts', child)).confidence_score, 1)
	})

	test('recent_evidence: capped at 10 items, the newest', async () => {
		const evidence = (n) => Array.from({ length: n }, (_, i) => ({ quote: `said ${i}` }))
		const own = await make(db, 'parts', { name: 'Talker', recent_evidence: evidence(12) })
		assert.deepEqual(own.recent_evidence, evidence(12).slice(2))
		const more = [...own.recent_evidence, { quote: 'said last' }]
		const grown = await touched({ db, table: 'parts', row: own, change: { recent_evidence: more } })
		assert.deepEqual(grown.recent_evidence, more.slice(1))
		refused(await db.from('parts').update({ recent_evidence: [['nested']] }).eq('id', own.id), 400, '23514', { hint: /an object or a text/ })
	})

	test('a name is required', async () => {
		refused(await db.from('parts').insert({ story: 'x' }), 400, '23502', { message: /name/ })
		refused(await db.from('parts').insert({ name: '' }), 400, '23514', { hint: /name has 1 to 200 characters/ })
	})

	test('index (user_id, status): the parts of a stage', async () => {
		const eve = user('eve')
		took(await eve.db.from('parts').insert([['a', 'active'], ['b', 'emerging'], ['c', 'active']].map(([name, status]) => ({ name, status }))))
		assert.deepEqual(took(await eve.db.from('parts').select('name').eq('user_id', eve.id).eq('status', 'active').order('name')), [{ name: 'a' }, { name: 'c' }])
	})

	test('RLS: user_id = auth.uid()', async () => {
		await hidden({ row: await read('parts', critic), table: 'parts', owner: ana, stranger: ben, anon, change: { name: 'x' } })
		refused(await ben.db.from('parts').insert({ user_id: ana.id, name: 'x' }), 403, '42501')
		refused(await ben.db.from('parts').upsert({ id: critic.id, name: 'x' }), 403, '42501')
		refused(await db.from('parts').update({ user_id: ben.id }).eq('id', critic.id), 403, '42501')
	})
})

describe('table part_relationships', () => {
	const related = { from_part_id: critic.id, to_part_id: child.id, relationship_type: 'allied' }

	test('its columns', () => shape('part_relationships', {
		id: 'uuid', user_id: 'uuid', from_part_id: 'uuid', to_part_id: 'uuid', relationship_type: 'text', polarization_level: 'int', notes: 'text',
		created_at: 'timestamptz', updated_at: 'timestamptz',
	}))

	test('relationship_type: protector-exile, polarized, allied', async () => {
		for (const relationship_type of ['protector-exile', 'polarized', 'allied']) {
			const made = await make(db, 'part_relationships', { ...related, relationship_type })
			assert.deepEqual([made.relationship_type, made.user_id], [relationship_type, ana.id])
			took(await db.from('part_relationships').delete().eq('id', made.id))
		}
		refused(await db.from('part_relationships').insert({ ...related, relationship_type: 'enemies' }), 400, '23514',
			{ message: /relationship_type_known/, hint: /protector-exile, polarized, allied/ })
	})

	test('polarization_level: 0-10 scale; notes', async () => {
		for (const polarization_level of [0, 10]) {
			const changed = took(await db.from('part_relationships').update({ polarization_level, notes: 'at dinner' }).eq('id', relationship.id).select().single())
			assert.deepEqual([changed.polarization_level, changed.notes], [polarization_level, 'at dinner'])
		}
		for (const polarization_level of [-1, 11]) {
			refused(await db.from('part_relationships').update({ polarization_level }).eq('id', relationship.id), 400, '23514',
				{ message: /polarization_level_range/, hint: /between 0 and 10/ })
		}
		refused(await db.from('part_relationships').update({ polarization_level: 'high' }).eq('id', relationship.id), 400, '22P02')
	})

	test('connections between parts: two of them, and both must be there', async () => {
		refused(await db.from('part_relationships').insert({ ...related, to_part_id: critic.id }), 400, '23514', { message: /parts_differ/, hint: /no relationship with itself/ })
		const orphan = { ...related, from_part_id: nowhere }
		refused(await db.from('part_relationships').insert(orphan), 403, '42501')
		refused(await service.from('part_relationships').insert({ ...orphan, user_id: ana.id }), 409, '23503')
	})

	test('both ends are the user\'s own: no foreign part, from or to', async () => {
		for (const end of ['from_part_id', 'to_part_id']) {
			refused(await db.from('part_relationships').insert({ ...related, [end]: bens.part.id }), 403, '42501', { hint: /every row that it refers to, must be your own/ })
			refused(await db.from('part_relationships').update({ [end]: bens.part.id }).eq('id', relationship.id), 403, '42501')
			refused(await service.from('part_relationships').insert({ ...related, user_id: ana.id, [end]: bens.part.id }), 400, '23514',
				{ message: /belongs to the user of its parts/, hint: /user_id that its parts have/ })
		}
		assert.deepEqual(await read('part_relationships', relationship, 'from_part_id, to_part_id'), { from_part_id: critic.id, to_part_id: child.id })
	})

	test('indexes (from_part_id), (to_part_id): from a part, and to it, with both ends', async () => {
		const ends = 'from:parts!from_part_id(name), to:parts!to_part_id(name)'
		const found = { from: { name: 'Critic' }, to: { name: 'Child' } }
		assert.deepEqual(took(await db.from('part_relationships').select(ends).eq('from_part_id', critic.id)), [found])
		assert.deepEqual(took(await db.from('part_relationships').select(ends).eq('to_part_id', child.id)), [found])
	})

	test('updated_at moves', async () => touched({ db, table: 'part_relationships', row: await read('part_relationships', relationship), change: { notes: null } }))

	test('RLS: user_id = auth.uid()', async () => {
		await hidden({ row: await read('part_relationships', relationship), table: 'part_relationships', owner: ana, stranger: ben, anon, change: { notes: 'x' } })
		refused(await ben.db.from('part_relationships').insert({ ...related, user_id: ana.id }), 403, '42501')
		refused(await ben.db.from('part_relationships').insert(related), 403, '42501')
	})
})

describe('table part_assessments', () => {
	test('its columns', () => shape('part_assessments', {
		id: 'uuid', user_id: 'uuid', part_id: 'uuid', assessment_type: 'text', content: 'jsonb', created_at: 'timestamptz',
	}))

	test('evaluations and observations about parts', async () => {
		const { user_id, part_id, assessment_type, content } = assessment
		assert.deepEqual({ user_id, part_id, assessment_type, content }, { user_id: ana.id, part_id: critic.id, assessment_type: 'tone', content: { words: ['should'] } })
		assert.deepEqual(took(await db.from('part_assessments').select('parts(name)').eq('id', assessment.id).single()), { parts: { name: 'Critic' } })
		refused(await db.from('part_assessments').insert({ part_id: critic.id }), 400, '23502', { message: /assessment_type/ })
		const changed = took(await db.from('part_assessments').update({ content: { words: [] } }).eq('id', assessment.id).select().single())
		assert.deepEqual(changed.content, { words: [] })
	})

	test('they go with their part', async () => {
		const own = await make(db, 'parts', { name: 'Passing' })
		const made = await make(db, 'part_assessments', { part_id: own.id, assessment_type: 'x' })
		took(await db.from('parts').delete().eq('id', own.id))
		assert.deepEqual(took(await service.from('part_assessments').select().eq('id', made.id)), [])
	})

	test('RLS: user_id = auth.uid(), of one\'s own parts', async () => {
		await hidden({ row: await read('part_assessments', assessment), table: 'part_assessments', owner: ana, stranger: ben, anon, change: { content: {} } })
		refused(await ben.db.from('part_assessments').insert({ part_id: bens.part.id, user_id: ana.id, assessment_type: 'x' }), 403, '42501')
		refused(await db.from('part_assessments').insert({ part_id: bens.part.id, assessment_type: 'x' }), 403, '42501', { hint: /every row that it refers to/ })
		refused(await db.from('part_assessments').update({ part_id: bens.part.id }).eq('id', assessment.id), 403, '42501')
	})
})

describe('table agent_actions', () => {
	test('its columns', () => shape('agent_actions', {
		id: 'uuid', user_id: 'uuid', session_id: 'uuid', action_type: 'text', entity_type: 'text', entity_id: 'uuid', payload: 'jsonb',
		result: 'jsonb', reverted_at: 'timestamptz', created_at: 'timestamptz',
	}))

	test('audit log: who, where, what, to which entity, and what came of it', async () => {
		const { user_id, session_id, action_type, entity_type, entity_id, payload, result, reverted_at } = action
		assert.deepEqual({ user_id, session_id, action_type, entity_type, entity_id, payload, reverted_at }, {
			user_id: ana.id, session_id: session.id, action_type: 'update_part', entity_type: 'part', entity_id: critic.id,
			payload: { story: 'It came with school.' }, reverted_at: null,
		})
		assert.deepEqual([result.before.story, result.after.story], [null, 'It came with school.'])
		assert.deepEqual(await read('agent_actions', action), action)
	})

	test('complete audit trail: nobody writes it by hand', async () => {
		await kept({
			db, table: 'agent_actions', row: action, insert: { action_type: 'update_part', entity_type: 'part', entity_id: critic.id },
			values: { payload: {}, result: {}, reverted_at: '2026-01-01T00:00:00Z' },
		})
		refused(await db.from('agent_actions').delete().eq('id', action.id), 403, '42501')
	})

	test('indexes (user_id, created_at DESC), (entity_type, entity_id): the newest, and all that was done to one', async () => {
		const own = await make(db, 'parts', { name: 'Busy' })
		for (const story of ['one', 'two']) took(await act(db, 'update_part', own, { story }))
		const done = took(await db.from('agent_actions').select('payload').eq('entity_type', 'part').eq('entity_id', own.id).order('created_at'))
		assert.deepEqual(done, [{ payload: { story: 'one' } }, { payload: { story: 'two' } }])
		const [newest] = took(await db.from('agent_actions').select('payload').eq('user_id', ana.id).order('created_at', { ascending: false }).limit(1))
		assert.deepEqual(newest, { payload: { story: 'two' } })
	})

	test('the record outlives its session', async () => {
		const own = await make(db, 'sessions', {})
		const done = took(await act(db, 'create_part', undefined, { name: 'Found' }, { session_id: own.id }))
		took(await db.from('sessions').delete().eq('id', own.id))
		assert.deepEqual(await read('agent_actions', done, 'session_id, entity_id'), { session_id: null, entity_id: done.entity_id })
	})

	test('RLS: user_id = auth.uid()', () => hidden({
		row: action, table: 'agent_actions', owner: ana, stranger: ben, anon, change: { payload: {} }, update: false, remove: false,
	}))
})

describe('function agent_act', () => {
	test('create_part, update_part, delete_part: done and recorded in one', async () => {
		const born = took(await act(db, 'create_part', undefined, { name: 'Guard', status: 'active', recent_evidence: [{ quote: 'no' }] }))
		const made = await read('parts', { id: born.entity_id })
		assert.deepEqual([made.name, made.status, made.recent_evidence, made.user_id], ['Guard', 'active', [{ quote: 'no' }], ana.id])
		assert.deepEqual([born.result.before, born.result.after.id], [null, made.id])
		const gone = took(await act(db, 'delete_part', made))
		assert.deepEqual([gone.result.before.name, gone.result.after], ['Guard', null])
		assert.deepEqual(took(await db.from('parts').select().eq('id', made.id)), [])
	})

	test('create_relationship, and the other mutations of relationships and assessments', async () => {
		const related = { from_part_id: child.id, to_part_id: critic.id, relationship_type: 'polarized', polarization_level: 7 }
		const born = took(await act(db, 'create_relationship', undefined, related, { entity_type: 'part_relationship' }))
		const entity = { id: born.entity_id }
		assert.equal((await read('part_relationships', entity)).polarization_level, 7)
		took(await act(db, 'update_relationship', entity, { polarization_level: 3 }, { entity_type: 'part_relationship' }))
		assert.equal((await read('part_relationships', entity)).polarization_level, 3)
		took(await act(db, 'delete_relationship', entity, {}, { entity_type: 'part_relationship' }))
		assert.deepEqual(took(await db.from('part_relationships').select().eq('id', entity.id)), [])
		const noted = took(await act(db, 'create_assessment', undefined, { part_id: child.id, assessment_type: 'age', content: { years: 6 } }, { entity_type: 'part_assessment' }))
		assert.deepEqual(noted.result.after.content, { years: 6 })
	})

	test('an agent meets the rules of its user, and what is refused is not recorded', async () => {
		const before = await count(db, 'agent_actions')
		refused(await act(db, 'update_part', child, { confidence_score: 2 }), 400, '23514', { hint: /between 0 and 1/ })
		refused(await act(db, 'update_part', child, { status: 'gone' }), 400, '23514', { hint: /emerging, acknowledged/ })
		refused(await act(db, 'update_part', child, { colour: 'red' }), 400, '22023', { message: /"colour" is no column/, hint: /Use name, story, status/ })
		refused(await act(db, 'update_part', child, { user_id: ben.id }), 400, '22023', { message: /"user_id"/ })
		refused(await act(db, 'update_part', child, { confidence_score: 'high' }), 400, '22023', { message: /not of type double precision/ })
		refused(await act(db, 'update_part', bens.part, { name: 'x' }), 404, 'PT404', { message: /there is no such part/ })
		refused(await act(db, 'update_part', child, {}), 400, '22023', { message: /nothing to update/ })
		refused(await act(db, 'melt_part', child, {}), 400, '22023', { message: /"melt_part" is not known/, hint: /create_, update_ or delete_/ })
		refused(await act(db, 'update_part', child, { name: 'x' }, { entity_type: 'session' }), 400, '22023', { message: /"session" is not known/ })
		refused(await act(db, 'create_relationship', undefined, { from_part_id: child.id, to_part_id: bens.part.id, relationship_type: 'allied' }, { entity_type: 'part_relationship' }), 403, '42501')
		refused(await act(db, 'update_part', child, { name: 'x' }, { session_id: bens.session.id }), 403, '42501', { message: /session is not one of the user's/ })
		refused(await act(anon, 'create_part', undefined, { name: 'x' }), 401, '42501')
		refused(await act(service, 'create_part', undefined, { name: 'x' }), 403, '42501', { message: /acts for a user/, hint: /token of the user/ })
		assert.equal(await count(db, 'agent_actions'), before)
		assert.equal((await read('parts', child)).name, 'Child')
	})
})

describe('function revert_agent_action', () => {
	test('rollback/undo: an update, exactly as it was, and when', async () => {
		const own = await make(db, 'parts', { name: 'Before', story: 'kept', attributes: { a: 1 } })
		const done = took(await act(db, 'update_part', own, { name: 'After', attributes: {} }))
		const undone = took(await revert(db, done))
		assert.ok(undone.id === done.id && recent(undone.reverted_at))
		assert.deepEqual({ ...await read('parts', own), updated_at: null }, { ...own, updated_at: null })
		assert.deepEqual(took(await db.from('agent_actions').select('id').not('reverted_at', 'is', null).eq('entity_id', own.id)), [{ id: done.id }])
	})

	test('of a creation: it is gone; of a deletion: it is back, with what went along', async () => {
		const born = took(await act(db, 'create_part', undefined, { name: 'Mistake' }))
		took(await revert(db, born))
		assert.deepEqual(took(await db.from('parts').select().eq('id', born.entity_id)), [])

		const own = await make(db, 'parts', { name: 'Deep', recent_evidence: [{ quote: 'always' }] })
		const between = await make(db, 'part_relationships', { from_part_id: own.id, to_part_id: child.id, relationship_type: 'allied' })
		const noted = await make(db, 'part_assessments', { part_id: own.id, assessment_type: 'x', content: { deep: true } })
		const gone = took(await act(db, 'delete_part', own))
		assert.deepEqual(took(await db.from('part_relationships').select().eq('id', between.id)), [])
		took(await revert(db, gone))
		for (const [table, row] of [['parts', own], ['part_relationships', between], ['part_assessments', noted]]) assert.deepEqual(await read(table, row), row, table)
	})

	test('a stale revert is refused: the row was changed since; nothing is written', async () => {
		const own = await make(db, 'parts', { name: 'First' })
		const one = took(await act(db, 'update_part', own, { name: 'Second' }))
		const two = took(await act(db, 'update_part', own, { name: 'Third' }))
		refused(await revert(db, one), 409, 'PT409', { message: /the part was changed since/, hint: /Undo the later changes first/ })
		assert.equal((await read('parts', own)).name, 'Third')
		took(await revert(db, two))
		took(await revert(db, one))
		assert.equal((await read('parts', own)).name, 'First', 'the newest first, all can be undone')

		const three = took(await act(db, 'update_part', own, { name: 'Fourth' }))
		took(await db.from('parts').delete().eq('id', own.id))
		refused(await revert(db, three), 409, 'PT409', { message: /the part is gone/ })
	})

	test('a second revert says so', async () => {
		const done = took(await act(db, 'create_part', undefined, { name: 'Once' }))
		took(await revert(db, done))
		refused(await revert(db, done), 409, 'PT409', { message: /undone before/, details: /It was undone at/ })
	})

	test('of two reverts at once, one is done', async () => {
		const done = took(await act(db, 'create_part', undefined, { name: 'Twice' }))
		const answers = await Promise.all([revert(db, done), revert(db, done)])
		assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409])
	})

	test('nobody else\'s', async () => {
		refused(await revert(ben.db, action), 404, 'PT404', { message: /there is no such action/ })
		refused(await revert(anon, action), 401, '42501')
		refused(await revert(db, { id: randomUUID() }), 404, 'PT404')
		assert.equal((await read('agent_actions', action)).reverted_at, null)
	})
})

describe('table user_memory_snapshots', () => {
	test('its columns', () => shape('user_memory_snapshots', {
		id: 'uuid', user_id: 'uuid', version: 'int', is_checkpoint: 'boolean', operations: 'jsonb', metadata: 'jsonb', created_at: 'timestamptz',
	}))

	test('the history is the server\'s: read, and not written', async () => {
		await kept({ db, table: 'user_memory_snapshots', row: snapshot, insert: { version: 2, operations: [] }, values: { version: 9, is_checkpoint: false, operations: [], metadata: {} } })
		refused(await db.from('user_memory_snapshots').delete().eq('id', snapshot.id), 403, '42501')
	})

	test('RLS: user_id = auth.uid()', () => hidden({
		row: snapshot, table: 'user_memory_snapshots', owner: ana, stranger: ben, anon, change: { metadata: {} }, update: false, remove: false,
	}))
})

// JSON Patch (RFC 6902), as far as a difference needs it: what a client does
// that reads the snapshots itself.
function patched(document, operations) {
	for (const { op, path, value } of operations) {
		const keys = path.split('/').slice(1).map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
		const last = keys.pop()
		if (last === undefined) {
			document = structuredClone(value)
			continue
		}
		const parent = keys.reduce((node, key) => node[key], document)
		if (op === 'replace') parent[last] = value
		else if (op === 'remove') Array.isArray(parent) ? parent.splice(last, 1) : delete parent[last]
		else if (op === 'add') Array.isArray(parent) ? parent.splice(last === '-' ? parent.length : last, 0, value) : parent[last] = value
		else assert.fail(`operation ${op}`)
	}
	return document
}

describe('differential memory', () => {
	const eve = user('eve')
	const saved = []
	const save = async (document) => took(await eve.db.rpc('save_memory', { document, metadata: { saved: saved.push(document) } }))

	test('differential: JSON Patch diffs between versions', async () => {
		const first = await save({ name: 'Eve', likes: ['tea'], 'a/b~c': 1 })
		assert.deepEqual([first.user_id, first.version, first.is_checkpoint, first.metadata], [eve.id, 1, true, { saved: 1 }])
		const second = await save({ name: 'Eve', likes: ['tea', 'rain'], 'a/b~c': 2 })
		assert.deepEqual([second.version, second.is_checkpoint], [2, false])
		assert.deepEqual(patched(structuredClone(saved[0]), second.operations), saved[1])
		assert.ok(second.operations.length === 2 && second.operations.every(({ path }) => path !== ''), 'what did not change is not there again')
	})

	test('checkpoints: a full snapshot every N versions (default: 50)', async () => {
		while (saved.length < 104) {
			const n = saved.length
			await save({ name: 'Eve', likes: Array.from({ length: n % 7 }, (_, i) => `${i * n}`), parts: { critic: { seen: n }, [`part ${n % 5}`]: { since: n } } })
		}
		const checkpoints = took(await eve.db.from('user_memory_snapshots').select('version, operations').eq('is_checkpoint', true).order('version'))
		assert.deepEqual(checkpoints.map(({ version }) => version), [1, 50, 100])
		for (const { version, operations } of checkpoints) assert.deepEqual(operations, [{ op: 'add', path: '', value: saved[version - 1] }])
	})

	test('reconstruction: apply patches forward from the last checkpoint', async () => {
		for (const version of [1, 2, 49, 50, 51, 99, 100, 104]) {
			assert.deepEqual(took(await eve.db.rpc('reconstruct_memory', { version })), saved[version - 1], `version ${version}`)

			const up = () => eve.db.from('user_memory_snapshots').select('version, operations').lte('version', version)
			const base = took(await up().eq('is_checkpoint', true).order('version', { ascending: false }).limit(1).single())
			const forward = took(await up().gte('version', base.version).order('version'))
			assert.deepEqual(forward.reduce((document, { operations }) => patched(document, operations), undefined), saved[version - 1], 'by the client, too')
		}
		assert.deepEqual(took(await eve.db.rpc('reconstruct_memory')), saved.at(-1))
	})

	test('index (user_id, version DESC): the newest version', async () => {
		const newest = took(await eve.db.from('user_memory_snapshots').select('version').eq('user_id', eve.id).order('version', { ascending: false }).limit(1).single())
		assert.equal(newest.version, 104)
	})

	test('versions without a gap, also when several save at once', async () => {
		const fay = user('fay')
		const made = await Promise.all([1, 2, 3, 4, 5].map((n) => fay.db.rpc('save_memory', { document: { n } })))
		assert.deepEqual(made.map((answer) => took(answer).version).sort(), [1, 2, 3, 4, 5])
	})
})

describe('function save_memory', () => {
	test('an object or a list, of a user; what did not change is a version, too', async () => {
		const gil = user('gil')
		const save = (document) => gil.db.rpc('save_memory', { document })
		took(await save({ a: [1] }))
		assert.deepEqual(took(await save({ a: [1] })).operations, [])
		for (const wrong of [null, 'text', 7]) refused(await save(wrong), 400, '22023', { message: /must be an object or an array/ })
		refused(await service.rpc('save_memory', { document: {} }), 403, '42501', { message: /belongs to a user/, hint: /Sign in/ })
		refused(await anon.rpc('save_memory', { document: {} }), 401, '42501')
		assert.equal(await count(gil.db, 'user_memory_snapshots'), 2)
	})
})

describe('function reconstruct_memory', () => {
	test('one\'s own only, and only what was saved', async () => {
		assert.equal(took(await ben.db.rpc('reconstruct_memory')), null)
		refused(await ben.db.rpc('reconstruct_memory', { version: 1 }), 404, 'PT404', { message: /no version 1/, hint: /Nothing was saved yet/ })
		refused(await db.rpc('reconstruct_memory', { version: 2 }), 404, 'PT404', { hint: /versions 1 to 1/ })
		refused(await anon.rpc('reconstruct_memory'), 401, '42501')
	})
})

describe('table memory_updates', () => {
	const conflict = { onConflict: 'user_id,kind,ref_id' }

	test('its columns', () => shape('memory_updates', {
		id: 'uuid', user_id: 'uuid', kind: 'text', ref_id: 'uuid', processed: 'boolean', created_at: 'timestamptz',
	}))

	test('processed: default false', () => {
		const { user_id, kind, ref_id, processed } = update
		assert.deepEqual({ user_id, kind, ref_id, processed }, { user_id: ana.id, kind: 'session', ref_id: session.id, processed: false })
		assert.ok(recent(update.created_at))
	})

	test('kind: session, check_in, insight', async () => {
		for (const kind of ['session', 'check_in', 'insight']) assert.equal((await make(ben.db, 'memory_updates', { kind, ref_id: randomUUID() })).kind, kind)
		refused(await db.from('memory_updates').insert({ kind: 'dream', ref_id: nowhere }), 400, '23514', { hint: /session, check_in, insight/ })
		refused(await db.from('memory_updates').insert({ kind: 'session' }), 400, '23502', { message: /ref_id/ })
	})

	test('unique (user_id, kind, ref_id), idempotency: queued once, however often', async () => {
		const again = { user_id: ana.id, kind: 'session', ref_id: session.id }
		refused(await db.from('memory_updates').insert(again), 409, '23505', { hint: /upsert with on_conflict=user_id,kind,ref_id/ })
		assert.equal(took(await db.from('memory_updates').upsert(again, conflict).select().single()).id, update.id)
		assert.deepEqual(took(await db.from('memory_updates').upsert(again, { ...conflict, ignoreDuplicates: true }).select()), [])
		assert.equal(took(await db.from('memory_updates').select('id').eq('ref_id', session.id)).length, 1)
		assert.equal((await make(ben.db, 'memory_updates', { kind: 'session', ref_id: session.id })).user_id, ben.id, 'of each user')
	})

	test('index (user_id, processed, created_at): the pipeline takes what is pending, the oldest first', async () => {
		const eve = user('eve')
		const [one, two] = took(await eve.db.from('memory_updates').insert([1, 2].map((day) => ({ kind: 'check_in', ref_id: randomUUID(), created_at: at(day) }))).select())
		const pending = () => service.from('memory_updates').select('id').eq('user_id', eve.id).eq('processed', false).order('created_at')
		assert.deepEqual(took(await pending()), [{ id: one.id }, { id: two.id }])
		const done = took(await service.from('memory_updates').update({ processed: true }).eq('id', one.id).select().single())
		assert.ok(recent(done.processed_at))
		assert.deepEqual(took(await pending()), [{ id: two.id }])
	})

	test('what became of it is the pipeline\'s to say', async () => {
		await kept({ db, table: 'memory_updates', row: update, insert: { kind: 'session', ref_id: randomUUID() }, values: { processed: true, attempts: 1, last_error: 'x', processed_at: '2026-01-01T00:00:00Z' } })
		refused(await db.from('memory_updates').update({ ref_id: nowhere }).eq('id', update.id), 403, '42501', { message: /stays what it is/, hint: /Queue another one/ })
	})

	test('RLS: user_id = auth.uid()', async () => {
		await hidden({ row: await read('memory_updates', update, 'id, user_id, kind, ref_id, created_at'), table: 'memory_updates', owner: ana, stranger: ben, anon, change: { kind: 'insight' }, remove: false })
		refused(await ben.db.from('memory_updates').insert({ user_id: ana.id, kind: 'session', ref_id: nowhere }), 403, '42501')
	})
})

describe('table insights', () => {
	test('its columns', () => shape('insights', {
		id: 'uuid', user_id: 'uuid', type: 'text', status: 'text', content: 'jsonb', rating: 'jsonb', feedback: 'text', revealed_at: 'timestamptz',
		actioned_at: 'timestamptz', created_at: 'timestamptz', updated_at: 'timestamptz',
	}))

	test('pending, and neither rated nor seen, if nothing is said', () => {
		const { user_id, status, content, rating, feedback, revealed_at, actioned_at } = insight
		assert.deepEqual({ user_id, status, content, rating, feedback, revealed_at, actioned_at },
			{ user_id: ana.id, status: 'pending', content: { text: 'Rest.' }, rating: null, feedback: null, revealed_at: null, actioned_at: null })
	})

	test('type: session_summary, nudge, follow_up, observation', async () => {
		for (const type of ['session_summary', 'nudge', 'follow_up', 'observation']) {
			const made = await make(db, 'insights', { type })
			assert.equal(made.type, type)
			took(await db.from('insights').delete().eq('id', made.id))
		}
		refused(await db.from('insights').insert({ type: 'verdict' }), 400, '23514', { message: /insights_type_known/, hint: /session_summary, nudge, follow_up, observation/ })
	})

	test('status: pending, revealed, actioned, each with its time, and never back', async () => {
		const own = await make(db, 'insights', { type: 'follow_up' })
		const step = (status) => db.from('insights').update({ status }).eq('id', own.id).select().single()
		const revealed = took(await step('revealed'))
		assert.ok(recent(revealed.revealed_at) && revealed.actioned_at === null)
		const actioned = took(await step('actioned'))
		assert.ok(recent(actioned.actioned_at) && actioned.revealed_at === revealed.revealed_at)
		refused(await step('pending'), 400, '23514', { message: /actioned cannot become pending/, hint: /pending to revealed to actioned/ })
		refused(await step('ignored'), 400, '23514', { hint: /status is one of pending, revealed, actioned/ })
		assert.equal((await read('insights', own)).status, 'actioned')
	})

	test('rating and feedback: what the user answers', async () => {
		const answered = await touched({ db, table: 'insights', row: insight, change: { rating: { stars: 4 }, feedback: 'That helped.' } })
		assert.deepEqual([answered.rating, answered.feedback], [{ stars: 4 }, 'That helped.'])
	})

	test('what was noticed, and when, stays', () => kept({
		db, table: 'insights', row: insight, values: { type: 'observation', content: {}, revealed_at: '2026-01-01T00:00:00Z', actioned_at: '2026-01-01T00:00:00Z' },
	}))

	test('indexes (user_id, status), (user_id, status, created_at DESC): the pending ones, the newest first', async () => {
		const eve = user('eve')
		took(await eve.db.from('insights').insert([[1, 'pending'], [2, 'revealed'], [3, 'pending']].map(([day, status]) => ({ type: 'nudge', status, content: { day }, created_at: at(day) }))))
		const found = took(await eve.db.from('insights').select('day:content->day').eq('user_id', eve.id).eq('status', 'pending').order('created_at', { ascending: false }))
		assert.deepEqual(found, [{ day: 3 }, { day: 1 }])
	})

	test('RLS: user_id = auth.uid()', async () => {
		await hidden({ row: await read('insights', insight), table: 'insights', owner: ana, stranger: ben, anon, change: { feedback: 'x' } })
		refused(await ben.db.from('insights').insert({ user_id: ana.id, type: 'nudge' }), 403, '42501')
	})
})

describe('table onboarding', () => {
	const conflict = { onConflict: 'user_id' }

	test('its columns', () => shape('onboarding', {
		id: 'uuid', user_id: 'uuid', current_step: 'int', completed: 'boolean', responses: 'jsonb', completed_at: 'timestamptz', created_at: 'timestamptz',
	}))

	test('completed: default false', () => {
		const { user_id, current_step, completed, responses, completed_at } = steps
		assert.deepEqual({ user_id, current_step, completed, responses, completed_at }, { user_id: ana.id, current_step: 1, completed: false, responses: {}, completed_at: null })
	})

	test('flow tracking: step by step, an upsert each; completed, with its time', async () => {
		for (const current_step of [2, 3]) {
			const next = took(await db.from('onboarding').upsert({ user_id: ana.id, current_step, responses: { [current_step]: 'yes' } }, conflict).select().single())
			assert.deepEqual([next.id, next.current_step, next.responses], [steps.id, current_step, { [current_step]: 'yes' }])
		}
		assert.ok(recent((await touched({ db, table: 'onboarding', row: await read('onboarding', steps), change: { completed: true } })).completed_at))
		assert.equal(took(await db.from('onboarding').update({ completed: false }).eq('id', steps.id).select().single()).completed_at, null)
		refused(await db.from('onboarding').insert({}), 409, '23505', { hint: /Your onboarding has begun/ })
		refused(await db.from('onboarding').update({ current_step: -1 }).eq('id', steps.id), 400, '23514', { hint: /0 or more/ })
	})

	test('RLS: user_id = auth.uid()', async () => {
		await hidden({ row: await read('onboarding', steps), table: 'onboarding', owner: ana, stranger: ben, anon, change: { current_step: 9 } })
		refused(await ben.db.from('onboarding').insert({ user_id: ana.id }), 403, '42501')
		refused(await ben.db.from('onboarding').upsert({ user_id: ana.id, current_step: 9 }, conflict), 403, '42501')
	})
})

describe('relationships diagram', () => {
	test('users → sessions → messages, parts → part_relationships (from/to) and part_assessments', async () => {
		const one = took(await db.from('users').select('id, sessions(id, messages(id)), parts(id, from:part_relationships!from_part_id(id), part_assessments(id))')
			.eq('sessions.id', session.id).eq('sessions.messages.id', message.id).eq('parts.id', critic.id)
			.eq('parts.from.id', relationship.id).eq('parts.part_assessments.id', assessment.id).single())
		assert.deepEqual(one, {
			id: ana.id, sessions: [{ id: session.id, messages: [{ id: message.id }] }],
			parts: [{ id: critic.id, from: [{ id: relationship.id }], part_assessments: [{ id: assessment.id }] }],
		})
		const other = took(await db.from('parts').select('to:part_relationships!to_part_id(id)').eq('id', child.id).eq('to.id', relationship.id).single())
		assert.deepEqual(other, { to: [{ id: relationship.id }] })
	})

	test('users → agent_actions, user_memory_snapshots, memory_updates, insights, onboarding', async () => {
		const found = took(await db.from('users').select('agent_actions(id), user_memory_snapshots(id), memory_updates(id), insights(id), onboarding(id)')
			.eq('agent_actions.id', action.id).eq('insights.id', insight.id).single())
		assert.deepEqual(found, {
			agent_actions: [{ id: action.id }], user_memory_snapshots: [{ id: snapshot.id }], memory_updates: [{ id: update.id }],
			insights: [{ id: insight.id }], onboarding: { id: steps.id },
		})
	})

	test('and back: each leads to its user, an action to its session', async () => {
		const rows = { sessions: session, messages: message, parts: critic, part_relationships: relationship, part_assessments: assessment, agent_actions: action,
			user_memory_snapshots: snapshot, memory_updates: update, insights: insight, onboarding: steps }
		for (const [table, { id }] of Object.entries(rows)) assert.deepEqual(took(await db.from(table).select('users(id)').eq('id', id).single()), { users: { id: ana.id } }, table)
		assert.deepEqual(took(await db.from('agent_actions').select('sessions(title)').eq('id', action.id).single()), { sessions: { title: 'Monday' } })
		assert.deepEqual(took(await db.from('messages').select('sessions(title)').eq('id', message.id).single()), { sessions: { title: 'Monday' } })
	})

	test('complete data isolation: who goes leaves nothing', async () => {
		const gil = user('gil')
		const own = await make(gil.db, 'sessions', {})
		took(await gil.db.from('messages').insert({ session_id: own.id, role: 'user', content: 'x' }))
		const [one, two] = took(await gil.db.from('parts').insert([{ name: 'a' }, { name: 'b' }]).select())
		took(await gil.db.from('part_relationships').insert({ from_part_id: one.id, to_part_id: two.id, relationship_type: 'allied' }))
		took(await gil.db.from('part_assessments').insert({ part_id: one.id, assessment_type: 'x' }))
		took(await act(gil.db, 'update_part', one, { story: 'x' }, { session_id: own.id }))
		took(await gil.db.rpc('save_memory', { document: {} }))
		took(await gil.db.from('memory_updates').insert({ kind: 'session', ref_id: own.id }))
		took(await gil.db.from('insights').insert({ type: 'nudge' }))
		took(await gil.db.from('onboarding').insert({}))
		assert.equal((await service.auth.admin.deleteUser(gil.id)).error, null)
		for (const table of await tables()) {
			assert.deepEqual(took(await service.from(table).select('id').eq(table === 'users' ? 'id' : 'user_id', gil.id)), [], table)
		}
	})
})
