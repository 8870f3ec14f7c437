/**
 * A Disk in memory where everything is durable at once: the platter under a FaultDisk.
 * Files are kept in 4 kB pages, so that a 16 MB segment of zeros costs what was written of it.
 */
import { type Disk, DiskError, type DiskFile, type OpenMode } from '@pgtroupe/actor/env';

const PAGE_BYTES = 4096;
const ZEROS = Buffer.alloc(PAGE_BYTES);

/** `owner`: whose alone it is; undefined: clones share it, who writes takes a copy. */
interface Page {
  readonly bytes: Uint8Array;
  owner: Content | undefined;
}

class Content {
  readonly #pages = new Map<number, Page>();
  sizeBytes = 0;

  clone(): Content {
    const copy = new Content();
    for (const [number, page] of this.#pages) {
      page.owner = undefined;
      copy.#pages.set(number, page);
    }
    copy.sizeBytes = this.sizeBytes;
    return copy;
  }

  #own(number: number): Uint8Array {
    const page = this.#pages.get(number);
    if (page?.owner === this) return page.bytes;
    const bytes = page === undefined ? new Uint8Array(PAGE_BYTES) : page.bytes.slice();
    this.#pages.set(number, { bytes, owner: this });
    return bytes;
  }

  read(into: Uint8Array, position: number): number {
    const length = Math.max(0, Math.min(into.length, this.sizeBytes - position));
    for (let done = 0; done < length; ) {
      const at = position + done;
      const inPage = at % PAGE_BYTES;
      const chunk = Math.min(PAGE_BYTES - inPage, length - done);
      const page = this.#pages.get(Math.floor(at / PAGE_BYTES));
      if (page === undefined) into.fill(0, done, done + chunk);
      else into.set(page.bytes.subarray(inPage, inPage + chunk), done);
      done += chunk;
    }
    return length;
  }

  write(data: Uint8Array, position: number): void {
    for (let done = 0; done < data.length; ) {
      const at = position + done;
      const inPage = at % PAGE_BYTES;
      const chunk = Math.min(PAGE_BYTES - inPage, data.length - done);
      const number = Math.floor(at / PAGE_BYTES);
      // Holes read as zeros.
      const hole = chunk === PAGE_BYTES && !this.#pages.has(number) && ZEROS.compare(data, done, done + chunk) === 0;
      if (!hole) this.#own(number).set(data.subarray(done, done + chunk), inPage);
      done += chunk;
    }
    this.sizeBytes = Math.max(this.sizeBytes, position + data.length);
  }

  truncate(sizeBytes: number): void {
    for (const number of this.#pages.keys()) if (number * PAGE_BYTES >= sizeBytes) this.#pages.delete(number);
    const last = Math.floor(sizeBytes / PAGE_BYTES);
    if (this.#pages.has(last)) this.#own(last).fill(0, sizeBytes % PAGE_BYTES);
    this.sizeBytes = sizeBytes;
  }
}

export class MemoryDisk implements Disk {
  readonly #files = new Map<string, Content>();
  readonly #folders = new Set<string>(['']);

  /** The same content, from here on apart. Pages are shared until one side writes. */
  clone(): MemoryDisk {
    const copy = new MemoryDisk();
    for (const folder of this.#folders) copy.#folders.add(folder);
    for (const [path, content] of this.#files) copy.#files.set(path, content.clone());
    return copy;
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    let content = this.#files.get(path);
    if (mode === 'create') {
      content ??= this.#create(path);
      content.truncate(0);
    }
    if (content === undefined) throw noEntry(path);
    const file = content;
    return {
      read: async (into, position) => file.read(into, position),
      write: async (data, position) => file.write(data, position),
      datasync: async () => {},
      truncate: async sizeBytes => file.truncate(sizeBytes),
      sizeBytes: async () => file.sizeBytes,
      close: async () => {},
    };
  }

  #create(path: string): Content {
    if (!this.#folders.has(parentOf(path))) throw noEntry(path);
    const content = new Content();
    this.#files.set(path, content);
    return content;
  }

  async readFile(path: string): Promise<Uint8Array> {
    const content = this.#files.get(path);
    if (content === undefined) throw noEntry(path);
    const bytes = new Uint8Array(content.sizeBytes);
    content.read(bytes, 0);
    return bytes;
  }

  async writeFile(path: string, data: Uint8Array): Promise<void> {
    const content = this.#files.get(path) ?? this.#create(path);
    content.truncate(0);
    content.write(data, 0);
  }

  async rename(from: string, to: string): Promise<void> {
    const content = this.#files.get(from);
    if (content === undefined) throw noEntry(from);
    this.#files.delete(from);
    this.#files.set(to, content);
  }

  async unlink(path: string): Promise<void> {
    if (!this.#files.delete(path)) throw noEntry(path);
  }

  async mkdir(path: string): Promise<void> {
    if (this.#folders.has(path)) throw new DiskError('EEXIST', path, `folder ${path} exists`);
    if (!this.#folders.has(parentOf(path))) throw noEntry(path);
    this.#folders.add(path);
  }

  async rmdir(path: string): Promise<void> {
    if (!this.#folders.has(path)) throw noEntry(path);
    if ((await this.readdir(path)).length > 0) throw new DiskError('ENOTEMPTY', path, `folder ${path} is not empty`);
    this.#folders.delete(path);
  }

  async readdir(path: string): Promise<string[]> {
    if (!this.#folders.has(path)) throw noEntry(path);
    const names = new Set<string>();
    for (const each of [...this.#files.keys(), ...this.#folders]) {
      if (each !== '' && parentOf(each) === path) names.add(each.slice(path === '' ? 0 : path.length + 1));
    }
    return [...names].sort();
  }

  async stat(path: string): Promise<{ readonly sizeBytes: number; readonly directory: boolean } | undefined> {
    if (this.#folders.has(path)) return { sizeBytes: 0, directory: true };
    const content = this.#files.get(path);
    return content === undefined ? undefined : { sizeBytes: content.sizeBytes, directory: false };
  }

  async syncDir(): Promise<void> {}

  /** Every folder, parents first. */
  folders(): string[] {
    return [...this.#folders].sort();
  }

  /** Every file with its content, for copying to a real folder. */
  async *entries(): AsyncGenerator<{ readonly path: string; readonly data: Uint8Array }> {
    for (const path of [...this.#files.keys()].sort()) yield { path, data: await this.readFile(path) };
  }
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

function noEntry(path: string): DiskError {
  return new DiskError('ENOENT', path, `no such file or directory: ${path}`);
}
