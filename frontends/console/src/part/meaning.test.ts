import { createInstance } from 'i18next';
import { expect, test } from 'vitest';
import server from '../word/server.zh.json';
import zh from '../word/zh.json';
import { meaning } from './meaning';
import { learn } from './said';

const words = createInstance();
void words.init({ lng: 'zh', resources: { zh: { translation: zh } }, initAsync: false });

test.each<[string, string | undefined, string | undefined, boolean?]>([
  ['conflict', 'name', '该名称为空或已被使用，请换一个。', true],
  ['invalid_request', 'limits.spend.month', '填写的内容有误（限额）。', false],
  ['invalid_request', 'models[3].price', '填写的内容有误（模型）。', false],
  ['forbidden', undefined, '您无权执行此操作。', false],
  ['payload_too_large', undefined, '请求过大', false],
  ['invalid_request', 'of_no_field', '填写的内容有误。', false],
  ['of_no_kind', 'name', undefined],
])('%s of %s is said as %s', (code, param, text, whole) => {
  expect(meaning(words.t, { code, param })).toEqual(text && { text, whole });
});

test('what is said in English to its end has the word for its kind', () => {
  learn({ ...server.says, ...server.beside });
  const meant = (message: string) => meaning(words.t, { code: 'invalid_request', message });
  expect(
    meant("the pattern `(` can't be used: unclosed group; see the syntax of Rust's regex crate"),
  ).toEqual({
    text: '无法使用模式 `(`：unclosed group；语法见 Rust 的 regex 库',
    whole: true,
  });
  expect(meant("the file `f` can't be read: nobody knows why that is")).toEqual({
    text: '填写的内容有误。',
    whole: false,
  });
});
