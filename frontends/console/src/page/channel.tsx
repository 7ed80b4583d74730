import EditOutlined from '@ant-design/icons-svg/es/asn/EditOutlined';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { App, Button, Card, Descriptions, Skeleton, Table, Tag } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate, useParams } from 'react-router';
import { api, type Schemas, take } from '../api/client';
import { useAtOnce } from '../part/at_once';
import { Author } from '../part/author';
import { FromFile, GroupNames } from '../part/badge';
import { channelsBreak } from '../part/broken';
import { useConfirm } from '../part/confirm';
import { Failure, useWords } from '../part/failure';
import { useFormat } from '../part/format';
import { HealthTag } from '../part/health';
import { Icon } from '../part/icon';
import { Page } from '../part/page';
import { useStray } from '../part/pick';
import { isPriced } from '../part/price';
import { PriceMore } from '../part/price_more';
import { useFilter } from '../part/query';
import { useRate } from '../part/rate';
import { Figures, lost } from '../part/sums';
import { LimitStates } from '../part/use';
import { ChannelForm } from './channel_form';
import { ChannelKeys } from './channel_key';
import { ChannelTrial } from './channel_trial';

type Channel = Schemas['Channel'];

export default function ChannelPage() {
  const { t } = useTranslation();
  const { channel: id = '' } = useParams();
  const format = useFormat();
  const confirm = useConfirm();
  const navigate = useNavigate();
  const client = useQueryClient();
  const { message } = App.useApp();
  const words = useWords();
  const atOnce = useAtOnce('channels');
  const [editing, setEditing] = useState(false);
  const [filter, filterBy] = useFilter();
  const path = { channel: id };
  const query = useQuery({
    queryKey: ['channels', 'one', id],
    queryFn: () => take(api.GET('/api/v1/channels/{channel}', { params: { path } })),
    refetchInterval: 5_000,
  });
  const mend = useMutation({
    mutationFn: () => take(api.POST('/api/v1/channels/{channel}/mend', { params: { path } })),
    onSuccess: async () => {
      message.success(t('channel.mended'));
      await client.invalidateQueries({ queryKey: ['channels'] });
    },
    onError: (error) => message.error(words(error)),
  });
  const it = query.data;
  const parent = { to: '/channels', name: t('nav.channels') };
  if (!it) {
    return (
      <Page title={id} parent={parent}>
        {query.error ? <Failure error={query.error} again={() => query.refetch()} /> : <Skeleton active />}
      </Page>
    );
  }
  const write = it.source !== 'file';
  const used = it.used;
  const change = (body: { enabled: boolean } | { name: string }) =>
    atOnce([it.id], body, () => take(api.PATCH('/api/v1/channels/{channel}', { params: { path }, body })));
  return (
    <Page
      title={it.name}
      rename={write ? (name) => change({ name }) : undefined}
      parent={parent}
      note={
        <>
          {it.provider} <HealthTag channel={it} /> <FromFile source={it.source} />
          {it.recent?.last_failure && (
            <div>
              {t('channel.lastFailure', {
                what: t(`outcome.${it.recent.last_failure}`, it.recent.last_failure),
                when: it.recent.last_failure_at ? format.ago(it.recent.last_failure_at) : '',
              })}
            </div>
          )}
        </>
      }
      actions={
        <>
          <Link to={`/requests?channel=${encodeURIComponent(it.id)}`}>{t('key.calls')}</Link>
          <Button loading={mend.isPending} onClick={() => mend.mutate()}>
            {t('channel.mend')}
          </Button>
          {write && (
            <Button
              onClick={() =>
                it.enabled === false
                  ? change({ enabled: true })
                  : confirm({
                      title: t('channel.disableTitle', { count: 1 }),
                      breaks: () => channelsBreak(t, [it.id]),
                      action: t('channel.disable'),
                      run: () => change({ enabled: false }),
                    })
              }
            >
              {t(it.enabled === false ? 'channel.enable' : 'channel.disable')}
            </Button>
          )}
          {write && <Button onClick={() => setEditing(true)}>{t('form.change')}</Button>}
          {write && (
            <Button
              danger
              onClick={() =>
                confirm({
                  title: t('channel.deleteTitle', { name: it.name }),
                  breaks: async () =>
                    `${await channelsBreak(t, [it.id], 'deleted')} ${t('channel.deleteBreaks')}`,
                  action: t('form.delete'),
                  run: async () => {
                    await take(api.DELETE('/api/v1/channels/{channel}', { params: { path } }));
                    navigate('/channels');
                    await client.invalidateQueries({ queryKey: ['channels'], refetchType: 'none' });
                  },
                })
              }
            >
              {t('form.delete')}
            </Button>
          )}
        </>
      }
    >
      <div className="stack">
        <Figures
          figures={[
            { name: t('channel.inFlight'), value: format.whole(it.health?.in_flight ?? 0) },
            {
              name: t('channel.minute'),
              value: it.recent?.calls ? format.percent(it.recent.failures / it.recent.calls) : '–',
              more: it.recent?.calls
                ? t('channel.minuteOf', { failed: it.recent.failures, calls: format.whole(it.recent.calls) })
                : undefined,
            },
            ...(['first_content', 'whole'] as const).map((of) => {
              const learnt = it.latency?.[of];
              return {
                name: t(of === 'whole' ? 'channel.wholeAnswer' : 'channel.firstContent'),
                value: learnt ? format.duration(learnt.us / 1000) : '–',
                more: learnt ? format.ago(learnt.at) : undefined,
              };
            }),
            {
              name: t('usage.attempts'),
              value: format.short(used?.attempts ?? 0),
              more: used && t('usage.failed', { count: lost(used) }),
            },
            { name: t('usage.cost'), value: format.money(used?.cost ?? 0) },
          ]}
        />
        <ChannelTrial channel={it} />
        <div className="grid-wide">
          <Card title={t('limit.title')}>
            <LimitStates
              states={it.limit_states ?? []}
              empty={t('limit.noneHere')}
              of={{ scope: 'channel', id: it.id }}
            />
          </Card>
          <Card title={t('channel.about')}>
            <About channel={it} />
          </Card>
        </div>
        <ModelTable channel={it} />
        <ChannelKeys channel={it} write={write} />
      </div>
      {(editing || (filter.price && write)) && (
        <ChannelForm
          channel={it}
          price={filter.price}
          close={() => {
            setEditing(false);
            if (filter.price) filterBy({ price: undefined });
          }}
        />
      )}
    </Page>
  );
}

