// What the channel form knows of providers, and how it writes a channel down.

import { api, type Schemas, take } from '../api/client';

export type Provider = Schemas['Provider'];
export type Endpoint = Schemas['ChannelForm']['endpoints'][number];

/** The catalogue; a page of a list has 1,000 at most, and there are a few hundred. */
export async function providers(): Promise<Provider[]> {
  return (await take(api.GET('/api/v1/providers', { params: { query: { limit: '1000' } } }))).items;
}

type Named = { label: string; value: string; chinese?: string };

/** What a provider is called: in Chinese by its usual name there, in front of the one that it has everywhere. */
export function titleOf({ name, chinese }: Provider, language: string): string {
  const own = language === 'zh' ? chinese[0] : undefined;
  return own && !name.includes(own) ? `${own} · ${name}` : name;
}

/** Which of two that were found is meant sooner: who is called so, then whose name begins so, then as the catalogue has them. */
export function nearer(searched: string, a: Named, b: Named): number {
  const text = searched.trim().toLowerCase();
  const far = ({ label, value, chinese = '' }: Named) => {
    const names = [label.toLowerCase(), value.toLowerCase(), ...chinese.split(' ')];
    if (names.includes(text)) return 0;
    return names.some((it) => it.startsWith(text)) ? 1 : 2;
  };
  return far(a) - far(b);
}

type Model = Schemas['ChannelModel'];

/** What is written of one model: prices for a million tokens, as people say them. */
export type Own = Partial<
  Record<'input' | 'output' | 'cache_read' | 'cache_write' | 'context_window' | 'max_output', number | null>
>;
export const PRICES = ['input', 'output', 'cache_read', 'cache_write'] as const;
export const BOUNDS = ['context_window', 'max_output'] as const;
export type ModelValues = { group: string; upstream?: string; own?: Own };

/** Pico-units of the currency a token are millionths of one for a million tokens. */
const PICO = 1e6;

/** What a model is known to cost, as a form shows it. */
export function ownOf(model: Model): Own {
  const own: Own = {};
  for (const it of PRICES) if (model.price?.[it] != null) own[it] = model.price[it] / PICO;
  for (const it of BOUNDS) if (model[it] != null) own[it] = model[it];
  return own;
}

/** A model with what a form says of it; whatever the form doesn't show stays. */
export function withOwn(model: Model, own: Own | undefined): Model {
  if (!own) return model;
  const before = ownOf(model);
  const other = <T extends keyof Own>(name: T) => (own[name] ?? null) !== (before[name] ?? null);
  const price: Record<string, unknown> = { ...model.price };
  for (const it of PRICES) if (other(it)) price[it] = own[it] == null ? null : Math.round(own[it] * PICO);
  const bounds = Object.fromEntries(BOUNDS.filter(other).map((it) => [it, own[it] ?? null]));
  return { ...model, ...bounds, ...(PRICES.some(other) && { price: price as Model['price'] }) };
}

/** Whether anything is said of it. */
function says(own: Own | undefined): boolean {
  return Object.values(own ?? {}).some((it) => it != null);
}

const IN_FILES: Record<(typeof PRICES)[number], string> = {
  input: 'input',
  output: 'output',
  cache_read: 'cached_input',
  cache_write: 'cache_write',
};

/** A model as a configuration file has it. */
function inFile(name: string, upstream: string, own: Own = {}): unknown {
  const said = (of: readonly (keyof Own)[], called: Record<string, string> = {}) =>
    Object.fromEntries(of.filter((it) => own[it] != null).map((it) => [called[it] ?? it, own[it]]));
  const price = said(PRICES, IN_FILES);
  const more = { ...said(BOUNDS), ...(Object.keys(price).length > 0 && { price }) };
  return name === upstream && !says(own) ? name : { name, upstream, ...more };
}

/** Whether where a channel sends its credential is another address, or another way, than before. */
export function moves(values: ChannelValues, before: Schemas['Channel']): boolean {
  const plain = (it: unknown) => JSON.stringify(it);
  const ends = (all: Endpoint[] | undefined) => plain((all ?? []).map((it) => [it?.format, it?.url?.trim()]));
  return (
    ends(values.endpoints) !== ends(before.endpoints) ||
    plain(auth(values) ?? 'bearer') !== plain(before.auth ?? 'bearer')
  );
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
  models: ModelValues[];
  groups?: string[];
  tags?: string[];
  priority?: number;
  weight?: number;
  enabled?: boolean;
};

function named(values: ChannelValues) {
  return (values.models ?? [])
    .filter((it) => it?.group?.trim())
    .map((it) => ({
      name: it.group.trim(),
      upstream: it.upstream?.trim() || it.group.trim(),
      own: it.own,
    }));
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
    models: named(values).map((it) => inFile(it.name, it.upstream, it.own)),
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
    if (!known && it.name === it.upstream && !says(it.own)) return it.name;
    return withOwn(known ?? { group: it.name, upstream: it.upstream }, it.own);
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
    ...(values.secret?.trim()
      ? { secret: values.secret.trim() }
      : // Nothing is sent there any more: the credential goes with the way that it was meant for.
        values.auth === 'none' && moves(values, before) && { secret: '' }),
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
