/** The thread beside the main one: does one task at a time, knows no session and no shared state. */
import { answerMessages } from '@pgtroupe/actor/node/threads';
import { PgError } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import { exhausted } from '@pgtroupe/libpq/error-response';
import { type Answer, buffersOf, type CallTask, compact, type Task } from './messages.ts';

/** Only what the task needs is loaded. */
async function perform(task: Task): Promise<Answer> {
  switch (task.task) {
    case 'parse': {
      const { loadParser, parseToJson } = await import('@pgtroupe/parser/parser');
      await loadParser();
      return { answer: 'json', json: parseToJson(task.text) };
    }
    case 'compress': {
      const { toastCompressDatum } = await import('@pgtroupe/access/common/toast-compression');
      return { answer: 'value', value: toastCompressDatum(task.args[0] as Uint8Array)?.bytes ?? null };
    }
    case 'decompress': {
      const { plainValue } = await import('@pgtroupe/access/common/detoast');
      return { answer: 'value', value: plainValue(task.pointer, task.args[0] as Uint8Array) };
    }
    case 'call':
      return { answer: 'value', value: compact(await call(task)) };
  }
}

async function call(task: CallTask): Promise<Datum> {
  await import('@pgtroupe/commands/fmgrtab');
  const { DEFAULT_SETTINGS, lookupBuiltin } = await import('@pgtroupe/adt/fmgr');
  const fc = {
    settings: { ...DEFAULT_SETTINGS, ...task.settings },
    collation: task.collation as Oid,
    argTypes: task.argTypes as readonly Oid[],
    resultType: task.resultType as Oid,
    variadic: task.variadic,
    extra: undefined,
  };
  return lookupBuiltin(task.prosrc)!(fc, ...task.args);
}

function failure(thrown: unknown): Answer {
  const error = exhausted(thrown) ?? thrown;
  if (error instanceof PgError) {
    const { cause: _, ...fields } = error.fields;
    return { answer: 'error', sqlstate: error.sqlstate, message: error.message, fields };
  }
  return { answer: 'failed', stack: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

answerMessages(
  (task: Task) => perform(task).catch(failure),
  answer => (answer.answer === 'value' ? buffersOf(answer.value) : []),
);
