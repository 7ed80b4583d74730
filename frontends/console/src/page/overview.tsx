import { useQuery } from '@tanstack/react-query';
import { Card, Segmented } from 'antd';
import { lazy, Suspense } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { api, type Schemas, take } from '../api/client';
import { may, useMe } from '../app/session';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { HealthTag } from '../part/health';
import { Page } from '../part/page';
import { useFilter } from '../part/query';
import { Figures } from '../part/sums';
import { Meter, windowName } from '../part/use';

// The page's figures are there before the chart's library is.
const Chart = lazy(() => import('../part/chart'));

const DAY = 86_400_000;

type Row = Schemas['SpendRow'];

function sum(rows: Row[]): Schemas['Sums'] {
  const add = (name: keyof Schemas['Sums']) => rows.reduce((all, row) => all + (row[name] ?? 0), 0);
  return {
    requests: add('requests'),
    failures: add('failures'),
    attempts: add('attempts'),
    input_tokens: add('input_tokens'),
    output_tokens: add('output_tokens'),
    cache_read_tokens: add('cache_read_tokens'),
    cache_write_tokens: add('cache_write_tokens'),
    spend: add('spend'),
    cost: add('cost'),
  };
}

export default function Overview() {
  const { t } = useTranslation();
  const format = useFormat();
  const me = useMe();
  const [filter, change] = useFilter();
  const days = Number(filter.days ?? 7) || 7;
  const today = Math.floor(Date.now() / DAY) * DAY;
  const start = today - (days - 1) * DAY;
  const spend = (by: string, from: number, to?: number) => ({
    queryKey: ['spend', by, from, to],
    queryFn: () =>
      take(
        api.GET('/api/v1/spend', {
          params: { query: { by, from: String(from), limit: '1000', ...(to && { to: String(to) }) } },
        }),
      ),
    refetchInterval: 30_000,
  });
  const daily = useQuery(spend('day', start));
  const before = useQuery(spend('day', start - days * DAY, start));
  const models = useQuery(spend('model', start));
  const groups = useQuery(spend('group', start));
  const keys = useQuery(spend('key', start));
  const now = sum(daily.data?.items ?? []);
  const then = sum(before.data?.items ?? []);
  const change_ = (a: number, b: number) =>
    b > 0 ? t('overview.change', { share: format.percent((a - b) / b) }) : undefined;
  const rows = Array.from({ length: days }, (_, index) => {
    const at = start + index * DAY;
    const day = new Date(at).toISOString().slice(0, 10);
    const found = daily.data?.items.find((row) => row.by.day === day);
    return { at, spend: found?.spend ?? 0, requests: found?.requests ?? 0, failures: found?.failures ?? 0 };
  });
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
      <Failure error={daily.error} again={() => daily.refetch()} />
      <div className="stack">
        <Figures
          figures={[
            { name: t('usage.spend'), value: format.money(now.spend), more: change_(now.spend, then.spend) },
            {
              name: t('usage.requests'),
              value: format.short(now.requests),
              more: change_(now.requests, then.requests),
            },
            {
              name: t('usage.tokens'),
              value: format.short(now.input_tokens + now.output_tokens),
              more: change_(now.input_tokens + now.output_tokens, then.input_tokens + then.output_tokens),
            },
            {
              name: t('usage.failures'),
              value: format.short(now.failures),
              more: change_(now.failures, then.failures),
            },
          ]}
        />
        {now.requests === 0 && daily.isSuccess && <Start />}
        <Card title={t('overview.byDay')}>
          <Suspense fallback={<div style={{ height: 280 }} />}>
            <Chart
              label={t('overview.byDay')}
              times={rows.map((row) => row.at)}
              unit="day"
              series={[
                { name: t('usage.spend'), kind: 'money', shape: 'bar', values: rows.map((row) => row.spend) },
                {
                  name: t('usage.requests'),
                  kind: 'number',
                  shape: 'line',
                  values: rows.map((row) => row.requests),
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
            rows={models.data?.items}
            to={(id) => `/requests?model=${encodeURIComponent(id)}`}
          />
          {may(me, 'readAll') && (
            <Top
              title={t('overview.topGroups')}
              by="group"
              rows={groups.data?.items}
              to={(id) => `/groups/${encodeURIComponent(id)}`}
            />
          )}
          <Top
            title={t('overview.topKeys')}
            by="key"
            rows={keys.data?.items}
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

function Top(props: { title: string; by: string; rows: Row[] | undefined; to: (id: string) => string }) {
  const { t } = useTranslation();
  const format = useFormat();
  const rows = [...(props.rows ?? [])].sort((a, b) => (b.spend ?? 0) - (a.spend ?? 0)).slice(0, 6);
  return (
    <Card title={props.title} size="small">
      {rows.length === 0 && <span>{t('overview.none')}</span>}
      {rows.map((row) => {
        const id = row.by[props.by] ?? '';
        return (
          <div key={id} className="row" style={{ justifyContent: 'space-between', flexWrap: 'nowrap' }}>
            {id ? (
              <Link
                to={props.to(id)}
                style={{ overflow: 'hidden', textOverflow: 'ellipsis', whiteSpace: 'nowrap' }}
              >
                {id}
              </Link>
            ) : (
              <span>{t('overview.nobody')}</span>
            )}
            <span className="num">{format.money(row.spend ?? 0)}</span>
          </div>
        );
      })}
    </Card>
  );
}

/** The limits that are closest to their end, of groups and keys. */
function Budgets() {
  const { t } = useTranslation();
  const format = useFormat();
  const groups = useQuery({
    queryKey: ['groups', 'budgets'],
    queryFn: () => take(api.GET('/api/v1/groups', { params: { query: { limit: '200' } } })),
    refetchInterval: 30_000,
  });
  const keys = useQuery({
    queryKey: ['keys', 'budgets'],
    queryFn: () => take(api.GET('/api/v1/keys', { params: { query: { limit: '200' } } })),
    refetchInterval: 30_000,
  });
  const all = [
    ...(groups.data?.items ?? []).map((it) => ({
      to: `/groups/${encodeURIComponent(it.id)}`,
      name: it.alias ?? it.id,
      states: it.limit_states,
    })),
    ...(keys.data?.items ?? []).map((it) => ({
      to: `/keys/${encodeURIComponent(it.id)}`,
      name: it.alias ?? it.hint ?? it.id,
      states: it.limit_states,
    })),
  ];
  const share = (it: Schemas['LimitUse']) => (it.max > 0 ? (it.settled + it.reserved + it.held) / it.max : 1);
  const rows = all
    .flatMap(({ states, ...of }) => states.map((state) => ({ ...of, state })))
    .sort((a, b) => share(b.state) - share(a.state))
    .slice(0, 6);
  return (
    <Card title={t('overview.budgets')}>
      {rows.length === 0 && <span>{t('overview.noBudgets')}</span>}
      <div className="stack" style={{ gap: 10 }}>
        {rows.map(({ to, name, state }, index) => (
          <div key={index}>
            <div className="row" style={{ justifyContent: 'space-between' }}>
              <span style={{ overflowWrap: 'anywhere' }}>
                <Link to={to}>{name}</Link> {t(`limit.metric.${state.metric}`)}{' '}
                {windowName(t, format, state.window)}
              </span>
              <span className="num">
                {format.percent(share(state))}
                {state.resets_at != null && ` · ${t('limit.resets', { when: format.ago(state.resets_at) })}`}
              </span>
            </div>
            <Meter state={state} />
          </div>
        ))}
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
