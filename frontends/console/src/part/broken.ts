// What stops working where something is taken away, counted at the moment of asking.

import type { TFunction } from 'i18next';
import { api, type Schemas, take } from '../api/client';
import type { KeyRight } from '../app/right';
import { allOf } from './all';
import type { Asked } from './confirm';
import { nameOf } from './name';
import { isFor } from './pattern';

/** How many keys are of a group, a user or an organization. */
export async function keysOf(of: { group?: string; user?: string; organization?: string }): Promise<number> {
  const found = await take(api.GET('/api/v1/keys', { params: { query: { ...of, limit: '1' } } }));
  return found.total;
}

/** What goes with somebody who is taken out of a group. */
export async function memberBreaks(t: TFunction, group: string, user: string): Promise<string> {
  return t('group.removeBreaks', { count: await keysOf({ group, user }) });
}

type Policy = Pick<Schemas['Policy'], 'name' | 'active' | 'shadow' | 'organization' | 'group' | 'key'>;

/** Whose calls a policy steers, by name. */
async function whoseCalls(t: TFunction, it: Policy): Promise<string> {
  if (it.key) return t('policy.of.key', { name: (await nameOf('keys', it.key))[1] });
  if (it.group) return t('policy.of.group', { name: (await nameOf('groups', it.group))[1] });
  if (it.organization) {
    return t('policy.of.organization', { name: (await nameOf('organizations', it.organization))[1] });
  }
  return t('policy.of.everybody');
}

/** What goes with a policy: what it decides, what is tried of it, and its versions. */
export async function policyBreaks(t: TFunction, it: Policy): Promise<string> {
  const path = { policy: it.name };
  const [whose, versions] = await Promise.all([
    it.active == null ? '' : whoseCalls(t, it),
    take(api.GET('/api/v1/policies/{policy}/versions', { params: { path } })),
  ]);
  return [
    it.active != null && t('policy.deleteRunning', { whose, number: it.active }),
    it.shadow != null && t('policy.deleteShadow', { number: it.shadow }),
    t('policy.deleteBreaks', { count: versions.total }),
  ]
    .filter(Boolean)
    .join(' ');
}

type Channel = Pick<Schemas['Channel'], 'id' | 'enabled' | 'groups'> & {
  models: Pick<Schemas['Channel']['models'][number], 'group'>[];
};

/** What is taken away: switched off, a channel still names its models; deleted, a wildcard elsewhere may take their calls. */
export type How = 'off' | 'deleted';

/** Models that nobody serves any more, and those that only some are still served. */
export type Lost = { whole: string[]; partly: string[] };

/** Whom channels are open to; `null` is everybody. */
function open(channels: Channel[]): Set<string> | null {
  return channels.some((it) => !it.groups?.length)
    ? null
    : new Set(channels.flatMap((it) => it.groups ?? []));
}

/** What is lost once these channels are gone. */
export function onlyThere(all: Channel[], gone: string[], how: How = 'off'): Lost {
  const on = all.filter((it) => it.enabled !== false);
  const [lost, others] = [on.filter((it) => gone.includes(it.id)), on.filter((it) => !gone.includes(it.id))];
  const left = how === 'off' ? all : all.filter((it) => !gone.includes(it.id));
  // A name that is declared anywhere is served there alone; only one that isn't is a wildcard's.
  const declared = new Set(left.flatMap((it) => it.models.map((model) => model.group)));
  const serve = (model: string) =>
    others.filter((it) =>
      it.models.some(({ group }) => (declared.has(model) ? group === model : isFor(group, model))),
    );
  const found: Lost = { whole: [], partly: [] };
  for (const model of new Set(lost.flatMap((it) => it.models.map(({ group }) => group)))) {
    const rest = serve(model);
    const before = open(lost.filter((it) => it.models.some(({ group }) => group === model)));
    const after = open(rest);
    if (rest.length === 0) found.whole.push(model);
    else if (after && (!before || [...before].some((it) => !after.has(it)))) found.partly.push(model);
  }
  return found;
}

