// The installation: what there is to say about its configuration, its ledger, and what nobody knows the outcome of.

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Alert, App, Button, Card, Descriptions, Empty, Skeleton, Table, Tag } from 'antd';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { api, type Schemas, take } from '../api/client';
import { Named } from '../part/badge';
import { useConfirm } from '../part/confirm';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { Page } from '../part/page';
import { useTold } from '../part/said';
import { ChangeableSettings } from './system_change';
import { FINDINGS, Findings } from './system_finding';
import { SETTINGS, SettingsInForce } from './system_setting';

// What the parts of the page read: it is painted once all of it has answered, so that none pushes the others down.
const READ = {
  system: { queryKey: ['system'], queryFn: () => take(api.GET('/api/v1/system')) },
  ledger: { queryKey: ['ledger'], queryFn: () => take(api.GET('/api/v1/ledger')) },
  held: {
    queryKey: ['held'],
    queryFn: () => take(api.GET('/api/v1/ledger/held', { params: { query: { limit: '200' } } })),
  },
};

export default function SystemPage() {
  const { t } = useTranslation();
  const pending = [
    useQuery(FINDINGS).isPending,
    useQuery(READ.system).isPending,
    useQuery(SETTINGS).isPending,
    useQuery(READ.ledger).isPending,
    useQuery(READ.held).isPending,
  ];
  // What can't be read says so in its place, as soon as the others are there.
  const ready = pending.every((it) => !it);
  return (
    <Page title={t('nav.system')}>
      <div className="stack">
        {ready ? (
          <>
            <Installation />
            <Findings />
            <Changeable />
            <SettingsInForce />
            <Ledger />
            <Held />
          </>
        ) : (
          <Skeleton active />
        )}
      </div>
    </Page>
  );
}

function Installation() {
  const { t } = useTranslation();
  const said = useTold();
  const format = useFormat();
  const query = useQuery({ ...READ.system, refetchInterval: 10_000 });
  const it = query.data;
  if (!it) return <Failure error={query.error} again={() => query.refetch()} />;
  const say = (name: string, children: ReactNode) => ({ key: name, label: t(`system.${name}`), children });
  return (
    <Card title={t('system.installation')}>
      {it.channels.problems.map((one) => (
        <Alert
          key={one.channel}
          type="error"
          showIcon
          title={
            <>
              <Named of="channels" id={one.channel} />
              {t('why.colon')}
              {said(one.message)}
            </>
          }
          style={{ marginBottom: 8 }}
        />
      ))}
      <Descriptions
        column={{ xs: 1, sm: 2, lg: 3 }}
        size="small"
        items={[
          say('version', `${it.version} · ${it.build}`),
          say('uptime', `${format.duration(it.uptime_ms)} · ${format.time(it.started_at)}`),
          say('memory', it.memory_bytes == null ? '–' : `${format.whole(it.memory_bytes / 1_048_576)} MB`),
          say('processors', format.whole(it.processors)),
          say(
            'database',
            <>
              {it.database.kind}{' '}
              <Tag color={it.database.answers ? 'success' : 'error'}>
                {it.database.answers ? format.duration(it.database.took_us / 1000) : t('system.silent')}
              </Tag>
            </>,
          ),
          say('file', it.configuration.file ?? t('system.noFile')),
          say('nodes', format.whole(it.nodes.length)),
          say('configuration', `${it.configuration.version} · ${it.configuration.digest.toString(16)}`),
          say(
            'channels',
            t('system.channelCounts', {
              enabled: it.channels.enabled,
              total: it.channels.total,
              out: it.channels.benched + it.channels.broken,
            }),
          ),
        ]}
      />
    </Card>
  );
}

function Changeable() {
  const { data } = useQuery(SETTINGS);
  return data ? <ChangeableSettings settings={data} /> : null;
}

