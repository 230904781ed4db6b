/* A headless Chromium of the distribution, spoken to in its own protocol over two pipes: no driver,
 * no package, no port. It dies with us, since its pipes end, and its profile is a new empty folder.
 *
 *     const page = await chromiumOpen(url)
 *     await page.type('input[name=username]', 'ops')      real keys, real clicks, on what is visible
 *     await page.click('a', 'Queues and Streams')
 *     await page.chromium.close()
 *
 * Selectors are CSS; with a text the first visible element that has exactly this text. Whatever is
 * not there yet is waited for, until a deadline. */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const WAIT_MS = 20000;
const LOOK_MS = 50;
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--no-default-browser-check', '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--disable-extensions', '--disable-dev-shm-usage', '--hide-scrollbars',
    '--force-color-profile=srgb', '--remote-debugging-pipe'];

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

class Chromium {
    constructor(binary) {
        this.folder = mkdtempSync(join(tmpdir(), 'souk-chromium-'));
        this.calls = new Map();
        this.number = 0;
        this.text = '';
        this.noise = '';
        this.process = spawn(binary, [...FLAGS, `--user-data-dir=${this.folder}`, 'about:blank'],
            { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] });
        this.process.stderr.on('data', (more) => { this.noise = (this.noise + more).slice(-2000); });
        this.process.stdio[3].on('error', () => {}); /* told by the exit */
        this.process.stdio[4].setEncoding('utf8').on('data', (more) => this.#take(more));
        this.ended = new Promise((done) => {
            this.process.on('error', (error) => done(this.#end(error.message)));
            this.process.on('exit', () => done(this.#end(`chromium has ended: ${this.noise}`)));
        });
    }

    #end(why) {
        this.why = why;
        for (const call of this.calls.values()) call.reject(new Error(why));
        this.calls.clear();
    }

    #take(more) {
        const messages = (this.text + more).split('\0');
        this.text = messages.pop();
        for (const message of messages.map((text) => JSON.parse(text))) {
            const call = this.calls.get(message.id);
            if (!call) continue; /* an event: we ask for what we want to know */
            this.calls.delete(message.id);
            if (message.error) call.reject(new Error(`${call.method}: ${message.error.message}`));
            else call.resolve(message.result);
        }
    }

    call(method, params = {}, sessionId = undefined) {
        if (this.why) return Promise.reject(new Error(this.why));
        const id = ++this.number;
        this.process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
        return new Promise((resolve, reject) => this.calls.set(id, { method, resolve, reject }));
    }

    async close() {
        if (!this.why) this.call('Browser.close').catch(() => {});
        const late = setTimeout(() => this.process.kill('SIGKILL'), 5000);
        await this.ended;
        clearTimeout(late);
        rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
    }
}

/* Runs inside the page. */
function find(selector, text) {
    const shown = (e) => e.getClientRects().length > 0;
    const words = (e) => (e.value ?? e.textContent).trim();
    return [...document.querySelectorAll(selector)]
        .find((e) => shown(e) && (text === undefined || words(e) === text));
}

class Page {
    constructor(chromium, session) {
        this.chromium = chromium;
        this.session = session;
    }

    call(method, params) { return this.chromium.call(method, params, this.session); }

    /* eval(function, arguments…): in the page; what it returns must be JSON. */
    async eval(f, ...args) {
        const words = args.map((a) => JSON.stringify(a) ?? 'undefined').join(', ');
        const { result, exceptionDetails } = await this.call('Runtime.evaluate', {
            expression: `(() => { ${find}; return (${f})(${words}); })()`,
            returnByValue: true, awaitPromise: true,
        });
        if (exceptionDetails)
            throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
        return result.value;
    }

    /* until(what, function, arguments…): its first true value. A page that is just being replaced
     * has nothing to say. */
    async until(what, f, ...args) {
        const end = Date.now() + WAIT_MS;
        let value, why = '';
        do {
            value = await this.eval(f, ...args).catch((error) => { why = ` (${error.message})`; });
            if (value) return value;
            await sleep(LOOK_MS);
        } while (Date.now() < end && !this.chromium.why);
        const seen = await this.eval(() => document.body.innerText).catch(() => this.chromium.why);
        throw new Error(`${what} did not come${why}; on the page:\n${seen}`);
    }

    visible(selector, text) {
        return this.until(`${selector} ${text ?? ''}`, (s, t) => !!find(s, t), selector, text);
    }

    /* Where it is, once it is in view as a whole and stands still: this page lets parts slide. */
    async place(selector, text) {
        const what = `${selector} ${text ?? ''}`;
        for (let before = '', end = Date.now() + WAIT_MS; ;) {
            const spot = await this.until(what, (s, t) => {
                const e = find(s, t);
                if (!e) return null;
                e.scrollIntoView({ block: 'center', behavior: 'instant' });
                const { x, y, width, height } = e.getBoundingClientRect();
                const inside = (px, py) => e.contains(document.elementFromPoint(px, py));
                const corner = inside(x + width - 3, y + height - 3) && inside(x + 3, y + 3);
                return corner && { x, y, width, height };
            }, selector, text);
            const now = JSON.stringify(spot);
            if (now === before) return spot;
            if (Date.now() > end) throw new Error(`${what} does not stand still`);
            before = now;
            await sleep(LOOK_MS);
        }
    }

    async click(selector, text) {
        const { x, y, width, height } = await this.place(selector, text);
        const button = { x: x + width / 2, y: y + height / 2, button: 'left', clickCount: 1 };
        await this.call('Input.dispatchMouseEvent', { ...button, type: 'mousePressed' });
        await this.call('Input.dispatchMouseEvent', { ...button, type: 'mouseReleased' });
    }

    /* In place of what the field holds. */
    async type(selector, text) {
        await this.click(selector);
        await this.until(`the focus of ${selector}`,
            (s) => document.activeElement === find(s) && (find(s).select(), true), selector);
        await this.call('Input.insertText', { text });
    }

    /* The element and `margin` pixels around it, as a PNG. */
    async picture(selector, margin = 0) {
        const { x, y, width, height } = await this.place(selector);
        const [left, top] = await this.eval(() => [scrollX, scrollY]);
        const clip = { x: x + left - margin, y: y + top - margin, scale: 1,
            width: width + 2 * margin, height: height + 2 * margin };
        const { data } = await this.call('Page.captureScreenshot', { format: 'png', clip });
        return Buffer.from(data, 'base64');
    }
}

export async function chromiumOpen(url, { binary = 'chromium', width = 1200, height = 1600 } = {}) {
    const chromium = new Chromium(binary);
    try {
        const { targetId } = await chromium.call('Target.createTarget', { url: 'about:blank' });
        const { sessionId } = await chromium.call('Target.attachToTarget',
            { targetId, flatten: true });
        const page = new Page(chromium, sessionId);
        await page.call('Emulation.setDeviceMetricsOverride',
            { width, height, deviceScaleFactor: 1, mobile: false });
        await page.call('Page.navigate', { url });
        return page;
    } catch (error) {
        await chromium.close();
        throw error;
    }
}
