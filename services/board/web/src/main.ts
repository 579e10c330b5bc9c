// Wiring: the address, the language and the colours, then the page.

import "./style/index.css";
import { Board, paint } from "./board.ts";
import { readChoice } from "./choice.ts";
import { setLocale } from "./format.ts";
import { languageOf, setLanguage } from "./words.ts";

const choice = readChoice(location.search);
const language = choice.language ?? languageOf(navigator.languages);
setLanguage(language);
setLocale(language);
document.documentElement.lang = language;
paint(choice);
const root = document.getElementById("board");
if (root) new Board(root, choice);
