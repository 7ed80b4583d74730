// Changing one thing where it stands: a name in a title, a number in a row.

import EditOutlined from '@ant-design/icons-svg/es/asn/EditOutlined';
import { type KeyboardEvent, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Icon } from './icon';

type Props = {
  /** What is changed, to who can't see where it stands. */
  label: string;
  value: string;
  kind?: 'text' | 'number';
  change: (value: string) => void;
};

const focus = (field: HTMLInputElement | null) => field?.select();

/** A button that becomes a field. Enter and going elsewhere take what was typed, Escape leaves it. */
export function Inline({ label, value, kind = 'text', change }: Props) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const left = useRef(false);
  const end = (typed: string) => {
    setOpen(false);
    if (!left.current && typed.trim() !== value) change(typed.trim());
  };
  if (!open) {
    // What is read on it is part of what it is called.
    const name = t('form.changeOf', { name: kind === 'number' ? `${label}: ${value}` : label });
    return (
      <button
        type="button"
        className="inline"
        aria-label={name}
        title={name}
        onClick={() => {
          left.current = false;
          setOpen(true);
        }}
      >
        {kind === 'number' && value}
        <Icon of={EditOutlined} />
      </button>
    );
  }
  return (
    <input
      className={`inline-field inline-${kind}`}
      aria-label={label}
      inputMode={kind === 'number' ? 'numeric' : undefined}
      ref={focus}
      defaultValue={value}
      onBlur={(event) => end(event.currentTarget.value)}
      onKeyDown={(event: KeyboardEvent<HTMLInputElement>) => {
        if (event.key !== 'Enter' && event.key !== 'Escape') return;
        if (event.nativeEvent.isComposing) return;
        event.preventDefault();
        left.current = event.key === 'Escape';
        event.currentTarget.blur();
      }}
    />
  );
}

/** A number of a row, where it may be changed. */
export function InlineNumber(props: {
  label: string;
  value: number;
  least: number;
  change: (value: number) => void;
}) {
  return (
    <Inline
      label={props.label}
      kind="number"
      value={String(props.value)}
      change={(typed) => {
        const value = Number(typed);
        // What isn't a number leaves it as it was.
        if (typed !== '' && Number.isInteger(value) && value >= props.least) props.change(value);
      }}
    />
  );
}
