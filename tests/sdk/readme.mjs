#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// The README's example prints what the README says it prints.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
const [, example] = readme.match(/^```js\n(.*?)^```$/ms)
const [, promised] = readme.match(/^It prints `(.*?)`/m)

test('the example of the README prints what it promises', (t) => {
	// Beside this file, so that it finds supabase-js.
	const folder = mkdtempSync(new URL('readme-', import.meta.url).pathname)
	t.after(() => rmSync(folder, { recursive: true }))
	writeFileSync(join(folder, 'example.mjs'), example)
	const run = () => execFileSync(process.execPath, [join(folder, 'example.mjs')], { encoding: 'utf8' })
	assert.equal(run(), `${promised}\n`)
	assert.equal(run(), `${promised}\n`, 'and again')
})
