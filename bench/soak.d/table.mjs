// The verdict on a soak: a table, a line for bench/results/soak.jsonl, and the exit status.
//   node table.mjs FOLDER LINE      what bench/soak.sh has written there
// A process is judged by its life: from its start, or the load's, to its end, or the load's. The rules are those of docs/PERFORMANCE.md, "Soak".
import { readFileSync, writeFileSync } from 'node:fs';

const [folder, lineFile] = process.argv.slice(2);
const BOUNDS = {
  lifeS: 300, warmS: 120, // a shorter life says nothing about memory; its first two minutes, or a fifth, don't either
  rssPerHourKb: 4096, stretchMs: 30000, // in calm stretches of that length: in 15 s it would be 17 KiB, less than the kernel's own counting is off
  rssRiseShare: 0.05, rssRiseKb: 512, rssRestartKb: 512, // over the life, and for each restart of a server in it
  descriptors: 2, threads: 2,
  wholeMs: 60000, // until all parts have again all they work with
  shedShare: 0.001, // of the answers in calm times: told to come again
};
const SERVICES = ['auth', 'cart', 'order', 'payment', 'seller', 'notification', 'aibuddy'];
const read = (name) => readFileSync(`${folder}/${name}`, 'utf8');
const rows = (name) => read(name).split('\n').filter(Boolean).map((line) => line.split(' '));
const conditions = JSON.parse(read('conditions.json')), load = JSON.parse(read('soak.json'));
const calmMs = conditions.calmAfterSeconds * 1000;

// ---- arithmetic ----

function quantile(sorted, p) { return sorted.length ? sorted[Math.max(0, Math.ceil(sorted.length * p) - 1)] : NaN; }
const sorted = (values) => [...values].sort((a, b) => a - b);
const median = (values) => quantile(sorted(values), 0.5);
// Theil and Sen: the median of the slopes between all pairs of a stretch. A step or an outlier does not move it, a steady rise does.
function slope(stretches) {
  const slopes = [];
  for (const points of stretches)
    for (let i = 0; i < points.length; i++)
      for (let k = i + 1; k < points.length; k++) slopes.push((points[k][1] - points[i][1]) / (points[k][0] - points[i][0]));
  return median(slopes);
}
const digits = (n, d = 0) => Number.isFinite(n) ? Number(n.toFixed(d)) : null;
const text = (n, d = 0) => Number.isFinite(n) ? n.toFixed(d) : '-';

// ---- what was answered ----

// Negative: no answer (souk-load's enum wire_result).
const LOST = { '-1': 'refused', '-2': 'unsafe', '-3': 'reset', '-4': 'timeout', '-5': 'garbage', '-6': 'canceled' };
const from = Date.parse(load.startedAt), to = from + conditions.minutes * 60000;
const answers = rows('log').map(([series, due, us, status]) => ({ series, due: Number(due), ms: us / 1000, status: LOST[status] ?? status }))
  .filter((a) => a.due >= from).sort((a, b) => a.due - b.due);
const good = (a) => a.status.startsWith('2');
const shed = (a) => a.status === '503' || a.status === '429';
const mishaps = rows('events')
  .map(([, began, back, whole, part, how]) => ({ part, how, began: Number(began), back: Number(back), whole: Number(whole) }))
  .map((m, i, all) => ({ ...m, end: Math.min((m.whole || m.back || m.began + BOUNDS.wholeMs) + calmMs, all[i + 1]?.began ?? Infinity) }));
const troubled = (t) => mishaps.some((m) => t >= m.began && t < m.end);

function statuses(list) {
  const count = {};
  for (const a of list) if (!good(a)) count[a.status] = (count[a.status] ?? 0) + 1;
  return count;
}
const words = (count) => Object.entries(count).sort((a, b) => b[1] - a[1]).map(([status, n]) => `${n} ${status}`).join(', ') || 'none';
function times(list) {
  const ms = sorted(list.filter((a) => a.series === 'checkout' && good(a)).map((a) => a.ms));
  return { sold: ms.length, p50Ms: digits(quantile(ms, 0.5), 1), p99Ms: digits(quantile(ms, 0.99), 1) };
}
for (const m of mishaps) {
  const near = answers.filter((a) => a.due >= m.began && a.due < m.end), bad = near.filter((a) => !good(a));
  Object.assign(m, times(near.filter((a) => a.due < m.began + calmMs)), { errors: statuses(near), lastErrorMs: bad.length ? bad.at(-1).due - m.began : 0 });
}
const calm = answers.filter((a) => !troubled(a.due)), trouble = answers.filter((a) => troubled(a.due));
const calmErrors = calm.filter((a) => !good(a));

// ---- what processes held ----

