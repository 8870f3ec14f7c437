/** Lock modes: who conflicts with whom (lock.c), and their names. A set of modes is a mask of 1 << mode. */
const NAMES = [
  'INVALID',
  'AccessShareLock',
  'RowShareLock',
  'RowExclusiveLock',
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
] as const;

export const MAX_LOCK_MODE = 8;

const bits = (...modes: number[]): number => modes.reduce((mask, mode) => mask | (1 << mode), 0);

/** LockConflicts */
const CONFLICTS: readonly number[] = [
  0,
  bits(8),
  bits(7, 8),
  bits(5, 6, 7, 8),
  bits(4, 5, 6, 7, 8),
  bits(3, 4, 6, 7, 8),
  bits(3, 4, 5, 6, 7, 8),
  bits(2, 3, 4, 5, 6, 7, 8),
  bits(1, 2, 3, 4, 5, 6, 7, 8),
];

export function conflictMask(mode: number): number {
  return CONFLICTS[mode]!;
}

export function lockModeName(mode: number): string {
  return NAMES[mode] ?? 'INVALID';
}

/** Conflicts with a mode that instances grant by themselves (ConflictsWithRelationFastPath). */
export function isStrongMode(mode: number): boolean {
  return mode >= 5;
}
