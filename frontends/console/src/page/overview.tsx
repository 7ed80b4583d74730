import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { lazy, type ReactNode, Suspense, useEffect, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { useSpoken } from '../app/preference';
import { zoneOf } from '../app/preferred';
import { useMe } from '../app/session';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { daysOf, overviewQuestion, PERIODS } from '../part/overview_question';
import { Page } from '../part/page';
import { Choice, Panel } from '../part/plain';
import { useFilter } from '../part/query';
import { Figures } from '../part/sums';
import { FirstSteps } from './first_steps';
import { Budgets, Channels, Top, useAgainst } from './overview_part';

const Chart = lazy(() => import('../part/chart'));
/** A chart with the line of buttons above it. */
const CHART = 312;

/** The page is there, and answers, before what takes long to draw is even read. */
function Later({ height, children }: { height: number; children: ReactNode }) {
  const [now, set] = useState(false);
  useEffect(() => {
    const idle = window.requestIdleCallback ?? ((run: () => void) => setTimeout(run, 200));
    const stop = window.cancelIdleCallback ?? clearTimeout;
    const waiting = idle(() => set(true), { timeout: 2_000 });
    return () => stop(waiting);
  }, []);
  const empty = <div style={{ height }} />;
  return now ? <Suspense fallback={empty}>{children}</Suspense> : empty;
}

export default function Overview() {
  const { t } = useTranslation();
  const me = useMe();
  const [filter, change] = useFilter();
  const spoken = useSpoken();
  const days = daysOf(filter.days);
  const query = overviewQuestion(days, zoneOf(spoken));
  const report = useQuery({
    queryKey: ['usage', 'overview', query],
    queryFn: () => take(api.GET('/api/v1/reports/overview', { params: { query } })),
    placeholderData: keepPreviousData,
    refetchInterval: 15_000,
  });
  const seen = report.data;
  return (
    <Page
      title={t('nav.overview')}
      note={t(me.role === 'user' && me.administers.length === 0 ? 'overview.own' : 'overview.all')}
      actions={
        <Choice
          label={t('overview.period')}
          value={String(days)}
          onChange={(value) => change({ days: value === '7' ? undefined : value })}
          options={PERIODS.map((it) => ({
            value: String(it),
            label: it === 1 ? t('overview.today') : t('overview.days', { count: it }),
          }))}
        />
      }
    >
      <Failure error={report.error} again={() => report.refetch()} />
      <div className="stack">
        <Sums now={seen?.total} then={seen?.previous} />
        {seen?.total.requests === 0 && seen.previous.requests === 0 && <FirstSteps />}
        <Course buckets={seen?.buckets} unit={days === 1 ? 'hour' : 'day'} />
        <div className="grid-wide">
          <Budgets />
          {seen?.channels && <Channels channels={seen.channels} />}
        </div>
        <div className="grid">
          <Top title={t('overview.topModels')} rows={seen?.models} to="/requests?model=" />
          {(seen?.groups.length ?? 0) > 0 && (
            <Top title={t('overview.topGroups')} rows={seen?.groups} to="/groups/" />
          )}
          <Top title={t('overview.topKeys')} rows={seen?.keys} to="/keys/" />
        </div>
      </div>
    </Page>
  );
}

type Span = Schemas['OverviewSpan'];

/** What was used, how much of it failed and how fast it was, against the time before. */
function Sums({ now, then }: { now: Span | undefined; then: Span | undefined }) {
  const { t } = useTranslation();
  const format = useFormat();
  const against = useAgainst();
  const time = (ms: number | null | undefined) => (ms == null ? '–' : format.duration(ms));
  const usual = (of: Schemas['Percentiles'] | null | undefined, mean: number | null | undefined) =>
    of
      ? { value: time(of.p50), more: t('overview.most', { time: time(of.p95) }) }
      : { value: time(mean), more: undefined };
  return (
    <Figures
      figures={[
        {
          name: t('usage.spend'),
          value: format.money(now?.spend ?? 0),
          more: against(now?.spend, then?.spend),
        },
        {
          name: t('usage.requests'),
          value: format.short(now?.requests ?? 0),
          more: against(now?.requests, then?.requests),
        },
        {
          name: t('usage.tokens'),
          value: format.short(now?.total_tokens ?? 0),
          more: against(now?.total_tokens, then?.total_tokens),
        },
        {
          name: t('usage.errors'),
          value: format.percent(now?.requests ? now.failed / now.requests : 0),
          more: t('overview.denied', { count: now?.denied ?? 0 }),
        },
        { name: t('overview.latency'), ...usual(now?.duration, now?.duration_ms) },
        { name: t('overview.firstToken'), ...usual(now?.first_token, now?.first_token_ms) },
      ]}
    />
  );
}

function Course({ buckets, unit }: { buckets: Span[] | undefined; unit: 'hour' | 'day' }) {
  const { t } = useTranslation();
  const [what, setWhat] = useState<'use' | 'speed'>('use');
  const { times, series } = useMemo(() => {
    const values = (take: (it: Span) => number | null | undefined) =>
      buckets?.map((it) => take(it) ?? null) ?? [];
    const line = (
      name: string,
      kind: 'number' | 'duration',
      take: (it: Span) => number | null | undefined,
    ) => ({
      name,
      kind,
      shape: 'line' as const,
      values: values(take),
    });
    const use = [
      {
        name: t('usage.spend'),
        kind: 'money' as const,
        shape: 'bar' as const,
        values: values((it) => it.spend),
      },
      line(t('usage.requests'), 'number', (it) => it.requests),
      line(t('usage.failedName'), 'number', (it) => it.failed),
    ];
    const speed = [
      line(
        t('overview.half', { name: t('overview.latency') }),
        'duration',
        (it) => it.duration?.p50 ?? it.duration_ms,
      ),
      line(t('overview.nearlyAll', { name: t('overview.latency') }), 'duration', (it) => it.duration?.p95),
      line(
        t('overview.half', { name: t('overview.firstToken') }),
        'duration',
        (it) => it.first_token?.p50 ?? it.first_token_ms,
      ),
      line(
        t('overview.nearlyAll', { name: t('overview.firstToken') }),
        'duration',
        (it) => it.first_token?.p95,
      ),
    ].filter((it) => it.values.some((value) => value !== null));
    return { times: buckets?.map((it) => it.from) ?? [], series: what === 'use' ? use : speed };
  }, [buckets, what, t]);
  const title = t(what === 'use' ? 'overview.course' : 'overview.speed');
  return (
    <Panel
      title={title}
      extra={
        <Choice
          label={t('overview.what')}
          value={what}
          onChange={setWhat}
          options={[
            { value: 'use', label: t('overview.use') },
            { value: 'speed', label: t('overview.speedShort') },
          ]}
        />
      }
    >
      <Later height={CHART}>
        <Chart label={title} unit={unit} times={times} series={series} />
      </Later>
    </Panel>
  );
}
