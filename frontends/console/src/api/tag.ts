// A change says what it was decided on: with the thing's tag it is made on what was seen, or refused.

import { useState } from 'react';

type Tagged = { etag?: string | null } | undefined;

/** The tag of a thing as it was when its form was opened: what is read anew meanwhile isn't what the form shows. */
export function useTag(thing: Tagged): string | undefined {
  const [tag] = useState(thing?.etag ?? undefined);
  return tag;
}

export function tagged(tag: string | null | undefined): Record<string, string> {
  return tag ? { 'if-match': `"${tag}"` } : {};
}
