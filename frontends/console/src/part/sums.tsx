import { Card, Statistic } from 'antd';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schemas } from '../api/client';
import { useFormat } from './format';

export function Figures({ figures }: { figures: { name: string; value: string; more?: ReactNode }[] }) {
  return (
    <div className="grid figures">
      {figures.map((it) => (
        <Card key={it.name} size="small">
          <Statistic
            title={it.name}
            value={it.value}
            formatter={() => <span className="num">{it.value}</span>}
          />
          {it.more && <div style={{ fontSize: 13 }}>{it.more}</div>}
        </Card>
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
          more: t('usage.failed', { count: sums.failures }),
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
