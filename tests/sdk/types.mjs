#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// kith types: programs written with the generated types compile, run, and do not compile when they are wrong.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import ts from 'typescript'
import { sql, unique, user } from './kith.mjs'

const kith = (args, env = {}) => spawnSync(fileURLToPath(new URL('../../scripts/kith', import.meta.url)), ['types', ...args],
	{ encoding: 'utf8', env: { ...process.env, ...env } })

// What the test's own schema of names has; x is in all of them.
const x = unique('typed', (name) => `
	drop view if exists ${name}_shown, ${name}_by_trigger, ${name}_joined;
	drop function if exists ${name}_label(${name}_notes), ${name}_find, ${name}_pair, ${name}_nothing, ${name}_write() cascade;
	drop table if exists ${name}_notes, ${name}_books cascade;
	drop type if exists ${name}_mood`)
sql(`
	create type ${x}_mood as enum ('calm', 'it''s');
	create table ${x}_books (id bigint generated always as identity primary key, title text not null);
	create table ${x}_notes (
		id uuid primary key default gen_random_uuid(),
		book_id bigint not null unique references ${x}_books,
		mood ${x}_mood,
		"odd Name" int[],
		more jsonb not null default '{}',
		number int not null
	);
	create view ${x}_shown with (security_invoker = true) as select id as note, book_id as book, mood, upper(more ->> 'a') as loud, number from ${x}_notes;
	create view ${x}_joined with (security_invoker = true) as select b.title, n.mood, n.number from ${x}_books b left join ${x}_notes n on n.book_id = b.id;
	create view ${x}_by_trigger with (security_invoker = true) as select id, title from ${x}_books;
	create function ${x}_write() returns trigger language plpgsql as 'begin return new; end';
	create trigger write instead of insert on ${x}_by_trigger for each row execute function ${x}_write();
	create function ${x}_find(words text[], at_most int default 10) returns setof ${x}_notes language sql stable as 'select * from ${x}_notes';
	create function ${x}_pair(query_embedding text, project_identifier uuid default null, match_count int default 10, threshold float default 0)
		returns table (id uuid, score float) language sql stable as 'select null::uuid, 0.5';
	create function ${x}_nothing() returns void language sql as '';
	create function ${x}_label(${x}_notes) returns text language sql stable as 'select ''''';
	grant select, insert (title) on ${x}_books to authenticated;
	grant select, insert (book_id, mood, "odd Name", more) on ${x}_notes to authenticated;
	grant execute on function ${x}_find, ${x}_pair, ${x}_label to authenticated`)

// The entry of one name, x cut off.
function entry(types, name) {
	const lines = types.split('\n')
	const start = lines.indexOf(`      ${x}${name}: {`)
	const end = lines.indexOf('      }', start)
	return lines.slice(start + 1, end).join('\n').replaceAll(x, 'x')
}

const { stdout: types, status, stderr } = kith([])

