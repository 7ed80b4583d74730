// Settings that may be changed while the gateway runs: who says each, and a form for those that the file leaves out.

import { useQueryClient } from '@tanstack/react-query';
import { App, Button, Card, Form, InputNumber, Select, Table, Tag } from 'antd';
import { type ReactNode, useState } from 'react';
import { Trans, useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { tagged, useTag } from '../api/tag';
import { Author } from '../part/author';
import {
  type Changeable,
  changedBy,
  measureOf,
  type Patch,
  patchOf,
  type Registration,
  shortened,
  shownOf,
} from '../part/changeable';
import { useConfirm } from '../part/confirm';
import { useFormat } from '../part/format';
import { Pick } from '../part/pick';
import { useTold } from '../part/said';
import { Sheet } from '../part/sheet';
import { SETTINGS } from './system_setting';

type Settings = Schemas['Settings'];
type Values = Record<string, unknown>;

const SOURCES = { file: 'blue', database: 'green', default: undefined } as const;

export function ChangeableSettings({ settings }: { settings: Settings }) {
  const { t } = useTranslation();
  const format = useFormat();
  const say = useSaid();
  const said = useTold();
  const takeBack = useTakeBack(settings);
  const confirm = useConfirm();
  const named = (it: Changeable) => t(`changeable.of.${it.name.replaceAll('.', '_')}`);
  const asked = (it: Changeable) =>
    confirm({
      title: t('changeable.takeBackTitle', { name: named(it) }),
      breaks: t('changeable.takeBackBreaks', { now: say(it, it.value), next: say(it, it.default) }),
      action: t('changeable.takeBack'),
      run: () => takeBack(it),
    });
  const [open, setOpen] = useState(false);
  return (
    <Card
      title={t('changeable.title')}
      extra={<Button onClick={() => setOpen(true)}>{t('changeable.change')}</Button>}
    >
      <p>
        {t('changeable.what')}{' '}
        {settings.updated_at != null && (
          <Trans
            i18nKey="changeable.last"
            values={{ at: format.time(settings.updated_at) }}
            components={{ by: <Author of={settings.updated_by} /> }}
          />
        )}
      </p>
      <Table<Changeable>
        aria-label={t('changeable.title')}
        size="small"
        rowKey="name"
        pagination={false}
        scroll={{ x: 'max-content' }}
        dataSource={settings.changeable}
        columns={[
          {
            title: t('changeable.setting'),
            key: 'name',
            render: (_, it) => <span title={it.name}>{named(it)}</span>,
          },
          { title: t('changeable.value'), key: 'value', render: (_, it) => say(it, it.value) },
          { title: t('changeable.default'), key: 'default', render: (_, it) => say(it, it.default) },
          {
            title: t('changeable.source'),
            key: 'source',
            render: (_, it) => (
              <>
                <Tag color={SOURCES[it.source]}>{t(`changeable.from.${it.source}`)}</Tag>
                {it.fixed_by && <span className="quiet">{t('changeable.place', { ...it.fixed_by })}</span>}
                {it.unused && (
                  <span className="quiet">{t('changeable.unused', { why: said(it.unused) })}</span>
                )}
              </>
            ),
          },
          {
            title: t('form.actions'),
            key: 'actions',
            render: (_, it) =>
              it.source === 'database' && (
                <Button
                  size="small"
                  aria-label={t('changeable.takeBackOf', { name: named(it) })}
                  onClick={() => asked(it)}
                >
                  {t('changeable.takeBack')}
                </Button>
              ),
          },
        ]}
      />
      {open && <ChangeForm settings={settings} close={() => setOpen(false)} />}
    </Card>
  );
}

/** Shows a setting at its default and asks the server; where that refuses, it stands as it was, and whoever asked is told. */
function useTakeBack(settings: Settings) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const { message } = App.useApp();
  return async (it: Changeable) => {
    const patch = { [it.name]: null } as Patch;
    await client.cancelQueries({ queryKey: SETTINGS.queryKey });
    const before = client.getQueryData<Settings>(SETTINGS.queryKey);
    client.setQueryData<Settings>(SETTINGS.queryKey, (held) => held && changedBy(held, patch));
    try {
      const now = await send(patch, settings.etag);
      client.setQueryData(SETTINGS.queryKey, now);
      message.success(t('form.saved'));
    } catch (error) {
      client.setQueryData(SETTINGS.queryKey, before);
      void client.invalidateQueries({ queryKey: SETTINGS.queryKey });
      throw error;
    }
  };
}

function send(patch: Patch, etag: string | undefined) {
  return take(api.PATCH('/api/v1/settings', { body: patch, headers: tagged(etag) }));
}

