/**
 * pg_hba.conf: who may connect from where, and how they prove who they are. First matching line
 * wins; no line means no entry.
 *
 *   TYPE  DATABASE  USER  [ADDRESS [MASK]]  METHOD  [OPTIONS]
 */
import { BlockList, isIP } from 'node:net';

/** Roles other than the postmaster do not open the data directory: it sends them the text of
 *  pg_hba.conf with the configuration, under this name. */
export const HBA_SETTING = 'pgtroupe.pg_hba_conf';

export interface HbaLine {
  readonly lineNumber: number;
  readonly type: 'local' | 'host' | 'hostssl' | 'hostnossl' | 'hostgssenc' | 'hostnogssenc';
  readonly databases: readonly HbaToken[];
  readonly users: readonly HbaToken[];
  /** undefined for `local` and for the address `all`. */
  readonly addresses: BlockList | undefined;
  /** The address as it is written, and the length of its mask where it has one; undefined for `local`. */
  readonly source: { readonly address: string; readonly bits: number | undefined } | undefined;
  readonly method: string;
  readonly options: ReadonlyMap<string, string>;
}

/** Quoting takes the special meaning from words such as `all`. */
export interface HbaToken {
  readonly text: string;
  readonly quoted: boolean;
}

export interface HbaFile {
  readonly lines: readonly HbaLine[];
  readonly problems: readonly { readonly lineNumber: number; readonly message: string }[];
}

const TYPES = new Set(['local', 'host', 'hostssl', 'hostnossl', 'hostgssenc', 'hostnogssenc']);
const METHODS = new Set([
  'trust',
  'reject',
  'scram-sha-256',
  'md5',
  'password',
  'gss',
  'sspi',
  'ident',
  'peer',
  'ldap',
  'radius',
  'cert',
  'pam',
  'bsd',
]);

export function parseHba(text: string): HbaFile {
  const lines: HbaLine[] = [];
  const problems: { lineNumber: number; message: string }[] = [];
  text.split('\n').forEach((source, index) => {
    const lineNumber = index + 1;
    const fields = tokenize(source);
    if (fields.length === 0) return;
    const result = parseLine(lineNumber, fields);
    if (typeof result === 'string') problems.push({ lineNumber, message: result });
    else lines.push(result);
  });
  return { lines, problems };
}

