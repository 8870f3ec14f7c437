/** "%g" as PostgreSQL prints it (snprintf.c): six significant digits, no trailing zeros. */
export function formatG(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const exponent = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(6)))));
  if (exponent < -4 || exponent >= 6) {
    const [mantissa, power] = value.toExponential(5).split('e') as [string, string];
    const digits = power.slice(1).padStart(2, '0');
    return `${mantissa.replace(/\.?0+$/, '')}e${power[0]}${digits}`;
  }
  const fixed = value.toPrecision(6);
  return fixed.includes('.') ? fixed.replace(/\.?0+$/, '') : fixed;
}