function ChangeForm({ settings, close }: { settings: Settings; close: () => void }) {
  const { t } = useTranslation();
  const tag = useTag(settings);
  const [all] = useState(settings.changeable);
  const say = useSaid();
  const inRange = (it: Changeable) => ({
    validator: async (_: unknown, value: unknown) => {
      const amount = typeof value === 'number' ? Math.round(value * measureOf(it).of) : undefined;
      if (amount === undefined || it.min == null || it.max == null) return;
      if (amount >= it.min && amount <= it.max) return;
      throw new Error(t('changeable.range', { min: say(it, it.min), max: say(it, it.max) }));
    },
  });
  const named = (it: Changeable) => t(`changeable.of.${it.name.replaceAll('.', '_')}`);
  return (
    <Sheet<Values, Settings>
      title={t('changeable.form')}
      submit={t('form.save')}
      stale={['settings']}
      initial={shownOf(all)}
      doubt={(values) => {
        const patch = patchOf(all, values);
        const changes = patch as Record<string, unknown>;
        const less = shortened(all, patch).map((it) => {
          const next = say(it, changes[it.name] ?? it.default);
          return t('changeable.lasts', { name: named(it), next });
        });
        return less.length > 0 ? t('changeable.shortened', { names: less.join(', ') }) : undefined;
      }}
      run={(values) => send(patchOf(all, values), tag)}
      close={close}
    >
      {all.map((it) =>
        it.kind === 'registration' ? (
          <RegistrationFields key={it.name} of={it} label={named(it)} />
        ) : (
          <Form.Item
            key={it.name}
            name={[it.name]}
            label={named(it)}
            extra={<About of={it} />}
            rules={[inRange(it)]}
          >
            {it.kind === 'word' ? <Words of={it} /> : <Measured of={it} />}
          </Form.Item>
        ),
      )}
    </Sheet>
  );
}

/** What may stand in a field; of one that the file says, where it does and what to do. */
function About({ of }: { of: Changeable }): ReactNode {
  const { t } = useTranslation();
  const say = useSaid();
  if (of.fixed_by) return t('changeable.fixed', { ...of.fixed_by });
  const range =
    of.min != null && of.max != null
      ? t('changeable.range', { min: say(of, of.min), max: say(of, of.max) })
      : '';
  return `${range} ${t('changeable.empty', { value: say(of, of.default) })}`.trim();
}

type Field = { of: Changeable; value?: never; onChange?: never };

/** What is out of range is refused, and not taken for the nearest that isn't: somebody may mean something else by 0. */
function Measured({ of, ...field }: Field) {
  const { t } = useTranslation();
  const { word, of: unit } = measureOf(of);
  return (
    <InputNumber
      {...field}
      style={{ width: '100%' }}
      disabled={of.source === 'file'}
      precision={unit === 1 ? 0 : undefined}
      suffix={word && t(`changeable.unit.${word}`)}
      placeholder={typeof of.default === 'number' ? String(of.default / unit) : t('changeable.none')}
    />
  );
}

function Words({ of, ...field }: Field) {
  const { t } = useTranslation();
  const say = useSaid();
  return (
    <Select
      {...field}
      allowClear
      disabled={of.source === 'file'}
      placeholder={of.default === null ? t('changeable.none') : say(of, of.default)}
      options={(of.words ?? []).map((value) => ({ value, label: say(of, value) }))}
    />
  );
}

function RegistrationFields({ of, label }: { of: Changeable; label: string }) {
  const { t } = useTranslation();
  const fixed = of.source === 'file';
  const at = (name: keyof Registration) => [of.name, name];
  return (
    <>
      <Form.Item
        name={at('email_domains')}
        label={label}
        extra={fixed ? <About of={of} /> : t('changeable.domains')}
      >
        <Select mode="tags" disabled={fixed} tokenSeparators={[',', ' ']} open={false} suffixIcon={null} />
      </Form.Item>
      <Form.Item name={at('organization')} label={t('changeable.organization')}>
        <Pick of="organizations" disabled={fixed} placeholder="default" />
      </Form.Item>
      <Form.Item name={at('group')} label={t('changeable.group')}>
        <Pick of="groups" disabled={fixed} placeholder={t('changeable.none')} />
      </Form.Item>
      <Form.Item name={at('role')} label={t('changeable.role')}>
        <Select
          disabled={fixed}
          allowClear
          options={(['user', 'group_admin'] as const).map((value) => ({
            value,
            label: t(`changeable.roles.${value}`),
          }))}
        />
      </Form.Item>
    </>
  );
}

/** What a setting says, in words and with its unit. */
function useSaid(): (it: Changeable, value: unknown) => string {
  const { t } = useTranslation();
  const format = useFormat();
  return (it, value) => {
    const word = it.name.split('.').at(-1) ?? '';
    if (value === null || value === undefined) {
      return t(it.name.startsWith('retention.') ? 'setting.forEver' : 'changeable.none');
    }
    if (typeof value === 'string') return t(`setting.value.${word}.${value}`, { defaultValue: value });
    if (typeof value !== 'number') {
      const domains = (value as Partial<Registration>).email_domains;
      return domains?.length ? domains.join(', ') : t('changeable.none');
    }
    const measure = measureOf(it);
    if (it.unit === 'ms') return format.span(value);
    if (measure.word === 'cny') return `${format.decimal(value / measure.of)} CNY`;
    const amount = format.whole(value);
    return measure.word ? `${amount} ${t(`changeable.unit.${measure.word}`)}` : amount;
  };
}
