#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// Thinking Partner: a client that knows only that document does all it says, by its names.

import { randomUUID } from 'node:crypto'
import { sql } from '../sdk/kith.mjs'
import { assert, describe, hidden, kept, nowhere, refused, system, test, touched, took } from './walk.mjs'

const { service, anon, user, shape } = system('thinking_partner')
const ana = user('ana')
const ben = user('ben')
const { db } = ana

const make = async (who, table, values) => took(await who.from(table).insert(values).select().single())
const embedding = (...first) => JSON.stringify([...first, ...Array(1536 - first.length).fill(0)])
const at = (text) => new Date(text).toISOString()
const hour = 3_600_000
const ago = (hours) => new Date(Date.now() - hours * hour).toISOString()

// What the rest of the document speaks of: one of each.
const workspace = await make(db, 'workspaces', { name: 'Studio', owner_email: ana.email })
const project = await make(db, 'projects', { name: 'Garden guide', description: 'A book', workspace_id: workspace.id })
const other = await make(db, 'projects', { name: 'House', workspace_id: workspace.id })
const session = await make(db, 'chat_sessions', { project_id: project.id })
const turn = await make(db, 'session_messages', { session_id: session.id, role: 'user', content: 'Where do roses grow?' })
const memory = await make(db, 'memories', { project_id: project.id, content: 'Roses want sun' })
const doc = await make(db, 'documents', { project_id: project.id, filename: 'roses.pdf' })
const chunk = await make(service, 'chunks', { document_id: doc.id, content: 'On roses', chunk_index: 0 })
const ticket = await make(db, 'work_tickets', { project_id: project.id, task: 'Find ten roses', agent_type: 'research' })
const output = await make(db, 'work_outputs', { ticket_id: ticket.id, title: 'Ten roses', output_type: 'text', content: '1. Gallica' })
const event = await make(service, 'subscription_events', { workspace_id: workspace.id, event_type: 'subscription_created' })
const mail = await make(service, 'scheduled_messages', { workspace_id: workspace.id, scheduled_for: '2999-01-01T08:00:00Z', message_type: 'weekly', subject: 'Your week', content: { text: 'Hello' }, recipient_email: ana.email })
const delivery = await make(service, 'email_delivery_log', { scheduled_message_id: mail.id, recipient: ana.email, subject: 'Your week' })
const bens = {}
bens.workspace = await make(ben.db, 'workspaces', { name: 'Ben\'s' })
bens.project = await make(ben.db, 'projects', { name: 'Ben\'s', workspace_id: bens.workspace.id })
bens.session = await make(ben.db, 'chat_sessions', {})
bens.ticket = await make(ben.db, 'work_tickets', { project_id: bens.project.id, task: 'Ben\'s', agent_type: 'content' })

describe('entity relationship', () => {
	const relations = {
		'project 1──n memories (project-scoped memories)': ['projects', 'memories', project.id, memory.id],
		'project 1──n chat_sessions (project-scoped conversations)': ['projects', 'chat_sessions', project.id, session.id],
		'project 1──n documents (project-scoped documents)': ['projects', 'documents', project.id, doc.id],
		'project 1──n work_tickets': ['projects', 'work_tickets', project.id, ticket.id],
		'document 1──n chunks': ['documents', 'chunks', doc.id, chunk.id],
		'chat_session 1──n session_messages (conversation turns)': ['chat_sessions', 'session_messages', session.id, turn.id],
		'work_ticket 1──n work_outputs (agent deliverables)': ['work_tickets', 'work_outputs', ticket.id, output.id],
		'workspaces and their projects': ['workspaces', 'projects', workspace.id, project.id],
		'workspaces and their subscription_events': ['workspaces', 'subscription_events', workspace.id, event.id],
		'workspaces and their scheduled_messages': ['workspaces', 'scheduled_messages', workspace.id, mail.id],
		'scheduled_messages and their email_delivery_log': ['scheduled_messages', 'email_delivery_log', mail.id, delivery.id],
	}
	for (const [title, [one, many, parent, child]] of Object.entries(relations)) {
		test(title, async () => {
			const down = took(await db.from(one).select(`id, ${many}(id)`).eq('id', parent).eq(`${many}.id`, child).single())
			assert.deepEqual(down, { id: parent, [many]: [{ id: child }] })
			const up = took(await db.from(many).select(`id, ${one}(id)`).eq('id', child).single())
			assert.deepEqual(up, { id: child, [one]: { id: parent } })
		})
	}

	test('user 1──n memories, chat_sessions, documents: all of a user\'s, and nobody else\'s', async () => {
		for (const table of ['memories', 'chat_sessions', 'documents']) {
			const owners = took(await db.from(table).select('user_id'))
			assert.ok(owners.length > 0 && owners.every((row) => row.user_id === ana.id), table)
		}
	})

	test('a chain in one query: workspace, projects, tickets, outputs', async () => {
		const found = took(await db.from('workspaces').select('name, projects(name, work_tickets(task, work_outputs(title)))')
			.eq('id', workspace.id).order('name', { referencedTable: 'projects' }).single())
		assert.deepEqual(found, {
			name: 'Studio', projects: [
				{ name: 'Garden guide', work_tickets: [{ task: 'Find ten roses', work_outputs: [{ title: 'Ten roses' }] }] },
				{ name: 'House', work_tickets: [] },
			],
		})
	})
})

