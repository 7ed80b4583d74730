// A call's time: what the gateway decided, and each attempt, waiting for its first content and answering.

import { useTranslation } from 'react-i18next';
import type { Schemas } from '../api/client';
import { useFormat } from './format';

type Record = Schemas['Record'];
type Piece = { from: number; to: number; look: 'wait' | 'answer' | 'fail' | 'own' };
type Line = { name: string; said: string; pieces: Piece[] };

export function Waterfall({ record, channel }: { record: Record; channel: (id: string) => string }) {
  const { t } = useTranslation();
  const format = useFormat();
  const whole = Math.max(1, record.ended_at - record.started_at);
  const first = record.first_byte_at == null ? null : record.first_byte_at - record.started_at;
  const attempts = record.attempts ?? [];
  const begun = attempts[0]?.started_at;
  const before = begun == null ? whole : begun - record.started_at;
  const lines: Line[] = attempts.map((it, index) => {
    const from = (it.started_at ?? record.started_at) - record.started_at;
    const to = from + (it.duration_ms ?? 0);
    const good = it.outcome === 'ok';
    const split = good && first != null && first >= from && first <= to;
    return {
      name: `${index + 1}. ${channel(it.channel)}`,
      said: `${t(`outcome.${it.outcome}`, it.outcome)} · ${format.duration(it.duration_ms ?? 0)}`,
      pieces: split
        ? [
            { from, to: first, look: 'wait' },
            { from: first, to, look: 'answer' },
          ]
        : [{ from, to, look: good ? 'answer' : 'fail' }],
    };
  });
  // What it takes to decide is seldom seen beside what models take; waiting in line is.
  if (before >= whole / 100 && (attempts.length > 0 || whole > 1)) {
    const pieces: Piece[] = [{ from: 0, to: before, look: 'own' }];
    lines.unshift({ name: t('request.deciding'), said: format.duration(before), pieces });
  }
  const output = (record.usage?.output_visible ?? 0) + (record.usage?.output_reasoning ?? 0);
  const answering = first == null ? 0 : whole - first;
  const share = (ms: number) => `${Math.min(100, Math.max(0, (ms / whole) * 100))}%`;
  const drawn = lines.flatMap((it) => it.pieces).filter((it) => it.to > it.from);
  const shown = new Set(drawn.map((it) => it.look));
  return (
    <div className="stack" style={{ gap: 10 }}>
      <div className="row num" style={{ columnGap: 24 }}>
        <span>
          {t('request.whole')} <strong>{format.duration(record.ended_at - record.started_at)}</strong>
        </span>
        {first != null && (
          <span>
            {t('overview.firstToken')} <strong>{format.duration(first)}</strong>
          </span>
        )}
        {record.stream && output > 1 && answering >= 10 && (
          <span>
            {t('request.pace')}{' '}
            <strong>
              {t('request.paceIs', { n: format.short(Math.round(output / (answering / 1000))) })}
            </strong>
          </span>
        )}
      </div>
      {lines.map((line) => (
        <div key={line.name}>
          <div className="row" style={{ justifyContent: 'space-between', gap: 4 }}>
            <span>{line.name}</span>
            <span className="num quiet">{line.said}</span>
          </div>
          <div className="flow">
            {line.pieces.map((it) => (
              <span
                key={it.look}
                className={`flow-${it.look}`}
                title={`${t(`request.part.${it.look}`)}: ${format.duration(it.to - it.from)}`}
                style={{ left: share(it.from), width: share(it.to - it.from) }}
              />
            ))}
          </div>
        </div>
      ))}
      {drawn.length > 0 && (
        <div className="row num quiet small" aria-hidden="true" style={{ justifyContent: 'space-between' }}>
          <span>0</span>
          <span>{format.duration(whole / 2)}</span>
          <span>{format.duration(whole)}</span>
        </div>
      )}
      <div className="row small quiet" style={{ columnGap: 16 }}>
        {(['own', 'wait', 'answer', 'fail'] as const)
          .filter((it) => shown.has(it))
          .map((it) => (
            <span key={it} className="row" style={{ gap: 6 }}>
              <span className={`flow-key flow-${it}`} />
              {t(`request.part.${it}`)}
            </span>
          ))}
      </div>
    </div>
  );
}
