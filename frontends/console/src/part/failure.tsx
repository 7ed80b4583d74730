import { useTranslation } from 'react-i18next';
import { ApiError } from '../api/client';
import { Push } from './plain';

/** What went wrong, in the server's words, and what can be done. Nothing where nothing did. */
export function Failure({ error, again }: { error: Error | null | undefined; again?: () => void }) {
  const { t } = useTranslation();
  if (!error) return null;
  const api = error instanceof ApiError ? error : null;
  const title = api?.status === 0 ? t('failure.unreachable') : error.message;
  const more = [
    api?.status === 0 ? t('failure.unreachableHint') : '',
    api?.retryAfter ? t('failure.retryAfter', { count: api.retryAfter }) : '',
    api?.status === 412 ? t('failure.changedMeanwhile') : '',
  ].filter(Boolean);
  return (
    <div className="notice notice-bad" role="alert">
      <div style={{ flex: 1, minWidth: 0 }}>
        {title}
        {more.length > 0 && <div className="quiet">{more.join(' ')}</div>}
      </div>
      {again && api?.status !== 403 && api?.status !== 404 && (
        <Push onClick={again}>{t('boundary.again')}</Push>
      )}
    </div>
  );
}
