// Texts in Chinese and English, each loaded when it is first shown.

import i18next from 'i18next';
import { initReactI18next } from 'react-i18next';
import { learn } from '../part/said';
import { load } from './language_file';

export type Language = 'en' | 'zh';

async function fetchWords(language: Language): Promise<void> {
  if (i18next.hasResourceBundle(language, 'translation')) return;
  // What the server says is only needed once it has refused something.
  if (language === 'zh')
    void import('../word/server.zh.json').then(({ default: it }) => learn({ ...it.says, ...it.beside }));
  i18next.addResourceBundle(language, 'translation', (await load[language]()).default);
}

export async function startLanguage(language: Language): Promise<void> {
  await i18next.use(initReactI18next).init({
    lng: language,
    fallbackLng: false,
    resources: {},
    // React writes texts as texts: nothing in them is markup.
    interpolation: { escapeValue: false },
  });
  await changeLanguage(language);
}

export async function changeLanguage(language: Language): Promise<void> {
  await fetchWords(language);
  if (i18next.language !== language) await i18next.changeLanguage(language);
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
}
