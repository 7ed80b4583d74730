// A model that a key may ask for, to name in what is pasted into programs.

import { ApiError, api, type Schemas, take } from '../api/client';
import { isFor } from './pattern';

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
  const named = lists.flat().filter((it) => !it.includes('*') && !it.startsWith(ACCESS_GROUP) && may(it));
  const first = served.find((it) => !it.name.includes('*') && may(it.name, it.alias_of ?? it.name));
  // What a wildcard alone serves may be a name of anything.
  const known = named.find((name) => served.some((it) => it.name === name));
  return known ?? named.find((name) => served.some((it) => isFor(it.name, name))) ?? first?.name;
}

/** What begins so in a list is an access group's name. Without it a name stands for the model, and for what the group of it holds. */
const ACCESS_GROUP = 'access_group:';

/** A list with what the access groups that it names hold; their own names are no models, unless one is called so. */
export function opened(
  list: string[],
  groups: Pick<Schemas['AccessGroup'], 'id' | 'models'>[],
  models: Model[],
) {
  return list.flatMap((name) => {
    const id = name.startsWith(ACCESS_GROUP) ? name.slice(ACCESS_GROUP.length) : name;
    const held = groups.find((it) => it.id === id)?.models;
    if (!held) return [name];
    // One that holds nothing doesn't allow everything.
    return [models.some((it) => it.name === name) ? name : `${ACCESS_GROUP}${id}`, ...held];
  });
}

/** By which names a group is meant where models are kept to groups: aliases mean nobody outside of the organization `default`. */
export function labelsOf(
  group: Pick<Schemas['Group'], 'id' | 'alias' | 'organization' | 'channels_of'>,
): string[] {
  const alias = group.organization === 'default' ? (group.alias ?? undefined) : undefined;
  return [group.id, ...(alias ? [alias] : []), ...(group.channels_of ?? [])];
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
  const [models, named, ofGroup, ofUser, ofAll] = await Promise.all([
    take(api.GET('/api/v1/models', { params: { query: { limit: '1000' } } })),
    known(take(api.GET('/api/v1/access-groups', { params: { query: { limit: '1000' } } }))),
    group ? known(take(api.GET('/api/v1/groups/{group}', { params: { path: { group } } }))) : undefined,
    // Somebody's own models bound what spends for no group.
    !group && user && all
      ? known(take(api.GET('/api/v1/users/{user}', { params: { path: { user } } })))
      : undefined,
    all
      ? known(take(api.GET('/api/v1/organizations/{organization}', { params: { path: { organization } } })))
      : undefined,
  ]);
  const lists = [key.models, ofGroup?.models ?? [], ofUser?.models ?? [], ofAll?.models ?? []].map((list) =>
    opened(list, named?.items ?? [], models.items),
  );
  return callable(models.items, { lists, labels: ofGroup ? labelsOf(ofGroup) : group ? [group] : [] });
}
