// A model that a key may ask for, to name in what is pasted into programs.

import { ApiError, api, type Schemas, take } from '../api/client';
import { isFor } from './broken';

type Model = Pick<Schemas['Model'], 'name' | 'alias_of' | 'enabled_channels' | 'groups'>;

/** What a key may ask for: what each of these lists allows, an empty one everything; and which labels it has as a group's. */
export type Bounds = { lists: string[][]; labels: string[] };

/** One that is named where it may be asked for, else the first that is; nothing where none is known. */
export function callable(models: Model[], { lists, labels }: Bounds): string | undefined {
  const may = (...names: string[]) =>
    lists.every((list) => list.length === 0 || names.some((name) => list.some((it) => isFor(it, name))));
  const served = models.filter(
    (it) => it.enabled_channels > 0 && (!it.groups || it.groups.some((label) => labels.includes(label))),
  );
  const named = lists.flat().filter((it) => !it.includes('*') && may(it));
  const first = served.find((it) => !it.name.includes('*') && may(it.name, it.alias_of ?? it.name));
  return named.find((name) => served.some((it) => isFor(it.name, name))) ?? first?.name;
}

/** Whose a key is, as far as that bounds it. */
export type Owned = Pick<Schemas['Key'], 'models' | 'group' | 'user' | 'organization'>;

/** What somebody may not see doesn't bound what they are shown: of models they are told theirs alone. */
async function known<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 403 || error.status === 404)) return undefined;
    throw error;
  }
}

/** `all` for whoever is told of other people and of organizations. */
export async function modelFor(key: Owned, all: boolean): Promise<string | undefined> {
  const { group, user, organization } = key;
  const [models, ofGroup, ofUser, ofAll] = await Promise.all([
    take(api.GET('/api/v1/models', { params: { query: { limit: '1000' } } })),
    group ? known(take(api.GET('/api/v1/groups/{group}', { params: { path: { group } } }))) : undefined,
    // Somebody's own models bound what spends for no group.
    !group && user && all
      ? known(take(api.GET('/api/v1/users/{user}', { params: { path: { user } } })))
      : undefined,
    all
      ? known(take(api.GET('/api/v1/organizations/{organization}', { params: { path: { organization } } })))
      : undefined,
  ]);
  const lists = [key.models, ofGroup?.models ?? [], ofUser?.models ?? [], ofAll?.models ?? []];
  return callable(models.items, { lists, labels: [group, ofGroup?.alias].filter((it) => it != null) });
}
