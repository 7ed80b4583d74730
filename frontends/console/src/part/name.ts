import { useQuery } from '@tanstack/react-query';
import { useCallback, useMemo } from 'react';
import { api, take } from '../api/client';
import { may, useMe } from '../app/session';

/** What a key is called; its id where it isn't among the newest. */
export function useKeyName(): (id: string) => string {
  const { data } = useQuery({
    queryKey: ['keys', 'names'],
    queryFn: () => take(api.GET('/api/v1/keys', { params: { query: { limit: '1000' } } })),
    staleTime: 300_000,
  });
  const names = useMemo(() => new Map(data?.items.map((it) => [it.id, it.alias || it.hint])), [data]);
  return useCallback((id: string) => names.get(id) || id, [names]);
}

/** What a channel is called, for who may know; its id for everybody else. */
export function useChannelName(): (id: string) => string {
  const me = useMe();
  const { data } = useQuery({
    queryKey: ['channels'],
    queryFn: () => take(api.GET('/api/v1/channels')),
    enabled: may(me, 'super'),
    staleTime: 60_000,
  });
  return useCallback((id: string) => data?.items.find((it) => it.id === id)?.name ?? id, [data]);
}
