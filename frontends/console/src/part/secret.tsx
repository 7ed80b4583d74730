// A secret that is shown once, with what to do with it.

import { useQuery } from '@tanstack/react-query';
import { Alert, Button, Modal, Tabs, Typography, theme } from 'antd';
import { useLayoutEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { api, take } from '../api/client';
import { hold } from '../app/unsaved';

/** With `wrap`, one long word is broken rather than scrolled. */
export function Code({ text, wrap }: { text: string; wrap?: boolean }) {
  const { token } = theme.useToken();
  return (
    <div style={{ position: 'relative' }}>
      <pre
        className={wrap ? 'code code-wrap mono' : 'code mono'}
        tabIndex={0}
        style={{ background: token.colorFillTertiary, color: token.colorText }}
      >
        {text}
      </pre>
      <Typography.Text copyable={{ text }} style={{ position: 'absolute', top: 8, right: 8 }} />
    </div>
  );
}

/** How programs call this gateway with a key. */
export function snippets(base: string, key: string, model: string): { name: string; text: string }[] {
  const q = JSON.stringify;
  return [
    {
      name: 'curl',
      text: `curl ${base}/v1/chat/completions \\\n  -H "authorization: Bearer ${key}" \\\n  -H "content-type: application/json" \\\n  -d '${JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }] }).replaceAll("'", "'\\''")}'`,
    },
    {
      name: 'Python',
      text: `from openai import OpenAI\n\nclient = OpenAI(base_url="${base}/v1", api_key="${key}")\nanswer = client.chat.completions.create(\n    model=${q(model)},\n    messages=[{"role": "user", "content": "Hello"}],\n)\nprint(answer.choices[0].message.content)`,
    },
    {
      name: 'Node.js',
      text: `import OpenAI from "openai";\n\nconst client = new OpenAI({ baseURL: "${base}/v1", apiKey: "${key}" });\nconst answer = await client.chat.completions.create({\n  model: ${q(model)},\n  messages: [{ role: "user", content: "Hello" }],\n});\nconsole.log(answer.choices[0].message.content);`,
    },
    {
      name: 'Claude Code',
      text: `export ANTHROPIC_BASE_URL=${base}\nexport ANTHROPIC_AUTH_TOKEN=${key}\nexport ANTHROPIC_MODEL=${q(model)}\nclaude`,
    },
    {
      name: 'Codex',
      text: `# ~/.codex/config.toml\nmodel = ${q(model)}\nmodel_provider = "sluicegate"\n\n[model_providers.sluicegate]\nname = "Sluicegate"\nbase_url = "${base}/v1"\nenv_key = "SLUICEGATE_KEY"\nwire_api = "responses"\n\n# then: export SLUICEGATE_KEY=${key}`,
    },
  ];
}

/** The same to choose from, with a model that can be called where none is named. */
export function Snippets({ secret, model }: { secret: string; model: string }) {
  const { t } = useTranslation();
  const named = model && !model.includes('*');
  const some = useQuery({
    queryKey: ['models', 'some'],
    queryFn: () => take(api.GET('/api/v1/models', { params: { query: { limit: '50' } } })),
    enabled: !named,
    staleTime: 60_000,
  });
  const served = some.data?.items.find((it) => it.enabled_channels > 0)?.name;
  const called = named ? model : (served ?? t('secret.model'));
  return (
    <Tabs
      items={snippets(location.origin, secret, called).map((it) => ({
        key: it.name,
        label: it.name,
        children: <Code text={it.text} />,
      }))}
    />
  );
}

export function SecretOnce(props: { secret: string; title: string; model?: string; close: () => void }) {
  const { t } = useTranslation();
  // It is gone with this page: whatever leads away asks first.
  const release = useRef<(() => void) | undefined>(undefined);
  useLayoutEffect(() => {
    release.current = hold(Symbol('shown once'), undefined, 'shown');
    return () => release.current?.();
  }, []);
  return (
    <Modal
      open
      width={720}
      title={props.title}
      mask={{ closable: false }}
      keyboard={false}
      closable={false}
      footer={
        <Button
          type="primary"
          onClick={() => {
            release.current?.();
            props.close();
          }}
        >
          {t('secret.kept')}
        </Button>
      }
    >
      <Alert type="warning" showIcon title={t('secret.once')} style={{ marginBottom: 12 }} />
      <div data-testid="secret">
        <Code text={props.secret} wrap />
      </div>
      {props.model !== undefined && <Snippets secret={props.secret} model={props.model} />}
    </Modal>
  );
}
