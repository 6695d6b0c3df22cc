import { h } from "./dom.js";

/**
 * Shows a modal dialog; Escape and the button in its corner close it, and the focus goes back to where it was.
 *
 * @param {string} title
 * @param {(Node | string)[]} content
 * @param {{ isWide?: boolean, onClose?: () => void }} [options]
 * @returns {HTMLDialogElement}
 */
export function openDialog(title, content, { isWide = false, onClose } = {}) {
  const id = `dialog-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  const dialog = h("dialog", { "aria-labelledby": id, class: isWide ? "wide" : false });
  const close = h("button", { type: "button", class: "plain close", "aria-label": "Close", onclick: () => dialog.close() });
  const head = h("header", {}, h("h2", { id, tabindex: -1 }, title), close);
  dialog.append(head, h("div", { class: "content" }, ...content));
  const before = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    onClose?.();
    if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
  });
  // A click beside it closes it, too.
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  head.querySelector("h2")?.focus();
  return dialog;
}

/** Closes whatever is open. */
export function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
}
