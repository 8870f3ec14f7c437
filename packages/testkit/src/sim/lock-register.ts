/**
 * Who was told that a row is locked, and has not given it back: for clients that check each other.
 *
 * A lock that is granted while somebody else is told to hold one that conflicts is a fault, unless the other's
 * transaction has ended without his knowing (its instance is dead): he is suspected until his COMMIT is answered.
 * To be refused a row (NOWAIT) is a fault when nobody has asked for it in a transaction that may be open.
 */
export type RowLockMode = 'KEY SHARE' | 'SHARE' | 'NO KEY UPDATE' | 'UPDATE';

/** PostgreSQL's table of conflicts of row-level locks. */
const CONFLICTS: Readonly<Record<RowLockMode, readonly RowLockMode[]>> = {
  'KEY SHARE': ['UPDATE'],
  SHARE: ['NO KEY UPDATE', 'UPDATE'],
  'NO KEY UPDATE': ['SHARE', 'NO KEY UPDATE', 'UPDATE'],
  UPDATE: ['KEY SHARE', 'SHARE', 'NO KEY UPDATE', 'UPDATE'],
};

interface Hold {
  readonly row: number;
  readonly mode: RowLockMode;
}

/** A statement that asks for a row. */
interface Question {
  readonly c: number;
  readonly row: number;
  /** Of a transaction whose end the client never heard of: it may go on, with locks, beside the client's next. */
  readonly lost: boolean;
  /** Who may have had the row since it was asked for, if only for a while. */
  readonly rivals: number[];
}

export class LockRegister {
  readonly #holders = new Map<number, { holds: Hold[]; suspicions: string[] }>();
  /** What was asked in transactions that may be open: a client that lost its connection never knows. */
  #asked: Question[] = [];

  /** Client `c` begins a transaction. */
  begin(c: number): void {
    this.#holders.set(c, { holds: [], suspicions: [] });
    this.#asked = this.#asked.map(asked => (asked.c === c ? { ...asked, lost: true } : asked));
  }

  /** Before client `c` asks for the row. Returns who else may have it; those who come meanwhile are added. */
  asks(c: number, row: number): readonly number[] {
    const rivals = this.#rivals(c, row);
    for (const asked of this.#asked) if (asked.row === row && asked.c !== c) asked.rivals.push(c);
    this.#asked.push({ c, row, lost: false, rivals });
    return rivals;
  }

  #rivals(c: number, row: number): number[] {
    return this.#asked.filter(asked => asked.row === row && (asked.c !== c || asked.lost)).map(asked => asked.c);
  }

  /** The server has said that somebody else holds the row; `rivals`: what `asks` returned. */
  refused(c: number, row: number, rivals: readonly number[]): void {
    if (rivals.length > 0) return;
    throw new Error(`client ${c} was refused row ${row}, for which nobody else has asked`);
  }

  /** The server has said that `c` holds the row. */
  granted(c: number, row: number, mode: RowLockMode): void {
    for (const [other, { holds, suspicions }] of this.#holders) {
      if (other === c) continue;
      const met = holds.find(hold => hold.row === row && CONFLICTS[mode].includes(hold.mode));
      if (met !== undefined)
        suspicions.push(`client ${c} was given FOR ${mode} of row ${row}, which client ${other} had FOR ${met.mode}`);
    }
    this.#holders.get(c)!.holds.push({ row, mode });
  }

  /** A place to come back to. */
  mark(c: number): number {
    return this.#holders.get(c)!.holds.length;
  }

  /** Before ROLLBACK TO is sent: locks taken since are given back. */
  backTo(c: number, mark: number): void {
    this.#holders.get(c)!.holds.length = mark;
  }

  /** Before COMMIT or ROLLBACK is sent, or because the transaction failed: everything is given back. */
  ending(c: number): void {
    this.#holders.get(c)!.holds.length = 0;
  }

  /** COMMIT or ROLLBACK was answered. */
  ended(c: number): void {
    this.#asked = this.#asked.filter(asked => asked.c !== c);
  }

  /** COMMIT was answered: so everything was held until it was sent. */
  committed(c: number): void {
    const { suspicions } = this.#holders.get(c)!;
    if (suspicions.length > 0) throw new Error(suspicions.join('\n'));
  }
}
