// Making and changing channels. The form knows the provider: what the catalogue fills in needn't be typed.

import { DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Button, Collapse, Form, Input, InputNumber, Pagination, Select, Switch } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { tagged, useTag } from '../api/tag';
import { channelAsked } from '../part/broken';
import { Failure } from '../part/failure';
import { PickGroups } from '../part/pick';
import { Sheet } from '../part/sheet';
import { TestResult } from '../part/test_result';
import { Offered } from './channel_offered';
import { OwnPrice, writtenIn } from './channel_price';
import { type ChannelValues, declared, edit, moves, nearer, ownOf, providers, titleOf } from './provider';

type Channel = Schemas['Channel'];
type Values = ChannelValues;

export function ChannelForm(props: {
  channel?: Channel;
  /** The model whose price is to be set. */
  price?: string;
  close: () => void;
  done?: (channel: Channel) => void;
}) {
  const { t } = useTranslation();
  const before = props.channel;
  const tag = useTag(before);
  const catalogue = useQuery({
    queryKey: ['providers'],
    queryFn: providers,
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (
    <Sheet<Values, Channel>
      width={680}
      title={t(before ? 'channel.change' : 'channel.create')}
      submit={t(before ? 'form.save' : 'form.create')}
      stale={['channels', 'model-names', 'models', 'prices']}
      // Of its models only some are in the page.
      whole
      initial={
        before
          ? {
              ...before,
              secret: undefined,
              models: before.models.map((it) => ({
                group: it.group,
                upstream: it.upstream,
                own: ownOf(it),
              })),
              auth: typeof before.auth === 'object' ? 'header' : (before.auth ?? 'bearer'),
              header: typeof before.auth === 'object' ? before.auth.header : undefined,
            }
          : { models: [{ group: '' }], priority: 0, weight: 1, enabled: true }
      }
      asked={(values) => (before ? channelAsked(t, before, values) : undefined)}
      run={(values) => {
        const card = catalogue.data?.find((it) => it.id === values.provider);
        if (!before) {
          const secret = values.secret?.trim() || undefined;
          return take(api.POST('/api/v1/channels', { body: { declared: declared(values, card), secret } }));
        }
        const path = { channel: before.id };
        return take(
          api.PATCH('/api/v1/channels/{channel}', {
            params: { path },
            body: edit(values, before),
            headers: tagged(tag),
          }),
        );
      }}
      done={props.done}
      close={props.close}
    >
      <Fields before={before} price={props.price} />
    </Sheet>
  );
}

function Fields({ before, price }: { before?: Channel; price?: string }) {
  const { t, i18n } = useTranslation();
  const form = Form.useFormInstance<Values>();
  const fresh = !before;
  const catalogue = useQuery({
    queryKey: ['providers'],
    queryFn: providers,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const chosen = Form.useWatch('provider', form);
  const auth = Form.useWatch('auth', form);
  const moved = Form.useWatch((values: Values) => Boolean(before?.has_secret && moves(values, before)), form);
  const card = catalogue.data?.find((it) => it.id === chosen);
  const whole = useQuery({
    queryKey: ['providers', chosen],
    queryFn: () => take(api.GET('/api/v1/providers/{provider}', { params: { path: { provider: chosen } } })),
    enabled: Boolean(card),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const fill = (id: string) => {
    const next = catalogue.data?.find((it) => it.id === id);
    if (!next || !fresh) return;
    form.setFieldsValue({
      address: next.form.address,
      ...(!form.isFieldTouched('name') && { name: next.name }),
    });
  };
  const required = [{ required: true, message: t('form.required') }];
  return (
    <>
      <Form.Item
        name="provider"
        label={t('channel.provider')}
        rules={required}
        extra={card && t(`channel.region.${card.region}`, { defaultValue: card.region })}
      >
        <Select
          showSearch={{
            optionFilterProp: ['label', 'value', 'chinese'],
            filterSort: (a, b, { searchValue }) => nearer(searchValue, a, b),
          }}
          loading={catalogue.isPending}
          onChange={fill}
          options={
            catalogue.data?.map((it) => ({
              value: it.id,
              label: titleOf(it, i18n.language),
              chinese: it.chinese.join(' '),
            })) ?? []
          }
        />
      </Form.Item>
      <Form.Item name="name" label={t('channel.name')} rules={required}>
        <Input maxLength={128} />
      </Form.Item>
      {fresh && (
        <Form.Item
          name="address"
          label={t('channel.address')}
          extra={
            card?.form.placeholders.length
              ? t('channel.fillIn', { names: card.form.placeholders.map((it) => `{${it}}`).join(', ') })
              : t('channel.addressHint')
          }
          rules={card?.form.address_required ? required : []}
        >
          <Input inputMode="url" />
        </Form.Item>
      )}
      <Form.Item
        name="secret"
        label={t('channel.secret')}
        extra={t(
          moved ? 'channel.secretMoved' : before?.has_secret ? 'channel.secretKept' : 'channel.secretHint',
        )}
        required={moved && auth !== 'none'}
        rules={[
          () => ({
            // It is looked at as it is sent: what it depends on stands further down.
            validator: (_, secret?: string) =>
              before?.has_secret &&
              !secret?.trim() &&
              form.getFieldValue('auth') !== 'none' &&
              moves(form.getFieldsValue(true) as Values, before)
                ? Promise.reject(new Error(t('channel.secretMoved')))
                : Promise.resolve(),
          }),
          {
            required: fresh && card?.form.credential === 'required' && !form.getFieldValue('environment'),
            message: t('form.required'),
          },
        ]}
      >
        <Input.TextArea autoComplete="off" spellCheck={false} rows={2} />
      </Form.Item>
      <Models known={whole.data?.models?.map((it) => it.name) ?? []} before={before} price={price} />
      <Trial before={before} />
      <Form.Item name="groups" label={t('channel.groups')} extra={t('channel.groupsHint')}>
        <PickGroups />
      </Form.Item>
      <span className="row" style={{ gap: 24 }}>
        <Form.Item name="priority" label={t('channel.priority')} tooltip={t('channel.priorityHint')}>
          <InputNumber />
        </Form.Item>
        <Form.Item name="weight" label={t('channel.weight')} tooltip={t('channel.weightHint')}>
          <InputNumber min={0} />
        </Form.Item>
        <Form.Item name="enabled" label={t('channel.enabled')} valuePropName="checked">
          <Switch />
        </Form.Item>
      </span>
      <Form.Item name="tags" label={t('key.tags')}>
        <Select mode="tags" open={false} suffixIcon={null} tokenSeparators={[',']} />
      </Form.Item>
      <Collapse
        items={[
          {
            key: 'more',
            label: t('channel.more'),
            forceRender: true,
            children: (
              <>
                {fresh && (
                  <Form.Item name="id" label={t('form.id')} extra={t('channel.idHint')}>
                    <Input />
                  </Form.Item>
                )}
                <Form.Item name="auth" label={t('channel.auth')}>
                  <Select
                    allowClear={fresh}
                    placeholder={t('limit.default')}
                    options={['bearer', 'header', 'none'].map((value) => ({
                      value,
                      label: t(`channel.auths.${value}`),
                    }))}
                  />
                </Form.Item>
                {auth === 'header' && (
                  <Form.Item name="header" label={t('channel.header')} rules={required}>
                    <Input placeholder="x-api-key" />
                  </Form.Item>
                )}
                {fresh && (
                  <Form.Item
                    name="environment"
                    label={t('channel.environment')}
                    extra={t('channel.environmentHint')}
                  >
                    <Input placeholder="OPENAI_API_KEY" />
                  </Form.Item>
                )}
                <Endpoints />
              </>
            ),
          },
        ]}
      />
    </>
  );
}

/** BOUND: so many models have their fields in the page: an upstream may have hundreds. */
const MODELS = 20;

function Models({ known, before, price }: { known: string[]; before?: Channel; price?: string }) {
  const { t } = useTranslation();
  const form = Form.useFormInstance<Values>();
  const [page, setPage] = useState(() => {
    const models: Values['models'] = form.getFieldValue('models') ?? before?.models ?? [];
    return Math.floor(
      Math.max(
        0,
        models.findIndex((it) => it?.group === price),
      ) / MODELS,
    );
  });
  return (
    <Form.Item label={t('channel.models')} extra={t('channel.modelsHint')} required>
      <Form.List
        name="models"
        rules={[
          {
            validator: (_, list: unknown[]) =>
              list?.length ? Promise.resolve() : Promise.reject(new Error(t('form.required'))),
          },
        ]}
      >
        {(fields, { add, remove }, { errors }) => {
          const last = Math.max(0, Math.ceil(fields.length / MODELS) - 1);
          const from = Math.min(page, last) * MODELS;
          return (
            <div className="stack" style={{ gap: 8 }}>
              {fields.slice(from, from + MODELS).map(({ key, name }) => (
                <div key={key} className="row model-row">
                  <Form.Item
                    name={[name, 'group']}
                    noStyle
                    rules={[{ required: true, message: t('form.required') }]}
                  >
                    <Input
                      aria-label={t('channel.modelName')}
                      placeholder={t('channel.modelName')}
                      list="known-models"
                    />
                  </Form.Item>
                  {'→'}
                  <Form.Item name={[name, 'upstream']} noStyle>
                    <Input
                      aria-label={t('channel.upstream')}
                      placeholder={t('channel.upstreamSame')}
                      list="known-models"
                    />
                  </Form.Item>
                  <Button
                    aria-label={t('form.remove')}
                    style={{ flexShrink: 0 }}
                    icon={<DeleteOutlined />}
                    onClick={() => remove(name)}
                  />
                  <Form.Item name={[name, 'own']} noStyle>
                    <OwnPrice
                      model={form.getFieldValue(['models', name, 'group'])}
                      currency={writtenIn(before, form.getFieldValue(['models', name]))}
                      open={price !== undefined && price === form.getFieldValue(['models', name, 'group'])}
                    />
                  </Form.Item>
                </div>
              ))}
              {fields.length > MODELS && (
                <Pagination
                  size="small"
                  aria-label={t('channel.models')}
                  current={from / MODELS + 1}
                  pageSize={MODELS}
                  total={fields.length}
                  showSizeChanger={false}
                  showTotal={(count) => t('list.total', { count })}
                  onChange={(to) => setPage(to - 1)}
                />
              )}
              <datalist id="known-models">
                {known.map((it) => (
                  <option key={it} value={it} />
                ))}
              </datalist>
              <span className="row">
                <Button
                  icon={<PlusOutlined />}
                  onClick={() => {
                    add({ group: '' });
                    setPage(Math.floor(fields.length / MODELS));
                  }}
                >
                  {t('channel.addModel')}
                </Button>
                {known.length > 0 && (
                  <Button
                    onClick={() => {
                      const there: Values['models'] = (form.getFieldValue('models') ?? []).filter(
                        (it: { group?: string }) => it?.group,
                      );
                      const names = new Set(there.map((it) => it.group));
                      form.setFieldValue('models', [
                        ...there,
                        ...known.filter((it) => !names.has(it)).map((group) => ({ group })),
                      ]);
                    }}
                  >
                    {t('channel.addKnown', { count: known.length })}
                  </Button>
                )}
              </span>
              <Form.ErrorList errors={errors} />
            </div>
          );
        }}
      </Form.List>
    </Form.Item>
  );
}

const FORMATS = [
  'openai_chat',
  'openai_responses',
  'openai_embeddings',
  'anthropic_messages',
  'gemini_generate',
  'cohere_chat',
  'ollama_chat',
  'openai_completions',
  'openai_images',
  'openai_image_edits',
  'openai_image_variations',
  'openai_speech',
  'openai_transcriptions',
  'openai_translations',
  'openai_moderations',
  'rerank',
  'anthropic_count_tokens',
  'gemini_count_tokens',
  'openai_input_tokens',
  'openai_compact',
  'pass_through',
];

function Endpoints() {
  const { t } = useTranslation();
  return (
    <Form.Item label={t('channel.endpoints')} extra={t('channel.endpointsHint')}>
      <Form.List name="endpoints">
        {(fields, { add, remove }) => (
          <div className="stack" style={{ gap: 8 }}>
            {fields.map(({ key, name }) => (
              <span key={key} className="row" style={{ flexWrap: 'nowrap' }}>
                <Form.Item
                  name={[name, 'format']}
                  noStyle
                  rules={[{ required: true, message: t('form.required') }]}
                >
                  <Select
                    aria-label={t('channel.format')}
                    style={{ width: 190 }}
                    options={FORMATS.map((value) => ({ value }))}
                  />
                </Form.Item>
                <Form.Item
                  name={[name, 'url']}
                  noStyle
                  rules={[{ required: true, message: t('form.required') }]}
                >
                  <Input aria-label={t('channel.url')} placeholder="https://…" inputMode="url" />
                </Form.Item>
                <Button
                  aria-label={t('form.remove')}
                  style={{ flexShrink: 0 }}
                  icon={<DeleteOutlined />}
                  onClick={() => remove(name)}
                />
              </span>
            ))}
            <Button
              icon={<PlusOutlined />}
              style={{ alignSelf: 'flex-start' }}
              onClick={() => add({ format: 'openai_chat', url: '' })}
            >
              {t('channel.addEndpoint')}
            </Button>
          </div>
        )}
      </Form.List>
    </Form.Item>
  );
}

/** What is entered, tried before it is saved. */
function Trial({ before }: { before?: Channel }) {
  const { t } = useTranslation();
  const form = Form.useFormInstance<Values>();
  const catalogue = useQuery({
    queryKey: ['providers'],
    queryFn: providers,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const draft = (): Schemas['ChannelDraft'] => {
    const values = form.getFieldsValue(true) as Values;
    const card = catalogue.data?.find((it) => it.id === values.provider);
    const secret = values.secret?.trim() || undefined;
    if (!before) return { declared: declared(values, card), secret };
    const { secret: _, ...changed } = edit(values, before);
    const models = (changed.models ?? before.models).map((it) =>
      typeof it === 'string' ? { group: it, upstream: it } : it,
    );
    return { channel: { ...body(before), ...changed, models } as Schemas['ChannelBody'], secret };
  };
  const test = useMutation({
    mutationFn: () => take(api.POST('/api/v1/channels/test', { body: { ...draft(), test: {} } })),
  });
  const fetch = useMutation({
    mutationFn: () => take(api.POST('/api/v1/channels/models/fetch', { body: draft() })),
  });
  const there = Form.useWatch('models', form) as Values['models'] | undefined;
  const served = new Set(there?.map((it) => it?.upstream || it?.group));
  const add = (names: string[]) => {
    const kept = (form.getFieldValue('models') ?? []).filter((it: { group?: string }) => it?.group);
    form.setFieldValue('models', [...kept, ...names.map((group) => ({ group }))]);
  };
  return (
    <Form.Item>
      <span className="row">
        <Button loading={test.isPending} onClick={() => test.mutate()}>
          {t('channel.test')}
        </Button>
        <Button loading={fetch.isPending} onClick={() => fetch.mutate()}>
          {t('channel.fetch')}
        </Button>
        {fetch.data && t('channel.fetched', { count: fetch.data.total })}
      </span>
      {fetch.data && <Offered models={fetch.data.items.filter((it) => !served.has(it.name))} add={add} />}
      <div style={{ marginTop: 8 }} aria-live="polite">
        <Failure error={test.error ?? fetch.error} />
        {test.data && <TestResult result={test.data} />}
      </div>
    </Form.Item>
  );
}

/** The channel as requests write it: without what only answers say. */
function body(channel: Channel): Schemas['ChannelBody'] {
  const {
    has_secret,
    keys,
    created_by,
    updated_at,
    updated_by,
    used,
    limit_states,
    health,
    state,
    recent,
    etag,
    ...rest
  } = channel;
  return rest as Schemas['ChannelBody'];
}
