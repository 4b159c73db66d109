#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// supabase-js auth.admin.*: users as the service sees, makes and ends them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anonKey, client, serviceKey, sql, url } from './kith.mjs'

const { admin } = client(serviceKey).auth
const password = 'a walk by the river'
const tag = `${process.pid}.${Date.now()}`
let number = 0
const address = name => `${name}.${tag}.${number++}@example.org`
const told = ({ error }) => [error?.status, error?.code]

async function created(name, attributes = {}) {
	const { data, error } = await admin.createUser({ email: address(name), email_confirm: true, ...attributes })
	assert.equal(error, null)
	return data.user
}

async function signedIn(email, word = password) {
	const kith = client()
	const { error } = await kith.auth.signInWithPassword({ email, password: word })
	assert.equal(error, null)
	return kith
}

test('a user is made with all that the service knows of them', async () => {
	const id = crypto.randomUUID()
	const user = await created('ana', {
		id, password, user_metadata: { name: 'Ana' }, app_metadata: { plan: 'gold' }, role: 'authenticated', ban_duration: 'none',
	})
	assert.equal(user.id, id)
	assert.ok(user.email_confirmed_at)
	assert.deepEqual(user.user_metadata, { name: 'Ana' })
	assert.deepEqual(user.app_metadata, { plan: 'gold', provider: 'email', providers: ['email'] })
	assert.equal(user.identities[0].identity_data.email, user.email)
	const kith = await signedIn(user.email)
	assert.equal((await kith.from('users').select('email').single()).data.email, user.email)
	assert.deepEqual(told(await admin.createUser({ email: user.email.toUpperCase() })), [422, 'email_exists'])
	assert.deepEqual(told(await admin.createUser({ email: address('x'), id })), [422, 'user_already_exists'])
})

test('one without a password or a proved address cannot sign in yet', async () => {
	const user = await created('ben', { email_confirm: false, password })
	assert.equal(user.email_confirmed_at, undefined)
	assert.deepEqual(told(await client().auth.signInWithPassword({ email: user.email, password })), [400, 'email_not_confirmed'])
	assert.ok((await admin.updateUserById(user.id, { email_confirm: true })).data.user.email_confirmed_at)
	await signedIn(user.email)
	const bare = await created('bea')
	assert.deepEqual(told(await client().auth.signInWithPassword({ email: bare.email, password })), [400, 'invalid_credentials'])
})

test('a hash of another server is taken over, of kinds that can be checked', async () => {
	const hash = '$2a$06$abcdefghijklmnopqrstuupZ.HKoOJVDs1D2nc4hYjMao1TB6UnqO'  // of the password, by crypt(3)
	const { email } = await created('carl', { password_hash: hash })
	await signedIn(email)
	for (const wrong of ['$argon2id$v=19$m=65536,t=3,p=4$x$y', '$1$salt$x', 'plain', '*0', '$2a$31$' + 'a'.repeat(53), '$2b$10$short'])
		assert.deepEqual(told(await admin.createUser({ email: address('c'), password_hash: wrong })), [400, 'validation_failed'], wrong)
	assert.deepEqual(told(await admin.createUser({ email: address('c'), password_hash: hash, password })), [400, 'validation_failed'])
})

test('what cannot be a user is refused', async () => {
	for (const wrong of [
		{}, { email: 'x' }, { email: 5 }, { email: address('d'), id: '5' }, { email: address('d'), id: '00000000-0000-0000-0000-000000000000' },
		{ email: address('d'), role: 'admin' }, { email: address('d'), role: 'anon' }, { email: address('d'), user_metadata: 'x' },
		{ email: address('d'), app_metadata: [] }, { email: address('d'), ban_duration: '1 day' }, { email: address('d'), ban_duration: '-1h' },
		{ email: address('d'), ban_duration: '1' }, { email: address('d'), ban_duration: 'h' }, { email: address('d'), ban_duration: '.h' },
		{ email: address('d'), ban_duration: `${'9'.repeat(400)}h` }, { email: address('d'), ban_duration: 24 },
		{ email: address('d'), email_confirm: 'perhaps' }, { email: address('d'), password: 'a\0b' }, { email: address('d'), password: 'é'.repeat(37) },
		{ phone: '+431234' }, { email: address('d'), user_metadata: { text: 'x'.repeat(17000) } },
	]) {
		const { error } = await admin.createUser(wrong)
		assert.equal(error?.status, 400, JSON.stringify(wrong).slice(0, 80))
		assert.ok(['validation_failed', 'bad_json'].includes(error.code), error.code)
	}
	assert.deepEqual(told(await admin.createUser({ email: address('d'), password: '12345' })), [422, 'weak_password'])
	assert.equal(sql(`select count(*) from auth.users where email like 'd.${tag}%'`), '0')
})

