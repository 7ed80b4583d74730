import { PlusOutlined } from '@ant-design/icons';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Button } from 'antd';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';
import { api, take } from '../api/client';
import { may, useMe } from '../app/session';
import { FromFile, Models, Name, Standing } from '../part/badge';
import { useFormat } from '../part/format';
import { List, Search } from '../part/list';
import { Page } from '../part/page';
import { csvOf, paging, useFilter } from '../part/query';
import { Fullest } from '../part/use';
import { GroupForm } from './group_form';

export default function GroupList() {
  const { t } = useTranslation();
  const format = useFormat();
  const me = useMe();
  const navigate = useNavigate();
  const [filter, change] = useFilter();
  const query = {
    ...paging(filter),
    ...(filter.search && { search: filter.search }),
    ...(filter.organization && { organization: filter.organization }),
    ...(filter.member && { member: filter.member }),
  };
  const groups = useQuery({
    queryKey: ['groups', query],
    queryFn: () => take(api.GET('/api/v1/groups', { params: { query } })),
    placeholderData: keepPreviousData,
  });
  const make = may(me, 'organization');
  return (
    <Page
      title={t('nav.groups')}
      note={t('group.what')}
      actions={
        <>
          <Search label={t('group.search')} />
          {make && (
            <Button type="primary" icon={<PlusOutlined />} onClick={() => change({ create: '1' })}>
              {t('group.create')}
            </Button>
          )}
        </>
      }
    >
      <List
        name={t('nav.groups')}
        rowKey={(group) => group.id}
        data={groups.data}
        error={groups.error}
        loading={groups.isFetching && !groups.data}
        again={() => groups.refetch()}
        file={csvOf('groups', query)}
        empty={t(make ? 'group.empty' : 'group.emptyRead')}
        columns={[
          {
            title: t('group.name'),
            key: 'name',
            render: (_, group) => (
              <>
                <Name to="/groups" name={group.alias} id={group.id} /> <FromFile source={group.source} />
              </>
            ),
          },
          { title: t('form.organization'), dataIndex: 'organization' },
          {
            title: t('state.title'),
            key: 'state',
            render: (_, group) => <Standing blocked={group.blocked} />,
          },
          {
            title: t('group.members'),
            key: 'members',
            align: 'right',
            className: 'num',
            render: (_, group) => format.whole(group.members.length),
          },
          {
            title: t('key.models'),
            key: 'models',
            render: (_, group) => <Models models={group.models} most={2} />,
          },
          {
            title: t('limit.fullest'),
            key: 'limits',
            render: (_, group) => <Fullest states={group.limit_states} />,
          },
          {
            title: t('usage.requests'),
            key: 'requests',
            align: 'right',
            className: 'num',
            render: (_, group) => format.whole(group.used.requests),
          },
          {
            title: t('usage.spend'),
            key: 'spend',
            align: 'right',
            className: 'num',
            render: (_, group) => format.money(group.used.spend),
          },
        ]}
      />
      {filter.create && make && (
        <GroupForm
          close={() => change({ create: undefined })}
          done={(group) => navigate(`/groups/${encodeURIComponent(group.id)}`)}
        />
      )}
    </Page>
  );
}
