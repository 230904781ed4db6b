// The table of a whole run, and its line for bench/results/bench.jsonl.
//   node table.mjs CONDITIONS STARTS TRIALS LINE
// Each figure is the median of the rounds. A ratio is the median of the ratios within a round: what slowed one round down
// slowed both sides. A measurement during which somebody else's processes took more than 8 % of the machine is marked.
import { readFileSync, writeFileSync } from 'node:fs';

const [conditionsFile, startsFile, trialsFile, lineFile] = process.argv.slice(2);
const NOISE = 8;
const conditions = JSON.parse(readFileSync(conditionsFile, 'utf8'));
const startsOf = {};
for (const line of readFileSync(startsFile, 'utf8').trim().split('\n')) {
  const [suite, ms] = line.split(' ');
  (startsOf[suite] ??= []).push(Number(ms));
}
const trials = readFileSync(trialsFile, 'utf8').trim().split('\n').map((line) => JSON.parse(line));

const digits = (n, d) => Number.isFinite(n) ? Number(n.toFixed(d)) : null;
function median(values) {
  const v = values.filter((x) => Number.isFinite(x)).sort((a, b) => a - b), m = v.length >> 1;
  return v.length ? (v.length % 2 ? v[m] : (v[m - 1] + v[m]) / 2) : NaN;
}
const of = (suite, name) => trials.filter((t) => t.suite === suite && t.name === name);
const at = (suite, name, what) => median(of(suite, name).map(what));
const suites = [...new Set(trials.map((t) => t.suite))];
const names = [...new Set(trials.map((t) => t.name))];
const busiest = names.find((n) => n.startsWith('c'));

// Within each round: ours by theirs.
function ratio(name, suite, theirs, what = (t) => t.sustained) {
  return median(of('souk', name).map((t) => what(t) / what(of(suite, theirs).find((o) => o.round === t.round) ?? {})));
}

// ---- by measurement ----

const text = (n, d) => Number.isFinite(n) ? n.toFixed(d) : '-';
const range = (v) => `${text(Math.min(...v), 0)}-${text(Math.max(...v), 0)}`;
function row(suite, name) {
  const t = of(suite, name), m = (what) => median(t.map(what));
  const noisy = t.filter((x) => x.foreign > NOISE).length;
  const notes = [];
  if (noisy) notes.push(`${noisy} of ${t.length} noisy`);
  const failed = t.reduce((n, x) => n + (x.failed ?? 0), 0), missing = t.reduce((n, x) => n + (x.missing ?? 0), 0);
  if (failed) notes.push(`${failed} FAILED`);
  if (missing) notes.push(`${missing} WITHOUT EVENTS`);
  const pair = (f, d) => `${text(m((x) => f(x)?.p50), d)} / ${text(m((x) => f(x)?.p99), d)}`;
  return [suite, name, text(m((x) => x.sustained), 0), range(t.map((x) => x.sustained)), pair((x) => x.checkout, 1),
    pair((x) => x.lag?.created, 0), pair((x) => x.lag?.paid, 0),
    ...['services', 'postgres', 'rabbitmq', 'redis', 'all'].map((k) => text(m((x) => x.cpuMs?.[k]), 2)),
    text(m((x) => x.rssMb), 0), text(m((x) => x.busy), 0), text(m((x) => x.foreign), 0), notes.join(', ')];
}
const table = [
  ['', '', 'checkouts', '', 'checkout ms', 'created lag', 'paid lag ms', 'CPU ms a checkout', '', '', '', '', 'RSS', 'busy', 'else', ''],
  ['suite', 'load', '/s', 'range', 'p50 / p99', 'p50 / p99', 'p50 / p99', 'services', 'pg', 'rabbit', 'redis', 'all', 'MiB', '%', '%', ''],
  ...suites.flatMap((s) => names.filter((n) => of(s, n).length).map((n) => row(s, n))),
];
function print(rows, left) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((r) => (i === 7 && r[i] === 'CPU ms a checkout' ? 0 : r[i].length))));
  for (const r of rows) console.log(r.map((cell, i) => left.includes(i) ? cell.padEnd(widths[i]) : cell.padStart(widths[i])).join('  ').trimEnd());
}

// ---- against what was promised ----

