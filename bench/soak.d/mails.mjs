// A mail server that takes every mail and keeps none: the inbox of ./souk up holds all in memory, and a soak sends hundreds a second.
//   node mails.mjs PORT COUNT      writes into COUNT, once a second, how many mails it took
import { createServer } from 'node:net';
import { writeFileSync } from 'node:fs';

const [port, file] = process.argv.slice(2);
let taken = 0, written = -1;

createServer((socket) => {
  let rest = '', text = false;
  const say = (line) => socket.write(line + '\r\n');
  const command = (line) => {
    const verb = line.slice(0, 4).toUpperCase();
    if (verb === 'EHLO') say('250-soak\r\n250 8BITMIME');
    else if (verb === 'DATA') { text = true; say('354 go on'); }
    else if (verb === 'QUIT') socket.end('221 bye\r\n');
    else say(/^(HELO|MAIL|RCPT|RSET|NOOP)$/.test(verb) ? '250 ok' : '502 what?');
  };
  socket.setEncoding('latin1').setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    const lines = (rest + chunk).split('\r\n');
    rest = lines.pop();
    for (const line of lines) {
      if (!text) command(line);
      else if (line === '.') { text = false; taken++; say('250 taken'); }
    }
  });
  say('220 soak');
}).listen(Number(port), '127.0.0.1');

setInterval(() => {
  if (taken !== written) writeFileSync(file, `${written = taken}\n`);
}, 1000);
