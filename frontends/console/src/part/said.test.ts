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
  [
    'the total_tokens limit of this key for each day is 100: 90 are used or reserved and this call may need 20; it resets at 2026-01-02T00:00:00.000Z',
    '此密钥的Token 总量限额（每天）为 100：已用或预留 90，此调用可能需要 20；将于 2026-01-02T00:00:00.000Z 重置',
  ],
  [
    'the concurrency limit of this user is 2: 2 are used or reserved and this call may need 1; wait until a call ends',
    '此用户的并发限额为 2：已用或预留 2，此调用可能需要 1；请等待有调用结束',
  ],
  [
    'the spend limit of this customer for its lifetime is 1 USD: 0.9 USD are used or reserved and this call may need 0.2 USD; ask whoever manages it to raise it',
    '此终端客户的费用总计限额为 1 USD：已用或预留 0.9 USD，此调用可能需要 0.2 USD；请让管理者提高',
  ],
  [
    'the requests limit of this membership for any 5 hours is 3: 3 are used or reserved and this call may need 1; calls under way have reserved the rest: try again in a moment',
    '此成员的请求数限额（任意 5 小时）为 3：已用或预留 3，此调用可能需要 1；其余已被进行中的调用预留：请稍后重试',
  ],
  [
    "the pattern `(` can't be used: unclosed group; see the syntax of Rust's regex crate",
    '无法使用模式 `(`：unclosed group；语法见 Rust 的 regex 库',
  ],
  ['there is no guardrail `a` for this key: there are `b`, `c`', '此密钥没有护栏 `a`：可用的有 `b`, `c`'],
  [
    "the guardrail `g` refuses this: it can't be asked right now, and nothing passes without it",
    '护栏 `g` 拒绝：目前无法询问它，而未经它检查的内容不予放行',
  ],
  ["`prefer` doesn't take 3 arguments here", '`prefer` 在此不接受 3 个参数'],
  ["`m::f` doesn't take 1 argument", '`m::f` 不接受 1 个参数'],
  // What stands between backticks ends with them, and verbs are said.
  [
    "`on_error` can't ask `text_contains`: the call is under way already",
    '`on_error` 中不能使用 `text_contains`：调用已在进行',
  ],
  [
    "`team_member_budget_update_mode` can't be `x`: members keep budgets of their own; change those at /team/member_update",
    undefined,
  ],
  [
    "there is no model `m` at `/providers/x` for this key; ask for it, or for `/providers/x/*`, to be added to the key's models",
    '此密钥没有 `/providers/x` 处的模型 `m`；请让管理者将其或 `/providers/x/*` 加入密钥的模型',
  ],
  [
    "`messages[2].name` answers no call of the turn before: send the model's `function_call` first",
    undefined,
  ],
  // Lists of what is known by itself.
  [
    'the model `m` takes no tools or images; leave that out, or name another model',
    '模型 `m` 不接受 工具或图片；请去掉，或换一个模型',
  ],
  ['tools, audio or stop sequences', '工具、音频或停止序列'],
  ['`a`, `b` or tools', '`a`、`b` 或工具'],
  ['`a or b` or `c`', '`a or b` 或 `c`'],
  ['tools or nobody knows what', undefined],
  [
    'the spend limit of this installation for each month is reached; it resets at 2026-02-01T00:00:00.000Z',
    '此网关的费用限额（每月）已满；将于 2026-02-01T00:00:00.000Z 重置',
  ],
  // What scripts advise, part by part.
  [
    'prefer [tag `overseas`, channel `a; b`]; model `m`; max_output 5; stop true',
    '优先 [标签 `overseas`、渠道 `a; b`]；模型 `m`；输出上限 5；停止',
  ],
  ['deny `no; never`; tags [`a`, `b`]', '拒绝 `no; never`；标签 [`a`, `b`]'],
  ['prefer [tag `overseas`]', '优先 [标签 `overseas`]'],
  // Tests of policies.
  [
    "version 3 of policy `p` fails its own tests; put one that passes:\nline 1, column 2: test_a: `assert_first` doesn't hold; expected `b` first, came order [a, b]; excluded [c]\nline 9, column 1: test_b: an assertion doesn't hold",
    '策略 `p` 的版本 3 未通过自身测试；请提交能通过的版本：\n第 1 行第 2 列：test_a：`assert_first` 不成立；预期 `b` 在首位，实为 顺序 [a, b]；排除 [c]\n第 9 行第 1 列：test_b：断言不成立',
  ],
  [
    '`format` of given is "openai_chat", "openai_embeddings", "anthropic_messages", "openai_responses", "gemini_generate" or that of a single operation, not `x`',
    '`format`（given）须为"openai_chat"、"openai_embeddings"、"anthropic_messages"、"openai_responses"、"gemini_generate" 或单一操作的格式，而不是 `x`',
  ],
  // The scripts' language.
  ["possibly a typo of '=='?", "是否想写 '=='？"],
  [
    "expecting ')' for a matching ( in this expression; correct the syntax",
    "缺少 ')'：用于与该表达式中的 ( 配对；请修正语法",
  ],
  [
    "'eval' should not be called in method style. Try eval(...);; correct the syntax",
    "'eval' 不能以方法方式调用。请写 eval(...);；请修正语法",
  ],
  ['expecting a boolean expression, not ()', '此处应为布尔表达式，而不是 ()'],
  ['expecting a boolean expression, not an object map', '此处应为布尔表达式，而不是 映射'],
  ['expecting an iterable value, not a boolean', '此处应为可迭代的值，而不是 布尔值'],
  ["'this' can only be used in functions", "'this' 只能在函数中使用"],
  ['size of array literal exceeds the maximum limit (64)', '数组的大小超过上限（64）'],
  ['object map expects string index, not a number', '映射的键须为文本，而不是 数字'],
  ['string index 4 out of bounds: only 1 character in string', '文本下标 4 越界：文本只有 1 个字符'],
  ['multiplication overflow: 9 * 9', '乘法溢出：9 * 9'],
  // Why a channel can't be used, and what a trial of it comes to.
  ["channel `a`: `ftp` addresses can't be called; use https", '渠道 `a`：无法访问 `ftp` 地址；请使用 https'],
  ["the environment variable `K` isn't set; set it to the credential", '环境变量 `K` 未设置；请将其设为凭据'],
  ['no answer in time', '未及时应答'],
  [
    "the upstream can't be reached; try again in a moment: could not connect: refused",
    '无法连接上游；请稍后重试：无法连接：refused',
  ],
  ['nobody says this; nor this', undefined],
  ['nobody says this for 30 days', undefined],
  ['nobody says this', undefined],
])('%s', (english, chinese) => {
  expect(chineseOf(english)).toBe(chinese);
});
