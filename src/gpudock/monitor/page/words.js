// The page's words in the reader's language: the chosen one, else the browser's, else English.

import en from "./words/en.js";
import ja from "./words/ja.js";
import zh from "./words/zh.js";

const LANGUAGES = { en, ja, zh };
export const NAMES = { en: "English", ja: "日本語", zh: "简体中文" };
const KEY = "gpudock.language";
let current = "en";

export const language = () => (current === "zh" ? "zh-CN" : current);

/** The text of that name with {places} filled in. */
export function word(name, places = {}) {
  const found = LANGUAGES[current][name] ?? en[name] ?? name;
  return found.replace(/\{(\w+)\}/g, (_, place) => places[place] ?? "");
}


/** The browser's languages in the reader's order; what was chosen here comes first. */
export function choose(languages = navigator.languages) {
  const wanted = [remembered(), ...languages].filter(Boolean).map((each) => each.toLowerCase().split("-")[0]);
  use(wanted.find((each) => each in LANGUAGES) ?? "en");
  return current;
}

export function use(name, remember = false) {
  current = name;
  document.documentElement.lang = language();
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = word(node.dataset.word);
  if (remember) store(name);
}

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function store(name) {
  try {
    localStorage.setItem(KEY, name);
  } catch {
    // Not kept: the browser's language next time.
  }
}
