// Entry point: URL state, language and theme, then the page.

import "./style/index.css";
import { Board, paint } from "./board.ts";
import { readUrlState } from "./url-state.ts";
import { setLocale } from "./format.ts";
import { languageOf, setLanguage } from "./i18n.ts";

const urlState = readUrlState(location.search);
const language = urlState.language ?? languageOf(navigator.languages);
setLanguage(language);
setLocale(language);
document.documentElement.lang = language;
paint(urlState);
const root = document.getElementById("board");
if (root) new Board(root, urlState);
