// In front of every page but those for signing in: who isn't signed in goes there, and comes back.

import { useTranslation } from 'react-i18next';
import { Navigate, Outlet, useLocation } from 'react-router';
import { Push, Verdict, Waiting } from '../part/plain';
import { useSession } from './session';

export function Opening() {
  return <Waiting tall />;
}

export function Guard() {
  const { t } = useTranslation();
  const { data, error, isPending, refetch } = useSession();
  const here = useLocation();
  if (isPending) return <Opening />;
  if (error) {
    return (
      <Verdict
        title={t('boundary.unreachable')}
        action={<Push onClick={() => refetch()}>{t('boundary.again')}</Push>}
      >
        {error.message}
      </Verdict>
    );
  }
  if (data?.session.stage !== 'done') {
    const next = here.pathname === '/' ? '' : `?next=${encodeURIComponent(here.pathname + here.search)}`;
    return <Navigate to={`/login${next}`} replace />;
  }
  return <Outlet />;
}
