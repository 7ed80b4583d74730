// One conversation with one model.

import { useQuery } from '@tanstack/react-query';
import { Button, Input, theme } from 'antd';
import { useCallback, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { api, take } from '../api/client';
import {
  chat,
  type Done,
  messages,
  type Piece,
  parameters,
  type Settings,
  type Tool,
  type Turn,
} from '../part/chat';
import { Explanation, type Reason } from '../part/explanation';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { useChannelName } from '../part/name';

type Said = Turn & { thought?: string; done?: Done };

type Props = {
  secret: string;
  model: string;
  settings: Settings;
  tools: unknown[] | undefined;
  asked: { number: number; text: string };
  /** Hears what the last answer took. */
  took: (it: Took) => void;
  /** Hears whether an answer is on its way. */
  working: (is: boolean) => void;
  /** Is given back a question that wasn't answered. */
  unanswered: (text: string) => void;
};

/** What an answer took. */
export type Took = { firstMs?: number | null; wholeMs: number; spend?: number };

const nobody = () => {};

export function Pane({ secret, model, settings, tools, asked, took, working, unanswered }: Props) {
  const { t } = useTranslation();
  const { token } = theme.useToken();
  const [turns, setTurns] = useState<Said[]>([]);
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const stop = useRef<AbortController | null>(null);
  const end = useRef<HTMLDivElement>(null);
  const last = useRef(asked.number);
  const here = useRef(true);

  const ask = useCallback(
    async (before: Said[], said: Said[]) => {
      stop.current?.abort();
      const control = new AbortController();
      stop.current = control;
      const turns: Said[] = [...before, ...said];
      const answer: Said = { role: 'assistant', content: '' };
      setTurns([...turns, answer]);
      setError(null);
      setBusy(true);
      const hear = (piece: Piece) => {
        answer.content += piece.text ?? '';
        if (piece.thought) answer.thought = (answer.thought ?? '') + piece.thought;
        if (piece.tool) {
          answer.tools ??= [];
          const tool = answer.tools[piece.tool.index] ?? { id: '', name: '', input: '' };
          answer.tools[piece.tool.index] = {
            id: tool.id || (piece.tool.id ?? ''),
            name: tool.name + (piece.tool.name ?? ''),
            input: tool.input + (piece.tool.input ?? ''),
          };
        }
        setTurns([...turns, { ...answer }]);
      };
      try {
        const done = await chat(
          secret,
          {
            model,
            messages: messages(settings.system, turns),
            ...parameters(settings),
            ...(tools && { tools }),
          },
          control.signal,
          hear,
        );
        setTurns([...turns, { ...answer, done }]);
      } catch (failed) {
        if (!control.signal.aborted) setError(failed instanceof Error ? failed : new Error(String(failed)));
        // A question that wasn't answered isn't part of the conversation.
        if (!answer.content && !answer.tools) {
          setTurns(before);
          const question = said.find((it) => it.role === 'user');
          if (question && here.current) unanswered(question.content);
        }
      } finally {
        if (stop.current === control) setBusy(false);
      }
    },
    [secret, model, settings, tools, unanswered],
  );

  useEffect(() => {
    if (asked.number === last.current) return;
    last.current = asked.number;
    void ask(turns, [{ role: 'user', content: asked.text }]);
  }, [asked, ask, turns]);

  useEffect(() => {
    here.current = true;
    return () => {
      here.current = false;
      stop.current?.abort();
    };
  }, []);
  useEffect(() => {
    working(busy);
    return () => working(false);
  }, [busy, working]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: what comes is kept in sight
  useEffect(() => {
    end.current?.scrollIntoView({ block: 'nearest' });
  }, [turns]);

  return (
    <div>
      <div role="log" aria-label={model} tabIndex={0} className="talk">
        {turns.length === 0 && <p style={{ color: token.colorTextSecondary }}>{t('playground.empty')}</p>}
        {turns.map((turn, index) => (
          <div
            key={index}
            style={{
              margin: '0 0 12px',
              padding: 12,
              borderRadius: 8,
              background: turn.role === 'assistant' ? token.colorFillQuaternary : token.colorFillSecondary,
            }}
          >
            <strong>{turn.role === 'assistant' ? model : t(`playground.${turn.role}`)}</strong>
            {turn.thought && (
              <details>
                <summary>{t('request.kind.output_reasoning')}</summary>
                <div className="wrap" style={{ color: token.colorTextSecondary }}>
                  {turn.thought}
                </div>
              </details>
            )}
            <div className="wrap">{turn.content}</div>
            {turn.tools?.map((tool, at) => (
              <pre key={at} className="code mono" style={{ background: token.colorFillTertiary }}>
                {`${tool.name}(${tool.input})`}
              </pre>
            ))}
            {turn.tools && index === turns.length - 1 && !busy && (
              <Results
                tools={turn.tools}
                give={(results) =>
                  ask(
                    turns,
                    results.map(({ id, text }) => ({ role: 'tool', content: text, answers: id })),
                  )
                }
              />
            )}
            {turn.done && <Figures done={turn.done} took={index === turns.length - 1 ? took : nobody} />}
          </div>
        ))}
        <div ref={end} />
      </div>
      <Failure error={error} />
      {busy && (
        <Button size="small" onClick={() => stop.current?.abort()}>
          {t('playground.stop')}
        </Button>
      )}
    </div>
  );
}

/** What each tool that is asked for has to say, for the model to go on with. */
function Results(props: { tools: Tool[]; give: (results: { id: string; text: string }[]) => void }) {
  const { t } = useTranslation();
  const [texts, setTexts] = useState<Record<string, string>>({});
  return (
    <form
      className="stack results"
      onSubmit={(event) => {
        event.preventDefault();
        props.give(props.tools.map(({ id }) => ({ id, text: texts[id] ?? '' })));
      }}
    >
      {props.tools.map(({ id, name }) => (
        <Input.TextArea
          key={id}
          rows={2}
          className="mono"
          aria-label={t('playground.resultOf', { name })}
          placeholder={t('playground.resultOf', { name })}
          value={texts[id] ?? ''}
          onChange={(event) => setTexts({ ...texts, [id]: event.target.value })}
        />
      ))}
      <Button htmlType="submit" disabled={props.tools.some(({ id }) => !texts[id]?.trim())}>
        {t('playground.giveBack')}
      </Button>
    </form>
  );
}

/** What an answer took and cost; its record is there a moment after it ended. */
function Figures({ done, took }: { done: Done; took: (it: Took) => void }) {
  const { t } = useTranslation();
  const channel = useChannelName();
  const format = useFormat();
  const record = useQuery({
    queryKey: ['records', 'one', done.call],
    queryFn: () => take(api.GET('/api/v1/records', { params: { query: { call: done.call ?? '' } } })),
    enabled: done.call !== null,
    refetchInterval: (query) =>
      query.state.data?.items.length || query.state.dataUpdateCount > 10 ? false : 1_000,
  });
  const found = record.data?.items[0];
  const spend = found?.spend;
  const reasons = (found?.replay as { explanation?: Reason[] } | undefined)?.explanation;
  useEffect(() => {
    took({ firstMs: done.firstMs, wholeMs: done.wholeMs, spend });
  }, [took, done, spend]);
  const served = found?.attempts?.findLast((it) => it.outcome === 'ok')?.channel;
  const facts = [
    done.firstMs != null && [t('playground.first'), format.duration(done.firstMs)],
    [t('playground.duration'), format.duration(done.wholeMs)],
    done.output != null && [
      t('usage.tokens'),
      t('playground.tokens', { input: format.whole(done.input ?? 0), output: format.whole(done.output) }),
    ],
    spend !== undefined && [t('usage.spend'), format.money(spend)],
    served && [t('request.channel'), channel(served)],
  ].filter((it): it is [string, string] => Array.isArray(it));
  return (
    <>
      <dl className="facts num">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {done.call && (
        // The conversation is in this page alone, and stays here.
        <Link
          className="small"
          to={`/requests/${encodeURIComponent(done.call)}`}
          target="_blank"
          rel="noreferrer"
        >
          {t('playground.record')}
        </Link>
      )}
      {reasons && reasons.length > 0 && (
        <details>
          <summary>{t('why.title')}</summary>
          <Explanation reasons={reasons} channel={channel} caller={found} />
        </details>
      )}
    </>
  );
}
