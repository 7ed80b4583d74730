// How a limit stands: used, reserved by calls under way, held, and left.

import { useQuery } from '@tanstack/react-query';
import type { TFunction } from 'i18next';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { Burn, Pace } from './burn';
import { limitKey } from './burn_data';
import { type Formats, useFormat } from './format';
import { Nothing, Tag } from './plain';

type LimitUse = Schemas['LimitUse'];

export function windowName(t: TFunction, format: Formats, window: LimitUse['window']): string {
  if (typeof window === 'object') return t('limit.rolling', { length: format.duration(window.rolling_ms) });
  return t(`limit.window.${window}`);
}

export function Meter({ state }: { state: LimitUse }) {
  const { t } = useTranslation();
  const format = useFormat();
  const share = (n: number) => (state.max > 0 ? Math.min(100, (n / state.max) * 100) : 0);
  const used = state.settled + state.reserved + state.held;
  const full = state.max > 0 ? used / state.max : 1;
  const colour = full >= 1 ? 'var(--bad)' : full >= 0.8 ? 'var(--warn)' : 'var(--main)';
  const say = (n: number) => format.amount(state.metric, n);
  const parts = [
    t('limit.used', { amount: say(state.settled) }),
    t('limit.reserved', { amount: say(state.reserved) }),
    t('limit.held', { amount: say(state.held) }),
    t('limit.left', { amount: say(state.remaining) }),
  ];
  return (
    <div
      className="meter"
      role="meter"
      aria-valuemin={0}
      aria-valuemax={state.max}
      aria-valuenow={Math.min(used, state.max)}
      aria-valuetext={parts.join(', ')}
      aria-label={t(`limit.metric.${state.metric}`)}
      title={parts.join(' · ')}
    >
      <span style={{ width: `${share(state.settled)}%`, background: colour }} />
      <span style={{ width: `${share(state.reserved)}%`, background: colour, opacity: 0.55 }} />
      <span style={{ width: `${share(state.held)}%`, background: 'var(--faint)' }} />
    </div>
  );
}

type Of = { scope: Schemas['Budget']['scope']; id: string };

/** How each of somebody's limits stands, how it came there, and where it leads. */
export function LimitStates({ states, empty, of }: { states: LimitUse[]; empty: string; of: Of }) {
  const { t } = useTranslation();
  const format = useFormat();
  const budgets = useQuery({
    queryKey: ['limits', 'course', of],
    queryFn: () => take(api.GET('/api/v1/reports/budgets', { params: { query: { ...of, limit: '100' } } })),
    enabled: states.length > 0,
    refetchInterval: 30_000,
  });
  if (states.length === 0) return <Nothing>{empty}</Nothing>;
  const courses = new Map(budgets.data?.items.map((it) => [limitKey(it), it]));
  return (
    <div className="stack">
      {states.map((state) => {
        const budget = courses.get(limitKey(state));
        return (
          <div key={limitKey(state)}>
            <div className="row" style={{ justifyContent: 'space-between' }}>
              <span>
                <strong>{t(`limit.metric.${state.metric}`)}</strong> {windowName(t, format, state.window)}{' '}
                {state.model && <Tag>{state.model}</Tag>}
                {state.mode !== 'strict' && <Tag>{t(`limit.mode.${state.mode}`)}</Tag>}
              </span>
              <span className="num">
                {format.amount(state.metric, state.settled)}
                {' / '}
                {format.amount(state.metric, state.max)}
              </span>
            </div>
            {budget ? (
              <Burn budget={budget} height={56} />
            ) : (
              budgets.isPending && <div style={{ height: 56 }} />
            )}
            <Meter state={state} />
            <div className="row num quiet small">
              {state.reserved > 0 && (
                <span>{t('limit.reserved', { amount: format.amount(state.metric, state.reserved) })}</span>
              )}
              {state.held > 0 && (
                <span>{t('limit.held', { amount: format.amount(state.metric, state.held) })}</span>
              )}
              <span>{t('limit.left', { amount: format.amount(state.metric, state.remaining) })}</span>
              {state.resets_at != null && (
                <span title={format.time(state.resets_at)}>
                  {t('limit.resets', { when: format.ago(state.resets_at) })}
                </span>
              )}
              {budget && <Pace budget={budget} />}
            </div>
          </div>
        );
      })}
    </div>
  );
}

/** The fullest limit, for a row of a table. */
export function Fullest({ states }: { states: LimitUse[] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const share = (it: LimitUse) => (it.max > 0 ? (it.settled + it.reserved + it.held) / it.max : 1);
  const worst = [...states].sort((a, b) => share(b) - share(a))[0];
  if (!worst) return <span>{t('limit.none')}</span>;
  return (
    <div style={{ minWidth: 100 }}>
      <div className="num" style={{ fontSize: 12 }}>
        <span className="piece">{t(`limit.metric.${worst.metric}`)}</span>{' '}
        <span className="piece">{windowName(t, format, worst.window)}</span>{' '}
        <span className="piece">{format.percent(share(worst))}</span>
      </div>
      <Meter state={worst} />
    </div>
  );
}
