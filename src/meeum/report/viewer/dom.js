"use strict";
// Elements from a few words.

/** An element: `text` is its content, functions are listeners (`onclick`), all else are attributes. */
function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "text") made.textContent = value;
    else if (typeof value === "function") made[key] = value;
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function button(text, title, onclick) {
  return element("button", { type: "button", class: "mv-button", text, title, onclick });
}

/** Buttons of which one is pressed: `entries` are [value, text, title]. */
function choice(label, entries, choose) {
  const buttons = entries.map(([value, text, title]) => {
    const made = button(text, title, () => choose(value));
    made.dataset.value = value;
    return made;
  });
  return element("div", { class: "mv-choice", role: "group", "aria-label": label }, ...buttons);
}

function press(group, value) {
  for (const made of group.children) made.setAttribute("aria-pressed", String(made.dataset.value === value));
}

function dropDown(label, entries, onchange) {
  const options = entries.map(([value, text]) => element("option", { value, text }));
  return element("select", { "aria-label": label, title: label, onchange }, ...options);
}

/** A labelled number; `take` gets it when a person has entered one. */
function numberField(label, take, attributes = {}) {
  const input = element("input", { type: "number", step: "any", ...attributes });
  input.onchange = () => Number.isFinite(input.valueAsNumber) && take(input.valueAsNumber);
  return { input, whole: element("label", { class: "mv-field" }, element("span", { text: label }), input) };
}

function checkBox(label, take, checked = false) {
  const input = element("input", { type: "checkbox", checked });
  input.onchange = () => take(input.checked);
  return { input, whole: element("label", { class: "mv-check" }, input, element("span", { text: label })) };
}

/** A number written into a field, unless a person is typing there. */
function fill(input, text) {
  if (document.activeElement !== input) input.value = text;
}
