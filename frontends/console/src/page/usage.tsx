// What was used, told apart by two things, over time and against the time before.

import { useQuery } from '@tanstack/react-query';
import { Alert, Button, Card, DatePicker, Empty, Select, Table } from 'antd';
import dayjs, { type Dayjs } from 'dayjs';
import { lazy, Suspense, useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { may, useMe } from '../app/session';
import type { Series } from '../part/chart';
import { save, table } from '../part/csv';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { Page } from '../part/page';
import { Pick } from '../part/pick';
import { useFilter } from '../part/query';

const Chart = lazy(() => import('../part/chart'));

type Row = Schemas['SpendRow'];
type Measure = 'spend' | 'requests' | 'failures' | 'input_tokens' | 'output_tokens' | 'cost';

const DAY = 86_400_000;
const MEASURES: Measure[] = ['spend', 'requests', 'failures', 'input_tokens', 'output_tokens', 'cost'];
const DIMENSIONS = ['model', 'group', 'user', 'key', 'organization', 'channel', 'customer', 'tag'];
const MOST = 8;

const utc = (day: Dayjs) => Date.UTC(day.year(), day.month(), day.date());

export default function UsagePage() {
  const { t } = useTranslation();
  const format = useFormat();
  const me = useMe();
  const [filter, change] = useFilter();
  const today = Math.floor(Date.now() / DAY) * DAY;
  const from = filter.from ? Date.parse(filter.from) : today - 29 * DAY;
  const to = filter.to ? Date.parse(filter.to) : today;
  const days = Math.max(1, Math.round((to - from) / DAY) + 1);
  const first = filter.by ?? 'model';
  const second = filter.and ?? '';
  const measure = (MEASURES.find((it) => it === filter.show) ?? 'spend') as Measure;
  const narrowed = Object.fromEntries(
    ['group', 'user', 'key', 'model', 'organization', 'channel'].flatMap((it) =>
      filter[it] ? [[it, filter[it]]] : [],
    ),
  );
  const spend = (by: string, begin: number, end: number) => ({
    queryKey: ['spend', by, begin, end, narrowed],
    queryFn: () =>
      take(
        api.GET('/api/v1/spend', {
          params: { query: { ...narrowed, by, from: String(begin), to: String(end), limit: '1000' } },
        }),
      ),
  });
  const by = [first, second].filter(Boolean).join(',');
  const daily = useQuery(spend(`day,${first}`, from, to + DAY));
  const rows = useQuery(spend(by, from, to + DAY));
  const before = useQuery(spend(by, from - days * DAY, from));
  const month = useQuery(
    spend('day', Date.UTC(new Date().getUTCFullYear(), new Date().getUTCMonth(), 1), today + DAY),
  );

  const kind = measure === 'spend' || measure === 'cost' ? 'money' : 'number';
  const say = (n: number) => (kind === 'money' ? format.money(n) : format.whole(n));
  const name = (row: Row) =>
    Object.entries(row.by)
      .map(([, value]) => value || '–')
      .join(' · ');
  const chart = useMemo(
    () => series(daily.data?.items ?? [], first, measure, kind, from, days, t('usage.others')),
    [daily.data, first, measure, kind, from, days, t],
  );
  const old = useMemo(
    () => new Map((before.data?.items ?? []).map((row) => [JSON.stringify(row.by), row])),
    [before.data],
  );
  const sorted = [...(rows.data?.items ?? [])].sort((a, b) => (b[measure] ?? 0) - (a[measure] ?? 0));
  const allowed = DIMENSIONS.filter((it) => it !== 'channel' || may(me, 'super'));
  const dimension = (value: string) => ({ value, label: t(`usage.dimension.${value}`) });
  const columns = [first, ...(second ? [second] : [])];
  const csv = () =>
    save(
      `usage-${new Date(from).toISOString().slice(0, 10)}.csv`,
      table([
        [...columns, ...MEASURES],
        ...sorted.map((row) => [
          ...columns.map((it) => row.by[it] ?? ''),
          ...MEASURES.map((it) => (it === 'spend' || it === 'cost' ? (row[it] ?? 0) / 1e9 : (row[it] ?? 0))),
        ]),
      ]),
    );
  return (
    <Page
      title={t('nav.usage')}
      actions={
        <Button onClick={csv} disabled={sorted.length === 0}>
          {t('usage.csv')}
        </Button>
      }
    >
      <div className="row" style={{ marginBottom: 16 }}>
        <DatePicker.RangePicker
          allowClear={false}
          aria-label={t('request.when')}
          value={[
            dayjs(new Date(from).toISOString().slice(0, 10)),
            dayjs(new Date(to).toISOString().slice(0, 10)),
          ]}
          onChange={(range) => {
            if (!range?.[0] || !range[1]) return;
            const day = (it: Dayjs) => new Date(utc(it)).toISOString().slice(0, 10);
            change({ from: day(range[0]), to: day(range[1]) });
          }}
        />
        {t('usage.by')}
        <Select
          aria-label={t('usage.by')}
          style={{ width: 140 }}
          value={first}
          onChange={(value) => change({ by: value, and: value === second ? undefined : second })}
          options={allowed.map(dimension)}
        />
        {t('usage.and')}
        <Select
          aria-label={t('usage.and')}
          style={{ width: 150 }}
          value={second}
          onChange={(and) => change({ and })}
          options={[
            { value: '', label: t('usage.nothing') },
            ...allowed.filter((it) => it !== first).map(dimension),
          ]}
        />
        <Select
          aria-label={t('usage.show')}
          style={{ width: 160 }}
          value={measure}
          onChange={(show) => change({ show })}
          options={MEASURES.map((value) => ({ value, label: t(MEASURE[value]) }))}
        />
        <Pick
          of="groups"
          style={{ width: 150 }}
          aria-label={t('key.group')}
          placeholder={t('key.group')}
          value={filter.group}
          onChange={(group) => change({ group })}
        />
        <Pick
          of="keys"
          style={{ width: 150 }}
          aria-label={t('key.hint')}
          placeholder={t('key.hint')}
          value={filter.key}
          onChange={(key) => change({ key })}
        />
      </div>
      <Failure error={daily.error ?? rows.error} again={() => rows.refetch()} />
      <div className="stack">
        <Forecast rows={month.data?.items ?? []} measure={measure} say={say} now={today} />
        <Card title={`${t(MEASURE[measure])} · ${t('usage.overTime')}`}>
          <Suspense fallback={<div style={{ height: 300 }} />}>
            <Chart
              label={t(MEASURE[measure])}
              unit="day"
              times={chart.times}
              series={chart.series}
              height={300}
            />
          </Suspense>
        </Card>
        <Card title={columns.map((it) => t(`usage.dimension.${it}`)).join(' · ')}>
          <Table<Row>
            aria-label={t('nav.usage')}
            size="small"
            rowKey={name}
            dataSource={sorted}
            loading={rows.isFetching}
            scroll={{ x: 'max-content' }}
            locale={{ emptyText: <Empty description={t('usage.none')} /> }}
            pagination={sorted.length > 50 && { pageSize: 50, showSizeChanger: false }}
            columns={[
              ...columns.map((it) => ({
                title: t(`usage.dimension.${it}`),
                key: it,
                render: (_: unknown, row: Row) => row.by[it] || '–',
              })),
              ...MEASURES.map((it) => ({
                title: t(MEASURE[it]),
                key: it,
                align: 'right' as const,
                className: 'num',
                sorter: (a: Row, b: Row) => (a[it] ?? 0) - (b[it] ?? 0),
                render: (_: unknown, row: Row) =>
                  it === 'spend' || it === 'cost' ? format.money(row[it] ?? 0) : format.whole(row[it] ?? 0),
              })),
              {
                title: t('usage.before'),
                key: 'before',
                align: 'right',
                className: 'num',
                render: (_, row) => say(old.get(JSON.stringify(row.by))?.[measure] ?? 0),
              },
              {
                title: t('usage.change'),
                key: 'change',
                align: 'right',
                className: 'num',
                render: (_, row) => {
                  const was = old.get(JSON.stringify(row.by))?.[measure] ?? 0;
                  return was > 0 ? format.percent(((row[measure] ?? 0) - was) / was) : '–';
                },
              },
            ]}
          />
        </Card>
      </div>
    </Page>
  );
}

const MEASURE: Record<Measure, string> = {
  spend: 'usage.spend',
  requests: 'usage.requests',
  failures: 'usage.failures',
  input_tokens: 'usage.inputTokens',
  output_tokens: 'usage.outputTokens',
  cost: 'usage.cost',
};

/** The largest by day, and all others as one. */
function series(
  rows: Row[],
  by: string,
  measure: Measure,
  kind: Series['kind'],
  from: number,
  days: number,
  others: string,
) {
  const times = Array.from({ length: days }, (_, index) => from + index * DAY);
  const at = new Map(times.map((time, index) => [new Date(time).toISOString().slice(0, 10), index]));
  const sums = new Map<string, { all: number; values: number[] }>();
  for (const row of rows) {
    const index = at.get(row.by.day ?? '');
    if (index === undefined) continue;
    const name = row.by[by] || '–';
    let sum = sums.get(name);
    if (!sum) {
      sum = { all: 0, values: times.map(() => 0) };
      sums.set(name, sum);
    }
    const amount = row[measure] ?? 0;
    sum.all += amount;
    sum.values[index] = (sum.values[index] ?? 0) + amount;
  }
  const sorted = [...sums].sort(([, a], [, b]) => b.all - a.all);
  const rest = sorted.slice(MOST);
  const made = sorted.slice(0, MOST).map(([name, sum]) => ({ name, values: sum.values }));
  if (rest.length > 0) {
    made.push({
      name: others,
      values: times.map((_, index) => rest.reduce((all, [, it]) => all + (it.values[index] ?? 0), 0)),
    });
  }
  return { times, series: made.map((it): Series => ({ ...it, kind, shape: 'bar', stack: true })) };
}

/** What this month comes to if it goes on as it did: what is used, and the rest of the month at the last seven days' pace. */
function Forecast({
  rows,
  measure,
  say,
  now,
}: {
  rows: Row[];
  measure: Measure;
  say: (n: number) => string;
  now: number;
}) {
  const { t } = useTranslation();
  const date = new Date(now);
  const end = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
  const used = rows.reduce((sum, row) => sum + (row[measure] ?? 0), 0);
  const whole = rows.filter(
    (row) => Date.parse(row.by.day ?? '') < now && Date.parse(row.by.day ?? '') >= now - 7 * DAY,
  );
  const counted = Math.min(7, date.getUTCDate() - 1);
  if (used === 0 || counted < 1) return null;
  const pace = whole.reduce((sum, row) => sum + (row[measure] ?? 0), 0) / counted;
  const left = (end - now) / DAY - 1;
  return (
    <Alert
      type="info"
      showIcon
      title={t('usage.forecast', { amount: say(Math.round(used + pace * left)) })}
    />
  );
}
