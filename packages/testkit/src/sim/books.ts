/** The books there are, by name; each run has its own. */
import { ddlBook } from './ddl-book.ts';
import { type Book, churnBook, rowsBook, tablesBook } from './ledger.ts';
import { giantsBook } from './giants-book.ts';
import { newLocksBook } from './locks-book.ts';
import { queueBook } from './queue-book.ts';
import { readersBook } from './readers-book.ts';

export const BOOKS: Readonly<Record<string, () => Book>> = {
  rows: () => rowsBook,
  tables: () => tablesBook,
  churn: () => churnBook,
  ddl: () => ddlBook,
  locks: newLocksBook,
  giants: () => giantsBook,
  queue: () => queueBook,
  readers: () => readersBook,
};
