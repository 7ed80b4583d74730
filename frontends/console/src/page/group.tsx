import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Button, Card, Descriptions, Empty, Skeleton, Table } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate, useParams } from 'react-router';
import { api, type Schemas, take } from '../api/client';
import { may, useMe } from '../app/session';
import { useAtOnce } from '../part/at_once';
import { Author } from '../part/author';
import { FromFile, Models, Named, Standing } from '../part/badge';
import { blocking, keysOf, memberBreaks } from '../part/broken';
import { useConfirm } from '../part/confirm';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { nameOf } from '../part/name';
import { Page } from '../part/page';
import { PreferenceList } from '../part/preference_form';
import { Sums } from '../part/sums';
import { Fullest, LimitStates } from '../part/use';
import { GroupForm, MemberForm } from './group_form';

export default function GroupPage() {
  const { t } = useTranslation();
  const { group: id = '' } = useParams();
  const me = useMe();
  const format = useFormat();
  const confirm = useConfirm();
  const atOnce = useAtOnce('groups');
  const navigate = useNavigate();
  const client = useQueryClient();
  const [editing, setEditing] = useState(false);
  const [member, setMember] = useState<Schemas['Member'] | 'new' | null>(null);
  const path = { group: id };
  const query = useQuery({
    queryKey: ['groups', 'one', id],
    queryFn: () => take(api.GET('/api/v1/groups/{group}', { params: { path } })),
    refetchInterval: 15_000,
  });
  const group = query.data;
  const parent = { to: '/groups', name: t('nav.groups') };
  if (!group) {
    return (
      <Page title={id} parent={parent}>
        {query.error ? <Failure error={query.error} again={() => query.refetch()} /> : <Skeleton active />}
      </Page>
    );
  }
  const administers = may(me, 'organization') || me.administers.includes(group.id);
  // What a group is called, may use and may spend is its organization's to say; who is in it is the group's, too.
  const write = may(me, 'organization') && group.source === 'database';
  const name = group.alias ?? group.id;
  const change = (body: { blocked: boolean } | { alias: string }) =>
    atOnce([group.id], body, () => take(api.PATCH('/api/v1/groups/{group}', { params: { path }, body })));
  return (
    <Page
      title={name}
      rename={write ? (alias) => change({ alias }) : undefined}
      parent={parent}
      note={
        <>
          <Standing blocked={group.blocked} /> <FromFile source={group.source} />
        </>
      }
      actions={
        <>
          <Link to={`/keys?group=${encodeURIComponent(group.id)}`}>{t('group.keys')}</Link>
          <Link to={`/requests?group=${encodeURIComponent(group.id)}`}>{t('key.calls')}</Link>
          {write && <Button onClick={() => setEditing(true)}>{t('form.change')}</Button>}
          {write && (
            <>
              <Button
                onClick={() =>
                  group.blocked
                    ? change({ blocked: false })
                    : confirm({
                        ...blocking(t, name, { group: group.id }),
                        run: () => change({ blocked: true }),
                      })
                }
              >
                {t(group.blocked ? 'state.unblock' : 'state.block')}
              </Button>
              <Button
                danger
                onClick={() =>
                  confirm({
                    title: t('group.deleteTitle', { name }),
                    breaks: async () =>
                      t('group.deleteBreaks', {
                        count: await keysOf({ group: group.id }),
                        members: group.members.length,
                      }),
                    action: t('form.delete'),
                    run: async () => {
                      await take(api.DELETE('/api/v1/groups/{group}', { params: { path } }));
                      navigate('/groups');
                      await client.invalidateQueries({ queryKey: ['groups'], refetchType: 'none' });
                    },
                  })
                }
              >
                {t('form.delete')}
              </Button>
            </>
          )}
        </>
      }
    >
      <div className="stack">
        <Sums sums={group.used} />
        <div className="grid-wide">
          <Card title={t('limit.title')}>
            <LimitStates
              states={group.limit_states}
              empty={t('limit.noneHere')}
              of={{ scope: 'group', id: group.id }}
            />
          </Card>
          <Card title={t('group.about')}>
            <Descriptions
              column={1}
              size="small"
              items={[
                { key: 'id', label: t('form.id'), children: <span className="mono">{group.id}</span> },
                {
                  key: 'o',
                  label: t('form.organization'),
                  children: <Named of="organizations" id={group.organization} />,
                },
                { key: 'm', label: t('key.models'), children: <Models models={group.models} most={12} /> },
                {
                  key: 'p',
                  label: t('group.preferences'),
                  children: <PreferenceList all={group.preferences} />,
                },
                {
                  key: 'a',
                  label: t('group.aliases'),
                  children:
                    Object.entries(group.aliases ?? {})
                      .map(([from, to]) => `${from} → ${to}`)
                      .join(', ') || '–',
                },
                { key: 'r', label: t('group.ratio'), children: `× ${group.price_ratio_ppm / 1e6}` },
                {
                  key: 'c',
                  label: t('form.created'),
                  children: (
                    <>
                      {format.time(group.created_at)}
                      {' ·\u00a0'}
                      <Author of={group.created_by} />
                    </>
                  ),
                },
              ]}
            />
          </Card>
        </div>
        <Card
          title={t('group.members')}
          extra={administers && <Button onClick={() => setMember('new')}>{t('group.addMember')}</Button>}
        >
          <Table<Schemas['Member']>
            aria-label={t('group.members')}
            size="small"
            rowKey={(it) => it.user}
            dataSource={group.members}
            scroll={{ x: 'max-content' }}
            pagination={group.members.length > 20 && { pageSize: 20, showSizeChanger: false }}
            locale={{
              emptyText: (
                <Empty
                  image={Empty.PRESENTED_IMAGE_SIMPLE}
                  description={t(administers ? 'group.noMembersYet' : 'group.noMembers')}
                />
              ),
            }}
            columns={[
              {
                title: t('key.user'),
                dataIndex: 'user',
                render: (user) => <Named of="users" id={user} />,
              },
              { title: t('group.role'), dataIndex: 'role', render: (role) => t(`role.${role}`) },
              {
                title: t('limit.fullest'),
                key: 'limits',
                render: (_, it) => <Fullest states={it.limit_states} />,
              },
              {
                title: t('form.actions'),
                key: 'actions',
                render: (_, it) =>
                  administers && (
                    <span className="row">
                      <Button size="small" onClick={() => setMember(it)}>
                        {t('form.change')}
                      </Button>
                      <Button
                        size="small"
                        danger
                        onClick={() =>
                          confirm({
                            title: async () =>
                              t('group.removeTitle', { name: (await nameOf('users', it.user))[1] }),
                            breaks: () => memberBreaks(t, group.id, it.user),
                            action: t('form.remove'),
                            run: async () => {
                              await take(
                                api.DELETE('/api/v1/groups/{group}/members/{user}', {
                                  params: { path: { group: group.id, user: it.user } },
                                }),
                              );
                              await client.invalidateQueries({ queryKey: ['groups'] });
                            },
                          })
                        }
                      >
                        {t('form.remove')}
                      </Button>
                    </span>
                  ),
              },
            ]}
          />
        </Card>
      </div>
      {editing && <GroupForm group={group} close={() => setEditing(false)} />}
      {member && (
        <MemberForm
          group={group.id}
          member={member === 'new' ? undefined : member}
          close={() => setMember(null)}
        />
      )}
    </Page>
  );
}
