// What is shown where a page breaks, instead of nothing.

import { useTranslation } from 'react-i18next';
import { isRouteErrorResponse, Link, useRouteError } from 'react-router';
import { Push, Verdict } from '../part/plain';

export function Boundary() {
  const { t } = useTranslation();
  const error = useRouteError();
  const lost = isRouteErrorResponse(error) && error.status === 404;
  const stale = error instanceof TypeError && /dynamically imported module/i.test(error.message);
  if (lost) return <NotFound />;
  return (
    <Verdict
      title={t(stale ? 'boundary.stale' : 'boundary.title')}
      action={
        <Push look="main" onClick={() => location.reload()}>
          {t('boundary.reload')}
        </Push>
      }
    >
      {stale ? t('boundary.staleHint') : error instanceof Error ? error.message : String(error)}
    </Verdict>
  );
}

export function NotFound() {
  const { t } = useTranslation();
  return (
    <Verdict title={t('boundary.notFound')} action={<Link to="/overview">{t('boundary.home')}</Link>}>
      {t('boundary.notFoundHint')}
    </Verdict>
  );
}
