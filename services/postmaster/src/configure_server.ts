/** What sessions ask about the configuration (`Configure`): one request a stream, one reply. */
import type { WorkerRegistration } from '@pgtroupe/actor/background-worker';
import { handle, type Handler, type RpcStream } from '@pgtroupe/actor/rpc';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { PgError } from '@pgtroupe/common/ereport';
import {
  type Cast,
  type ConfigurationReply,
  type ConfigurationRequest,
  type FileSetting,
  PostmasterDefinition,
} from '@pgtroupe/rpc/generated/postmaster';
import { streamMethod } from '@pgtroupe/rpc/method';
import type { AutoConfFile } from './alter_system.ts';

const CONFIGURE = streamMethod(PostmasterDefinition, 'configure');
const DONE: Reply = { $case: 'done', value: {} };

type Reply = NonNullable<ConfigurationReply['reply']>;

export interface ConfigureHandlers {
  readonly autoConf: AutoConfFile;
  fileSettings(): FileSetting[];
  authFile(parameter: string): string;
  launchWorker(worker: WorkerRegistration): string;
  cast(): Cast;
  /** Resolves when every role works with what is in the files now, or somebody takes too long. */
  reload(): Promise<void>;
}

export function configureHandler(handlers: ConfigureHandlers): Handler {
  return handle(CONFIGURE, stream => {
    stream.onMessage = ({ request }) => void answer(handlers, request, stream);
    stream.onEnd = () => {};
  });
}

async function answer(
  handlers: ConfigureHandlers,
  request: ConfigurationRequest['request'],
  stream: RpcStream<ConfigurationReply, ConfigurationRequest>,
): Promise<void> {
  let reply: Reply;
  try {
    reply = await carryOut(handlers, request);
  } catch (error) {
    reply = { $case: 'failed', value: failure(error) };
  }
  stream.send({ reply });
  stream.end();
}

async function carryOut(handlers: ConfigureHandlers, request: ConfigurationRequest['request']): Promise<Reply> {
  switch (request?.$case) {
    case 'alterSystem':
      await handlers.autoConf.alter(request.value.name, request.value.value);
      return DONE;
    case 'reload':
      await handlers.reload();
      return DONE;
    case 'readFileSettings':
      return { $case: 'fileSettings', value: { rows: handlers.fileSettings() } };
    case 'readAuthFile':
      return { $case: 'authFile', value: { text: handlers.authFile(request.value.parameter) } };
    case 'launchWorker': {
      const { startTime, database, role, ...rest } = request.value;
      const worker = { ...rest, startTime: startTime as WorkerRegistration['startTime'], database, role };
      return { $case: 'workerLaunched', value: { name: handlers.launchWorker(worker) } };
    }
    case 'readCast':
      return { $case: 'cast', value: handlers.cast() };
    case undefined:
      return DONE;
  }
}

function failure(error: unknown): { sqlstate: string; message: string; detail: string; hint: string } {
  const known = error instanceof PgError ? error : undefined;
  return {
    sqlstate: known?.sqlstate ?? ERRCODE.IO_ERROR,
    message: (error as Error).message,
    detail: known?.fields.detail ?? '',
    hint: known?.fields.hint ?? '',
  };
}
