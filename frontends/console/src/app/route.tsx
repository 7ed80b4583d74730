// Every page and its address.

import { createBrowserRouter, Navigate, type RouteObject } from 'react-router';
import { Boundary, NotFound } from './boundary';
import { Guard, Opening } from './guard';
import { frame, overview, PAGES, theme } from './page';

type Load = () => Promise<{ default: React.ComponentType }>;

const lazily = (load: Load) => async () => ({ Component: (await load()).default });
const page = (path: string, load: Load): RouteObject => ({ path, lazy: lazily(load) });

export const router = createBrowserRouter([
  {
    ErrorBoundary: Boundary,
    HydrateFallback: Opening,
    children: [
      page('login', () => import('../page/login')),
      page('setup', () => import('../page/setup')),
      {
        path: '/',
        Component: Guard,
        children: [
          { index: true, element: <Navigate to="/overview" replace /> },
          {
            lazy: lazily(frame),
            children: [
              {
                ErrorBoundary: Boundary,
                children: [
                  page('overview', overview),
                  {
                    lazy: lazily(theme),
                    children: [
                      {
                        ErrorBoundary: Boundary,
                        children: Object.entries(PAGES).map(([path, load]) => page(path, load)),
                      },
                    ],
                  },
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
