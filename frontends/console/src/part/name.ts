// What things are called, where only their ids are known: the newest thousand of each kind; the id itself for the others.

import { useQuery } from '@tanstack/react-query';
import { useCallback, useMemo } from 'react';
import { api, take } from '../api/client';
import { may, useMe } from '../app/session';

export type Kind = 'keys' | 'groups' | 'users' | 'channels';

const query = { limit: '1000' };

const lists: Record<Kind, () => Promise<[string, string | null | undefined][]>> = {
  keys: async () =>
    (await take(api.GET('/api/v1/keys', { params: { query } }))).items.map((it) => [
      it.id,
      it.alias || it.hint,
    ]),
  groups: async () =>
    (await take(api.GET('/api/v1/groups', { params: { query } }))).items.map((it) => [it.id, it.alias]),
  users: async () =>
    (await take(api.GET('/api/v1/users', { params: { query } }))).items.map((it) => [
      it.id,
      it.alias || it.email,
    ]),
  channels: async () =>
    (await take(api.GET('/api/v1/channels', { params: { query } }))).items.map((it) => [it.id, it.name]),
};

/** What a thing of a kind is called. */
export function useName(kind: Kind): (id: string) => string {
  const me = useMe();
  const { data } = useQuery({
    queryKey: [kind, 'names'],
    queryFn: lists[kind],
    enabled: kind === 'channels' ? may(me, 'super') : kind === 'users' ? may(me, 'readAll') : true,
    staleTime: 60_000,
  });
  const names = useMemo(() => new Map(data), [data]);
  return useCallback((id: string) => names.get(id) || id, [names]);
}

export const useChannelName = () => useName('channels');
export const useKeyName = () => useName('keys');
