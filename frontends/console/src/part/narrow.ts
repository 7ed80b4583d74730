// Whether the page is as narrow as a phone's.

import { useSyncExternalStore } from 'react';

const media = typeof matchMedia === 'function' ? matchMedia('(max-width: 640px)') : undefined;

export function useNarrow(): boolean {
  return useSyncExternalStore(
    (hear) => {
      media?.addEventListener('change', hear);
      return () => media?.removeEventListener('change', hear);
    },
    () => media?.matches ?? false,
  );
}
