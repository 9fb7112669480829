// Puts the page together.

import "./style/page.css";
import { App } from "./app";
import { find } from "./dom";
import { takeTicket } from "./gateway";
import { onLanguage, toggleLanguage, translateDocument } from "./language";
import { installTheme } from "./theme";

installTheme(find("theme", HTMLButtonElement));
find("language", HTMLButtonElement).addEventListener("click", toggleLanguage);
onLanguage(translateDocument);
takeTicket();
const app = new App();
onLanguage(() => app.translate());
void app.load();
