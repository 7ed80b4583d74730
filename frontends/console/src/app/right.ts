// What somebody may do to one thing, as the server decides it: what it would always refuse isn't offered.

import type { Me } from './session';

type Key = { organization: string; group?: string | null; user?: string | null; created_by: string };

/** To whom an organization's things are theirs to change. */
export function runs(me: Me, organization: string): boolean {
  return me.role === 'super_admin' || (me.role === 'organization_admin' && me.organization === organization);
}

/**
 * `full`: anything. `maker`: one's own that one made oneself, anything but to unblock it. `owner`: one's own that somebody else
 * made: to name it, block it, renew its secret and delete it.
 */
export type KeyRight = 'full' | 'maker' | 'owner' | 'none';

export function keyRight(me: Me, key: Key): KeyRight {
  if (runs(me, key.organization) || (key.group && me.administers.includes(key.group))) return 'full';
  if (me.role === 'auditor' || !me.user || key.user !== me.user) return 'none';
  return key.created_by === me.name ? 'maker' : 'owner';
}