/** Fields of comma-separated tokens. */
export function tokenize(line: string): HbaToken[][] {
  const fields: HbaToken[][] = [];
  let at = 0;
  while (at < line.length) {
    if (/\s/.test(line[at]!)) {
      at++;
      continue;
    }
    if (line[at] === '#') break;
    const field: HbaToken[] = [];
    for (;;) {
      let text = '';
      let quoted = false;
      while (at < line.length && !/[\s,#]/.test(line[at]!)) {
        if (line[at] === '"') {
          quoted = true;
          for (at++; at < line.length && line[at] !== '"'; at++) text += line[at];
          at++;
        } else text += line[at++];
      }
      field.push({ text, quoted });
      if (line[at] !== ',') break;
      for (at++; at < line.length && /[ \t]/.test(line[at]!); at++);
    }
    fields.push(field);
  }
  return fields;
}

function parseLine(lineNumber: number, fields: HbaToken[][]): HbaLine | string {
  const type = fields[0]![0]!.text;
  if (!TYPES.has(type)) return `invalid connection type "${type}"`;
  if (fields.length < 2) return 'end-of-line before database specification';
  if (fields.length < 3) return 'end-of-line before role specification';
  let at = 3;
  let addresses: BlockList | undefined;
  let source: HbaLine['source'];
  if (type !== 'local') {
    const address = fields[at++]?.[0]?.text;
    if (address === undefined) return 'end-of-line before IP address specification';
    const mask = fields[at]?.[0]?.text;
    const parsed = parseAddress(address, mask);
    if (typeof parsed === 'string') return parsed;
    ({ addresses, source } = parsed);
    if (parsed.usedMask) at++;
  }
  const method = fields[at++]?.[0]?.text;
  if (method === undefined) return 'end-of-line before authentication method';
  if (!METHODS.has(method)) return `invalid authentication method "${method}"`;
  const options = new Map<string, string>();
  for (const field of fields.slice(at)) {
    const [name, ...value] = field[0]!.text.split('=');
    if (value.length === 0) return `authentication option not in name=value format: ${name}`;
    options.set(name!, value.join('='));
  }
  return {
    lineNumber,
    type: type as HbaLine['type'],
    databases: fields[1]!,
    users: fields[2]!,
    addresses,
    source,
    method,
    options,
  };
}

function parseAddress(
  address: string,
  mask: string | undefined,
): { addresses: BlockList | undefined; source: HbaLine['source']; usedMask: boolean } | string {
  const named = { address, bits: undefined };
  if (address === 'all') return { addresses: undefined, source: named, usedMask: false };
  const list = new BlockList();
  if (address === 'samehost' || address === 'samenet') {
    list.addSubnet('127.0.0.0', 8, 'ipv4');
    list.addAddress('::1', 'ipv6');
    return { addresses: list, source: named, usedMask: false };
  }
  const [ip, prefix] = address.split('/') as [string, string | undefined];
  const family = isIP(ip);
  if (family === 0) return `host names in pg_hba.conf are not supported by pgtroupe yet: "${address}"`;
  if (prefix === undefined && mask === undefined) return 'end-of-line before netmask specification';
  if (prefix === undefined && isIP(mask!) === 0) return `invalid IP mask "${mask}": Name or service not known`;
  const bits = prefix === undefined ? maskBits(mask!) : Number(prefix);
  if (!Number.isInteger(bits) || bits < 0 || bits > (family === 4 ? 32 : 128)) {
    return `invalid CIDR mask in address "${address}"`;
  }
  list.addSubnet(ip, bits, family === 4 ? 'ipv4' : 'ipv6');
  return { addresses: list, source: { address: ip, bits }, usedMask: prefix === undefined };
}

/** Length of an IPv4 or IPv6 netmask; NaN when it has holes. */
function maskBits(mask: string): number {
  const binary = mask.includes('.')
    ? mask
        .split('.')
        .map(part => Number(part).toString(2).padStart(8, '0'))
        .join('')
    : mask
        .split(':')
        .map(part =>
          parseInt(part || '0', 16)
            .toString(2)
            .padStart(16, '0'),
        )
        .join('');
  return /^1*0*$/.test(binary) ? binary.replace(/0*$/, '').length : Number.NaN;
}

export interface HbaClient {
  /** undefined: Unix-domain socket. */
  readonly address: string | undefined;
  readonly database: string;
  readonly user: string;
}

/** The first line for this client, or undefined. No connection is encrypted yet. */
export function matchHba(file: HbaFile, client: HbaClient): HbaLine | undefined {
  return file.lines.find(line => {
    if (client.address === undefined) {
      if (line.type !== 'local') return false;
    } else {
      if (line.type === 'local' || line.type === 'hostssl' || line.type === 'hostgssenc') return false;
      if (line.addresses !== undefined && !addressMatches(line.addresses, client.address)) return false;
    }
    return (
      line.databases.some(token => databaseMatches(token, client)) &&
      line.users.some(token => (!token.quoted && token.text === 'all') || token.text === client.user)
    );
  });
}

function databaseMatches(token: HbaToken, client: HbaClient): boolean {
  if (!token.quoted) {
    if (token.text === 'all') return true;
    if (token.text === 'sameuser') return client.database === client.user;
    if (token.text === 'replication') return false;
  }
  return token.text === client.database;
}

function addressMatches(list: BlockList, address: string): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return list.check(mapped[1]!, 'ipv4');
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}
