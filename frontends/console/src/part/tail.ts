// Calls as they end, told by the server.

import { useEffect, useState } from 'react';
import type { Schemas } from '../api/client';

type Call = Schemas['Record'];

// BOUND: what is kept of them in the page.
const KEPT = 500;
const ASKED = [
  'organization',
  'group',
  'user',
  'key',
  'model',
  'channel',
  'status',
  'error',
  'customer',
  'tag',
  'cost_over',
  'duration_over',
];

/** The calls that ended since one began to follow, newest first; and how many came too fast to be told. */
export function useTail(filter: Record<string, string>, live: boolean): { calls: Call[]; dropped: number } {
  const [told, setTold] = useState<{ calls: Call[]; dropped: number }>({ calls: [], dropped: 0 });
  const query = new URLSearchParams(ASKED.flatMap((it) => (filter[it] ? [[it, filter[it]]] : []))).toString();
  useEffect(() => {
    setTold({ calls: [], dropped: 0 });
    if (!live) return;
    // It is asked anew by itself when the server ends it, which it does now and then to look whether one still may.
    const events = new EventSource(`/api/v1/records/tail?${query}`);
    // Many at a time are shown at once: a page isn't drawn for each.
    let waiting: Call[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = () => {
      const fresh = waiting.reverse();
      waiting = [];
      timer = undefined;
      setTold((before) => ({ ...before, calls: [...fresh, ...before.calls].slice(0, KEPT) }));
    };
    events.addEventListener('record', (event) => {
      waiting.push(JSON.parse(event.data) as Call);
      timer ??= setTimeout(show, 200);
    });
    events.addEventListener('dropped', (event) => {
      const { records } = JSON.parse(event.data) as { records: number };
      setTold((before) => ({ ...before, dropped: before.dropped + records }));
    });
    return () => {
      events.close();
      clearTimeout(timer);
    };
  }, [query, live]);
  return told;
}
