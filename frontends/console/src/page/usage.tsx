// What was used, told apart by one or two things, over time and against the time before.

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Alert, Button, Card, DatePicker, Empty, Select, Table } from 'antd';
import dayjs, { type Dayjs } from 'dayjs';
import { lazy, Suspense, useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import type { Schemas } from '../api/client';
import { usePreference } from '../app/preference';
import { may, useMe } from '../app/session';
import { Named } from '../part/badge';
import { kindOf, type Measure, series, usageReport } from '../part/chart_data';
import { Chips } from '../part/chip';
import { useColumns } from '../part/column';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { namesOf, TELLS, useName } from '../part/name';
import { Page } from '../part/page';
import { PickNamed } from '../part/pick';
import { useFilter } from '../part/query';
import { usageFile } from '../part/usage_file';
import { useZone } from '../part/zone';

const Chart = lazy(() => import('../part/chart'));

type Row = Schemas['UsageRow'];
type Unit = 'hour' | 'day' | 'week' | 'month';

const MEASURES: Measure[] = [
  'spend',
  'requests',
  'total_tokens',
  'input_tokens',
  'output_tokens',
  'failed',
  'denied',
  'duration_ms',
  'first_token_ms',
  'cost',
];
/** What rows can be ordered by. */
const ORDERS = new Set<Measure>([
  'spend',
  'requests',
  'total_tokens',
  'failed',
  'denied',
  'duration_ms',
  'first_token_ms',
]);
const DIMENSIONS = [
  'model',
  'group',
  'user',
  'key',
  'organization',
  'channel',
  'provider',
  'customer',
  'tag',
];
/** Sums that the gateway doesn't keep: what two things would be told apart by, and why they aren't. */
const APART: [string, string, string][] = [
  ['customer', 'tag', 'usage.apart'],
  ['channel', 'provider', 'usage.oneProvider'],
];

/** Why these can't be asked for together, if they can't. */
function apart(a: string, b: string): string | undefined {
  return APART.find(([one, other]) => (a === one && b === other) || (a === other && b === one))?.[2];
}

const UNITS: Unit[] = ['hour', 'day', 'week', 'month'];
const isKind = (it: string): it is 'group' | 'user' | 'key' | 'channel' | 'organization' =>
  ['group', 'user', 'key', 'channel', 'organization'].includes(it);
const NARROWED = ['group', 'user', 'key', 'model', 'organization', 'channel', 'provider', 'customer', 'tag'];

export default function UsagePage() {
  const { t } = useTranslation();
  const format = useFormat();
  const me = useMe();
  const { value: preference } = usePreference();
  const [filter, change] = useFilter();
  const zone = preference.zone || Intl.DateTimeFormat().resolvedOptions().timeZone;
  const unit = UNITS.find((it) => it === filter.unit) ?? 'day';
  const measure = MEASURES.find((it) => it === filter.show) ?? 'spend';
  // `cost`, or `-cost` with the most first.
  const [, descending, sorted] = /^(-?)(\w+)$/.exec(filter.sort ?? '') ?? [];
  const first = filter.by ?? 'model';
  const second = filter.and ?? '';
  const { today } = useZone();
  const from = filter.from ?? today().subtract(29, 'day').format('YYYY-MM-DD');
  const to = filter.to ?? today().format('YYYY-MM-DD');
  // As long as the time that is shown, from whenever one says; by itself the time right before.
  const length = dayjs(to).diff(from, 'day') + 1;
  const before = dayjs(from).subtract(length, 'day');
  const than = filter.than;
  const narrowed = Object.fromEntries(NARROWED.flatMap((it) => (filter[it] ? [[it, filter[it]]] : [])));
  const question = {
    ...narrowed,
    by: [first, second].filter(Boolean).join(','),
    // The last day is in it.
    from,
    to: dayjs(to).add(1, 'day').format('YYYY-MM-DD'),
    time_zone: zone,
    granularity: unit,
    compare: than ?? 'previous',
    order: ORDERS.has(measure) ? measure : 'spend',
  };
  const course = useQuery(usageReport({ ...question, top: '10' }));
  const whole = useQuery(usageReport({ ...question, granularity: 'total', top: '1000' }));
  const report = course.data;
  const [group, user] = [useName('groups'), useName('users')];
  const [key, channel] = [useName('keys'), useName('channels')];
  const organization = useName('organizations');
  const shown = useMemo(() => {
    const name = { group, user, key, channel, organization };
    const call = (of: string, id: string) => (isKind(of) ? name[of](id) : id);
    return series(report, measure, t('usage.others'), t('overview.nobody'), call);
  }, [report, measure, t, group, user, key, channel, organization]);
  const allowed = DIMENSIONS.filter((it) => (it !== 'channel' && it !== 'provider') || may(me, 'super'));
  const dimension = (value: string) => ({ value, label: t(`usage.dimension.${value}`) });
  const columns = [first, ...(second ? [second] : [])];
  const say = (of: Measure, n: number | null | undefined) => {
    if (n == null) return '–';
    const kind = kindOf(of);
    return kind === 'money' ? format.money(n) : kind === 'duration' ? format.duration(n) : format.whole(n);
  };
  const [seen, menu] = useColumns(
    'usage',
    [
      ...MEASURES.map((key) => ({ key, title: t(MEASURE[key]) })),
      ...COMPARED.map((key) => ({ key, title: t(`usage.${key}`) })),
    ],
    FIRST,
  );
  const client = useQueryClient();
  const download = useMutation({
    mutationFn: async () => {
      const asked = await client.fetchQuery(usageReport({ ...question, compare: undefined, top: '100' }));
      const names = await Promise.all(
        columns.filter(isKind).map(async (of) => {
          const ids = asked.rows.flatMap((row) => row.by[of] || []);
          const kind = `${of}s` as const;
          return [of, may(me, TELLS[kind]) ? await namesOf(client, kind, ids) : undefined] as const;
        }),
      );
      const named = Object.fromEntries(names);
      const unit = (of: Measure) => {
        const kind = kindOf(of);
        if (kind !== 'number') return kind === 'money' ? preference.currency : 'ms';
        return '';
      };
      const measure = (of: Measure) =>
        unit(of) ? t('usage.in', { what: t(MEASURE[of]), unit: unit(of) }) : t(MEASURE[of]);
      const text = usageFile(asked, {
        by: columns.map((of) => {
          const title = t(`usage.dimension.${of}`);
          return named[of] ? { of, title: t('usage.idOf', { what: title }), named: title } : { of, title };
        }),
        measures: MEASURES.map((of) => ({ of, title: measure(of) })),
        name: (of, id) => named[of]?.get(id) || id,
        from: t('usage.in', { what: t('usage.from'), unit: asked.time_zone }),
        to: t('usage.in', { what: t('usage.to'), unit: asked.time_zone }),
        others: t('usage.others'),
        none: t('overview.nobody'),
        zone: asked.time_zone,
        factor: format.factor,
      });
      save(`usage-${from}-${to}.csv`, text);
    },
  });
  const day = (it: Dayjs) => it.format('YYYY-MM-DD');
  return (
    <Page
      title={t('nav.usage')}
      note={t('usage.zone', { zone: report?.time_zone ?? zone })}
      actions={
        <Button loading={download.isPending} onClick={() => download.mutate()}>
          {t('usage.csv')}
        </Button>
      }
    >
      <div className="row" style={{ marginBottom: 16 }}>
        <DatePicker.RangePicker
          allowClear={false}
          aria-label={t('request.when')}
          value={[dayjs(from), dayjs(to)]}
          onChange={(range) => range?.[0] && range[1] && change({ from: day(range[0]), to: day(range[1]) })}
        />
        {t('usage.against')}
        <DatePicker
          aria-label={t('usage.against')}
          style={{ width: 140 }}
          allowClear={Boolean(than)}
          value={than ? dayjs(than) : before}
          presets={[
            { label: t('usage.timeBefore'), value: before },
            { label: t('usage.monthBefore'), value: dayjs(from).subtract(1, 'month') },
            { label: t('usage.yearBefore'), value: dayjs(from).subtract(1, 'year') },
          ]}
          onChange={(picked) =>
            change({ than: picked && !picked.isSame(before, 'day') ? day(picked) : undefined })
          }
        />
        <Select
          aria-label={t('usage.unit')}
          style={{ width: 120 }}
          value={unit}
          onChange={(unit) => change({ unit: unit === 'day' ? undefined : unit })}
          options={UNITS.map((value) => ({ value, label: t(`usage.units.${value}`) }))}
        />
        {t('usage.by')}
        <Select
          aria-label={t('usage.by')}
          style={{ width: 140 }}
          value={first}
          onChange={(value) =>
            change({ by: value, and: value === second || apart(value, second) ? undefined : second })
          }
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
            ...allowed
              .filter((it) => it !== first)
              .map((it) => {
                const why = apart(first, it);
                return why ? { ...dimension(it), disabled: true, title: t(why) } : dimension(it);
              }),
          ]}
        />
        <Select
          aria-label={t('usage.show')}
          style={{ width: 190 }}
          value={measure}
          onChange={(show) => change({ show })}
          options={MEASURES.map((value) => ({ value, label: t(MEASURE[value]) }))}
        />
        <PickNamed
          of="groups"
          style={{ width: 150 }}
          value={filter.group}
          onChange={(group) => change({ group })}
        />
        <PickNamed of="keys" style={{ width: 150 }} value={filter.key} onChange={(key) => change({ key })} />
      </div>
      {allowed.some((it) => apart(first, it)) && (
        <p className="quiet" style={{ margin: '-8px 0 12px' }}>
          {t(apart(first, allowed.find((it) => apart(first, it)) ?? '') ?? '')}
        </p>
      )}
      <Chips of={NARROWED.filter((it) => it !== 'group' && it !== 'key')} />
      <Failure error={course.error ?? whole.error} again={() => course.refetch()} />
      <Failure error={download.error} />
      <div className="stack">
        <Forecast narrowed={narrowed} zone={zone} measure={measure} say={say} />
        <Card
          title={`${t(MEASURE[measure])} · ${t('usage.overTime')}`}
          extra={report?.previous && <Against report={report} measure={measure} say={say} />}
        >
          <Suspense fallback={<div style={{ height: 300 }} />}>
            <Chart
              label={t(MEASURE[measure])}
              unit={unit}
              times={(report?.buckets ?? []).map((it) => it.from)}
              series={shown}
              height={300}
            />
          </Suspense>
        </Card>
        <Card title={columns.map((it) => t(`usage.dimension.${it}`)).join(' · ')} extra={menu}>
          <Table<Row>
            aria-label={t('nav.usage')}
            size="small"
            rowKey={(row) => JSON.stringify(row.by)}
            dataSource={whole.data?.rows}
            loading={whole.isFetching}
            scroll={{ x: 'max-content' }}
            locale={{
              // What couldn't be read isn't nothing.
              emptyText:
                whole.isFetching || whole.error ? (
                  ' '
                ) : (
                  <Empty description={t('usage.none')}>
                    <Link to="/requests">{t('nav.requests')}</Link>
                  </Empty>
                ),
            }}
            pagination={
              (whole.data?.rows.length ?? 0) > 50 && {
                pageSize: 50,
                showSizeChanger: false,
                current: Math.max(1, Number.parseInt(filter.page ?? '1', 10) || 1),
              }
            }
            onChange={(pages, _, sorter, { action }) => {
              if (action === 'paginate')
                return change({ page: (pages.current ?? 1) > 1 ? String(pages.current) : undefined });
              const by = Array.isArray(sorter) ? sorter[0] : sorter;
              return change({
                sort: by?.order ? `${by.order === 'descend' ? '-' : ''}${by.columnKey}` : undefined,
              });
            }}
            columns={[
              ...columns.map((it) => ({
                title: t(`usage.dimension.${it}`),
                key: it,
                render: (_: unknown, row: Row) =>
                  row.by[it] && isKind(it) ? (
                    <Named of={`${it}s`} id={row.by[it]} />
                  ) : (
                    <span className="called">{row.by[it] || '–'}</span>
                  ),
              })),
              // What is drawn above is shown below in any case.
              ...MEASURES.filter((it) => it === measure || seen.includes(it)).map((it) => ({
                title: t(MEASURE[it]),
                key: it,
                align: 'right' as const,
                className: 'num',
                sorter: (a: Row, b: Row) => (a.total[it] ?? 0) - (b.total[it] ?? 0),
                sortOrder: sorted === it ? (descending ? ('descend' as const) : ('ascend' as const)) : null,
                render: (_: unknown, row: Row) => say(it, row.total[it]),
              })),
              ...[
                {
                  title: t('usage.before'),
                  key: 'before',
                  align: 'right' as const,
                  className: 'num',
                  render: (_: unknown, row: Row) => say(measure, row.previous?.[measure]),
                },
                {
                  title: t('usage.change'),
                  key: 'change',
                  align: 'right' as const,
                  className: 'num',
                  render: (_: unknown, row: Row) =>
                    format.change(row.total[measure] ?? 0, row.previous?.[measure]) ?? '–',
                },
              ].filter((it) => seen.includes(it.key)),
            ]}
          />
        </Card>
      </div>
    </Page>
  );
}

