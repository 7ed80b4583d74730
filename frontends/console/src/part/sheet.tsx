// A form at the side: for making and changing things.

import { useMutation, useQueryClient } from '@tanstack/react-query';
import { App, Button, Drawer, Form, type FormProps } from 'antd';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { ApiError } from '../api/client';
import { hold } from '../app/unsaved';
import { type Asked, leaving, useConfirm } from './confirm';
import { Failure, useWords } from './failure';
import { fieldOf } from './field';

type Props<V, R> = {
  title: string;
  submit: string;
  initial?: FormProps<V>['initialValues'];
  /** Which lists and things are to be read anew. */
  stale: string[];
  run: (values: V) => Promise<R>;
  /** What is asked before it is sent, where that isn't what one usually means. */
  doubt?: (values: V) => string | undefined;
  /** What is asked before it is sent, where that takes something away. */
  asked?: (values: V) => Asked | undefined;
  /** Whether more is in the form than has its fields in the page. */
  whole?: boolean;
  /** Fields of the API that go by another name in the form. */
  fields?: Record<string, string>;
  done?: (result: R) => void;
  close: () => void;
  width?: number;
  children: ReactNode;
};

export function Sheet<V, R = unknown>(props: Props<V, R>) {
  const { t } = useTranslation();
  const { message, modal } = App.useApp();
  const confirm = useConfirm();
  const client = useQueryClient();
  const [form] = Form.useForm<V>();
  const words = useWords();
  const [beside, setBeside] = useState(false);
  const [mine] = useState(() => Symbol(props.title));
  const release = useRef<(() => void) | undefined>(undefined);
  useEffect(() => () => release.current?.(), []);
  const close = () => {
    // It is closed on purpose: nobody is asked.
    release.current?.();
    props.close();
  };
  const send = useMutation({
    mutationFn: props.run,
    onSuccess: async (result) => {
      await Promise.all(props.stale.map((name) => client.invalidateQueries({ queryKey: [name] })));
      message.success(t('form.saved'));
      // Closing changes the address of the page that is here: whoever goes on to another one does so after that.
      close();
      props.done?.(result);
    },
    onError: (error) => {
      // What is wrong with one field stands beside it.
      const param = error instanceof ApiError ? error.param : undefined;
      const names = form.getFieldsError().map((it) => it.name as (string | number)[]);
      const name = param === undefined ? undefined : fieldOf(param, names, props.fields);
      setBeside(name !== undefined);
      if (!name) return;
      form.setFields([{ name: name as never, errors: [words(error)] }]);
      form.scrollToField(name as never);
    },
  });
  const submit = (shown: V) => {
    const values = props.whole ? (form.getFieldsValue(true) as V) : shown;
    const doubt = props.doubt?.(values);
    if (!doubt) return ask(values);
    return modal.confirm({
      title: doubt,
      okText: props.submit,
      cancelText: t('form.cancel'),
      onOk: () => void ask(values),
    });
  };
  const ask = (values: V) => {
    const asked = props.asked?.(values);
    if (!asked) return send.mutate(values);
    return confirm({ ...asked, run: async () => send.mutate(values) });
  };
  const leave = () => {
    if (!form.isFieldsTouched()) return close();
    return modal.confirm({ ...leaving(t), onOk: close });
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
        onFinish={submit}
        onValuesChange={() => {
          release.current ??= hold(mine);
        }}
        scrollToFirstError
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.submit();
        }}
      >
        {!beside && <Failure error={send.error} />}
        {props.children}
        {/* Enter in a field sends the form only where it has a button of its own. */}
        <button type="submit" hidden tabIndex={-1} aria-hidden="true" />
      </Form>
    </Drawer>
  );
}
