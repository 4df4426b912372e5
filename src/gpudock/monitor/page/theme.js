// Before anything is drawn: the theme that was chosen here before. A script of its own, because inline ones are forbidden.
"use strict";
try {
  document.documentElement.dataset.theme = localStorage.getItem("gpudock.theme") || "auto";
} catch {
  // A browser that keeps nothing: the system's theme.
}
