import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { RouterProvider } from 'react-router';
import { queries } from './api/client';
import { startLanguage } from './app/language';
import { PreferenceProvider } from './app/preference';
import { preferred } from './app/preferred';
import { router } from './app/route';

const root = document.getElementById('root');
if (!root) throw new Error('the page lacks its root');

await startLanguage(preferred().language);
// What React recovers from by itself, such as a part that didn't come at first, is no failure of the page.
const onRecoverableError = (error: unknown) => console.warn(error);

createRoot(root, { onRecoverableError }).render(
  <StrictMode>
    <PreferenceProvider>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </PreferenceProvider>
  </StrictMode>,
);
