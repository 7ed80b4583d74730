// Whether a channel answers, which models its upstream has, and what is left of its account.

import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Button, Card, Select, Tag } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { tagged } from '../api/tag';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { TestResult } from '../part/test_result';
import { Offered } from './channel_offered';

export function ChannelTrial({ channel }: { channel: Schemas['Channel'] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const client = useQueryClient();
  const path = { channel: channel.id };
  const names = channel.models.map((it) => it.group);
  const [model, setModel] = useState(names.find((it) => !it.includes('*')));
  const test = useMutation({
    mutationFn: () =>
      take(
        api.POST('/api/v1/channels/{channel}/test', {
          params: { path },
          body: { model: model ?? null, stream: true },
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: ['channels'] }),
  });
  const offered = useMutation({
    mutationFn: () => take(api.POST('/api/v1/channels/{channel}/models/fetch', { params: { path } })),
  });
  const served = new Set(channel.models.map((it) => it.upstream));
  const add = useMutation({
    mutationFn: (names: string[]) =>
      take(
        api.PATCH('/api/v1/channels/{channel}', {
          params: { path },
          body: { models: [...channel.models, ...names] } as Schemas['ChannelEdit'],
          headers: tagged(channel.etag),
        }),
      ),
    onSuccess: () =>
      Promise.all(
        ['channels', 'model-names', 'models', 'prices'].map((name) =>
          client.invalidateQueries({ queryKey: [name] }),
        ),
      ),
  });
  const balance = useMutation({
    mutationFn: () => take(api.GET('/api/v1/channels/{channel}/balance', { params: { path } })),
  });
  return (
    <Card title={t('channel.testIt')}>
      <div className="row">
        <Select
          aria-label={t('request.model')}
          showSearch
          style={{ width: 220 }}
          value={model}
          onChange={setModel}
          options={names.map((value) => ({ value }))}
        />
        <Button type="primary" loading={test.isPending} onClick={() => test.mutate()}>
          {t('channel.test')}
        </Button>
        <Button loading={offered.isPending} onClick={() => offered.mutate()}>
          {t('channel.fetch')}
        </Button>
        <Button loading={balance.isPending} onClick={() => balance.mutate()}>
          {t('channel.balance')}
        </Button>
        {balance.data && (
          <Tag color="processing">
            {t('channel.balanceIs', {
              amount: format.whole(balance.data.available / 1e9),
              currency: balance.data.currency,
            })}
          </Tag>
        )}
      </div>
      <div style={{ marginTop: 12 }} aria-live="polite">
        <Failure error={test.error ?? offered.error ?? balance.error ?? add.error} />
        {test.data && <TestResult result={test.data} />}
        {offered.data && (
          <div style={{ marginTop: 12 }}>
            {t('channel.fetched', { count: offered.data.total })}
            <Offered
              models={offered.data.items.filter((it) => !served.has(it.name))}
              add={(names) => add.mutate(names)}
              busy={add.isPending}
            />
          </div>
        )}
      </div>
    </Card>
  );
}
