import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schemas } from '../api/client';
import { useFormat } from './format';
import { Panel } from './plain';

export function Figures({ figures }: { figures: { name: string; value: string; more?: ReactNode }[] }) {
  return (
    <div className="grid figures">
      {figures.map((it) => (
        <Panel key={it.name} small>
          <div className="quiet">{it.name}</div>
          <div className="figure num">{it.value}</div>
          {it.more && <div style={{ fontSize: 13 }}>{it.more}</div>}
        </Panel>
      ))}
    </div>
  );
}

/** What was used, in all. */
export function Sums({ sums }: { sums: Schemas['Sums'] }) {
  const { t } = useTranslation();
  const format = useFormat();
  return (
    <Figures
      figures={[
        { name: t('usage.spend'), value: format.money(sums.spend) },
        {
          name: t('usage.requests'),
          value: format.short(sums.requests),
          more: [
            t('usage.failed', { count: sums.failures - sums.denials }),
            t('overview.denied', { count: sums.denials }),
          ].join(' · '),
        },
        {
          name: t('usage.inputTokens'),
          value: format.short(sums.input_tokens),
          more: t('usage.cached', { amount: format.short(sums.cache_read_tokens) }),
        },
        { name: t('usage.outputTokens'), value: format.short(sums.output_tokens) },
      ]}
    />
  );
}

/** Attempts at a channel that came to nothing: each call that ended well at it had one that didn't. */
export function lost(sums: Schemas['Sums']): number {
  return Math.max(0, sums.attempts - (sums.calls - sums.failures));
}

/** A channel's attempts, and how many of them came to nothing. */
export function Tried({ sums }: { sums: Schemas['Sums'] | undefined }) {
  const { t } = useTranslation();
  const format = useFormat();
  if (!sums?.attempts) return <span>–</span>;
  const share = lost(sums) / sums.attempts;
  const tone = share >= 0.5 ? 'mark-bad' : share >= 0.05 ? 'mark-warn' : 'quiet';
  return (
    <span>
      {format.short(sums.attempts)}
      <span className={`small ${tone}`} style={{ display: 'block', whiteSpace: 'nowrap' }}>
        {t('channel.lost', { share: format.percent(share) })}
      </span>
    </span>
  );
}
