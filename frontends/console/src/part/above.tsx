// The limits of what a key belongs to: they hold for its calls as much as its own.

import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { api, type Schemas, take } from '../api/client';
import { may, useMe } from '../app/session';
import { useName } from './name';
import { LimitStates } from './use';

type Scope = 'membership' | 'group' | 'user' | 'organization';
type Above = { scope: Scope; id: string; name: string; to?: string };

/** Who else's limits hold for a key: its membership and group, its user where the gateway says so, and its organization. */
export function above(
  key: Pick<Schemas['Key'], 'group' | 'user' | 'organization' | 'user_limits_apply'>,
): { scope: Scope; id: string }[] {
  const found: { scope: Scope; id: string }[] = [];
  if (key.group && key.user) found.push({ scope: 'membership', id: `${key.group}/${key.user}` });
  if (key.group) found.push({ scope: 'group', id: key.group });
  if (key.user && key.user_limits_apply) found.push({ scope: 'user', id: key.user });
  found.push({ scope: 'organization', id: key.organization });
  return found;
}

export function LimitsAbove({ of }: { of: Schemas['Key'] }) {
  const me = useMe();
  const group = useName('groups');
  const user = useName('users');
  const organization = useName('organizations');
  const all: Above[] = above(of).map((it) => {
    const [place, member = ''] = it.id.split('/');
    const id = place ?? '';
    switch (it.scope) {
      case 'membership':
        return { ...it, name: `${user(member)} · ${group(id)}`, to: `/groups/${encodeURIComponent(id)}` };
      case 'group':
        return { ...it, name: group(id), to: `/groups/${encodeURIComponent(id)}` };
      case 'user':
        return {
          ...it,
          name: user(id),
          to: may(me, 'readAll') ? `/users/${encodeURIComponent(id)}` : undefined,
        };
      default:
        return {
          ...it,
          name: organization(id),
          to: may(me, 'organizations') ? `/organizations/${encodeURIComponent(id)}` : undefined,
        };
    }
  });
  return all.map((it) => <Limits key={it.scope} {...it} />);
}

function Limits({ scope, id, name, to }: Above) {
  const { t } = useTranslation();
  const query = { scope, id, limit: '100' };
  const { data } = useQuery({
    queryKey: ['limits', 'of', query],
    queryFn: () => take(api.GET('/api/v1/limits', { params: { query } })),
    refetchInterval: 15_000,
  });
  // What has none, or isn't for this person to see, is left out.
  if (!data?.items.length) return null;
  return (
    <div style={{ marginTop: 24 }}>
      <p className="quiet">
        {t(`why.scope.${scope}`)} {to ? <Link to={to}>{name}</Link> : name}
      </p>
      <LimitStates states={data.items} empty="" of={{ scope, id }} />
    </div>
  );
}
