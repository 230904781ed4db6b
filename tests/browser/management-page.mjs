/* Somebody at the RabbitMQ management page with a dead letter: logs in, finds the queue in the
 * list, reads its first message, and, told to, moves the messages away with the page's own form.
 *     node management-page.mjs URL USER QUEUE [--holding COUNT] [--picture FILE]
 *         [--move-to QUEUE]
 * The password comes on standard input. On standard output, as JSON, what the page shows:
 * The list is looked at until it has the queue with COUNT messages (1): its statistics lag by some
 * seconds.
 *     {"listed": 1, "left": 0, "properties": {…}, "headers": {…}, "encoding": "string", "body": "…"} */

import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { chromiumOpen } from './chromium.mjs';

const { values: options, positionals: [url, user, queue] } = parseArgs({
    allowPositionals: true,
    options: {
        holding: { type: 'string', default: '1' },
        picture: { type: 'string' },
        'move-to': { type: 'string' },
    },
});
const password = readFileSync(0, 'utf8').trim();

const page = await chromiumOpen(url);
try {
    await page.type('input[name=username]', user);
    await page.type('input[name=password]', password);
    await page.click('input[type=submit]', 'Login');

    await page.click('#tabs a', 'Queues');
    const holding = Number(options.holding);
    const listed = await page.until(`${queue} with ${holding}`, (name, wanted) => {
        const link = find('table.list a', name);
        const total = link?.closest('tr').querySelectorAll('td.r')[2]?.textContent;
        const count = Number(total?.replaceAll(',', '')) || 0;
        return count === wanted && count;
    }, queue, holding);

    await page.click('table.list a', queue);
    await page.visible('h1', `Queue ${queue}`);
    await page.click('h2', 'Get messages');
    await page.click('input[type=submit]', 'Get Message(s)');
    const letter = await page.until('a message', () => {
        const box = find('#msg-wrapper div.box');
        if (!box) return null;
        const cells = (table) => Object.fromEntries([...table.tBodies[0].rows]
            .map((row) => [row.cells[0].firstChild.textContent.trim().replace(/:$/, ''), row.cells[1]]));
        const texts = (table) => Object.fromEntries(Object.entries(cells(table))
            .map(([name, cell]) => [name, cell.textContent.trim()]));
        const facts = cells(box.querySelector('table.facts'));
        const properties = facts.Properties.querySelector('table.mini');
        return {
            left: Number(box.querySelector('p b').textContent),
            key: facts['Routing Key'].textContent.trim(),
            properties: texts(properties),
            headers: texts(cells(properties).headers.querySelector('table.mini')),
            encoding: box.innerText.match(/Encoding: (\w+)/)[1],
            body: box.querySelector('pre.msg-payload').textContent,
        };
    });
    if (options.picture) writeFileSync(options.picture, await page.picture('#msg-wrapper div.box'));

    if (options['move-to']) {
        await page.click('h2', 'Move messages');
        await page.type('input[name=dest-queue]', options['move-to']);
        await page.click('input[type=submit]', 'Move messages');
        await page.visible('h1', 'Queues'); /* where the page goes when it has been done */
    }
    console.log(JSON.stringify({ listed, ...letter }));
} finally {
    await page.chromium.close();
}
