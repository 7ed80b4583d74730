// What to do where nothing was called yet: one step after the other, those that are done marked as such.

import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { api, take } from '../api/client';
import { may, useMe } from '../app/session';
import { Panel } from '../part/plain';

type Step = { name: string; to: string; done: boolean | undefined };

export function FirstSteps() {
  const { t } = useTranslation();
  const me = useMe();
  const query = { limit: '1' };
  const owns = may(me, 'super');
  const leads = may(me, 'organization');
  const count = (kind: string, enabled: boolean, read: () => Promise<{ total: number }>) => ({
    queryKey: [kind, 'count'],
    queryFn: async () => (await read()).total,
    enabled,
  });
  const channels = useQuery({
    queryKey: ['channels', 'first'],
    // The channel for a first try is there without anybody's doing, and calls nobody.
    queryFn: async () => {
      const found = await take(api.GET('/api/v1/channels', { params: { query: { limit: '2' } } }));
      return found.items.some((it) => it.provider !== 'mock');
    },
    enabled: owns,
  });
  const groups = useQuery(
    count('groups', true, () => take(api.GET('/api/v1/groups', { params: { query } }))),
  );
  const users = useQuery(count('users', leads, () => take(api.GET('/api/v1/users', { params: { query } }))));
  const keys = useQuery(count('keys', true, () => take(api.GET('/api/v1/keys', { params: { query } }))));
  const some = (total: number | undefined, least = 1) => (total === undefined ? undefined : total >= least);
  const steps: (Step | false)[] = [
    owns && { name: 'channel', to: '/channels?create=1', done: channels.data },
    leads && { name: 'group', to: '/groups?create=1', done: some(groups.data) },
    // Whoever reads this is the first one.
    leads && { name: 'user', to: '/users?create=1', done: some(users.data, 2) },
    may(me, 'write') && { name: 'key', to: '/keys?create=1', done: some(keys.data) },
    may(me, 'write') && { name: 'call', to: '/playground', done: false },
  ];
  const shown = steps.filter((it): it is Step => it !== false);
  if (shown.length === 0) return null;
  const next = shown.findIndex((it) => it.done === false);
  return (
    <Panel title={t('overview.start')}>
      <ol className="first">
        {shown.map((it, index) => (
          <li key={it.name} aria-current={index === next ? 'step' : undefined}>
            <span className={it.done ? 'first-mark first-done' : 'first-mark'} aria-hidden="true">
              {it.done ? '✓' : index + 1}
            </span>
            <span>
              <Link to={it.to}>{t(`first.${it.name}`)}</Link>
              {it.done && <span className="quiet"> {t('first.done')}</span>}
              <span className="quiet" style={{ display: 'block' }}>
                {t(`first.${it.name}Hint`)}
              </span>
            </span>
          </li>
        ))}
      </ol>
    </Panel>
  );
}
