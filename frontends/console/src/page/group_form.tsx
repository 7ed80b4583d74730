import { Button, Form, Input, InputNumber, Select, Switch } from 'antd';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { tagged, useTag } from '../api/tag';
import { may, useMe } from '../app/session';
import { blockAsked } from '../part/broken';
import { type LimitRow, Limits, ownRows, rows, tree, useLimitDoubt } from '../part/limit_form';
import { Pick, PickModels, PickOrganization } from '../part/pick';
import { type PreferenceRow, Preferences, preferenceRows, preferencesOf } from '../part/preference_form';
import { Sheet } from '../part/sheet';
import { changed } from './key_form';

type Group = Schemas['Group'];

type Values = {
  alias?: string;
  organization?: string;
  models?: string[];
  limits?: LimitRow[];
  ratio?: number | null;
  preferences?: PreferenceRow[];
  aliases?: { from?: string; to?: string }[];
  metadata?: string;
  blocked?: boolean;
};

export function GroupForm(props: { group?: Group; close: () => void; done?: (group: Group) => void }) {
  const { t } = useTranslation();
  const doubt = useLimitDoubt();
  const me = useMe();
  const group = props.group;
  const tag = useTag(group);
  return (
    <Sheet<Values, Group>
      title={t(group ? 'group.change' : 'group.create')}
      submit={t(group ? 'form.save' : 'form.create')}
      stale={['groups', 'search']}
      initial={
        group
          ? {
              ...group,
              limits: rows(group.limits),
              ratio: group.price_ratio_ppm / 1e6,
              preferences: preferenceRows(group.preferences),
              aliases: Object.entries(group.aliases ?? {}).map(([from, to]) => ({ from, to })),
              metadata: Object.keys(group.metadata).length > 0 ? JSON.stringify(group.metadata, null, 2) : '',
            }
          : { limits: [], ratio: 1 }
      }
      doubt={doubt}
      asked={(values) => blockAsked(t, group, values, group?.alias ?? group?.id ?? '', { group: group?.id })}
      fields={{ price_ratio_ppm: 'ratio' }}
      run={(values) => {
        const body = {
          alias: values.alias?.trim() || null,
          models: values.models ?? [],
          limits: tree(values.limits ?? []),
          ...(may(me, 'super') && { price_ratio_ppm: Math.round((values.ratio ?? 1) * 1e6) }),
          aliases: aliasesOf(values.aliases ?? []),
          metadata: metadataOf(values.metadata, ''),
          preferences: preferencesOf(values.preferences ?? []),
          blocked: values.blocked ?? false,
        };
        if (!group) {
          return take(
            api.POST('/api/v1/groups', { body: { ...body, organization: values.organization ?? null } }),
          );
        }
        const path = { group: group.id };
        return take(
          api.PATCH('/api/v1/groups/{group}', {
            params: { path },
            body: changed(body, group),
            headers: tagged(tag),
          }),
        );
      }}
      done={props.done}
      close={props.close}
    >
      <Form.Item
        name="alias"
        label={t('group.name')}
        rules={[{ required: !group, message: t('form.required') }]}
      >
        <Input maxLength={128} autoFocus />
      </Form.Item>
      {!group && may(me, 'super') && (
        <Form.Item name="organization" label={t('form.organization')} extra={t('group.organizationHint')}>
          <PickOrganization />
        </Form.Item>
      )}
      <Limits label={t('limit.title')} hint={t('limit.hint')} />
      <Form.Item name="models" label={t('key.models')} extra={t('group.modelsHint')}>
        <PickModels />
      </Form.Item>
      <Preferences />
      <Aliases />
      {/* What a group pays counts against its organization's caps: only who gives those says how much. */}
      {may(me, 'super') && (
        <Form.Item name="ratio" label={t('group.ratio')} extra={t('group.ratioHint')}>
          <InputNumber min={0} max={1000} step={0.1} style={{ width: 160 }} />
        </Form.Item>
      )}
      <Form.Item
        name="metadata"
        label={t('group.metadata')}
        extra={t('group.metadataHint')}
        rules={[{ validator: async (_, text) => void metadataOf(text, t('group.metadataFaulty')) }]}
      >
        <Input.TextArea className="mono" rows={3} placeholder="{}" />
      </Form.Item>
      {group && (
        <Form.Item name="blocked" label={t('group.blocked')} valuePropName="checked">
          <Switch />
        </Form.Item>
      )}
    </Sheet>
  );
}

