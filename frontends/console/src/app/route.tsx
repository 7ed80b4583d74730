// Every page and its address. Each is loaded when somebody first goes there.

import { createBrowserRouter, Navigate, type RouteObject } from 'react-router';
import { Boundary, NotFound } from './boundary';
import { Guard, Waiting } from './guard';

type Page = () => Promise<{ default: React.ComponentType }>;

const page = (path: string, load: Page): RouteObject => ({
  path,
  lazy: async () => ({ Component: (await load()).default }),
});

export const router = createBrowserRouter([
  {
    ErrorBoundary: Boundary,
    HydrateFallback: Waiting,
    children: [
      page('login', () => import('../page/login')),
      page('setup', () => import('../page/setup')),
      {
        path: '/',
        Component: Guard,
        children: [
          { index: true, element: <Navigate to="/overview" replace /> },
          {
            lazy: async () => ({ Component: (await import('./frame')).default }),
            children: [
              {
                ErrorBoundary: Boundary,
                children: [
                  page('overview', () => import('../page/overview')),
                  page('usage', () => import('../page/usage')),
                  page('requests', () => import('../page/request_list')),
                  page('requests/:call', () => import('../page/request')),
                  page('keys', () => import('../page/key_list')),
                  page('keys/:key', () => import('../page/key')),
                  page('groups', () => import('../page/group_list')),
                  page('groups/:group', () => import('../page/group')),
                  page('users', () => import('../page/user_list')),
                  page('users/:user', () => import('../page/user')),
                  page('organizations', () => import('../page/organization_list')),
                  page('organizations/:organization', () => import('../page/organization')),
                  page('channels', () => import('../page/channel_list')),
                  page('channels/:channel', () => import('../page/channel')),
                  page('models', () => import('../page/model_list')),
                  page('policies', () => import('../page/policy_list')),
                  page('policies/:policy', () => import('../page/policy')),
                  page('playground', () => import('../page/playground')),
                  page('audit', () => import('../page/audit')),
                  page('system', () => import('../page/system')),
                  page('account', () => import('../page/account')),
                  { path: '*', Component: NotFound },
                ],
              },
            ],
          },
        ],
      },
    ],
  },
]);
