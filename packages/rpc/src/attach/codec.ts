/**
 * Hand-packed batches of attach operations (see ops.ts for the vocabulary).
 *
 *   batch := operation*
 *   operation := number:u8 field*            number = position in the table
 *   u64  := low:u32 high:u32                 an exact integer below 2^53
 *   str, bytes, page := length:u32 byte*
 *   rel  := spcNode:u32 dbNode:u32 relNode:u32
 *   list := count:u32 element*
 *
 * Little-endian, unaligned. A frame that does not decode is a bug or an attack: FrameError, and the
 * stream ends.
 */
import { Traffic } from '@pgtroupe/actor/traffic';
import type { Oid, RelFileNode } from '@pgtroupe/common/ids';
import { DOWN, type DownOp, type FieldType, type OpTable, UP, type UpOp } from './ops.ts';

export class FrameError extends Error {
  override readonly name = 'FrameError';
}

type AnyOp = { readonly op: string } & Readonly<Record<string, unknown>>;

interface OpShape {
  readonly number: number;
  readonly name: string;
  readonly fields: readonly (readonly [name: string, type: FieldType])[];
}

function shapes(table: OpTable): OpShape[] {
  return Object.entries(table).map(([name, fields], number) => ({
    number,
    name,
    fields: Object.entries(fields) as [string, FieldType][],
  }));
}

const INITIAL_BYTES = 64 * 1024;

/** Gathers operations of one direction into one batch. */
export class OpWriter<T extends { readonly op: string }> {
  readonly #byName: ReadonlyMap<string, OpShape>;
  #buffer: Buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  #length = 0;
  readonly #traffic: Traffic;

  constructor(table: OpTable, traffic: Traffic) {
    this.#traffic = traffic;
    this.#byName = new Map(shapes(table).map(shape => [shape.name, shape]));
  }

  /** Bytes gathered and not yet taken. */
  get lengthBytes(): number {
    return this.#length;
  }

  put(op: T): void {
    const shape = this.#byName.get(op.op);
    if (shape === undefined) throw new FrameError(`unknown operation ${op.op}`);
    this.#traffic.operations.sent++;
    this.#reserve(1);
    this.#buffer[this.#length++] = shape.number;
    const values = op as unknown as AnyOp;
    for (const [name, type] of shape.fields) this.#field(type, values[name]);
  }

  /** The batch so far, in a buffer of its own; the writer starts the next one. */
  take(): Uint8Array {
    const batch = Buffer.allocUnsafe(this.#length);
    this.#buffer.copy(batch, 0, 0, this.#length);
    this.#length = 0;
    if (this.#buffer.length > 64 * INITIAL_BYTES) this.#buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
    return batch;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#buffer.length));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }

  #u32(value: number): void {
    const b = this.#buffer;
    let at = this.#length;
    b[at++] = value;
    b[at++] = value >>> 8;
    b[at++] = value >>> 16;
    b[at++] = value >>> 24;
    this.#length = at;
  }

  #u64(value: number): void {
    this.#u32(value >>> 0);
    this.#u32(Math.floor(value / 0x100000000));
  }

  #rel(rel: RelFileNode): void {
    this.#u32(rel.spcNode);
    this.#u32(rel.dbNode);
    this.#u32(rel.relNode);
  }

  #bytes(bytes: Uint8Array): void {
    this.#reserve(4 + bytes.length);
    this.#u32(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #field(type: FieldType, value: unknown): void {
    switch (type) {
      case 'u8':
      case 'bool':
        this.#reserve(1);
        this.#buffer[this.#length++] = Number(value);
        return;
      case 'u16':
        this.#reserve(2);
        this.#buffer.writeUInt16LE(value as number, this.#length);
        this.#length += 2;
        return;
      case 'u32':
        this.#reserve(4);
        this.#u32(value as number);
        return;
      case 'u64':
        this.#reserve(8);
        this.#u64(value as number);
        return;
      case 'str': {
        const text = value as string;
        const bytes = Buffer.byteLength(text);
        this.#reserve(4 + bytes);
        this.#u32(bytes);
        this.#buffer.write(text, this.#length, 'utf8');
        this.#length += bytes;
        return;
      }
      case 'bytes':
        return this.#bytes(value as Uint8Array);
      case 'page':
        if ((value as Uint8Array).length > 0) this.#traffic.pageImages.sent++;
        return this.#bytes(value as Uint8Array);
      case 'rel':
        this.#reserve(12);
        this.#rel(value as RelFileNode);
        return;
      case 'u32s': {
        const list = value as readonly number[];
        this.#reserve(4 + 4 * list.length);
        this.#u32(list.length);
        for (const element of list) this.#u32(element);
        return;
      }
      case 'u64s': {
        const list = value as readonly number[];
        this.#reserve(4 + 8 * list.length);
        this.#u32(list.length);
        for (const element of list) this.#u64(element);
        return;
      }
      case 'rels': {
        const list = value as readonly RelFileNode[];
        this.#reserve(4 + 12 * list.length);
        this.#u32(list.length);
        for (const element of list) this.#rel(element);
        return;
      }
    }
  }
}