describe('table memories', () => {
	test('its columns', () => shape('memories', {
		id: 'uuid', user_id: 'uuid', project_id: 'uuid', content: 'text', embedding: 'vector(1536)', tags: 'text[]', entities: 'jsonb',
		importance: 'float', source_type: 'text', source_ref: 'jsonb', is_active: 'boolean', created_at: 'timestamptz', updated_at: 'timestamptz',
	}))

	test('id auto-generated, user_id the caller\'s, created_at and updated_at auto', () => {
		assert.match(memory.id, /^[0-9a-f-]{36}$/)
		assert.equal(memory.user_id, ana.id)
		assert.ok(Date.parse(memory.created_at) > Date.now() - hour && memory.updated_at === memory.created_at)
	})

	test('is_active: default true; project_id NULL = user-scoped; the rest may stay out', async () => {
		const made = await make(db, 'memories', { content: 'Prefers tea' })
		const { is_active, project_id, embedding, source_ref } = made
		assert.deepEqual({ is_active, project_id, embedding, source_ref }, { is_active: true, project_id: null, embedding: null, source_ref: null })
	})

	test('everything the document lists is kept as it was given', async () => {
		const full = {
			project_id: project.id, content: 'Vera of Acme grows roses', embedding: embedding(0.25, -1), tags: ['roses', 'people'],
			entities: { people: ['Vera'], companies: ['Acme'], concepts: ['roses'] }, importance: 0.9, source_type: 'chat',
			source_ref: { session_id: session.id, chunk_id: chunk.id, document_id: doc.id }, is_active: true,
		}
		const made = await make(db, 'memories', full)
		for (const [name, value] of Object.entries(full)) assert.deepEqual(made[name], value, name)
		took(await db.from('memories').delete().eq('id', made.id))
	})

	test('emergent tags and entities are searched by what they hold', async () => {
		const made = await make(db, 'memories', { content: 'x', tags: ['emergent', 'b'], entities: { people: ['Mia'], companies: [] } })
		const query = () => db.from('memories').select('id')
		assert.deepEqual(took(await query().contains('tags', ['emergent'])), [{ id: made.id }])
		assert.deepEqual(took(await query().contains('entities', { people: ['Mia'] })), [{ id: made.id }])
		assert.deepEqual(took(await query().overlaps('tags', ['emergent', 'none'])), [{ id: made.id }])
	})

	test('importance: 0-1', async () => {
		for (const importance of [0, 1]) assert.equal((await make(db, 'memories', { content: 'x', importance })).importance, importance)
		for (const importance of [-0.01, 1.01, 'NaN']) {
			refused(await db.from('memories').insert({ content: 'refused', importance }), 400, '23514', { message: /memories_importance_range/, hint: /between 0 and 1/ })
		}
		assert.deepEqual(took(await db.from('memories').select().eq('content', 'refused')), [])
	})

	test('source_type: chat, document, manual, import', async () => {
		for (const source_type of ['chat', 'document', 'manual', 'import']) assert.equal((await make(db, 'memories', { content: 'x', source_type })).source_type, source_type)
		refused(await db.from('memories').insert({ content: 'x', source_type: 'dream' }), 400, '23514', { message: /memories_source_type_known/, hint: /chat, document, manual, import/ })
	})

	test('embedding: vector(1536), and no other', async () => {
		refused(await db.from('memories').insert({ content: 'x', embedding: '[1,2,3]' }), 400, '22000', { message: /1536/ })
		refused(await db.from('memories').insert({ content: 'x', embedding: 'roses' }), 400, '22P02')
	})

	test('content: required', async () => {
		refused(await db.from('memories').insert({ tags: [] }), 400, '23502', { message: /content/ })
		refused(await db.from('memories').insert({ content: '' }), 400, '23514', { message: /memories_content_length/, hint: /1 to 8000 characters/ })
	})

	test('scope: user-scoped is portable across all projects, project-scoped is isolated to specific work', async () => {
		const mine = user('scope').db
		const home = await make(mine, 'workspaces', { name: 'w' })
		const [one, two] = took(await mine.from('projects').insert([{ name: '1', workspace_id: home.id }, { name: '2', workspace_id: home.id }]).select())
		took(await mine.from('memories').insert([{ content: 'everywhere' }, { content: 'in one', project_id: one.id }, { content: 'in two', project_id: two.id }]))
		const seen = async ({ id }) => took(await mine.from('memories').select('content').or(`project_id.is.null,project_id.eq.${id}`).order('content')).map((row) => row.content)
		assert.deepEqual([await seen(one), await seen(two)], [['everywhere', 'in one'], ['everywhere', 'in two']])
		assert.deepEqual(took(await mine.from('memories').select('content').is('project_id', null)), [{ content: 'everywhere' }])
	})

	test('soft-delete: is_active flag instead of hard delete, and back', async () => {
		const made = await make(db, 'memories', { content: 'Old' })
		took(await db.from('memories').update({ is_active: false }).eq('id', made.id))
		const live = () => db.from('memories').select('id').eq('is_active', true).eq('id', made.id)
		assert.deepEqual(took(await live()), [])
		assert.equal(took(await db.from('memories').select('content').eq('id', made.id).single()).content, 'Old')
		took(await db.from('memories').update({ is_active: true }).eq('id', made.id))
		assert.deepEqual(took(await live()), [{ id: made.id }])
	})

	test('updated_at: auto', () => touched({ db, table: 'memories', row: memory, change: { content: 'Roses want sun and water' } }))

	test('RLS: users can only manage their own memories', async () => {
		const row = took(await db.from('memories').select().eq('id', memory.id).single())
		await hidden({ row, table: 'memories', owner: ana, stranger: ben, anon, change: { content: 'x' } })
		refused(await ben.db.from('memories').insert({ user_id: ana.id, content: 'x' }), 403, '42501')
		refused(await ben.db.from('memories').insert({ project_id: project.id, content: 'x' }), 403, '42501', { hint: /every row that it refers to, must be your own/ })
		refused(await db.from('memories').update({ project_id: bens.project.id }).eq('id', memory.id), 403, '42501')
		refused(await db.from('memories').insert({ project_id: nowhere, content: 'x' }), 403, '42501')
		assert.deepEqual(took(await service.from('memories').select('project_id').eq('id', memory.id)), [{ project_id: project.id }])
	})
})

describe('table chat_sessions', () => {
	test('its columns', () => shape('chat_sessions', {
		id: 'uuid', user_id: 'uuid', project_id: 'uuid', session_type: 'text', status: 'text', started_at: 'timestamptz', ended_at: 'timestamptz',
		context_metadata: 'jsonb', created_at: 'timestamptz', updated_at: 'timestamptz',
	}))

	test('session_type: default thinking_partner; a new one is active, started, and not ended', () => {
		const { session_type, status, user_id, ended_at } = session
		assert.deepEqual({ session_type, status, user_id, ended_at }, { session_type: 'thinking_partner', status: 'active', user_id: ana.id, ended_at: null })
		assert.ok(Date.parse(session.started_at) > Date.now() - hour)
	})

	test('project_id: nullable (NULL = global/orchestration chat)', async () => {
		const global = await make(db, 'chat_sessions', { project_id: null, status: 'archived' })
		const found = took(await db.from('chat_sessions').select('id').is('project_id', null).eq('status', 'archived'))
		assert.deepEqual(found, [{ id: global.id }])
	})

	test('status: active, completed, archived', async () => {
		const own = await make(db, 'chat_sessions', {})
		for (const status of ['completed', 'archived', 'active']) {
			assert.equal(took(await db.from('chat_sessions').update({ status }).eq('id', own.id).select().single()).status, status)
		}
		const ended = took(await db.from('chat_sessions').update({ status: 'completed', ended_at: '2026-02-01T10:00:00Z' }).eq('id', own.id).select().single())
		assert.equal(at(ended.ended_at), '2026-02-01T10:00:00.000Z')
		refused(await db.from('chat_sessions').update({ status: 'asleep' }).eq('id', own.id), 400, '23514', { message: /status_known/, hint: /completed, archived/ })
	})

	test('context_metadata: {memories_count, context_type, model}', async () => {
		const context_metadata = { memories_count: 3, context_type: 'project', model: 'm-1' }
		took(await db.from('chat_sessions').update({ context_metadata }).eq('id', session.id))
		const query = db.from('chat_sessions').select('context_metadata, model:context_metadata->>model').eq('context_metadata->>context_type', 'project')
		assert.deepEqual(took(await query), [{ context_metadata, model: 'm-1' }])
	})

	test('updated_at: auto (trigger)', async () => {
		const row = took(await db.from('chat_sessions').select().eq('id', session.id).single())
		await touched({ db, table: 'chat_sessions', row, change: { context_metadata: {} } })
	})

	test('RLS: users own their chat sessions', async () => {
		const row = took(await db.from('chat_sessions').select().eq('id', session.id).single())
		await hidden({ row, table: 'chat_sessions', owner: ana, stranger: ben, anon, change: { status: 'archived' } })
		refused(await ben.db.from('chat_sessions').insert({ user_id: ana.id }), 403, '42501')
		refused(await ben.db.from('chat_sessions').insert({ project_id: project.id }), 403, '42501')
		refused(await ben.db.from('chat_sessions').update({ user_id: ana.id }).eq('id', bens.session.id), 403, '42501')
	})
})

