// What a call cost: each kind of tokens times its price, the currency's rate, the caller's ratio, and what it comes to.

import { useQueries } from '@tanstack/react-query';
import { Table } from 'antd';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { costLines, isWhole, KINDS, type Line, type Lines } from './cost';
import { useFormat } from './format';

type Record = Schemas['Record'];
type Attempt = Schemas['Attempt'];

const STALE_MS = 60_000;

export function Costs({ record, channel }: { record: Record; channel: (id: string) => string }) {
  const { t } = useTranslation();
  const used = (record.attempts ?? []).filter((it) => KINDS.some((kind) => it.usage?.[kind]));
  const models = [...new Set(used.filter((it) => !isWhole(it)).map((it) => it.model))];
  const prices = useQueries({
    queries: models.map((model) => ({
      queryKey: ['prices', model],
      queryFn: () => take(api.GET('/api/v1/prices', { params: { query: { model, limit: '200' } } })),
      staleTime: STALE_MS,
    })),
  });
  if (used.length === 0) return <p>{t('request.noTokens')}</p>;
  if (prices.some((it) => it.isPending)) return null;
  return (
    <div className="stack">
      {used.map((it) => {
        const known = prices[models.indexOf(it.model)]?.data?.items ?? [];
        // Its own channel's first; who isn't told of channels has one price to go by.
        const own = known.filter((price) => price.channel === it.channel);
        const same = [...own, ...known].filter((price) => price.upstream === it.upstream_model);
        const lines = costLines(
          it,
          [...same, ...known].map((price) => price.price),
        );
        return (
          <div key={`${it.channel} ${it.started_at}`}>
            {used.length > 1 && <div className="quiet">{channel(it.channel)}</div>}
            <Cost attempt={it} found={lines} />
          </div>
        );
      })}
    </div>
  );
}

/** Without `found` only the amounts are known, and what was booked for all of them. */
function Cost({ attempt, found }: { attempt: Attempt; found: Lines | undefined }) {
  const { t } = useTranslation();
  const format = useFormat();
  const rows: Line[] =
    found?.lines ??
    KINDS.map((kind) => ({ kind, amount: attempt.usage?.[kind] ?? 0, rate: 0, pico: 0 })).filter(
      (it) => it.amount > 0,
    );
  const currency = found?.currency ?? 'USD';
  const number = { align: 'right' as const, className: 'num' };
  const token = (kind: Line['kind']) => kind !== 'searches' && kind !== 'units' && kind !== 'request';
  return (
    <Table<Line>
      aria-label={t('cost.title')}
      size="small"
      rowKey="kind"
      dataSource={rows}
      pagination={false}
      columns={[
        { title: t('cost.kind'), key: 'kind', render: (_, it) => t(`request.kind.${it.kind}`) },
        {
          title: t('cost.amount'),
          key: 'amount',
          ...number,
          render: (_, it) => (it.kind === 'request' ? '' : format.whole(it.amount)),
        },
        ...(found
          ? [
              {
                title: t('cost.price'),
                key: 'price',
                ...number,
                render: (_: unknown, it: Line) =>
                  token(it.kind)
                    ? t('cost.perMillion', { price: format.perMillion(it.rate, currency) })
                    : t('cost.each', { price: format.cash(it.rate / 1e12, currency) }),
              },
              {
                title: t('cost.is'),
                key: 'is',
                ...number,
                render: (_: unknown, it: Line) => format.cash(it.pico / 1e12, currency),
              },
            ]
          : []),
      ]}
      footer={() => <Sum attempt={attempt} found={found} />}
    />
  );
}

function Sum({ attempt, found }: { attempt: Attempt; found: Lines | undefined }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { cost = 0, spend = 0 } = attempt;
  const ratio = found?.ratio ?? (cost > 0 ? spend / cost : 1);
  const whole = (found?.lines ?? []).reduce((sum, it) => sum + it.pico, 0) / 1e12;
  const rows: [string, string][] = [];
  if (found && found.currency !== 'USD') {
    rows.push([t('cost.sum'), format.cash(whole, found.currency)]);
    rows.push([
      t('cost.rate', { currency: found.currency, rate: format.decimal(found.perUsd) }),
      format.cash(whole / found.perUsd, 'USD'),
    ]);
  }
  if (found?.region) rows.push([t('cost.region', { region: found.region.name }), `× ${found.region.ratio}`]);
  if (attempt.service_tier) rows.push([t('cost.tier'), attempt.service_tier]);
  rows.push([t('cost.list'), format.money(cost)]);
  if (Math.abs(ratio - 1) > 1e-6) {
    rows.push([t(ratio < 1 ? 'cost.discount' : 'cost.markup'), `× ${format.decimal(ratio)}`]);
  }
  rows.push([t('cost.paid'), format.money(spend)]);
  return (
    <>
      <dl className="sum">
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd className="num">{value}</dd>
          </div>
        ))}
      </dl>
      {!found && (
        <p className="quiet small">{t(attempt.priced === false ? 'cost.unpriced' : 'cost.changed')}</p>
      )}
    </>
  );
}
