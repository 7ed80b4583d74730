import { PlusOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Button } from 'antd';
import { useTranslation } from 'react-i18next';
import { api, take } from '../api/client';
import { may, useMe } from '../app/session';
import { FromFile, Models, Name, Standing } from '../part/badge';
import { useFormat } from '../part/format';
import { List } from '../part/list';
import { Page } from '../part/page';
import { csvOf, useFilter } from '../part/query';
import { Fullest } from '../part/use';
import { OrganizationForm } from './organization_form';

export default function OrganizationList() {
  const { t } = useTranslation();
  const format = useFormat();
  const me = useMe();
  const [filter, change] = useFilter();
  const query = useQuery({
    queryKey: ['organizations'],
    queryFn: () => take(api.GET('/api/v1/organizations')),
  });
  const make = may(me, 'super');
  return (
    <Page
      title={t('nav.organizations')}
      note={t('organization.what')}
      actions={
        make && (
          <Button type="primary" icon={<PlusOutlined />} onClick={() => change({ create: '1' })}>
            {t('organization.create')}
          </Button>
        )
      }
    >
      <List
        name={t('nav.organizations')}
        rowKey={(it) => it.id}
        data={query.data}
        error={query.error}
        loading={query.isPending && !query.error}
        again={() => query.refetch()}
        file={csvOf('organizations', {})}
        empty={t('organization.empty')}
        columns={[
          {
            title: t('organization.name'),
            key: 'name',
            render: (_, it) => (
              <>
                <Name to="/organizations" name={it.alias} id={it.id} /> <FromFile source={it.source} />
              </>
            ),
          },
          { title: t('state.title'), key: 'state', render: (_, it) => <Standing blocked={it.blocked} /> },
          {
            title: t('key.models'),
            key: 'models',
            render: (_, it) => <Models models={it.models} most={2} />,
          },
          {
            title: t('limit.fullest'),
            key: 'limits',
            render: (_, it) => <Fullest states={it.limit_states} />,
          },
          {
            title: t('usage.requests'),
            key: 'requests',
            align: 'right',
            className: 'num',
            render: (_, it) => format.whole(it.used.requests),
          },
          {
            title: t('usage.spend'),
            key: 'spend',
            align: 'right',
            className: 'num',
            render: (_, it) => format.money(it.used.spend),
          },
        ]}
      />
      {filter.create && make && <OrganizationForm close={() => change({ create: undefined })} />}
    </Page>
  );
}
