import { expect, it } from 'vitest';
import { LockRegister } from './lock-register.ts';

it('a row may be refused to a client whose own transaction before has an end that nobody knows', () => {
  const register = new LockRegister();
  register.begin(1);
  register.asks(1, 4);
  // The connection is lost in COMMIT.
  register.begin(1);
  const rivals = register.asks(1, 4);
  expect(() => register.refused(1, 4, rivals)).not.toThrow();
  register.ended(1);
  register.begin(1);
  expect(() => register.refused(1, 4, register.asks(1, 4))).toThrow('for which nobody else has asked');
});

it('a row may be refused because of a client that came and went while the answer was on its way', () => {
  const register = new LockRegister();
  register.begin(1);
  register.begin(2);
  const rivals = register.asks(1, 4);
  register.asks(2, 4);
  register.ended(2);
  expect(() => register.refused(1, 4, rivals)).not.toThrow();
});
