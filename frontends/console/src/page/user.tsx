import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Alert, App, Button, Card, Descriptions, Empty, Skeleton, Table } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate, useParams, useSearchParams } from 'react-router';
import { api, type Schemas, take } from '../api/client';
import { may, useMe } from '../app/session';
import { useAtOnce } from '../part/at_once';
import { Author } from '../part/author';
import { FromFile, Models, Named, Standing } from '../part/badge';
import { blocking, keysOf } from '../part/broken';
import { useConfirm } from '../part/confirm';
import { Failure, useWords } from '../part/failure';
import { useFormat } from '../part/format';
import { Page } from '../part/page';
import { SecretOnce } from '../part/secret';
import { SessionTable, TokenTable } from '../part/sign_in';
import { Sums } from '../part/sums';
import { Fullest, LimitStates } from '../part/use';
import { MemberForm } from './group_form';
import { UserForm } from './user_form';

export default function UserPage() {
  const { t } = useTranslation();
  const { user: id = '' } = useParams();
  const [query, setQuery] = useSearchParams();
  const me = useMe();
  const format = useFormat();
  const confirm = useConfirm();
  const atOnce = useAtOnce('users');
  const { message } = App.useApp();
  const words = useWords();
  const navigate = useNavigate();
  const client = useQueryClient();
  const [editing, setEditing] = useState(false);
  const [joining, setJoining] = useState(false);
  const [password, setPassword] = useState<string | null>(null);
  const [invitation, setInvitation] = useState<string | null>(null);
  const path = { user: id };
  const read = useQuery({
    queryKey: ['users', 'one', id],
    queryFn: () => take(api.GET('/api/v1/users/{user}', { params: { path } })),
    // Its limits are used meanwhile.
    refetchInterval: 15_000,
  });
  const user = read.data;
  const parent = { to: '/users', name: t('nav.users') };
  if (!user) {
    return (
      <Page title={id} parent={parent}>
        {read.error ? <Failure error={read.error} again={() => read.refetch()} /> : <Skeleton active />}
      </Page>
    );
  }
  const write = may(me, 'organization') && user.source === 'database';
  const name = user.alias ?? user.email ?? user.id;
  const change = (body: { blocked: boolean } | { alias: string }) =>
    atOnce([user.id], body, () => take(api.PATCH('/api/v1/users/{user}', { params: { path }, body })));
  const give = async () => {
    const given = await take(api.POST('/api/v1/users/{user}/password', { params: { path }, body: {} }));
    setPassword(given.password);
    await client.invalidateQueries({ queryKey: ['sessions', id] });
  };
  const invite = async () => {
    const made = await take(api.POST('/api/v1/users/{user}/invitation', { params: { path } }));
    // Where the gateway doesn't know its public address, this page does.
    setInvitation(new URL(made.url, window.location.origin).href);
  };
  /** The first way in of somebody who has none, whom nothing is taken from by it. */
  const begin = (how: () => Promise<void>) =>
    how().then(
      () => setQuery({}, { replace: true }),
      (error: Error) => message.error(words(error)),
    );
  return (
    <Page
      title={name}
      rename={write ? (alias) => change({ alias }) : undefined}
      parent={parent}
      note={
        <>
          {t(`role.${user.role}`)} <Standing blocked={user.blocked} /> <FromFile source={user.source} />
        </>
      }
      actions={
        <>
          <Link to={`/keys?user=${encodeURIComponent(user.id)}`}>{t('group.keys')}</Link>
          <Link to={`/requests?user=${encodeURIComponent(user.id)}`}>{t('key.calls')}</Link>
          {write && (
            <>
              <Button onClick={() => setEditing(true)}>{t('form.change')}</Button>
              <Button
                onClick={() =>
                  confirm({
                    title: t('user.inviteTitle', { name }),
                    breaks: t('user.inviteBreaks'),
                    action: t('user.invite'),
                    run: invite,
                  })
                }
              >
                {t('user.invite')}
              </Button>
              <Button
                onClick={() =>
                  confirm({
                    title: t('user.passwordTitle', { name }),
                    breaks: t('user.passwordBreaks'),
                    action: t('user.password'),
                    run: give,
                  })
                }
              >
                {t('user.password')}
              </Button>
              <Button
                onClick={() =>
                  confirm({
                    title: t('user.stepTitle', { name }),
                    breaks: t('user.stepBreaks'),
                    action: t('user.step'),
                    run: async () => {
                      await take(api.DELETE('/api/v1/users/{user}/second-step', { params: { path } }));
                      message.success(t('form.saved'));
                    },
                  })
                }
              >
                {t('user.step')}
              </Button>
              <Button
                onClick={() =>
                  user.blocked
                    ? change({ blocked: false })
                    : confirm({
                        ...blocking(t, name, { user: user.id }),
                        run: () => change({ blocked: true }),
                      })
                }
              >
                {t(user.blocked ? 'state.unblock' : 'state.block')}
              </Button>
              <Button
                danger
                onClick={() =>
                  confirm({
                    title: t('user.deleteTitle', { name }),
                    breaks: async () =>
                      t('user.deleteBreaks', {
                        count: await keysOf({ user: user.id }),
                        groups: user.memberships.length,
                      }),
                    action: t('form.delete'),
                    run: async () => {
                      await take(api.DELETE('/api/v1/users/{user}', { params: { path } }));
                      navigate('/users');
                      await client.invalidateQueries({ queryKey: ['users'], refetchType: 'none' });
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
        {query.has('fresh') && write && (
          <Alert
            type="info"
            showIcon
            title={t('user.fresh')}
            action={
              <span className="row">
                <Button type="primary" onClick={() => begin(invite)}>
                  {t('user.inviteFirst')}
                </Button>
                <Button onClick={() => begin(give)}>{t('user.passwordFirst')}</Button>
              </span>
            }
          />
        )}
        <Sums sums={user.used} />
        <div className="grid-wide">
          <Card title={t('limit.title')}>
            <LimitStates
              states={user.limit_states}
              empty={t('limit.noneHere')}
              of={{ scope: 'user', id: user.id }}
            />
          </Card>
          <Card title={t('user.about')}>
            <Descriptions
              column={1}
              size="small"
              items={[
                { key: 'id', label: t('form.id'), children: <span className="mono">{user.id}</span> },
                { key: 'e', label: t('user.email'), children: user.email ?? '–' },
                {
                  key: 'o',
                  label: t('form.organization'),
                  children: <Named of="organizations" id={user.organization} />,
                },
                { key: 'm', label: t('key.models'), children: <Models models={user.models} most={12} /> },
                {
                  key: 'c',
                  label: t('form.created'),
                  children: (
                    <>
                      {format.time(user.created_at)}
                      {' ·\u00a0'}
                      <Author of={user.created_by} />
                    </>
                  ),
                },
              ]}
            />
          </Card>
        </div>
        <Card
          title={t('user.memberships')}
          extra={write && <Button onClick={() => setJoining(true)}>{t('user.join')}</Button>}
        >
          <Table<Schemas['Member']>
            aria-label={t('user.memberships')}
            size="small"
            rowKey={(it) => it.group}
            dataSource={user.memberships}
            pagination={false}
            scroll={{ x: 'max-content' }}
            locale={{
              emptyText: (
                <Empty
                  image={Empty.PRESENTED_IMAGE_SIMPLE}
                  description={t(write ? 'user.noGroupsYet' : 'user.noGroups')}
                />
              ),
            }}
            columns={[
              {
                title: t('key.group'),
                dataIndex: 'group',
                render: (group) => <Named of="groups" id={group} />,
              },
              { title: t('group.role'), dataIndex: 'role', render: (role) => t(`role.${role}`) },
              {
                title: t('limit.fullest'),
                key: 'limits',
                render: (_, it) => <Fullest states={it.limit_states} />,
              },
            ]}
          />
        </Card>
        {may(me, 'organization') && <SessionTable user={user.id} />}
        {may(me, 'organization') && <TokenTable user={user.id} />}
      </div>
      {joining && <MemberForm user={user.id} close={() => setJoining(false)} />}
      {editing && <UserForm user={user} close={() => setEditing(false)} />}
      {invitation !== null && (
        <SecretOnce secret={invitation} title={t('user.invitation')} close={() => setInvitation(null)} />
      )}
      {password !== null && (
        <SecretOnce secret={password} title={t('user.given')} close={() => setPassword(null)} />
      )}
    </Page>
  );
}
