// What is shown where a page breaks, instead of nothing.

import { Button, Result } from 'antd';
import { useTranslation } from 'react-i18next';
import { isRouteErrorResponse, Link, useRouteError } from 'react-router';

export function Boundary() {
  const { t } = useTranslation();
  const error = useRouteError();
  const lost = isRouteErrorResponse(error) && error.status === 404;
  const stale = error instanceof TypeError && /dynamically imported module/i.test(error.message);
  if (lost) return <NotFound />;
  return (
    <Result
      status="error"
      title={t(stale ? 'boundary.stale' : 'boundary.title')}
      subTitle={stale ? t('boundary.staleHint') : error instanceof Error ? error.message : String(error)}
      extra={
        <Button type="primary" onClick={() => location.reload()}>
          {t('boundary.reload')}
        </Button>
      }
    />
  );
}

export function NotFound() {
  const { t } = useTranslation();
  return (
    <Result
      status="404"
      title={t('boundary.notFound')}
      subTitle={t('boundary.notFoundHint')}
      extra={<Link to="/overview">{t('boundary.home')}</Link>}
    />
  );
}
