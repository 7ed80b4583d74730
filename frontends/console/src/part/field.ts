// Which field of a form the server means.

type Name = (string | number)[];

/** `limits.spend.day`, `models[0].price` and the like as the path of whatever field of the form holds that; the nearest one. */
export function fieldOf(param: string, names: Name[], other: Record<string, string> = {}): Name | undefined {
  // A field may have dots in its own name.
  const own = param.includes('.') ? names.find((name) => name[0] === param) : undefined;
  if (own) return own;
  const [first = '', ...rest] = param.split(/[.[\]/]+/).filter(Boolean);
  const path = [other[first] ?? first, ...rest];
  const holds = (name: Name) =>
    name.length <= path.length && name.every((part, at) => String(part) === path[at]);
  return names.filter(holds).sort((a, b) => b.length - a.length)[0];
}
