import { useTranslation } from 'react-i18next';
import { usePreference } from './preference';

/** Chinese or English; each language names itself. */
export function LanguageSwitch() {
  const { t } = useTranslation();
  const { value, change } = usePreference();
  return (
    <fieldset className="languages">
      <legend>{t('frame.language')}</legend>
      <button
        type="button"
        lang="en"
        aria-pressed={value.language === 'en'}
        onClick={() => change({ language: 'en' })}
      >
        English
      </button>
      <button
        type="button"
        lang="zh"
        aria-pressed={value.language === 'zh'}
        onClick={() => change({ language: 'zh' })}
      >
        中文
      </button>
    </fieldset>
  );
}
