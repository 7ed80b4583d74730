// What the translation of a call or of its answer lost, as a record keeps it: `dropped PATH: WHY`.

import type { TFunction } from 'i18next';

/** In the reader's language. `said` is what the server says there, the same text where it isn't known. */
export function lossIn(t: TFunction, said: (text: string) => string, loss: string): string {
  const [, kind, rest] = /^(dropped|approximated) (.+)$/s.exec(loss) ?? [];
  const first = rest?.indexOf(': ') ?? -1;
  if (!kind || !rest || first < 0) return said(loss);
  // A path may have a colon, since callers name what is in it: it ends where what follows is known.
  let at = first;
  for (let next = first; next >= 0; next = rest.indexOf(': ', next + 1)) {
    const why = rest.slice(next + 2);
    if (said(why) === why) continue;
    at = next;
    break;
  }
  return `${t(`request.loss.${kind}`)} ${rest.slice(0, at)}${t('why.colon')}${said(rest.slice(at + 2))}`;
}
