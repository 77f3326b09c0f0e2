// A machine's committed drawing, lit from a trace. The page sets classes on the drawing's ids; the
// counts of the edges lie above it, so that the drawing itself stays as it was committed.

/** @import { MachineName, Trace } from "./trace.js" */
/** @import { Label } from "./heat.js" */
/** @import { HeatData } from "./wire.d.ts" */

import { h } from "./dom.js";
import { cool, warm } from "./heat.js";
import { say } from "./language.js";
import { fromSvg } from "./markup.js";

const READABLE = 0.8; // of the drawing's own size: letters are as large as small print
const SMALLER = 0.9; // of that, where the whole width then fits
const LEAST = 0.15; // of the drawing's own size
const MOST = 3;
const STEP = 1.25; // of a zoom by a key
const WHEEL = 0.004; // of a zoom by a pixel of the wheel
const PIXELS = 4 / 3; // of a point
const LIT = ["current", "taken", "last", "refused"];
const LABEL = /^(?:↻\s*)?[a-z_]+(?:\s+from [a-z_]+)?(?:\s+\[([^\]]*)\])?(?:\s+\/\s+(.*))?$/u; // event from state [guards] / actions

/** @typedef {{x: number, y: number}} Point in units of the drawing */

/** @typedef {{element: Element, guards: string[], actions: string[], at: Point | null}} Edge */

/**
 * @typedef {object} Loaded the drawing once it is here
 * @property {SVGElement} svg
 * @property {number} width in points
 * @property {number} height in points
 * @property {Point} offset of what is drawn
 */

export class Drawing {
  /** @type {Loaded | null} */
  #loaded = null;
  /** @type {Map<string, Edge>} by id */
  #edges = new Map();
  /** @type {Trace | null} */
  #shown = null;
  #isLit = false;
  /** @type {HeatData | null} shown in place of a trace */
  #heat = null;
  #isWhole = false;
  /** @type {number | null} of the drawing's own size, where the user chose one */
  #scale = null;

  /**
   * @param {MachineName} machine
   * @param {() => void} zoomed is told when the user zoomed on the drawing itself
   */
  constructor(machine, zoomed) {
    this.machine = machine;
    this.zoomed = zoomed;
    this.counts = h("div", { class: "edge-counts", "aria-hidden": "true" });
    this.canvas = h("div", { class: "canvas" }, this.counts);
    this.element = h(
      "div",
      {
        class: "drawing",
        tabindex: "0",
        role: "region",
        "aria-label": say.machines.drawing(machine),
        on: {
          pointerdown: (event) => this.#drag(event),
          wheel: (event) => this.#wheel(event),
          keydown: (event) => this.#key(event),
        },
      },
      this.canvas,
    );
    new ResizeObserver(() => {
      if (this.element.clientWidth === 0)
        this.canvas.style.width = ""; // its area is put away
      else this.#resize();
    }).observe(this.element);
  }

  get isLoaded() {
    return this.#loaded !== null;
  }

