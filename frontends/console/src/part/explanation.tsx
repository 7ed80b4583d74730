// Why a call went where it went, as a tree: each model that was considered, and under it what policies said, the channels in their
// order and those that were out, the limits that were asked, and the attempts.

import type { TFunction } from 'i18next';
import { type ReactNode, useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { type Formats, type Metric, useFormat } from './format';
import { Tag } from './plain';
import { useTold } from './said';
import { windowName } from './use';
import { type Caller, useWhose, type Whose } from './whose';

export type Reason = { step: string } & Record<string, unknown>;

type Mark = '✓' | '✗' | '›' | number;
export type Said = { mark: Mark; text: ReactNode; more?: ReactNode; meter?: Room };
type Room = { used: number; asked: number; max: number };
/** Steps of one kind that follow each other. */
export type Part = { kind: 'candidates' | 'limits' | 'step'; steps: Reason[] };
export type Branch = { model: Reason | null; parts: Part[] };

const KIND: Record<string, Part['kind']> = {
  ranked: 'candidates',
  excluded: 'candidates',
  limit: 'limits',
};

/** The reasons as a tree. They come in the order in which they were decided. */
export function branches(reasons: Reason[]): Branch[] {
  const found: Branch[] = [];
  for (const reason of reasons) {
    if (reason.step === 'model') {
      found.push({ model: reason, parts: [] });
      continue;
    }
    if (found.length === 0) found.push({ model: null, parts: [] });
    const parts = found.at(-1)?.parts ?? [];
    const kind = KIND[reason.step] ?? 'step';
    const last = parts.at(-1);
    if (last?.kind === kind && kind !== 'step') last.steps.push(reason);
    else parts.push({ kind, steps: [reason] });
  }
  return found;
}

type Words = {
  t: TFunction;
  format: Formats;
  channel: (id: string) => string;
  whose: (scope: string) => Whose | undefined;
  said: (text: string) => string;
};

type Props = { reasons: Reason[]; channel: (id: string) => string; caller?: Caller };

export function Explanation({ reasons, channel, caller }: Props) {
  const { t } = useTranslation();
  const format = useFormat();
  const whose = useWhose(caller);
  const said = useTold();
  const tree = useMemo(() => branches(reasons), [reasons]);
  if (reasons.length === 0) return <p>{t('why.none')}</p>;
  const words = { t, format, channel, whose, said };
  return (
    <ol className="tree" aria-label={t('why.title')}>
      {tree.map((branch, index) => (
        <li key={index}>
          <div className="tree-model">{branch.model ? say(words, branch.model).text : t('why.before')}</div>
          <ul>
            {branch.parts.map((part, at) => (
              <PartOf key={at} part={part} words={words} />
            ))}
          </ul>
        </li>
      ))}
    </ol>
  );
}

function PartOf({ part, words }: { part: Part; words: Words }) {
  const { t } = words;
  const said = ordered(part.steps.map((it) => say(words, it)));
  if (part.kind === 'step' || said.length === 1) return said.map((it, at) => <Leaf key={at} said={it} />);
  const leaves = (
    <ul>
      {said.map((it, at) => (
        <Leaf key={at} said={it} />
      ))}
    </ul>
  );
  // What all went well is only a line, unless somebody wants to see it.
  if (part.kind === 'limits' && said.every((it) => it.mark === '✓')) {
    return (
      <li>
        <Sign mark="✓" />
        <details>
          <summary>{t('why.allRoom', { count: said.length })}</summary>
          {leaves}
        </details>
      </li>
    );
  }
  return (
    <li>
      <Sign mark="›" />
      {t(`why.part.${part.kind}`)}
      {leaves}
    </li>
  );
}

/** Candidates are counted in the order in which they were to be tried. */
function ordered(said: Said[]): Said[] {
  let place = 0;
  return said.map((it) => (it.mark === 0 ? { ...it, mark: ++place } : it));
}

const TONE: Record<string, string> = { '✓': 'mark-good', '✗': 'mark-bad', '›': 'quiet' };

function Sign({ mark }: { mark: Mark }) {
  return (
    <span className={`mark ${TONE[mark] ?? 'mark-place'}`} aria-hidden={typeof mark === 'string'}>
      {mark}
    </span>
  );
}

function Leaf({ said }: { said: Said }) {
  return (
    <li>
      <Sign mark={said.mark} />
      {said.text}
      {said.more && <div className="quiet small">{said.more}</div>}
      {said.meter && <Asked room={said.meter} />}
    </li>
  );
}

/** What was used of a limit, and what the call asked on top of it. */
function Asked({ room: { used, asked, max } }: { room: Room }) {
  if (!(max > 0)) return null;
  // Asked beyond the limit is drawn beyond its mark.
  const all = Math.max(max, used + asked);
  const share = (n: number) => `${(n / all) * 100}%`;
  return (
    <div className="asked" aria-hidden="true">
      <span style={{ width: share(used), background: 'var(--main)' }} />
      <span style={{ width: share(asked), background: used + asked > max ? 'var(--bad)' : 'var(--good)' }} />
      <i style={{ left: share(max) }} />
    </div>
  );
}

const text = (value: unknown) =>
  typeof value === 'string' ? value : value == null ? '' : JSON.stringify(value);

function say(words: Words, it: Reason): Said {
  const { t, format, channel, said } = words;
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
        mark: 0,
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
        more: `${said(text(it.verdict))} · ${t('why.fuel', { fuel: format.whole(Number(it.fuel)) })}`,
      };
    case 'limit':
      return limit(words, it);
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
            <Tag tone={outcome === 'ok' ? 'good' : 'bad'}>{t(`outcome.${outcome}`, outcome)}</Tag>
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

/** How a limit stood when it was asked, in figures; nothing where those aren't the reader's to see. */
export function figures(t: TFunction, format: Formats, it: Reason): string | undefined {
  if (it.max == null) return undefined;
  const metric = text(it.metric) as Metric;
  const amount = (value: unknown) => format.amount(metric, Number(value ?? 0));
  return [
    t('why.limitMore', { used: amount(it.used), max: amount(it.max), asked: amount(it.asked) }),
    it.reserved ? t('limit.reserved', { amount: amount(it.reserved) }) : '',
    it.held ? t('limit.held', { amount: amount(it.held) }) : '',
    it.busy ? t('why.busy') : '',
    it.then ? t(`limit.word.${text(it.then)}`, text(it.then)) : '',
  ]
    .filter(Boolean)
    .join(' · ');
}

function limit({ t, format, whose }: Words, it: Reason): Said {
  const found = whose(text(it.scope));
  const words = t(it.ok ? 'why.limitOk' : 'why.limitNo', {
    metric: t(`limit.metric.${text(it.metric)}`),
    window: windowName(t, format, it.window as never),
  });
  return {
    mark: it.ok ? '✓' : '✗',
    text: (
      <>
        {t(`why.scope.${text(it.scope)}`, text(it.scope))}
        {found && ' '}
        {found && (found.to ? <Link to={found.to}>{found.name}</Link> : found.name)}
        {t('why.colon')}
        {words}
      </>
    ),
    more: figures(t, format, it),
    meter:
      it.max == null
        ? undefined
        : { used: Number(it.used ?? 0), asked: Number(it.asked ?? 0), max: Number(it.max) },
  };
}
