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

/** Whose a new key of a group is: of a group that one isn't in it is for others, and of nobody unless one says so. */
export function keyOwner(me: Me, group: string | undefined): string | undefined {
  return !group || me.groups.includes(group) ? (me.user ?? undefined) : undefined;
}

/** Whether a key of theirs must say for which of their groups it spends. */
export function namesGroup(me: Me): boolean {
  const runs = me.role === 'super_admin' || me.role === 'organization_admin';
  return !runs && me.groups.length > 0;
}

/** Whose calls a policy steers; everybody's where it names nobody. */
export type Place = { organization: string | null; group: string | null; key: string | null };

/** Where a new policy of theirs stands, until they choose: as wide as they may. */
export function policyPlace(me: Me): Place {
  const organization = me.role === 'organization_admin' ? (me.organization ?? null) : null;
  const group = me.role === 'super_admin' || organization ? null : (me.administers[0] ?? null);
  return { organization, group, key: null };
}

/** By what they may narrow it. A key's policy is its organization's affair, whoever's group the key is of. */
export function policyNarrows(me: Me): readonly ('organizations' | 'groups' | 'keys')[] {
  const all = me.role === 'super_admin' || me.role === 'organization_admin';
  return all ? ['organizations', 'groups', 'keys'] : ['groups'];
}

/** Whether a policy that is there is theirs to change. */
export function changesPolicy(me: Me, it: { organization?: string | null; group?: string | null }): boolean {
  if (!it.organization) return me.role === 'super_admin';
  return runs(me, it.organization) || (it.group != null && me.administers.includes(it.group));
}
