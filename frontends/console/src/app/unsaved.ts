// What somebody has typed and nobody has saved: whatever leads away from it asks first, and a session that ends takes none of it along.

import { useEffect, useSyncExternalStore } from 'react';

type Place = { pathname: string; search: string };

/** What is held: something typed, or what is shown once and can't be shown again. */
export type What = 'typed' | 'shown';

/** Whether it is lost on the way from one place to another. */
type Loses = (from: Place, to: Place) => boolean;

const held = new Map<symbol, { when: Loses; what: What }>();
const heard = new Set<() => void>();
let over = false;

function tell() {
  for (const hear of heard) hear();
}

/** Whether anything would be lost where everything here is left. */
export function holds(): boolean {
  return held.size > 0;
}

/** Whether anything is lost on the way. */
export function loses(from: Place, to: Place): boolean {
  return [...held.values()].some((it) => it.when(from, to));
}

/** What whoever leaves is asked about: what can't be had again weighs more. */
export function what(): What {
  return [...held.values()].some((it) => it.what === 'shown') ? 'shown' : 'typed';
}

/** Whatever is there is given up. */
export function giveUp(): void {
  held.clear();
}

/** Says whether a session that was there is over, while something typed waits for another one. */
export function setOver(is: boolean): void {
  if (over === is) return;
  over = is;
  tell();
}

export function useOver(): boolean {
  return useSyncExternalStore(
    (hear) => {
      heard.add(hear);
      return () => heard.delete(hear);
    },
    () => over,
  );
}

const anywhere: Loses = (from, to) => from.pathname !== to.pathname || from.search !== to.search;

/** Holds what was typed, until what is given back is called. */
export function hold(name: symbol, when: Loses = anywhere, what: What = 'typed'): () => void {
  held.set(name, { when, what });
  return () => {
    held.delete(name);
  };
}

/** The same for as long as `dirty`. */
export function useUnsaved(dirty: boolean, name: symbol, when?: Loses): void {
  useEffect(() => (dirty ? hold(name, when) : undefined), [dirty, name, when]);
}

// A browser asks by itself where its page is left for another one.
if (typeof addEventListener === 'function') {
  addEventListener('beforeunload', (event) => {
    if (holds()) event.preventDefault();
  });
}
