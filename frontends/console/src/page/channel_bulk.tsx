// Many channels changed in one go: all of them, or none.

import { Alert, Form, InputNumber, Select } from 'antd';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { useChannelName } from '../part/name';
import { type Refused, useRefused } from '../part/refusal';
import { Sheet } from '../part/sheet';

type Values = { priority?: number | null; weight?: number | null; add?: string[]; remove?: string[] };

/** What the server is asked for; nothing where nothing was filled in. */
export function bulk(ids: string[], values: Values): Schemas['ChannelBulk'] {
  const set = {
    ...(values.priority != null && { priority: values.priority }),
    ...(values.weight != null && { weight: values.weight }),
  };
  return {
    ids,
    ...(Object.keys(set).length > 0 && { set }),
    ...(values.add?.length && { add_tags: values.add }),
    ...(values.remove?.length && { remove_tags: values.remove }),
  };
}

/** Does it to all of them, or says why to none. */
export async function editChannels(body: Schemas['ChannelBulk'], refused: Refused): Promise<void> {
  const answer = await take(api.POST('/api/v1/channels/bulk', { body }));
  if (answer.done) return;
  throw new Error(refused(answer.items));
}

export function ChannelBulk(props: { ids: string[]; tags: string[]; close: () => void; done: () => void }) {
  const { t } = useTranslation();
  const refused = useRefused(useChannelName(), t('channel.refused'));
  const options = props.tags.map((value) => ({ value }));
  return (
    <Sheet<Values, void>
      title={t('channel.bulk', { count: props.ids.length })}
      submit={t('form.save')}
      stale={['channels']}
      initial={{}}
      run={(values) => editChannels(bulk(props.ids, values), refused)}
      done={props.done}
      close={props.close}
    >
      <Alert type="info" style={{ marginBottom: 16 }} title={t('channel.bulkHint')} />
      <Form.Item name="priority" label={t('channel.priority')} extra={t('channel.priorityHint')}>
        <InputNumber precision={0} />
      </Form.Item>
      <Form.Item name="weight" label={t('channel.weight')} extra={t('channel.weightHint')}>
        <InputNumber precision={0} min={0} />
      </Form.Item>
      <Form.Item name="add" label={t('channel.addTags')}>
        <Select mode="tags" tokenSeparators={[',', ' ']} options={options} />
      </Form.Item>
      <Form.Item name="remove" label={t('channel.removeTags')}>
        <Select mode="multiple" options={options} />
      </Form.Item>
    </Sheet>
  );
}
