// Where somebody is signed in, and which programs act for them.

import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Button, Card, Empty, Table, Tag } from 'antd';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { agentOf } from './agent';
import { useConfirm } from './confirm';
import { Failure } from './failure';
import { useFormat } from './format';

export function SessionTable({ user }: { user: string }) {
  const { t } = useTranslation();
  const format = useFormat();
  const confirm = useConfirm();
  const client = useQueryClient();
  const query = useQuery({
    queryKey: ['sessions', user],
    queryFn: () => take(api.GET('/api/v1/users/{user}/sessions', { params: { path: { user } } })),
  });
  const stale = () => client.invalidateQueries({ queryKey: ['sessions', user] });
  const all = () =>
    confirm({
      title: t('session.endAllTitle'),
      breaks: t('session.endAllBreaks'),
      action: t('session.endAll'),
      run: async () => {
        await take(api.DELETE('/api/v1/users/{user}/sessions', { params: { path: { user } } }));
        await stale();
      },
    });
  return (
    <Card title={t('session.title')} extra={<Button onClick={all}>{t('session.endAll')}</Button>}>
      <Failure error={query.error} />
      <Table<Schemas['Session']>
        aria-label={t('session.title')}
        size="small"
        rowKey={(it) => it.id}
        dataSource={query.data?.items}
        loading={query.isPending && !query.error}
        pagination={false}
        scroll={{ x: 'max-content' }}
        locale={{
          emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('session.empty')} />,
        }}
        columns={[
          {
            title: t('session.where'),
            key: 'where',
            render: (_, it) => (
              <>
                {it.address ?? '–'} {it.current && <Tag color="success">{t('session.this')}</Tag>}
              </>
            ),
          },
          {
            title: t('session.agent'),
            dataIndex: 'agent',
            render: (agent) => <Agent of={agent} />,
          },
          { title: t('session.since'), dataIndex: 'created_at', render: (at) => format.time(at) },
          { title: t('session.seen'), dataIndex: 'seen_at', render: (at) => format.ago(at) },
          {
            title: t('form.actions'),
            key: 'end',
            render: (_, it) => (
              <Button
                size="small"
                disabled={it.current}
                onClick={() =>
                  confirm({
                    title: t('session.endTitle'),
                    breaks: t('session.endBreaks'),
                    action: t('session.end'),
                    run: async () => {
                      await take(
                        api.DELETE('/api/v1/users/{user}/sessions/{session}', {
                          params: { path: { user, session: it.id } },
                        }),
                      );
                      await stale();
                    },
                  })
                }
              >
                {t('session.end')}
              </Button>
            ),
          },
        ]}
      />
    </Card>
  );
}

export function TokenTable({ user, extra }: { user: string; extra?: ReactNode }) {
  const { t } = useTranslation();
  const format = useFormat();
  const confirm = useConfirm();
  const client = useQueryClient();
  const query = useQuery({
    queryKey: ['tokens', user],
    queryFn: () => take(api.GET('/api/v1/users/{user}/tokens', { params: { path: { user } } })),
  });
  return (
    <Card title={t('token.title')} extra={extra}>
      <Failure error={query.error} />
      <Table<Schemas['Token']>
        aria-label={t('token.title')}
        size="small"
        rowKey={(it) => it.id}
        dataSource={query.data?.items}
        loading={query.isPending && !query.error}
        pagination={false}
        scroll={{ x: 'max-content' }}
        locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('token.empty')} /> }}
        columns={[
          { title: t('token.name'), dataIndex: 'name' },
          { title: t('token.hint'), dataIndex: 'hint', className: 'mono' },
          {
            title: t('token.scopes'),
            dataIndex: 'scopes',
            render: (scopes: string[]) => scopes.map((it) => <Tag key={it}>{it}</Tag>),
          },
          { title: t('key.expires'), dataIndex: 'expires_at', render: (at) => format.time(at) },
          {
            title: t('token.used'),
            dataIndex: 'used_at',
            render: (at) => (at ? format.ago(at) : t('key.never')),
          },
          {
            title: t('form.actions'),
            key: 'delete',
            render: (_, it) => (
              <Button
                size="small"
                danger
                onClick={() =>
                  confirm({
                    title: t('token.deleteTitle', { name: it.name }),
                    breaks: t('token.deleteBreaks'),
                    action: t('form.delete'),
                    run: async () => {
                      await take(
                        api.DELETE('/api/v1/users/{user}/tokens/{token}', {
                          params: { path: { user, token: it.id } },
                        }),
                      );
                      await client.invalidateQueries({ queryKey: ['tokens', user] });
                    },
                  })
                }
              >
                {t('form.delete')}
              </Button>
            ),
          },
        ]}
      />
    </Card>
  );
}

/** Which browser on what, or what a program calls itself. */
function Agent({ of }: { of: string | null | undefined }) {
  const { t } = useTranslation();
  const it = of ? agentOf(of) : undefined;
  if (!it) return <span style={{ display: 'block', maxWidth: 420 }}>{of || '–'}</span>;
  const browser = `${t(`session.browser.${it.browser}`, it.browser)} ${it.version}`;
  return (
    <span title={of ?? ''}>{it.system ? t('session.on', { browser, system: it.system }) : browser}</span>
  );
}
