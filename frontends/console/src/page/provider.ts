// What the channel form knows of providers, and how it writes a channel down.

import { api, type Schemas, take } from '../api/client';

export type Provider = Schemas['Provider'];
export type Endpoint = Schemas['ChannelForm']['endpoints'][number];

/** The catalogue; a page of a list has 1,000 at most, and there are a few hundred. */
export async function providers(): Promise<Provider[]> {
  return (await take(api.GET('/api/v1/providers', { params: { query: { limit: '1000' } } }))).items;
}

export type ChannelValues = {
  id?: string;
  name: string;
  provider: string;
  address?: string;
  endpoints?: Endpoint[];
  auth?: string;
  header?: string;
  secret?: string;
  environment?: string;
  models: { group: string; upstream?: string }[];
  groups?: string[];
  tags?: string[];
  priority?: number;
  weight?: number;
  enabled?: boolean;
};

function named(values: ChannelValues) {
  return (values.models ?? [])
    .filter((it) => it?.group?.trim())
    .map((it) => ({ name: it.group.trim(), upstream: it.upstream?.trim() || it.group.trim() }));
}

function auth(values: ChannelValues) {
  return values.auth === 'header' ? { header: values.header?.trim() ?? '' } : values.auth;
}

/** A new channel, as a configuration file has it: the catalogue fills in what isn't said. */
export function declared(values: ChannelValues, card: Provider | undefined): Record<string, unknown> {
  const address = values.address?.trim();
  const environment = values.environment?.trim();
  const own = values.endpoints?.filter((it) => it?.url) ?? [];
  return {
    ...(values.id?.trim() && { id: values.id.trim() }),
    name: values.name?.trim(),
    provider: values.provider,
    ...(own.length > 0
      ? { endpoints: own }
      : address && address !== card?.form.address
        ? { url: address }
        : {}),
    ...(values.auth && { auth: auth(values) }),
    ...(environment && { credential: `\${${environment}}` }),
    models: named(values).map((it) => (it.name === it.upstream ? it.name : it)),
    groups: values.groups ?? [],
    tags: values.tags ?? [],
    priority: values.priority ?? 0,
    weight: values.weight ?? 1,
    enabled: values.enabled ?? true,
  };
}

/** What is changed of a channel that is there: models that it has keep what is known of them. */
export function edit(values: ChannelValues, before: Schemas['Channel']): Schemas['ChannelEdit'] {
  const models = named(values).map((it) => {
    const known = before.models.find((model) => model.group === it.name && model.upstream === it.upstream);
    return known ?? (it.name === it.upstream ? it.name : { group: it.name, upstream: it.upstream });
  });
  const next: Record<string, unknown> = {
    name: values.name.trim(),
    provider: values.provider,
    endpoints: values.endpoints ?? [],
    auth: auth(values) ?? 'bearer',
    models,
    groups: values.groups ?? [],
    tags: values.tags ?? [],
    priority: values.priority ?? 0,
    weight: values.weight ?? 1,
    enabled: values.enabled ?? true,
  };
  const old = before as unknown as Record<string, unknown>;
  const same = (name: string) => JSON.stringify(next[name]) === JSON.stringify(old[name] ?? DEFAULT[name]);
  return {
    ...Object.fromEntries(Object.entries(next).filter(([name]) => !same(name))),
    ...(values.secret?.trim() && { secret: values.secret.trim() }),
  } as Schemas['ChannelEdit'];
}

const DEFAULT: Record<string, unknown> = {
  auth: 'bearer',
  groups: [],
  tags: [],
  priority: 0,
  weight: 1,
  enabled: true,
};
