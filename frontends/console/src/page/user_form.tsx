import { Form, Input, Select, Switch } from 'antd';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { tagged, useTag } from '../api/tag';
import { may, useMe } from '../app/session';
import { blockAsked } from '../part/broken';
import { type LimitRow, Limits, rows, tree, useLimitDoubt } from '../part/limit_form';
import { PickModels, PickOrganization } from '../part/pick';
import { Sheet } from '../part/sheet';
import { changed } from './key_form';

type User = Schemas['User'];
type Values = {
  email?: string;
  alias?: string;
  role: User['role'];
  organization?: string;
  models?: string[];
  limits?: LimitRow[];
  blocked?: boolean;
};

const ROLES: User['role'][] = ['user', 'auditor', 'organization_admin', 'super_admin'];

export function UserForm(props: { user?: User; close: () => void; done?: (user: User) => void }) {
  const { t } = useTranslation();
  const doubt = useLimitDoubt();
  const me = useMe();
  const user = props.user;
  const tag = useTag(user);
  const roles = ROLES.filter((role) => role !== 'super_admin' || may(me, 'super'));
  return (
    <Sheet<Values, User>
      title={t(user ? 'user.change' : 'user.create')}
      submit={t(user ? 'form.save' : 'form.create')}
      stale={['users', 'search']}
      initial={user ? { ...user, limits: rows(user.limits) } : { role: 'user', limits: [] }}
      doubt={doubt}
      asked={(values) =>
        blockAsked(t, user, values, user?.alias ?? user?.email ?? user?.id ?? '', { user: user?.id })
      }
      run={(values) => {
        const body = {
          email: values.email?.trim() || null,
          alias: values.alias?.trim() || null,
          role: values.role,
          models: values.models ?? [],
          limits: tree(values.limits ?? []),
          blocked: values.blocked ?? false,
        };
        if (!user) {
          return take(
            api.POST('/api/v1/users', { body: { ...body, organization: values.organization ?? null } }),
          );
        }
        return take(
          api.PATCH('/api/v1/users/{user}', {
            params: { path: { user: user.id } },
            body: changed(body, user),
            headers: tagged(tag),
          }),
        );
      }}
      done={props.done}
      close={props.close}
    >
      <Form.Item
        name="email"
        label={t('user.email')}
        rules={[{ type: 'email', required: !user, message: t('form.email') }]}
      >
        <Input autoFocus inputMode="email" />
      </Form.Item>
      <Form.Item name="alias" label={t('user.name')}>
        <Input maxLength={128} />
      </Form.Item>
      <Form.Item name="role" label={t('user.role')} extra={t('user.roleHint')}>
        <Select
          options={[...new Set([...roles, ...(user ? [user.role] : [])])].map((value) => ({
            value,
            label: t(`role.${value}`),
          }))}
        />
      </Form.Item>
      {!user && may(me, 'super') && (
        <Form.Item name="organization" label={t('form.organization')} extra={t('group.organizationHint')}>
          <PickOrganization />
        </Form.Item>
      )}
      <Limits label={t('limit.title')} hint={t('user.limitsHint')} />
      <Form.Item name="models" label={t('key.models')} extra={t('user.modelsHint')}>
        <PickModels />
      </Form.Item>
      {user && (
        <Form.Item name="blocked" label={t('user.blocked')} valuePropName="checked">
          <Switch />
        </Form.Item>
      )}
    </Sheet>
  );
}
