import { beforeAll, expect, test } from 'vitest';
import words from '../word/server.zh.json';
import { chineseOf, learn } from './said';

beforeAll(() => learn({ ...words.says, ...words.beside }));

test.each([
  ['the user belongs to another organization than the key', '该用户与密钥不属于同一组织'],
  ['your role doesn’t allow', undefined],
  [
    "your role doesn't allow you to change this group; ask an administrator",
    '您的角色无权修改该分组；请联系管理员',
  ],
  ["channel `user` doesn't exist", '渠道 `user` 不存在'],
  ["the script can't be used:\nline 1\nline 2", '脚本无法使用：\nline 1\nline 2'],
  [
    'policy `p` is attached to group `g-1`, and stays there; put this one under another name, or remove it first',
    '策略 `p` 作用于分组 `g-1`，不能改变；请换一个名称保存，或先将其删除',
  ],
  ['version 3 of policy `a.*b` runs already; name another', '策略 `a.*b` 的版本 3 已在运行；请选择另一个'],
  [
    'no channel of this file serves `ghost`: `chat` has nothing to fall back to there',
    '文件中没有渠道提供 `ghost`：`chat` 在该处没有可用的备用模型',
  ],
  [
    'the environment variable `KEY` is not set: the file names no credential, and the channel `a` is disabled until it is',
    '环境变量 `KEY` 未设置：文件未给出凭据；设置之前渠道 `a` 停用',
  ],
  ['is a list, and must be a whole number, 0 or more', '当前为列表，须为不小于 0 的整数'],
  ['is `7x`, and must be one of `a`, `b`', '当前为`7x`，须为以下之一：`a`, `b`'],
  ['`other` has no effect here: it is only shown', '`other` 在此不起作用：只用于显示'],
  [
    'the environment variable `PORT` must be a port from 0 to 65535',
    '环境变量 `PORT` 须为 0 至 65535 的端口',
  ],
  // A script's fault, and what to do about it.
  ['there is no function `foo`; did you mean `fox`?', '没有函数 `foo`；是否想写 `fox`？'],
  ["`admit` can't say `stop`: nothing has failed yet", '`admit` 中不能使用 `stop`：尚无失败'],
  ['say it in `admit`, `route` or `on_error`', '请在 `admit`、`route` 或 `on_error` 中使用'],
  ['end lines with LF or CRLF; in a text write `\\r`', '请以 LF 或 CRLF 结束各行；在文本中请写 `\\r`'],
  [
    'write `fn route(call) { … }` or `fn route(call, candidates) { … }`',
    '请写 `fn route(call) { … }` 或 `fn route(call, candidates) { … }`',
  ],
  ["expecting ';' to terminate this statement", "缺少 ';'：用于结束该语句"],
  ['line 3, column 4: nothing has a property `modle`', '第 3 行第 4 列：没有属性 `modle`'],
  [
    "the script can't be used:\npolicy `p`, line 2, column 1: `f` is a test, and tests aren't there when a call comes; give it another name\nelse",
    '脚本无法使用：\n策略 `p`，第 2 行第 1 列：`f` 是测试，而调用到来时没有测试；请换一个名称\nelse',
  ],
  [
    "`assert_first` doesn't hold; expected `b` first, came [a, b], excluded [c]",
    '`assert_first` 不成立；预期 `b` 在首位，实为 [a, b]，排除 [c]',
  ],
  [
    "`assert_model` doesn't hold; expected model `m`, came denied: `no; never`; tags [a]",
    '`assert_model` 不成立；预期 模型 `m`，实为 拒绝：`no; never`；标签 [a]',
  ],
  // Why a call is refused.
  [
    'the requests limit of this key for any 5 hours is reached; it resets at 1970-01-01T00:00:00.000Z',
    '此密钥的请求数限额（任意 5 小时）已满；将于 1970-01-01T00:00:00.000Z 重置',
  ],
  ['there is no guardrail `a` for this key: there are `b`, `c`', '此密钥没有护栏 `a`：可用的有 `b`, `c`'],
  [
    "the guardrail `g` refuses this: it can't be asked right now, and nothing passes without it",
    '护栏 `g` 拒绝：目前无法询问它，而未经它检查的内容不予放行',
  ],
  ["`prefer` doesn't take 3 arguments here", '`prefer` 在此不接受 3 个参数'],
  ["`m::f` doesn't take 1 argument", '`m::f` 不接受 1 个参数'],
  ['nobody says this; nor this', undefined],
  ['nobody says this for 30 days', undefined],
  ['nobody says this', undefined],
])('%s', (english, chinese) => {
  expect(chineseOf(english)).toBe(chinese);
});
