// What the server refused, in a language that it doesn't speak: sentence by sentence where they are known, else by its code and the field that it
// names.

import type { TFunction } from 'i18next';
import { chineseOf } from './said';

type Refused = { code: string; param?: string; message?: string };

/** The sentence that is known for it, and whether that says all there is to say; nothing where its kind isn't known here. */
export function meaning(
  t: TFunction,
  { code, param, message = '' }: Refused,
): { text: string; whole: boolean } | undefined {
  const word = (key: string) => t(key, { defaultValue: '' });
  const said = chineseOf(message);
  if (said && !isHalf(said)) return { text: said, whole: true };
  const [field = ''] = (param ?? '').split(/[.[\]/]+/);
  const exact = field && word(`failure.of.${code}.${field}`);
  if (exact) return { text: exact, whole: true };
  const kind = word(`failure.kind.${code}`) || word(`kind.${code}`);
  if (!kind) return undefined;
  const name = field && word(`failure.field.${field}`);
  return { text: name ? t('failure.about', { kind: kind.replace(/[.。]$/, ''), name }) : kind, whole: false };
}

/** Whether a sentence goes on in English: some words in a row, and not in backticks, where names are. */
function isHalf(said: string): boolean {
  return /[a-z']+(?: [a-z']+){3}/i.test(said.replace(/`[^`]*`/g, ''));
}
