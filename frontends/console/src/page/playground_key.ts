// The key that somebody talks to models with here: one for each person and group, given a new secret each time, so that no list
// of keys fills up with those that ran out.

import { ApiError, api, take } from '../api/client';
import { keyOwner } from '../app/right';
import type { Me } from '../app/session';

const LIFETIME = '1h';
/** How much of a name that is taken is kept before the time that tells another from it; 128 are allowed. */
const BEGINS = 100;

/** What it is called: in a group that one isn't in it is nobody's, and another one than one's own once one is. */
export function keyName(
  me: Pick<Me, 'user' | 'groups'>,
  group: { id: string; name: string } | undefined,
): string {
  const guest = me.user && group && !me.groups.includes(group.id);
  return [guest ? 'playground (guest)' : 'playground', me.user, group?.name]
    .filter(Boolean)
    .join(' · ')
    .slice(0, 128);
}

/** Makes it, or goes on with the one that is there; gives its secret. In a group that one isn't in it is nobody's. */
export async function ownKey(me: Me, group: { id: string; name: string } | undefined): Promise<string> {
  const user = keyOwner(me, group?.id);
  const alias = keyName(me, group);
  const query = { search: alias.slice(0, BEGINS), limit: '100', ...(user && { user }) };
  const found = await take(api.GET('/api/v1/keys', { params: { query } }));
  const there = found.items.find(
    (it) =>
      // Where the name was taken, it begins so.
      (it.alias === alias || it.alias?.startsWith(`${alias.slice(0, BEGINS)} `)) &&
      (it.group ?? undefined) === group?.id &&
      (it.user ?? null) === (user ?? null) &&
      it.created_by === me.name,
  );
  if (there) {
    const path = { key: there.id };
    await take(api.PATCH('/api/v1/keys/{key}', { params: { path }, body: { ttl: LIFETIME } }));
    // Another tab may still talk by the one before.
    const body = { grace: LIFETIME };
    return (await take(api.POST('/api/v1/keys/{key}/regenerate', { params: { path }, body }))).secret;
  }
  const make = (alias: string) =>
    take(
      api.POST('/api/v1/keys', {
        body: { alias, group: group?.id ?? null, user: user ?? null, ttl: LIFETIME },
      }),
    );
  try {
    return (await make(alias)).secret;
  } catch (error) {
    // Somebody has called another key so.
    if (!(error instanceof ApiError) || error.status !== 409) throw error;
    return (await make(`${alias.slice(0, BEGINS)} ${new Date().toISOString()}`)).secret;
  }
}
