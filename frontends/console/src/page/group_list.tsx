import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { may, useMe } from '../app/session';
import { Models } from '../part/badge';
import { useFormat } from '../part/format';
import { ScopeList } from '../part/scope_list';
import { GroupForm } from './group_form';

export default function GroupList() {
  const { t } = useTranslation();
  const format = useFormat();
  const make = may(useMe(), 'organization');
  return (
    <ScopeList<Schemas['Group']>
      kind="groups"
      make={make}
      say={{
        what: t('group.what'),
        search: t('group.search'),
        create: t('group.create'),
        name: t('group.name'),
      }}
      filters={['organization', 'member']}
      read={(query) => take(api.GET('/api/v1/groups', { params: { query } }))}
      name={(it) => it.alias}
      empty={t(make ? 'group.empty' : 'group.emptyRead')}
      columns={[
        {
          title: t('group.members'),
          key: 'members',
          align: 'right',
          className: 'num',
          render: (_, it) => format.whole(it.members.length),
        },
        { title: t('key.models'), key: 'models', render: (_, it) => <Models models={it.models} most={2} /> },
      ]}
      form={(close, done) => <GroupForm close={close} done={done} />}
    />
  );
}
