// A call's attempts along its time.

import { theme } from 'antd';
import { useTranslation } from 'react-i18next';
import type { Schemas } from '../api/client';
import { useFormat } from './format';

type Record = Schemas['Record'];

export function Waterfall({ record, channel }: { record: Record; channel: (id: string) => string }) {
  const { t } = useTranslation();
  const { token } = theme.useToken();
  const format = useFormat();
  const whole = Math.max(1, record.ended_at - record.started_at);
  const share = (ms: number) => `${Math.min(100, Math.max(0, (ms / whole) * 100))}%`;
  const rows = (record.attempts ?? []).map((it, index) => ({
    name: channel(it.channel),
    from: (it.started_at ?? record.started_at) - record.started_at,
    length: it.duration_ms ?? 0,
    ok: it.outcome === 'ok',
    outcome: it.outcome,
    index,
  }));
  const first = record.first_byte_at == null ? null : record.first_byte_at - record.started_at;
  return (
    <div className="stack" style={{ gap: 10 }}>
      <div>
        <div className="row" style={{ justifyContent: 'space-between' }}>
          <span>{t('request.whole')}</span>
          <span className="num">{format.duration(record.ended_at - record.started_at)}</span>
        </div>
        <div className="flow" style={{ background: token.colorFillSecondary }}>
          <span style={{ left: 0, width: '100%', background: token.colorPrimary, opacity: 0.35 }} />
          {first != null && (
            <span
              title={t('request.first', { time: format.duration(first) })}
              style={{ left: share(first), width: 2, background: token.colorText }}
            />
          )}
        </div>
        {first != null && (
          <small className="num">{t('request.first', { time: format.duration(first) })}</small>
        )}
      </div>
      {rows.map((row) => (
        <div key={row.index}>
          <div className="row" style={{ justifyContent: 'space-between' }}>
            <span>
              {row.index + 1}. {row.name}
            </span>
            <span className="num">
              {t(`outcome.${row.outcome}`, row.outcome)} · {format.duration(row.length)}
            </span>
          </div>
          <div className="flow" style={{ background: token.colorFillSecondary }}>
            <span
              style={{
                left: share(row.from),
                width: share(row.length),
                background: row.ok ? token.colorSuccess : token.colorError,
              }}
            />
          </div>
        </div>
      ))}
    </div>
  );
}