const lives = new Map();
for (const [kind, at, name, pid, rss, anonymous, threads, descriptors] of rows('samples')) {
  if (kind !== 'p' || at < from || at > to) continue;
  const key = `${name} ${pid}`;
  if (!lives.has(key)) lives.set(key, { name, pid: Number(pid), samples: [] });
  lives.get(key).samples.push({ at: Number(at), rss: Number(rss), anonymous: Number(anonymous), threads: Number(threads), descriptors: Number(descriptors) });
}
const checkouts = answers.filter((a) => a.series === 'checkout' && good(a)).map((a) => a.due);
function judge(life) {
  const first = life.samples[0].at, last = life.samples.at(-1).at, span = last - first;
  const warm = life.samples.filter((s) => s.at >= first + Math.max(BOUNDS.warmS * 1000, span / 5));
  // Backlogs that a restart has left are worked off in larger batches, and what that takes is given back a little later: so pairs are made between restarts.
  const stretches = [];
  for (const s of warm) if (!troubled(s.at)) (stretches[mishaps.filter((m) => m.began <= s.at).length] ??= []).push([s.at, s.rss]);
  const fifth = (n, what) => median(life.samples.filter((s) => s.at >= first + span * (n - 1) / 5 && s.at <= first + span * n / 5).map((s) => s[what]));
  const sold = checkouts.filter((t) => t >= first && t < last).length;
  const rise = slope(stretches.filter((points) => points && points.at(-1)[0] - points[0][0] >= BOUNDS.stretchMs)); // KB a ms
  const restarts = mishaps.filter((m) => !SERVICES.includes(m.part) && m.began > first + span * 0.3 && m.began < first + span * 0.9).length;
  const v = {
    name: life.name, lifeS: digits(span / 1000), sold, restarts, rssKb: fifth(5, 'rss'), rssBeforeKb: fifth(2, 'rss'), anonymousKb: fifth(5, 'anonymous'),
    rssPerHourKb: digits(rise * 3600000), bytesPerCheckout: digits(rise * 1024 * span / sold, 1),
    descriptors: fifth(5, 'descriptors'), descriptorsBefore: fifth(2, 'descriptors'), threads: fifth(5, 'threads'), threadsBefore: fifth(2, 'threads'), wrong: [],
  };
  v.judged = v.lifeS >= BOUNDS.lifeS;
  if (!v.judged) return v;
  if (v.rssPerHourKb > BOUNDS.rssPerHourKb) v.wrong.push('memory grows');
  if (v.rssKb - v.rssBeforeKb > Math.max(BOUNDS.rssRiseKb, v.rssBeforeKb * BOUNDS.rssRiseShare) + restarts * BOUNDS.rssRestartKb) v.wrong.push('memory has risen');
  if (v.threads - v.threadsBefore > BOUNDS.threads) v.wrong.push('threads have risen');
  return v;
}
const judged = [...lives.values()].map((life) => ({ ...judge(life), last: life.samples.at(-1).at > to - 15000 }))
  .filter((v) => [...SERVICES, 'load'].includes(v.name));

// At rest, before and after: descriptors but for connections to the database, which a pool opens when it needs them, and keeps.
function rest(name) {
  const r = {};
  for (const [kind, , svc, pid, rss, , threads, descriptors] of rows(`${name}.samples`)) {
    if (kind === 'p') r[svc] = { pid: Number(pid), rssKb: Number(rss), threads: Number(threads), descriptors: Number(descriptors), connections: 0 };
  }
  for (const [kind, , svc, n] of rows(`${name}.samples`)) if (kind === 'd' && r[svc]) r[svc].connections = Number(n);
  return r;
}
const before = rest('before'), after = rest('after');
const held = (r, svc) => (r[svc]?.descriptors ?? NaN) - (r[svc]?.connections ?? 0);

// ---- the servers' side ----

const looks = rows('samples').filter(([kind]) => kind === 'q').map(([, at, ...n]) => [Number(at), ...n.map((x) => x === '-' ? NaN : Number(x))]);
const atRest = rows('after.samples').filter(([kind]) => kind === 'q').map(([, , ...n]) => n.map(Number))[0] ?? [];
const column = (i) => looks.map((l) => l[i]).filter(Number.isFinite);
const depth = (i) => ({ p50: median(column(i)), max: Math.max(...column(i)), atRest: atRest[i - 1] });
const servers = { connections: depth(1), queued: depth(2), deadLetters: depth(3), outboxes: depth(4) };

// ---- the verdict ----

const audit = read('after.audit').trim().split('\n');
const verdicts = [];
const must = (sentence, bad) => verdicts.push({ sentence, bad });
must('the books balance', audit.at(-1).startsWith('audit: all 12 hold') ? [] : audit.filter((l) => !l.startsWith('ok')));
must(`all have what they work with again within ${BOUNDS.wholeMs / 1000} s`,
  mishaps.filter((m) => !m.whole || m.whole - m.began > BOUNDS.wholeMs).map((m) => `${m.part} ${m.how}`));
must(`${conditions.calmAfterSeconds} s later every answer is right (told to come again: ${BOUNDS.shedShare * 100} % at most)`, [
  ...calmErrors.filter((a) => !shed(a)).slice(0, 5).map((a) => `${a.series} ${a.status} at ${text((a.due - from) / 1000, 1)} s`),
  ...(calmErrors.filter(shed).length > calm.length * BOUNDS.shedShare ? [`${calmErrors.filter(shed).length} of ${calm.length} told to come again`] : [])]);
