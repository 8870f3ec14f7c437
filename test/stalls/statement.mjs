/** The client whose statement is watched: in a thread of its own, so that what it has to do for it is not taken for the server's doing. */
import { parentPort, workerData } from 'node:worker_threads';
import { CASES } from './cases.mjs';
import { Client } from './client.mjs';

let client = await Client.open(workerData.server);

async function perform({ name, sql }) {
  if (client.closed) client = await Client.open(workerData.server);
  if (sql !== undefined) return { answer: await client.query(sql) };
  const watched = CASES.find(each => each.name === name);
  const text = watched.sql();
  const params = watched.params?.();
  parentPort.postMessage({ begins: { pid: client.pid, secret: client.secret } });
  const begun = performance.now();
  const answer = await (watched.copy
    ? client.copyIn(text, watched.copy())
    : params
      ? client.execute(text, params)
      : client.query(text));
  const ms = performance.now() - begun;
  if (watched.tail !== undefined) await client.query(watched.tail);
  return { answer, ms };
}

parentPort.on('message', order => {
  void perform(order).then(done => parentPort.postMessage(done));
});
parentPort.postMessage({ ready: true });
