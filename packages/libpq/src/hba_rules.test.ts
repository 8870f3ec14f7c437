/** Beside what PostgreSQL 15's views said about the same files. */
import { expect, it } from 'vitest';
import { hbaRules, identMappings } from './hba_rules.ts';

const HBA = `# comment
local   all             all                                     trust
local   all             "all"                                   ident map=m
host    a,b,"c d"       +grp,u          10.0.0.0/8              scram-sha-256
host    all             all             192.168.1.7  255.255.255.255  md5
host    sameuser        all             2001:DB8:0:0:0:0:0:1/48 reject
host    all             all             ::1/128                 trust
host    replication     all             samenet                 trust
hostnossl all           all             all                     password
hostnogssenc all        all             samehost                reject
hostssl all             all             0.0.0.0/0               reject
host    all             all             ::/0                    gss include_realm=1 krb_realm=R
bogus   all             all             all                     trust
host
host    all
host    all             all
host    all             all             10.0.0.1/8
host    all             all             10.0.0.0/8              nonsense
host    all             all             10.0.0.0/33             trust
host    all             all             10.0.0.0/8              trust  noequals
host    all             all             10.0.0.0/8              trust  what=1
host    all             all             10.0.0.0                trust
`;

const RULES = `2|local|{all}|{all}|null|null|trust|null|null
3|local|{all}|{all}|null|null|peer|{map=m}|null
4|host|{a,b,"c d"}|{+grp,u}|10.0.0.0|255.0.0.0|scram-sha-256|null|null
5|host|{all}|{all}|192.168.1.7|255.255.255.255|md5|null|null
6|host|{sameuser}|{all}|2001:db8::1|ffff:ffff:ffff::|reject|null|null
7|host|{all}|{all}|::1|ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff|trust|null|null
8|host|{replication}|{all}|samenet|null|trust|null|null
9|hostnossl|{all}|{all}|all|null|password|null|null
10|hostnogssenc|{all}|{all}|samehost|null|reject|null|null
11|hostssl|{all}|{all}|0.0.0.0|0.0.0.0|reject|null|hostssl record cannot match because SSL is disabled
12|host|{all}|{all}|::|::|gss|{include_realm=true,krb_realm=R}|null
13|null|null|null|null|null|null|null|invalid connection type "bogus"
14|null|null|null|null|null|null|null|end-of-line before database specification
15|null|null|null|null|null|null|null|end-of-line before role specification
16|null|null|null|null|null|null|null|end-of-line before IP address specification
17|null|null|null|null|null|null|null|end-of-line before authentication method
18|null|null|null|null|null|null|null|invalid authentication method "nonsense"
19|null|null|null|null|null|null|null|invalid CIDR mask in address "10.0.0.0/33"
20|null|null|null|null|null|null|null|authentication option not in name=value format: noequals
21|null|null|null|null|null|null|null|unrecognized authentication option name: "what"
22|null|null|null|null|null|null|null|invalid IP mask "trust": Name or service not known`;

const IDENT = `# comment
m   root   postgres
m   "a b"  bob
m   /^(.*)@x$  \\1
short
two words
m   a,b  c
`;

const MAPPINGS = `2|m|root|postgres|null
3|m|a b|bob|null
4|m|/^(.*)@x$|\\1|null
5|null|null|null|missing entry at end of line
6|null|null|null|missing entry at end of line
7|null|null|null|multiple values in ident field`;

const array = (values: readonly string[]): string =>
  `{${values.map(value => (/[ ,]/.test(value) ? `"${value}"` : value)).join(',')}}`;
const row = (...columns: (string | number | undefined)[]): string => columns.map(c => c ?? 'null').join('|');

it('pg_hba_file_rules', () => {
  const said = hbaRules(HBA).map(({ lineNumber, rule, error }) => {
    const options = rule === undefined || rule.options.length === 0 ? undefined : array(rule.options);
    return row(
      lineNumber,
      rule?.type,
      rule && array(rule.databases),
      rule && array(rule.users),
      rule?.address,
      rule?.netmask,
      rule?.method,
      options,
      error,
    );
  });
  expect(said.join('\n')).toBe(RULES);
});

it('pg_ident_file_mappings', () => {
  const said = identMappings(IDENT).map(({ lineNumber, mapping, error }) =>
    row(lineNumber, mapping?.map, mapping?.system, mapping?.role, error),
  );
  expect(said.join('\n')).toBe(MAPPINGS);
});