/** Takes batches of one direction apart. Byte fields are views into the batch. */
export class OpReader<T> {
  readonly #byNumber: readonly OpShape[];
  #batch: Buffer = Buffer.alloc(0);
  #at = 0;
  readonly #traffic: Traffic;

  constructor(table: OpTable, traffic: Traffic) {
    this.#traffic = traffic;
    this.#byNumber = shapes(table);
  }

  read(batch: Uint8Array, receive: (op: T) => void): void {
    this.#batch = Buffer.from(batch.buffer, batch.byteOffset, batch.byteLength);
    this.#at = 0;
    const end = batch.byteLength;
    while (this.#at < end) {
      // Kept across `receive`, which may start reading another batch only after this one.
      const shape = this.#byNumber[this.#batch[this.#at++]!];
      if (shape === undefined) throw new FrameError(`unknown operation number ${this.#batch[this.#at - 1]}`);
      const op: Record<string, unknown> = { op: shape.name };
      for (const [name, type] of shape.fields) op[name] = this.#field(type);
      this.#traffic.operations.received++;
      receive(op as T);
    }
  }

  #need(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#batch.length) throw new FrameError('truncated operation');
    this.#at = at + bytes;
    return at;
  }

  #u32(): number {
    return this.#batch.readUInt32LE(this.#need(4));
  }

  #u64(): number {
    const low = this.#u32();
    return this.#u32() * 0x100000000 + low;
  }

  #rel(): RelFileNode {
    const spcNode = this.#u32() as Oid;
    const dbNode = this.#u32() as Oid;
    return { spcNode, dbNode, relNode: this.#u32() as Oid };
  }

  #bytes(): Uint8Array {
    const length = this.#u32();
    const at = this.#need(length);
    return this.#batch.subarray(at, at + length);
  }

  /** A list's length, refused when the batch cannot hold it: nothing is allocated on a peer's word. */
  #count(elementBytes: number): number {
    const count = this.#u32();
    if (count * elementBytes > this.#batch.length - this.#at) throw new FrameError('truncated list');
    return count;
  }

  #field(type: FieldType): unknown {
    switch (type) {
      case 'u8':
        return this.#batch[this.#need(1)];
      case 'bool':
        return this.#batch[this.#need(1)] !== 0;
      case 'u16':
        return this.#batch.readUInt16LE(this.#need(2));
      case 'u32':
        return this.#u32();
      case 'u64':
        return this.#u64();
      case 'str': {
        const length = this.#u32();
        const at = this.#need(length);
        return this.#batch.toString('utf8', at, at + length);
      }
      case 'bytes':
        return this.#bytes();
      case 'page': {
        const image = this.#bytes();
        if (image.length > 0) this.#traffic.pageImages.received++;
        return image;
      }
      case 'rel':
        return this.#rel();
      case 'u32s':
        return Array.from({ length: this.#count(4) }, () => this.#u32());
      case 'u64s':
        return Array.from({ length: this.#count(8) }, () => this.#u64());
      case 'rels':
        return Array.from({ length: this.#count(12) }, () => this.#rel());
    }
  }
}

/** `traffic`: of the process whose operations they are. */
export const upWriter = (traffic = new Traffic()): OpWriter<UpOp> => new OpWriter<UpOp>(UP, traffic);
export const upReader = (traffic = new Traffic()): OpReader<UpOp> => new OpReader<UpOp>(UP, traffic);
export const downWriter = (traffic = new Traffic()): OpWriter<DownOp> => new OpWriter<DownOp>(DOWN, traffic);
export const downReader = (traffic = new Traffic()): OpReader<DownOp> => new OpReader<DownOp>(DOWN, traffic);
