/** Types of archive.mjs, for tests. */
export class Archive {
  constructor(folder: string, data: string);
  readonly segments: string;
  readonly runs: string;
  readonly settings: readonly string[];
  names(): string[];
  problems(): string[];
  lastRecord(): string;
  recovered<T>(
    ask: (
      server: { readonly host: string; readonly port: number; readonly user: string; readonly database: string },
      psql: (sql: string) => string,
    ) => Promise<T> | T,
  ): Promise<T>;
}
