// What one model of a channel costs and takes, where its list price isn't meant or isn't known.

import { Button, InputNumber } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schemas } from '../api/client';
import { currencyOf } from '../part/cost';
import { BOUNDS, type ModelValues, type Own, PRICES } from './provider';

/** The currency that a model's price is written in. */
export function writtenIn(before: Schemas['Channel'] | undefined, it: ModelValues | undefined): string {
  const upstream = it?.upstream || it?.group;
  const known = before?.models.find((model) => model.group === it?.group && model.upstream === upstream);
  return currencyOf(known?.price);
}

/** A field of a form: `value` and `onChange` are the form's. */
export function OwnPrice(props: {
  value?: Own;
  onChange?: (own: Own) => void;
  model?: string;
  currency: string;
  open?: boolean;
}) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(props.open ?? false);
  const own = props.value ?? {};
  const label = t('channel.price', { model: props.model ?? '' });
  return (
    <>
      <Button aria-label={label} aria-expanded={open} onClick={() => setOpen(!open)}>
        {t('channel.priceButton')}
      </Button>
      {open && (
        <fieldset className="own-price">
          <legend className="unseen">{label}</legend>
          {[...PRICES, ...BOUNDS].map((name) => {
            const said = t(`channel.own.${name}`, { currency: props.currency });
            return (
              <div key={name}>
                <span aria-hidden="true">{said}</span>
                <InputNumber
                  aria-label={said}
                  min={0}
                  style={{ width: '100%' }}
                  precision={BOUNDS.some((it) => it === name) ? 0 : undefined}
                  value={own[name]}
                  onChange={(value) => props.onChange?.({ ...own, [name]: value })}
                />
              </div>
            );
          })}
          <small className="quiet">{t('channel.ownHint')}</small>
        </fieldset>
      )}
    </>
  );
}
