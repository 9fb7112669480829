// The page: puts its parts together.

import "./style/page.css";
import { App } from "./app";
import { find } from "./dom";
import { onLanguage, toggleLanguage, translateDocument } from "./language";
import { installTheme } from "./theme";

installTheme(find("theme", HTMLButtonElement));
find("language", HTMLButtonElement).addEventListener("click", toggleLanguage);
onLanguage(translateDocument);
const app = new App();
onLanguage(() => app.translate());
addEventListener("pagehide", () => app.goAway());
// A page that the browser kept is as dead as its line.
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) location.reload();
});
void app.load();
