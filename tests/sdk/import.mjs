#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// kith import-supabase and export-supabase: who moves stays signed in, keeps the password, and can go back.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { start } from './instance.mjs'

const password = 'a walk by the river'
const hash = '$2a$10$abcdefghijklmnopqrstuuqmjkA2pjRtWMxIIQlUDWq5u.GZdJUA6'  // of it, as GoTrue writes it
const secret = 'the secret of the project that they come from'
const zeros = '00000000-0000-0000-0000-000000000000'
const told = ({ error }) => [error?.status, error?.code]

// Rows as the tables of Supabase have them.  Columns of a newer server are among them.
const user = (email, more = {}) => ({
	instance_id: zeros, id: randomUUID(), aud: 'authenticated', role: 'authenticated', email, encrypted_password: hash,
	email_confirmed_at: '2024-03-01 10:00:00.123456+00', invited_at: null, confirmation_token: '', confirmation_sent_at: null,
	recovery_token: '', recovery_sent_at: null, email_change_token_new: '', email_change: '', email_change_sent_at: null,
	last_sign_in_at: '2024-04-01 10:00:00+00', raw_app_meta_data: '{"provider": "email", "providers": ["email"]}',
	raw_user_meta_data: '{}', is_super_admin: null, created_at: '2024-03-01 09:59:00+00', updated_at: '2024-04-01 10:00:00+00',
	phone: null, phone_confirmed_at: null, phone_change: '', phone_change_token: '', phone_change_sent_at: null,
	email_change_token_current: '', email_change_confirm_status: '0', banned_until: null, reauthentication_token: '',
	reauthentication_sent_at: null, is_sso_user: 'f', deleted_at: null, is_anonymous: 'f', ...more,
})
const identity = (of, more = {}) => ({
	provider_id: of.id, user_id: of.id, identity_data: JSON.stringify({ sub: of.id, email: of.email, email_verified: true }),
	provider: 'email', last_sign_in_at: of.last_sign_in_at, created_at: of.created_at, updated_at: of.updated_at, id: randomUUID(), ...more,
})
const session = (of, more = {}) => ({
	id: randomUUID(), user_id: of.id, created_at: '2024-04-01 10:00:00+00', updated_at: '2024-04-01 10:00:00+00', factor_id: null,
	aal: 'aal1', not_after: null, refreshed_at: '2024-04-02 10:00:00', user_agent: 'a "browser"\tof \\ theirs', ip: '2001:db8::1',
	tag: null, oauth_client_id: null, refresh_token_hmac_key: null, refresh_token_counter: null, scopes: null, ...more,
})
let tokens = 0
const legacyToken = (of, more = {}) => ({
	instance_id: zeros, id: `${++tokens}`, token: randomBytes(6).toString('hex'), user_id: of.user_id, revoked: 'f',
	created_at: '2024-04-01 10:00:00+00', updated_at: '2024-04-01 10:00:00+00', parent: null, session_id: of.id, ...more,
})
const claim = (of, more = {}) => ({
	session_id: of.id, created_at: of.created_at, updated_at: of.updated_at, authentication_method: 'password', id: randomUUID(), ...more,
})

// GoTrue's own: a session, a counter, their HMAC, and a sum.
function refreshToken({ id, refresh_token_hmac_key: key }, counter) {
	const head = Buffer.concat([Buffer.from([0]), Buffer.from(id.replaceAll('-', ''), 'hex'), Buffer.from([counter])])
	const signed = Buffer.concat([head, createHmac('sha256', Buffer.from(key, 'base64url')).update(head).digest().subarray(0, 16)])
	return Buffer.concat([signed, createHash('sha256').update(signed).digest().subarray(0, 4)]).toString('base64url')
}

// What pg_dump prints: tables are "name: rows", in schema auth unless they say otherwise.
const header = '--\n-- PostgreSQL database dump\n--\n\n\\restrict dQw4w9\n\nSET client_encoding = \'UTF8\';\n' +
	'SET standard_conforming_strings = on;\nSELECT pg_catalog.set_config(\'search_path\', \'\', false);\n\n'
const footer = '\nSELECT pg_catalog.setval(\'auth.refresh_tokens_id_seq\', 4711, true);\n\n' +
	'--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict dQw4w9\n\n'
