// Lengths of time as people write them for the gateway: `90s`, `24h`, `7d`.

const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** In milliseconds; nothing where it isn't one, or none. */
export function lengthMs(text: string): number | undefined {
  const [, count, unit = ''] = /^(\d+)\s*([smhdw])$/.exec(text.trim()) ?? [];
  const ms = Number(count) * (UNITS[unit] ?? Number.NaN);
  return ms > 0 ? ms : undefined;
}
