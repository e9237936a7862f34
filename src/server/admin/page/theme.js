// The colours: as the system has them, light, or dark. Runs before anything is drawn, so that
// nothing flashes; tells whoever draws by the event "theme".
(() => {
  const KEY = "vidette.theme";
  const NEXT = { auto: "light", light: "dark", dark: "auto" };
  const WORDS = {
    auto: ["Auto", "Colours: as the system has them"],
    light: ["Light", "Colours: light"],
    dark: ["Dark", "Colours: dark"],
  };
  const root = document.documentElement;

  function kept() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  }

  function keep(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // Without a store it lasts as long as the page.
    }
  }

  function apply(theme) {
    root.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (!button) return;
    [button.textContent] = WORDS[theme];
    button.setAttribute("aria-label", WORDS[theme][1]);
    document.dispatchEvent(new Event("theme"));
  }

  const first = kept();
  apply(first in NEXT ? first : "auto");
  document.addEventListener("DOMContentLoaded", () => {
    apply(root.dataset.theme);
    document.getElementById("theme").addEventListener("click", () => {
      const theme = NEXT[root.dataset.theme];
      keep(theme);
      apply(theme);
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
    document.dispatchEvent(new Event("theme")),
  );
})();
