/**
 * What the session lends to plans that need more room than work_mem: files that nobody else knows, gone when they are
 * closed. Its errors are the statement's (53100 of a full disk, 53400 beyond temp_file_limit).
 */
export interface TempFile {
  /** The file reaches up to here from now on: refused beyond temp_file_limit. */
  extend(bytes: number): void;
  write(data: Uint8Array, at: number): Promise<void>;
  /** All of `into`. */
  read(into: Uint8Array, at: number): Promise<void>;
  /** What is under way ends unheard. */
  close(): void;
}

export interface TempFiles {
  create(): TempFile;
}

/** As EXPLAIN tells sizes. */
export function kilobytes(bytes: number): number {
  return Math.ceil(bytes / 1024);
}
