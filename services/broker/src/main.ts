/**
 * Wiring of the bundled broker's process: a small NATS on loopback, for a machine that has none.
 * Its death costs what was in flight on the bus, which never is the only copy of anything.
 */
import { readFileSync } from 'node:fs';
import { Broker } from '@pgtroupe/actor/broker/server';
import { runRole } from '@pgtroupe/role/runrole';

await runRole('broker', {
  start: async role => {
    const [host = '127.0.0.1', port = '0'] = role.nats.url.split(':');
    const broker = new Broker({
      host,
      port: Number(port),
      token: readFileSync(role.nats.tokenFile, 'utf8').trim(),
      timers: role.env.timers,
      random: role.env.random,
    });
    await broker.listen();
    return { stop: () => broker.close() };
  },
});
