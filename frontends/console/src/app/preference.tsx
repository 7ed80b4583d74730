// How this person likes the console: language, colours, time zone and currency. Kept in the browser.

import {
  createContext,
  type ReactNode,
  useContext,
  useEffect,
  useLayoutEffect,
  useMemo,
  useState,
} from 'react';
import { paint } from './colour';
import { changeLanguage } from './language';
import { keep, type Preference, preferred } from './preferred';

export type { Preference };

type Held = { value: Preference; change: (part: Partial<Preference>) => void; dark: boolean };

const Context = createContext<Held | null>(null);

export function PreferenceProvider({ children }: { children: ReactNode }) {
  const [value, set] = useState(preferred);
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
  useLayoutEffect(() => paint(dark), [dark]);
  const held = useMemo<Held>(
    () => ({
      value,
      dark,
      change: (part) =>
        set((before) => {
          const after = { ...before, ...part };
          keep(after);
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
