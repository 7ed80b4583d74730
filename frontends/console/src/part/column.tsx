// Which columns of a table are shown: the most important ones, unless somebody has chosen others. This browser remembers it.

import { Checkbox, Popover } from 'antd';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Push } from './plain';

const KEPT = 'sluicegate.columns';

function kept(): Record<string, string[]> {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? '{}') as Record<string, string[]>;
  } catch {
    return {};
  }
}

type Column = { key: string; title: string };

/** Which of the columns are chosen, and the menu that chooses. `first` are shown where nobody has. */
export function useColumns(table: string, all: Column[], first: string[]): [string[], ReactNode] {
  const { t } = useTranslation();
  const [chosen, setChosen] = useState(() => kept()[table] ?? first);
  const choose = (names: string[]) => {
    setChosen(names);
    try {
      localStorage.setItem(KEPT, JSON.stringify({ ...kept(), [table]: names }));
    } catch {
      // Where nothing may be kept, it holds for this visit.
    }
  };
  const menu = (
    <Popover
      trigger="click"
      placement="bottomRight"
      content={
        <div role="dialog" aria-label={t('list.columns')}>
          <Checkbox.Group
            style={{ flexDirection: 'column', gap: 4 }}
            value={chosen}
            onChange={choose}
            options={all.map((it) => ({ value: it.key, label: it.title }))}
          />
        </div>
      }
    >
      <Push>{t('list.columns')}</Push>
    </Popover>
  );
  return [chosen, menu];
}