const goals = [];
function goal(what, value, limit, least, d, unit = '') {
  if (Number.isFinite(value)) goals.push({ what, value: digits(value, d), target: limit, unit, least, met: least ? value >= limit : value <= limit });
}
const cpu = (what) => (t) => t.cpuMs?.[what];
goal('checkouts/s by the plain Node suite', ratio(busiest, 'node', busiest), 2.7, true, 2, 'x');
goal('checkouts/s by the grouped Node suite', ratio(busiest, 'node-grouped', busiest), 2.4, true, 2, 'x');
goal('checkouts/s by the SQL limit', ratio(busiest, 'limit', 'batch'), 0.5, true, 2, 'x');
goal('services\' CPU a checkout, saturated', at('souk', busiest, cpu('services')), 0.43, false, 2, ' ms');
goal('  by the plain Node suite\'s', ratio(busiest, 'node', busiest, cpu('services')), 0.2, false, 2, 'x');
goal('all CPU a checkout, saturated', at('souk', busiest, cpu('all')), 1.7, false, 2, ' ms');
goal('checkout p50, open loop', at('souk', 'open', (t) => t.checkout.p50), 3, false, 1, ' ms');
goal('checkout p99, open loop', at('souk', 'open', (t) => t.checkout.p99), 10, false, 1, ' ms');
goal('checkouts/s, one shopper', at('souk', 'c1', (t) => t.sustained), 450, true, 0, '/s');
goal('lag p99 of order.created, open loop', at('souk', 'open', (t) => t.lag.created.p99), 12, false, 1, ' ms');
goal('lag p99 of order.created, saturated', at('souk', busiest, (t) => t.lag.created.p99), 50, false, 1, ' ms');
goal('memory of the seven services', Math.max(...names.map((n) => at('souk', n, (t) => t.rssMb)).filter(Number.isFinite)), 45, false, 0, ' MiB');
goal('services ready after', median(startsOf.souk ?? []), 100, false, 0, ' ms');

const c = conditions, s = c.settings;
console.log(`
Souk ${c.commit}, ${c.rounds} round${c.rounds > 1 ? 's' : ''} of ${c.seconds} s, medians; ${c.cores} cores shared by all; load ${c.loadBefore} before, ${c.loadAfter} after
${s.buildtype} build, driver ${c.driver}, at the services (no gateway), mail ${s.mail ? 'by SMTP' : 'stored and marked as sent, no SMTP'}, no TLS, no rate limits, log level ${s.logLevel}
open: ${c.openRate} visits a second; lag: from the answer to the commit of notification's row
`);
print(table, [0, 1, 15]);
console.log(`\nready after (ms): ${Object.entries(startsOf).map(([suite, v]) => `${suite} ${text(median(v), 0)}`).join(', ')}`);
console.log('');
print([['', 'value', 'target', ''], ...goals.map((g) => [g.what, `${g.value}${g.unit}`, `${g.least ? '>=' : '<='} ${g.target}${g.unit}`, g.met ? 'met' : 'MISSED'])], [0, 3]);
const noisy = trials.filter((t) => t.foreign > NOISE).length;
if (noisy) console.log(`\n${noisy} of ${trials.length} measurements are noisy: other processes took more than ${NOISE} % of the machine. Ratios within a round still mean something, single figures don't.`);
console.log(`books: ${c.audit}`);

// ---- for later ----

const summary = {};
for (const suite of suites) {
  summary[suite] = {};
  for (const name of names.filter((n) => of(suite, n).length)) {
    const m = (what, d = 2) => digits(at(suite, name, what), d), t = of(suite, name);
    const parts = Object.keys(t[0].cpuMs?.byService ?? {});
    summary[suite][name] = {
      perSecond: m((x) => x.sustained, 1), perSecondByRound: t.map((x) => x.sustained), accepted: m((x) => x.accepted, 1),
      failed: t.reduce((n, x) => n + (x.failed ?? 0), 0), missing: t.reduce((n, x) => n + (x.missing ?? 0), 0),
      checkoutMs: { p50: m((x) => x.checkout?.p50), p99: m((x) => x.checkout?.p99) },
      lagMs: { created: { p50: m((x) => x.lag?.created.p50, 1), p99: m((x) => x.lag?.created.p99, 1) }, paid: { p50: m((x) => x.lag?.paid.p50, 1), p99: m((x) => x.lag?.paid.p99, 1) } },
      cpuMs: Object.fromEntries(['services', 'postgres', 'rabbitmq', 'redis', 'all', 'driver'].map((k) => [k, m((x) => x.cpuMs?.[k], 3)])),
      ...(parts.length ? { cpuMsByService: Object.fromEntries(parts.map((p) => [p, m((x) => x.cpuMs.byService[p], 3)])) } : {}),
      rssMb: m((x) => x.rssMb, 1), busyPercent: m((x) => x.busy, 0), foreignPercent: m((x) => x.foreign, 1), noisyRounds: t.filter((x) => x.foreign > NOISE).length,
    };
  }
}
writeFileSync(lineFile, JSON.stringify({
  ...conditions, noisy: noisy > 0, readyMs: Object.fromEntries(Object.entries(startsOf).map(([suite, v]) => [suite, median(v)])),
  results: summary, goals: goals.map(({ what, value, target, met }) => ({ what: what.trim(), value, target, met })),
}) + '\n');
