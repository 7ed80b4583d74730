// Making and changing keys.

import { DatePicker, Form, Input, Select, Switch } from 'antd';
import type { Dayjs } from 'dayjs';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { tagged, useTag } from '../api/tag';
import { keyOwner, keyRight } from '../app/right';
import { may, useMe } from '../app/session';
import { keyBlocking } from '../part/broken';
import { type LimitRow, Limits, rows, tree, useLimitDoubt } from '../part/limit_form';
import { Pick, PickModels } from '../part/pick';
import { Sheet } from '../part/sheet';
import { useZone } from '../part/zone';

type Key = Schemas['Key'];

type Values = {
  alias?: string;
  group?: string;
  user?: string;
  models?: string[];
  limits?: LimitRow[];
  expires?: Dayjs | null;
  blocked?: boolean;
  allowed_ips?: string[];
  tags?: string[];
};

export function KeyForm(props: {
  key_?: Key;
  group?: string;
  close: () => void;
  done?: (issued: Schemas['IssuedKey']) => void;
}) {
  const { t } = useTranslation();
  const doubt = useLimitDoubt();
  const me = useMe();
  const zone = useZone();
  const key = props.key_;
  const tag = useTag(key);
  const mine = (group?: string) => keyOwner(me, group);
  const run = async (values: Values): Promise<Schemas['IssuedKey'] | null> => {
    const limits = tree(values.limits ?? []);
    const body = {
      alias: values.alias?.trim() || null,
      models: values.models ?? [],
      limits,
      expires_at: values.expires ? zone.instant(values.expires).valueOf() : null,
      blocked: values.blocked ?? key?.blocked ?? false,
      allowed_ips: values.allowed_ips ?? [],
      tags: values.tags ?? [],
    };
    if (key) {
      await take(
        api.PATCH('/api/v1/keys/{key}', {
          params: { path: { key: key.id } },
          body: changed(body, key),
          headers: tagged(tag),
        }),
      );
      return null;
    }
    const owner = { group: values.group ?? null, user: values.user ?? null };
    const empty = Object.keys(limits).length === 0;
    return await take(
      api.POST('/api/v1/keys', { body: { ...body, ...owner, limits: empty ? undefined : limits } }),
    );
  };
  return (
    <Sheet<Values, Schemas['IssuedKey'] | null>
      title={t(key ? 'key.change' : 'key.create')}
      submit={t(key ? 'form.save' : 'form.create')}
      stale={['keys', 'groups', 'search']}
      initial={
        key
          ? { ...key, limits: rows(key.limits), expires: key.expires_at ? zone.wall(key.expires_at) : null }
          : { group: props.group, limits: [], user: mine(props.group) }
      }
      doubt={doubt}
      asked={(values) =>
        key && !key.blocked && values.blocked
          ? keyBlocking(t, key.alias || key.hint || key.id, keyRight(me, key))
          : undefined
      }
      fields={{ expires_at: 'expires' }}
      run={run}
      done={(issued) => issued && props.done?.(issued)}
      close={props.close}
    >
      <Form.Item name="alias" label={t('key.alias')} extra={t('key.aliasHint')}>
        <Input maxLength={128} />
      </Form.Item>
      {!key && (
        <>
          <OfGroup mine={mine} />
          {may(me, 'administer') && (
            <Form.Item name="user" label={t('key.user')} extra={t('key.userHint')}>
              <Pick of="users" />
            </Form.Item>
          )}
        </>
      )}
      <Form.Item name="models" label={t('key.models')} extra={t('key.modelsHint')}>
        <PickModels />
      </Form.Item>
      <Limits label={t('limit.title')} hint={t('limit.hint')} />
      <Form.Item name="expires" label={t('key.expires')}>
        <DatePicker showTime style={{ width: '100%' }} />
      </Form.Item>
      <Form.Item name="allowed_ips" label={t('key.ips')} extra={t('key.ipsHint')}>
        <Select mode="tags" tokenSeparators={[',', ' ']} open={false} suffixIcon={null} />
      </Form.Item>
      <Form.Item name="tags" label={t('key.tags')}>
        <Select mode="tags" tokenSeparators={[',']} open={false} suffixIcon={null} />
      </Form.Item>
      {key && keyRight(me, key) === 'full' && (
        <Form.Item name="blocked" label={t('key.blocked')} valuePropName="checked">
          <Switch />
        </Form.Item>
      )}
    </Sheet>
  );
}

/** Whose budget counts. Which one is chosen says whose key it is, until somebody says otherwise. */
function OfGroup({ mine }: { mine: (group?: string) => string | undefined }) {
  const { t } = useTranslation();
  const form = Form.useFormInstance<Values>();
  const follow = (group?: string) => {
    if (!form.isFieldTouched('user')) form.setFieldValue('user', mine(group));
  };
  return (
    <Form.Item name="group" label={t('key.group')} extra={t('key.groupHint')}>
      <Pick of="groups" onChange={follow} />
    </Form.Item>
  );
}

/** Only what differs: somebody else's change of another field stays, and what one may not change isn't touched. */
export function changed<B extends object>(body: B, before: object): Partial<B> {
  const old = before as Record<string, unknown>;
  const plain = (value: unknown) => JSON.stringify(value ?? null);
  return Object.fromEntries(
    Object.entries(body).filter(([name, value]) => {
      if (name === 'limits') return plain(tree(rows(value))) !== plain(tree(rows(old[name])));
      return plain(value) !== plain(old[name]);
    }),
  ) as Partial<B>;
}
