#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// The README's lines that record a clip and play it do, in a browser.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { open, user } from './browser.mjs'

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
const [, example] = readme.match(/^```js\n(const recorder .*?)^```$/ms)

test('the clip of the README is recorded, stored and played to its end', async () => {
	const ana = user('ana')
	const { data: profile } = await ana.db.from('profiles').insert({ name: 'Anna', relation: 'self' }).select().single()
	const { page } = await open(ana.token)
	const seconds = await page.evaluate(async ([code, row]) => {
		let heard
		const played = new Promise((done) => (heard = done))
		// The page's own, which tells when it has ended.
		class Player extends Audio {
			constructor(url) {
				super(url)
				this.onended = () => heard(this.currentTime)
			}
		}
		const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor
		await new AsyncFunction('kith', 'profile', 'Audio', `${code}\nsetTimeout(() => recorder.stop(), 1000)`)(kith, row, Player)
		return played
	}, [example, profile])
	assert.ok(seconds > 0.5, `${seconds} s`)
	const { data: [clip] } = await ana.db.from('clips').select('prompt_index, prompt_text, audio_storage_path')
	assert.deepEqual(clip, { prompt_index: 0, prompt_text: 'I walked by the river.', audio_storage_path: `training_clips/${ana.id}/${profile.id}/0.webm` })
})
