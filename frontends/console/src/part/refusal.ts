// Why many things at once were refused: all of them are, for the sake of one.

import { useTranslation } from 'react-i18next';
import type { Schemas } from '../api/client';
import { chineseOf } from './said';

type Item = Schemas['Bulk']['items'][number];

/** Which of them it was, by name, and why; in Chinese as far as the server's sentence is known there. */
export function refusal(items: Item[], language: string, name: (id: string) => string, none: string): string {
  const why = items.find((it) => it.outcome === 'refused');
  if (!why) return none;
  const said = why.message ?? none;
  const words = (language === 'zh' && chineseOf(said)) || said;
  return `${name(why.id)}${language === 'zh' ? '：' : ': '}${words}`;
}

export type Refused = (items: Item[]) => string;

/** The same in the reader's language; `none` where nothing says why. */
export function useRefused(name: (id: string) => string, none: string): Refused {
  const { i18n } = useTranslation();
  return (items) => refusal(items, i18n.language, name, none);
}
