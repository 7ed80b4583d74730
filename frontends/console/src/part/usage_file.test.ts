import { expect, test } from 'vitest';
import type { Schemas } from '../api/client';
import { usageFile } from './usage_file';

const used = (spend: number, duration_ms: number | null = null) =>
  ({ requests: 2, spend, duration_ms }) as Schemas['Metrics'];

// Half an hour past: a day in Kolkata begins at 18:30 of the day before elsewhere.
const bucket = { ...used(0), from: 1_795_372_200_000, to: 1_795_458_600_000 } as Schemas['Bucket'];

test('a report is written with names, times of the zone and amounts in the currency', () => {
  const row = (group: string, series: Schemas['Metrics'][]) =>
    ({ by: { group, model: 'm' }, total: series[0], previous: null, series }) as Schemas['UsageRow'];
  const text = usageFile(
    {
      buckets: [bucket],
      rows: [row('g-1', [used(1_500_000_000, 12.5)]), row('', [used(1)])],
      others: { rows: 3, total: used(0), series: [used(0)] },
    },
    {
      by: [
        { of: 'group', title: 'Group ID', named: 'Group' },
        { of: 'model', title: 'Model' },
      ],
      measures: [
        { of: 'requests', title: 'Requests' },
        { of: 'spend', title: 'Spend (CNY)' },
        { of: 'duration_ms', title: 'Latency (ms)' },
      ],
      name: (_, id) => (id === 'g-1' ? '=Research "x"' : id),
      from: 'From (Asia/Kolkata)',
      to: 'To (Asia/Kolkata)',
      others: 'Others',
      none: '–',
      zone: 'Asia/Kolkata',
      factor: 7.2,
    },
  );
  expect(text.split('\r\n')).toEqual([
    '\ufeff"From (Asia/Kolkata)","To (Asia/Kolkata)","Group","Group ID","Model","Requests","Spend (CNY)","Latency (ms)"',
    '"2026-11-23 00:00","2026-11-24 00:00","\'=Research ""x""","g-1","m","2","10.8","12.5"',
    '"2026-11-23 00:00","2026-11-24 00:00","–","","m","2","0.000000007",""',
    '"2026-11-23 00:00","2026-11-24 00:00","Others","","Others","2","0",""',
    '',
  ]);
});
