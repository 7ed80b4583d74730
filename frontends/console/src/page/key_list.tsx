import { PlusOutlined } from '@ant-design/icons';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Button } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { may, useMe } from '../app/session';
import { FromFile, Models, Name, Named, Standing, Tags } from '../part/badge';
import { Chips } from '../part/chip';
import { useFormat } from '../part/format';
import { List, Search } from '../part/list';
import { Page } from '../part/page';
import { PickNamed } from '../part/pick';
import { csvOf, paging, useFilter } from '../part/query';
import { SecretOnce } from '../part/secret';
import { Fullest } from '../part/use';
import { KeyForm } from './key_form';

export default function KeyList() {
  const { t } = useTranslation();
  const format = useFormat();
  const me = useMe();
  const [filter, change] = useFilter();
  const [issued, setIssued] = useState<Schemas['IssuedKey'] | null>(null);
  const query = {
    ...paging(filter),
    ...(filter.search && { search: filter.search }),
    ...(filter.group && { group: filter.group }),
    ...(filter.user && { user: filter.user }),
    ...(filter.organization && { organization: filter.organization }),
  };
  const keys = useQuery({
    queryKey: ['keys', query],
    queryFn: () => take(api.GET('/api/v1/keys', { params: { query } })),
    placeholderData: keepPreviousData,
  });
  const write = may(me, 'write');
  return (
    <Page
      title={t('nav.keys')}
      note={t('key.what')}
      actions={
        <>
          <Search label={t('key.search')} />
          <PickNamed
            of="groups"
            style={{ width: 170 }}
            value={filter.group}
            onChange={(group) => change({ group })}
          />
          {write && (
            <Button type="primary" icon={<PlusOutlined />} onClick={() => change({ create: '1' })}>
              {t('key.create')}
            </Button>
          )}
        </>
      }
    >
      <Chips of={['user', 'organization']} />
      <List
        name={t('nav.keys')}
        table="keys"
        rowKey={(key) => key.id}
        data={keys.data}
        error={keys.error}
        loading={keys.isFetching && !keys.data}
        again={() => keys.refetch()}
        file={csvOf('keys', query)}
        empty={t(write ? 'key.empty' : 'key.emptyRead')}
        next={write ? { words: t('key.create'), run: () => change({ create: '1' }) } : undefined}
        columns={[
          {
            title: t('key.alias'),
            key: 'alias',
            render: (_, key) => (
              <>
                <Name to="/keys" name={key.alias} id={key.id} /> <FromFile source={key.source} />
              </>
            ),
          },
          { title: t('key.hint'), dataIndex: 'hint', className: 'mono' },
          {
            title: t('state.title'),
            key: 'state',
            render: (_, key) => <Standing blocked={key.blocked} expires={key.expires_at} />,
          },
          {
            title: t('key.group'),
            dataIndex: 'group',
            render: (group) => group && <Named of="groups" id={group} />,
          },
          {
            title: t('key.user'),
            dataIndex: 'user',
            render: (user) => user && <Named of="users" id={user} />,
          },
          {
            title: t('key.models'),
            key: 'models',
            render: (_, key) => <Models models={key.models} most={2} />,
          },
          {
            title: t('limit.fullest'),
            key: 'limits',
            render: (_, key) => <Fullest states={key.limit_states} />,
          },
          {
            title: t('usage.requests'),
            key: 'requests',
            align: 'right',
            className: 'num',
            render: (_, key) => format.whole(key.used.requests),
          },
          {
            title: t('usage.spend'),
            key: 'spend',
            align: 'right',
            className: 'num',
            render: (_, key) => format.money(key.used.spend),
          },
          {
            title: t('form.organization'),
            dataIndex: 'organization',
            more: true,
            render: (organization) => <Named of="organizations" id={organization} />,
          },
          {
            title: t('key.tags'),
            key: 'tags',
            more: true,
            render: (_, key) => <Tags tags={key.tags} />,
          },
          {
            title: t('key.expires'),
            key: 'expires',
            more: true,
            className: 'num',
            render: (_, key) => (key.expires_at ? format.day(key.expires_at) : t('key.never')),
          },
          {
            title: t('form.created'),
            key: 'created',
            more: true,
            className: 'num',
            render: (_, key) => format.date(key.created_at),
          },
          {
            title: t('usage.tokens'),
            key: 'tokens',
            more: true,
            align: 'right',
            className: 'num',
            render: (_, key) => format.short(key.used.input_tokens + key.used.output_tokens),
          },
        ]}
      />
      {filter.create && write && (
        <KeyForm group={filter.group} close={() => change({ create: undefined })} done={setIssued} />
      )}
      {issued && (
        <SecretOnce
          secret={issued.secret}
          title={t('key.issued')}
          of={issued.key}
          close={() => setIssued(null)}
        />
      )}
    </Page>
  );
}
