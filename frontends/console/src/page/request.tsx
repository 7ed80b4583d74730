import { useQuery } from '@tanstack/react-query';
import { Alert, Card, Collapse, Descriptions, Skeleton, Table, Tag } from 'antd';
import { useTranslation } from 'react-i18next';
import { useParams } from 'react-router';
import { api, type Schemas, take } from '../api/client';
import { Named } from '../part/badge';
import { Costs } from '../part/cost_table';
import { Explanation, type Reason } from '../part/explanation';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { lossIn } from '../part/loss';
import { useChannelName } from '../part/name';
import { Page } from '../part/page';
import { backTo } from '../part/place';
import { useTold } from '../part/said';
import { Code } from '../part/secret';
import { Waterfall } from '../part/waterfall';
import { WhyNot } from '../part/why_not';
import { Outcome } from './request_list';

type Call = Schemas['Record'];
type Attempt = Schemas['Attempt'];

export default function RequestPage() {
  const { t } = useTranslation();
  const { call = '' } = useParams();
  const format = useFormat();
  const channel = useChannelName();
  const said = useTold();
  const query = useQuery({
    queryKey: ['records', 'one', call],
    queryFn: () => take(api.GET('/api/v1/records/{record}', { params: { path: { record: call } } })),
  });
  const parent = { to: backTo('/requests'), name: t('nav.requests'), state: { back: true } };
  const record = query.data?.record;
  const amended = query.data?.amendments ?? [];
  if (!record) {
    return (
      <Page title={call} parent={parent}>
        <Failure error={query.error} again={() => query.refetch()} />
        {query.isPending && <Skeleton active />}
      </Page>
    );
  }
  const attempts = record.attempts ?? [];
  const reasons = (record.replay as { explanation?: Reason[] } | undefined)?.explanation ?? [];
  return (
    <Page
      title={record.model}
      parent={parent}
      note={
        <>
          <span className="mono">{record.call}</span> <Outcome record={record} />
        </>
      }
    >
      <div className="stack">
        <WhyNot record={record} reasons={reasons} channel={channel} />
        {amended.map((it) => (
          <Alert
            key={it.started_at}
            type="info"
            showIcon
            title={t('request.amended', { spend: format.money(it.spend) })}
          />
        ))}
        <div className="grid-wide">
          <Card title={t('request.about')}>
            <About record={record} />
          </Card>
          <div className="stack">
            <Card title={t('request.times')}>
              <Waterfall record={record} channel={channel} />
            </Card>
            {attempts.length > 0 && (
              <Card title={t('cost.title')}>
                <Costs record={record} channel={channel} />
              </Card>
            )}
          </div>
        </div>
        <Card title={t('why.title')}>
          {reasons.length === 0 && record.outcome === 'denied' ? (
            <p>{t('why.early')}</p>
          ) : (
            <Explanation reasons={reasons} channel={channel} caller={record} />
          )}
        </Card>
        {attempts.length > 0 && <Attempts attempts={attempts} channel={channel} />}
        {(record.guardrails?.length ?? 0) > 0 && (
          <Card title={t('request.guardrails')}>
            {record.guardrails?.map((it) => (
              <div key={`${it.name} ${it.did}`}>
                {it.name}: {t(`request.guardrailDid.${it.did}`, it.did ?? '')} × {it.times}
              </div>
            ))}
          </Card>
        )}
        {(record.losses?.length ?? 0) > 0 && (
          <Card title={t('request.losses')}>
            {record.losses?.map((loss) => (
              <div key={loss}>{lossIn(t, said, loss)}</div>
            ))}
          </Card>
        )}
        <Collapse
          items={[
            {
              key: 'raw',
              label: t('request.raw'),
              children: <Code text={JSON.stringify(record, null, 2)} />,
            },
          ]}
        />
      </div>
    </Page>
  );
}

function About({ record: it }: { record: Call }) {
  const { t } = useTranslation();
  const format = useFormat();
  return (
    <Descriptions
      column={1}
      size="small"
      items={[
        { key: 'w', label: t('request.column.when'), children: format.time(it.started_at) },
        { key: 'k', label: t('key.hint'), children: <Named of="keys" id={it.key} /> },
        { key: 'g', label: t('key.group'), children: <Named of="groups" id={it.group} /> },
        { key: 'u', label: t('key.user'), children: <Named of="users" id={it.user} /> },
        {
          key: 'o',
          label: t('form.organization'),
          children: <Named of="organizations" id={it.organization} />,
        },
        {
          key: 'f',
          label: t('request.format'),
          children: `${it.format ?? '–'}${it.stream ? ` · ${t('request.stream')}` : ''}`,
        },
        { key: 's', label: t('usage.spend'), children: format.money(it.spend) },
        { key: 'c', label: t('request.customer'), children: it.customer ?? '–' },
        {
          key: 't',
          label: t('key.tags'),
          children: it.tags?.length ? it.tags.map((tag) => <Tag key={tag}>{tag}</Tag>) : '–',
        },
      ]}
    />
  );
}

function Attempts({ attempts, channel }: { attempts: Attempt[]; channel: (id: string) => string }) {
  const { t } = useTranslation();
  const format = useFormat();
  return (
    <Card title={t('request.attempts')}>
      <Table<Attempt>
        aria-label={t('request.attempts')}
        size="small"
        rowKey={(it) => `${it.channel} ${it.started_at} ${it.model}`}
        dataSource={attempts}
        pagination={false}
        scroll={{ x: 'max-content' }}
        columns={[
          { title: t('request.column.channel'), dataIndex: 'channel', render: (id: string) => channel(id) },
          { title: t('channel.upstream'), key: 'model', render: (_, it) => it.upstream_model ?? it.model },
          {
            title: t('request.column.outcome'),
            key: 'outcome',
            render: (_, it) => (
              <>
                <Tag color={it.outcome === 'ok' ? 'success' : 'error'}>
                  {t(`outcome.${it.outcome}`, it.outcome)}
                </Tag>
                {it.status && <span className="num"> {it.status}</span>}{' '}
                {it.held && <Tag color="warning">{t('request.held')}</Tag>}
              </>
            ),
          },
          {
            title: t('usage.latency'),
            dataIndex: 'duration_ms',
            align: 'right',
            className: 'num',
            render: (ms) => format.duration(ms ?? 0),
          },
          {
            title: t('request.ceiling'),
            dataIndex: 'ceiling',
            align: 'right',
            className: 'num',
            render: (n) => (n == null ? '–' : format.whole(n)),
          },
          {
            title: t('request.reserved'),
            dataIndex: 'reserved',
            align: 'right',
            className: 'num',
            render: (n) => format.money(n ?? 0),
          },
          {
            title: t('usage.spend'),
            dataIndex: 'spend',
            align: 'right',
            className: 'num',
            render: (n) => format.money(n ?? 0),
          },
          {
            title: t('usage.cost'),
            key: 'cost',
            align: 'right',
            className: 'num',
            render: (_, it) =>
              it.priced === false ? (
                <Tag color="warning">{t('price.unpriced')}</Tag>
              ) : (
                format.money(it.cost ?? 0)
              ),
          },
          {
            title: t('request.source'),
            dataIndex: 'usage_source',
            render: (source) => source && t(`request.sources.${source}`),
          },
        ]}
      />
    </Card>
  );
}
