import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { may, useMe } from '../app/session';
import { ScopeList } from '../part/scope_list';
import { UserForm } from './user_form';

export default function UserList() {
  const { t } = useTranslation();
  const make = may(useMe(), 'organization');
  return (
    <ScopeList<Schemas['User']>
      kind="users"
      make={make}
      say={{
        what: t('user.what'),
        search: t('user.search'),
        create: t('user.create'),
        name: t('user.name'),
      }}
      filters={['organization', 'group']}
      read={(query) => take(api.GET('/api/v1/users', { params: { query } }))}
      name={(it) => it.alias ?? it.email}
      empty={t('user.empty')}
      fresh="?fresh=1"
      columns={[
        {
          title: t('user.email'),
          dataIndex: 'email',
          render: (email) => email && <span className="called">{email}</span>,
        },
        { title: t('user.role'), dataIndex: 'role', render: (role) => t(`role.${role}`) },
      ]}
      form={(close, done) => <UserForm close={close} done={done} />}
    />
  );
}
