// The ceiling: what Kith sends to PostgreSQL for a request, as a pgbench script.
//
// The two statements are not written down here but taken from the server's log
// of one real request, so they are Kith's own, whatever it sends.

import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { conversationNumber, home, sql, userNumber } from './instance.js';

const log = `${home}/log/postgresql.log`;

// pgbench prepares statements before it becomes the role that may see public.
export function allowPgbench() {
	sql('grant usage on schema public to kith_api');
}

function setLogging(on) {
	const settings = {
		log_statement: "'all'",
		log_parameter_max_length: '-1',
		log_error_verbosity: "'default'",
	};

	for (const [name, value] of Object.entries(settings))
		sql(`alter role kith_api ${on ? `set ${name} = ${value}` : `reset ${name}`}`);
	// A setting of a role counts from the next connection on.
	sql("select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'kith_api'");
}

function readFrom(offset) {
	const fd = openSync(log, 'r');
	const buffer = Buffer.alloc(fstatSync(fd).size - offset);

	readSync(fd, buffer, 0, buffer.length, offset);
	closeSync(fd);
	return buffer.toString();
}

// [{ text, values }] of the statements that were executed, in their order.
function parse(text) {
	const executed = /LOG: {2}execute [^:]*: (.*)\n.*DETAIL: {2}parameters: (.*)$/s;

	// An entry begins with its time; its other lines begin with a tab.
	return text.split(/^(?=\d{4}-\d\d-\d\d .*LOG: )/m).map((entry) => executed.exec(entry)).filter(Boolean)
		.map(([, statement, parameters]) => ({
			text: statement.replaceAll('\n\t', '\n'),
			values: [...parameters.matchAll(/\$\d+ = (?:NULL|'((?:[^']|'')*)')/gs)]
				.map(([, value]) => value?.replaceAll("''", "'")),
		}));
}

// Sends a request of user 0 about conversation 0 until its statements are in
// the log: the first one of a program also reads the catalog.
export async function capture(send) {
	setLogging(true);
	try {
		for (let attempt = 0; attempt < 20; attempt++) {
			const offset = statSync(log).size;
			await send();
			await new Promise((resolve) => setTimeout(resolve, 100));
			const statements = parse(readFrom(offset));
			if (statements.length === 2)
				return statements;
		}
	} finally {
		setLogging(false);
	}
	throw new Error(`${log} does not show the two statements of a request`);
}

function parameterTypes(text) {
	const answer = sql(`
		prepare captured as ${text};
		select array_to_json(parameter_types::text[]) from pg_prepared_statements where name = 'captured'`);

	return JSON.parse(answer);
}

// { script, variables } for pgbench: the same statements for a random user and
// one of their conversations.  Where a value holds a number of data.psql it is
// put together in SQL, which takes PostgreSQL a microsecond of the ceiling.
export function pgbenchScript(statements, users) {
	const lines = [
		`\\set u random(0, ${users - 1})`,
		`\\set user ${userNumber(0)} + :u`,
		`\\set conversation ${conversationNumber(0)} + :u * 20 + random(0, 19)`,
		'\\startpipeline',
	];
	const variables = {};
	const numbers = new Map([[String(userNumber(0)), ':user'], [String(conversationNumber(0)), ':conversation']]);
	const anyNumber = new RegExp(`(${[...numbers.keys()].join('|')})`);

	const variable = (value) => {
		const name = `v${Object.keys(variables).length}`;

		variables[name] = value;
		return `:${name}`;
	};

	for (const { text, values } of statements) {
		const types = parameterTypes(text);
		const parameter = (n) => {
			const value = values[n - 1];

			if (value === undefined)
				return 'null';
			if (!anyNumber.test(value))
				return variable(value);
			const parts = value.split(anyNumber).filter((part) => part !== '')
				.map((part) => `${numbers.get(part) ?? variable(part)}::text`);
			return `(${parts.join(' || ')})::${types[n - 1]}`;
		};

		lines.push(`${text.replace(/\$(\d+)/g, (_, n) => parameter(Number(n)))};`);
	}
	lines.push('\\endpipeline', '');
	return { script: lines.join('\n'), variables };
}
