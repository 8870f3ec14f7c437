/**
 * Stands in for an instance: lets everybody in and answers every query with one row, `<instance's
 * pid> <session's pid> <client's address>`. The query `sleep` answers when it is cancelled.
 */
import { runRole } from '@pgtroupe/role/runrole';

const message = (type, ...parts) => {
  const body = Buffer.concat(parts.map(p => (typeof p === 'string' ? Buffer.from(`${p}\0`) : p)));
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
};
const int = (n, bytes = 4) => {
  const b = Buffer.alloc(bytes);
  b.writeIntBE(n, 0, bytes);
  return b;
};
const ready = () => message('Z', Buffer.from('I'));

const start = async role => {
  const sessions = new Map();
  const first = role.instance * 1000;
  let next = first;
  role.sessions.leased(first, 1000);
  role.sessions.onArrival = ({ connection, initial, reserved }) => {
    const pid = next++;
    const answer = text =>
      Buffer.concat([
        message('T', int(1, 2), 'answer', int(0), int(0, 2), int(25), int(-1, 2), int(-1), int(0, 2)),
        message('D', int(1, 2), int(Buffer.byteLength(text)), Buffer.from(text)),
        message('C', 'SELECT 1'),
        ready(),
      ]);
    let buffer = Buffer.from(initial.subarray(initial.readUInt32BE(0)));
    const receive = chunk => {
      buffer = Buffer.concat([buffer, chunk]);
      while (buffer.length >= 5 && buffer.length >= 1 + buffer.readUInt32BE(1)) {
        const length = buffer.readUInt32BE(1);
        const type = String.fromCharCode(buffer[0]);
        const text = buffer.toString('utf8', 5, length);
        buffer = buffer.subarray(1 + length);
        if (type === 'X') return connection.end();
        if (text === 'sleep') sessions.set(pid, () => connection.write(answer('cancelled')));
        else connection.write(answer(`${process.pid} ${pid} ${connection.peer?.address ?? 'local'} ${reserved}`));
      }
    };
    connection.onData = receive;
    connection.onEnd = () => role.sessions.ended(true);
    role.sessions.authenticated();
    connection.write(Buffer.concat([message('R', int(0)), message('K', int(pid), int(4711)), ready()]));
    receive(Buffer.alloc(0));
  };
  role.sessions.onCancel = (pid, secret) => {
    if (secret === 4711) sessions.get(pid)?.();
  };
  return { stop: async () => {} };
};

await runRole('backend', { start });
