/** Real sockets: what is judged is what Node does with them. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { Greeter, type Visitor } from './greeter.ts';
import { goOnReading, stopReading } from './unread-socket.ts';

const PARAMETERS = Buffer.from('user\0joe\0\0');
const head = Buffer.alloc(8);
head.writeInt32BE(8 + PARAMETERS.length, 0);
head.writeInt32BE(196608, 4);
const startup = Buffer.concat([head, PARAMETERS]);
const soon = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

it('a visitor who waits is not read, until he stays', async () => {
  let arrived: (visitor: Visitor) => void = () => {};
  const visitor = new Promise<Visitor>(resolve => (arrived = resolve));
  const greeter = new Greeter(
    { authenticationMs: 10_000, strangersMax: 1 },
    {
      startup: found => {
        stopReading(found.socket);
        arrived(found);
      },
      cancel: () => {},
      log: () => {},
    },
  );
  const server = createServer(socket => greeter.greet(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client: Socket = connect((server.address() as { port: number }).port, '127.0.0.1');
  try {
    client.write(startup);
    const { socket, initial } = await visitor;
    expect(initial).toEqual(startup);
    await soon(20);
    client.write('what comes next');
    await soon(50);
    expect(socket.bytesRead).toBe(startup.length);
    const heard = once(socket, 'data');
    goOnReading(socket);
    socket.resume();
    expect(String((await heard)[0])).toBe('what comes next');
    // As any other socket from here on.
    const more = once(socket, 'data');
    client.write('and more');
    expect(String((await more)[0])).toBe('and more');
    socket.destroy();
  } finally {
    client.destroy();
    server.close();
  }
});
