import { Alert, Button } from 'antd';
import { useTranslation } from 'react-i18next';
import { ApiError } from '../api/client';

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
    <Alert
      role="alert"
      type="error"
      showIcon
      style={{ marginBottom: 16 }}
      title={title}
      description={more.length > 0 ? more.join(' ') : undefined}
      action={
        again &&
        api?.status !== 403 &&
        api?.status !== 404 && <Button onClick={again}>{t('boundary.again')}</Button>
      }
    />
  );
}