const named = name => (name.includes('.') ? name : `auth.${name}`)
const escaped = { '\\': '\\\\', '\n': '\\n', '\t': '\\t', '\r': '\\r' }
const copied = value => (value == null ? '\\N' : value.replace(/[\\\n\t\r]/g, char => escaped[char]))
const block = (name, rows) => `COPY ${named(name)} (${Object.keys(rows[0]).join(', ')}) FROM stdin;\n` +
	rows.map(row => Object.values(row).map(copied).join('\t') + '\n').join('') + '\\.\n\n'
const dump = tables => header + Object.entries(tables).filter(([, rows]) => rows.length).map(([name, rows]) => block(name, rows)).join('\n') + footer

// As supabase db dump --data-only does without --use-copy: quoted names, many rows in a statement, generated columns too.
const literal = (name, value) => {
	if (value == null) return 'NULL'
	if (/^is_|^revoked$/.test(name)) return value === 't' ? 'true' : 'false'
	return /^(?:-?\d{1,9}|DEFAULT)$/.test(value) ? value : `'${value.replaceAll("'", "''")}'`
}
const inserts = tables => 'SET session_replication_role = replica;\n\n' + header.replace('\\restrict', '-- \\restrict') +
	Object.entries(tables).filter(([, rows]) => rows.length).map(([name, rows]) =>
		`INSERT INTO ${named(name).split('.').map(part => `"${part}"`).join('.')} (${Object.keys(rows[0]).map(column => `"${column}"`).join(', ')}) VALUES\n` +
		rows.map(row => `\t(${Object.entries(row).map(([column, value]) => literal(column, value)).join(', ')})`).join(',\n') + ';\n\n\n').join('') +
	footer.replace('\\unrestrict', '-- \\unrestrict') + 'RESET ALL;\n'

const load = (kith, text, ...options) => kith.kith(['import-supabase', ...options, '-'], text)
const everything = kith => kith.sql(`select
	(select count(*) from auth.users) || ' ' || (select count(*) from auth.identities) || ' ' || (select count(*) from auth.sessions) || ' ' ||
	(select count(*) from auth.refresh_tokens) || ' ' || (select count(*) from auth.mfa_amr_claims) || ' ' || (select count(*) from public.users)`)
const lines = (text, title) => {
	const all = text.split('\n')
	const from = all.findIndex(line => line.startsWith(title))
	if (from < 0) return null
	const rest = all.slice(from + 1)
	const end = rest.findIndex(line => !line.startsWith('  '))
	return rest.slice(0, end < 0 ? undefined : end).map(line => line.trim())
}

