// What things are called, where only their ids are known: the newest of each kind at once, the others as they are asked for.

import { type QueryClient, useQueries, useQuery } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { ApiError, api, take } from '../api/client';
import { may, type Right, useMe } from '../app/session';

export type Kind = 'keys' | 'groups' | 'users' | 'channels' | 'organizations';

type Names = { names: [string, string][]; all: boolean };

/** So many are read at once; whoever has more of them seldom sees the oldest. */
const NEWEST = 500;
/** So many are asked for one by one: more than a page of a list names. */
const MOST = 120;
/** What couldn't be read is asked for again after this. */
const AGAIN_MS = 30_000;
/** An id that the gateway made up. */
const MADE = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const query = { limit: String(NEWEST) };
type Aliased = { id: string; alias?: string | null };
const keyName = (it: { id: string; alias?: string | null; hint?: string }) => it.alias || it.hint || it.id;
const aliasOf = (it: Aliased) => it.alias || it.id;
const userName = (it: { id: string; alias?: string | null; email?: string | null }) =>
  it.alias || it.email || it.id;

function named<T extends { id: string }>(
  list: { items: T[]; total: number },
  name: (it: T) => string,
): Names {
  return { names: list.items.map((it) => [it.id, name(it)]), all: list.total <= list.items.length };
}

const lists: Record<Kind, () => Promise<Names>> = {
  keys: async () => named(await take(api.GET('/api/v1/keys', { params: { query } })), keyName),
  groups: async () => named(await take(api.GET('/api/v1/groups', { params: { query } })), aliasOf),
  users: async () => named(await take(api.GET('/api/v1/users', { params: { query } })), userName),
  organizations: async () =>
    named(await take(api.GET('/api/v1/organizations', { params: { query } })), aliasOf),
  channels: async () =>
    named(await take(api.GET('/api/v1/channels', { params: { query } })), (it) => it.name),
};

const one: Record<Kind, (id: string) => Promise<string>> = {
  keys: async (key) => keyName(await take(api.GET('/api/v1/keys/{key}', { params: { path: { key } } }))),
  groups: async (group) =>
    aliasOf(await take(api.GET('/api/v1/groups/{group}', { params: { path: { group } } }))),
  users: async (user) =>
    userName(await take(api.GET('/api/v1/users/{user}', { params: { path: { user } } }))),
  organizations: async (organization) =>
    aliasOf(
      await take(api.GET('/api/v1/organizations/{organization}', { params: { path: { organization } } })),
    ),
  channels: async (channel) =>
    (await take(api.GET('/api/v1/channels/{channel}', { params: { path: { channel } } }))).name,
};

/** What a thing of a kind is called; its id until that is known, and where nobody may know. */
export function useName(kind: Kind): (id: string) => string {
  const { t } = useTranslation();
  const me = useMe();
  const tells = may(me, TELLS[kind]);
  const { data, isError } = useQuery({
    queryKey: [kind, 'names'],
    queryFn: lists[kind],
    enabled: tells,
    staleTime: 60_000,
  });
  // Who is told of nobody else is told of themselves.
  const mine = kind === 'users' && !tells ? (me.user ?? '') : '';
  const self = useQuery({
    queryKey: ['users', 'one', mine],
    queryFn: () => take(api.GET('/api/v1/users/{user}', { params: { path: { user: mine } } })),
    enabled: mine !== '',
    staleTime: 60_000,
    retry: false,
  }).data;
  const names = useMemo(
    () => new Map(self ? [[self.id, userName(self)] as [string, string]] : data?.names),
    [data, self],
  );
  // BOUND: what a page names that the list lacks; each is a query of its own, which is tried again and told of changes like any.
  const [lacking, setLacking] = useState<string[]>([]);
  const more = useQueries({
    queries: lacking.map((id) => ({
      queryKey: [kind, 'name', id],
      queryFn: () => nameOf(kind, id),
      staleTime: 60_000,
      retryOnMount: true,
      refetchInterval: (query: { state: { status: string } }) =>
        query.state.status === 'error' ? AGAIN_MS : (false as const),
    })),
    combine: found,
  });
  const wanted = useRef(new Set<string>());
  const soon = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(soon.current), []);
  // Where the list couldn't be read, each name is asked for by itself.
  const complete = data?.all ?? false;
  const ready = data !== undefined || isError;

  return useCallback(
    (id: string) => {
      const name = names.get(id) ?? more[id];
      if (name !== undefined) return name || id;
      // One without a name for people is known by whose it is.
      if (!tells && kind === 'organizations' && id === me.organization)
        return me.organization_alias || t('organization.yours');
      if (!tells) return kind === 'channels' && MADE.test(id) ? t('channel.some', { end: id.slice(-4) }) : id;
      if (ready && !complete && !wanted.current.has(id)) {
        wanted.current.add(id);
        // All that a page names is asked for together.
        clearTimeout(soon.current);
        soon.current = setTimeout(() => setLacking([...wanted.current].slice(-MOST)), 50);
      }
      return id;
    },
    [names, more, ready, complete, tells, kind, t, me.organization, me.organization_alias],
  );
}

/** Who is told what they are called. */
export const TELLS: Record<Kind, Right> = {
  keys: 'any',
  groups: 'any',
  users: 'readAll',
  organizations: 'organizations',
  channels: 'super',
};

/** Asks for a name now, for what is kept under it. What is gone, or another's, keeps its id. */
export async function nameOf(kind: Kind, id: string): Promise<[string, string]> {
  try {
    return [id, await one[kind](id)];
  } catch (error) {
    if (error instanceof ApiError && (error.status === 403 || error.status === 404)) return [id, id];
    throw error;
  }
}

function found(all: { data?: [string, string] }[]): Record<string, string> {
  return Object.fromEntries(all.flatMap((it) => (it.data ? [it.data] : [])));
}

/** What these are called, all that can be learnt: for what isn't looked at as it comes. */
export async function namesOf(client: QueryClient, kind: Kind, ids: string[]): Promise<Map<string, string>> {
  const staleTime = 60_000;
  const { names } = await client.fetchQuery({ queryKey: [kind, 'names'], queryFn: lists[kind], staleTime });
  const known = new Map(names);
  const lacking = [...new Set(ids)].filter((id) => !known.has(id)).slice(0, MOST);
  const more = await Promise.all(
    lacking.map((id) =>
      client.fetchQuery({ queryKey: [kind, 'name', id], queryFn: () => nameOf(kind, id), staleTime }),
    ),
  );
  return new Map([...known, ...more]);
}

export const useChannelName = () => useName('channels');
export const useKeyName = () => useName('keys');
