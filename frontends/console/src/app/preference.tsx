// How this person likes the console: language, colours, time zone and currency. Kept in the browser.

import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from 'react';
import { changeLanguage, type Language } from './language';

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

function initial(): Preference {
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

type Held = { value: Preference; change: (part: Partial<Preference>) => void; dark: boolean };

const Context = createContext<Held | null>(null);

export const firstLanguage = initial().language;

export function PreferenceProvider({ children }: { children: ReactNode }) {
  const [value, set] = useState(initial);
  const [systemDark, setSystemDark] = useState(() => matchMedia('(prefers-color-scheme: dark)').matches);
  useEffect(() => {
    const media = matchMedia('(prefers-color-scheme: dark)');
    const listen = () => setSystemDark(media.matches);
    media.addEventListener('change', listen);
    return () => media.removeEventListener('change', listen);
  }, []);
  useEffect(() => {
    void changeLanguage(value.language);
  }, [value.language]);
  const dark = value.colours === 'system' ? systemDark : value.colours === 'dark';
  useEffect(() => {
    document.documentElement.style.colorScheme = dark ? 'dark' : 'light';
  }, [dark]);
  const held = useMemo<Held>(
    () => ({
      value,
      dark,
      change: (part) =>
        set((before) => {
          const after = { ...before, ...part };
          try {
            localStorage.setItem(STORED, JSON.stringify(after));
          } catch {
            // It lasts as long as the page, then.
          }
          return after;
        }),
    }),
    [value, dark],
  );
  return <Context.Provider value={held}>{children}</Context.Provider>;
}

export function usePreference(): Held {
  const held = useContext(Context);
  if (!held) throw new Error('a page stands outside of the preferences');
  return held;
}
