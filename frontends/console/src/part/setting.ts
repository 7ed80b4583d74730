// Settings in force as they are read: each by its path, told apart by what it counts.

export type Setting = {
  /** Where it stands, such as `timeouts.connect_ms`. */
  path: string;
  value: unknown;
};

/** All that an object says, one after the other; what is empty stands as it is. */
export function settingsOf(of: Record<string, unknown>, before = ''): Setting[] {
  return Object.entries(of).flatMap(([name, value]) => {
    const path = before + name;
    const more =
      typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
    return more ? settingsOf(value as Record<string, unknown>, `${path}.`) : [{ path, value }];
  });
}

export type Unit = 'time' | 'bytes' | 'percent' | 'tokens' | 'plain';

const TOKENS = new Set(['default_output', 'min_output']);

/** What a number of it counts. */
export function unitOf(path: string): Unit {
  const name = path.split('.').at(-1) ?? '';
  if (name.endsWith('_ms')) return 'time';
  if (name.endsWith('_percent')) return 'percent';
  if (name.includes('bytes')) return 'bytes';
  return TOKENS.has(name) ? 'tokens' : 'plain';
}
