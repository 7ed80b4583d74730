// What the overview asks. The first script asks the same, before the page is there.

const DAY = 86_400_000;
const HOUR = 3_600_000;

export const PERIODS = [1, 7, 30, 90];

export function daysOf(text: string | null | undefined): number {
  const days = Number(text ?? 7);
  return PERIODS.includes(days) ? days : 7;
}

export function overviewQuestion(days: number, zone: string, now = Date.now()) {
  // Whole hours, so that what is asked stays the same for a while.
  const from = Math.floor((now - (days === 1 ? DAY - HOUR : (days - 1) * DAY)) / HOUR) * HOUR;
  return {
    from: String(from),
    granularity: days === 1 ? ('hour' as const) : ('day' as const),
    time_zone: zone,
    top: '5',
  };
}

/** The limits closest to their end, with their course. */
export const budgetQuestion = { limit: '5' };
