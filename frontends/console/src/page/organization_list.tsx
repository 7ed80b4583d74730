import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { may, useMe } from '../app/session';
import { Models } from '../part/badge';
import { ScopeList } from '../part/scope_list';
import { OrganizationForm } from './organization_form';

export default function OrganizationList() {
  const { t } = useTranslation();
  const make = may(useMe(), 'super');
  return (
    <ScopeList<Schemas['Organization']>
      kind="organizations"
      make={make}
      say={{
        what: t('organization.what'),
        search: t('group.search'),
        create: t('organization.create'),
        name: t('organization.name'),
      }}
      filters={[]}
      read={(query) => take(api.GET('/api/v1/organizations', { params: { query } }))}
      name={(it) => it.alias}
      empty={t('organization.empty')}
      columns={[
        { title: t('key.models'), key: 'models', render: (_, it) => <Models models={it.models} most={2} /> },
      ]}
      form={(close, done) => <OrganizationForm close={close} done={done} />}
    />
  );
}
