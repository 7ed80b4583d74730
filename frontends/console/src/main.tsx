import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { RouterProvider } from 'react-router';
import { queries } from './api/client';
import { startLanguage } from './app/language';
import { firstLanguage, PreferenceProvider } from './app/preference';
import { router } from './app/route';
import { Theme } from './app/theme';
import './style.css';

const root = document.getElementById('root');
if (!root) throw new Error('the page lacks its root');

await startLanguage(firstLanguage);
createRoot(root).render(
  <StrictMode>
    <PreferenceProvider>
      <QueryClientProvider client={queries}>
        <Theme>
          <RouterProvider router={router} />
        </Theme>
      </QueryClientProvider>
    </PreferenceProvider>
  </StrictMode>,
);
