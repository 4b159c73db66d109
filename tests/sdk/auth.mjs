#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// supabase-js auth.*: signing up, in and out with a password, and staying signed in.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { client, sql } from './kith.mjs'

let number = 0
const address = name => `${name}.${process.pid}.${Date.now()}.${number++}@example.org`
const password = 'a walk by the river'

// A user who signed up, and the client that did it.
async function signedUp(name, data = {}) {
	const kith = client()
	const email = address(name)
	const { data: { session, user }, error } = await kith.auth.signUp({ email, password, options: { data } })
	assert.equal(error, null)
	return { kith, email, session, user }
}

test('signing up signs in, and the session reads and writes rows', async () => {
	const { kith, email, session, user } = await signedUp('ana', { nickname: 'Ana' })
	assert.equal(user.email, email)
	assert.equal(user.is_anonymous, false)
	assert.deepEqual(user.user_metadata, { nickname: 'Ana' })
	assert.deepEqual(user.app_metadata, { provider: 'email', providers: ['email'] })
	assert.equal(user.identities[0].identity_data.email, email)
	assert.ok(user.email_confirmed_at)
	assert.equal(session.expires_in, 3600)
	assert.equal(JSON.stringify(user).includes('$2b$'), false)
	const insert = await kith.from('conversations').insert({ title: 'Mine' }).select('user_id').single()
	assert.equal(insert.data.user_id, user.id)
	const { data } = await kith.from('users').select('id, email')
	assert.deepEqual(data, [{ id: user.id, email }])
})

test('signing in wants the password, and says nothing about who exists', async () => {
	const { email } = await signedUp('ben')
	const kith = client()
	const wrong = await kith.auth.signInWithPassword({ email, password: 'something else' })
	const nobody = await kith.auth.signInWithPassword({ email: address('nobody'), password })
	for (const { data, error } of [wrong, nobody]) {
		assert.equal(data.session, null)
		assert.deepEqual([error.status, error.code, error.message], [400, 'invalid_credentials', 'Invalid login credentials'])
	}
	const right = await kith.auth.signInWithPassword({ email: email.toUpperCase(), password })
	assert.equal(right.error, null)
	assert.equal(right.data.user.email, email)
})

test('an address is taken once', async () => {
	const { email } = await signedUp('carl')
	const { error } = await client().auth.signUp({ email, password })
	assert.deepEqual([error.status, error.code], [422, 'user_already_exists'])
})

test('a weak password says why', async () => {
	const { error } = await client().auth.signUp({ email: address('dora'), password: '12345' })
	assert.deepEqual([error.status, error.code, error.name, error.reasons], [422, 'weak_password', 'AuthWeakPasswordError', ['length']])
})

test('the user is read and changed', async () => {
	const { kith, email } = await signedUp('eva', { a: 1, b: 2 })
	const { data, error } = await kith.auth.updateUser({ data: { b: null, c: 3 } })
	assert.equal(error, null)
	assert.deepEqual(data.user.user_metadata, { a: 1, c: 3 })
	const read = await kith.auth.getUser()
	assert.deepEqual(read.data.user.user_metadata, { a: 1, c: 3 })

	const same = await kith.auth.updateUser({ password })
	assert.deepEqual([same.error.status, same.error.code], [422, 'same_password'])
	const other = client()
	await other.auth.signInWithPassword({ email, password })
	assert.equal((await kith.auth.updateUser({ password: 'another river' })).error, null)
	assert.equal((await kith.auth.getUser()).error, null)
	assert.equal((await other.auth.refreshSession()).error.name, 'AuthSessionMissingError')
	assert.equal((await client().auth.signInWithPassword({ email, password: 'another river' })).error, null)
})

test('a session goes on by its refresh token', async () => {
	const { kith, session } = await signedUp('fay')
	const { data, error } = await kith.auth.refreshSession()
	assert.equal(error, null)
	assert.notEqual(data.session.refresh_token, session.refresh_token)
	const again = await client().auth.setSession(data.session)
	assert.equal(again.data.user.id, session.user.id)
	const { data: claims } = await kith.auth.getClaims()
	assert.equal(claims.claims.sub, session.user.id)
	assert.equal(claims.claims.amr[0].method, 'password')
	assert.equal(claims.header.alg, 'ES256')
})

test('whoever signs out is out with the next request', async () => {
	const { kith, email, session } = await signedUp('gus')
	const other = client()
	await other.auth.signInWithPassword({ email, password })
	assert.equal((await kith.auth.signOut({ scope: 'others' })).error, null)
	assert.equal((await other.from('users').select()).status, 401)
	assert.equal((await kith.from('users').select()).status, 200)
	assert.equal((await kith.auth.signOut()).error, null)
	const after = await client(undefined, { accessToken: async () => session.access_token }).from('users').select()
	assert.equal(after.status, 401)
})

test('guests are let in only where they are wanted', async () => {
	const { error } = await client().auth.signInAnonymously()
	assert.deepEqual([error.status, error.code], [422, 'anonymous_provider_disabled'])
})

test('a banned user is out at once, and is told so when signing in', async () => {
	const { kith, email, user } = await signedUp('hal')
	sql(`update auth.users set banned_until = now() + interval '1 hour' where id = '${user.id}'`)
	assert.equal((await kith.from('users').select()).status, 401)
	const { error } = await client().auth.signInWithPassword({ email, password })
	assert.deepEqual([error.status, error.code], [400, 'user_banned'])
})
