/**
 * Faults to plant into a server that the fuzzer asks, to see that it finds them: every role imports this file before its program.
 * An inner function that fails as programs do, one that says something else, one that takes its process with it.
 */
import { registerFunctions } from '@pgtroupe/adt/fmgr';

if (/services\/backend\/dist\/main\.js$/.test(process.argv[1] ?? '')) {
  await import('@pgtroupe/commands/fmgrtab');
  registerFunctions(
    [
      {
        text_larger: (_fc, a) => a.no.such,
        float8larger: (_fc, a) => a + 1,
        textgename: () => process.exit(1),
      },
    ],
    [],
    [],
  );
}
