// The client of `/api/v1`, typed by the server's own document. Everything the console knows comes through here.

import { QueryClient } from '@tanstack/react-query';
import createClient from 'openapi-fetch';
import { holds, setOver } from '../app/unsaved';
import { fetchOnce } from './early';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];

/** What the server refused, and what it says to do about it. */
export class ApiError extends Error {
  /** It was refused because there was no session any more: what the server says of it is no news. */
  over = false;

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

  /** The session is over, there is none, or what was entered to prove oneself isn't right. */
  get signedOut(): boolean {
    return this.status === 401;
  }
}

/** Whether what was entered to prove oneself isn't right: the session goes on. */
export function wrongProof(error: Error | null): boolean {
  return error instanceof ApiError && error.signedOut && !error.over;
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

const OWN = '/api/v1/session';
/** Nobody is signed in where the first administrator is made: what is refused there is the key that was entered. */
const FIRST = '/api/v1/setup';

/** Whether somebody is still signed in; where that can't be learnt, as before. */
async function isOver(): Promise<boolean> {
  try {
    return (await fetch(OWN, { credentials: 'same-origin' })).status === 401;
  } catch {
    return false;
  }
}

let looking: Promise<boolean> | undefined;

/**
 * A 401 may mean a wrong password or code: then it is said where it was entered. Only where nobody is signed in any more is the
 * session over, which leads to the sign-in page and back, or shows the sign-in above what was typed and not saved.
 */
async function look(error: ApiError, from: Response): Promise<ApiError> {
  // Without an address nothing was asked of a server; and the session itself says all there is.
  if (!error.signedOut || [OWN, FIRST].includes(new URL(from.url || OWN, 'http://here').pathname))
    return error;
  looking ??= isOver().finally(() => {
    looking = undefined;
  });
  error.over = await looking;
  if (error.over && !kept()) queries.setQueryData(SESSION, null);
  return error;
}

/** What stays of a session that is over: nothing; or all of it while something typed waits for another one, asked for above it. */
export function kept(): Schemas['Signed'] | null {
  const before = queries.getQueryData<Schemas['Signed'] | null>(SESSION);
  if (before?.session.stage !== 'done' || !holds()) return null;
  setOver(true);
  return before;
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
  if (!got.response.ok) throw await look(failure(got.response, got.error), got.response);
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
  if (!response.ok) throw await look(failure(response, await response.json().catch(() => null)), response);
  return response;
}

export const SESSION = ['session'] as const;

export type WaysIn = { password: boolean; registration?: boolean; providers: { id: string; name: string }[] };

/** How one can sign in here; by password alone where the gateway knows of nothing else. */
export async function waysIn(): Promise<WaysIn> {
  try {
    return (await (await ask('/api/v1/session/oidc')).json()) as WaysIn;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return { password: true, providers: [] };
    throw error;
  }
}

export const queries: QueryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      // What was refused stays refused; only what didn't arrive is tried again.
      retry: (count, error) =>
        count < 2 && error instanceof ApiError && (error.status === 0 || error.status >= 502),
    },
  },
});
