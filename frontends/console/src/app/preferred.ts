// What the browser keeps of how this person likes the console. Without React, since the first script asks it, too.

import type { Language } from './language';

export type Preference = {
  language: Language;
  colours: 'system' | 'light' | 'dark';
  /** An IANA name; empty: the browser's. */
  zone: string;
  currency: 'USD' | 'CNY';
  /** CNY for one USD, for showing amounts. What is charged and limited is in USD. */
  rate: number;
};

const STORED = 'sluicegate.preference';

export function preferred(): Preference {
  const chinese = navigator.languages.some((it) => it.toLowerCase().startsWith('zh'));
  const plain: Preference = {
    language: chinese ? 'zh' : 'en',
    colours: 'system',
    zone: '',
    currency: 'USD',
    rate: 7.1,
  };
  try {
    return { ...plain, ...JSON.parse(localStorage.getItem(STORED) ?? '{}') };
  } catch {
    return plain; // a browser that keeps nothing, or something that isn't ours
  }
}

export function keep(value: Preference): void {
  try {
    localStorage.setItem(STORED, JSON.stringify(value));
  } catch {
    // It lasts as long as the page, then.
  }
}

export function zoneOf(value: Pick<Preference, 'zone'>): string {
  return value.zone || Intl.DateTimeFormat().resolvedOptions().timeZone;
}
