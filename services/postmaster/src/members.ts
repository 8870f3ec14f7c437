/** Who is to be there: a member of the cast begins without a process. */
import { roleName } from '@pgtroupe/actor/lifecycle';
import type { Member, Supervision } from './supervision.ts';

type NewMember = Pick<Member, 'role' | 'instance' | 'worker' | 'database'> & Partial<Pick<Member, 'attends'>>;

export function addMember(s: Supervision, { role, instance, attends = true, worker, database }: NewMember): Member {
  const name = roleName(role, instance);
  const member: Member = {
    role,
    instance,
    name,
    attends,
    worker,
    database,
    life: { life: 'absent', notBeforeMs: 0 },
    failures: 0,
    launches: 0,
  };
  s.members.set(name, member);
  return member;
}
