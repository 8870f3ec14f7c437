/**
 * Making up names for constraints, indexes and sequences, no longer than NAMEDATALEN allows.
 */
const NAME_BYTES = 63;

/** Cuts to 63 bytes without splitting a character. */
export function truncateIdentifier(name: string): string {
  return clip(name, NAME_BYTES);
}

function clip(name: string, bytes: number): string {
  const encoded = Buffer.from(name, 'utf8');
  if (encoded.length <= bytes) return name;
  let end = bytes;
  while (end > 0 && (encoded[end]! & 0xc0) === 0x80) end--;
  return encoded.toString('utf8', 0, end);
}

/**
 * `name1_name2_label`, the two names shortened alike (the longer one first) until all of it fits.
 * Empty parts are left out.
 */
function makeObjectName(name1: string, name2: string, label: string): string {
  const overhead = (name2 === '' ? 0 : 1) + (label === '' ? 0 : 1 + Buffer.byteLength(label));
  const available = NAME_BYTES - overhead;
  let bytes1 = Buffer.byteLength(name1);
  let bytes2 = Buffer.byteLength(name2);
  while (bytes1 + bytes2 > available) {
    if (bytes1 > bytes2) bytes1--;
    else bytes2--;
  }
  return [clip(name1, bytes1), clip(name2, bytes2), label].filter(part => part !== '').join('_');
}

/** The first of label, label1, label2, ... whose name is free. */
export async function chooseName(
  name1: string,
  name2: string,
  label: string,
  taken: (name: string) => Promise<boolean>,
): Promise<string> {
  for (let pass = 0; ; pass++) {
    const name = makeObjectName(name1, name2, pass === 0 ? label : `${label}${pass}`);
    if (!(await taken(name))) return name;
  }
}
