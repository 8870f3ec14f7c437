import { expect, test } from 'vitest';
import { formatScramSecret, parseScramSecret, scramSecret } from './scram-common.ts';

// Made by PostgreSQL: create role x password 'pencil'; select rolpassword from pg_authid.
const THEIRS =
  'SCRAM-SHA-256$4096:WESlFRrJZMyyV0djQvoxug==$yVX0WiQIIqYf2Yds1sCXXtpUM1wwyyuNv5j2VpxnRxc=:onJAnxROa6luGMrmmxURnGoh/eNo1q+Zu51ctS+Vm70=';

test('secrets are those that PostgreSQL makes of the same password and salt', () => {
  const parsed = parseScramSecret(THEIRS)!;
  expect(formatScramSecret(scramSecret('pencil', parsed.salt, parsed.iterations))).toBe(THEIRS);
  expect(formatScramSecret(scramSecret('pencils', parsed.salt))).not.toBe(THEIRS);
});

test('other texts are no secrets', () => {
  for (const text of ['', 'pencil', 'md5abcdef', 'SCRAM-SHA-256$4096:abc$def', `${THEIRS}x:`])
    expect(parseScramSecret(text)).toBeUndefined();
});
