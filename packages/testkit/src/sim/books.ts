/** The books there are, by name. */
import { ddlBook } from './ddl-book.ts';
import { type Book, churnBook, rowsBook, tablesBook } from './ledger.ts';

export const BOOKS: Readonly<Record<string, Book>> = {
  rows: rowsBook,
  tables: tablesBook,
  churn: churnBook,
  ddl: ddlBook,
};
