// Fields that name things which exist, found as one types.

import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Select, type SelectProps } from 'antd';
import { type KeyboardEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, take } from '../api/client';
import { type Kind, useName } from './name';
import { Waiting } from './plain';
import { useSettled } from './settled';

type Option = { value: string; label: string };
type Props = Omit<SelectProps<string>, 'options'> & { placeholder?: string };

const find: Record<Kind, (search: string) => Promise<Option[]>> = {
  groups: async (search) => {
    const query = { limit: '30', ...(search && { search }) };
    const found = await take(api.GET('/api/v1/groups', { params: { query } }));
    return found.items.map((it) => ({ value: it.id, label: it.alias ?? it.id }));
  },
  users: async (search) => {
    const query = { limit: '30', ...(search && { search }) };
    const found = await take(api.GET('/api/v1/users', { params: { query } }));
    return found.items.map((it) => ({ value: it.id, label: it.alias ?? it.email ?? it.id }));
  },
  organizations: async (search) => {
    const query = { limit: '30', ...(search && { search }) };
    const found = await take(api.GET('/api/v1/organizations', { params: { query } }));
    return found.items.map((it) => ({ value: it.id, label: it.alias ?? it.id }));
  },
  channels: async (search) => {
    const query = { limit: '30', ...(search && { search }) };
    const found = await take(api.GET('/api/v1/channels', { params: { query } }));
    return found.items.map((it) => ({ value: it.id, label: it.name }));
  },
  keys: async (search) => {
    const query = { limit: '30', ...(search && { search }) };
    const found = await take(api.GET('/api/v1/keys', { params: { query } }));
    return found.items.map((it) => ({
      value: it.id,
      label: it.alias ? `${it.alias} (${it.hint})` : it.hint || it.id,
    }));
  },
};

const TYPING_MS = 150;

/** What this text finds, nothing while that isn't known, and how a field is that shows it. */
function useFound(of: Kind, typed: string, onSearch: (text: string) => void) {
  const asked = useSettled(typed, typed ? TYPING_MS : 0);
  const { data, isFetching } = useQuery({
    queryKey: [of, 'pick', asked],
    queryFn: () => find[of](asked),
  });
  const found = asked === typed ? data : undefined;
  const waits = isFetching || asked !== typed;
  const field = {
    showSearch: { filterOption: false as const, onSearch },
    allowClear: true,
    loading: waits,
    notFoundContent: waits ? <Waiting /> : undefined,
    // Enter takes nothing that an earlier text found; and it would close an empty list, and the text would go with it.
    onInputKeyDown: (event: KeyboardEvent) => {
      if (found || event.key !== 'Enter') return;
      event.preventDefault();
      event.stopPropagation();
    },
  };
  return { found, field };
}

/** With `free`, what isn't found may be meant all the same, by its id. */
export function Pick({ of, free, ...rest }: Props & { of: Kind; free?: boolean }) {
  const [text, setText] = useState('');
  const asked = text.trim();
  const { found, field } = useFound(of, asked, setText);
  const name = useName(of);
  // What is typed may be meant, whatever is found.
  const options: Option[] = free && asked ? [{ value: asked, label: asked }] : [];
  options.push(...(found ?? []).filter((it) => it.value !== asked || !free));
  // What is chosen may not be among the first that are found.
  if (rest.value && !asked && found && !found.some((it) => it.value === rest.value)) {
    options.push({ value: rest.value, label: name(rest.value) });
  }
  const enter = free ? undefined : field.onInputKeyDown;
  return <Select<string> {...field} onInputKeyDown={enter} {...rest} options={options} />;
}

const WORD = {
  groups: 'key.group',
  users: 'key.user',
  keys: 'key.hint',
  channels: 'request.channel',
  organizations: 'form.organization',
} as const;

/** The same outside of a form, where nothing beside it says what it is. */
export function PickNamed(props: Props & { of: Kind }) {
  const { t } = useTranslation();
  const word = t(WORD[props.of]);
  return <Pick aria-label={word} placeholder={word} {...props} />;
}

/** Groups by name, kept as their ids; and which of those that are there name nobody. */
export function PickGroups(props: Omit<SelectProps<string[]>, 'options' | 'mode'>) {
  const { t } = useTranslation();
  const [text, setText] = useState('');
  const asked = text.trim();
  const { found, field } = useFound('groups', asked, setText);
  const name = useName('groups');
  const chosen = props.value ?? [];
  const stray = useStray(chosen);
  const options = [...(found ?? [])];
  for (const id of asked ? [] : chosen) {
    if (!options.some((it) => it.value === id)) options.push({ value: id, label: name(id) });
  }
  return (
    <>
      <Select<string[]> mode="multiple" {...field} {...props} options={options} />
      {stray.length > 0 && (
        <p role="alert" className="warned">
          {t('channel.stray', { names: stray.join(', ') })}
        </p>
      )}
    </>
  );
}

/** Labels that no group has: as its id, or in the organization `default` as its name. */
export function useStray(labels: string[]): string[] {
  const { data } = useQuery({
    queryKey: ['groups', 'stray', labels],
    queryFn: async () => {
      const known = await Promise.all(labels.map(names));
      return labels.filter((_, index) => !known[index]);
    },
    enabled: labels.length > 0,
    placeholderData: keepPreviousData,
  });
  return (data ?? []).filter((it) => labels.includes(it));
}

async function names(label: string): Promise<boolean> {
  const query = { search: label, limit: '1000' };
  const found = await take(api.GET('/api/v1/groups', { params: { query } }));
  return found.items.some(
    (it) => it.id === label || (it.alias === label && (it.organization ?? 'default') === 'default'),
  );
}

export function PickOrganization(props: Props) {
  return <Pick of="organizations" {...props} />;
}

/** Names of models: those that channels serve, and whatever else one types. */
export function PickModels(props: Omit<SelectProps<string[]>, 'options' | 'mode'>) {
  const { data } = useQuery({ queryKey: ['model-names'], queryFn: modelNames, staleTime: 60_000 });
  return (
    <Select<string[]>
      mode="tags"
      tokenSeparators={[',', ' ', '\n']}
      {...props}
      options={data?.map((value) => ({ value }))}
    />
  );
}

/** What this person may ask for. */
export async function modelNames(): Promise<string[]> {
  const found = await take(api.GET('/api/v1/models', { params: { query: { limit: '1000' } } }));
  return found.items.map((it) => it.name);
}
