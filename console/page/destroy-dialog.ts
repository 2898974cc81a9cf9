/** Asks whether a machine is really to be destroyed. */
import { h } from "./dom.ts";

/** @param whose a sentence on its owner, for those who are not */
export function destroyDialog(
  machineId: string,
  onDestroy: () => void,
  whose?: string,
): HTMLDialogElement {
  const titleId = `confirm-${machineId}`;
  return h(
    "dialog",
    { "aria-labelledby": titleId },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: titleId }, `Destroy ${machineId}?`),
      whose !== undefined && h("p", {}, whose),
      h("p", {}, "Everything on it is lost. This cannot be undone."),
      h(
        "div",
        { class: "row" },
        // First, so that it has the focus when the dialog opens.
        h("button", { value: "keep" }, "Keep it"),
        h(
          "button",
          { value: "destroy", class: "danger", onclick: () => onDestroy() },
          "Destroy it",
        ),
      ),
    ),
  );
}