/** What is lost once a channel has these models alone, for these groups; for those that it is for, where none are named. */
export function lostModels(all: Channel[], id: string, kept: string[], groups?: string[]): Lost {
  const apart = all.flatMap((it) => {
    if (it.id !== id) return [it];
    const to = groups ?? it.groups ?? [];
    const go = narrows(it.groups ?? [], to) ? it.models : it.models.filter((m) => !kept.includes(m.group));
    return [
      // With those that come in the same step.
      { ...it, groups: to, models: kept.filter(Boolean).map((group) => ({ group })) },
      { ...it, id: GONE, models: go },
    ];
  });
  return onlyThere(apart, [GONE], 'deleted');
}

/** The part of a channel that is taken out of it. */
const GONE = '';

/** Whether somebody whom a channel is for is none of these; it is for everybody where no groups are named. */
function narrows(before: string[], after: string[]): boolean {
  return after.length > 0 && (before.length === 0 || before.some((it) => !after.includes(it)));
}

/** The first of many names. */
function some(names: string[]): string {
  const [first, more] = [names.slice(0, 8).join(', '), names.length - 8];
  return more > 0 ? `${first} … (+${more})` : first;
}

/** The same in words. */
function lostWords(t: TFunction, { whole, partly }: Lost): string {
  if (whole.length + partly.length === 0) return t('channel.breaksNothing');
  return [
    whole.length > 0 && t('channel.breaks', { models: some(whole) }),
    partly.length > 0 && t('channel.breaksPartly', { models: some(partly) }),
  ]
    .filter(Boolean)
    .join(' ');
}

async function everyChannel(): Promise<Channel[]> {
  return (await allOf((query) => take(api.GET('/api/v1/channels', { params: { query } })))).items;
}

export async function channelsBreak(t: TFunction, gone: string[], how: How = 'off'): Promise<string> {
  return lostWords(t, onlyThere(await everyChannel(), gone, how));
}

type Before = {
  id: string;
  name: string;
  enabled?: boolean;
  groups?: string[];
  models: { group: string }[];
};
type After = { enabled?: boolean; groups?: string[]; models?: { group?: string }[] };

/** What is asked before a form takes a channel's calls away: all of them, or those of some models or groups. */
export function channelAsked(t: TFunction, before: Before, after: After): Asked | undefined {
  if (before.enabled === false) return undefined;
  if (after.enabled === false) {
    return {
      title: t('channel.disableTitle', { count: 1 }),
      breaks: () => channelsBreak(t, [before.id]),
      action: t('channel.disable'),
    };
  }
  const kept = (after.models ?? before.models).map((it) => it.group ?? '');
  const gone = before.models.map((it) => it.group).filter((name) => !kept.includes(name));
  const groups = after.groups ?? before.groups ?? [];
  if (gone.length === 0 && !narrows(before.groups ?? [], groups)) return undefined;
  const { name } = before;
  return {
    title:
      gone.length > 0
        ? t('channel.takeOutTitle', { models: some([...new Set(gone)]), name })
        : t('channel.narrowTitle', { name }),
    breaks: async () => lostWords(t, lostModels(await everyChannel(), before.id, kept, groups)),
    action: t('form.save'),
  };
}

/** What is asked before keys are blocked with whatever they are of. */
export function blocking(t: TFunction, name: string, of: Parameters<typeof keysOf>[0]): Asked {
  return {
    title: t('state.blockTitle', { name }),
    breaks: async () => t('state.blockBreaks', { count: await keysOf(of) }),
    action: t('state.block'),
  };
}

/** What is asked before a key is blocked; who may not take that back is told so. */
export function keyBlocking(t: TFunction, name: string, right: KeyRight): Asked {
  return {
    title: t('key.blockTitle', { name }),
    breaks: [t('key.blockBreaks'), right === 'full' ? '' : t('key.blockTakesBack')].join(' ').trim(),
    action: t('state.block'),
  };
}

/** What is asked before a form blocks a thing that isn't blocked, whose keys then stop working. */
export function blockAsked(
  t: TFunction,
  before: { blocked?: boolean } | undefined,
  after: { blocked?: boolean },
  name: string,
  of: Parameters<typeof keysOf>[0],
): Asked | undefined {
  return before && !before.blocked && after.blocked ? blocking(t, name, of) : undefined;
}