describe('a project that moves here', () => {
	let kith
	const ana = user('ana@example.org', { raw_user_meta_data: JSON.stringify({ name: 'Ana', 'what "she" says': 'it\'s\n\ta \\ day; -- ü' }) })
	const ben = user('ben@example.org')
	const guest = user(null, { encrypted_password: '', email_confirmed_at: null, is_anonymous: 't', raw_app_meta_data: '{}' })
	const gina = user('gina@example.org', { encrypted_password: null, raw_app_meta_data: '{"provider": "google", "providers": ["google"]}' })
	const carl = user('carl@example.org', { encrypted_password: '$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA' })
	const mara = user('mara@example.org')
	const phone = user('', { phone: '43123456', email_confirmed_at: null, phone_confirmed_at: '2024-03-01 10:00:00+00' })
	const dora = user('dora@example.org', { email_confirmed_at: null, confirmation_token: 'f'.repeat(56), role: '' })
	const users = [ana, ben, guest, gina, carl, mara, phone, dora]

	const anas = session(ana)
	const used = legacyToken(anas, { revoked: 't', token: 'aaaaaaaaaaaa' })
	const older = legacyToken(anas, { revoked: 't', token: 'bbbbbbbbbbbb', parent: used.token })
	const active = legacyToken(anas, { token: 'cccccccccccc', parent: older.token })
	const bens = session(ben, { refresh_token_hmac_key: randomBytes(32).toString('base64url'), refresh_token_counter: '7' })
	const locked = session(ben, { refresh_token_hmac_key: '{"key_id":"x","alg":"aes-gcm-hkdf","data":"y"}', refresh_token_counter: '0' })
	const guests = session(guest, { refresh_token_hmac_key: randomBytes(32).toString('base64url'), refresh_token_counter: '0' })
	const maras = session(mara, { aal: 'aal2' })
	const sessions = [anas, bens, locked, guests, maras]
	const tables = {
		audit_log_entries: [{ instance_id: zeros, id: randomUUID(), payload: '{"a": "INSERT INTO auth.users"}', created_at: ana.created_at, ip_address: '' }],
		users: users.map(row => ({ ...row, color: row === ana ? 'green' : null })),
		identities: [
			...users.filter(row => row.email && row !== gina).map(row => identity(row)),
			identity(gina, { provider: 'google', provider_id: '1234567' }),
			identity({ id: randomUUID(), email: 'gone@example.org' }),
		],
		schema_migrations: [{ version: '20240101' }, { version: '20240102' }],
		sessions,
		refresh_tokens: [used, older, active, legacyToken(maras), legacyToken({ user_id: ben.id, id: null })],
		mfa_amr_claims: sessions.map(row => claim(row)),
		mfa_factors: [
			{ id: randomUUID(), user_id: mara.id, friendly_name: 'x', factor_type: 'totp', status: 'verified', secret: 'JBSWY3DP' },
			{ id: randomUUID(), user_id: ana.id, friendly_name: 'x', factor_type: 'totp', status: 'unverified', secret: 'JBSWY3DP' },
		],
		'public.todos': [{ id: '1', title: 'a\n\\. \nCOPY auth.users' }, { id: '2', title: 'b' }],
	}

	before(async () => { kith = await start({ KITH_JWT_SECRET: secret }) })
	after(() => kith?.stop())
	const refreshed = token => kith.client().auth.refreshSession({ refresh_token: token })

	test('a trial changes nothing and tells the same', () => {
		const empty = everything(kith)
		const { status, said, complaint } = load(kith, dump(tables), '--dry-run')
		assert.deepEqual([status, complaint], [0, ''])
		assert.equal(everything(kith), empty)
		assert.match(said, /Nothing was changed/)
		assert.deepEqual(lines(said, 'Taken over'), ['8         users', '6         identities', '4         sessions', '4         refresh tokens', '4         sign-in methods'])
	})

	test('users and sessions are taken over, and what is not is told', () => {
		const { status, said, complaint } = load(kith, gzipSync(dump(tables)))
		assert.deepEqual([status, complaint], [0, ''])
		assert.deepEqual(lines(said, 'Left out'), [
			'1         identities whose user is not in the dump', '1         refresh tokens without session',
			'1         rows of table auth.audit_log_entries', '2         rows of table auth.schema_migrations', '2         rows of table public.todos',
			'1         sessions with a key that is encrypted, or of another Kith', '1         sign-in methods without session',
			'1         values of column auth.users.color',
		])
		assert.deepEqual(lines(said, 'Users with a password that'), ['carl@example.org  $argon2id$'])
		assert.deepEqual(lines(said, 'Users with a second factor'), ['mara@example.org'])
		assert.deepEqual(lines(said, 'Users without e-mail'), ['43123456'])
		assert.deepEqual(lines(said, 'Users without password'), ['gina@example.org  google'])
		assert.deepEqual(lines(said, 'Users who were mailed'), ['dora@example.org'])
		assert.equal(said.includes('$2a$') || said.includes('aGFzaA') || said.includes('JBSWY3DP'), false, 'no hash or secret is printed')
		assert.equal(everything(kith), '8 6 4 4 4 8')
		assert.equal(kith.sql(`select count(*) from public.subscriptions`), '8', 'with all that a sign-up makes')
	})

	test('passwords are what they were', async () => {
		const { data, error } = await kith.client().auth.signInWithPassword({ email: 'ana@example.org', password })
		assert.equal(error, null)
		assert.equal(data.user.id, ana.id)
		assert.deepEqual(data.user.user_metadata, JSON.parse(ana.raw_user_meta_data))
		assert.equal(data.user.email_confirmed_at, '2024-03-01T10:00:00.123456Z')
		assert.equal(data.user.identities[0].identity_data.email, ana.email)
		for (const email of ['carl@example.org', 'gina@example.org', 'ana@example.org'])
			assert.deepEqual(told(await kith.client().auth.signInWithPassword({ email, password: 'another' })), [400, 'invalid_credentials'])
	})

	test('a refresh token of the old kind goes on, once', async () => {
		const { data, error } = await refreshed(active.token)
		assert.equal(error, null)
		assert.equal(data.user.id, ana.id)
		const claims = JSON.parse(Buffer.from(data.session.access_token.split('.')[1], 'base64url'))
		assert.equal(claims.session_id, anas.id)
		assert.equal(claims.amr[0].method, 'password')
		const next = await refreshed(data.session.refresh_token)
		assert.equal(next.error, null)
		const client = kith.client()
		await client.auth.setSession(next.data.session)
		assert.deepEqual((await client.from('users').select('id')).data, [{ id: ana.id }])
		assert.deepEqual(told(await refreshed(used.token)), [400, 'refresh_token_already_used'], 'one from long ago was stolen')
		assert.equal((await refreshed(next.data.session.refresh_token)).error.name, 'AuthSessionMissingError', 'and ends the session')
	})

	test('so does one of the new kind', async () => {
		const { data, error } = await refreshed(refreshToken(bens, 7))
		assert.equal(error, null)
		assert.equal(data.user.id, ben.id)
		assert.equal((await refreshed(data.session.refresh_token)).error, null)
		const strange = { ...bens, refresh_token_hmac_key: randomBytes(32).toString('base64url') }
		assert.deepEqual(told(await refreshed(refreshToken(strange, 7))), [400, 'refresh_token_not_found'])
		const there = await refreshed(refreshToken(guests, 0))
		assert.equal(there.data.user.is_anonymous, true)
		assert.equal(there.data.user.id, guest.id)
		assert.equal((await refreshed(refreshToken({ ...locked, refresh_token_hmac_key: 'x' }, 0))).error.name, 'AuthSessionMissingError')
	})

	test('so do access tokens and keys, with the old secret', async () => {
		const part = value => Buffer.from(JSON.stringify(value)).toString('base64url')
		const signed = claims => {
			const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ iss: 'https://abc.supabase.co/auth/v1', exp: Math.floor(Date.now() / 1000) + 600, ...claims })}`
			return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
		}
		const answer = await fetch(`${kith.url}/rest/v1/users?select=id,email`, { headers: {
			apikey: signed({ iss: 'supabase', ref: 'abc', role: 'anon' }),
			authorization: `Bearer ${signed({ sub: ben.id, aud: 'authenticated', role: 'authenticated', session_id: bens.id })}`,
		} })
		assert.deepEqual([answer.status, await answer.json()], [200, [{ id: ben.id, email: ben.email }]])
	})

	test('who had a second factor waits for a decision', async () => {
		assert.deepEqual(told(await kith.client().auth.signInWithPassword({ email: mara.email, password })), [400, 'user_banned'])
		assert.equal(kith.kith(['user', 'unban', mara.email]).status, 0)
		assert.equal((await kith.client().auth.signInWithPassword({ email: mara.email, password })).error, null)
	})

	test('who is here already is not loaded over, nor is anybody with them', () => {
		const whole = everything(kith)
		const again = load(kith, dump(tables))
		assert.equal(again.status, 1)
		assert.match(again.complaint, /nothing was taken over/)
		assert.equal(lines(again.said, 'Users who are here already').length, 8)
		assert.equal(lines(again.said, 'Taken over'), null)
		const other = load(kith, dump({ users: [user('new@example.org'), user('ANA@example.org'), user('x@example.org'), user('X@example.org')] }))
		assert.equal(other.status, 1)
		assert.deepEqual(lines(other.said, 'Addresses that are here already'), ['ANA@example.org'])
		assert.deepEqual(lines(other.said, 'Addresses that are in the dump more than once').map(line => line.toLowerCase()), ['x@example.org, x@example.org'])
		const taken = load(kith, dump({ users: [user('p@example.org', { phone: '43123456' })], refresh_tokens: [] }))
		assert.deepEqual(lines(taken.said, 'Phone numbers that are here already'), ['p@example.org'])
		const row = user('late@example.org')
		const clash = load(kith, dump({ users: [row], sessions: [session(row, { id: bens.id })] }))
		assert.equal(clash.status, 1)
		assert.match(clash.complaint, /duplicate key/)
		assert.equal(everything(kith), whole)
	})

	test('what is no whole dump is refused', () => {
		const whole = everything(kith)
		const row = user('new@example.org')
		const good = dump({ users: [row] })
		const { encrypted_password: _, ...without } = row
		for (const [text, why] of [
			['', /no users/], ['hello', /no users/], [good.replace('auth.users', 'public.users'), /no users/],
			[good.slice(0, good.indexOf('dump complete')), /cut off/], [good.slice(0, good.indexOf('\\.\n')), /ends in the middle/],
			[good.replace('\n\\.\n', '\nx\ty\n\\.\n'), /2 values for 34 columns/], [good.replace(row.id, 'x'), /invalid input syntax/],
			[good.replace("'UTF8'", "'LATIN1'"), /encoding/], ['PGDMP\x01', /pg_restore/], [Buffer.from('\ufeffSET x', 'utf16le'), /UTF-16/],
			[gzipSync(good).subarray(0, 200), /unexpected end/], [dump({ users: [without] }), /no column encrypted_password/],
			[`INSERT INTO auth.users VALUES ('x');`, /not named/], [`INSERT INTO auth.users (id, email, encrypted_password) SELECT 1;`, /without VALUES/],
			[`INSERT INTO auth.users (id, email, encrypted_password) VALUES (gen_random_uuid(), 'a', 'b');`, /not a value/],
			[`INSERT INTO auth.users (id, email, encrypted_password) VALUES ('a', 'b', 'c`, /middle of a statement/],
		]) {
			const { status, complaint } = load(kith, text)
			assert.equal(status, 1, `${text}`.slice(0, 60))
			assert.match(complaint, why)
			assert.match(complaint, /nothing was taken over/)
		}
		for (const args of [[], ['/nowhere/dump.sql'], ['--force', '-'], ['-', '-']])
			assert.equal(kith.kith(['import-supabase', ...args], good).status, 1, args.join(' '))
		assert.equal(everything(kith), whole)
	})

	test('nothing in a dump is executed', () => {
		const row = user('safe@example.org', { raw_user_meta_data: JSON.stringify({ text: '\\.\n\\! touch /tmp/x; drop table auth.users; :refused' }) })
		const text = dump({ users: [row] })
			.replace('SET client', 'create table public.evil ();\n\\! exit 1\ndrop table public.users cascade; delete from auth.users;\nSET client')
			.replace('\\.\n\n', '\\.\n/* COPY auth.users (id) FROM stdin; */ do $x$ begin delete from auth.users; insert into auth.users (id) values (1); end $x$;\n')
		const { status, complaint } = load(kith, text)
		assert.deepEqual([status, complaint], [0, ''])
		assert.equal(kith.sql(`select to_regclass('public.evil') is null and raw_user_meta_data ->> 'text' like '%drop table%' from auth.users where id = '${row.id}'`), 't')
	})
})

