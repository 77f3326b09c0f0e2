// Making elements. User content only ever enters as text: nothing here parses markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * @typedef {string | number | boolean | null | undefined} Attribute
 * @typedef {string | Node | false | null | undefined} Child
 * @typedef {keyof typeof ICONS} IconName
 */

/**
 * Handlers by the name of their event.
 *
 * @template {HTMLElement} [E=HTMLElement]
 * @typedef {{
 *   [Name in keyof HTMLElementEventMap]?:
 *     (event: HTMLElementEventMap[Name] & { currentTarget: E }) => unknown
 * }} Handlers
 */

/**
 * @template {HTMLElement} [E=HTMLElement]
 * @typedef {{
 *   [attribute: string]: Attribute | Handlers<E> | Record<string, string>,
 *   on?: Handlers<E>,
 *   data?: Record<string, string>,
 * }} Props
 */

/**
 * An element. `props`: `class`, `on: {event: handler}`, `data: {...}`; booleans set or
 * leave out an attribute; null and undefined leave it out; everything else is an attribute.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Props<HTMLElementTagNameMap[Tag]>} props
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  const { on, data, ...attributes } = props;
  for (const [event, handler] of Object.entries(on ?? {})) {
    // Each handler takes the event of its own name, which a loop over all names cannot say.
    element.addEventListener(event, /** @type {EventListener} */ (handler));
  }
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(
    ...children.filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/**
 * A symbol of the page's own set; it says nothing to a screen reader.
 *
 * @param {IconName} name
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/**
 * A button with a symbol, and words for those who do not see it.
 *
 * @param {IconName} name
 * @param {string} label
 * @param {Handlers<HTMLButtonElement>["click"]} onClick
 * @param {Props<HTMLButtonElement>} props
 */
export function iconButton(name, label, onClick, props = {}) {
  return h(
    "button",
    {
      type: "button",
      class: "icon-button",
      "aria-label": label,
      title: label,
      on: { click: onClick },
      ...props,
    },
    icon(name),
  );
}

/**
 * @param {string} label
 * @param {Handlers<HTMLButtonElement>["click"]} onClick
 * @param {Props<HTMLButtonElement>} props
 */
export function button(label, onClick, props = {}) {
  return h("button", { type: "button", class: "button", on: { click: onClick }, ...props }, label);
}

/**
 * Set text only where it differs, so that selections and screen readers are left alone.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {EventTarget | null} target */
export function isTyping(target) {
  return target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement;
}

/**
 * Move the focus on the page's own account, some time after the user asked for what is focused: a
 * field in which the user may be writing by now keeps it, or else keys go where they are not meant.
 *
 * @param {HTMLElement} element
 */
export function offerFocus(element) {
  if (!isTyping(document.activeElement)) element.focus({ preventScroll: true });
}

/**
 * Append to a growing text without touching what stands there already.
 *
 * @param {Element} element
 * @param {string} text
 */
export function growText(element, text) {
  const node = element.firstChild;
  const isAlone = element.childNodes.length === 1;
  if (node instanceof Text && isAlone && text.startsWith(node.data)) {
    if (text.length > node.data.length) node.appendData(text.slice(node.data.length));
  } else {
    element.textContent = text;
  }
}

/**
 * The parts of a text that has places for elements, `{who} invites you`, each with its element.
 *
 * @param {string} text
 * @param {Record<string, Node>} elements by the name of their place
 * @returns {Child[]}
 */
export function filled(text, elements) {
  return text.split(/\{(\w+)\}/).map((part, at) => (at % 2 === 1 ? elements[part] : part));
}

/**
 * Children in this order, moving only what is out of place.
 *
 * @param {Element} parent
 * @param {Iterable<Element>} children
 */
export function arrange(parent, children) {
  /** @type {ChildNode | null} */
  let place = parent.firstChild;
  for (const child of children) {
    if (child === place) place = place.nextSibling;
    else parent.insertBefore(child, place);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

/**
 * One view for each key, kept as long as the key is there.
 *
 * @template Key
 * @template {{element: Element}} View
 * @param {Map<Key, View>} views by key; changed in place
 * @param {Iterable<Key>} keys in their order
 * @param {(key: Key) => View} make
 * @returns {View[]}
 */
export function keyed(views, keys, make) {
  const wanted = [...keys];
  const known = new Set(wanted);
  for (const key of views.keys()) if (!known.has(key)) views.delete(key);
  return wanted.map((key) => {
    const view = views.get(key) ?? make(key);
    views.set(key, view);
    return view;
  });
}

const ICONS = {
  plus: "M10 4v12M4 10h12",
  minus: "M4 10h12",
  search: "M9 3.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM13 13l4 4",
  send: "M10 16V4M5 9l5-5 5 5",
  stop: "M6 6h8v8H6z",
  retry: "M16 10a6 6 0 1 1-2-4.5M14 2v4h-4",
  copy: "M7 7V4h9v9h-3M4 7h9v9H4z",
  more: "M4.5 10h.01M10 10h.01M15.5 10h.01",
  check: "M4 10.5l4 4 8-9",
  cross: "M5 5l10 10M15 5L5 15",
  play: "M6 4l10 6-10 6z",
  pause: "M7 4v12M13 4v12",
  back: "M13 4l-6 6 6 6",
  forward: "M7 4l6 6-6 6",
  lock: "M6 9V6.5a4 4 0 0 1 8 0V9M4.5 9h11v7.5h-11z",
  globe:
    "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM3 10h14M10 3c2.6 2 2.6 12 0 14M10 3c-2.6 2-2.6 12 0 14",
  talk: "M4 4.5h12v8.5H9l-3.5 3v-3H4z",
  people:
    "M7.5 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM3 16c0-6 9-6 9 0M13 9.5a2 2 0 1 0 0-4M13.5 11.5c2.5.2 3.5 2 3.5 4.5",
  hide: "M3 10c3-5.5 11-5.5 14 0-3 5.5-11 5.5-14 0zM10 8a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM4 16L16 4",
  inbox: "M3.5 11.5L6 4.5h8l2.5 7v4h-13zM3.5 11.5h4l1 2h3l1-2h4",
  machine: "M4 3.5h5v4H4zM11 12.5h5v4h-5zM6.5 7.5v7H11",
  pencil: "M4 16l1-4 8-8 3 3-8 8zM11 6l3 3",
  down: "M5 8l5 5 5-5",
  expand: "M4 8V4h4M16 12v4h-4M4 4l5 5M16 16l-5-5",
  replay: "M4 10a6 6 0 1 0 2-4.5M6 2v4h4M9 8l4 2.5-4 2.5z",
};
