/** Types of watch.mjs, for tests. */
export interface Watched {
  readonly answer: string;
  readonly ms: number;
  readonly gapMs: number;
  readonly busyMs: number;
}
export interface Ended {
  readonly answer: string;
  readonly lateMs: number;
}
export class Watch {
  constructor(server: { readonly host: string; readonly port: number; readonly database: string; readonly osPid?: number });
  start(): Promise<this>;
  stop(): Promise<void>;
  ask(sql: string): Promise<string>;
  run(name: string): Promise<Watched>;
  cancelled(name: string, afterMs: number): Promise<Ended>;
  timedOut(name: string, afterMs: number): Promise<Ended>;
}
