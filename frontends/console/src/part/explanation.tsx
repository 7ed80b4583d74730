// Why a call went where it went, as a tree that people read: each model that was considered, and under it the channels,
// the limits that were asked, what policies said, and the attempts.

import { Tag, theme } from 'antd';
import type { TFunction } from 'i18next';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { type Formats, type Metric, useFormat } from './format';
import { windowName } from './use';

export type Reason = { step: string } & Record<string, unknown>;

type Said = { mark: '✓' | '✗' | '›'; text: ReactNode; more?: ReactNode };
type Branch = { title: Said | null; steps: Said[] };

export function Explanation({ reasons, channel }: { reasons: Reason[]; channel: (id: string) => string }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { token } = theme.useToken();
  const branches: Branch[] = [];
  for (const reason of reasons) {
    const said = say(t, format, channel, reason);
    if (reason.step === 'model') branches.push({ title: said, steps: [] });
    else {
      if (branches.length === 0) branches.push({ title: null, steps: [] });
      branches.at(-1)?.steps.push(said);
    }
  }
  const colour = { '✓': token.colorSuccess, '✗': token.colorError, '›': token.colorTextSecondary };
  const mark = (it: Said) => (
    <span className="mark" aria-hidden="true" style={{ color: colour[it.mark] }}>
      {it.mark}
    </span>
  );
  if (reasons.length === 0) return <p>{t('why.none')}</p>;
  return (
    <ol className="steps" aria-label={t('why.title')}>
      {branches.map((branch, index) => (
        <li key={index}>
          {branch.title ? (
            <>
              {mark(branch.title)}
              <strong>{branch.title.text}</strong>
            </>
          ) : (
            <strong>{t('why.before')}</strong>
          )}
          <ul className="steps">
            {branch.steps.map((step, at) => (
              <li key={at}>
                {mark(step)}
                {step.text}
                {step.more && <div style={{ color: token.colorTextSecondary }}>{step.more}</div>}
              </li>
            ))}
          </ul>
        </li>
      ))}
    </ol>
  );
}

const text = (value: unknown) =>
  typeof value === 'string' ? value : value == null ? '' : JSON.stringify(value);

function say(t: TFunction, format: Formats, channel: (id: string) => string, it: Reason): Said {
  const name = channel(text(it.channel));
  switch (it.step) {
    case 'alias':
      return { mark: '›', text: t('why.alias', { from: text(it.from), to: text(it.to) }) };
    case 'model':
      return {
        mark: '›',
        text: t(it.fallback ? 'why.fallback' : 'why.model', { model: text(it.model), number: it.fallback }),
      };
    case 'downgraded':
      return { mark: '›', text: t('why.downgraded', { from: text(it.from), to: text(it.to) }) };
    case 'skipped':
      return {
        mark: '✗',
        text: t('why.skipped', { model: text(it.model) }),
        more: t(`why.skip.${text(it.why)}`, text(it.why)),
      };
    case 'excluded':
      return {
        mark: '✗',
        text: t('why.excluded', { name }),
        more: t(`why.exclusion.${text(it.why)}`, text(it.why)),
      };
    case 'ranked':
      return {
        mark: '✓',
        text: t('why.ranked', { name }),
        more: [
          t('why.priority', { n: it.priority }),
          it.preference != null && t('why.preference', { n: Number(it.preference) + 1 }),
          score(t, format, text(it.by ?? 'weighted'), Number(it.score)),
          it.full === true && t('why.full'),
        ]
          .filter(Boolean)
          .join(' · '),
      };
    case 'seen':
      return {
        mark: '›',
        text: t('why.seen', { name }),
        more: t('why.seenMore', {
          latency: format.duration(Number(it.latency_us) / 1000),
          flight: it.in_flight,
          failures: it.failures,
        }),
      };
    case 'standing':
      return { mark: '›', text: t('why.standing', { hook: text(it.hook) }) };
    case 'prompt':
      return {
        mark: '›',
        text: t('why.prompt', { hook: text(it.hook), characters: format.whole(Number(it.characters)) }),
      };
    case 'policy':
      return {
        mark: '›',
        text: t('why.policy', { policy: text(it.policy), hook: text(it.hook ?? 'route') }),
        more: `${text(it.verdict)} · ${t('why.fuel', { fuel: format.whole(Number(it.fuel)) })}`,
      };
    case 'limit':
      return limit(t, format, it);
    case 'waited':
      return { mark: '›', text: t('why.waited', { time: format.duration(Number(it.ms)) }) };
    case 'ceiling':
      return {
        mark: '›',
        text: t('why.ceiling', { sent: format.whole(Number(it.sent)) }),
        more: [
          t(`why.ceilings.${text(it.why)}`, text(it.why)),
          it.asked != null && t('why.asked', { asked: format.whole(Number(it.asked)) }),
        ]
          .filter(Boolean)
          .join(' · '),
      };
    case 'attempt': {
      const outcome = text(it.outcome);
      return {
        mark: outcome === 'ok' ? '✓' : '✗',
        text: (
          <>
            {t('why.attempt', { name })}{' '}
            <Tag color={outcome === 'ok' ? 'success' : 'error'}>{t(`outcome.${outcome}`, outcome)}</Tag>
          </>
        ),
      };
    }
    default:
      // A newer gateway may give reasons that this console has no words for.
      return { mark: '›', text: it.step, more: JSON.stringify({ ...it, step: undefined }) };
  }
}

function score(t: TFunction, format: Formats, by: string, value: number): string {
  switch (by) {
    case 'least_busy':
      return t('why.byBusy', { n: format.whole(value) });
    case 'lowest_latency':
      return t('why.byLatency', { n: format.duration(value / 1000) });
    case 'lowest_cost':
      return t('why.byCost', { n: format.price(value) });
    case 'usage':
      return t('why.byUsage', { n: format.percent(value / 1e6) });
    case 'affinity':
      return t('why.byAffinity');
    default:
      return t('why.byWeight', { n: value });
  }
}

function limit(t: TFunction, format: Formats, it: Reason): Said {
  const metric = text(it.metric) as Metric;
  const amount = (value: unknown) => format.amount(metric, Number(value ?? 0));
  return {
    mark: it.ok ? '✓' : '✗',
    text: t(it.ok ? 'why.limitOk' : 'why.limitNo', {
      scope: t(`why.scope.${text(it.scope)}`, text(it.scope)),
      metric: t(`limit.metric.${metric}`),
      window: windowName(t, format, it.window as never),
    }),
    more: [
      t('why.limitMore', { used: amount(it.used), max: amount(it.max), asked: amount(it.asked) }),
      it.reserved ? t('limit.reserved', { amount: amount(it.reserved) }) : '',
      it.held ? t('limit.held', { amount: amount(it.held) }) : '',
      it.busy ? t('why.busy') : '',
      it.then ? t(`limit.word.${text(it.then)}`, text(it.then)) : '',
    ]
      .filter(Boolean)
      .join(' · '),
  };
}