describe('a dump of statements, and back', () => {
	let first, second
	const eva = user("o'eva@example.org", { raw_user_meta_data: JSON.stringify({ text: "it's (a), 'b'; -- c\n$$d$$ \\n" }) })
	const fay = user('fay@example.org')
	const legacy = session(eva)
	const modern = session(fay, { refresh_token_hmac_key: randomBytes(32).toString('base64url'), refresh_token_counter: '3', aal: 'aal2' })
	const token = legacyToken(legacy)
	const tables = {
		users: [eva, fay].map(row => ({ ...row, confirmed_at: 'DEFAULT' })),
		identities: [eva, fay].map(row => ({ ...identity(row), email: 'DEFAULT' })),
		sessions: [legacy, modern], refresh_tokens: [legacyToken(legacy, { revoked: 't' }), token],
		mfa_amr_claims: [legacy, modern].map(row => claim(row)), 'storage.objects': [{ id: '1', name: 'x; (y' }, { id: '2', name: 'z' }],
	}

	before(async () => {
		first = await start()
		second = await start()
	})
	after(() => { first?.stop(); second?.stop() })

	test('statements are read like copies', async () => {
		const { status, said, complaint } = load(first, inserts(tables), '--without-second-factor')
		assert.deepEqual([status, complaint], [0, ''])
		assert.equal(everything(first), '2 2 2 2 2 2')
		assert.deepEqual(lines(said, 'Left out'), ['2         rows of table storage.objects'])
		assert.deepEqual(lines(said, 'Users with a second factor'), ['fay@example.org'])
		assert.match(said, /says nothing about second factors/)
		const { data, error } = await first.client().auth.signInWithPassword({ email: eva.email, password })
		assert.equal(error, null)
		assert.deepEqual(data.user.user_metadata, JSON.parse(eva.raw_user_meta_data))
		assert.equal((await first.client().auth.signInWithPassword({ email: fay.email, password })).error, null, 'who may do without a second factor is let in')
	})

	test('what pg_dump writes is read, in each of its forms', async () => {
		const text = "it's\n\\.\n\\N \\ \t;\r\n-- $$\nCOPY auth.users (id) FROM stdin;\nINSERT INTO auth.users"
		await first.service().from('conversations').insert([{ user_id: eva.id, title: text.slice(0, 100) }, { user_id: eva.id, title: 'b' }])
		const { data } = await first.service().auth.admin.updateUserById(eva.id, { user_metadata: { text } })
		assert.equal(data.user.user_metadata.text, text)
		const args = ['-h', first.sql('show unix_socket_directories'), '-U', 'postgres', '-d', 'kith', '--data-only', '-n', 'auth', '-t', 'public.conversations', '-t', 'auth.*']
		for (const form of [[], ['--quote-all-identifiers'], ['--column-inserts'], ['--column-inserts', '--rows-per-insert=1000', '--on-conflict-do-nothing']]) {
			const written = execFileSync('pg_dump', [...args, ...form], { encoding: 'utf8', maxBuffer: 1 << 28 })
			const { status, said, complaint } = load(second, written, '--dry-run')
			assert.deepEqual([status, complaint], [0, ''], form.join(' '))
			assert.deepEqual(lines(said, 'Taken over').map(parseFloat), [2, 2, 2, 2, 2], form.join(' '))
			assert.deepEqual(lines(said, 'Left out'), [
				'2         rows of table public.conversations', '2         sessions with a key that is encrypted, or of another Kith', '2         sign-in methods without session',
			], form.join(' '))
		}
		const { status, complaint } = load(second, execFileSync('pg_dump', [...args, '--inserts'], { encoding: 'utf8' }))
		assert.equal(status, 1)
		assert.match(complaint, /--column-inserts/)
	})

	test('a dump of ours names its columns and leaves out what is only ours', async () => {
		await first.service().auth.admin.generateLink({ type: 'recovery', email: fay.email })
		first.sql(`update auth.users set aud = null, email_change = null, instance_id = null where id = '${fay.id}'`)
		const { status, said, complaint } = first.kith(['export-supabase'])
		assert.equal(status, 0)
		assert.equal(complaint, 'users: 2, sessions: 2\nleft out: sessions that only this Kith continues: 2, pending links: 1\n')
		assert.equal(/one_time_tokens|code_hash|k1\.|public\./.test(said), false)
		for (const name of ['users', 'identities', 'sessions', 'mfa_amr_claims']) {
			const columns = first.sql(`select string_agg(attname, ', ' order by attname) from pg_attribute
				where attrelid = 'auth.${name}'::regclass and attnum > 0 and attgenerated = ''`)
			assert.equal(said.match(`COPY auth\\.${name} \\((.*)\\) FROM stdin;`)[1].split(', ').sort().join(', '), columns, name)
		}
		assert.ok(first.kith(['export-supabase', '--all']).said.includes('COPY public.users ('))
		assert.equal(first.kith(['export-supabase', 'x']).status, 1)
	})

	test('it loads elsewhere, where the same sessions go on', async () => {
		await first.client().auth.signUp({ email: 'gus@example.org', password })
		first.sql(`update public.subscriptions set plan = 'pro' where user_id = '${fay.id}'`)
		const exported = first.kith(['export-supabase', '--all']).said
		const socket = second.sql('show unix_socket_directories')
		const direct = execFileSync('psql', ['-XqAt', '-v', 'ON_ERROR_STOP=1', '-h', socket, '-U', 'postgres', '-d', 'kith'], {
			encoding: 'utf8',
			input: `begin;\n${exported}\nselect 'users: ' || count(*) from auth.users;
				select 'plan: ' || plan from public.subscriptions where user_id = '${fay.id}';
				select 'conversations: ' || count(*) from public.conversations; rollback;`,
		})
		assert.match(direct, /^users: 3\nplan: pro\nconversations: 2$/m, 'by psql, where the tables are')
		assert.match(load(second, exported.slice(0, exported.lastIndexOf('RESET ALL'))).complaint, /cut off/)
		assert.equal(load(second, exported, '--without-second-factor').status, 0)
		const rows = kith => kith.sql(`select json_agg(json_build_object('id', id, 'email', email, 'hash', encrypted_password,
			'confirmed', confirmed_at, 'meta', raw_user_meta_data, 'app', raw_app_meta_data, 'created', created_at) order by id) from auth.users`)
		assert.equal(rows(second), rows(first))
		assert.equal(second.sql(`select aud || '|' || email_change || '|' || instance_id from auth.users where id = '${fay.id}'`), `authenticated||${zeros}`)
		for (const name of ['auth.identities', 'public.users'])
			assert.equal(second.sql(`select count(*) from ${name}`), '3', name)
		assert.equal((await second.client().auth.refreshSession({ refresh_token: token.token })).data.user?.id, eva.id)
		assert.equal((await second.client().auth.refreshSession({ refresh_token: refreshToken(modern, 3) })).data.user?.id, fay.id)
		assert.equal((await second.client().auth.signInWithPassword({ email: 'gus@example.org', password })).error, null)
	})
})
