import { PlusOutlined } from '@ant-design/icons';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Button } from 'antd';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';
import { api, take } from '../api/client';
import { may, useMe } from '../app/session';
import { FromFile, Name, Standing } from '../part/badge';
import { useFormat } from '../part/format';
import { List, Search } from '../part/list';
import { Page } from '../part/page';
import { csvOf, paging, useFilter } from '../part/query';
import { Fullest } from '../part/use';
import { UserForm } from './user_form';

export default function UserList() {
  const { t } = useTranslation();
  const format = useFormat();
  const me = useMe();
  const navigate = useNavigate();
  const [filter, change] = useFilter();
  const query = {
    ...paging(filter),
    ...(filter.search && { search: filter.search }),
    ...(filter.organization && { organization: filter.organization }),
    ...(filter.group && { group: filter.group }),
  };
  const users = useQuery({
    queryKey: ['users', query],
    queryFn: () => take(api.GET('/api/v1/users', { params: { query } })),
    placeholderData: keepPreviousData,
  });
  const make = may(me, 'organization');
  return (
    <Page
      title={t('nav.users')}
      note={t('user.what')}
      actions={
        <>
          <Search label={t('user.search')} />
          {make && (
            <Button type="primary" icon={<PlusOutlined />} onClick={() => change({ create: '1' })}>
              {t('user.create')}
            </Button>
          )}
        </>
      }
    >
      <List
        name={t('nav.users')}
        rowKey={(user) => user.id}
        data={users.data}
        error={users.error}
        loading={users.isFetching && !users.data}
        again={() => users.refetch()}
        file={csvOf('users', query)}
        empty={t('user.empty')}
        columns={[
          {
            title: t('user.name'),
            key: 'name',
            render: (_, user) => (
              <>
                <Name to="/users" name={user.alias ?? user.email} id={user.id} />{' '}
                <FromFile source={user.source} />
              </>
            ),
          },
          { title: t('user.email'), dataIndex: 'email' },
          { title: t('user.role'), dataIndex: 'role', render: (role) => t(`role.${role}`) },
          { title: t('form.organization'), dataIndex: 'organization' },
          { title: t('state.title'), key: 'state', render: (_, user) => <Standing blocked={user.blocked} /> },
          {
            title: t('limit.fullest'),
            key: 'limits',
            render: (_, user) => <Fullest states={user.limit_states} />,
          },
          {
            title: t('usage.requests'),
            key: 'requests',
            align: 'right',
            className: 'num',
            render: (_, user) => format.whole(user.used.requests),
          },
          {
            title: t('usage.spend'),
            key: 'spend',
            align: 'right',
            className: 'num',
            render: (_, user) => format.money(user.used.spend),
          },
        ]}
      />
      {filter.create && make && (
        <UserForm
          close={() => change({ create: undefined })}
          done={(user) => navigate(`/users/${encodeURIComponent(user.id)}?fresh=1`)}
        />
      )}
    </Page>
  );
}
