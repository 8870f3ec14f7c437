/**
 * FaultDisk: a disk that has lost power, for tests.
 *
 * `kill -9` keeps what the kernel has cached, so it cannot find a missing fsync. This wrapper keeps
 * every write in this process's memory until it is synced: when the process dies, what was not
 * synced is gone, as after a power failure.
 *
 *   write      -> pending pages of the file        datasync -> the disk below
 *   create, rename, unlink -> pending names         syncDir  -> the disk below
 *
 * A file whose name is not durable yet keeps its synced bytes aside, until syncDir makes the name.
 * `loseAll` and `tear` stand for what a failing disk may do with the pending bytes.
 */
import type { Disk, DiskFile, OpenMode, Random } from './env.ts';
import { DiskError } from './env.ts';

const PAGE_BYTES = 4096;
const SECTOR_BYTES = 512;

/** One file's state above the disk below. */
class Node {
  /** Path on the disk below, undefined while the name is only pending. */
  durable: string | undefined;
  /** Content that differs from the disk below: page number to page. */
  readonly pending = new Map<number, Uint8Array>();
  /** What a failed sync has dropped: it is read from memory, no sync will write it. */
  readonly dropped = new Map<number, Uint8Array>();
  /** Synced content of a file that has no durable name yet. */
  readonly aside = new Map<number, Uint8Array>();
  sizeBytes: number;
  syncedSizeBytes: number;

  constructor(durable: string | undefined, sizeBytes: number) {
    this.durable = durable;
    this.sizeBytes = sizeBytes;
    this.syncedSizeBytes = sizeBytes;
  }
}

export class FaultDisk implements Disk {
  readonly #below: Disk;
  /** Names as the process sees them, where they or their content differ from below; null = unlinked. */
  readonly #names = new Map<string, Node | null>();

  constructor(below: Disk) {
    this.#below = below;
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    let node = await this.#node(path);
    if (node === undefined) {
      if (mode !== 'create') throw noEntry(path);
      if ((await this.#below.stat(parentOf(path)))?.directory !== true) throw noEntry(path);
      node = new Node(undefined, 0);
      this.#names.set(path, node);
    } else if (mode === 'create') truncate(node, 0);
    return this.#file(node, mode === 'durable');
  }

  #file(node: Node, durable: boolean): DiskFile {
    return {
      read: (into, position) => this.#read(node, into, position),
      write: async (data, position) => {
        await this.#write(node, data, position);
        if (durable) await this.#datasync(node);
      },
      datasync: () => this.#datasync(node),
      truncate: async sizeBytes => truncate(node, sizeBytes),
      sizeBytes: async () => node.sizeBytes,
      close: async () => {},
    };
  }

  async #node(path: string): Promise<Node | undefined> {
    const known = this.#names.get(path);
    if (known !== undefined) return known ?? undefined;
    const stat = await this.#below.stat(path);
    if (stat === undefined || stat.directory) return undefined;
    // Another call may have made it meanwhile.
    const raced = this.#names.get(path);
    if (raced !== undefined) return raced ?? undefined;
    const node = new Node(path, stat.sizeBytes);
    this.#names.set(path, node);
    return node;
  }