describe('function get_or_create_chat_session', () => {
	const cleo = user('cleo')
	const open = async (values = {}) => took(await cleo.db.rpc('get_or_create_chat_session', { user_id: cleo.id, ...values }))
	let home

	test('makes a session and returns it, with the document\'s names', async () => {
		home = await make(cleo.db, 'workspaces', { name: 'Cleo\'s' })
		const made = await open({ project_id: null, session_type: 'thinking_partner', scope: 'daily' })
		const { user_id, project_id, session_type, status, context_metadata } = made
		assert.deepEqual({ user_id, project_id, session_type, status, context_metadata },
			{ user_id: cleo.id, project_id: null, session_type: 'thinking_partner', status: 'active', context_metadata: {} })
	})

	test('daily scope: one active session per user/project/day', async () => {
		const { id } = await open()
		assert.equal((await open()).id, id)
		assert.equal(took(await cleo.db.rpc('get_or_create_chat_session', {})).id, id, 'the caller is the user, if none is named')
		assert.notEqual((await open({ session_type: 'review' })).id, id, 'another type is another session')
		const [one, two] = took(await cleo.db.from('projects').insert([{ name: '1', workspace_id: home.id }, { name: '2', workspace_id: home.id }]).select())
		const first = await open({ project_id: one.id })
		assert.equal(first.project_id, one.id)
		assert.equal((await open({ project_id: one.id })).id, first.id)
		assert.equal(new Set([id, first.id, (await open({ project_id: two.id })).id]).size, 3, 'each project has its own')
		assert.notEqual(took(await ben.db.rpc('get_or_create_chat_session', {})).id, id, 'each user has their own')
	})

	test('one active session also when ten ask at once', async () => {
		const ids = await Promise.all(Array.from({ length: 10 }, async () => (await open({ session_type: 'at once' })).id))
		assert.equal(new Set(ids).size, 1)
		assert.equal(took(await cleo.db.from('chat_sessions').select('id').eq('session_type', 'at once')).length, 1)
	})

	test('a session that is completed, or of another day, is not reused', async () => {
		const { id } = await open({ session_type: 'again' })
		took(await cleo.db.from('chat_sessions').update({ status: 'completed', ended_at: ago(0) }).eq('id', id))
		const next = await open({ session_type: 'again' })
		assert.notEqual(next.id, id)
		took(await cleo.db.from('chat_sessions').update({ started_at: ago(25) }).eq('id', next.id))
		assert.ok(![id, next.id].includes((await open({ session_type: 'again' })).id))
	})

	test('scope conversation: always a new one; no other scope is known', async () => {
		assert.notEqual((await open({ scope: 'conversation' })).id, (await open({ scope: 'conversation' })).id)
		refused(await cleo.db.rpc('get_or_create_chat_session', { scope: 'weekly' }), 400, '22023', { message: /scope must be daily or conversation/ })
	})

	test('neither another user\'s sessions nor their projects', async () => {
		refused(await cleo.db.rpc('get_or_create_chat_session', { user_id: ana.id }), 403, '42501', { message: /another user/ })
		refused(await cleo.db.rpc('get_or_create_chat_session', { project_id: project.id }), 403, '42501')
		refused(await anon.rpc('get_or_create_chat_session', {}), 401, '42501')
		assert.equal(took(await service.rpc('get_or_create_chat_session', { user_id: cleo.id })).user_id, cleo.id, 'the server opens one for a user')
	})
})

describe('table session_messages', () => {
	test('its columns', () => shape('session_messages', {
		id: 'uuid', session_id: 'uuid', role: 'text', content: 'text', sequence_number: 'int', metadata: 'jsonb', created_at: 'timestamptz',
	}))

	test('role: user, assistant, system', async () => {
		const { id: session_id } = await make(db, 'chat_sessions', {})
		const made = took(await db.from('session_messages').insert(['system', 'user', 'assistant'].map((role) => ({ session_id, role, content: role }))).select('role, sequence_number'))
		assert.deepEqual(made, [{ role: 'system', sequence_number: 1 }, { role: 'user', sequence_number: 2 }, { role: 'assistant', sequence_number: 3 }])
		refused(await db.from('session_messages').insert({ session_id, role: 'tool', content: 'x' }), 400, '23514', { message: /role_known/, hint: /user, assistant, system/ })
		refused(await db.from('session_messages').insert({ session_id, role: 'user' }), 400, '23502', { message: /content/ })
		assert.equal(took(await db.from('session_messages').select('id').eq('session_id', session_id)).length, 3, 'what was refused left no gap')
	})

	test('sequence_number: order within session (unique per session), the server\'s to give', async () => {
		const { id: session_id } = await make(db, 'chat_sessions', {})
		await kept({ db, table: 'session_messages', row: turn, values: { sequence_number: 1 }, insert: { session_id, role: 'user', content: 'x' } })
		const [first, second] = took(await db.from('session_messages').insert(['a', 'b'].map((content) => ({ session_id, role: 'user', content }))).select())
		assert.deepEqual([first.sequence_number, second.sequence_number], [1, 2])
		refused(await service.from('session_messages').update({ sequence_number: 1 }).eq('id', second.id), 409, '23505', { message: /sequence_number/ })
	})

	test('metadata: {tokens, latency_ms, model}', async () => {
		const metadata = { tokens: 12, latency_ms: 340, model: 'm-1' }
		assert.deepEqual((await make(db, 'session_messages', { session_id: session.id, role: 'assistant', content: 'In the sun', metadata })).metadata, metadata)
	})

	test('a turn, once written, is not deleted singly; it goes with its session', async () => {
		const own = await make(db, 'chat_sessions', {})
		const said = await make(db, 'session_messages', { session_id: own.id, role: 'user', content: 'x' })
		refused(await db.from('session_messages').delete().eq('id', said.id), 403, '42501')
		took(await db.from('chat_sessions').delete().eq('id', own.id))
		assert.deepEqual(took(await service.from('session_messages').select().eq('id', said.id)), [])
	})

	test('RLS: users can access messages in their sessions', async () => {
		const row = took(await db.from('session_messages').select().eq('id', turn.id).single())
		await hidden({ row, table: 'session_messages', owner: ana, stranger: ben, anon, change: { content: 'x' }, remove: false })
		refused(await ben.db.from('session_messages').insert({ session_id: session.id, role: 'user', content: 'x' }), 403, '42501')
		refused(await db.from('session_messages').insert({ session_id: nowhere, role: 'user', content: 'x' }), 403, '42501')
		refused(await db.from('session_messages').update({ session_id: bens.session.id }).eq('id', turn.id), 403, '42501')
	})
})

