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

/** How texts, times and amounts are read. What only looks otherwise changes nothing of it, so that what shows them isn't drawn anew. */
export type Spoken = Pick<Preference, 'language' | 'zone' | 'currency' | 'rate'>;

const Context = createContext<Held | null>(null);
const SpokenContext = createContext<Spoken | null>(null);

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
  const { language, zone, currency, rate } = value;
  const spoken = useMemo(() => ({ language, zone, currency, rate }), [language, zone, currency, rate]);
  return (
    <Context.Provider value={held}>
      <SpokenContext.Provider value={spoken}>{children}</SpokenContext.Provider>
    </Context.Provider>
  );
}

export function usePreference(): Held {
  const held = useContext(Context);
  if (!held) throw new Error('a page stands outside of the preferences');
  return held;
}

export function useSpoken(): Spoken {
  const spoken = useContext(SpokenContext);
  if (!spoken) throw new Error('a page stands outside of the preferences');
  return spoken;
}
