// The models that an upstream has and a channel doesn't serve yet, to choose from.

import { Button, Checkbox, Input, Tag } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schemas } from '../api/client';

type Props = {
  models: Schemas['OfferedModelList']['items'];
  add: (names: string[]) => unknown;
  busy?: boolean;
};

// BOUND: so many are drawn; whoever looks for another one types a part of its name.
const SHOWN = 200;

export function Offered({ models, add, busy }: Props) {
  const { t } = useTranslation();
  const [text, setText] = useState('');
  const [chosen, setChosen] = useState<string[]>([]);
  if (models.length === 0) return <p className="quiet">{t('channel.offeredNone')}</p>;
  const low = text.trim().toLowerCase();
  const shown = models.filter((it) => it.name.toLowerCase().includes(low)).slice(0, SHOWN);
  const names = shown.map((it) => it.name);
  // What was added meanwhile is no longer there to be chosen.
  const meant = chosen.filter((name) => models.some((it) => it.name === name));
  return (
    <fieldset className="offered">
      <legend>{t('channel.offered')}</legend>
      <Input
        allowClear
        aria-label={t('channel.offeredFind')}
        placeholder={t('channel.offeredFind')}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onPressEnter={(event) => event.preventDefault()}
      />
      <div className="offered-list">
        {shown.map((it) => (
          <div key={it.name}>
            <Checkbox
              checked={chosen.includes(it.name)}
              onChange={(event) =>
                setChosen(
                  event.target.checked ? [...chosen, it.name] : chosen.filter((name) => name !== it.name),
                )
              }
            >
              {it.name}
            </Checkbox>{' '}
            {!it.priced && <Tag color="warning">{t('price.unpriced')}</Tag>}
          </div>
        ))}
      </div>
      <span className="row">
        <Button
          type="primary"
          loading={busy}
          disabled={meant.length === 0}
          onClick={() => {
            add(meant);
            setChosen([]);
          }}
        >
          {t('channel.addOffered', { count: meant.length })}
        </Button>
        <Button onClick={() => setChosen([...new Set([...chosen, ...names])])}>
          {t('channel.offeredAll')}
        </Button>
      </span>
    </fieldset>
  );
}
