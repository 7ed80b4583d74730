// Which rows of a long list are in the page: those that are seen, and some before and after them. All are of one height, so that
// nothing is measured, and it is the same work for a hundred rows and for a hundred thousand.

import { type RefObject, useEffect, useState } from 'react';
import { flushSync } from 'react-dom';

/** So many rows are drawn beyond what is seen, so that moving a little draws none. */
const BEYOND = 16;
/** The rows change in steps of so many. */
const STEP = 8;

export type Shown = { from: number; to: number };

/** The rows that are shown of `count`, where `top` pixels are above and `seen` in sight. */
export function shown(count: number, row: number, top: number, seen: number): Shown {
  const at = (pixels: number) => Math.floor(Math.max(0, pixels) / row);
  const first = Math.floor(at(top) / STEP) * STEP;
  const last = Math.ceil((at(top + seen) + 1) / STEP) * STEP;
  return { from: Math.max(0, Math.min(first, count) - BEYOND), to: Math.min(count, last + BEYOND) };
}

export function useShown(scroller: RefObject<HTMLElement | null>, count: number, row: number): Shown {
  const [place, setPlace] = useState({ top: 0, seen: 800 });
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    let before = { top: -1, seen: 0 };
    const look = () => {
      const now = { top: element.scrollTop, seen: element.clientHeight };
      const same = (a: Shown, b: Shown) => a.from === b.from && a.to === b.to;
      const all = Number.MAX_SAFE_INTEGER;
      if (same(shown(all, row, before.top, before.seen), shown(all, row, now.top, now.seen))) return;
      before = now;
      return now;
    };
    // Drawn before the frame is: a list that is moved quickly would be empty for a moment.
    const onScroll = () => {
      const now = look();
      if (now) flushSync(() => setPlace(now));
    };
    const watch = new ResizeObserver(() => {
      const now = look();
      if (now) setPlace(now);
    });
    element.addEventListener('scroll', onScroll, { passive: true });
    watch.observe(element);
    return () => {
      element.removeEventListener('scroll', onScroll);
      watch.disconnect();
    };
  }, [scroller, row]);
  return shown(count, row, place.top, place.seen);
}
