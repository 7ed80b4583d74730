// The pages by their addresses, each loaded when it is first gone to, or looked at as if it were about to be.

import type { ComponentType } from 'react';

type Load = () => Promise<{ default: ComponentType }>;

/** Drawn by the component library, which is loaded with the first of them. */
export const PAGES: Record<string, Load> = {
  usage: () => import('../page/usage'),
  requests: () => import('../page/request_list'),
  'requests/:call': () => import('../page/request'),
  keys: () => import('../page/key_list'),
  'keys/:key': () => import('../page/key'),
  groups: () => import('../page/group_list'),
  'groups/:group': () => import('../page/group'),
  users: () => import('../page/user_list'),
  'users/:user': () => import('../page/user'),
  organizations: () => import('../page/organization_list'),
  'organizations/:organization': () => import('../page/organization'),
  channels: () => import('../page/channel_list'),
  'channels/:channel': () => import('../page/channel'),
  models: () => import('../page/model_list'),
  policies: () => import('../page/policy_list'),
  'policies/:policy': () => import('../page/policy'),
  playground: () => import('../page/playground'),
  audit: () => import('../page/audit'),
  system: () => import('../page/system'),
  account: () => import('../page/account'),
};

export const overview: Load = () => import('../page/overview');
export const frame: Load = () => import('./frame');
export const theme: Load = () => import('./theme');

/** Loads what a place, or the page of one thing, needs before somebody goes there. */
export function ready(path: string): void {
  const [place = '', one] = path.slice(1).split('/');
  const load = PAGES[one ? (Object.keys(PAGES).find((it) => it.startsWith(`${place}/:`)) ?? '') : place];
  if (load) void Promise.all([theme(), load()]).catch(() => undefined);
}
