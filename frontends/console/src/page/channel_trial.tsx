// Whether a channel answers, which models its upstream has, and what is left of its account.

import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Button, Card, Select, Tag } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { TestResult } from '../part/test_result';

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
        <Failure error={test.error ?? offered.error ?? balance.error} />
        {test.data && <TestResult result={test.data} />}
        {offered.data && (
          <div style={{ marginTop: 12 }}>
            {t('channel.fetched', { count: offered.data.total })}
            <div className="row" style={{ gap: 4, marginTop: 4 }}>
              {offered.data.items.slice(0, 200).map((it) => (
                <Tag
                  key={it.name}
                  color={it.served ? 'success' : 'default'}
                  title={it.priced ? undefined : t('price.unpriced')}
                >
                  {it.name}
                </Tag>
              ))}
            </div>
          </div>
        )}
      </div>
    </Card>
  );
}
