// What node's tests print, for prove: TAP on stdout, and on stderr what node
// knows of a check that failed.  Node's own TAP tells it in YAML that prove
// cannot read.

import { tap } from 'node:test/reporters'

export default async function* (source) {
	let told = false
	let failed = ''
	let rest = ''
	for await (const piece of tap(source)) {
		const lines = (rest + piece).split('\n')
		rest = lines.pop()
		for (const line of lines) {
			if (/^\s*(---|\.\.\.)$/.test(line)) told = line.endsWith('---')
			else if (!told) yield line + '\n'
			else if (failed && !/^\s*(duration_ms|type):/.test(line)) process.stderr.write(`# ${line}\n`)
			if (/^\s*(not )?ok /.test(line)) failed = line.trim().startsWith('not') ? line.trim() : ''
			if (failed && line.endsWith('---')) process.stderr.write(`# ${failed}\n`)
		}
	}
	yield rest
}
