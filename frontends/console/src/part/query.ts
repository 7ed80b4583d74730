// Filters live in the address: every view can be sent to somebody, and the way back leads where one was: to what was chosen
// before, and out of a form that was opened. What is typed letter by letter, and what is taken away, is no step of its own.

import { useCallback } from 'react';
import { useSearchParams } from 'react-router';

type Change = (part: Record<string, string | undefined>, how?: 'replace') => void;

export function useFilter(): [Record<string, string>, Change] {
  const [query, set] = useSearchParams();
  const change = useCallback(
    (part: Record<string, string | undefined>, how?: 'replace') => {
      const replace = how === 'replace' || Object.values(part).every((it) => !it);
      set(
        (before) => {
          const after = new URLSearchParams(before);
          for (const [name, value] of Object.entries(part)) {
            if (value) after.set(name, value);
            else after.delete(name);
          }
          // Another filter has other pages.
          if (!('page' in part)) after.delete('page');
          return after;
        },
        { replace },
      );
    },
    [set],
  );
  return [Object.fromEntries(query), change];
}

export const PAGE = 50;

/** What a list is asked for, by the page that the address names. */
export function paging(filter: Record<string, string>): { limit: string; offset: string } {
  const page = Math.max(1, Number.parseInt(filter.page ?? '1', 10) || 1);
  return { limit: String(PAGE), offset: String((page - 1) * PAGE) };
}

/** The whole of a filtered list as a table. */
export function csvOf(path: string, query: Record<string, string>): string {
  const { limit: _, offset: __, ...filter } = query;
  return `/api/v1/${path}?${new URLSearchParams({ ...filter, format: 'csv' })}`;
}
