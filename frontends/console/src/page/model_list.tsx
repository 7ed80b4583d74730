// Models that can be asked for: who serves them, what follows when they fail, and what they cost.

import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Select, Skeleton, Table, Tag } from 'antd';
import { Fragment, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { api, type Schemas, take } from '../api/client';
import { may, useMe } from '../app/session';
import { GroupNames } from '../part/badge';
import { currencyOf } from '../part/cost';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { List, Search } from '../part/list';
import { Page } from '../part/page';
import { PriceMore } from '../part/price_more';
import { csvOf, paging, useFilter } from '../part/query';
import { useRate } from '../part/rate';

type Model = Schemas['Model'];

export default function ModelList() {
  const { t } = useTranslation();
  const format = useFormat();
  const makes = may(useMe(), 'super');
  const [filter, change] = useFilter();
  const query = {
    ...paging(filter),
    ...(filter.search && { search: filter.search }),
    ...(filter.priced && { priced: filter.priced }),
  };
  const models = useQuery({
    queryKey: ['models', query],
    queryFn: () => take(api.GET('/api/v1/models', { params: { query } })),
    placeholderData: keepPreviousData,
  });
  const rate = useRate();
  return (
    <Page
      title={t('nav.models')}
      note={t('model.what')}
      actions={
        <>
          <Search label={t('model.search')} />
          <Select
            allowClear
            aria-label={t('model.priced')}
            placeholder={t('model.priced')}
            style={{ width: 150 }}
            value={filter.priced}
            onChange={(priced) => change({ priced })}
            options={['true', 'false'].map((value) => ({ value, label: t(`model.is.${value}`) }))}
          />
        </>
      }
    >
      <List<Model>
        name={t('nav.models')}
        table="models"
        rowKey={(it) => it.name}
        data={models.data}
        error={models.error}
        loading={models.isFetching && !models.data}
        again={() => models.refetch()}
        file={csvOf('models', query)}
        empty={t(makes ? 'model.empty' : 'model.emptyRead')}
        next={makes ? { words: t('nav.channels'), to: '/channels' } : undefined}
        expand={{
          title: t('audit.detail'),
          row: (it) => <Detail model={it} />,
        }}
        columns={[
          {
            title: t('request.model'),
            key: 'name',
            render: (_, it) => (
              <>
                <span className="called">{it.name}</span>{' '}
                {it.alias_of && <Tag>{t('model.alias', { of: it.alias_of })}</Tag>}
                {!it.priced && <Tag color="warning">{t('price.unpriced')}</Tag>}
              </>
            ),
          },
          {
            title: t('nav.channels'),
            key: 'channels',
            align: 'right',
            className: 'num',
            render: (_, it) => it.enabled_channels,
          },
          { title: t('model.strategy'), key: 'strategy', render: (_, it) => t(`model.by.${it.strategy}`) },
          {
            title: t('price.input'),
            key: 'in',
            align: 'right',
            className: 'num',
            render: (_, it) => rate(it.price, 'input'),
          },
          {
            title: t('price.output'),
            key: 'out',
            align: 'right',
            className: 'num',
            render: (_, it) => rate(it.price, 'output'),
          },
          {
            title: t('price.cached'),
            key: 'cached',
            align: 'right',
            className: 'num',
            render: (_, it) => rate(it.price, 'cache_read'),
          },
          {
            title: t('price.currency'),
            key: 'currency',
            render: (_, it) => (it.price ? currencyOf(it.price) : '–'),
          },
          {
            title: t('price.context'),
            key: 'context',
            align: 'right',
            className: 'num',
            render: (_, it) => (it.context_window ? format.short(it.context_window) : '–'),
          },
          {
            title: t('price.maxOutput'),
            key: 'most',
            align: 'right',
            className: 'num',
            render: (_, it) => (it.max_output ? format.short(it.max_output) : '–'),
          },
          {
            title: t('model.for'),
            key: 'groups',
            render: (_, it) => (it.groups ? <GroupNames ids={it.groups} /> : t('channel.everybody')),
          },
        ]}
      />
    </Page>
  );
}

function Detail({ model }: { model: Model }) {
  return (
    <div className="stack">
      <Paths model={model} />
      <Prices model={model.name} />
    </div>
  );
}

/** Where a call goes, and where it goes next: its channels by priority, then the models behind it. */
function Paths({ model }: { model: Model }) {
  const { t } = useTranslation();
  // What is behind it may be served by nobody: that shows only when it is needed.
  const all = useQuery({
    queryKey: ['models', 'all'],
    queryFn: () => take(api.GET('/api/v1/models', { params: { query: { limit: '500' } } })),
    staleTime: 30_000,
  });
  const known = all.data !== undefined && all.data.total <= all.data.items.length;
  const others = new Map(all.data?.items.map((it) => [it.name, it]));
  const tiers = new Map<number, NonNullable<Model['channels']>>();
  for (const channel of model.channels ?? []) {
    tiers.set(channel.priority, [...(tiers.get(channel.priority) ?? []), channel]);
  }
  const channels: ReactNode[] = [...tiers]
    .sort(([a], [b]) => b - a)
    .map(([priority, all]) => (
      <span key={priority} className="box">
        <small>{t('why.priority', { n: priority })}</small>
        {all.map((it) => (
          <span key={`${it.id} ${it.upstream}`}>
            <Link to={`/channels/${encodeURIComponent(it.id)}`}>{it.name}</Link> {`× ${it.weight}`}
            {!it.enabled && <Tag>{t('channel.off')}</Tag>}
          </span>
        ))}
      </span>
    ));
  const behind = (['general', 'context_window', 'content_policy', 'downgrade'] as const).filter(
    (kind) => model.fallbacks[kind].length > 0,
  );
  return (
    <div className="graph">
      <strong className="box">{model.name}</strong>
      <ul aria-label={t('model.paths')}>
        <li>
          <span className="edge">{t('model.first')}</span>
          <Path steps={channels} none={t('model.nobody')} />
        </li>
        {behind.map((kind) => (
          <li key={kind}>
            <span className="edge">{t(`model.fallback.${kind}`)}</span>
            <Path
              steps={model.fallbacks[kind].map((name) => (
                <Behind key={name} name={name} model={others.get(name)} known={known} />
              ))}
              none=""
            />
          </li>
        ))}
      </ul>
    </div>
  );
}

/** A model that calls go on to, with how many serve it. */
function Behind({ name, model, known }: { name: string; model?: Model; known: boolean }) {
  const { t } = useTranslation();
  const count = model?.enabled_channels ?? 0;
  return (
    <span className={known && count === 0 ? 'box box-bad' : 'box'}>
      <Link to={`/models?search=${encodeURIComponent(name)}`}>{name}</Link>
      {known && (
        <small className={count === 0 ? 'mark-bad' : 'quiet'}>
          {count === 0 ? t('model.nobody') : t('model.served', { count })}
        </small>
      )}
    </span>
  );
}

function Path({ steps, none }: { steps: ReactNode[]; none: string }) {
  return (
    <div className="row">
      {steps.length === 0 && <span className="mark-bad">{none}</span>}
      {steps.map((step, index) => (
        <Fragment key={index}>
          {index > 0 && <span aria-hidden="true">→</span>}
          {step}
        </Fragment>
      ))}
    </div>
  );
}

function Prices({ model }: { model: string }) {
  const { t } = useTranslation();
  const me = useMe();
  const rate = useRate();
  const query = useQuery({
    queryKey: ['prices', model],
    queryFn: () => take(api.GET('/api/v1/prices', { params: { query: { model, limit: '200' } } })),
  });
  if (query.isPending) return <Skeleton active />;
  return (
    <>
      <Failure error={query.error} />
      <Table<Schemas['ModelPrice']>
        aria-label={t('price.title')}
        size="small"
        rowKey={(it) => `${it.channel} ${it.upstream}`}
        dataSource={query.data?.items}
        pagination={false}
        columns={[
          {
            title: t('request.channel'),
            key: 'channel',
            render: (_, it) =>
              it.channel ? (
                <Link to={`/channels/${encodeURIComponent(it.channel)}`}>
                  {it.channel_name ?? it.channel}
                </Link>
              ) : (
                it.provider
              ),
          },
          { title: t('channel.upstream'), dataIndex: 'upstream', className: 'mono' },
          {
            title: t('price.source'),
            key: 'source',
            render: (_, it) => (
              <>
                <Tag color={it.source === 'none' ? 'warning' : 'default'}>
                  {t(`price.sources.${it.source}`)}
                </Tag>
                {it.source === 'none' && it.channel && may(me, 'super') && (
                  <Link to={`/channels/${encodeURIComponent(it.channel)}?price=${encodeURIComponent(model)}`}>
                    {t('channel.setPrice')}
                  </Link>
                )}
              </>
            ),
          },
          {
            title: t('price.input'),
            key: 'in',
            align: 'right',
            className: 'num',
            render: (_, it) => rate(it.price, 'input', it.now),
          },
          {
            title: t('price.output'),
            key: 'out',
            align: 'right',
            className: 'num',
            render: (_, it) => rate(it.price, 'output', it.now),
          },
          {
            title: t('price.cached'),
            key: 'cached',
            align: 'right',
            className: 'num',
            render: (_, it) => rate(it.price, 'cache_read', it.now),
          },
          {
            title: t('price.written'),
            key: 'written',
            align: 'right',
            className: 'num',
            render: (_, it) => rate(it.price, 'cache_write', it.now),
          },
          { title: t('price.currency'), dataIndex: 'currency' },
          { title: t('price.more'), key: 'more', render: (_, it) => <PriceMore price={it.price} /> },
        ]}
      />
    </>
  );
}