function About({ channel: it }: { channel: Channel }) {
  const { t } = useTranslation();
  const format = useFormat();
  return (
    <Descriptions
      column={1}
      size="small"
      items={[
        { key: 'id', label: t('form.id'), children: <span className="mono">{it.id}</span> },
        {
          key: 's',
          label: t('channel.secret'),
          children: t(it.has_secret ? 'channel.hasSecret' : 'channel.noSecret'),
        },
        {
          key: 'p',
          label: t('channel.priority'),
          children: `${it.priority ?? 0} · ${t('channel.weight')} ${it.weight ?? 1}`,
        },
        { key: 'g', label: t('channel.groups'), children: <For groups={it.groups ?? []} /> },
        {
          key: 't',
          label: t('key.tags'),
          children: it.tags?.length ? it.tags.map((tag) => <Tag key={tag}>{tag}</Tag>) : '–',
        },
        {
          key: 'e',
          label: t('channel.endpoints'),
          children: (
            <details>
              <summary>{t('channel.endpointCount', { count: it.endpoints.length })}</summary>
              {it.endpoints.map((one) => (
                <div key={one.format + one.url} className="mono" style={{ overflowWrap: 'anywhere' }}>
                  {one.format} {one.url}
                </div>
              ))}
            </details>
          ),
        },
        {
          key: 'u',
          label: t('form.updated'),
          children: it.updated_at ? (
            <>
              {format.time(it.updated_at)}
              {' ·\u00a0'}
              <Author of={it.updated_by} />
            </>
          ) : (
            '–'
          ),
        },
      ]}
    />
  );
}

/** Whom it is kept to, and which of the names that stand there are nobody's. */
function For({ groups }: { groups: string[] }) {
  const { t } = useTranslation();
  const stray = useStray(groups);
  if (groups.length === 0) return t('channel.everybody');
  return (
    <>
      <GroupNames ids={groups} />
      {stray.length > 0 && <p className="warned">{t('channel.stray', { names: stray.join(', ') })}</p>}
    </>
  );
}

function ModelTable({ channel }: { channel: Channel }) {
  const { t } = useTranslation();
  const format = useFormat();
  const rate = useRate();
  return (
    <Card title={t('channel.models')}>
      <Table<Schemas['ChannelModel']>
        aria-label={t('channel.models')}
        size="small"
        rowKey={(it) => `${it.group} ${it.upstream}`}
        dataSource={channel.models}
        scroll={{ x: 'max-content' }}
        pagination={channel.models.length > 20 && { pageSize: 20, showSizeChanger: false }}
        columns={[
          { title: t('channel.modelName'), dataIndex: 'group' },
          { title: t('channel.upstream'), dataIndex: 'upstream', className: 'mono' },
          {
            title: t('price.input'),
            key: 'in',
            align: 'right',
            className: 'num',
            render: (_, it) => (
              <>
                {it.price?.input != null && rate(it.price, 'input')}{' '}
                {!isPriced(it.price) && <Tag color="warning">{t('price.unpriced')}</Tag>}
                {channel.source !== 'file' &&
                  (isPriced(it.price) ? (
                    <Link
                      to={`?price=${encodeURIComponent(it.group)}`}
                      aria-label={t('channel.price', { model: it.group })}
                    >
                      <Icon of={EditOutlined} />
                    </Link>
                  ) : (
                    <Link to={`?price=${encodeURIComponent(it.group)}`}>{t('channel.setPrice')}</Link>
                  ))}
              </>
            ),
          },
          {
            title: t('price.output'),
            key: 'out',
            align: 'right',
            className: 'num',
            render: (_, it) => rate(it.price, 'output'),
          },
          {
            title: t('price.more'),
            key: 'more',
            render: (_, it) => (it.price ? <PriceMore price={it.price} /> : '–'),
          },
          {
            title: t('price.context'),
            dataIndex: 'context_window',
            align: 'right',
            className: 'num',
            render: (n) => (n ? format.whole(n) : '–'),
          },
          {
            title: t('price.maxOutput'),
            dataIndex: 'max_output',
            align: 'right',
            className: 'num',
            render: (n) => (n ? format.whole(n) : '–'),
          },
        ]}
      />
    </Card>
  );
}
