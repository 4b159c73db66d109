// What processes cost, from /proc: CPU time and memory of a group of them.
//
// A group is a process and all its descendants.  The time of a child that
// ended is in its parent's, so back ends that come and go are not lost.

import { readdirSync, readFileSync } from 'node:fs';

function read(pid, file) {
	try {
		return readFileSync(`/proc/${pid}/${file}`, 'utf8');
	} catch {
		return null; // ended in between, or not ours to read
	}
}

// The fields of /proc/PID/stat from the third on; the second may hold anything.
function stat(pid) {
	const text = read(pid, 'stat');

	return text && text.slice(text.lastIndexOf(')') + 2).split(' ');
}

// Every process below these and themselves; those of our programs are named after them.
export function descendants(roots) {
	const parents = new Map();
	const found = [];

	for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
		const fields = stat(pid);
		if (fields)
			parents.set(Number(pid), Number(fields[1]));
	}
	const below = (pid) => roots.includes(pid) || (parents.has(pid) && below(parents.get(pid)));
	for (const pid of parents.keys())
		if (below(pid))
			found.push({ pid, name: read(pid, 'cmdline')?.split('\0', 1)[0] });
	return found;
}

const ticks = 100; // USER_HZ, the same on every Linux that matters

// Microseconds of CPU that the group has used so far.
export function cpu(roots) {
	let sum = 0;

	for (const { pid } of descendants(roots)) {
		const fields = stat(pid);
		if (fields)
			sum += fields.slice(11, 15).reduce((all, field) => all + Number(field), 0);
	}
	return (sum * 1e6) / ticks;
}

// Microseconds of CPU of our own children that have ended.
export function cpuOfChildren() {
	const fields = stat('self');

	return ((Number(fields[13]) + Number(fields[14])) * 1e6) / ticks;
}

// Microseconds of CPU that the machine has been busy so far, whoever with.
export function cpuOfMachine() {
	const [user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0].split(/ +/).slice(1).map(Number);

	return ((user + nice + system + irq + softirq) * 1e6) / ticks;
}

// Bytes of memory of these processes, what they share counted in parts.
export function pss(processes) {
	return kilobytes(processes, 'smaps_rollup', /^Pss: +(\d+)/m) * 1024;
}

// Bytes of resident memory, by pid.
export function resident(processes) {
	return new Map(processes.map((p) => [p.pid, kilobytes([p], 'status', /^VmRSS:\s+(\d+)/m) * 1024]));
}

function kilobytes(processes, file, pattern) {
	return processes.reduce((sum, { pid }) => sum + Number(pattern.exec(read(pid, file) ?? '')?.[1] ?? 0), 0);
}
