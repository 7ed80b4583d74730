// The client of `/api/v1`, typed by the server's own document. Everything the console knows comes through here.

import { QueryCache, QueryClient } from '@tanstack/react-query';
import createClient from 'openapi-fetch';
import { fetchOnce } from './early';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];

/** What the server refused, and what it says to do about it. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    /** The field that it is about. */
    readonly param?: string,
    /** After how many seconds another try makes sense. */
    readonly retryAfter?: number,
  ) {
    super(message);
  }

  /** The session is over, or there is none. */
  get signedOut(): boolean {
    return this.status === 401;
  }
}

// A page of another origin can't send this header without being asked first: with it a change by a session counts.
export const api = createClient<paths>({
  baseUrl: '/',
  credentials: 'same-origin',
  headers: { 'x-sluicegate-csrf': '1' },
  fetch: fetchOnce,
});

/** The error that an answer holds, whatever answered. */
export function failure(response: Response, body: unknown): ApiError {
  const error = (body as { error?: { message?: string; code?: string | null; param?: string | null } } | null)
    ?.error;
  const after = Number(response.headers.get('retry-after'));
  return new ApiError(
    response.status,
    error?.code ?? '',
    error?.message ?? `${response.status} ${response.statusText}`,
    error?.param ?? undefined,
    Number.isFinite(after) && after > 0 ? after : undefined,
  );
}

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** The answer as JSON, where the document knows tables as well; throws what the server refused. */
export async function take<T>(answer: Promise<Answer<T>>): Promise<Exclude<T, string>> {
  let got: Answer<T>;
  try {
    got = await answer;
  } catch (error) {
    throw new ApiError(0, 'unreachable', error instanceof Error ? error.message : String(error));
  }
  if (!got.response.ok) throw failure(got.response, got.error);
  return got.data as Exclude<T, string>;
}

/** Where an operation's answer can't be typed by the document: streams, tables, and routes that only some gateways have. */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, {
      credentials: 'same-origin',
      ...init,
      headers: { 'x-sluicegate-csrf': '1', ...init.headers },
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, 'unreachable', error instanceof Error ? error.message : String(error));
  }
  if (!response.ok) throw failure(response, await response.json().catch(() => null));
  return response;
}

export const SESSION = ['session'] as const;

export const queries: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    // Whatever finds the session over shows the sign-in page, which leads back to where one was.
    onError: (error, query) => {
      if (error instanceof ApiError && error.signedOut && query.queryKey[0] !== SESSION[0]) {
        queries.setQueryData(SESSION, null);
      }
    },
  }),
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      // What was refused stays refused; only what didn't arrive is tried again.
      retry: (count, error) =>
        count < 2 && error instanceof ApiError && (error.status === 0 || error.status >= 502),
    },
    mutations: {
      onError: (error) => {
        if (error instanceof ApiError && error.signedOut) queries.setQueryData(SESSION, null);
      },
    },
  },
});
