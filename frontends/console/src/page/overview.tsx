import { useQuery } from '@tanstack/react-query';
import { lazy, type ReactNode, Suspense, useEffect, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { api, type Schemas, take } from '../api/client';
import { usePreference } from '../app/preference';
import { zoneOf } from '../app/preferred';
import { may, useMe } from '../app/session';
import { usageReport } from '../part/chart_data';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { HealthTag } from '../part/health';
import { useName } from '../part/name';
import { daysOf, PERIODS, usageQuestion } from '../part/overview_question';
import { Page } from '../part/page';
import { Choice, Nothing, Panel } from '../part/plain';
import { useFilter } from '../part/query';
import { Figures } from '../part/sums';
import { Meter, windowName } from '../part/use';

const Chart = lazy(() => import('../part/chart'));

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
  const format = useFormat();
  const me = useMe();
  const [filter, change] = useFilter();
  const { value: preference } = usePreference();
  const days = daysOf(filter.days);
  const unit = days === 1 ? 'hour' : 'day';
  const zone = zoneOf(preference);
  const report = (by: string) => ({ ...usageReport(usageQuestion(by, days, zone)), refetchInterval: 30_000 });
  const models = useQuery(report('model'));
  const groups = useQuery({ ...report('group'), enabled: may(me, 'readAll') });
  const keys = useQuery(report('key'));
  const now = models.data?.total;
  const then = models.data?.previous;
  const against = (a: number | null | undefined, b: number | null | undefined) =>
    a != null && b ? t('overview.change', { share: format.percent((a - b) / b) }) : undefined;
  const time = (ms: number | null | undefined) => (ms == null ? '–' : format.duration(ms));
  const buckets = models.data?.buckets;
  const course = useMemo(
    () => ({
      times: buckets?.map((it) => it.from) ?? [],
      series: [
        {
          name: t('usage.spend'),
          kind: 'money' as const,
          shape: 'bar' as const,
          values: buckets?.map((it) => it.spend) ?? [],
        },
        {
          name: t('usage.requests'),
          kind: 'number' as const,
          shape: 'line' as const,
          values: buckets?.map((it) => it.requests) ?? [],
        },
      ],
    }),
    [buckets, t],
  );
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
      <Failure error={models.error} again={() => models.refetch()} />
      <div className="stack">
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
            {
              name: t('usage.latency'),
              value: time(now?.duration_ms),
              more: against(now?.duration_ms, then?.duration_ms),
            },
            {
              name: t('usage.firstToken'),
              value: time(now?.first_token_ms),
              more: against(now?.first_token_ms, then?.first_token_ms),
            },
          ]}
        />
        {now?.requests === 0 && <Start />}
        <Panel title={t('overview.course')}>
          <Later height={CHART}>
            <Chart label={t('overview.course')} unit={unit} {...course} />
          </Later>
        </Panel>
        <div className="grid-wide">
          <Budgets />
          {may(me, 'super') && <Channels />}
        </div>
        <div className="grid">
          <Top
            title={t('overview.topModels')}
            by="model"
            rows={models.data?.rows}
            to={(id) => `/requests?model=${encodeURIComponent(id)}`}
          />
          {may(me, 'readAll') && (
            <Top
              title={t('overview.topGroups')}
              by="group"
              rows={groups.data?.rows}
              to={(id) => `/groups/${encodeURIComponent(id)}`}
            />
          )}
          <Top
            title={t('overview.topKeys')}
            by="key"
            rows={keys.data?.rows}
            to={(id) => `/keys/${encodeURIComponent(id)}`}
          />
        </div>
      </div>
    </Page>
  );
}

/** What to do where nothing has been called yet. */
function Start() {
  const { t } = useTranslation();
  const me = useMe();
  return (
    <Panel title={t('overview.start')}>
      <ol style={{ margin: 0, paddingInlineStart: 20, lineHeight: 2 }}>
        {may(me, 'super') && (
          <li>
            <Link to="/channels?create=1">{t('overview.startChannel')}</Link>
          </li>
        )}
        {may(me, 'organization') && (
          <li>
            <Link to="/groups?create=1">{t('overview.startGroup')}</Link>
          </li>
        )}
        {may(me, 'write') && (
          <li>
            <Link to="/keys?create=1">{t('overview.startKey')}</Link>
          </li>
        )}
      </ol>
    </Panel>
  );
}

