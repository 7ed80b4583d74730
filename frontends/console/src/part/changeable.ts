// Settings that are changed while the gateway runs: as a form has them, and as they are sent.

import type { Schemas } from '../api/client';

export type Changeable = Schemas['ChangeableSetting'];
export type Registration = Schemas['RegistrationSetting'];
export type Patch = Schemas['SettingsPatch'];

/** In what people give a number: how many of the setting's unit that is. */
export type Measure = {
  word: 'days' | 'minutes' | 'seconds' | 'percent' | 'cny' | 'characters' | '';
  of: number;
};

const TIMES: Record<string, Measure> = {
  retention: { word: 'days', of: 86_400_000 },
  auth: { word: 'minutes', of: 60_000 },
  routing: { word: 'seconds', of: 1_000 },
};

export function measureOf(it: Pick<Changeable, 'name' | 'unit'>): Measure {
  const plain: Measure = { word: '', of: 1 };
  if (it.unit === 'ms') return TIMES[it.name.split('.')[0] ?? ''] ?? plain;
  if (it.unit === 'ppm') return { word: 'cny', of: 1_000_000 };
  return it.unit ? { word: it.unit, of: 1 } : plain;
}

/** What the fields of a form begin with, by the settings' names: what nobody says is empty. */
export function shownOf(all: Changeable[]): Record<string, unknown> {
  const shown = (it: Changeable) => {
    if (it.source === 'default' || it.value === null) return undefined;
    return typeof it.value === 'number' ? it.value / measureOf(it).of : it.value;
  };
  return Object.fromEntries(all.map((it) => [it.name, shown(it)]));
}

/** What a form changes: null takes a setting back to its default. */
export function patchOf(all: Changeable[], values: Record<string, unknown>): Patch {
  const before = shownOf(all);
  const patch: Record<string, unknown> = {};
  for (const it of all) {
    if (it.source === 'file') continue;
    const value = filled(values[it.name]);
    if (JSON.stringify(value) === JSON.stringify(filled(before[it.name]))) continue;
    patch[it.name] = typeof value === 'number' ? Math.round(value * measureOf(it).of) : value;
  }
  return patch as Patch;
}

function filled(value: unknown): unknown {
  if (value === undefined || value === null || value === '') return null;
  if (typeof value !== 'object') return value;
  const { email_domains = [], organization, group, role } = value as Partial<Registration>;
  const domains = email_domains.map((it) => it.trim().replace(/^@/, '').toLowerCase()).filter(Boolean);
  if (domains.length === 0) return null;
  return {
    email_domains: domains,
    organization: organization || 'default',
    group: group || null,
    role: role ?? 'user',
  };
}

/** What was read, with a change in it that the server has yet to answer. */
export function changedBy<T extends { changeable: Changeable[] }>(held: T, patch: Patch): T {
  const changes = patch as Record<string, unknown>;
  const changed = (it: Changeable): Changeable => {
    if (!(it.name in changes)) return it;
    const value = changes[it.name] ?? null;
    if (value === null) return { ...it, value: it.default, source: 'default', unused: null };
    return { ...it, value, source: 'database', unused: null };
  };
  return { ...held, changeable: held.changeable.map(changed) };
}

/** Those of a change that keep less than before: what is older goes within the hour. */
export function shortened(all: Changeable[], patch: Patch): Changeable[] {
  const changes = patch as Record<string, unknown>;
  const forEver = (value: unknown) => (value === null ? Number.POSITIVE_INFINITY : Number(value));
  return all.filter((it) => {
    if (!/^retention\.(records|daily_sums)_ms$/.test(it.name) || !(it.name in changes)) return false;
    return forEver(changes[it.name] ?? it.default) < forEver(it.value);
  });
}
