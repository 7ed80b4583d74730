// The provider catalogue, as the channel form reads it.

import { ApiError, ask } from '../api/client';

export type Endpoint = { format: string; url: string };

export type Provider = {
  id: string;
  name: string;
  region?: string;
  models: string[];
  form: {
    credential: 'required' | 'optional' | 'none';
    address_required: boolean;
    address: string;
    placeholders: string[];
    auth: 'bearer' | 'none' | { header: string } | null;
    endpoints: Endpoint[];
  };
};

/** What stands behind the address, for the formats whose addresses end alike everywhere. */
const ENDS: Record<string, string> = {
  openai_chat: '/chat/completions',
  openai_responses: '/responses',
  openai_embeddings: '/embeddings',
  anthropic_messages: '/v1/messages',
};

/** Where no catalogue is served: what speaks one of the two widespread formats. */
const PLAIN: Provider[] = (
  [
    [
      'openai',
      'OpenAI',
      'https://api.openai.com/v1',
      'bearer',
      ['openai_chat', 'openai_responses', 'openai_embeddings'],
    ],
    ['anthropic', 'Anthropic', 'https://api.anthropic.com', { header: 'x-api-key' }, ['anthropic_messages']],
    ['openai-compatible', 'OpenAI-compatible', '', 'bearer', ['openai_chat', 'openai_embeddings']],
  ] as const
).map(([id, name, address, auth, formats]) => ({
  id,
  name,
  models: [],
  form: {
    credential: 'optional',
    address_required: address === '',
    address,
    placeholders: [],
    auth,
    endpoints: formats.map((format) => ({ format, url: address + ENDS[format] })),
  },
}));

export async function providers(): Promise<Provider[]> {
  try {
    const answer = await ask('/api/v1/providers?limit=1000');
    return ((await answer.json()) as { items: Provider[] }).items;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return PLAIN;
    throw error;
  }
}

/** The endpoints at another address: what stands behind the old one stays. */
export function withAddress(card: Provider | undefined, now: Endpoint[], address: string): Endpoint[] {
  const base = address.trim().replace(/\/+$/, '');
  const from = card?.form.endpoints.length ? card.form.endpoints : now;
  const known = card?.form.address.replace(/\/+$/, '') ?? '';
  if (from.length === 0) return base ? [{ format: 'openai_chat', url: `${base}${ENDS.openai_chat}` }] : [];
  return from.map(({ format, url }) => {
    const end =
      known && url.startsWith(known)
        ? url.slice(known.length)
        : (ENDS[format] ?? url.replace(/^https?:\/\/[^/]*/, ''));
    return { format, url: base + end };
  });
}