test('a user is changed', async () => {
	const user = await created('eva', { password, user_metadata: { a: 1, b: 2 } })
	const kith = await signedIn(user.email)
	const { data, error } = await admin.updateUserById(user.id, {
		email: address('eva.new'), user_metadata: { b: null, c: 3 }, app_metadata: { plan: 'gold' },
	})
	assert.equal(error, null)
	assert.match(data.user.email, /^eva\.new/)
	assert.deepEqual(data.user.user_metadata, { a: 1, c: 3 })
	assert.equal(data.user.app_metadata.plan, 'gold')
	assert.equal(data.user.identities[0].identity_data.email, data.user.email)
	assert.equal((await kith.from('users').select('email').single()).data.email, data.user.email)
	assert.equal((await admin.updateUserById(user.id, { password: 'by the sea' })).error, null)
	assert.equal((await kith.from('users').select()).status, 401, 'a new password ends every session')
	await signedIn(data.user.email, 'by the sea')
	const other = await created('eve')
	assert.deepEqual(told(await admin.updateUserById(other.id, { email: data.user.email })), [422, 'email_exists'])
	assert.equal((await admin.updateUserById(other.id, { email: other.email })).error, null, 'their own is theirs')
})

test('a ban lasts as long as Go says', async () => {
	const user = await created('fay', { password })
	const kith = await signedIn(user.email)
	for (const [duration, seconds] of [['24h', 86400], ['1h30m', 5400], ['1.5h', 5400], ['90s', 90], ['1m500ms', 60.5], ['876000h', 876000 * 3600]]) {
		const { data } = await admin.updateUserById(user.id, { ban_duration: duration })
		const lasts = (new Date(data.user.banned_until) - new Date(data.user.updated_at)) / 1000
		assert.ok(Math.abs(lasts - seconds) < 0.01, `${duration}: ${lasts}`)
	}
	assert.equal((await kith.from('users').select()).status, 401, 'at once')
	assert.deepEqual(told(await client().auth.signInWithPassword({ email: user.email, password })), [400, 'user_banned'])
	assert.equal((await admin.updateUserById(user.id, { ban_duration: 'none' })).data.user.banned_until, undefined)
	assert.equal((await kith.from('users').select()).status, 200)
})

test('users are read by id, and listed in pages', async () => {
	const made = []
	for (let i = 0; i < 5; i++) made.unshift((await created('list', { user_metadata: { full_name: `Gus ${tag}` } })).id)
	assert.equal((await admin.getUserById(made[0])).data.user.id, made[0])
	assert.deepEqual(told(await admin.getUserById(crypto.randomUUID())), [404, 'user_not_found'])

	const all = await admin.listUsers()
	assert.equal(all.error, null)
	assert.equal(all.data.total, Number(sql('select count(*) from auth.users')))
	assert.ok(all.data.users.length >= 5 && all.data.users.length <= 50)
	assert.equal(all.data.aud, 'authenticated')
	const page = await admin.listUsers({ page: 2, perPage: 2 })
	assert.equal(page.data.users.length, 2)
	assert.equal(page.data.nextPage, 3)

	const raw = async query => {
		const answer = await fetch(`${url}/auth/v1/admin/users?${query}`, { headers: { apikey: serviceKey } })
		return { status: answer.status, link: answer.headers.get('link'), total: answer.headers.get('x-total-count'), body: await answer.json() }
	}
	const ids = ({ body }) => body.users.map(user => user.id)
	const first = await raw(`page=&per_page=2&filter=GUS+${tag}`)
	assert.deepEqual(ids(first), made.slice(0, 2), 'newest first')
	assert.equal(first.total, '5')
	assert.equal(first.link, '</auth/v1/admin/users?page=2&per_page=2>; rel="next", </auth/v1/admin/users?page=3&per_page=2>; rel="last"')
	const last = await raw(`page=3&per_page=2&filter=gus%20${tag}`)
	assert.deepEqual(ids(last), made.slice(4))
	assert.equal(last.link, '</auth/v1/admin/users?page=3&per_page=2>; rel="last"')
	const beyond = await raw(`page=9&per_page=2&filter=gus+${tag}`)
	assert.deepEqual([beyond.status, beyond.body.users], [200, []])
	assert.deepEqual((await raw('filter=%25%25%25')).body.users, [], 'a filter has no wildcards')
	for (const wrong of ['page=0', 'page=-1', 'per_page=x', 'page=99999999999999999999', 'per_page=1.5'])
		assert.equal((await raw(wrong)).status, 400, wrong)
	assert.match((await raw('per_page=100000')).link, /per_page=1000>/)
})

test('a deleted user is gone with all that is theirs', async () => {
	const user = await created('hal', { password })
	const kith = await signedIn(user.email)
	await kith.from('conversations').insert({ title: 'Mine' })
	const { data, error } = await admin.deleteUser(user.id)
	assert.equal(error, null)
	assert.equal(data.user.id, user.id)
	assert.equal((await kith.from('users').select()).status, 401)
	assert.equal(sql(`select count(*) from public.conversations where user_id = '${user.id}'`), '0')
	assert.deepEqual(told(await admin.deleteUser(user.id)), [404, 'user_not_found'])
	await created('hal', { email: user.email })
})

