// A sample call: where would it go, under what runs now?

import { useMutation } from '@tanstack/react-query';
import { Alert, Button, Card, Form, Input, InputNumber, Select, Switch } from 'antd';
import { useTranslation } from 'react-i18next';
import { api, take } from '../api/client';
import { Explanation, type Reason } from '../part/explanation';
import { Failure } from '../part/failure';
import { useChannelName } from '../part/name';
import { Pick } from '../part/pick';

type Values = {
  model: string;
  key?: string;
  input_tokens?: number;
  max_output?: number;
  stream?: boolean;
  tags?: string[];
};

export function PolicyTry() {
  const { t } = useTranslation();
  const channel = useChannelName();
  const ask = useMutation({
    mutationFn: (body: Values) =>
      take(
        api.POST('/api/v1/explain', {
          body: { ...body, input_tokens: body.input_tokens ?? 0, tags: body.tags ?? [] },
        }),
      ),
  });
  const found = ask.data;
  return (
    <Card title={t('try.title')}>
      <Form<Values> layout="inline" style={{ rowGap: 12 }} onFinish={ask.mutate}>
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
        <Button htmlType="submit" loading={ask.isPending}>
          {t('try.ask')}
        </Button>
      </Form>
      <div style={{ marginTop: 16 }} aria-live="polite">
        <Failure error={ask.error} />
        {found && (
          <div className="stack">
            {found.denial ? (
              <Alert type="error" showIcon title={found.denial.message} />
            ) : (
              <Alert
                type="success"
                showIcon
                title={found.order.map((it) => it.name ?? channel(it.id)).join(' → ')}
              />
            )}
            <Explanation reasons={found.explanation as Reason[]} channel={channel} />
            {found.assumed.length > 0 && <p>{`${t('try.assumed')} ${found.assumed.join('; ')}`}</p>}
          </div>
        )}
      </div>
    </Card>
  );
}
