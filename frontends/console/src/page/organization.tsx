import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Button, Card, Skeleton } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate, useParams } from 'react-router';
import { api, take } from '../api/client';
import { may, useMe } from '../app/session';
import { useAtOnce } from '../part/at_once';
import { FromFile, Standing } from '../part/badge';
import { blocking } from '../part/broken';
import { useConfirm } from '../part/confirm';
import { Failure } from '../part/failure';
import { Page } from '../part/page';
import { Sums } from '../part/sums';
import { LimitStates } from '../part/use';
import { OrganizationForm } from './organization_form';

export default function OrganizationPage() {
  const { t } = useTranslation();
  const { organization: id = '' } = useParams();
  const me = useMe();
  const confirm = useConfirm();
  const atOnce = useAtOnce('organizations');
  const navigate = useNavigate();
  const client = useQueryClient();
  const [editing, setEditing] = useState(false);
  const path = { organization: id };
  const query = useQuery({
    queryKey: ['organizations', 'one', id],
    queryFn: () => take(api.GET('/api/v1/organizations/{organization}', { params: { path } })),
    refetchInterval: 15_000,
  });
  const it = query.data;
  const parent = { to: '/organizations', name: t('nav.organizations') };
  if (!it) {
    return (
      <Page title={id} parent={parent}>
        {query.error ? <Failure error={query.error} again={() => query.refetch()} /> : <Skeleton active />}
      </Page>
    );
  }
  const write = may(me, 'super') && it.source === 'database';
  const of = encodeURIComponent(it.id);
  const name = it.alias ?? it.id;
  const change = (body: { blocked: boolean } | { alias: string }) =>
    atOnce([it.id], body, () =>
      take(api.PATCH('/api/v1/organizations/{organization}', { params: { path }, body })),
    );
  return (
    <Page
      title={name}
      rename={write ? (alias) => change({ alias }) : undefined}
      parent={parent}
      note={
        <>
          <Standing blocked={it.blocked} /> <FromFile source={it.source} />
        </>
      }
      actions={
        <>
          <Link to={`/groups?organization=${of}`}>{t('nav.groups')}</Link>
          <Link to={`/users?organization=${of}`}>{t('nav.users')}</Link>
          <Link to={`/keys?organization=${of}`}>{t('nav.keys')}</Link>
          <Link to={`/requests?organization=${of}`}>{t('key.calls')}</Link>
          {write && <Button onClick={() => setEditing(true)}>{t('form.change')}</Button>}
          {write && (
            <>
              <Button
                onClick={() =>
                  it.blocked
                    ? change({ blocked: false })
                    : confirm({
                        ...blocking(t, name, { organization: it.id }),
                        run: () => change({ blocked: true }),
                      })
                }
              >
                {t(it.blocked ? 'state.unblock' : 'state.block')}
              </Button>
              <Button
                danger
                onClick={() =>
                  confirm({
                    title: t('organization.deleteTitle', { name: it.alias ?? it.id }),
                    breaks: t('organization.deleteBreaks'),
                    action: t('form.delete'),
                    run: async () => {
                      await take(api.DELETE('/api/v1/organizations/{organization}', { params: { path } }));
                      navigate('/organizations');
                      await client.invalidateQueries({ queryKey: ['organizations'], refetchType: 'none' });
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
        <Sums sums={it.used} />
        <Card title={t('limit.title')}>
          <LimitStates
            states={it.limit_states}
            empty={t('limit.noneHere')}
            of={{ scope: 'organization', id: it.id }}
          />
        </Card>
      </div>
      {editing && <OrganizationForm organization={it} close={() => setEditing(false)} />}
    </Page>
  );
}