function Ledger() {
  const { t } = useTranslation();
  const format = useFormat();
  const query = useQuery({ ...READ.ledger, refetchInterval: 5_000 });
  const audit = useMutation({ mutationFn: () => take(api.GET('/api/v1/ledger/audit')) });
  const it = query.data;
  const journal = it?.journal;
  const number = (name: string, value: number) => ({
    key: name,
    label: t(`system.${name}`),
    children: <span className="num">{format.whole(value)}</span>,
  });
  return (
    <Card
      title={t('system.ledger')}
      extra={
        <Button loading={audit.isPending} onClick={() => audit.mutate()}>
          {t('system.compare')}
        </Button>
      }
    >
      <Failure error={query.error ?? audit.error} />
      {audit.data && (
        <Alert
          role="status"
          style={{ marginBottom: 12 }}
          showIcon
          type={audit.data.differing === 0 ? 'success' : 'error'}
          title={t(audit.data.differing === 0 ? 'system.agrees' : 'system.differs', {
            count: audit.data.differing === 0 ? audit.data.counters : audit.data.differing,
          })}
          description={
            audit.data.differences
              .map(
                (one) =>
                  `${t(`why.scope.${one.scope.kind}`)} ${one.scope.id} ${t(`limit.metric.${one.metric}`)}: ${one.balance} ≠ ${one.expected}`,
              )
              .join('; ') || undefined
          }
        />
      )}
      {it && (
        <Descriptions
          column={{ xs: 1, sm: 2, lg: 3 }}
          size="small"
          items={[
            number('counters', it.counters),
            number('open', it.open),
            number('held', it.held),
            number('waiting', it.records_waiting),
            ...(journal
              ? [
                  number('position', journal.position),
                  number('lag', journal.lag),
                  number('segments', journal.segments),
                  {
                    key: 'd',
                    label: t('system.durability'),
                    children: t(`setting.value.durability.${journal.durability}`, journal.durability),
                  },
                  {
                    key: 'j',
                    label: t('system.journal'),
                    children: <span className="mono">{journal.id}</span>,
                  },
                ]
              : []),
          ]}
        />
      )}
    </Card>
  );
}

function Held() {
  const { t } = useTranslation();
  const format = useFormat();
  const confirm = useConfirm();
  const { message } = App.useApp();
  const client = useQueryClient();
  const query = useQuery(READ.held);
  const settle = (it: Schemas['Held'], charge: 'free' | 'reserved') =>
    confirm({
      title: t(`system.settle.${charge}`),
      breaks: t(`system.settleBreaks.${charge}`),
      action: t(`system.settle.${charge}`),
      run: async () => {
        await take(
          api.POST('/api/v1/ledger/held/{call}/reconcile', {
            params: { path: { call: it.call ?? '' } },
            body: { attempt: it.attempt?.number ?? null, charge },
          }),
        );
        message.success(t('form.saved'));
        await Promise.all(['held', 'ledger'].map((name) => client.invalidateQueries({ queryKey: [name] })));
      },
    });
  return (
    <Card title={t('system.heldTitle')}>
      <p>{t('system.heldWhat')}</p>
      <Failure error={query.error} />
      <Table<Schemas['Held']>
        aria-label={t('system.heldTitle')}
        size="small"
        rowKey={(it) => it.id}
        dataSource={query.data?.items}
        loading={query.isPending && !query.error}
        pagination={(query.data?.items.length ?? 0) > 20 && { pageSize: 20, showSizeChanger: false }}
        scroll={{ x: 'max-content' }}
        locale={{
          emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('system.noHeld')} />,
        }}
        columns={[
          {
            title: t('request.id'),
            dataIndex: 'call',
            render: (call) => (call ? <Link to={`/requests/${encodeURIComponent(call)}`}>{call}</Link> : '–'),
          },
          { title: t('system.since'), dataIndex: 'since', render: (at) => format.time(at) },
          { title: t('request.model'), key: 'model', render: (_, it) => it.attempt?.model ?? '–' },
          {
            title: t('request.channel'),
            key: 'channel',
            render: (_, it) => <Named of="channels" id={it.attempt?.channel} />,
          },
          { title: t('key.hint'), key: 'key', render: (_, it) => <Named of="keys" id={it.attempt?.key} /> },
          {
            title: t('request.reserved'),
            key: 'bound',
            align: 'right',
            className: 'num',
            render: (_, it) => format.money(it.attempt?.bound.spend ?? 0),
          },
          {
            title: t('form.actions'),
            key: 'actions',
            render: (_, it) =>
              it.call && (
                <span className="row">
                  <Button size="small" onClick={() => settle(it, 'free')}>
                    {t('system.settle.free')}
                  </Button>
                  <Button size="small" onClick={() => settle(it, 'reserved')}>
                    {t('system.settle.reserved')}
                  </Button>
                </span>
              ),
          },
        ]}
      />
    </Card>
  );
}