test('tables, views and functions look as the generator of the ecosystem prints them', () => {
	assert.deepEqual([status, stderr], [0, ''])
	assert.equal(entry(types, '_notes'), `        Row: {
          book_id: number
          id: string
          mood: Database["public"]["Enums"]["x_mood"] | null
          more: NonNullable<Json>
          number: number
          "odd Name": number[] | null
          x_label: string | null
        }
        Insert: {
          book_id: number
          id?: string
          mood?: Database["public"]["Enums"]["x_mood"] | null
          more?: NonNullable<Json>
          number?: number
          "odd Name"?: number[] | null
        }
        Update: {
          book_id?: number
          id?: string
          mood?: Database["public"]["Enums"]["x_mood"] | null
          more?: NonNullable<Json>
          number?: number
          "odd Name"?: number[] | null
        }
        Relationships: [
          {
            foreignKeyName: "x_notes_book_id_fkey"
            columns: ["book_id"]
            isOneToOne: true
            referencedRelation: "x_books"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "x_notes_book_id_fkey"
            columns: ["book_id"]
            isOneToOne: true
            referencedRelation: "x_by_trigger"
            referencedColumns: ["id"]
          },
        ]`)
	assert.equal(entry(types, '_joined'), `        Row: {
          mood: Database["public"]["Enums"]["x_mood"] | null
          number: number | null
          title: string | null
        }
        Relationships: []`)
	assert.equal(entry(types, '_by_trigger'), `        Row: {
          id: number
          title: string
        }
        Insert: {
          id?: never
          title?: string | null
        }
        Update: {
          id?: never
          title?: string | null
        }
        Relationships: []`)
	assert.match(entry(types, '_shown'), /^        Insert: \{\n          book: number\n          loud\?: never\n/m)
	assert.equal(entry(types, '_pair'), `        Args: {
          match_count?: number
          project_identifier?: string
          query_embedding: string
          threshold?: number
        }
        Returns: {
          id: string
          score: number
        }[]`)
	assert.match(entry(types, '_find'), /^        SetofOptions: \{\n          from: "\*"\n          to: "x_notes"\n          isOneToOne: false\n/m)
	assert.ok(types.includes(`      ${x}_nothing: {\n        Args: Record<PropertyKey, never>\n        Returns: undefined\n      }\n`) ||
		types.includes(`      ${x}_nothing: { Args: Record<PropertyKey, never>; Returns: undefined }\n`))
	assert.ok(types.includes(`      ${x}_mood: "calm" | "it's"\n`))
	assert.ok(types.includes(`      ${x}_mood: ["calm", "it's"],\n`))
	assert.ok(!types.includes(`${x}_write`), 'no trigger')
})

// Beside this file, so that it finds supabase-js.
const folder = mkdtempSync(new URL('types-', import.meta.url).pathname)
after(() => rmSync(folder, { recursive: true }))

function compile(files) {
	for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
	const program = ts.createProgram(Object.keys(files).map((name) => join(folder, name)), {
		strict: true, noEmitOnError: true, skipLibCheck: true, types: [], rewriteRelativeImportExtensions: true,
		target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
	})
	program.emit()
	return ts.getPreEmitDiagnostics(program).map((d) => [
		d.file?.fileName.split('/').pop(), d.file?.getLineAndCharacterOfPosition(d.start).line + 1,
		ts.flattenDiagnosticMessageText(d.messageText, '\n')].join(':'))
}

test('a right program compiles and runs; every wrong line is refused', async () => {
	const problems = compile({
		'database.mts': types,
		'program.mts': `
import type { SupabaseClient } from '@supabase/supabase-js'
import type { Database, Enums, Json, Tables, TablesInsert, TablesUpdate } from './database.mts'
import { Constants } from './database.mts'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
const sure = <T extends true>(value?: T) => value
sure<Equal<Tables<'conversations'>['title'], string | null>>()
sure<Equal<Tables<{ schema: 'public' }, 'conversations'>['id'], string>>()
sure<Equal<Tables<'${x}_shown'>['book'], number>>()
sure<Equal<Tables<'${x}_shown'>['loud'], string | null>>()
sure<Equal<TablesUpdate<'${x}_shown'>['book'], number | undefined>>()
sure<Equal<Enums<'${x}_mood'>, 'calm' | "it's">>()
sure<Equal<typeof Constants.public.Enums.${x}_mood, readonly ['calm', "it's"]>>()

export async function right(db: SupabaseClient<Database>) {
	const wanted: TablesInsert<'conversations'> = { title: 'Typed' }
	const { data: conversation } = await db.from('conversations').insert(wanted).select().single().throwOnError()
	const role: string = 'user'
	await db.from('messages').insert([{ conversation_id: conversation.id, role, content: 'one' }]).throwOnError()
	const { data: said } = await db.rpc('append_session_message', { session_id: conversation.id, role: 'assistant', content: 'two' }).throwOnError()
	const number: number = said.sequence_number
	const metadata: Json = said.metadata
	await db.from('conversations').update({ title: 'Still' }).eq('id', conversation.id).throwOnError()
	const { data: found } = await db.from('conversations')
		.select('title, messages(content, sequence_number), user:users(timezone)').eq('id', conversation.id)
		.order('sequence_number', { referencedTable: 'messages' }).single().throwOnError()
	const { data: message } = await db.from('messages').select('content, conversations!inner(title)')
		.eq('conversations.title', 'Still').eq('role', role).limit(1).single().throwOnError()

	const { data: book } = await db.from('${x}_books').insert({ title: 'Book' }).select('id').single().throwOnError()
	await db.from('${x}_notes').select('id, ${x}_label, ${x}_books(title)').throwOnError()
	const { data: calls } = await db.rpc('${x}_find', { words: ['a'] }).select('id, mood').throwOnError()
	const moods: (Enums<'${x}_mood'> | null)[] = calls.map((call) => call.mood)
	const { data: pairs } = await db.rpc('${x}_pair', { query_embedding: '[1]' }).throwOnError()
	const score: number = pairs[0].score
	return { number, metadata, title: found.title?.toUpperCase(), timezone: found.user.timezone, of: message.conversations.title,
		messages: found.messages.map((one) => one.content.length), book: book.id > 0, moods, score }
}

export async function wrong(db: SupabaseClient<Database>) {
	// @ts-expect-error no such table
	db.from('conversation')
	// @ts-expect-error no such column
	await db.from('conversations').insert({ titel: 'x' })
	// @ts-expect-error a column that must be given
	await db.from('messages').insert({ role: 'user', content: 'x' })
	// @ts-expect-error a wrong type
	await db.from('conversations').update({ title: 7 })
	// @ts-expect-error null where none can be
	await db.from('messages').update({ content: null })
	// @ts-expect-error no such function
	await db.rpc('append_message', {})
	// @ts-expect-error an argument that must be given
	await db.rpc('append_session_message', { role: 'user', content: 'x' })
	// @ts-expect-error no word of the enumeration
	await db.from('${x}_notes').insert({ book_id: 1, mood: 'angry' })
	// @ts-expect-error nor one to filter by
	await db.from('${x}_notes').select().eq('mood', 'angry')
	// @ts-expect-error a column that a view computes
	await db.from('${x}_shown').insert({ book: 1, loud: 'x' })
	// @ts-expect-error a view that takes no rows
	await db.from('${x}_joined').insert({ title: 'x' })
	const { data: one } = await db.from('conversations').select('title, titel').single()
	// @ts-expect-error it was not there to select
	one?.titel.length
	const { data: all } = await db.from('conversations').select('title, ${x}_notes(id)').single()
	// @ts-expect-error nor is there a way to that table
	all?.${x}_notes.map(String)
}
`,
	})
	assert.deepEqual(problems, [])
	const { right } = await import(pathToFileURL(join(folder, 'program.mjs')))
	assert.deepEqual(await right(user('typist').db), { number: 2, metadata: {}, title: 'STILL', timezone: 'UTC', of: 'Still',
		messages: [3, 3], book: true, moods: [], score: 0.5 })
})

test('the types of every schema compile, and of all in one', () => {
	const schemas = kith(['--schema', 'nope']).stderr.match(/these are: (.*)/)[1].split(', ')
	const files = Object.fromEntries([...schemas, schemas.join()].map((of, i) => {
		const { stdout, status } = kith([`--schema=${of}`])
		assert.equal(status, 0, of)
		return [`schema${i}.mts`, stdout]
	}))
	for (const schema of schemas) assert.match(files[`schema${schemas.length}.mts`], new RegExp(`^  ${schema}: \\{$`, 'm'))
	assert.deepEqual(compile(files), [])
	assert.equal(kith([]).stdout, kith(['--schema', schemas[0]]).stdout, 'the default one if none is named')
})

test('what cannot be is said', () => {
	const refused = (...args) => { const { status, stdout, stderr } = kith(...args); return [status, stdout, stderr.split('\n').at(-2)] }
	const [status, , said] = refused(['--schema', 'kith'])
	assert.equal(status, 1)
	assert.match(said, /^kith: schema "kith" is not exposed; these are: public/)
	assert.deepEqual(refused(['--schema']), [1, '', 'kith: --schema needs a name'])
	assert.deepEqual(refused(['essence']), [1, '', 'kith: unknown argument "essence"; see kith types --help'])
	assert.match(kith(['--help']).stdout, /^usage: kith types/m)
	const home = join(folder, 'home')
	assert.deepEqual(refused([], { KITH_HOME: home }), [1, '', 'kith: could not read the schema: is the instance up (kith status)?'])
})
