// The files of texts, each read when it is first needed.

export const load = {
  en: () => import('../word/en.json'),
  zh: () => import('../word/zh.json'),
};