  /** What is above the disk below of this page. */
  #held(node: Node, number: number): Uint8Array | undefined {
    return node.pending.get(number) ?? node.dropped.get(number) ?? node.aside.get(number);
  }

  async #page(node: Node, number: number): Promise<Uint8Array> {
    const held = this.#held(node, number);
    if (held !== undefined) return held;
    const page = new Uint8Array(PAGE_BYTES);
    await this.#readBelow(node, page, number * PAGE_BYTES);
    return page;
  }

  /** Fills `into` with what the disk below has there, and with zeros behind that. */
  async #readBelow(node: Node, into: Uint8Array, position: number): Promise<void> {
    const there = node.durable === undefined ? 0 : Math.min(into.length, node.syncedSizeBytes - position);
    let got = 0;
    if (there > 0) {
      const file = await this.#below.open(node.durable!, 'read');
      got = await file.read(into.subarray(0, there), position);
      await file.close();
    }
    into.fill(0, got);
  }

  async #read(node: Node, into: Uint8Array, position: number): Promise<number> {
    const length = Math.max(0, Math.min(into.length, node.sizeBytes - position));
    for (let done = 0; done < length; ) {
      const at = position + done;
      const inPage = at % PAGE_BYTES;
      const first = Math.floor(at / PAGE_BYTES);
      const held = this.#held(node, first);
      let chunk = Math.min(PAGE_BYTES - inPage, length - done);
      if (held !== undefined) into.set(held.subarray(inPage, inPage + chunk), done);
      else {
        for (let next = first + 1; chunk < length - done && this.#held(node, next) === undefined; next++)
          chunk = Math.min(chunk + PAGE_BYTES, length - done);
        await this.#readBelow(node, into.subarray(done, done + chunk), at);
      }
      done += chunk;
    }
    return length;
  }

  async #write(node: Node, data: Uint8Array, position: number): Promise<void> {
    // Zeros behind the end are what is read there anyway; a new WAL segment is nothing else.
    const behind = data.length > 0 && position >= Math.max(node.sizeBytes, node.syncedSizeBytes);
    if (behind && position % PAGE_BYTES === 0 && isZero(data)) {
      node.sizeBytes = position + data.length;
      return;
    }
    for (let done = 0; done < data.length; ) {
      const at = position + done;
      const number = Math.floor(at / PAGE_BYTES);
      const inPage = at % PAGE_BYTES;
      const chunk = Math.min(PAGE_BYTES - inPage, data.length - done);
      const bytes = data.subarray(done, done + chunk);
      if (chunk === PAGE_BYTES) node.pending.set(number, isZero(bytes) ? ZERO_PAGE : new Uint8Array(bytes));
      else {
        const old = at - inPage >= node.sizeBytes ? ZERO_PAGE : await this.#page(node, number);
        const held = node.pending.get(number) ?? old;
        const page = held === node.pending.get(number) && held !== ZERO_PAGE ? held : new Uint8Array(held);
        page.set(bytes, inPage);
        node.pending.set(number, page);
      }
      node.dropped.delete(number);
      done += chunk;
    }
    node.sizeBytes = Math.max(node.sizeBytes, position + data.length);
  }

  async #datasync(node: Node): Promise<void> {
    const pages = [...node.pending];
    const sizeBytes = node.sizeBytes;
    node.pending.clear();
    if (node.durable === undefined) for (const [number, page] of pages) node.aside.set(number, page);
    else await this.#writeBelow(node.durable, pages, sizeBytes);
    node.syncedSizeBytes = sizeBytes;
  }

  async #writeBelow(path: string, pages: readonly (readonly [number, Uint8Array])[], sizeBytes: number): Promise<void> {
    const file = await this.#below.open(path, 'write');
    const sorted = pages.toSorted((a, b) => a[0] - b[0]).filter(([number]) => number * PAGE_BYTES < sizeBytes);
    for (let n = 0; n < sorted.length; ) {
      const [number, page] = sorted[n]!;
      const at = number * PAGE_BYTES;
      let run = 1;
      if (page === ZERO_PAGE) while (sorted[n + run]?.[0] === number + run && sorted[n + run]![1] === ZERO_PAGE) run++;
      const bytes = run === 1 ? page : new Uint8Array(run * PAGE_BYTES);
      await file.write(bytes.subarray(0, sizeBytes - at), at);
      n += run;
    }
    if ((await file.sizeBytes()) !== sizeBytes) await file.truncate(sizeBytes);
    await file.datasync();
    await file.close();
  }

  async syncDir(path: string): Promise<void> {
    // Renames first, so that a name that was freed and reused ends with its new content.
    for (const [name, node] of this.#names) {
      if (parentOf(name) !== path || node === null || node.durable === undefined || node.durable === name) continue;
      await this.#below.rename(node.durable, name);
      node.durable = name;
    }
    for (const [name, node] of this.#names) {
      if (parentOf(name) !== path) continue;
      if (node === null) {
        if ((await this.#below.stat(name)) !== undefined) await this.#below.unlink(name);
        this.#names.delete(name);
      } else if (node.durable === undefined) {
        await (await this.#below.open(name, 'create')).close();
        node.durable = name;
        await this.#writeBelow(name, [...node.aside], node.syncedSizeBytes);
        node.aside.clear();
      }
    }
    await this.#below.syncDir(path);
  }

  async readFile(path: string): Promise<Uint8Array> {
    const node = await this.#node(path);
    if (node === undefined) throw noEntry(path);
    const bytes = new Uint8Array(node.sizeBytes);
    await this.#read(node, bytes, 0);
    return bytes;
  }

  async writeFile(path: string, data: Uint8Array): Promise<void> {
    const file = await this.open(path, 'create');
    await file.write(data, 0);
  }

  async rename(from: string, to: string): Promise<void> {
    const node = await this.#node(from);
    if (node === undefined) throw noEntry(from);
    this.#names.set(from, null);
    this.#names.set(to, node);
  }

  async unlink(path: string): Promise<void> {
    if ((await this.#node(path)) === undefined) throw noEntry(path);
    this.#names.set(path, null);
  }

  async mkdir(path: string): Promise<void> {
    await this.#below.mkdir(path);
  }

  async rmdir(path: string): Promise<void> {
    await this.#below.rmdir(path);
  }

  async readdir(path: string): Promise<string[]> {
    const names = new Set(await this.#below.readdir(path));
    for (const [name, node] of this.#names) {
      if (parentOf(name) !== path) continue;
      const base = name.slice(path === '' ? 0 : path.length + 1);
      if (node === null) names.delete(base);
      else names.add(base);
    }
    return [...names].sort();
  }

  async stat(path: string): Promise<{ readonly sizeBytes: number; readonly directory: boolean } | undefined> {
    const node = await this.#node(path);
    if (node !== undefined) return { sizeBytes: node.sizeBytes, directory: false };
    if (this.#names.get(path) === null) return undefined;
    return this.#below.stat(path);
  }

  // ---- what a power failure does -------------------------------------------------------------------

  /** A sync of the file failed: as Linux does, the pages stay readable and count as clean. */
  failSync(path: string): void {
    const node = this.#names.get(path);
    if (node === undefined || node === null) return;
    for (const [number, page] of node.pending) node.dropped.set(number, page);
    node.pending.clear();
  }

  /** Nothing that was pending survives. */
  loseAll(): void {
    this.#names.clear();
  }

  /** Each pending sector of a named file survives or not, as chance has it; then power is gone. */
  async tear(random: Random): Promise<void> {
    for (const node of this.#names.values()) {
      if (node === null || node.durable === undefined) continue;
      for (const [number, page] of node.pending) {
        for (let sector = 0; sector < PAGE_BYTES; sector += SECTOR_BYTES) {
          const at = number * PAGE_BYTES + sector;
          if (random.uniform() < 0.5 || at >= node.syncedSizeBytes) continue;
          const file = await this.#below.open(node.durable, 'write');
          const length = Math.min(SECTOR_BYTES, node.syncedSizeBytes - at);
          await file.write(page.subarray(sector, sector + length), at);
          await file.close();
        }
      }
    }
    this.loseAll();
  }
}

function truncate(node: Node, sizeBytes: number): void {
  for (const pages of [node.pending, node.dropped, node.aside]) {
    for (const number of pages.keys()) if (number * PAGE_BYTES >= sizeBytes) pages.delete(number);
    pages.get(Math.floor(sizeBytes / PAGE_BYTES))?.fill(0, sizeBytes % PAGE_BYTES);
  }
  node.sizeBytes = sizeBytes;
}

/** For every page of zeros, of which wiping WAL makes thousands; nobody writes into it. */
const ZERO_PAGE = new Uint8Array(PAGE_BYTES);
const ZEROS = Buffer.alloc(16 * PAGE_BYTES);

export function isZero(data: Uint8Array): boolean {
  for (let at = 0; at < data.length; at += ZEROS.length) {
    const length = Math.min(ZEROS.length, data.length - at);
    if (ZEROS.compare(data, at, at + length, 0, length) !== 0) return false;
  }
  return true;
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

function noEntry(path: string): DiskError {
  return new DiskError('ENOENT', path, `no such file or directory: ${path}`);
}
