// The editor of policies.

import { autocompletion, closeBrackets, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { bracketMatching, indentUnit, syntaxHighlighting } from '@codemirror/language';
import { type Diagnostic, lintGutter, lintKeymap, setDiagnostics } from '@codemirror/lint';
import { highlightSelectionMatches, searchKeymap } from '@codemirror/search';
import { Compartment, EditorState } from '@codemirror/state';
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  keymap,
  lineNumbers,
} from '@codemirror/view';
import { theme } from 'antd';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { nonce } from '../app/nonce';
import { usePreference } from '../app/preference';
import { colours, complete, rhai } from './rhai';

export type Finding = { line: number; column: number; message: string };

type Props = { value: string; change?: (text: string) => void; findings?: Finding[]; label: string };

export default function Editor({ value, change, findings = [], label }: Props) {
  const { t } = useTranslation();
  const { dark } = usePreference();
  const { token } = theme.useToken();
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const look = useRef(new Compartment());
  const tell = useRef(change);
  tell.current = change;

  // biome-ignore lint/correctness/useExhaustiveDependencies: the editor is made once; what changes is told to it below
  useEffect(() => {
    if (!place.current) return;
    const made = new EditorView({
      parent: place.current,
      state: EditorState.create({
        doc: value,
        extensions: [
          ...(nonce ? [EditorView.cspNonce.of(nonce)] : []),
          lineNumbers(),
          highlightActiveLine(),
          highlightActiveLineGutter(),
          history(),
          drawSelection(),
          bracketMatching(),
          closeBrackets(),
          highlightSelectionMatches(),
          indentUnit.of('    '),
          rhai,
          lintGutter(),
          autocompletion({ override: [complete] }),
          EditorView.contentAttributes.of({ 'aria-label': label, spellcheck: 'false' }),
          EditorState.readOnly.of(!change),
          // Escape, then Tab, leaves the editor.
          keymap.of([
            ...defaultKeymap,
            ...historyKeymap,
            ...searchKeymap,
            ...completionKeymap,
            ...lintKeymap,
            indentWithTab,
          ]),
          look.current.of([]),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) tell.current?.(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = made;
    return () => made.destroy();
  }, []);

  useEffect(() => {
    const style = EditorView.theme(
      {
        '&': {
          backgroundColor: token.colorBgContainer,
          color: token.colorText,
          border: `1px solid ${token.colorBorder}`,
          borderRadius: '6px',
        },
        '.cm-scroller': {
          minHeight: '360px',
          maxHeight: '70vh',
          overflow: 'auto',
          fontFamily: token.fontFamilyCode,
        },
        '.cm-gutters': {
          backgroundColor: token.colorBgLayout,
          color: token.colorTextSecondary,
          border: 'none',
        },
        '.cm-activeLine': { backgroundColor: token.colorFillQuaternary },
        '.cm-activeLineGutter': { backgroundColor: token.colorFillSecondary },
        '.cm-cursor': { borderLeftColor: token.colorText },
        '&.cm-focused .cm-selectionBackground, .cm-selectionBackground': {
          backgroundColor: `${token.controlItemBgActiveHover} !important`,
        },
        '.cm-tooltip': {
          backgroundColor: token.colorBgElevated,
          color: token.colorText,
          border: `1px solid ${token.colorBorder}`,
        },
        '.cm-panels': { backgroundColor: token.colorBgElevated, color: token.colorText },
      },
      { dark },
    );
    view.current?.dispatch({ effects: look.current.reconfigure([style, syntaxHighlighting(colours(dark))]) });
  }, [dark, token]);

  useEffect(() => {
    const made = view.current;
    if (made && value !== made.state.doc.toString()) {
      made.dispatch({ changes: { from: 0, to: made.state.doc.length, insert: value } });
    }
  }, [value]);

  useEffect(() => {
    const made = view.current;
    if (!made) return;
    const all = findings.map((it): Diagnostic => {
      const line = made.state.doc.line(Math.min(Math.max(1, it.line), made.state.doc.lines));
      const from = Math.min(line.from + Math.max(0, it.column - 1), line.to);
      const word = made.state.wordAt(from);
      return {
        from,
        to: word?.to ?? line.to,
        severity: 'error',
        message: it.message,
      };
    });
    made.dispatch(setDiagnostics(made.state, all));
  }, [findings]);

  return (
    <div>
      <div ref={place} />
      <small>{t('policy.leave')}</small>
    </div>
  );
}