must('memory and threads are flat', judged.flatMap((v) => v.wrong.map((w) => `${v.name}: ${w}`)));
must('at rest no descriptors are left over', SERVICES.filter((svc) => !(held(after, svc) <= held(before, svc) + BOUNDS.descriptors))
  .map((svc) => `${svc}: ${held(after, svc)}, and ${held(before, svc)} before`));
const failed = verdicts.filter((v) => v.bad.length);

// ---- for people ----

function print(rows) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((r) => r[i].length)));
  for (const r of rows) console.log(r.map((cell, i) => i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])).join('  ').trimEnd());
}
const clock = (ms) => `${Math.floor(ms / 60000)}:${String(Math.floor(ms / 1000) % 60).padStart(2, '0')}`;
const visits = load.series['visit.checkout'], all = times(answers), quiet = times(calm), near = times(trouble);
console.log(`\n${conditions.minutes} minutes at ${conditions.offeredPerSecond} visits/s (${conditions.percent} % of a peak of ${conditions.peakPerSecond}): ` +
  `${visits.count} visits, ${all.sold} orders, ${visits.count - visits.good} visits that failed`);
console.log(`checkout p50 / p99: ${text(quiet.p50Ms, 1)} / ${text(quiet.p99Ms, 1)} ms in calm times, ${text(near.p50Ms, 1)} / ${text(near.p99Ms, 1)} ms around a restart`);
console.log(`not answered as asked: in calm times ${words(statuses(calm))}; around a restart ${words(statuses(trouble))}\n`);
print([['at', 'what', 'ready, ms', 'all whole, ms', 'last error, ms', 'sold', 'p50 / p99 ms', 'errors'],
  ...mishaps.map((m) => [clock(m.began - from), `${m.part}, ${m.how}`, m.back ? text(m.back - m.began) : 'NEVER', m.whole ? text(m.whole - m.began) : 'NEVER',
    text(m.lastErrorMs), text(m.sold), `${text(m.p50Ms, 1)} / ${text(m.p99Ms, 1)}`, words(m.errors)])]);
console.log();
const pair = (a, b) => `${text(a)} > ${text(b)}`;
print([['process', 'life', 'RSS, KiB', 'KiB/h, calm', 'B a checkout', 'restarts', 'threads', 'fds, busy', 'fds at rest', ''],
  ...judged.filter((v) => v.judged || v.last).sort((a, b) => SERVICES.indexOf(a.name) - SERVICES.indexOf(b.name)).map((v) => [v.name, clock(v.lifeS * 1000),
    pair(v.rssBeforeKb, v.rssKb), v.judged ? text(v.rssPerHourKb) : '-', v.judged ? text(v.bytesPerCheckout, 1) : '-', text(v.restarts), pair(v.threadsBefore, v.threads), pair(v.descriptorsBefore, v.descriptors),
    v.last && after[v.name] ? pair(held(before, v.name), held(after, v.name)) : '', v.judged ? v.wrong.join(', ') || 'flat' : 'too short to tell'])]);
console.log();
for (const [name, d] of Object.entries(servers)) console.log(`${name.padEnd(12)} p50 ${text(d.p50)}, max ${text(d.max)}, at rest ${text(d.atRest)}`);
console.log(`mails        ${conditions.mails} taken\n`);
for (const v of verdicts) console.log(`${v.bad.length ? 'FAILED' : 'ok    '} ${v.sentence}${v.bad.map((b) => `\n         ${b}`).join('')}`);
const untold = SERVICES.filter((svc) => !judged.some((v) => v.name === svc && v.judged));
if (untold.length) console.log(`not told: the memory of ${untold.join(', ')}; no life of ${BOUNDS.lifeS} s`);

const round = (m) => ({ part: m.part, how: m.how, atS: digits((m.began - from) / 1000), readyMs: m.back ? m.back - m.began : null, wholeMs: m.whole ? m.whole - m.began : null,
  lastErrorMs: m.lastErrorMs, sold: m.sold, p50Ms: m.p50Ms, p99Ms: m.p99Ms, errors: m.errors });
const { calmAfterSeconds, ...told } = conditions;
writeFileSync(lineFile, `${JSON.stringify({ ...told, passed: !failed.length, failed: failed.map((v) => [v.sentence, ...v.bad]), visits: visits.count, failedVisits: visits.count - visits.good,
  orders: all.sold, calm: { ...quiet, errors: statuses(calm) }, aroundRestarts: { ...near, errors: statuses(trouble) }, restarts: mishaps.map(round),
  processes: judged.filter((v) => v.judged || v.last).map(({ wrong, last, ...v }) => ({ ...v, ...(last && after[v.name] ? { descriptorsAtRest: held(after, v.name), descriptorsAtRestBefore: held(before, v.name) } : {}) })),
  servers, audit: audit.at(-1) })}\n`);
process.exit(failed.length ? 1 : 0);
