/**
 * Time zones that are written as how far they are from UTC, where a zone is an argument of its own.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { DecodeError, decodeTimezone } from './datetime.ts';

/** Seconds west of UTC; undefined if the text is something else, a name maybe. */
export function displacement(text: string): number | undefined {
  // Names may begin with anything but a digit.
  if (/^\d/.test(text)) {
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `invalid input syntax for type numeric time zone: "${text}"`, {
      hint: 'Numeric time zones must have "-" or "+" as first character.',
    });
  }
  try {
    return decodeTimezone(text);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    if (error.failure === 'tz-overflow')
      throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `numeric time zone "${text}" out of range`);
    return undefined;
  }
}
