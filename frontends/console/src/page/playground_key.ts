// The key that somebody talks to models with here: one for each person and group, given a new secret each time, so that no list
// of keys fills up with those that ran out.

import { ApiError, api, take } from '../api/client';
import { keyOwner } from '../app/right';
import type { Me } from '../app/session';

const LIFETIME = '1h';

/** Makes it, or goes on with the one that is there; gives its secret. In a group that one isn't in it is nobody's. */
export async function ownKey(me: Me, group: { id: string; name: string } | undefined): Promise<string> {
  const user = keyOwner(me, group?.id);
  const alias = ['playground', me.user, group?.name].filter(Boolean).join(' · ').slice(0, 128);
  const query = { search: alias, limit: '100', ...(user && { user }) };
  const found = await take(api.GET('/api/v1/keys', { params: { query } }));
  const there = found.items.find(
    (it) =>
      it.alias === alias && (it.group ?? undefined) === group?.id && (it.user ?? null) === (user ?? null),
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
    return (await make(`${alias} ${new Date().toISOString()}`.slice(-128))).secret;
  }
}
