/** Several books in one: each takes every so many numbers of a client, and counts them by itself. */
import type { Book } from './ledger.ts';

export function combinedBook(books: readonly Book[]): Book {
  const part = (number: number): readonly [Book, number] => [
    books[number % books.length]!,
    Math.floor(number / books.length),
  ];
  return {
    tables: books.flatMap(book => book.tables),
    setUp: async client => {
      for (const book of books) await book.setUp(client);
    },
    write: async (client, c, number) => {
      const [book, local] = part(number);
      await book.write(client, c, local);
    },
    has: async (client, c, number) => {
      const [book, local] = part(number);
      return book.has(client, c, local);
    },
    read: async (client, c) => {
      const there = new Set<number>();
      for (const [n, book] of books.entries())
        for (const local of await book.read(client, c)) there.add(local * books.length + n);
      return there;
    },
    balance: async client => {
      for (const book of books) await book.balance(client);
    },
  };
}
