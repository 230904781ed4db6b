// The figures of one measurement (trial.sh), as a line of JSON.
//   node trial.mjs FOLDER SUITE NAME ROUND WARMUP LOAD
// Sustained: all orders of the load, divided by the time from the first answer to the last notification. Processor time
// counts from the end of the warm-up to that last notification, so that all of the events' work is in it, and is divided
// by the orders answered in that time. The SQL limit has neither orders nor events: its driver says itself from when until
// when, and how many.
import { readFileSync } from 'node:fs';

const [folder, suite, name, round, warmup, load] = process.argv.slice(2);
const read = (file) => readFileSync(`${folder}/${file}`, 'utf8');
const lines = (file) => read(file).split('\n').filter(Boolean).map((line) => line.split(' '));
const digits = (n, d = 1) => Number(n.toFixed(d));
const percentile = (sorted, p) => sorted.length ? sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] : NaN;

const meter = lines('meter').map(([us, ...pairs]) => ({ us: Number(us), ...Object.fromEntries(pairs.map((p) => p.split('=')).map(([k, v]) => [k, Number(v)])) }));
const report = JSON.parse(read('driver'));
const servers = ['postgres', 'rabbitmq', 'redis'];
const before = (us) => meter.findLast((m) => m.us <= us) ?? meter[0];
const after = (us) => meter.find((m) => m.us >= us) ?? meter.at(-1);

function processors(begin, end, orders) {
  const used = (what) => end[what] - begin[what];
  const services = Object.keys(begin).filter((k) => ![...servers, 'us', 'had', 'used', 'driver'].includes(k));
  const there = servers.filter((s) => s in begin);
  // A driver that has ended counts nothing any more: what it had used last is what it has used.
  const driver = Math.max(...meter.filter((m) => m.us <= end.us).map((m) => m.driver)) - begin.driver;
  const each = (s) => digits(s * 1000 / orders, 3);
  const sum = (names) => names.reduce((s, what) => s + used(what), 0);
  return {
    cpuMs: {
      services: services.length ? each(sum(services)) : undefined, ...Object.fromEntries(there.map((s) => [s, each(used(s))])), all: each(sum([...services, ...there])),
      driver: each(driver), byService: services.length > 1 ? Object.fromEntries(services.map((s) => [s, each(used(s))])) : undefined,
    },
    busy: digits(100 * used('used') / used('had')),
    foreign: digits(100 * Math.max(0, used('used') - sum([...services, ...there]) - driver) / used('had')),
  };
}

if (report.visits !== undefined) {
  const begin = before(report.fromUs), end = before(report.untilUs);
  const figures = processors(begin, end, report.perSecond * (end.us - begin.us) / 1e6);
  console.log(JSON.stringify({ suite, name, round: Number(round), load: Number(load), orders: report.visits, sustained: report.perSecond, ...figures }));
  process.exit();
}

const answered = new Map(lines('orders').map(([id, us]) => [id, Number(us)]));
const rows = lines('rows').map(([id, kind, us]) => ({ id, kind, us: Number(us) })).filter((row) => answered.has(row.id));
const seen = { created: new Set(), paid: new Set() };
for (const row of rows) seen[row.kind].add(row.id);
const missing = [...answered.keys()].filter((id) => !seen.created.has(id) || !seen.paid.has(id)).length;

const first = [...answered.values()].reduce((a, b) => Math.min(a, b), Infinity);
const from = first + Number(warmup) * 1e6;
const until = rows.reduce((a, row) => Math.max(a, row.us), 0);

function lag(kind) {
  const ms = rows.filter((row) => row.kind === kind && answered.get(row.id) >= from)
    .map((row) => (row.us - answered.get(row.id)) / 1000).sort((a, b) => a - b);
  return { p50: digits(percentile(ms, 0.5)), p99: digits(percentile(ms, 0.99)), max: digits(percentile(ms, 1)) };
}

const souk = report.series?.checkout;
const steps = Object.entries(report.series ?? {}).filter(([series]) => !series.startsWith('visit.')).map(([, s]) => s);
console.log(JSON.stringify({
  suite, name, round: Number(round), load: Number(load), orders: answered.size, missing,
  failed: souk ? steps.reduce((n, s) => n + s.errors + s.shed, 0) : report.failed + report.stuck,
  accepted: digits(souk ? souk.perSecond : report.rate),
  sustained: digits(answered.size / ((until - first) / 1e6)),
  checkout: souk ? { p50: digits(souk.p50Ms, 2), p99: digits(souk.p99Ms, 2) } : { p50: digits(report.checkout.p50, 2), p99: digits(report.checkout.p99, 2) },
  lag: { created: lag('created'), paid: lag('paid') },
  ...processors(before(from), after(until), [...answered.values()].filter((us) => us >= before(from).us).length),
  rssMb: Number(read('rss')),
}));
