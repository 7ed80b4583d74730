// All of a list, where a page of it would hide the rest.

/** A page of a list has so many at most. */
const PAGE_MAX = 1000;
/** BOUND: no more pages are read; whoever has more than that has other ways to look. */
const PAGES_MAX = 20;

type List<T> = { items: T[]; total: number };

/** Reads page after page, until nothing is left. */
export async function allOf<T>(
  read: (query: { limit: string; offset: string }) => Promise<List<T>>,
): Promise<List<T>> {
  const items: T[] = [];
  for (let page = 0; page < PAGES_MAX; page++) {
    const found = await read({ limit: String(PAGE_MAX), offset: String(items.length) });
    items.push(...found.items);
    if (found.items.length === 0 || items.length >= found.total) break;
  }
  return { items, total: items.length };
}
