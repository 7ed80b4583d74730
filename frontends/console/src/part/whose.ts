// Whose limits a call was asked of: each by what it is called, and where its page is.

import { useCallback } from 'react';
import { may, useMe } from '../app/session';
import { useName } from './name';

/** Who made a call, as its record says. */
export type Caller = {
  key?: string | null;
  user?: string | null;
  group?: string | null;
  organization?: string | null;
  customer?: string | null;
};

export type Whose = { name: string; to?: string };

/** What the scope of a limit is called for a call, where the call says so. */
export function useWhose(caller: Caller | undefined): (scope: string) => Whose | undefined {
  const me = useMe();
  const [key, group, user, organization] = [
    useName('keys'),
    useName('groups'),
    useName('users'),
    useName('organizations'),
  ];
  const readAll = may(me, 'readAll');
  return useCallback(
    (scope: string) => {
      if (!caller) return undefined;
      const page = (place: string, id: string, open: boolean) =>
        open ? `/${place}/${encodeURIComponent(id)}` : undefined;
      switch (scope) {
        case 'key':
          return caller.key ? { name: key(caller.key), to: page('keys', caller.key, true) } : undefined;
        case 'group':
          return caller.group
            ? { name: group(caller.group), to: page('groups', caller.group, true) }
            : undefined;
        case 'membership':
          return caller.group && caller.user
            ? {
                name: `${user(caller.user)} · ${group(caller.group)}`,
                to: page('groups', caller.group, true),
              }
            : undefined;
        case 'user':
          return caller.user
            ? { name: user(caller.user), to: page('users', caller.user, readAll) }
            : undefined;
        case 'organization':
          return caller.organization
            ? {
                name: organization(caller.organization),
                to: page('organizations', caller.organization, may(me, 'organizations')),
              }
            : undefined;
        case 'customer':
          return caller.customer ? { name: caller.customer } : undefined;
        default:
          return undefined;
      }
    },
    [caller, key, group, user, organization, readAll, me],
  );
}
