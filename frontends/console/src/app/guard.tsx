// In front of every page but those for signing in: who isn't signed in goes there, and comes back.

import { Button, Result, Spin } from 'antd';
import { useTranslation } from 'react-i18next';
import { Navigate, Outlet, useLocation } from 'react-router';
import { useSession } from './session';

export function Waiting() {
  return (
    <div className="sign">
      <Spin />
    </div>
  );
}

export function Guard() {
  const { t } = useTranslation();
  const { data, error, isPending, refetch } = useSession();
  const here = useLocation();
  if (isPending) return <Waiting />;
  if (error) {
    return (
      <Result
        status="warning"
        title={t('boundary.unreachable')}
        subTitle={error.message}
        extra={<Button onClick={() => refetch()}>{t('boundary.again')}</Button>}
      />
    );
  }
  if (data?.session.stage !== 'done') {
    const next = here.pathname === '/' ? '' : `?next=${encodeURIComponent(here.pathname + here.search)}`;
    return <Navigate to={`/login${next}`} replace />;
  }
  return <Outlet />;
}