function Top(props: {
  title: string;
  by: string;
  rows: Schemas['UsageRow'][] | undefined;
  to: (id: string) => string;
}) {
  const { t } = useTranslation();
  const named = useName(props.by === 'group' ? 'groups' : 'keys');
  const name = props.by === 'model' ? (id: string) => id : named;
  const format = useFormat();
  return (
    <Panel title={props.title} small>
      {props.rows?.length === 0 && <Nothing>{t('overview.none')}</Nothing>}
      {props.rows?.map((row) => {
        const id = row.by[props.by] ?? '';
        return (
          <div key={id} className="row" style={{ justifyContent: 'space-between', flexWrap: 'nowrap' }}>
            {id ? (
              <Link to={props.to(id)} className="cut">
                {name(id)}
              </Link>
            ) : (
              <span>{t('overview.nobody')}</span>
            )}
            <span className="num">{format.money(row.total.spend)}</span>
          </div>
        );
      })}
    </Panel>
  );
}

/** A chart with the line of buttons above it. */
const CHART = 312;

const PLACE: Record<string, string> = {
  key: 'keys',
  group: 'groups',
  user: 'users',
  organization: 'organizations',
  channel: 'channels',
};

/** The limits that are closest to their end. */
function Budgets() {
  const { t } = useTranslation();
  const format = useFormat();
  const query = useQuery({
    queryKey: ['limits', 'fullest'],
    queryFn: () => take(api.GET('/api/v1/limits', { params: { query: { limit: '6' } } })),
    refetchInterval: 30_000,
  });
  return (
    <Panel title={t('overview.budgets')}>
      <Failure error={query.error} />
      {query.data?.items.length === 0 && <Nothing>{t('overview.noBudgets')}</Nothing>}
      <div className="stack" style={{ gap: 10 }}>
        {query.data?.items.map((it, index) => {
          const place =
            it.scope === 'membership'
              ? `/groups/${encodeURIComponent(it.group ?? '')}`
              : PLACE[it.scope] && `/${PLACE[it.scope]}/${encodeURIComponent(it.id)}`;
          const name = it.name || it.id || t(`why.scope.${it.scope}`);
          return (
            <div key={index}>
              <div className="row" style={{ justifyContent: 'space-between' }}>
                <span style={{ overflowWrap: 'anywhere' }}>
                  {place ? <Link to={place}>{name}</Link> : name} {t(`limit.metric.${it.metric}`)}{' '}
                  {windowName(t, format, it.window)}
                </span>
                <span className="num">
                  {format.percent(it.used_ppm / 1e6)}
                  {it.resets_at != null && ` · ${t('limit.resets', { when: format.ago(it.resets_at) })}`}
                </span>
              </div>
              <Meter state={it} />
            </div>
          );
        })}
      </div>
    </Panel>
  );
}

function Channels() {
  const { t } = useTranslation();
  const format = useFormat();
  const query = useQuery({
    queryKey: ['channels'],
    queryFn: () => take(api.GET('/api/v1/channels')),
    refetchInterval: 5_000,
  });
  return (
    <Panel title={t('overview.channels')} extra={<Link to="/channels">{t('nav.channels')}</Link>}>
      {query.data?.items.length === 0 && <Nothing>{t('channel.empty')}</Nothing>}
      {query.data?.items.slice(0, 8).map((it) => (
        <div key={it.id} className="row" style={{ justifyContent: 'space-between' }}>
          <Link to={`/channels/${encodeURIComponent(it.id)}`}>{it.name}</Link>
          <span className="num">
            {it.health?.latency_us ? format.duration(it.health.latency_us / 1000) : ''}{' '}
            <HealthTag channel={it} />
          </span>
        </div>
      ))}
    </Panel>
  );
}
