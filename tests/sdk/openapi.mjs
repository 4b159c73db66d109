#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// getOpenApiSpec() brings a valid description of each schema, for each role.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import SwaggerParser from '@apidevtools/swagger-parser'
import { anonKey, client, serviceKey, url, user } from './kith.mjs'

const { hint } = await (await fetch(`${url}/rest/v1/`, { headers: { apikey: anonKey, 'Accept-Profile': 'nope' } })).json()
const schemas = hint.match(/exposed: (.*)/)[1].split(', ')
const callers = { anon: client(), user: user('reader').db, service: client(serviceKey) }

for (const schema of schemas) {
	for (const [name, db] of Object.entries(callers)) {
		test(`${schema} for ${name}`, async () => {
			const { data, error } = await db.schema(schema).getOpenApiSpec()
			assert.equal(error, null)
			const api = await SwaggerParser.validate(structuredClone(data))
			assert.equal(api.swagger, '2.0')
			if (name !== 'anon') assert.ok(Object.keys(data.definitions).length > 2, 'it has tables')
		})
	}
}

test('what it lists is there', async () => {
	const { data } = await callers.user.getOpenApiSpec()
	for (const table of Object.keys(data.definitions)) {
		const { error } = await callers.user.from(table).select(Object.keys(data.definitions[table].properties).join()).limit(1)
		assert.equal(error, null, table)
	}
})

test('a schema that is not exposed is refused', async () => {
	const { data, error, status } = await callers.user.schema('kith').getOpenApiSpec()
	assert.deepEqual([data, error.code, status], [null, 'PGRST106', 406])
})
