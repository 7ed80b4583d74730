// What stands on the overview beside its figures: limits that come to their end, channels, and who used the most.

import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { api, type Schemas, take } from '../api/client';
import { Burn, Pace } from '../part/burn';
import type { Budget } from '../part/burn_data';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { HealthTag } from '../part/health';
import { latencyWords } from '../part/latency';
import { budgetQuestion } from '../part/overview_question';
import { Nothing, Panel } from '../part/plain';
import { Meter, windowName } from '../part/use';

const PLACE: Record<string, string> = {
  key: 'keys',
  group: 'groups',
  user: 'users',
  organization: 'organizations',
  channel: 'channels',
};

function placeOf(it: Budget): string | undefined {
  if (it.scope === 'membership') return `/groups/${encodeURIComponent(it.group ?? '')}`;
  return PLACE[it.scope] && `/${PLACE[it.scope]}/${encodeURIComponent(it.id)}`;
}

/** The limits that are closest to their end, and when they will be there at their pace. */
export function Budgets() {
  const { t } = useTranslation();
  const format = useFormat();
  const query = useQuery({
    queryKey: ['limits', 'course', budgetQuestion],
    queryFn: () => take(api.GET('/api/v1/reports/budgets', { params: { query: budgetQuestion } })),
    refetchInterval: 30_000,
  });
  return (
    <Panel title={t('overview.budgets')}>
      <Failure error={query.error} again={() => query.refetch()} />
      {query.data?.items.length === 0 && <Nothing>{t('overview.noBudgets')}</Nothing>}
      <div className="stack">
        {query.data?.items.map((it, index) => {
          const place = placeOf(it);
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
              <Burn budget={it} height={28} />
              <Meter state={it} />
              <div className="quiet small">
                <Pace budget={it} />
              </div>
            </div>
          );
        })}
      </div>
    </Panel>
  );
}

/** Those that aren't well come first. */
export function Channels({ channels }: { channels: Schemas['ChannelStanding'][] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const ill = channels.filter((it) => it.state === 'broken' || it.state === 'benched').length;
  return (
    <Panel
      title={t('overview.channels')}
      extra={
        <span className="row">
          {ill > 0 && <span className="mark-bad">{t('overview.ill', { count: ill })}</span>}
          <Link to="/channels">{t('nav.channels')}</Link>
        </span>
      }
    >
      {channels.length === 0 && <Nothing>{t('channel.empty')}</Nothing>}
      <div className="stack" style={{ gap: 8 }}>
        {channels.slice(0, 10).map((it) => (
          <div key={it.id} className="row" style={{ justifyContent: 'space-between', flexWrap: 'nowrap' }}>
            <Link to={`/channels/${encodeURIComponent(it.id)}`} className="cut">
              {it.name}
            </Link>
            <span className="num row" style={{ flex: 'none' }}>
              {it.total.requests > 0 && (
                <span className="hide-small">
                  {t('overview.calls', { count: it.total.requests, amount: format.short(it.total.requests) })}
                </span>
              )}
              <span className="hide-small">{latencyWords(format, it.latency)}</span>
              <HealthTag channel={{ enabled: it.state !== 'off', health: it.health ?? undefined }} />
            </span>
          </div>
        ))}
      </div>
    </Panel>
  );
}

/** By how much something is more or less than in the time before, in words. */
export function useAgainst() {
  const { t } = useTranslation();
  const format = useFormat();
  return (now: number | null | undefined, was: number | null | undefined) => {
    const share = format.change(now, was);
    return share && t('overview.change', { share });
  };
}

export function Top(props: { title: string; rows: Schemas['TopRow'][] | undefined; to: string }) {
  const { t } = useTranslation();
  const format = useFormat();
  const against = useAgainst();
  const most = Math.max(...(props.rows ?? []).map((it) => it.total.spend), 1);
  return (
    <Panel title={props.title} small>
      {props.rows?.length === 0 && <Nothing>{t('overview.none')}</Nothing>}
      {props.rows?.map((it) => (
        <div key={it.id} className="top-row">
          <div className="row" style={{ justifyContent: 'space-between', flexWrap: 'nowrap' }}>
            {it.id ? (
              <Link to={`${props.to}${encodeURIComponent(it.id)}`} className="cut">
                {it.name || it.id}
              </Link>
            ) : (
              <span>{t('overview.nobody')}</span>
            )}
            <span className="num">{format.money(it.total.spend)}</span>
          </div>
          <div className="share" aria-hidden="true">
            <span style={{ width: `${(it.total.spend / most) * 100}%` }} />
          </div>
          <div className="quiet small num">
            {[
              t('overview.calls', { count: it.total.requests, amount: format.short(it.total.requests) }),
              against(it.total.spend, it.previous.spend),
            ]
              .filter(Boolean)
              .join(' · ')}
          </div>
        </div>
      ))}
    </Panel>
  );
}
