// Light or dark: as the system is set, until the user chooses.

const THEME = "parley.theme";
const root = document.documentElement;

export function installTheme(toggle: HTMLButtonElement): void {
  const chosen = localStorage.getItem(THEME);
  if (chosen === "light" || chosen === "dark") root.dataset["theme"] = chosen;
  toggle.addEventListener("click", () => {
    const other = isDark() ? "light" : "dark";
    root.dataset["theme"] = other;
    localStorage.setItem(THEME, other);
  });
}

function isDark(): boolean {
  const chosen = root.dataset["theme"];
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}
