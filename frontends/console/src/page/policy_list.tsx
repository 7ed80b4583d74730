import { PlusOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Button, Form, Input, Modal, Tag } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';
import { api, take } from '../api/client';
import { may, useMe } from '../app/session';
import { Author } from '../part/author';
import { FromFile, Name, Named } from '../part/badge';
import { useFormat } from '../part/format';
import { List } from '../part/list';
import { Page } from '../part/page';

export default function PolicyList() {
  const { t } = useTranslation();
  const format = useFormat();
  const me = useMe();
  const navigate = useNavigate();
  const [making, setMaking] = useState(false);
  const [form] = Form.useForm<{ name: string }>();
  const query = useQuery({ queryKey: ['policies'], queryFn: () => take(api.GET('/api/v1/policies')) });
  const write = may(me, 'administer');
  return (
    <Page
      title={t('nav.policies')}
      note={t('policy.what')}
      actions={
        write && (
          <Button type="primary" icon={<PlusOutlined />} onClick={() => setMaking(true)}>
            {t('policy.create')}
          </Button>
        )
      }
    >
      <List
        name={t('nav.policies')}
        table="policies"
        rowKey={(it) => it.name}
        data={query.data}
        error={query.error}
        loading={query.isPending && !query.error}
        again={() => query.refetch()}
        empty={t('policy.empty')}
        next={write ? { words: t('policy.create'), run: () => setMaking(true) } : undefined}
        columns={[
          {
            title: t('policy.name'),
            key: 'name',
            render: (_, it) => (
              <>
                <Name to="/policies" id={it.name} /> <FromFile source={it.source} />
              </>
            ),
          },
          {
            title: t('policy.whose'),
            key: 'whose',
            render: (_, it) =>
              it.key ? (
                <Named of="keys" id={it.key} />
              ) : it.group ? (
                <Named of="groups" id={it.group} />
              ) : it.organization ? (
                <Named of="organizations" id={it.organization} />
              ) : (
                t('policy.everybody')
              ),
          },
          {
            title: t('policy.active'),
            key: 'active',
            render: (_, it) =>
              it.active != null ? (
                <Tag color="success">{it.active}</Tag>
              ) : it.source === 'file' ? (
                <Tag color="success">{t('state.active')}</Tag>
              ) : (
                '–'
              ),
          },
          {
            title: t('policy.shadow'),
            key: 'shadow',
            render: (_, it) => (it.shadow != null ? <Tag color="processing">{it.shadow}</Tag> : '–'),
          },
          { title: t('policy.newest'), key: 'newest', render: (_, it) => it.newest ?? '–' },
          {
            title: t('form.updated'),
            key: 'updated',
            render: (_, it) =>
              it.updated_at ? (
                <>
                  {format.ago(it.updated_at)}
                  {' ·\u00a0'}
                  <Author of={it.updated_by} />
                </>
              ) : (
                '–'
              ),
          },
        ]}
      />
      <Modal
        open={making}
        title={t('policy.create')}
        okText={t('login.continue')}
        cancelText={t('form.cancel')}
        onCancel={() => setMaking(false)}
        onOk={() => form.submit()}
        destroyOnHidden
      >
        <Form
          form={form}
          layout="vertical"
          onFinish={({ name }) => navigate(`/policies/${encodeURIComponent(name.trim())}?new=1`)}
        >
          <Form.Item
            name="name"
            label={t('policy.name')}
            extra={t('policy.nameHint')}
            rules={[{ required: true, message: t('form.required') }]}
          >
            <Input autoFocus maxLength={64} />
          </Form.Item>
        </Form>
      </Modal>
    </Page>
  );
}
