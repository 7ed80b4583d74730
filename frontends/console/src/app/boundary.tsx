// What is shown where a page breaks, instead of nothing.

import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { isRouteErrorResponse, Link, useRouteError } from 'react-router';
import { Push, Spinner, Verdict } from '../part/plain';

export function Boundary() {
  const { t } = useTranslation();
  const error = useRouteError();
  if (isRouteErrorResponse(error) && error.status === 404) return <NotFound />;
  if (error instanceof Error && /dynamically imported module|preload CSS/i.test(error.message))
    return <Unread />;
  return (
    <Verdict
      title={t('boundary.title')}
      action={
        <Push look="main" onClick={() => location.reload()}>
          {t('boundary.reload')}
        </Push>
      }
    >
      {error instanceof Error ? error.message : String(error)}
    </Verdict>
  );
}

/** Whether the gateway answers at all; one that is behind another server and isn't there is told of by that. */
async function answers(): Promise<boolean> {
  try {
    return (await fetch('/api/v1/setup', { cache: 'no-store', credentials: 'same-origin' })).status < 500;
  } catch {
    return false;
  }
}

/** A part of the console that couldn't be read: another version has taken its place, or nobody answers. */
function Unread() {
  const { t } = useTranslation();
  const [there, setThere] = useState<boolean>();
  useEffect(() => {
    void answers().then(setThere);
  }, []);
  if (there === undefined) return <Spinner />;
  const again = async () => {
    setThere(undefined);
    if (await answers()) location.reload();
    else setThere(false);
  };
  return (
    <Verdict
      title={t(there ? 'boundary.stale' : 'failure.unreachable')}
      action={
        <Push look="main" onClick={there ? () => location.reload() : again}>
          {t(there ? 'boundary.reload' : 'boundary.again')}
        </Push>
      }
    >
      {t(there ? 'boundary.staleHint' : 'failure.unreachableHint')}
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