describe('function append_session_message', () => {
	const append = (who, values) => who.rpc('append_session_message', { session_id: session.id, role: 'user', content: 'x', ...values })

	test('returns the turn, with the document\'s names', async () => {
		const own = await make(db, 'chat_sessions', {})
		const metadata = { tokens: 3 }
		const said = took(await append(db, { session_id: own.id, role: 'assistant', content: 'Sun', metadata }))
		const { id, created_at, ...rest } = said
		assert.deepEqual(rest, { session_id: own.id, role: 'assistant', content: 'Sun', sequence_number: 1, metadata })
		assert.deepEqual(took(await append(db, { session_id: own.id })).metadata, {}, 'metadata may be left out')
		assert.deepEqual(took(await db.from('session_messages').select().eq('id', id)), [said])
	})

	test('auto sequence numbers: 1, 2, 3 ... also when ten append at once', async () => {
		const { id: session_id } = await make(db, 'chat_sessions', {})
		const said = await Promise.all(Array.from({ length: 10 }, async () => took(await append(db, { session_id })).sequence_number))
		assert.deepEqual(said.sort((a, b) => a - b), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
	})

	test('in one\'s own sessions only, and only what a turn may be', async () => {
		refused(await append(ben.db, {}), 403, '42501')
		refused(await append(anon, {}), 401, '42501')
		refused(await append(db, { session_id: nowhere }), 403, '42501')
		refused(await append(db, { role: 'tool' }), 400, '23514')
		refused(await append(db, { role: undefined }), 404, 'PGRST202', { message: /append_session_message/ })
	})
})

describe('table documents', () => {
	test('its columns', () => shape('documents', {
		id: 'uuid', user_id: 'uuid', project_id: 'uuid', filename: 'text', file_url: 'text', storage_path: 'text', file_type: 'text', file_size: 'int',
		processing_status: 'text', processed_at: 'timestamptz', error_message: 'text', page_count: 'int', word_count: 'int', created_at: 'timestamptz',
	}))

	test('storage_path: {user_id}/{doc_id}/original.{ext}, and nobody else\'s folder', async () => {
		const id = randomUUID()
		const storage_path = `${ana.id}/${id}/original.pdf`
		const full = { id, filename: 'plan.pdf', file_url: `https://example.org/documents/${storage_path}`, storage_path, file_type: 'pdf', file_size: 4096 }
		const made = await make(db, 'documents', full)
		for (const [name, value] of Object.entries(full)) assert.equal(made[name], value, name)
		for (const path of [`${ben.id}/${id}/original.pdf`, `${ana.id}/${randomUUID()}/original.pdf`, `${ana.id}/${id}/../original.pdf`, 'plan.pdf']) {
			refused(await db.from('documents').update({ storage_path: path }).eq('id', id), 400, '23514', { message: /documents_storage_path_own/, hint: /<your id>.<id of the document>/ })
		}
	})

	test('storage: bucket documents, where each user has a folder', async () => {
		const id = randomUUID()
		const storage_path = `${ana.id}/${id}/original.pdf`
		const file = new Blob([Buffer.from('%PDF-1.7\n%%EOF\n')], { type: 'application/pdf' })
		const bucket = db.storage.from('documents')
		assert.equal(took(await bucket.upload(storage_path, file)).path, storage_path)
		const { signedUrl } = took(await bucket.createSignedUrl(storage_path, 3600))
		const made = await make(db, 'documents', { id, filename: 'plan.pdf', file_url: signedUrl, storage_path, file_type: 'pdf', file_size: file.size })
		const shown = await fetch(made.file_url)
		assert.deepEqual([shown.status, shown.headers.get('content-type'), await shown.text()], [200, 'application/pdf', await file.text()])
		assert.deepEqual(took(await bucket.list(`${ana.id}/${id}`)).map(({ name, metadata }) => [name, metadata.size]), [['original.pdf', file.size]])
		assert.equal((await ben.db.storage.from('documents').download(storage_path)).error.statusCode, '404')
		assert.equal((await ben.db.storage.from('documents').upload(`${ana.id}/${id}/other.pdf`, file)).error.statusCode, '403')
		took(await db.from('documents').delete().eq('id', id))
		const left = sql(`select count(*) from storage.objects o where o.name = '${storage_path}' and not exists (
			select from kith.jobs j where j.kind = 'delete_files' and strpos(j.payload::text, o.name) > 0)`)
		assert.equal(left, '0', 'with the row its file goes, or is queued to')
	})

	test('project_id: nullable (user-scoped if NULL); filename: required', async () => {
		const made = await make(db, 'documents', { filename: 'notes.md', file_type: 'md' })
		assert.deepEqual([made.project_id, made.user_id, made.processing_status], [null, ana.id, 'pending'])
		refused(await db.from('documents').insert({ file_type: 'md' }), 400, '23502', { message: /filename/ })
	})

	test('file_type: pdf, docx, txt, md; file_size in bytes', async () => {
		const made = took(await db.from('documents').insert(['pdf', 'docx', 'txt', 'md'].map((file_type) => ({ filename: 'f', file_type }))).select('file_type'))
		assert.deepEqual(made.map((row) => row.file_type), ['pdf', 'docx', 'txt', 'md'])
		refused(await db.from('documents').insert({ filename: 'f', file_type: 'exe' }), 400, '23514', { message: /documents_file_type_known/, hint: /pdf, docx, txt, md/ })
		refused(await db.from('documents').insert({ filename: 'f', file_size: -1 }), 400, '23514', { message: /documents_file_size_positive/ })
		assert.equal(took(await db.from('documents').delete().eq('filename', 'f').select('id')).length, 4)
	})

	test('processing_status: pending, processing, completed; processed_at when processing completed', async () => {
		const made = await make(db, 'documents', { filename: 'f.pdf' })
		const step = async (values) => took(await service.from('documents').update(values).eq('id', made.id).select().single())
		assert.deepEqual([made.processing_status, made.processed_at], ['pending', null])
		assert.equal((await step({ processing_status: 'processing' })).processed_at, null)
		const done = await step({ processing_status: 'completed', page_count: 12, word_count: 4000 })
		assert.deepEqual([done.page_count, done.word_count], [12, 4000])
		assert.ok(Date.parse(done.processed_at) > Date.now() - hour)
		refused(await service.from('documents').update({ processing_status: 'lost' }).eq('id', made.id), 400, '23514')
	})

	test('failed: error_message on failure; then it can be tried again', async () => {
		const made = await make(db, 'documents', { filename: 'f.pdf' })
		const step = async (values) => took(await service.from('documents').update(values).eq('id', made.id).select().single())
		await step({ processing_status: 'processing' })
		const failed = await step({ processing_status: 'failed', error_message: 'no text layer' })
		assert.deepEqual([failed.processing_status, failed.error_message, failed.processed_at], ['failed', 'no text layer', null])
		const again = await step({ processing_status: 'processing' })
		assert.deepEqual([again.processing_status, again.error_message], ['processing', null])
	})

	test('processing status tracking is the server\'s', () => kept({
		db, table: 'documents', row: doc, insert: { filename: 'f' },
		values: { processing_status: 'completed', processed_at: '2026-01-01', error_message: 'x', page_count: 1, word_count: 1 },
	}))

	test('RLS: users can manage their own documents (via user_id)', async () => {
		assert.equal(took(await db.from('documents').update({ filename: 'roses-2.pdf' }).eq('id', doc.id).select().single()).filename, 'roses-2.pdf')
		const row = took(await db.from('documents').select().eq('id', doc.id).single())
		await hidden({ row, table: 'documents', owner: ana, stranger: ben, anon, change: { filename: 'x' } })
		refused(await ben.db.from('documents').insert({ user_id: ana.id, filename: 'x' }), 403, '42501')
		refused(await ben.db.from('documents').insert({ project_id: project.id, filename: 'x' }), 403, '42501')
		const gone = await make(db, 'documents', { filename: 'f' })
		took(await db.from('documents').delete().eq('id', gone.id))
		assert.deepEqual(took(await service.from('documents').select().eq('id', gone.id)), [])
	})
})

describe('table chunks', () => {
	test('its columns', () => shape('chunks', {
		id: 'uuid', document_id: 'uuid', content: 'text', embedding: 'vector(1536)', chunk_index: 'int', page_number: 'int', metadata: 'jsonb',
		token_count: 'int', created_at: 'timestamptz',
	}))

	test('chunk_index: 0-based order in document, with page_number, token_count and metadata', async () => {
		const paper = await make(db, 'documents', { filename: 'f.pdf', project_id: null })
		const pieces = [0, 1, 2].map((chunk_index) => ({
			document_id: paper.id, chunk_index, content: `piece ${chunk_index}`, embedding: embedding(chunk_index, 1), page_number: chunk_index + 1,
			metadata: { section_title: 'Soil', heading_level: 2 }, token_count: 400,
		}))
		took(await service.from('chunks').insert(pieces.toReversed()))
		const read = took(await db.from('chunks').select('document_id, chunk_index, content, embedding, page_number, metadata, token_count').eq('document_id', paper.id).order('chunk_index'))
		assert.deepEqual(read, pieces)
		refused(await service.from('chunks').insert(pieces[1]), 409, '23505', { message: /chunks_chunk_index_key/ })
		refused(await service.from('chunks').insert({ ...pieces[1], chunk_index: -1 }), 400, '23514')
		took(await db.from('documents').delete().eq('id', paper.id))
		assert.deepEqual(took(await service.from('chunks').select('id').eq('document_id', paper.id)), [], 'chunks go with their document')
	})

	test('RLS: users can access chunks from their documents (via documents.user_id)', async () => {
		assert.deepEqual(took(await db.from('chunks').select('content').eq('id', chunk.id)), [{ content: 'On roses' }])
		await hidden({ row: chunk, table: 'chunks', owner: ana, stranger: ben, anon, change: { content: 'x' }, update: false, remove: false })
		refused(await db.from('chunks').insert({ document_id: doc.id, content: 'x', chunk_index: 9 }), 403, '42501')
		refused(await service.from('chunks').insert({ document_id: nowhere, content: 'x', chunk_index: 0 }), 409, '23503')
	})

	test('three-tier: documents → chunks → memories', async () => {
		const made = await make(db, 'memories', { content: 'from a chunk', source_type: 'document', source_ref: { document_id: doc.id, chunk_id: chunk.id } })
		assert.deepEqual(took(await db.from('memories').select('id').eq('source_ref->>chunk_id', chunk.id)), [{ id: made.id }])
	})
})

describe('table workspaces', () => {
	test('its columns', () => shape('workspaces', {
		id: 'uuid', name: 'text', owner_id: 'uuid', owner_email: 'text', subscription_status: 'text', subscription_expires_at: 'timestamptz',
		lemonsqueezy_customer_id: 'text', lemonsqueezy_subscription_id: 'text', created_at: 'timestamptz', updated_at: 'timestamptz',
	}))

	test('name required; owner_id the caller\'s; subscription_status default free', async () => {
		assert.deepEqual([workspace.owner_id, workspace.subscription_status, workspace.subscription_expires_at], [ana.id, 'free', null])
		refused(await db.from('workspaces').insert({ owner_email: ana.email }), 400, '23502', { message: /name/ })
	})

	test('owner_email: for admin queries', async () => {
		assert.deepEqual(took(await service.from('workspaces').select('id').eq('owner_email', ana.email)), [{ id: workspace.id }])
	})

	test('subscription_status: free, pro, with the billing period\'s end and Lemon Squeezy\'s ids, by the server', async () => {
		const own = await make(db, 'workspaces', { name: 'Paid' })
		const paid = { subscription_status: 'pro', subscription_expires_at: '2999-01-01T00:00:00+00:00', lemonsqueezy_customer_id: '77', lemonsqueezy_subscription_id: '991' }
		await kept({ db, table: 'workspaces', row: own, values: paid, insert: { name: 'x' } })
		took(await service.from('workspaces').update(paid).eq('id', own.id))
		assert.deepEqual(took(await db.from('workspaces').select(Object.keys(paid).join()).eq('id', own.id).single()), paid)
		assert.deepEqual(took(await service.from('workspaces').select('id').eq('lemonsqueezy_subscription_id', '991').eq('owner_id', ana.id)), [{ id: own.id }])
		refused(await service.from('workspaces').update({ subscription_status: 'gold' }).eq('id', own.id), 400, '23514', { message: /subscription_status_known/ })
		took(await db.from('workspaces').delete().eq('id', own.id))
	})

	test('updated_at: auto (trigger)', () => touched({ db, table: 'workspaces', row: workspace, change: { name: 'Studio 2' } }))

	test('RLS: owner can manage own workspaces', async () => {
		const row = took(await db.from('workspaces').select().eq('id', workspace.id).single())
		await hidden({ row, table: 'workspaces', owner: ana, stranger: ben, anon, change: { name: 'x' } })
		refused(await ben.db.from('workspaces').insert({ name: 'x', owner_id: ana.id }), 403, '42501')
		refused(await ben.db.from('workspaces').update({ owner_id: ana.id }).eq('id', bens.workspace.id), 403, '42501')
	})
})

describe('table projects', () => {
	test('its columns', () => shape('projects', {
		id: 'uuid', name: 'text', description: 'text', workspace_id: 'uuid', created_at: 'timestamptz', updated_at: 'timestamptz',
	}))

	test('name: required; description: optional', async () => {
		assert.deepEqual([other.description, project.description], [null, 'A book'])
		refused(await db.from('projects').insert({ workspace_id: workspace.id }), 400, '23502', { message: /name/ })
		refused(await db.from('projects').insert({ name: 'x' }), 403, '42501')
	})

	test('updated_at: auto (trigger)', () => touched({ db, table: 'projects', row: project, change: { description: 'A longer book' } }))

	test('RLS: users can manage projects in their workspaces', async () => {
		const row = took(await db.from('projects').select().eq('id', project.id).single())
		await hidden({ row, table: 'projects', owner: ana, stranger: ben, anon, change: { name: 'x' } })
		refused(await ben.db.from('projects').insert({ name: 'x', workspace_id: workspace.id }), 403, '42501')
		refused(await db.from('projects').update({ workspace_id: bens.workspace.id }).eq('id', project.id), 403, '42501')
	})

	test('a project takes what is scoped to it along, and nothing else', async () => {
		const gone = await make(db, 'projects', { name: 'Gone', workspace_id: workspace.id })
		const made = await make(db, 'memories', { content: 'x', project_id: gone.id })
		const started = await make(db, 'chat_sessions', { project_id: gone.id })
		took(await db.from('projects').delete().eq('id', gone.id))
		assert.deepEqual(took(await service.from('memories').select('id').in('id', [made.id, memory.id])), [{ id: memory.id }])
		assert.deepEqual(took(await service.from('chat_sessions').select('id').in('id', [started.id, session.id])), [{ id: session.id }])
	})
})

describe('table work_tickets', () => {
	test('its columns', () => shape('work_tickets', {
		id: 'uuid', task: 'text', agent_type: 'text', status: 'text', parameters: 'jsonb', error_message: 'text', project_id: 'uuid',
		created_at: 'timestamptz', started_at: 'timestamptz', completed_at: 'timestamptz',
	}))

	test('agent_type: research, content, reporting; parameters: agent-specific', async () => {
		for (const agent_type of ['research', 'content', 'reporting']) {
			const made = await make(db, 'work_tickets', { task: 'x', agent_type, parameters: { depth: 2 }, project_id: other.id })
			assert.deepEqual([made.agent_type, made.parameters, made.status], [agent_type, { depth: 2 }, 'pending'])
		}
		refused(await db.from('work_tickets').insert({ task: 'x', agent_type: 'cook', project_id: other.id }), 400, '23514', { message: /agent_type_known/, hint: /research, content, reporting/ })
		refused(await db.from('work_tickets').insert({ agent_type: 'content', project_id: other.id }), 400, '23502', { message: /task/ })
	})

	test('status: pending, running, completed; started_at when agent started, completed_at when agent finished', async () => {
		const made = await make(db, 'work_tickets', { task: 'x', agent_type: 'content', project_id: other.id })
		const step = async (status) => took(await service.from('work_tickets').update({ status }).eq('id', made.id).select().single())
		assert.deepEqual([made.started_at, made.completed_at], [null, null])
		const running = await step('running')
		assert.ok(running.started_at && !running.completed_at)
		const done = await step('completed')
		assert.ok(done.started_at === running.started_at && done.completed_at > done.started_at)
		refused(await service.from('work_tickets').update({ status: 'running' }).eq('id', made.id), 400, '23514',
			{ message: /a ticket that is completed cannot become running/, hint: /from pending to running/ })
	})

	test('failed: error_message on failure', async () => {
		const made = await make(db, 'work_tickets', { task: 'x', agent_type: 'content', project_id: other.id })
		took(await service.from('work_tickets').update({ status: 'running' }).eq('id', made.id))
		const failed = took(await service.from('work_tickets').update({ status: 'failed', error_message: 'no source' }).eq('id', made.id).select().single())
		assert.equal(failed.error_message, 'no source')
		assert.ok(failed.completed_at)
	})

	test('the lifecycle is the server\'s', () => kept({
		db, table: 'work_tickets', row: ticket, insert: { task: 'x', agent_type: 'content', project_id: other.id },
		values: { status: 'completed', error_message: 'x', started_at: '2026-01-01', completed_at: '2026-01-01' },
	}))

	test('RLS: users can manage tickets in their projects', async () => {
		assert.equal(took(await db.from('work_tickets').update({ task: 'Find twelve roses' }).eq('id', ticket.id).select().single()).task, 'Find twelve roses')
		const row = took(await db.from('work_tickets').select().eq('id', ticket.id).single())
		await hidden({ row, table: 'work_tickets', owner: ana, stranger: ben, anon, change: { task: 'x' } })
		refused(await ben.db.from('work_tickets').insert({ task: 'x', agent_type: 'content', project_id: project.id }), 403, '42501')
		refused(await db.from('work_tickets').update({ project_id: bens.project.id }).eq('id', ticket.id), 403, '42501')
	})
})

describe('table work_outputs', () => {
	test('its columns', () => shape('work_outputs', {
		id: 'uuid', title: 'text', output_type: 'text', content: 'text', file_url: 'text', file_format: 'text', ticket_id: 'uuid', created_at: 'timestamptz',
	}))

	test('output_type text: content, for text outputs', async () => {
		assert.deepEqual([output.content, output.file_url], ['1. Gallica', null])
		refused(await db.from('work_outputs').insert({ ticket_id: ticket.id, title: 'x', output_type: 'text' }), 400, '23514', { message: /work_outputs_fits_type/, hint: /type text has content/ })
	})

	test('output_type file: file_url and file_format (pdf, pptx, docx, etc), for file outputs', async () => {
		for (const file_format of ['pdf', 'pptx', 'docx', 'xlsx']) {
			const made = await make(db, 'work_outputs', { ticket_id: ticket.id, title: 'x', output_type: 'file', file_url: 'https://example.org/x', file_format })
			assert.deepEqual([made.file_url, made.file_format, made.content], ['https://example.org/x', file_format, null])
		}
		refused(await db.from('work_outputs').insert({ ticket_id: ticket.id, title: 'x', output_type: 'song' }), 400, '23514', { message: /output_type_known/, hint: /text, file/ })
	})

	test('RLS: users can view and create outputs for their tickets', async () => {
		await hidden({ row: output, table: 'work_outputs', owner: ana, stranger: ben, anon, change: { title: 'x' }, update: false, remove: false })
		const theirs = { title: 'x', output_type: 'text', content: 'x' }
		refused(await ben.db.from('work_outputs').insert({ ...theirs, ticket_id: ticket.id }), 403, '42501')
		refused(await db.from('work_outputs').insert({ ...theirs, ticket_id: bens.ticket.id }), 403, '42501')
		refused(await db.from('work_outputs').update({ title: 'x' }).eq('id', output.id), 403, '42501')
	})
})

describe('table subscription_events', () => {
	test('its columns', () => shape('subscription_events', {
		id: 'uuid', workspace_id: 'uuid', event_type: 'text', event_source: 'text', ls_subscription_id: 'text', ls_customer_id: 'text', payload: 'jsonb',
		created_at: 'timestamptz',
	}))

	test('event_source: default lemonsqueezy; payload: full webhook payload', async () => {
		assert.equal(event.event_source, 'lemonsqueezy')
		const payload = { meta: { event_name: 'subscription_updated' }, data: { id: '991', attributes: { total: 12345678901234567890n.toString() } } }
		const full = { workspace_id: workspace.id, event_type: 'subscription_updated', event_source: 'lemonsqueezy', ls_subscription_id: '991', ls_customer_id: '77', payload }
		const made = await make(service, 'subscription_events', full)
		const { id, created_at, ...seen } = took(await db.from('subscription_events').select().eq('id', made.id).single())
		assert.deepEqual(seen, full)
		assert.ok(Date.parse(created_at) > Date.now() - hour)
	})

	test('audit log: the server adds, and nobody changes', async () => {
		refused(await service.from('subscription_events').update({ event_type: 'x' }).eq('id', event.id), 403, '42501')
		refused(await service.from('subscription_events').delete().eq('id', event.id), 403, '42501')
		refused(await db.from('subscription_events').insert({ workspace_id: workspace.id, event_type: 'subscription_created' }), 403, '42501')
		refused(await service.from('subscription_events').insert({ workspace_id: nowhere, event_type: 'x' }), 409, '23503', { message: /workspace "0000.*dead" not found/ })
	})

	test('RLS: users can view their own subscription events', () => hidden({
		row: event, table: 'subscription_events', owner: ana, stranger: ben, anon, change: { event_type: 'x' }, update: false, remove: false,
	}))
})

describe('table scheduled_messages', () => {
	test('its columns', () => shape('scheduled_messages', {
		id: 'uuid', workspace_id: 'uuid', scheduled_for: 'timestamptz', message_type: 'text', subject: 'text', content: 'jsonb', recipient_email: 'text',
		status: 'text', sent_at: 'timestamptz', failure_reason: 'text', created_at: 'timestamptz',
	}))

	test('what the server schedules is kept as it was given, and pending', () => {
		const { scheduled_for, message_type, subject, content, recipient_email, status, sent_at, failure_reason } = mail
		assert.deepEqual({ scheduled_for: at(scheduled_for), message_type, subject, content, recipient_email, status, sent_at, failure_reason }, {
			scheduled_for: '2999-01-01T08:00:00.000Z', message_type: 'weekly', subject: 'Your week', content: { text: 'Hello' }, recipient_email: ana.email,
			status: 'pending', sent_at: null, failure_reason: null,
		})
	})

	test('status: pending, sent, failed; sent_at when actually sent; failure_reason on failure', async () => {
		const made = await make(service, 'scheduled_messages', { workspace_id: workspace.id, scheduled_for: '2999-01-01', message_type: 'x' })
		const sent = took(await service.from('scheduled_messages').update({ status: 'sent', sent_at: '2026-02-01T08:00:01Z' }).eq('id', made.id).select().single())
		assert.deepEqual([sent.status, at(sent.sent_at)], ['sent', '2026-02-01T08:00:01.000Z'])
		const failed = took(await service.from('scheduled_messages').update({ status: 'failed', sent_at: null, failure_reason: 'no such mailbox' }).eq('id', made.id).select().single())
		assert.deepEqual([failed.status, failed.failure_reason], ['failed', 'no such mailbox'])
		refused(await service.from('scheduled_messages').update({ status: 'lost' }).eq('id', made.id), 400, '23514', { message: /status_known/ })
		await kept({ db, table: 'scheduled_messages', row: mail, values: { status: 'sent', sent_at: '2026-01-01', failure_reason: 'x' },
			insert: { workspace_id: workspace.id, scheduled_for: '2999-01-01' } })
	})

	test('RLS: users can view their workspace messages', async () => {
		await hidden({ row: mail, table: 'scheduled_messages', owner: ana, stranger: ben, anon, change: { subject: 'x' } })
		refused(await ben.db.from('scheduled_messages').insert({ workspace_id: workspace.id, scheduled_for: '2999-01-01' }), 403, '42501')
		refused(await db.from('scheduled_messages').update({ workspace_id: bens.workspace.id }).eq('id', mail.id), 403, '42501')
		refused(await service.from('scheduled_messages').insert({ workspace_id: nowhere, scheduled_for: '2999-01-01', message_type: 'x' }), 409, '23503',
			{ message: /workspace "0000.*dead" not found/ })
	})

	test('a workspace that goes takes its pending mail back', async () => {
		const own = await make(db, 'workspaces', { name: 'Closing' })
		const made = await make(service, 'scheduled_messages', { workspace_id: own.id, scheduled_for: '2999-01-01', message_type: 'x' })
		took(await db.from('workspaces').delete().eq('id', own.id))
		const left = took(await db.from('scheduled_messages').select('status, workspace_id').eq('id', made.id).single())
		assert.deepEqual(left, { status: 'canceled', workspace_id: null })
	})
})

describe('table email_delivery_log', () => {
	test('its columns', () => shape('email_delivery_log', {
		id: 'uuid', scheduled_message_id: 'uuid', recipient: 'text', subject: 'text', provider: 'text', provider_message_id: 'text', status: 'text',
		status_updated_at: 'timestamptz', created_at: 'timestamptz',
	}))

	test('provider: default resend; status and status_updated_at: last status update', async () => {
		assert.equal(delivery.provider, 'resend')
		const provider_message_id = randomUUID()
		took(await service.from('email_delivery_log').update({ status: 'sent', provider_message_id }).eq('id', delivery.id))
		const sent = took(await db.from('email_delivery_log').select('status, status_updated_at').eq('provider_message_id', provider_message_id).single())
		assert.equal(sent.status, 'sent')
		assert.ok(sent.status_updated_at > delivery.status_updated_at)
		took(await service.from('email_delivery_log').update({ status: 'bounced' }).eq('provider_message_id', provider_message_id))
		took(await service.from('email_delivery_log').update({ status: 'delivered' }).eq('provider_message_id', provider_message_id))
		assert.equal(took(await db.from('email_delivery_log').select('status').eq('id', delivery.id).single()).status, 'bounced', 'older news changes nothing')
	})

	test('RLS: users can view logs for their messages', async () => {
		const row = took(await db.from('email_delivery_log').select().eq('id', delivery.id).single())
		await hidden({ row, table: 'email_delivery_log', owner: ana, stranger: ben, anon, change: { status: 'opened' }, update: false, remove: false })
		refused(await db.from('email_delivery_log').insert({ scheduled_message_id: mail.id, recipient: ana.email }), 403, '42501')
		refused(await service.from('email_delivery_log').insert({ scheduled_message_id: nowhere, recipient: 'x' }), 409, '23503')
	})
})

describe('legacy tables', () => {
	test('agent_sessions is superseded by chat_sessions, user_context and blocks by memories', async () => {
		for (const table of ['agent_sessions', 'user_context', 'blocks']) {
			refused(await db.from(table).select(), 404, 'PGRST205', { message: new RegExp(`'thinking_partner.${table}'`) })
		}
	})
})

describe('function search_memories', () => {
	const dora = user('dora')
	const search = async (values) => took(await dora.db.rpc('search_memories', { query_embedding: embedding(1), ...values }))
	const contents = (rows) => rows.map((row) => row.content)
	let garden, house

	test('relevance = similarity * 0.7 + importance * 0.3, best first', async () => {
		const home = await make(dora.db, 'workspaces', { name: 'w' });
		[garden, house] = took(await dora.db.from('projects').insert(['garden', 'house'].map((name) => ({ name, workspace_id: home.id }))).select())
		took(await dora.db.from('memories').insert([
			{ content: 'tea', embedding: embedding(1), importance: 0 },
			{ content: 'coffee', embedding: embedding(4, 3), importance: 1 },
			{ content: 'rain', embedding: embedding(0, 2), importance: 0.5 },
			{ content: 'unread', importance: 1 },
			{ content: 'retired', embedding: embedding(1), importance: 1, is_active: false },
		]))
		const found = await search({ match_count: 20 })
		assert.deepEqual(contents(found), ['coffee', 'tea', 'rain'])
		for (const { content, similarity, importance, relevance } of found) {
			assert.ok(Math.abs(similarity * 0.7 + importance * 0.3 - relevance) < 1e-6, content)
			assert.ok(Math.abs(similarity - { tea: 1, coffee: 0.8, rain: 0 }[content]) < 1e-6, content)
		}
	})

	test('project_id IS NULL OR project_id = $project_id', async () => {
		took(await dora.db.from('memories').insert([garden, house].map(({ id, name }) => ({ content: name, project_id: id, embedding: embedding(1), importance: 0.5 }))))
		assert.deepEqual(contents(await search({ project_id: garden.id })), ['coffee', 'garden', 'tea', 'rain'])
		assert.deepEqual(contents(await search({ project_id: house.id })), ['coffee', 'house', 'tea', 'rain'])
		assert.deepEqual(contents(await search({})), ['coffee', 'tea', 'rain'])
	})

	test('LIMIT 20, or as many as are asked for', async () => {
		took(await dora.db.from('memories').insert(Array.from({ length: 25 }, (_, i) => ({ content: `m${i}`, project_id: garden.id, embedding: embedding(i, 1) }))))
		assert.equal((await search({ project_id: garden.id })).length, 20)
		assert.equal((await search({ project_id: garden.id, match_count: 50 })).length, 29)
		assert.deepEqual(contents(await search({ project_id: garden.id, match_count: 1 })), ['coffee'])
	})

	test('a match is a memory: it may be filtered and narrowed', async () => {
		const found = took(await dora.db.rpc('search_memories', { query_embedding: embedding(1) }).select('id, content, tags, entities, source_ref, is_active').eq('content', 'tea'))
		assert.deepEqual([found.length, found[0].is_active, found[0].tags], [1, true, []])
	})

	test('WHERE user_id = $user_id: of one\'s own only', async () => {
		assert.deepEqual(took(await ben.db.rpc('search_memories', { query_embedding: embedding(1), project_id: garden.id })), [])
		refused(await ben.db.rpc('search_memories', { query_embedding: embedding(1), user_id: dora.id }), 403, '42501', { message: /another user/ })
		refused(await anon.rpc('search_memories', { query_embedding: embedding(1) }), 401, '42501')
		refused(await dora.db.rpc('search_memories', { query_embedding: '[1,2]' }), 400, '22000', { message: /1536/ })
		assert.equal(took(await service.rpc('search_memories', { query_embedding: embedding(1), user_id: dora.id })).length, 3, 'the server searches for a user')
	})
})

describe('session history', () => {
	test('messages for a session, ORDER BY sequence_number', async () => {
		const { id: session_id } = await make(db, 'chat_sessions', {})
		took(await db.from('session_messages').insert(Array.from({ length: 12 }, (_, i) => ({ session_id, role: i % 2 ? 'assistant' : 'user', content: `turn ${i + 1}` }))))
		const read = took(await db.from('session_messages').select('content, sequence_number').eq('session_id', session_id).order('sequence_number'))
		assert.deepEqual(read, Array.from({ length: 12 }, (_, i) => ({ content: `turn ${i + 1}`, sequence_number: i + 1 })))
		const last = took(await db.from('session_messages').select('content').eq('session_id', session_id).order('sequence_number', { ascending: false }).limit(2))
		assert.deepEqual(last, [{ content: 'turn 12' }, { content: 'turn 11' }])
	})
})

describe('function search_chunks', () => {
	test('relevant chunks from a document, most similar first, LIMIT 5', async () => {
		const paper = await make(db, 'documents', { filename: 'f.pdf' })
		took(await service.from('chunks').insert(Array.from({ length: 8 }, (_, i) => ({ document_id: paper.id, chunk_index: i, content: `c${i}`, embedding: embedding(i, 2) }))))
		const search = async (values) => took(await db.rpc('search_chunks', { document_id: paper.id, query_embedding: embedding(1), ...values })).map((row) => row.content)
		assert.deepEqual(await search({}), ['c7', 'c6', 'c5', 'c4', 'c3'])
		assert.deepEqual(await search({ match_count: 2 }), ['c7', 'c6'])
		assert.deepEqual(await search({ document_id: doc.id }), [], 'a chunk without embedding is not found')
		assert.deepEqual(took(await ben.db.rpc('search_chunks', { document_id: paper.id, query_embedding: embedding(1) })), [], 'nor is one of somebody else')
		refused(await anon.rpc('search_chunks', { document_id: paper.id, query_embedding: embedding(1) }), 401, '42501')
	})
})
