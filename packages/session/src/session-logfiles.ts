/** What built-in functions may ask the logger, over the bus: a logger that does not answer is no session's trouble. */
import { LOGGER_FILES_SUBJECT, LOGGER_ROTATE_SUBJECT } from '@pgtroupe/actor/log-record';
import type { LogFiles } from '@pgtroupe/adt/logfuncs';
import type { Session } from './session.ts';

const PATIENCE_MS = 1_000;

export function sessionLogFiles(session: Session): LogFiles {
  const { env, settings } = session.instance;
  const ask = async (subject: string): Promise<unknown> => {
    const answer = await env.bus.request(subject, new Uint8Array(0), PATIENCE_MS);
    return answer === undefined ? undefined : JSON.parse(new TextDecoder().decode(answer));
  };
  return {
    get collecting() {
      return settings.bool('logging_collector');
    },
    current: async () => new Map((await ask(LOGGER_FILES_SUBJECT)) as [string, string][] | undefined),
    rotate: async () => (await ask(LOGGER_ROTATE_SUBJECT)) === true,
  };
}
