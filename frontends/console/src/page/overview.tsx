import { useQuery } from '@tanstack/react-query';
import { Card, Segmented } from 'antd';
import { lazy, Suspense } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { api, type Schemas, take } from '../api/client';
import { usePreference } from '../app/preference';
import { may, useMe } from '../app/session';
import { usageReport } from '../part/chart_data';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { HealthTag } from '../part/health';
import { useName } from '../part/name';
import { Page } from '../part/page';
import { useFilter } from '../part/query';
import { Figures } from '../part/sums';
import { Meter, windowName } from '../part/use';

// The page's figures are there before the chart's library is.
const Chart = lazy(() => import('../part/chart'));

const DAY = 86_400_000;

export default function Overview() {
  const { t } = useTranslation();
  const format = useFormat();
  const me = useMe();
  const [filter, change] = useFilter();
  const { value: preference } = usePreference();
  const zone = preference.zone || Intl.DateTimeFormat().resolvedOptions().timeZone;
  const days = Number(filter.days ?? 7) || 7;
  const unit = days === 1 ? 'hour' : 'day';
  // Whole hours, so that what is asked stays the same for a while.
  const from = String(
    Math.floor((Date.now() - (days - 1) * DAY) / 3_600_000) * 3_600_000 - (days === 1 ? DAY - 3_600_000 : 0),
  );
  const report = (by: string) => ({
    ...usageReport({ by, from, granularity: unit, time_zone: zone, top: '6', compare: 'previous' }),
    refetchInterval: 30_000,
  });
  const models = useQuery(report('model'));
  const groups = useQuery({ ...report('group'), enabled: may(me, 'readAll') });
  const keys = useQuery(report('key'));
  const now = models.data?.total;
  const then = models.data?.previous;
  const against = (a: number | null | undefined, b: number | null | undefined) =>
    a != null && b ? t('overview.change', { share: format.percent((a - b) / b) }) : undefined;
  const time = (ms: number | null | undefined) => (ms == null ? '–' : format.duration(ms));
  const buckets = models.data?.buckets ?? [];
  return (
    <Page
      title={t('nav.overview')}
      note={t(me.role === 'user' && me.administers.length === 0 ? 'overview.own' : 'overview.all')}
      actions={
        <Segmented
          aria-label={t('overview.period')}
          value={String(days)}
          onChange={(value) => change({ days: value === '7' ? undefined : value })}
          options={['1', '7', '30', '90'].map((value) => ({
            value,
            label: value === '1' ? t('overview.today') : t('overview.days', { count: Number(value) }),
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
        <Card title={t('overview.course')}>
          <Suspense fallback={<div style={{ height: 280 }} />}>
            <Chart
              label={t('overview.course')}
              times={buckets.map((it) => it.from)}
              unit={unit}
              series={[
                {
                  name: t('usage.spend'),
                  kind: 'money',
                  shape: 'bar',
                  values: buckets.map((it) => it.spend),
                },
                {
                  name: t('usage.requests'),
                  kind: 'number',
                  shape: 'line',
                  values: buckets.map((it) => it.requests),
                },
              ]}
            />
          </Suspense>
        </Card>
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
    <Card title={t('overview.start')}>
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
    </Card>
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
    <Card title={props.title} size="small">
      {props.rows?.length === 0 && <span>{t('overview.none')}</span>}
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
    </Card>
  );
}

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
    <Card title={t('overview.budgets')}>
      <Failure error={query.error} />
      {query.data?.items.length === 0 && <span>{t('overview.noBudgets')}</span>}
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
    </Card>
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
    <Card title={t('overview.channels')} extra={<Link to="/channels">{t('nav.channels')}</Link>}>
      {query.data?.items.length === 0 && <span>{t('channel.empty')}</span>}
      {query.data?.items.slice(0, 8).map((it) => (
        <div key={it.id} className="row" style={{ justifyContent: 'space-between' }}>
          <Link to={`/channels/${encodeURIComponent(it.id)}`}>{it.name}</Link>
          <span className="num">
            {it.health?.latency_us ? format.duration(it.health.latency_us / 1000) : ''}{' '}
            <HealthTag channel={it} />
          </span>
        </div>
      ))}
    </Card>
  );
}
