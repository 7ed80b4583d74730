// What the translation of a call or of its answer lost, as a record keeps it: `dropped PATH: WHY`.

import type { TFunction } from 'i18next';

/** In the reader's language. `said` is what the server says there. */
export function lossIn(t: TFunction, said: (text: string) => string, loss: string): string {
  const [, kind, path, why] = /^(dropped|approximated) (.+?): (.+)$/s.exec(loss) ?? [];
  if (!kind || !why) return said(loss);
  return `${t(`request.loss.${kind}`)} ${path}${t('why.colon')}${said(why)}`;
}