  /** Fetch the drawing; throws where the server has none. */
  async load() {
    const response = await fetch(`diagrams/${this.machine}.svg`);
    const svg = response.ok ? fromSvg(await response.text()) : null;
    if (svg === null) throw new Error(`no drawing of ${this.machine}`);
    const [, , width, height] = (svg.getAttribute("viewBox") ?? "").split(/\s+/).map(Number);
    const transform = svg.querySelector("g.graph")?.getAttribute("transform") ?? "";
    const shift = /translate\(([-\d.]+) ([-\d.]+)\)/.exec(transform);
    if (!width || !height || !shift) throw new Error(`the drawing of ${this.machine} has no size`);
    svg.removeAttribute("width");
    svg.removeAttribute("height");
    const offset = { x: Number(shift[1]), y: Number(shift[2]) };
    for (const element of svg.querySelectorAll("g.edge")) {
      this.#edges.set(element.id, { element, ...partsOf(element), at: place(element, offset) });
    }
    this.#loaded = { svg, width, height, offset };
    this.canvas.prepend(svg);
    this.#resize();
    if (this.#heat) this.#warm(this.#loaded, this.#heat);
    else if (this.#shown) this.show(this.#shown);
  }

  /** What the machine did in a period, in place of a trace; null shows the trace again. */
  get heat() {
    return this.#heat;
  }

  set heat(heat) {
    if (heat === this.#heat) return;
    this.#heat = heat;
    if (!this.#loaded) return;
    if (heat) {
      this.#warm(this.#loaded, heat);
      return;
    }
    cool(this.#loaded.svg);
    this.#isLit = false;
    if (this.#shown) this.show(this.#shown);
  }

  /** Whether the whole drawing is shown, in place of letters that can be read. */
  get isWhole() {
    return this.#isWhole;
  }

  set isWhole(isWhole) {
    this.#isWhole = isWhole;
    this.#scale = null;
    this.#resize();
    this.reveal({ smoothly: false });
  }

  /**
   * Make the drawing larger or smaller; what is in the middle, or `at` a point of the window, stays.
   *
   * @param {number} factor
   * @param {{clientX: number, clientY: number}} [at]
   */
  zoom(factor, at) {
    if (!this.#loaded) return;
    const { left, top, width, height } = this.element.getBoundingClientRect();
    const x = at ? at.clientX - left : width / 2;
    const y = at ? at.clientY - top : height / 2;
    const before = this.canvas.clientWidth;
    const own = this.#loaded.width * PIXELS;
    this.#scale = Math.min(MOST, Math.max(LEAST, (before / own) * factor));
    this.#isWhole = false;
    const { scrollLeft, scrollTop } = this.element;
    this.#resize();
    const grown = this.canvas.clientWidth / before;
    this.element.scrollLeft = (scrollLeft + x) * grown - x;
    this.element.scrollTop = (scrollTop + y) * grown - y;
  }

  /**
   * Light the drawing.
   *
   * @param {Trace} trace
   */
  show(trace) {
    const before = this.#shown;
    this.#shown = trace;
    if (!this.#loaded || this.#heat || (trace === before && this.#isLit)) return;
    this.#isLit = true;
    const { svg } = this.#loaded;
    for (const element of svg.querySelectorAll(LIT.map((name) => `.${name}`).join())) {
      element.classList.remove(...LIT);
    }
    for (const state of trace.current) this.#state(state)?.classList.add("current");
    for (const edge of trace.counts.keys()) this.#light(edge, "taken");
    if (trace.last) this.#light(trace.last.edge, "last");
    for (const edge of trace.refused?.edges ?? []) this.#light(edge, "refused");
    this.#drawCounts(this.#loaded, trace.counts);
    if (trace.last !== before?.last || trace.refused !== before?.refused)
      this.reveal({ smoothly: true });
  }

  /**
   * Guards and actions of an edge, as its label spells them.
   *
   * @param {string} id
   */
  edge(id) {
    return this.#edges.get(id) ?? { guards: [], actions: [] };
  }

  /**
   * Ids of the edges that an event could have taken from a state, past one of these guards.
   *
   * @param {string} event
   * @param {string} state
   * @param {readonly string[]} guards
   */
  edgesFor(event, state, guards) {
    const source = state.split(/[,. ]+/).at(-1) ?? state;
    const ofEvent = `edge_${this.machine}_${event}_`;
    const all = [...this.#edges.keys()].filter((id) => id.startsWith(ofEvent));
    const inner = all.filter((id) => id.startsWith(`${ofEvent}${source}_`));
    // An edge may leave a state around the innermost one, which the refusal names.
    const from = inner.length > 0 ? inner : all;
    const named = from.filter((id) => this.edge(id).guards.some((guard) => guards.includes(guard)));
    return named.length > 0 ? named : from;
  }

  /**
   * Bring what is lit into view.
   *
   * @param {{smoothly: boolean}} how
   */
  reveal({ smoothly }) {
    const trace = this.#shown;
    if (!trace || !this.#loaded || !this.element.clientHeight) return;
    const states = [...trace.current]
      .map((state) => this.#state(state))
      .filter((state) => state?.classList.contains("atomic"));
    // Of states side by side, the one that was entered last is the one to look at.
    const entered = states.find((state) => state?.id.endsWith(`_${trace.last?.target}`));
    const [refused] = trace.refused?.edges ?? [];
    const target = refused ? this.#edges.get(refused)?.element : (entered ?? states[0]);
    const { width, height, offset } = this.#loaded;
    const at = target ? place(target, offset) : null;
    if (!at) return;
    const still = !smoothly || matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.element.scrollTo({
      left: (at.x / width) * this.canvas.clientWidth - this.element.clientWidth / 2,
      top: (at.y / height) * this.canvas.clientHeight - this.element.clientHeight / 2,
      behavior: still ? "instant" : "smooth",
    });
  }

  #resize() {
    const room = this.element.clientWidth;
    if (!this.#loaded || room === 0) return;
    const { width, height } = this.#loaded;
    const own = width * PIXELS * READABLE;
    const wasHidden = this.canvas.style.width === "";
    const whole = Math.min(room, (this.element.clientHeight * width) / height);
    const fits = room >= own * SMALLER && room <= own;
    const readable = fits ? room : own;
    const chosen = this.#scale === null ? readable : width * PIXELS * this.#scale;
    this.canvas.style.width = `${this.#isWhole ? whole : chosen}px`;
    if (wasHidden) this.reveal({ smoothly: false });
  }

  /**
   * A mouse moves the drawing; a finger scrolls it by itself.
   *
   * @param {PointerEvent} event
   */
  #drag({ pointerId, pointerType, button, clientX, clientY }) {
    if (pointerType !== "mouse" || button !== 0) return;
    const { element } = this;
    const { scrollLeft, scrollTop } = element;
    const ending = new AbortController();
    /** @param {PointerEvent} event */
    const move = (event) =>
      element.scrollTo({
        left: scrollLeft + clientX - event.clientX,
        top: scrollTop + clientY - event.clientY,
        behavior: "instant",
      });
    const { signal } = ending;
    element.setPointerCapture(pointerId);
    element.classList.add("dragged");
    element.addEventListener("pointermove", move, { signal });
    element.addEventListener(
      "lostpointercapture",
      () => {
        element.classList.remove("dragged");
        ending.abort();
      },
      { signal },
    );
  }

  /**
   * With Control, or by two fingers on a pad, the wheel zooms.
   *
   * @param {WheelEvent} event
   */
  #wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY * WHEEL), event);
    this.zoomed();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey) return;
    if (event.key === "+" || event.key === "=") this.zoom(STEP);
    else if (event.key === "-") this.zoom(1 / STEP);
    else if (event.key === "0") this.isWhole = true;
    else return;
    event.preventDefault();
    this.zoomed();
  }

  /** @param {string} name */
  #state(name) {
    return this.#loaded?.svg.querySelector(`#state_${this.machine}_${CSS.escape(name)}`) ?? null;
  }

  /**
   * @param {string} edge
   * @param {string} name of the class
   */
  #light(edge, name) {
    this.#edges.get(edge)?.element.classList.add(name);
  }

  /**
   * @param {Loaded} loaded
   * @param {HeatData} heat
   */
  #warm({ svg, width, height, offset }, heat) {
    for (const element of svg.querySelectorAll(LIT.map((name) => `.${name}`).join())) {
      element.classList.remove(...LIT);
    }
    /** @param {Label} label */
    const badge = ({ element, text, isState }) => {
      const at = isState ? foot(element, offset) : place(element, offset);
      if (!at) return [];
      const words = h("span", { class: isState ? "edge-count held" : "edge-count warm" }, text);
      words.style.left = `${(at.x / width) * 100}%`;
      words.style.top = `${(at.y / height) * 100}%`;
      return [words];
    };
    this.counts.replaceChildren(...warm(svg, heat).flatMap(badge));
  }

  /**
   * @param {Loaded} loaded
   * @param {Trace["counts"]} counts
   */
  #drawCounts({ width, height }, counts) {
    this.counts.replaceChildren(
      ...[...counts].flatMap(([id, count]) => {
        const at = this.#edges.get(id)?.at;
        if (!at) return [];
        const badge = h("span", { class: "edge-count" }, `×${count}`);
        badge.style.left = `${(at.x / width) * 100}%`;
        badge.style.top = `${(at.y / height) * 100}%`;
        return [badge];
      }),
    );
  }
}

/**
 * Where the label of a state or an edge begins; null where it has none.
 *
 * @param {Element} element
 * @param {Point} offset
 * @returns {Point | null}
 */
function place(element, offset) {
  const texts = [...element.querySelectorAll("text")];
  if (texts.length === 0) return null;
  /** @param {"x" | "y"} name */
  const least = (name) => Math.min(...texts.map((text) => Number(text.getAttribute(name))));
  return { x: least("x") + offset.x, y: least("y") + offset.y };
}

/**
 * The middle of the lower border of a state, or where its name begins if it is not drawn.
 *
 * @param {Element} element
 * @param {Point} offset
 */
function foot(element, offset) {
  const shape = element.querySelector("path");
  const box = shape?.getBBox();
  if (!box?.width || !element.classList.contains("atomic")) return place(element, offset);
  return { x: box.x + box.width / 2 + offset.x, y: box.y + box.height + offset.y };
}

/** @param {Element} element */
function partsOf(element) {
  const title = element.querySelector("title")?.textContent ?? "";
  // The first line is the label; those after it say what its guards mean.
  const [label = ""] = title.trim().split("\n");
  const [, guards = "", actions = ""] = LABEL.exec(label) ?? [];
  /** @param {string} text */
  const split = (text) =>
    text
      .split(",")
      .map((part) => part.trim())
      .filter(Boolean);
  return { guards: split(guards), actions: split(actions) };
}