test('softly, the row stays, and tells nothing', async () => {
	const user = await created('ina', { password, user_metadata: { name: 'Ina' }, app_metadata: { plan: 'gold' } })
	const kith = await signedIn(user.email)
	await kith.from('conversations').insert({ title: 'Mine' })
	assert.equal((await admin.deleteUser(user.id, true)).error, null)
	assert.equal((await kith.from('users').select()).status, 401)
	assert.equal(sql(`select count(*) from public.conversations where user_id = '${user.id}'`), '1')
	const { data } = await admin.getUserById(user.id)
	assert.ok(data.user.deleted_at)
	assert.equal(JSON.stringify(data.user).includes(user.email), false)
	assert.deepEqual([data.user.email, data.user.user_metadata, data.user.app_metadata, data.user.identities], ['', {}, {}, []])
	assert.deepEqual(told(await client().auth.signInWithPassword({ email: user.email, password })), [400, 'invalid_credentials'])
	await created('ina', { email: user.email })
	assert.equal((await admin.deleteUser(user.id)).error, null, 'and can still go altogether')
})

test('only the service may', async () => {
	const user = await created('jon', { password })
	const kith = await signedIn(user.email)
	const { data: { session } } = await kith.auth.getSession()
	const ask = async (method, path, headers, body) => {
		const answer = await fetch(`${url}/auth/v1${path}`, {
			method, headers: { 'content-type': 'application/json', 'x-supabase-api-version': '2024-01-01', ...headers }, body,
		})
		return [answer.status, (await answer.json()).code]
	}
	const callers = [
		[{}, [401, 'no_authorization']],
		[{ apikey: anonKey }, [401, 'no_authorization']],
		[{ apikey: anonKey, authorization: `Bearer ${anonKey}` }, [403, 'not_admin']],
		[{ apikey: anonKey, authorization: `Bearer ${session.access_token}` }, [403, 'not_admin']],
		[{ apikey: serviceKey, authorization: `Bearer ${session.access_token}` }, [403, 'not_admin']],
		[{ apikey: anonKey, authorization: 'Bearer x.y.z' }, [403, 'bad_jwt']],
		[{ apikey: serviceKey, authorization: 'Bearer x.y.z' }, [403, 'bad_jwt']],
	]
	for (const [method, path, body] of [
		['GET', '/admin/users'], ['POST', '/admin/users', `{"email":"${address('k')}"}`], ['GET', `/admin/users/${user.id}`],
		['PUT', `/admin/users/${user.id}`, '{"role":"service_role"}'], ['DELETE', `/admin/users/${user.id}`],
		['POST', '/admin/generate_link', `{"type":"recovery","email":"${user.email}"}`], ['POST', '/invite', `{"email":"${address('k')}"}`],
	])
		for (const [headers, refused] of callers)
			assert.deepEqual(await ask(method, path, headers, body), refused, `${method} ${path} ${JSON.stringify(headers).slice(0, 60)}`)
	assert.deepEqual(await ask('GET', '/admin/users/5', { apikey: serviceKey }), [404, 'validation_failed'])
	assert.deepEqual(await ask('DELETE', '/admin/users/5', { apikey: serviceKey }), [404, 'validation_failed'])
	assert.deepEqual(await ask('PATCH', `/admin/users/${user.id}`, { apikey: serviceKey }, '{}'), [405, 'KITH405'])
	assert.deepEqual(await ask('DELETE', `/admin/users/${user.id}`, { apikey: serviceKey }, '{"should_soft_delete":1}'), [400, 'validation_failed'])
	assert.deepEqual(await ask('DELETE', `/admin/users/${user.id}`, { apikey: serviceKey }), [200, undefined], 'without a body too')
})

test('without mail nothing waits for one', async () => {
	const user = await created('kay', { password })
	const kith = await signedIn(user.email)
	for (const { error } of [
		await kith.auth.resetPasswordForEmail(user.email), await kith.auth.signInWithOtp({ email: user.email }),
		await kith.auth.resend({ type: 'signup', email: user.email }), await kith.auth.reauthenticate(), await admin.inviteUserByEmail(address('l')),
	])
		assert.deepEqual([error.status, error.code], [422, 'email_provider_disabled'])
	const email = address('kay.new')
	assert.equal((await kith.auth.updateUser({ email })).data.user.email, email, 'another address counts at once')
	const { data, error } = await admin.generateLink({ type: 'recovery', email })
	assert.equal(error, null, 'the service can still make links')
	assert.equal((await client().auth.verifyOtp({ type: 'recovery', email, token: data.properties.email_otp })).error, null)
})
