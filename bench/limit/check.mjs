// Did the plans do to their copies of the databases what the visits did to the suite? For each table, and each status where
// it has one: the rows that a visit added or took, and those that a played one did. Prints what was found in one line.
//   node check.mjs FOLDER VISITS     the folder has before, after (of the visits), copy, played-to and played
import { readFileSync } from 'node:fs';

const [folder, visits] = process.argv.slice(2);
const lines = (file) => readFileSync(`${folder}/${file}`, 'utf8').trim().split('\n');
const counts = (file) => new Map(lines(file).map((line) => line.split('\t')).map(([what, n]) => [what, Number(n)]));
const [before, after, copy, now] = ['before', 'after', 'copy', 'played-to'].map(counts);
const played = {};
for (const line of lines('played')) {
  const [service, n] = line.split(' ');
  played[service] = (played[service] ?? 0) + Number(n);
}

const TOLERANCE = 0.02; // rows a visit: what the relays have not marked yet, and the like
const wrong = [];
let compared = 0, rows = 0;
for (const what of new Set([...before.keys(), ...after.keys(), ...copy.keys(), ...now.keys()])) {
  const of = (map) => map.get(what) ?? 0;
  const once = (of(after) - of(before)) / visits, again = (of(now) - of(copy)) / played[what.split(' ')[0]];
  if (once === 0 && again === 0) continue;
  compared++;
  if (!what.endsWith(', published')) rows += once;
  if (Math.abs(once - again) > TOLERANCE + 0.02 * Math.abs(once)) wrong.push(`${what}: ${once.toFixed(2)} a visit, ${again.toFixed(2)} played`);
}
const statements = new Set();
for (const service of Object.keys(played)) for (const line of lines(`${service}.1`)) if (line.startsWith('s ')) statements.add(`${service} ${line.split('\t')[0]}`);
console.log(wrong.length ? `the plans did something else than the visits: ${wrong.join('; ')}`
  : `${statements.size} statements as the services send them; a visit leaves ${Math.round(rows)} rows; those of ${compared} tables and statuses grow as by real visits`);
