// What stops working where something is taken away, counted at the moment of asking.

import type { TFunction } from 'i18next';
import { api, type Schemas, take } from '../api/client';

/** How many keys are of a group, a user or an organization. */
export async function keysOf(of: { group?: string; user?: string; organization?: string }): Promise<number> {
  const found = await take(api.GET('/api/v1/keys', { params: { query: { ...of, limit: '1' } } }));
  return found.total;
}

type Channel = Pick<Schemas['Channel'], 'id' | 'enabled' | 'models'>;

/** Models that nobody serves once these channels are off. */
export function onlyThere(all: Channel[], gone: string[]): string[] {
  const serving = (it: Channel) => it.enabled !== false;
  const models = (of: Channel[]) => new Set(of.flatMap((it) => it.models.map((model) => model.group)));
  const others = models(all.filter((it) => serving(it) && !gone.includes(it.id)));
  return [...models(all.filter((it) => serving(it) && gone.includes(it.id)))].filter((it) => !others.has(it));
}

/** The same in words. */
export async function channelsBreak(t: TFunction, gone: string[]): Promise<string> {
  const all = await take(api.GET('/api/v1/channels'));
  const lost = onlyThere(all.items, gone);
  if (lost.length === 0) return t('channel.breaksNothing');
  const [first, more] = [lost.slice(0, 8).join(', '), lost.length - 8];
  return t('channel.breaks', { models: more > 0 ? `${first} … (+${more})` : first });
}
