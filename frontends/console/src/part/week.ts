// Parts of a week, as people say them: which days, from when to when.

import type { Schemas } from '../api/client';

type Span = Schemas['WeekSpan'];

/** Days from Monday (0) on which something begins and ends at the same times of the day, in UTC. */
export type Hours = { days: number[]; from: string; to: string };

const DAY = 24 * 60;
const WEEK = 7 * DAY;
/** A Monday. */
const MONDAY = Date.UTC(2026, 0, 5);

function clock(minute: number): string {
  const two = (n: number) => String(n).padStart(2, '0');
  return `${two(Math.floor((minute % DAY) / 60))}:${two(minute % 60)}`;
}

/** The parts of a span that is longer than a day: to the end of its first one, whole days, and the rest. */
function parts({ from_minute: from, to_minute: to }: Span): [number, number][] {
  // Begins and ends at the same minute: all of the week.
  const end = to > from ? to : to + WEEK;
  if (end - from <= DAY) return [[from, end]];
  const found: [number, number][] = [];
  for (let begin = from; begin < end; begin = (Math.floor(begin / DAY) + 1) * DAY) {
    found.push([begin, Math.min(end, (Math.floor(begin / DAY) + 1) * DAY)]);
  }
  return found;
}

/** Spans that are alike but for their day stand together. One that ends with its day ends at 24:00. */
export function hoursOf(spans: Span[]): Hours[] {
  const all = new Map<string, Hours>();
  for (const [begin, end] of spans.flatMap(parts)) {
    const [from, to] = [clock(begin), end % DAY === 0 ? '24:00' : clock(end)];
    const found = all.get(`${from} ${to}`) ?? { days: [], from, to };
    found.days.push(Math.floor((begin % WEEK) / DAY));
    all.set(`${from} ${to}`, found);
  }
  return [...all.values()];
}

/** Days by name; three or more in a row as their first and last. */
export function dayNames(days: number[], language: string): string {
  const names = new Intl.DateTimeFormat(language === 'zh' ? 'zh-CN' : 'en-US', {
    weekday: 'short',
    timeZone: 'UTC',
  });
  const name = (day: number) => names.format(MONDAY + day * DAY * 60_000);
  const runs: number[][] = [];
  for (const day of [...days].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run && day === (run.at(-1) ?? 0) + 1) run.push(day);
    else runs.push([day]);
  }
  const said = runs.flatMap((run) =>
    run.length > 2 ? [`${name(run[0] ?? 0)}–${name(run.at(-1) ?? 0)}`] : run.map(name),
  );
  return said.join(language === 'zh' ? '、' : ', ');
}
