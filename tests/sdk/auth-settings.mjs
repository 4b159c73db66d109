#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// supabase-js auth.* where settings differ: guests, a shared secret, no sign-ups.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { start } from './instance.mjs'

const password = 'a walk by the river'
const told = ({ error }) => [error?.status, error?.code]
const claims = token => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'))
const header = token => JSON.parse(Buffer.from(token.split('.')[0], 'base64url'))

describe('guests', () => {
	let kith
	before(async () => {
		kith = await start({ KITH_ANONYMOUS_SIGN_INS: '1', KITH_JWT_EXPIRY: '300', KITH_PASSWORD_MIN_LENGTH: '8', KITH_PASSWORD_HASH: 'yescrypt' })
	})
	after(() => kith?.stop())

	const guest = async (data = {}) => {
		const client = kith.client()
		const { data: { session, user }, error } = await client.auth.signInAnonymously({ options: { data } })
		assert.equal(error, null)
		return { client, session, user }
	}

	test('a guest has a session and rows, and nothing that tells who they are', async () => {
		const { client, session, user } = await guest({ theme: 'dark' })
		assert.equal(user.is_anonymous, true)
		assert.equal(user.email, '')
		assert.deepEqual([user.app_metadata, user.user_metadata, user.identities], [{}, { theme: 'dark' }, []])
		const { amr, is_anonymous, role, email } = claims(session.access_token)
		assert.deepEqual([amr[0].method, is_anonymous, role, email], ['anonymous', true, 'authenticated', ''])
		assert.equal((await client.from('conversations').insert({ title: 'Mine' })).error, null)
		assert.equal((await client.from('conversations').select()).data.length, 1)
		const { data, error } = await client.auth.refreshSession()
		assert.equal(error, null)
		assert.equal(data.user.is_anonymous, true)
		const other = await guest()
		assert.notEqual(other.user.id, user.id)
		assert.deepEqual((await other.client.from('conversations').select()).data, [])
	})

	test('a guest becomes a user, and keeps id and rows', async () => {
		const { client, user } = await guest({ theme: 'dark' })
		await client.from('conversations').insert({ title: 'Mine' })
		assert.deepEqual(told(await client.auth.updateUser({ password })), [422, 'validation_failed'])
		const { data, error } = await client.auth.updateUser({ email: 'ana@example.org', password })
		assert.equal(error, null)
		assert.equal(data.user.id, user.id)
		assert.deepEqual([data.user.email, data.user.is_anonymous], ['ana@example.org', false])
		assert.deepEqual(data.user.app_metadata, { provider: 'email', providers: ['email'] })
		assert.equal(data.user.identities[0].identity_data.email, 'ana@example.org')
		assert.ok(data.user.email_confirmed_at)
		assert.equal((await client.auth.refreshSession()).data.user.is_anonymous, false)
		const again = kith.client()
		const { data: { user: ana } } = await again.auth.signInWithPassword({ email: 'ana@example.org', password })
		assert.equal(ana.id, user.id)
		assert.deepEqual((await again.from('conversations').select('title')).data, [{ title: 'Mine' }])
		assert.deepEqual((await again.from('users').select('email')).data, [{ email: 'ana@example.org' }])
	})

	test('a guest who takes an address alone adds the password later', async () => {
		const { client, user } = await guest()
		assert.equal((await client.auth.updateUser({ email: 'ben@example.org' })).error, null)
		assert.equal((await client.auth.updateUser({ password })).error, null)
		const { data } = await kith.client().auth.signInWithPassword({ email: 'ben@example.org', password })
		assert.equal(data.user.id, user.id)
	})

	test('the address of somebody else is refused, and the guest stays one', async () => {
		await kith.client().auth.signUp({ email: 'carl@example.org', password })
		const { client } = await guest()
		assert.deepEqual(told(await client.auth.updateUser({ email: 'Carl@example.org', password })), [422, 'email_exists'])
		assert.equal((await client.auth.getUser()).data.user.is_anonymous, true)
	})

	test('two guests at once take an address: one has it', async () => {
		const guests = await Promise.all([1, 2, 3, 4].map(() => guest()))
		const results = await Promise.all(guests.map(({ client }) => client.auth.updateUser({ email: 'dora@example.org' })))
		const codes = results.map(result => result.error?.code ?? 'fine').sort()
		assert.deepEqual(codes, ['email_exists', 'email_exists', 'email_exists', 'fine'])
	})

	test('tokens live as long, and passwords are as strong, as the settings say', async () => {
		const { session } = await guest()
		assert.equal(session.expires_in, 300)
		const { exp, iat } = claims(session.access_token)
		assert.equal(exp - iat, 300)
		const { error } = await kith.client().auth.signUp({ email: 'eva@example.org', password: '1234567' })
		assert.deepEqual([error.status, error.code, error.reasons], [422, 'weak_password', ['length']])
		assert.equal(kith.sql(`select count(*) from auth.users where encrypted_password like '$y$%'`) > 0, true)
	})

	test('a password of an older hash is hashed again when it is used', async () => {
		await kith.client().auth.signUp({ email: 'fay@example.org', password: 'correct horse' })
		// As Go's bcrypt writes it: 'allmine' under $2a$.
		const old = '$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga'
		kith.sql(`update auth.users set encrypted_password = '${old}' where email = 'fay@example.org'`)
		assert.deepEqual(told(await kith.client().auth.signInWithPassword({ email: 'fay@example.org', password: 'correct horse' })), [400, 'invalid_credentials'])
		assert.equal((await kith.client().auth.signInWithPassword({ email: 'fay@example.org', password: 'allmine' })).error, null)
		assert.match(kith.sql(`select encrypted_password from auth.users where email = 'fay@example.org'`), /^\$y\$/)
		assert.equal((await kith.client().auth.signInWithPassword({ email: 'fay@example.org', password: 'allmine' })).error, null)
	})
})

