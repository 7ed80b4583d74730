// What was used, asked of the server and made ready for charts.

import { keepPreviousData } from '@tanstack/react-query';
import { api, type Schemas, take } from '../api/client';
import type { paths } from '../api/schema';
import type { Series } from './picture';

export type Metrics = Schemas['Metrics'];
export type Measure =
  | 'spend'
  | 'cost'
  | 'requests'
  | 'failed'
  | 'denied'
  | 'total_tokens'
  | 'input_tokens'
  | 'output_tokens'
  | 'duration_ms'
  | 'first_token_ms';

type Question = NonNullable<paths['/api/v1/reports/usage']['get']['parameters']['query']>;

export function usageReport(question: Question) {
  return {
    queryKey: ['usage', question],
    queryFn: () => take(api.GET('/api/v1/reports/usage', { params: { query: question } })),
    placeholderData: keepPreviousData,
  };
}

export function kindOf(measure: Measure): Series['kind'] {
  if (measure === 'spend' || measure === 'cost') return 'money';
  return measure.endsWith('_ms') ? 'duration' : 'number';
}

/** A report's rows over its time, and all others as one. Averages don't add up: they are lines side by side. */
export function series(
  report: Schemas['UsageReport'] | undefined,
  measure: Measure,
  others: string,
  none: string,
  call: (of: string, id: string) => string,
): Series[] {
  const kind = kindOf(measure);
  const adds = kind !== 'duration';
  const values = (all: Metrics[]) => all.map((it) => it[measure] ?? null);
  const rows = (report?.rows ?? []).map((row) => ({
    name: Object.entries(row.by)
      .map(([of, id]) => (id ? call(of, id) : none))
      .join(' · '),
    values: values(row.series),
  }));
  if (report?.others && adds) rows.push({ name: others, values: values(report.others.series) });
  return rows.map((it) => ({ ...it, kind, shape: adds ? ('bar' as const) : ('line' as const), stack: adds }));
}