/** All of it, and what it is compared with. */
function Against(props: {
  report: Schemas['UsageReport'];
  measure: Measure;
  say: (of: Measure, n: number | null | undefined) => string;
}) {
  const { t } = useTranslation();
  const format = useFormat();
  const { report, measure, say } = props;
  const was = report.previous;
  if (!was) return null;
  return (
    <span className="quiet" data-testid="against">
      {t('usage.compared', {
        now: say(measure, report.total[measure]),
        was: say(measure, was[measure]),
        // The last day is in it.
        from: format.day(was.from),
        to: format.day(was.to - 1),
        change: format.change(report.total[measure] ?? 0, was[measure]) ?? '–',
      })}
    </span>
  );
}

/** Hands a text to the browser as a file. */
function save(name: string, text: string) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv;charset=utf-8' }));
  link.download = name;
  link.click();
  // Not before the browser has begun to read it.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const COMPARED = ['before', 'change'] as const;
/** What is shown of all that there is, unless somebody chooses otherwise. */
const FIRST = ['spend', 'requests', 'failed', 'input_tokens', 'output_tokens', 'first_token_ms', 'change'];

const MEASURE: Record<Measure, string> = {
  spend: 'usage.spend',
  cost: 'usage.cost',
  requests: 'usage.requests',
  failed: 'usage.failures',
  denied: 'usage.denied',
  total_tokens: 'usage.tokens',
  input_tokens: 'usage.inputTokens',
  output_tokens: 'usage.outputTokens',
  duration_ms: 'usage.latency',
  first_token_ms: 'usage.firstToken',
};

/** What this month comes to if it goes on as in the last whole days, seven at most: what is used, and as much a day for the rest. */
function Forecast(props: {
  narrowed: Record<string, string | undefined>;
  zone: string;
  measure: Measure;
  say: (of: Measure, n: number) => string;
}) {
  const { t } = useTranslation();
  const { measure } = props;
  const today = useZone().today();
  const month = useQuery(
    usageReport({
      ...props.narrowed,
      from: today.startOf('month').format('YYYY-MM-DD'),
      to: today.add(1, 'day').format('YYYY-MM-DD'),
      time_zone: props.zone,
      granularity: 'day',
    }),
  );
  const days = month.data?.buckets ?? [];
  const used = month.data?.total[measure] ?? 0;
  const whole = days.slice(0, -1).slice(-7);
  if (kindOf(measure) === 'duration' || used === 0 || whole.length === 0) return null;
  const pace = whole.reduce((sum, it) => sum + (it[measure] ?? 0), 0) / whole.length;
  const left = today.daysInMonth() - days.length;
  return (
    <Alert
      type="info"
      showIcon
      title={t('usage.forecast', { amount: props.say(measure, Math.round(used + pace * left)) })}
    />
  );
}
