// What refused a call before a route was looked for. Its record says of what kind it was; what it was shows in how the key, and what it
// belongs to, stand now.

type Scope = 'key' | 'group' | 'user' | 'organization';

/** As much of a key, a group, a user or an organization as refuses calls. */
export type Holder = {
  scope: Scope;
  id: string;
  blocked?: boolean;
  models?: string[];
  aliases?: Record<string, string>;
  expires_at?: number | null;
  allowed_ips?: string[];
};

export type Cause =
  | { why: 'blocked'; scope: Scope; id: string }
  | { why: 'models'; scope: Scope; id: string; models: string[] }
  | { why: 'expired'; scope: Scope; id: string; at: number }
  | { why: 'address'; scope: Scope; id: string; from: string[] }
  | { why: 'unserved' };

/** Whether one of the names, or prefixes that end in `*`, is the model's; none are every model's. */
export function allows(models: string[], model: string): boolean {
  const fits = (it: string) => (it.endsWith('*') ? model.startsWith(it.slice(0, -1)) : it === model);
  return models.length === 0 || models.some(fits);
}

type Call = { error: string; model: string; at: number };

/** `served` is whether any channel serves the model; undefined where nobody can tell. */
export function causes({ error, model, at }: Call, holders: Holder[], served: boolean | undefined): Cause[] {
  const found: Cause[] = [];
  if (error === 'model_not_found') {
    const names = [model, ...holders.flatMap((it) => it.aliases?.[model] ?? [])];
    for (const { scope, id, models = [] } of holders) {
      if (!names.some((name) => allows(models, name))) found.push({ why: 'models', scope, id, models });
    }
    if (served === false && names.length === 1) found.push({ why: 'unserved' });
    return found;
  }
  for (const it of holders) {
    const { scope, id } = it;
    if (it.blocked) found.push({ why: 'blocked', scope, id });
    if (it.expires_at != null && it.expires_at <= at)
      found.push({ why: 'expired', scope, id, at: it.expires_at });
    if (error === 'forbidden' && it.allowed_ips?.length) {
      found.push({ why: 'address', scope, id, from: it.allowed_ips });
    }
  }
  return found;
}

/** Names that were perhaps meant: those that begin alike, the longest beginning first. */
export function near(model: string, names: string[], most = 3): string[] {
  const low = model.toLowerCase();
  const alike = (name: string) => {
    const other = name.toLowerCase();
    let length = 0;
    while (length < low.length && low[length] === other[length]) length++;
    return length;
  };
  return names
    .map((name) => ({ name, length: alike(name) }))
    .filter((it) => it.length >= 3)
    .sort((a, b) => b.length - a.length)
    .slice(0, most)
    .map((it) => it.name);
}
