// Talking to models as a key may, one or two side by side. The key stays in this page and is forgotten with it.

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Alert, Button, Card, Collapse, Form, Input, InputNumber, Select, Slider, Switch } from 'antd';
import { useCallback, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { namesGroup } from '../app/right';
import { may, useMe } from '../app/session';
import { EFFORTS, modelsOf, PLAIN, type Settings } from '../part/chat';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { nameOf } from '../part/name';
import { Page } from '../part/page';
import { PickNamed } from '../part/pick';
import { useFilter } from '../part/query';
import { ownKey } from './playground_key';
import { Pane, type Took } from './playground_pane';

export default function Playground() {
  const { t } = useTranslation();
  const [filter, change] = useFilter();
  const [key, setKey] = useState('');
  const [settings, setSettings] = useState(PLAIN);
  const [prompt, setPrompt] = useState('');
  // Counts up with each question, which all panes then ask.
  const [asked, setAsked] = useState<{ number: number; text: string }>({ number: 0, text: '' });
  const [cleared, setCleared] = useState(0);
  const [first, tookFirst] = useState<Took>();
  const [second, tookSecond] = useState<Took>();
  const [firstWorks, setFirstWorks] = useState(false);
  const [secondWorks, setSecondWorks] = useState(false);
  const busy = firstWorks || secondWorks;
  // What wasn't answered may be sent again, unless something else was typed meanwhile.
  const unanswered = useCallback((text: string) => setPrompt((typed) => typed || text), []);
  const models = useQuery({
    queryKey: ['playground-models', key],
    queryFn: () => modelsOf(key),
    enabled: key !== '',
    gcTime: 0,
  });
  const two = Boolean(filter.two);
  const chosen = [
    filter.model ?? models.data?.[0],
    ...(two ? [filter.other ?? models.data?.[1] ?? models.data?.[0]] : []),
  ];
  const tools = parsed(settings.tools);
  const forget = () => {
    tookFirst(undefined);
    tookSecond(undefined);
  };
  const ask = () => {
    // The next question waits for the answer to this one: it would cut it off.
    if (!prompt.trim() || tools === null || busy) return;
    setAsked({ number: asked.number + 1, text: prompt });
    forget();
    setPrompt('');
  };
  if (!key) return <KeyFirst use={setKey} />;
  return (
    <Page
      title={t('nav.playground')}
      actions={
        <>
          <Switch
            size="small"
            aria-label={t('playground.two')}
            checked={two}
            onChange={(on) => change({ two: on ? '1' : undefined, other: undefined })}
          />
          {t('playground.two')}
          <Button
            onClick={() => {
              setCleared(cleared + 1);
              forget();
            }}
          >
            {t('playground.clear')}
          </Button>
          <Button onClick={() => setKey('')}>{t('playground.otherKey')}</Button>
        </>
      }
    >
      <Failure error={models.error} again={() => models.refetch()} />
      <Collapse
        style={{ marginBottom: 16 }}
        items={[
          {
            key: 's',
            label: t('playground.settings'),
            children: <SettingForm value={settings} change={setSettings} faulty={tools === null} />,
          },
        ]}
      />
      <div className="grid-wide">
        {chosen.map((model, index) => (
          <Card
            key={index}
            size="small"
            title={
              <Select
                aria-label={t('request.model')}
                showSearch
                style={{ width: '100%' }}
                loading={models.isFetching}
                value={model}
                onChange={(name) => change(index === 0 ? { model: name } : { other: name })}
                options={models.data?.map((value) => ({ value }))}
              />
            }
          >
            {model && (
              <Pane
                key={cleared}
                secret={key}
                model={model}
                settings={settings}
                tools={tools ?? undefined}
                asked={asked}
                took={index === 0 ? tookFirst : tookSecond}
                working={index === 0 ? setFirstWorks : setSecondWorks}
                unanswered={unanswered}
              />
            )}
          </Card>
        ))}
      </div>
      {two && first && second && <Compared names={chosen} took={[first, second]} />}
      <form
        style={{ marginTop: 16 }}
        onSubmit={(event) => {
          event.preventDefault();
          ask();
        }}
      >
        <Input.TextArea
          aria-label={t('playground.prompt')}
          placeholder={t('playground.promptHint')}
          rows={3}
          value={prompt}
          onChange={(event) => setPrompt(event.target.value)}
          onPressEnter={(event) => {
            if (event.shiftKey || event.nativeEvent.isComposing) return;
            event.preventDefault();
            ask();
          }}
        />
        <div style={{ textAlign: 'right', marginTop: 8 }}>
          <Button
            type="primary"
            htmlType="submit"
            disabled={!prompt.trim() || tools === null || busy || !chosen[0]}
          >
            {t('playground.send')}
          </Button>
        </div>
      </form>
    </Page>
  );
}

/** Of two answers to one question: which was there sooner, and which cost less. */
function Compared({ names, took: [a, b] }: { names: (string | undefined)[]; took: [Took, Took] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const against = (
    of: (it: Took) => number | null | undefined,
    words: string,
    say: (n: number) => string,
  ): string | undefined => {
    const [x, y] = [of(a), of(b)];
    if (x == null || y == null || x === y) return undefined;
    return t(words, { model: names[x < y ? 0 : 1], difference: say(Math.abs(x - y)) });
  };
  const said = [
    against((it) => it.firstMs, 'playground.sooner', format.duration),
    against((it) => it.wholeMs, 'playground.faster', format.duration),
    against((it) => it.spend, 'playground.cheaper', format.money),
  ].filter(Boolean);
  return said.length > 0 ? (
    <p role="status" className="quiet" style={{ margin: '12px 0 0' }}>
      {said.join(' · ')}
    </p>
  ) : null;
}

/** Tools as the API takes them; nothing where there are none, `null` where the text isn't a list. */
function parsed(text: string): unknown[] | undefined | null {
  if (!text.trim()) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

function KeyFirst({ use }: { use: (key: string) => void }) {
  const { t } = useTranslation();
  const me = useMe();
  // Whoever is in one group alone talks as it.
  const client = useQueryClient();
  const [group, setGroup] = useState(me.groups.length === 1 ? me.groups[0] : undefined);
  const make = useMutation({
    mutationFn: async () =>
      ownKey(me, group ? { id: group, name: (await nameOf('groups', group))[1] } : undefined),
    onSuccess: (secret) => {
      use(secret);
      return client.invalidateQueries({ queryKey: ['keys'] });
    },
  });
  return (
    <Page title={t('nav.playground')} note={t('playground.what')}>
      <div className="grid-wide">
        {may(me, 'write') && (
          <Card title={t('playground.make')}>
            <Failure error={make.error} />
            <p>{t('playground.makeHint')}</p>
            <span className="row">
              <PickNamed of="groups" style={{ width: 200 }} value={group} onChange={setGroup} />
              <Button
                type="primary"
                disabled={!group && namesGroup(me)}
                loading={make.isPending}
                onClick={() => make.mutate()}
              >
                {t('playground.makeIt')}
              </Button>
            </span>
            {!group && namesGroup(me) && <p className="quiet">{t('playground.groupFirst')}</p>}
          </Card>
        )}
        <Card title={t('playground.paste')}>
          <Form layout="vertical" onFinish={({ key }) => use(String(key).trim())}>
            <Form.Item
              name="key"
              label={t('key.hint')}
              extra={t('playground.pasteHint')}
              rules={[{ required: true, message: t('form.required') }]}
            >
              <Input.Password autoComplete="off" />
            </Form.Item>
            <Button htmlType="submit">{t('playground.useIt')}</Button>
          </Form>
        </Card>
      </div>
    </Page>
  );
}

function SettingForm({
  value,
  change,
  faulty,
}: {
  value: Settings;
  change: (value: Settings) => void;
  faulty: boolean;
}) {
  const { t } = useTranslation();
  return (
    <Form layout="vertical">
      <Form.Item label={t('playground.system')}>
        <Input.TextArea
          aria-label={t('playground.system')}
          rows={2}
          value={value.system}
          onChange={(event) => change({ ...value, system: event.target.value })}
        />
      </Form.Item>
      <div className="grid">
        <Form.Item label={t('playground.temperature', { value: value.temperature ?? t('limit.default') })}>
          <span className="row" style={{ flexWrap: 'nowrap' }}>
            <Slider
              ariaLabelForHandle={t('playground.temperatureName')}
              style={{ flex: 1 }}
              min={0}
              max={2}
              step={0.1}
              value={value.temperature ?? 1}
              onChange={(temperature) => change({ ...value, temperature })}
            />
            <Button size="small" onClick={() => change({ ...value, temperature: null })}>
              {t('limit.default')}
            </Button>
          </span>
        </Form.Item>
        <Form.Item label={t('request.ceiling')}>
          <InputNumber
            aria-label={t('request.ceiling')}
            min={1}
            value={value.maxOutput}
            onChange={(maxOutput) => change({ ...value, maxOutput })}
          />
        </Form.Item>
        <Form.Item label={t('playground.topP')}>
          <InputNumber
            aria-label={t('playground.topP')}
            min={0}
            max={1}
            step={0.05}
            value={value.topP}
            onChange={(topP) => change({ ...value, topP })}
          />
        </Form.Item>
        <Form.Item label={t('playground.seed')}>
          <InputNumber
            aria-label={t('playground.seed')}
            precision={0}
            value={value.seed}
            onChange={(seed) => change({ ...value, seed })}
          />
        </Form.Item>
        <Form.Item label={t('playground.stopAt')}>
          <Select
            mode="tags"
            aria-label={t('playground.stopAt')}
            open={false}
            suffixIcon={null}
            maxCount={4}
            value={value.stop}
            onChange={(stop) => change({ ...value, stop })}
          />
        </Form.Item>
        <Form.Item label={t('playground.effort')}>
          <Select
            allowClear
            aria-label={t('playground.effort')}
            placeholder={t('limit.default')}
            value={value.effort}
            onChange={(effort) => change({ ...value, effort: effort ?? null })}
            options={EFFORTS.map((value) => ({ value, label: t(`playground.efforts.${value}`) }))}
          />
        </Form.Item>
      </div>
      <Form.Item label={t('playground.tools')} extra={t('playground.toolsHint')}>
        <Input.TextArea
          aria-label={t('playground.tools')}
          className="mono"
          rows={3}
          status={faulty ? 'error' : undefined}
          value={value.tools}
          onChange={(event) => change({ ...value, tools: event.target.value })}
        />
        {faulty && <Alert type="error" title={t('playground.toolsFaulty')} />}
      </Form.Item>
    </Form>
  );
}
