// Runs before anything is drawn, so that nobody who asked for the dark page sees a flash of the light one.
try {
  const kept = localStorage.getItem("headroom-theme");
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
} catch {
  // This browser keeps nothing.
}