/** Names as the API takes them: the last of two that are alike. */
function aliasesOf(rows: { from?: string; to?: string }[]): Record<string, string> {
  const named = rows.map((it) => [it.from?.trim() ?? '', it.to?.trim() ?? '']);
  return Object.fromEntries(named.filter(([from, to]) => from && to));
}

function metadataOf(text: string | undefined, faulty: string): Record<string, unknown> {
  if (!text?.trim()) return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch {
    // It is said below.
  }
  throw new Error(faulty);
}

/** Other names for models, which the group's keys may ask for. */
function Aliases() {
  const { t } = useTranslation();
  const required = [{ required: true, message: t('form.required') }];
  return (
    <Form.Item label={t('group.aliases')} extra={t('group.aliasesHint')}>
      <Form.List name="aliases">
        {(fields, { add, remove }) => (
          <>
            {fields.map(({ key, name }) => (
              <div key={key} className="row" style={{ flexWrap: 'nowrap', marginBottom: 8 }}>
                <Form.Item name={[name, 'from']} noStyle rules={required}>
                  <Input aria-label={t('group.aliasFrom')} placeholder={t('group.aliasFrom')} />
                </Form.Item>
                <span aria-hidden="true">→</span>
                <Form.Item name={[name, 'to']} noStyle rules={required}>
                  <Input aria-label={t('group.aliasTo')} placeholder={t('group.aliasTo')} />
                </Form.Item>
                <Button onClick={() => remove(name)}>{t('form.remove')}</Button>
              </div>
            ))}
            <Button onClick={() => add({})}>{t('group.addAlias')}</Button>
          </>
        )}
      </Form.List>
    </Form.Item>
  );
}

/** Somebody's place in a group: begun at the group, or at the person. */
export function MemberForm(props: {
  group?: string;
  user?: string;
  member?: Schemas['Member'];
  close: () => void;
}) {
  const { t } = useTranslation();
  const doubt = useLimitDoubt();
  const { member } = props;
  const tag = useTag(member);
  type Member = { group: string; user: string; role: Schemas['Member']['role']; limits?: LimitRow[] };
  return (
    <Sheet<Member>
      title={t(member ? 'group.changeMember' : props.user ? 'user.join' : 'group.addMember')}
      submit={t(member ? 'form.save' : 'form.add')}
      stale={['groups', 'users']}
      initial={
        member ? { ...member, limits: ownRows(member.limits, member.given) } : { role: 'user', limits: [] }
      }
      doubt={doubt}
      run={(values) => {
        const { role } = values;
        const body = { role, limits: tree(values.limits ?? []) };
        const user = member?.user ?? props.user ?? values.user;
        const path = { group: props.group ?? values.group, user };
        return member
          ? take(
              api.PATCH('/api/v1/groups/{group}/members/{user}', {
                params: { path },
                body,
                headers: tagged(tag),
              }),
            )
          : take(api.POST('/api/v1/groups/{group}/members', { params: { path }, body: { ...body, user } }));
      }}
      close={props.close}
    >
      {!props.group && (
        <Form.Item
          name="group"
          label={t('key.group')}
          rules={[{ required: true, message: t('form.required') }]}
        >
          <Pick of="groups" />
        </Form.Item>
      )}
      {!member && !props.user && (
        <Form.Item
          name="user"
          label={t('key.user')}
          extra={t('group.memberId')}
          rules={[{ required: true, message: t('form.required') }]}
        >
          <Pick of="users" free />
        </Form.Item>
      )}
      <Form.Item name="role" label={t('group.role')}>
        <Select
          options={(['user', 'group_admin'] as const).map((value) => ({ value, label: t(`role.${value}`) }))}
        />
      </Form.Item>
      <Limits label={t('group.memberLimits')} hint={`${t('group.memberLimitsHint')} ${t('limit.hint')}`} />
    </Sheet>
  );
}