describe('a shared secret, as a move brings it', () => {
	const secret = 'a shared secret of more than thirty-two bytes'
	let kith
	before(async () => {
		kith = await start({ KITH_JWT_SECRET: secret, KITH_DISABLE_SIGNUP: '1' })
	})
	after(() => kith?.stop())

	test('user tokens are signed with it, and nothing of it is published', async () => {
		const made = await kith.service().auth.admin.createUser({ email: 'ana@example.org', password, email_confirm: true })
		assert.equal(made.error, null)
		const client = kith.client()
		const { data: { session }, error } = await client.auth.signInWithPassword({ email: 'ana@example.org', password })
		assert.equal(error, null)
		assert.deepEqual(header(session.access_token), { alg: 'HS256', typ: 'JWT' })
		const [head, body, signature] = session.access_token.split('.')
		assert.equal(createHmac('sha256', secret).update(`${head}.${body}`).digest('base64url'), signature)
		assert.equal((await client.auth.getUser()).data.user.email, 'ana@example.org')
		assert.equal((await client.from('users').select('email')).data[0].email, 'ana@example.org')
		assert.equal((await client.auth.getClaims()).data.claims.email, 'ana@example.org')
		assert.equal((await client.auth.refreshSession()).error, null)
		const keys = await fetch(`${kith.url}/auth/v1/.well-known/jwks.json`)
		assert.deepEqual(await keys.json(), { keys: [] })
		assert.equal((await client.auth.signOut()).error, null)
		assert.equal((await client.auth.setSession(session)).error.name, 'AuthSessionMissingError')
	})

	test('nobody signs up where that is off', async () => {
		assert.deepEqual(told(await kith.client().auth.signUp({ email: 'ben@example.org', password })), [422, 'signup_disabled'])
		assert.deepEqual(told(await kith.client().auth.signInAnonymously()), [422, 'signup_disabled'])
	})
})
