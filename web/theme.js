// SPDX-License-Identifier: MIT
// Light or dark: the system's wish, or what was chosen; before the first paint, so that nothing flashes.
"use strict";
(() => {
  const root = document.documentElement;
  const read = () => { try { return localStorage.getItem("weir-theme") || "auto"; } catch { return "auto"; } };
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = read();
    root.dataset.theme = chosen === "auto" ? (system.matches ? "dark" : "light") : chosen;
    dispatchEvent(new Event("weir-theme"));
  };
  system.addEventListener("change", apply);
  addEventListener("DOMContentLoaded", () => {
    const select = document.getElementById("theme");
    select.value = read();
    select.addEventListener("change", () => {
      try { localStorage.setItem("weir-theme", select.value); } catch { /* it lasts for this page only */ }
      apply();
      if (read() !== select.value) root.dataset.theme = select.value;
    });
  });
  apply();
})();
