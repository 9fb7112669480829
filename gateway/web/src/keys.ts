// Asks for the server's API key, if it needs one.

import { find } from "./dom";
import { useKey } from "./gateway";

export class KeyDialog {
  readonly #dialog = find("key-dialog", HTMLDialogElement);
  readonly #input = find("key", HTMLInputElement);
  readonly #problem = find("key-problem", HTMLParagraphElement);
  #wasTried = false;

  constructor(onKey: () => void) {
    find("key-form", HTMLFormElement).addEventListener("submit", () => {
      this.#wasTried = true;
      useKey(this.#input.value.trim());
      onKey();
    });
  }

  ask(): void {
    this.#problem.hidden = !this.#wasTried;
    this.#input.value = "";
    if (!this.#dialog.open) this.#dialog.showModal();
  }
}
