// The figures and how they are printed: Markdown, ready for the README.

import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { execFileSync } from 'node:child_process';
import { sql } from './instance.js';

export const median = (numbers) => {
	const sorted = [...numbers].sort((a, b) => a - b);
	const middle = sorted.length >> 1;

	return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

const figures = [];

// direction: 'least' or 'most', what the value to reach is.  show: how a value is written.
export function figure(name, value, direction, reach, show = (v) => v.toFixed(2)) {
	const ok = direction === 'least' ? value >= reach : value <= reach;

	figures.push({ name, measured: show(value), reach: `at ${direction} ${show(reach)}`, ok });
}

export const missed = () => figures.filter(({ ok }) => !ok);

export const megabytes = (bytes) => `${(bytes / 1048576).toFixed(1)} MB`;

function table(header, alignment, rows) {
	return [header, alignment, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

export function figureTable() {
	return table(['figure', 'measured', 'to reach', 'ok'], ['---', '---', '---', '---'],
		figures.map(({ name, measured, reach, ok }) => [name, measured, reach, ok ? 'yes' : '**no**']));
}

// Where the time goes.  runs: [{ what, connections, whom, results }].
export function costTable(runs) {
	const groups = ['kith', 'node', 'nginx', 'postgresql', 'load'];
	const rows = runs.map(({ what, connections, whom, results }) => {
		const middle = (pick) => median(results.map(pick)).toFixed(0);
		const ms = (pick) => (results[0].p50 ? (median(results.map(pick)) / 1000).toFixed(1) : '');

		return [what, connections, whom, middle((r) => r.perSecond), ms((r) => r.p50), ms((r) => r.p99),
			...groups.map((group) => (group in results[0].cpu ? middle((r) => r.cpu[group]) : ''))];
	});

	return table(
		['request', 'connections', 'of', 'per second', 'p50 ms', 'p99 ms', 'Kith µs', 'Node µs', 'nginx µs', 'PostgreSQL µs', 'load µs'],
		['---', '--:', '---', ...Array(8).fill('--:')], rows);
}

export function machine() {
	const model = /^model name\s*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? process.arch;
	// nginx prints its version as an error.
	const nginx = execFileSync('sh', ['-c', 'PATH=$PATH:/usr/sbin nginx -v 2>&1'], { encoding: 'utf8' });
	const postgresql = sql("select split_part(current_setting('server_version'), ' ', 1)");

	return `${availableParallelism()} cores of ${model}, ${Math.round(totalmem() / 2 ** 30)} GB, ` +
		`PostgreSQL ${postgresql}, nginx ${nginx.trim().split('/').pop()}, Node ${process.versions.node}`;
}
