// Changes that are seen at once, and taken back where the server refuses them.

import { useQueryClient } from '@tanstack/react-query';
import { App } from 'antd';
import { useCallback, useRef } from 'react';
import { useWords } from './failure';

type Thing = { id: string };

function isThing(held: unknown): held is Thing {
  return typeof held === 'object' && held !== null && 'id' in held;
}

/** What was read, with a change to some of the things in it: one thing, or a list of them. Anything else stays as it is. */
export function patched<T>(held: T, ids: string[], part: object): T {
  if (isThing(held)) return ids.includes(held.id) ? { ...held, ...part } : held;
  const items = (held as { items?: unknown } | null | undefined)?.items;
  if (!Array.isArray(items) || !items.some((it) => isThing(it) && ids.includes(it.id))) return held;
  return { ...held, items: items.map((it) => patched(it, ids, part)) };
}

type Kind = 'keys' | 'groups' | 'users' | 'organizations' | 'channels';

/** Shows a change to things of a kind wherever they stand, and asks the server; tells whether it was done. */
export function useAtOnce(kind: Kind) {
  const client = useQueryClient();
  const { message } = App.useApp();
  const words = useRef<(error: Error) => string>(String);
  words.current = useWords();
  return useCallback(
    async (ids: string[], part: object, send: () => Promise<unknown>): Promise<boolean> => {
      const at = { queryKey: [kind] };
      // What is on its way was asked before the change.
      await client.cancelQueries(at);
      const before = client.getQueriesData(at);
      client.setQueriesData(at, (held: unknown) => patched(held, ids, part));
      try {
        await send();
        return true;
      } catch (error) {
        for (const [name, held] of before) client.setQueryData(name, held);
        message.error(error instanceof Error ? words.current(error) : String(error));
        return false;
      } finally {
        void client.invalidateQueries(at);
      }
    },
    [client, kind, message],
  );
}
