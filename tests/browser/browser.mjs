// What the browser tests start from: an app in Debian's Chromium, which has the
// real supabase-js, speaks into a microphone that beeps once a second, and comes
// from another origin than Kith, so that CORS is the browser's own.

import { chromium } from 'playwright-core'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { after } from 'node:test'
import { anonKey, url } from '../sdk/kith.mjs'

export { anonKey, client, serviceKey, sql, url, user } from '../sdk/kith.mjs'

const packages = createRequire(new URL('../sdk/kith.mjs', import.meta.url))
// What the package names for a <script>, as its documentation says; the path itself is not exported.
const supabase = readFileSync(join(dirname(packages.resolve('@supabase/supabase-js')), 'umd/supabase.js'))

const files = {
	'/': ['text/html; charset=utf-8', readFileSync(new URL('app.html', import.meta.url))],
	'/app.js': ['text/javascript; charset=utf-8', readFileSync(new URL('app.js', import.meta.url))],
	'/supabase.js': ['text/javascript; charset=utf-8', supabase],
}

let started

async function start() {
	const server = createServer((request, reply) => {
		const [type, body] = files[request.url] ?? ['text/plain', '']
		reply.writeHead(body ? 200 : 404, { 'Content-Type': type }).end(body)
	})
	await new Promise((done) => server.listen(0, '127.0.0.1', done))
	const browser = await chromium.launch({
		executablePath: '/usr/bin/chromium',
		// Chromium refuses to be root in its sandbox; nothing is loaded but what the tests bring.
		chromiumSandbox: process.getuid() !== 0,
		args: ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', '--autoplay-policy=no-user-gesture-required'],
	})
	after(async () => {
		await browser.close()
		server.close()
	})
	return { browser, origin: `http://127.0.0.1:${server.address().port}` }
}

// The app, opened by who has that token, in a context of its own: { page, origin,
// complaints }.  Complaints are what the browser wrote to its console as errors,
// and scripts that threw.
export async function open(token) {
	const { browser, origin } = await (started ??= start())
	const context = await browser.newContext()
	const page = await context.newPage()
	const complaints = []
	page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
	page.on('pageerror', (error) => complaints.push(String(error)))
	await page.goto(`${origin}/`)
	await page.evaluate(([...from]) => window.connect(...from), [url, anonKey, token])
	return { page, origin, complaints }
}
