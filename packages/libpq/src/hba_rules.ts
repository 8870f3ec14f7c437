/** pg_hba.conf and pg_ident.conf as rows of pg_hba_file_rules and pg_ident_file_mappings (hbafuncs.c). */
import { type HbaLine, parseHba, tokenize } from './hba.ts';

export interface HbaRule {
  readonly lineNumber: number;
  readonly error?: string;
  readonly rule?: {
    readonly type: string;
    readonly databases: readonly string[];
    readonly users: readonly string[];
    readonly address: string | undefined;
    readonly netmask: string | undefined;
    readonly method: string;
    /** `name=value` */
    readonly options: readonly string[];
  };
}

/** Options in the order in which PostgreSQL shows them. */
const OPTIONS = [
  'include_realm',
  'krb_realm',
  'map',
  'clientcert',
  'pamservice',
  'ldapserver',
  'ldapport',
  'ldapscheme',
  'ldaptls',
  'ldapprefix',
  'ldapsuffix',
  'ldapbasedn',
  'ldapbinddn',
  'ldapbindpasswd',
  'ldapsearchattribute',
  'ldapsearchfilter',
  'ldapscope',
  'radiusservers',
  'radiussecrets',
  'radiusidentifiers',
  'radiusports',
];

export function hbaRules(text: string): HbaRule[] {
  const { lines, problems } = parseHba(text);
  const rows: HbaRule[] = problems.map(({ lineNumber, message }) => ({ lineNumber, error: message }));
  for (const line of lines) rows.push(ruleOf(line));
  return rows.sort((a, b) => a.lineNumber - b.lineNumber);
}

function ruleOf(line: HbaLine): HbaRule {
  const { lineNumber, type, source } = line;
  const unknown = [...line.options.keys()].find(name => !OPTIONS.includes(name));
  if (unknown !== undefined) return { lineNumber, error: `unrecognized authentication option name: "${unknown}"` };
  const rule = {
    type,
    databases: line.databases.map(token => token.text),
    users: line.users.map(token => token.text),
    ...(source === undefined ? { address: undefined, netmask: undefined } : shownAddress(source)),
    // Over a socket of the machine itself it is that.
    method: type === 'local' && line.method === 'ident' ? 'peer' : line.method,
    options: OPTIONS.flatMap(name => shownOption(line, name)),
  };
  return type === 'hostssl'
    ? { lineNumber, rule, error: 'hostssl record cannot match because SSL is disabled' }
    : { lineNumber, rule };
}

function shownOption({ method, options }: HbaLine, name: string): string[] {
  const value = options.get(name);
  // With Kerberos it is on unless it is switched off.
  if (name === 'include_realm') return method === 'gss' && value !== '0' ? ['include_realm=true'] : [];
  return value === undefined ? [] : [`${name}=${value}`];
}

function shownAddress({ address, bits }: NonNullable<HbaLine['source']>): {
  readonly address: string;
  readonly netmask: string | undefined;
} {
  if (bits === undefined) return { address, netmask: undefined };
  if (!address.includes(':')) {
    const octets = [0, 8, 16, 24].map(from => 256 - 2 ** (8 - Math.min(8, Math.max(0, bits - from))));
    return { address, netmask: octets.join('.') };
  }
  const words = Array.from({ length: 8 }, (_, n) => 65_536 - 2 ** (16 - Math.min(16, Math.max(0, bits - 16 * n))));
  return { address: canonicalIPv6(address), netmask: canonicalIPv6(words.map(word => word.toString(16)).join(':')) };
}

/** The longest run of zeros left out. */
function canonicalIPv6(text: string): string {
  return new URL(`http://[${text}]/`).hostname.slice(1, -1);
}

export interface IdentMapping {
  readonly lineNumber: number;
  readonly error?: string;
  readonly mapping?: { readonly map: string; readonly system: string; readonly role: string };
}

export function identMappings(text: string): IdentMapping[] {
  return text.split('\n').flatMap((source, index): IdentMapping[] => {
    const lineNumber = index + 1;
    const fields = tokenize(source);
    if (fields.length === 0) return [];
    const values: string[] = [];
    for (let n = 0; n < 3; n++) {
      const field = fields[n];
      if (field === undefined) return [{ lineNumber, error: 'missing entry at end of line' }];
      if (field.length > 1) return [{ lineNumber, error: 'multiple values in ident field' }];
      values.push(field[0]!.text);
    }
    const [map, system, role] = values as [string, string, string];
    return [{ lineNumber, mapping: { map, system, role } }];
  });
}
