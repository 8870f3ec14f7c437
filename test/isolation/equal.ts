/**
 * PostgreSQL's isolation specs that must stay equal. Not the whole list: those that were seen equal, with one instance.
 */
export const EQUAL: readonly string[] = [
  'delete-abort-savept',
  'delete-abort-savept-2',
  'multixact-no-forget',
  'nowait',
];
