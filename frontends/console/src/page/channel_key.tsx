// A channel's keys, by their fingerprints: what they are is shown nowhere.

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { App, Button, Card, Empty, Input, Modal, Table, Tag } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { channelsBreak } from '../part/broken';
import { useConfirm } from '../part/confirm';
import { Failure, useWords } from '../part/failure';
import { useFormat } from '../part/format';

type Key = Schemas['ChannelKey'];

export function ChannelKeys({ channel, write }: { channel: Schemas['Channel']; write: boolean }) {
  const { t } = useTranslation();
  const format = useFormat();
  const confirm = useConfirm();
  const client = useQueryClient();
  const { message } = App.useApp();
  const words = useWords();
  const [adding, setAdding] = useState(false);
  const query = useQuery({
    queryKey: ['channels', 'keys', channel.id],
    queryFn: () =>
      take(api.GET('/api/v1/channels/{channel}/keys', { params: { path: { channel: channel.id } } })),
  });
  const stale = () => client.invalidateQueries({ queryKey: ['channels'] });
  const path = (it: Key) => ({ channel: channel.id, fingerprint: it.fingerprint ?? '' });
  const enable = useMutation({
    mutationFn: (it: Key) =>
      take(api.POST('/api/v1/channels/{channel}/keys/{fingerprint}/enable', { params: { path: path(it) } })),
    onSuccess: stale,
    onError: (error) => message.error(words(error)),
  });
  const others = (gone: Key) => query.data?.items.some((it) => it.key !== gone.key && !it.disabled);
  const remove = (it: Key) =>
    confirm({
      title: t('channel.removeKeyTitle', { name: it.fingerprint }),
      breaks: async () =>
        others(it)
          ? t('channel.removeKeyBreaks')
          : `${t('channel.removeLastKey')} ${await channelsBreak(t, [channel.id])}`,
      action: t('form.remove'),
      run: async () => {
        await take(
          api.DELETE('/api/v1/channels/{channel}/keys/{fingerprint}', { params: { path: path(it) } }),
        );
        await stale();
      },
    });
  const out = (it: Key) => it.disabled || (it.out_until ?? 0) > Date.now();
  return (
    <Card
      title={t('channel.keys')}
      extra={write && <Button onClick={() => setAdding(true)}>{t('channel.addKeys')}</Button>}
    >
      <Failure error={query.error} />
      <Table<Key>
        aria-label={t('channel.keys')}
        size="small"
        rowKey={(it) => it.key}
        dataSource={query.data?.items}
        loading={query.isPending && !query.error}
        pagination={false}
        scroll={{ x: 'max-content' }}
        locale={{
          emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('channel.noSecret')} />,
        }}
        columns={[
          { title: t('channel.keyNumber'), dataIndex: 'key', render: (n: number) => n + 1 },
          {
            title: t('channel.fingerprint'),
            key: 'print',
            className: 'mono',
            render: (_, it) => it.fingerprint ?? '–',
          },
          {
            title: t('price.source'),
            key: 'place',
            render: (_, it) => it.variable ?? t(`channel.place.${it.place}`),
          },
          {
            title: t('state.title'),
            key: 'state',
            render: (_, it) =>
              it.disabled ? (
                <Tag color="error">{t('channel.broken')}</Tag>
              ) : out(it) ? (
                <Tag color="warning">
                  {t('channel.benched', { left: format.duration((it.out_until ?? 0) - Date.now()) })}
                </Tag>
              ) : (
                <Tag color="success">{t('channel.well')}</Tag>
              ),
          },
          {
            title: t('form.actions'),
            key: 'actions',
            render: (_, it) =>
              it.fingerprint && (
                <span className="row">
                  {out(it) && (
                    <Button size="small" onClick={() => enable.mutate(it)}>
                      {t('channel.enableKey')}
                    </Button>
                  )}
                  {write && it.place === 'sealed' && (
                    <Button size="small" danger onClick={() => remove(it)}>
                      {t('form.remove')}
                    </Button>
                  )}
                </span>
              ),
          },
        ]}
      />
      {adding && <Add channel={channel.id} close={() => setAdding(false)} />}
    </Card>
  );
}

function Add({ channel, close }: { channel: string; close: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [secret, setSecret] = useState('');
  const send = useMutation({
    mutationFn: () =>
      take(api.POST('/api/v1/channels/{channel}/keys', { params: { path: { channel } }, body: { secret } })),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ['channels'] });
      close();
    },
  });
  return (
    <Modal
      open
      title={t('channel.addKeys')}
      okText={t('form.add')}
      cancelText={t('form.cancel')}
      okButtonProps={{ disabled: !secret.trim() }}
      confirmLoading={send.isPending}
      onOk={() => send.mutate()}
      onCancel={close}
    >
      <Failure error={send.error} />
      <p>{t('channel.addKeysHint')}</p>
      <Input.TextArea
        aria-label={t('channel.addKeys')}
        autoFocus
        rows={4}
        autoComplete="off"
        spellCheck={false}
        value={secret}
        onChange={(event) => setSecret(event.target.value)}
      />
    </Modal>
  );
}
