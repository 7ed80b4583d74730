import { Form, Input, Switch } from 'antd';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { tagged, useTag } from '../api/tag';
import { blockAsked } from '../part/broken';
import { type LimitRow, Limits, rows, tree, useLimitDoubt } from '../part/limit_form';
import { PickModels } from '../part/pick';
import { Sheet } from '../part/sheet';
import { changed } from './key_form';

type Organization = Schemas['Organization'];
type Values = { id?: string; alias?: string; models?: string[]; limits?: LimitRow[]; blocked?: boolean };

export function OrganizationForm(props: {
  organization?: Organization;
  close: () => void;
  done?: (it: Organization) => void;
}) {
  const { t } = useTranslation();
  const doubt = useLimitDoubt();
  const before = props.organization;
  const tag = useTag(before);
  return (
    <Sheet<Values, Organization>
      title={t(before ? 'organization.change' : 'organization.create')}
      submit={t(before ? 'form.save' : 'form.create')}
      stale={['organizations']}
      initial={before ? { ...before, limits: rows(before.limits) } : { limits: [] }}
      doubt={doubt}
      asked={(values) =>
        blockAsked(t, before, values, before?.alias ?? before?.id ?? '', { organization: before?.id })
      }
      run={(values) => {
        const body = {
          alias: values.alias?.trim() || null,
          models: values.models ?? [],
          limits: tree(values.limits ?? []),
          blocked: values.blocked ?? false,
        };
        if (!before) {
          return take(
            api.POST('/api/v1/organizations', { body: { ...body, id: values.id?.trim() || null } }),
          );
        }
        const path = { organization: before.id };
        return take(
          api.PATCH('/api/v1/organizations/{organization}', {
            params: { path },
            body: changed(body, before),
            headers: tagged(tag),
          }),
        );
      }}
      done={props.done}
      close={props.close}
    >
      <Form.Item name="alias" label={t('organization.name')}>
        <Input autoFocus maxLength={128} />
      </Form.Item>
      {!before && (
        <Form.Item name="id" label={t('form.id')} extra={t('organization.idHint')}>
          <Input maxLength={128} />
        </Form.Item>
      )}
      <Limits label={t('limit.title')} hint={t('limit.hint')} />
      <Form.Item name="models" label={t('key.models')} extra={t('organization.modelsHint')}>
        <PickModels />
      </Form.Item>
      {before && (
        <Form.Item name="blocked" label={t('organization.blocked')} valuePropName="checked">
          <Switch />
        </Form.Item>
      )}
    </Sheet>
  );
}
