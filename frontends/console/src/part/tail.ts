// Calls as they end, told by the server.

import { useEffect, useState } from 'react';
import { queries, type Schemas, SESSION } from '../api/client';

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

/** It is asked anew now and then: only a pause that is longer is told. */
const PAUSE_MS = 5_000;

type Told = { calls: Call[]; dropped: number; lost: boolean };
const NOTHING: Told = { calls: [], dropped: 0, lost: false };

/** The calls that ended since one began to follow, newest first; how many came too fast to be told; whether nothing is told now. */
export function useTail(filter: Record<string, string>, live: boolean): Told {
  const [told, setTold] = useState(NOTHING);
  const query = new URLSearchParams(ASKED.flatMap((it) => (filter[it] ? [[it, filter[it]]] : []))).toString();
  useEffect(() => {
    setTold(NOTHING);
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
    let pause: ReturnType<typeof setTimeout> | undefined;
    const lost = (is: boolean) =>
      setTold((before) => (before.lost === is ? before : { ...before, lost: is }));
    events.addEventListener('open', () => {
      clearTimeout(pause);
      pause = undefined;
      lost(false);
    });
    events.addEventListener('error', () => {
      if (events.readyState === EventSource.CLOSED) {
        // It isn't asked again: refused, perhaps since the session is over.
        lost(true);
        void queries.invalidateQueries({ queryKey: SESSION });
      } else pause ??= setTimeout(() => lost(true), PAUSE_MS);
    });
    return () => {
      events.close();
      clearTimeout(timer);
      clearTimeout(pause);
    };
  }, [query, live]);
  return told;
}
