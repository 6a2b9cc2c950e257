// Copies the text of the element that a button's data-copy names, and says so.
"use strict";
(() => {
  function select(element) {
    const range = document.createRange();
    range.selectNodeContents(element);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  }

  async function copy(element) {
    try {
      await navigator.clipboard.writeText(element.textContent);
      return true;
    } catch {
      select(element); // pages opened from a disk may not be given the clipboard: older browsers copy what is selected
      return document.execCommand("copy");
    }
  }

  for (const button of document.querySelectorAll("button[data-copy]")) {
    const words = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const done = await copy(document.getElementById(button.dataset.copy));
      button.textContent = done ? "copied" : "selected: press Ctrl+C";
      setTimeout(() => { button.textContent = words; }, 2500);
    });
  }
})();
