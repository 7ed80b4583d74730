// Where a limit's course stands in its picture: what was used up to now, and where that leads.

import type { Schemas } from '../api/client';

export type Budget = Schemas['Budget'];
type Point = { x: number; y: number };

/** In shares of the picture, from its lower left corner. */
export type Course = { used: Point[]; ahead: Point[]; max: number };

export function course(budget: Budget, now: number): Course | null {
  const first = budget.burned[0];
  if (!first) return null;
  const from = budget.starts_at ?? first.from;
  const to = Math.max(budget.resets_at ?? now, now);
  const spent = budget.settled + budget.reserved + budget.held;
  const end = budget.resets_at == null ? null : (budget.forecast?.used_at_end ?? null);
  const top = Math.max(budget.max, spent, end ?? 0, 1) * 1.05;
  const point = (at: number, used: number): Point => ({
    x: to > from ? Math.min(1, Math.max(0, (at - from) / (to - from))) : 1,
    y: Math.min(1, Math.max(0, used / top)),
  });
  const used = [point(first.from, first.total - first.used)];
  for (const it of budget.burned) if (it.from <= now) used.push(point(Math.min(it.to, now), it.total));
  const here = point(now, spent);
  used.push(here);
  return { used, ahead: end == null ? [] : [here, point(to, end)], max: point(to, budget.max).y };
}

/** The key by which a limit and its course find each other. */
export function limitKey(it: Pick<Schemas['LimitUse'], 'metric' | 'window' | 'model'>): string {
  return JSON.stringify([it.metric, it.window, it.model ?? null]);
}
