// A form at the side: for making and changing things.

import { useMutation, useQueryClient } from '@tanstack/react-query';
import { App, Button, Drawer, Form, type FormProps } from 'antd';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { ApiError } from '../api/client';
import { Failure } from './failure';

type Props<V, R> = {
  title: string;
  submit: string;
  initial?: FormProps<V>['initialValues'];
  /** Which lists and things are to be read anew. */
  stale: string[];
  run: (values: V) => Promise<R>;
  done?: (result: R) => void;
  close: () => void;
  width?: number;
  children: ReactNode;
};

export function Sheet<V, R = unknown>(props: Props<V, R>) {
  const { t } = useTranslation();
  const { message, modal } = App.useApp();
  const client = useQueryClient();
  const [form] = Form.useForm<V>();
  const send = useMutation({
    mutationFn: props.run,
    onSuccess: async (result) => {
      await Promise.all(props.stale.map((name) => client.invalidateQueries({ queryKey: [name] })));
      message.success(t('form.saved'));
      // Closing changes the address of the page that is here: whoever goes on to another one does so after that.
      props.close();
      props.done?.(result);
    },
    onError: (error) => {
      // What is wrong with one field stands beside it.
      const param = error instanceof ApiError ? error.param : undefined;
      const known = form.getFieldInstance(param as never);
      if (param && known) form.scrollToField(param as never);
    },
  });
  const leave = () => {
    if (!form.isFieldsTouched()) return props.close();
    return modal.confirm({
      title: t('form.leave'),
      content: t('form.leaveHint'),
      okText: t('form.discard'),
      cancelText: t('form.stay'),
      onOk: props.close,
    });
  };
  return (
    <Drawer
      open
      size={props.width ?? 560}
      title={props.title}
      onClose={leave}
      styles={{ wrapper: { maxWidth: '100vw' } }}
      extra={
        <Button type="primary" loading={send.isPending} onClick={() => form.submit()}>
          {props.submit}
        </Button>
      }
    >
      <Form<V>
        form={form}
        layout="vertical"
        initialValues={props.initial}
        onFinish={send.mutate}
        scrollToFirstError
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.submit();
        }}
      >
        <Failure error={send.error} />
        {props.children}
        {/* Enter in a field sends the form only where it has a button of its own. */}
        <button type="submit" hidden tabIndex={-1} aria-hidden="true" />
      </Form>
    </Drawer>
  );
}
