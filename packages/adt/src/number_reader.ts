/** to_number(): the picture's keywords read digits, point and signs from a text, as NUM_processor and NUM_numpart_from_char do. */
import type { Picture } from './formatting_number.ts';

/** What to_number() has read of its input so far. */
export class NumberReader {
  readonly #text: readonly string[];
  readonly #p: Picture;
  #at = 0;
  sign: '' | '-' | '+' = '';
  whole = '';
  fraction = '';
  #point = false;

  constructor(text: string, p: Picture) {
    this.#text = [...text];
    this.#p = p;
  }

  read(): void {
    for (const node of this.#p.nodes) {
      if (this.#ended) return;
      if (node.key === '' || this.#action(node.key.toUpperCase())) this.#at++;
    }
  }

  get #ended(): boolean {
    return this.#at >= this.#text.length;
  }

  get #char(): string {
    return this.#text[this.#at] ?? '';
  }

  /** Answers whether the character it stands at is used up. */
  #action(key: string): boolean {
    switch (key) {
      case '9':
      case '0':
      case '.':
      case 'D':
        this.#digit(key);
        return true;
      case ',':
      case 'G':
        return !this.#p.fill && this.#char === ',';
      case 'L':
        return this.#skip(1);
      case 'TH':
        return !this.#p.decimal && this.#skip(2);
      case 'MI':
        return this.#takeSign('-') || this.#skip(1);
      case 'PL':
        return this.#takeSign('+') || this.#skip(1);
      case 'SG':
        return this.#takeSign('-') || this.#takeSign('+') || this.#skip(1);
      default:
        return false; // S among them: its sign is read with the first or the last digit
    }
  }

  #takeSign(sign: '-' | '+'): boolean {
    if (this.#char !== sign) return false;
    this.sign = sign;
    return true;
  }

  /** Passes up to `n` characters that cannot be part of a number. */
  #skip(n: number): false {
    for (let i = 0; i < n && !this.#ended && !'0123456789.,+-'.includes(this.#char); i++) this.#at++;
    return false;
  }

  /** NUM_numpart_from_char: one digit or the point, with the sign around the number. */
  #digit(key: string): void {
    const p = this.#p;
    if (this.#char === ' ') this.#at++;
    if (this.#ended) return;
    const isDigit = (c: string | undefined): boolean => c !== undefined && c >= '0' && c <= '9';
    if (this.sign === '' && (key === '9' || key === '0') && this.whole === '' && this.fraction === '') {
      const pre = p.hasLsign && p.lsign === 'pre';
      if (this.#takeSign('-') || this.#takeSign('+')) this.#at++;
      else if (!pre && p.bracket && this.#char === '<') {
        this.sign = '-';
        this.#at++;
      }
      if (this.#ended) return;
    }
    let read = false;
    if (isDigit(this.#char)) {
      if (!this.#point) this.whole += this.#char;
      else if (this.fraction.length === p.post) return;
      else this.fraction += this.#char;
      read = true;
    } else if (p.decimal && !this.#point && this.#char === '.') {
      this.#point = true;
      read = true;
    }
    if (this.sign !== '' || (this.whole === '' && this.fraction === '')) return;
    if (p.hasLsign) {
      const next = this.#text[this.#at + 1];
      if (read && (next === '-' || next === '+')) {
        this.sign = next;
        this.#at++;
      }
    } else if (!read && (p.plus || p.minus) && !this.#takeSign('-')) this.#takeSign('+');
  }
}
