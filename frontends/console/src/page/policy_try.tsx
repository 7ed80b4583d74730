// A sample call: where would it go, by the text as it is typed, or by what runs?

import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Alert, Button, Card, Form, Input, InputNumber, Select, Switch } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { Explanation, type Reason } from '../part/explanation';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { useChannelName } from '../part/name';
import { Pick } from '../part/pick';
import { useTold } from '../part/said';
import { localTimes } from '../part/time';

type Values = {
  model: string;
  key?: string;
  input_tokens?: number;
  max_output?: number;
  stream?: boolean;
  tags?: string[];
};

/** Without a draft, by what runs. */
export function PolicyTry({ policy, draft }: { policy: string; draft?: Schemas['NewPolicyVersion'] }) {
  const { t } = useTranslation();
  const said = useTold();
  const { time } = useFormat();
  const channel = useChannelName();
  // Asked once, it is answered again as the text changes.
  const [asked, setAsked] = useState<{ values: Values; turn: number }>();
  const ask = useQuery({
    queryKey: ['policy-try', policy, asked, draft],
    queryFn: () =>
      take(
        api.POST('/api/v1/explain', {
          body: {
            ...asked?.values,
            input_tokens: asked?.values.input_tokens ?? 0,
            tags: asked?.values.tags ?? [],
            ...(draft && { policy, draft }),
          },
        }),
      ),
    enabled: asked !== undefined,
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
  const found = ask.error ? undefined : ask.data;
  return (
    <Card title={t(draft ? 'try.draft' : 'try.title')}>
      <Form<Values>
        layout="inline"
        style={{ rowGap: 12 }}
        onFinish={(values) => setAsked((last) => ({ values, turn: (last?.turn ?? 0) + 1 }))}
      >
        <Form.Item
          name="model"
          label={t('request.model')}
          rules={[{ required: true, message: t('form.required') }]}
        >
          <Input style={{ width: 160 }} />
        </Form.Item>
        <Form.Item name="key" label={t('key.hint')} rules={[{ required: true, message: t('form.required') }]}>
          <Pick of="keys" style={{ width: 190 }} />
        </Form.Item>
        <Form.Item name="input_tokens" label={t('usage.inputTokens')}>
          <InputNumber min={0} />
        </Form.Item>
        <Form.Item name="max_output" label={t('request.ceiling')}>
          <InputNumber min={1} />
        </Form.Item>
        <Form.Item name="tags" label={t('key.tags')}>
          <Select mode="tags" open={false} suffixIcon={null} style={{ minWidth: 120 }} />
        </Form.Item>
        <Form.Item name="stream" label={t('request.stream')} valuePropName="checked">
          <Switch size="small" />
        </Form.Item>
        <Button htmlType="submit" loading={ask.isFetching}>
          {t('try.ask')}
        </Button>
      </Form>
      <section style={{ marginTop: 16 }} aria-live="polite" aria-label={t('try.ask')}>
        <Failure error={ask.error} />
        {found && (
          <div className="stack">
            {found.denial ? (
              <Alert type="error" showIcon title={localTimes(said(found.denial.message), time)} />
            ) : (
              <Alert
                type="success"
                showIcon
                title={found.order.map((it) => it.name ?? channel(it.id)).join(' → ')}
              />
            )}
            <Explanation reasons={found.explanation as Reason[]} channel={channel} />
            {found.assumed.length > 0 && (
              <p>{`${t('try.assumed')} ${found.assumed.map(said).join(t('why.semicolon'))}`}</p>
            )}
          </div>
        )}
      </section>
    </Card>
  );
}
