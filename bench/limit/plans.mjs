// From PostgreSQL's log (log_statement = all, log_line_prefix = '@@ %p %u %v ') the plans that bench-replay plays: one for
// each service and batch of visits, FOLDER/SERVICE.BATCH.   node plans.mjs LOG BATCHES VISITS FOLDER SERVICE...
//
// The statements "bench mark visits N", "events N" and "end N" part the log. Between them everything counts that a
// service told its database, but for looks that found nothing:
//   - transactions that were rolled back (relays that found nothing to do);
//   - single statements about no id and no item, by which services look for work that is due, unless what they found is
//     the next transaction; and all of them during the visits.
//   - what relays read from the outbox, and what they mark: events were held back so that whole batches are made, by which
//     relays had to read them. In a suite that is full they come from memory: so one mark for all events of the batch.
// An id (a UUID) that occurs for the first time within a batch was made by it, and is made anew when the plan is played. A
// version that a statement asks for (version = $N, of a row whose id it names) goes on from play to play by as much as the
// batch moved it: FOLDER/versions.before and .after tell. The moment of that version (AND c.updated_at = $N) can't be foretold;
// asked is whether it is another one than then, which costs the same.
import { createReadStream, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [log, batches, visits, folder, ...services] = process.argv.slice(2);
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

// ---- the log ----

async function* records() {
  let record = null;
  for await (const line of createInterface({ input: createReadStream(log), crlfDelay: Infinity })) {
    if (line.startsWith('@@ ')) {
      if (record !== null) yield record;
      record = line;
    } else if (record !== null) record += '\n' + (line.startsWith('\t') ? line.slice(1) : line);
  }
  if (record !== null) yield record;
}

function argumentsOf(text) {
  const values = [];
  for (const m of text.matchAll(/\$(\d+) = (?:NULL|'((?:[^']|'')*)')/g))
    values[Number(m[1]) - 1] = m[2] === undefined ? null : m[2].replaceAll("''", "'");
  return values;
}

const MARK = 'outbox_mark_fresh'; // of src/common/app/relay.c
const transactions = [];
let markSql = null;
const open = new Map(); // by process and virtual transaction
const old = new Set(); // ids from before the batch
const made = []; // by batch: the ids it made
let batch = 0, phase = '', last = null;

function mark(what, n) {
  for (const id of made[batch] ?? []) old.add(id);
  if (what !== 'events') open.clear();
  batch = what === 'end' ? 0 : n;
  phase = what;
  if (what === 'visits') made[n] = new Set();
}

function executed(user, key, name, sql) {
  last = { name, sql, args: [] };
  if (name === MARK) markSql = sql;
  if (!batch) return;
  if (!open.has(key)) {
    open.set(key, { service: user.slice(5), batch, phase, executions: [] });
    transactions.push(open.get(key));
  }
  open.get(key).executions.push(last);
}

for await (const record of records()) {
  const m = /^@@ (\d+) (\S*) (\S*) (\w+): {2}([^]*)$/.exec(record);
  if (!m) continue;
  const [, process, user, virtual, kind, text] = m;
  const marked = kind === 'LOG' && /'bench mark (visits|events|end) (\d+)'/.exec(text);
  if (marked) mark(marked[1], Number(marked[2]));
  else if (user.startsWith('souk_') && services.includes(user.slice(5))) {
    const execution = kind === 'LOG' && /^execute ([^:]*): ([^]*)$/.exec(text);
    if (execution) executed(user, `${process} ${virtual}`, execution[1], execution[2]);
    else if (kind === 'DETAIL' && last && text.startsWith('parameters: ')) {
      last.args = argumentsOf(text);
      for (const [id] of text.matchAll(UUID)) if (!batch) old.add(id); else if (!old.has(id)) made[batch].add(id);
    } else last = null;
  }
}

// ---- what of it is work ----

const rolledBack = (t) => t.executions.some((x) => x.sql.trim().toUpperCase() === 'ROLLBACK');
const looksAround = (t) => t.executions.length === 1 && !t.executions[0].args.some((a) => a !== null && (a.match(UUID) || a.includes('BENCH-')));
const ofRelay = (t) => t.executions.some((x) => /FROM outbox|UPDATE outbox/.test(x.sql));
const ofEvents = (t) => t.executions.some((x) => /INSERT INTO inbox/.test(x.sql));

function work(service, n) {
  const all = transactions.filter((t) => t.service === service && t.batch === n && !rolledBack(t) && !ofRelay(t));
  const found = (next) => next && !looksAround(next) && !ofEvents(next);
  return all.filter((t, i) => !looksAround(t) || (t.phase === 'events' && found(all[i + 1])));
}

// ---- plans ----

const versions = (file) => new Map(readFileSync(`${folder}/${file}`, 'utf8').trim().split('\n').map((line) => line.split(' ')).map(([service, id, n]) => [`${service} ${id}`, Number(n)]));
const [versionBefore, versionAfter] = ['versions.before', 'versions.after'].map(versions);

// The arguments of an execution that are versions, with their steps.
function versioned(service, n, x) {
  const steps = new Map();
  for (const [, at] of x.sql.matchAll(/\bversion = \$(\d+)/g)) {
    const row = x.args.map((a) => `${service} ${a}`).find((key) => versionBefore.has(key));
    if (row === undefined && x.args.some((a) => made[n].has(a))) continue; // of a new row: it is the same each time
    if (row === undefined) throw new Error(`${service}: ${x.name} asks for a version of nothing known`);
    steps.set(Number(at) - 1, versionAfter.get(row) - versionBefore.get(row));
  }
  return steps;
}

const playable = (sql) => sql.replaceAll(/\b(AND c\.updated_at) = (?=\$\d)/g, '$1 <> ');

const escaped = (text) => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\t', '\\t').replaceAll('\r', '\\r');

function plan(service, n) {
  const statements = new Map(), ids = new Map(), body = [];
  const text = (value) => escaped(value).replace(UUID, (id) => {
    if (!made[n].has(id)) return id;
    if (!ids.has(id)) ids.set(id, ids.size);
    return `\x01${ids.get(id)}\x02`;
  });
  const batchWork = work(service, n);
  const events = batchWork.flatMap((t) => t.executions).filter((x) => /^INSERT INTO outbox/.test(x.sql)).flatMap((x) => x.args[0].match(UUID));
  if (events.length && !markSql) throw new Error(`no relay has told its database ${MARK}`);
  if (events.length) batchWork.push({ executions: [{ name: MARK, sql: markSql, args: [`{${events}}`] }] });
  for (const t of batchWork) {
    body.push('t');
    t.executions.forEach((x) => {
      if (!statements.has(x.name)) statements.set(x.name, { at: statements.size, sql: x.sql });
      const statement = statements.get(x.name);
      if (statement.sql !== x.sql) throw new Error(`${service}: two statements are called ${x.name}`);
      body.push(`x ${statement.at}`);
      const steps = versioned(service, n, x);
      x.args.forEach((a, k) => body.push(a === null ? 'n'
        : steps.has(k) ? `v ${Number(a) + steps.get(k)} ${steps.get(k)}` : `a ${text(a)}`));
    });
  }
  if (!body.length) throw new Error(`${service} told its database nothing in batch ${n}`);
  const head = [...statements].map(([name, s]) => `s ${escaped(name)}\t${escaped(playable(s.sql))}`);
  writeFileSync(`${folder}/${service}.${n}`, [`# ${visits} ${ids.size}`, ...head, ...body, ''].join('\n'));
}

for (const service of services) for (let n = 1; n <= Number(batches); n++) plan(service, n);
