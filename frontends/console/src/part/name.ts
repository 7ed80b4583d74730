// What things are called, where only their ids are known: the newest of each kind at once, the others as they are asked for.

import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { ApiError, api, take } from '../api/client';
import { may, useMe } from '../app/session';

export type Kind = 'keys' | 'groups' | 'users' | 'channels';

type Names = { names: [string, string][]; all: boolean };

/** So many are read at once; whoever has more of them seldom sees the oldest. */
const NEWEST = 500;
/** So many are asked for one by one at a time: more than a page of a list names. */
const AT_A_TIME = 60;

const query = { limit: String(NEWEST) };
const keyName = (it: { id: string; alias?: string | null; hint?: string }) => it.alias || it.hint || it.id;
const groupName = (it: { id: string; alias?: string | null }) => it.alias || it.id;
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
  groups: async () => named(await take(api.GET('/api/v1/groups', { params: { query } })), groupName),
  users: async () => named(await take(api.GET('/api/v1/users', { params: { query } })), userName),
  channels: async () =>
    named(await take(api.GET('/api/v1/channels', { params: { query } })), (it) => it.name),
};

const one: Record<Kind, (id: string) => Promise<string>> = {
  keys: async (key) => keyName(await take(api.GET('/api/v1/keys/{key}', { params: { path: { key } } }))),
  groups: async (group) =>
    groupName(await take(api.GET('/api/v1/groups/{group}', { params: { path: { group } } }))),
  users: async (user) =>
    userName(await take(api.GET('/api/v1/users/{user}', { params: { path: { user } } }))),
  channels: async (channel) =>
    (await take(api.GET('/api/v1/channels/{channel}', { params: { path: { channel } } }))).name,
};

/** What a thing of a kind is called; its id until that is known, and where nobody may know. */
export function useName(kind: Kind): (id: string) => string {
  const me = useMe();
  const client = useQueryClient();
  const { data } = useQuery({
    queryKey: [kind, 'names'],
    queryFn: lists[kind],
    enabled: kind === 'channels' ? may(me, 'super') : kind === 'users' ? may(me, 'readAll') : true,
    staleTime: 60_000,
  });
  const names = useMemo(() => new Map(data?.names), [data]);
  const [more, setMore] = useState<ReadonlyMap<string, string>>(new Map());
  const wanted = useRef(new Set<string>());
  const soon = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(soon.current), []);

  const read = useCallback(async () => {
    const ids = [...wanted.current].slice(0, AT_A_TIME);
    const found = await Promise.all(
      ids.map(async (id): Promise<[string, string]> => {
        const queryKey = [kind, 'name', id];
        const queryFn = () =>
          one[kind](id).catch((error) => {
            // What is gone, or another's, keeps its id; what couldn't be read is asked for again later.
            if (error instanceof ApiError && (error.status === 403 || error.status === 404)) return id;
            throw error;
          });
        return [id, await client.fetchQuery({ queryKey, queryFn, staleTime: 60_000 }).catch(() => id)];
      }),
    );
    for (const id of ids) wanted.current.delete(id);
    setMore((before) => new Map([...before, ...found]));
  }, [client, kind]);

  return useCallback(
    (id: string) => {
      const name = names.get(id) ?? more.get(id);
      if (name === undefined && data && !data.all && !wanted.current.has(id)) {
        wanted.current.add(id);
        // All that a page names is asked for together.
        clearTimeout(soon.current);
        soon.current = setTimeout(() => void read(), 50);
      }
      return name || id;
    },
    [names, more, data, read],
  );
}

export const useChannelName = () => useName('channels');
export const useKeyName = () => useName('keys');
