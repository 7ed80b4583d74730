// What a list without rows says: where its filters leave nothing, how to take them away; else what the next step is.

import { Button, Empty } from 'antd';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { useFilter } from './query';

/** What stands in the address and leaves nothing out. */
const NO_FILTERS = ['page', 'create', 'first', 'live', 'from', 'to', 'fresh'];

export type Next = { words: string; to?: string; run?: () => void };

export function NothingHere({ words, next }: { words: string; next?: Next }) {
  const { t } = useTranslation();
  const [filter, change] = useFilter();
  const names = Object.keys(filter).filter((name) => filter[name] && !NO_FILTERS.includes(name));
  if (names.length > 0) {
    return (
      <Empty description={t('list.noneSuch')}>
        <Button onClick={() => change(Object.fromEntries(names.map((name) => [name, undefined])))}>
          {t('request.clear')}
        </Button>
      </Empty>
    );
  }
  if (Number(filter.page) > 1) {
    return (
      <Empty description={t('list.pastEnd')}>
        <Button onClick={() => change({ page: undefined })}>{t('list.firstPage')}</Button>
      </Empty>
    );
  }
  return (
    <Empty description={words}>
      {next?.to && <Link to={next.to}>{next.words}</Link>}
      {next?.run && (
        <Button type="primary" onClick={next.run}>
          {next.words}
        </Button>
      )}
    </Empty>
  );
}
