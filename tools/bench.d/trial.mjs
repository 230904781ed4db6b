// The figures of one measurement (trial.sh), as a line of JSON.
//   node trial.mjs FOLDER SUITE NAME ROUND WARMUP LOAD
// Sustained: all orders of the load, divided by the time from the first answer to the last notification. Processor time
// counts from the end of the warm-up to that last notification, so that all of the events' work is in it, and is divided
// by the orders answered in that time.
import { readFileSync } from 'node:fs';

const [folder, suite, name, round, warmup, load] = process.argv.slice(2);
const read = (file) => readFileSync(`${folder}/${file}`, 'utf8');
const lines = (file) => read(file).split('\n').filter(Boolean).map((line) => line.split(' '));
const digits = (n, d = 1) => Number(n.toFixed(d));
const percentile = (sorted, p) => sorted.length ? sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] : NaN;

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

// The meter's lines next to the two ends: the last one before, the first one after.
const meter = lines('meter').map(([us, ...pairs]) => ({ us: Number(us), ...Object.fromEntries(pairs.map((p) => p.split('=')).map(([k, v]) => [k, Number(v)])) }));
const begin = meter.findLast((m) => m.us <= from) ?? meter[0], end = meter.find((m) => m.us >= until) ?? meter.at(-1);
const orders = [...answered.values()].filter((us) => us >= begin.us).length;
const used = (what) => end[what] - begin[what];
const servers = ['postgres', 'rabbitmq', 'redis'];
const services = Object.keys(begin).filter((k) => ![...servers, 'us', 'had', 'used', 'driver'].includes(k));
// The driver has ended by the end of the time: what it had used last is what counts.
const driver = Math.max(...meter.map((m) => m.driver)) - begin.driver;
const each = (s) => digits(s * 1000 / orders, 3);
const sum = (names) => names.reduce((s, what) => s + used(what), 0);

const report = JSON.parse(read('driver'));
const souk = report.series?.checkout;
const steps = Object.entries(report.series ?? {}).filter(([series]) => !series.startsWith('visit.')).map(([, s]) => s);
console.log(JSON.stringify({
  suite, name, round: Number(round), load: Number(load), orders: answered.size, missing,
  failed: souk ? steps.reduce((n, s) => n + s.errors, 0) : report.failed + report.stuck,
  accepted: digits(souk ? souk.perSecond : report.rate),
  sustained: digits(answered.size / ((until - first) / 1e6)),
  checkout: souk ? { p50: digits(souk.p50Ms, 2), p99: digits(souk.p99Ms, 2) } : { p50: digits(report.checkout.p50, 2), p99: digits(report.checkout.p99, 2) },
  lag: { created: lag('created'), paid: lag('paid') },
  cpuMs: {
    services: each(sum(services)), ...Object.fromEntries(servers.map((s) => [s, each(used(s))])), all: each(sum([...services, ...servers])),
    driver: each(driver), byService: services.length > 1 ? Object.fromEntries(services.map((s) => [s, each(used(s))])) : undefined,
  },
  rssMb: Number(read('rss')),
  busy: digits(100 * used('used') / used('had')),
  foreign: digits(100 * Math.max(0, used('used') - sum([...services, ...servers]) - driver) / used('had')),
}));
