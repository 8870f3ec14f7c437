/**
 * What a session asks the postmaster, who has the configuration files (`Configure` in proto/postmaster.proto).
 *
 * A postmaster that dies before it answers is followed by another within seconds, and every request may be carried
 * out twice: so it is asked again, for a while. A cancel, or the client's end, ends the wait.
 */
import type { Timer } from '@pgtroupe/actor/env';
import type { RpcStream } from '@pgtroupe/actor/rpc';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Sqlstate } from '@pgtroupe/common/errcodes';
import {
  type ConfigurationReply,
  type ConfigurationRequest,
  PostmasterDefinition,
} from '@pgtroupe/rpc/generated/postmaster';
import { streamMethod } from '@pgtroupe/rpc/method';
import type { Session } from './session.ts';

const CONFIGURE = streamMethod(PostmasterDefinition, 'configure');
const ASK_AGAIN_MS = 100;
const PATIENCE_MS = 25_000;

type Request = NonNullable<ConfigurationRequest['request']>;
type Reply = Exclude<NonNullable<ConfigurationReply['reply']>, { $case: 'failed' }>;

/** Throws the error that the postmaster answers with, and 57P03 when there is none that answers. */
export async function configure(session: Session, request: Request): Promise<Reply> {
  const { runner, instance } = session;
  const { rpc, timers, clock } = instance.env;
  const untilMs = clock.nowMs() + PATIENCE_MS;
  let stream: RpcStream<ConfigurationRequest, ConfigurationReply> | undefined;
  let again: Timer | undefined;
  const answered = new Promise<ConfigurationReply['reply']>(resolve => {
    const ask = (): void => {
      stream = rpc.open(instance.postmaster, CONFIGURE);
      stream.onMessage = ({ reply }) => resolve(reply);
      stream.onEnd = () => {
        if (clock.nowMs() >= untilMs) resolve(undefined);
        else again = timers.after(ASK_AGAIN_MS, ask);
      };
      stream.send({ request });
    };
    runner.interruptible = () => resolve(undefined);
    ask();
  });
  try {
    const reply = await answered;
    session.checkForInterrupts();
    if (reply === undefined) throw ereport(ERRCODE.CANNOT_CONNECT_NOW, 'the postmaster does not answer');
    if (reply.$case !== 'failed') return reply;
    const { sqlstate, message, detail, hint } = reply.value;
    throw ereport(sqlstate as Sqlstate, message, { detail: detail || undefined, hint: hint || undefined });
  } finally {
    if (stream !== undefined) {
      stream.onEnd = () => {};
      stream.end();
    }
    again?.cancel();
    runner.interruptible = undefined;
  }
}
