// The one door through which markup enters the document.
//
// The server renders and sanitises Markdown; here everything is taken over element by element by an
// allow-list once more, so that a fault there is no fault here. Drawings come from the same server
// and pass the same door with a list of their own.

import { say } from "./language.js";

/**
 * @typedef {object} MarkupPolicy
 * @property {(text: string) => string} createHTML in truth a TrustedHTML, which the DOM's types do
 *   not know: they take a string wherever it may stand
 */

/**
 * @typedef {object} TrustedTypes what Chromium has, and not every browser
 * @property {(name: string, rules: MarkupPolicy) => MarkupPolicy} createPolicy
 */

const { trustedTypes } = /** @type {{trustedTypes?: TrustedTypes}} */ (globalThis);
const policy = trustedTypes?.createPolicy("chorus-markup", { createHTML: (text) => text });

const HTML_ELEMENTS = new Set([
  "a",
  "blockquote",
  "br",
  "code",
  "em",
  "h1",
  "h2",
  "h3",
  "h4",
  "h5",
  "h6",
  "hr",
  "li",
  "ol",
  "p",
  "pre",
  "s",
  "strong",
  "table",
  "tbody",
  "td",
  "th",
  "thead",
  "tr",
  "ul",
]);
/** @type {Record<string, readonly string[]>} */
const HTML_ATTRIBUTES = { ol: ["start"], td: ["align"], th: ["align"], code: ["class"] };
const MATH_ELEMENTS = new Set(
  (
    "math mrow mi mn mo mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover " +
    "mtable mtr mtd mstyle mpadded mphantom menclose"
  ).split(" "),
);
const MATH_ATTRIBUTES = new Set(
  (
    "display alttext stretchy fence form separator accent accentunder movablelimits displaystyle " +
    "scriptlevel mathvariant linethickness columnalign columnlines rowlines rowspacing " +
    "columnspacing width minsize maxsize lspace rspace"
  ).split(" "),
);
const MATH_NAMESPACE = "http://www.w3.org/1998/Math/MathML";
const SVG_ELEMENTS = new Set([
  "svg",
  "g",
  "path",
  "polygon",
  "polyline",
  "ellipse",
  "circle",
  "rect",
  "line",
  "text",
  "tspan",
  "title",
]);
const SVG_NAMESPACE = "http://www.w3.org/2000/svg";
const CITATION = /\[(P\d{1,3})\]/g;

/**
 * The nodes of a sanitised answer.
 *
 * @param {string} html
 * @param {(label: string) => Node | null} cite the node for a citation label; null leaves its text
 */
export function fromHtml(html, cite) {
  const parsed = parse(html, "text/html");
  const target = document.createDocumentFragment();
  takeHtml(parsed.body, target, cite);
  return target;
}

/**
 * Highlighted code: text, and nothing around it but the spans of the highlighter.
 *
 * @param {string} html
 */
export function fromHighlighted(html) {
  const target = document.createDocumentFragment();
  takeSpans(parse(html, "text/html").body, target);
  return target;
}

/**
 * The drawing of an SVG text, as an element of this document; null where it is none.
 *
 * @param {string} text
 */
export function fromSvg(text) {
  const { documentElement } = parse(text, "image/svg+xml");
  return documentElement.localName === "svg" ? takeSvg(documentElement) : null;
}

/**
 * @param {string} text
 * @param {DOMParserSupportedType} type
 */
function parse(text, type) {
  return new DOMParser().parseFromString(policy ? policy.createHTML(text) : text, type);
}

/**
 * @param {Element} source
 * @param {ParentNode} target
 * @param {(label: string) => Node | null} cite
 */
function takeHtml(source, target, cite) {
  for (const node of source.childNodes) {
    if (node instanceof Text) target.append(...withCitations(node.data, source, cite));
    if (!(node instanceof Element)) continue;
    if (node.localName === "math") {
      target.append(takeMath(node));
      continue;
    }
    if (!HTML_ELEMENTS.has(node.localName)) {
      takeHtml(node, target, cite);
      continue;
    }
    const element = document.createElement(node.localName);
    for (const name of HTML_ATTRIBUTES[node.localName] ?? []) {
      const value = node.getAttribute(name);
      if (value !== null) element.setAttribute(name, value);
    }
    if (element instanceof HTMLAnchorElement) link(element, node.getAttribute("href") ?? "");
    takeHtml(node, element, cite);
    target.append(node.localName === "table" ? scrolling(element) : element);
  }
}

/**
 * A formula, which holds elements of MathML and text alone.
 *
 * @param {Element} source
 */
function takeMath(source) {
  const element = document.createElementNS(MATH_NAMESPACE, source.localName);
  for (const { name, value } of source.attributes) {
    if (MATH_ATTRIBUTES.has(name)) element.setAttribute(name, value);
  }
  for (const node of source.childNodes) {
    if (node instanceof Text) element.append(node.data);
    else if (node instanceof Element && MATH_ELEMENTS.has(node.localName)) {
      element.append(takeMath(node));
    }
  }
  return element;
}

/**
 * @param {Element} source
 * @param {ParentNode} target
 */
function takeSpans(source, target) {
  for (const node of source.childNodes) {
    if (node instanceof Text) target.append(node.data);
    if (!(node instanceof Element)) continue;
    const span = document.createElement("span");
    if (/^hljs-[\w -]+$/.test(node.className)) span.className = node.className;
    takeSpans(node, span);
    target.append(span);
  }
}

/**
 * @param {HTMLAnchorElement} element
 * @param {string} href
 */
function link(element, href) {
  if (!/^(https?:\/\/|mailto:)/i.test(href)) return;
  element.href = href;
  element.target = "_blank";
  element.rel = "noopener noreferrer nofollow";
}

/**
 * A wide table scrolls by itself, by keyboard too, and never widens the page.
 *
 * @param {HTMLElement} table
 */
function scrolling(table) {
  const frame = document.createElement("div");
  frame.className = "scrolling";
  frame.tabIndex = 0;
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", say.markup.table);
  frame.append(table);
  return frame;
}

/**
 * @param {string} text
 * @param {Element} parent
 * @param {(label: string) => Node | null} cite
 */
function withCitations(text, parent, cite) {
  if (parent.closest("code, pre, a")) return [text];
  /** @type {(string | Node)[]} */
  const parts = [];
  let end = 0;
  for (const { 0: whole, 1: label = "", index } of text.matchAll(CITATION)) {
    const node = cite(label);
    if (node === null) continue;
    parts.push(text.slice(end, index), node);
    end = index + whole.length;
  }
  return [...parts, text.slice(end)];
}

/**
 * @param {Element} source
 * @returns {SVGElement}
 */
function takeSvg(source) {
  const element = document.createElementNS(SVG_NAMESPACE, source.localName);
  for (const { name, value } of source.attributes) {
    if (!/^(on|href$|xlink|xmlns|style$)/i.test(name)) element.setAttribute(name, value);
  }
  for (const node of source.childNodes) {
    if (node instanceof Text) element.append(node.data);
    else if (node instanceof Element && SVG_ELEMENTS.has(node.localName)) {
      element.append(takeSvg(node));
    }
  }
  return element;
}
