// Elements, numbers and the page's data. Text from data only ever becomes text nodes and attribute values.
const DATA = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const KINDS = { method: "methods", control: "controls", bound: "upper bounds" };
const METHODS = new Map(DATA.methods.map((method) => [method.label, method]));
const METRICS = new Map(DATA.metrics.map((metric) => [metric.key, metric]));

const byId = (id) => document.getElementById(id);

function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// A number for reading: two decimals, one above ten, none above a thousand.
function told(value, digits = 2) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const text = value.toFixed(size >= 1000 ? 0 : size >= 10 ? Math.max(digits - 1, 0) : digits);
  return /[1-9]/.test(text) ? text.replace("-", "−") : text.replace("-", ""); // no minus zero
}

function interval(low, high) {
  return low === null || high === null ? "no interval" : `95 % interval ${told(low)} to ${told(high)}`;
}

function kindOf(label) {
  return METHODS.get(label)?.kind ?? "method";
}

// Disc, square or diamond by kind, so that colour is never alone.
function mark(kind, x, y, size = 4) {
  const colour = `var(--${kind})`;
  if (kind === "control") {
    return svg("rect", {
      x: x - size + 0.5,
      y: y - size + 0.5,
      width: 2 * size - 1,
      height: 2 * size - 1,
      fill: "var(--paper)",
      stroke: colour,
      "stroke-width": 1.6,
    });
  }
  if (kind === "bound") {
    const d = size + 0.8;
    return svg("path", { d: `M${x} ${y - d}L${x + d} ${y}L${x} ${y + d}L${x - d} ${y}Z`, fill: colour });
  }
  return svg("circle", { cx: x, cy: y, r: size, fill: colour });
}

function badge(kind) {
  return svg("svg", { class: "dot", viewBox: "0 0 12 12", "aria-hidden": "true" }, mark(kind, 6, 6));
}

function choice(words, values, chosen, change) {
  const options = values.map(([value, text]) => el("option", { value, dir: "auto", selected: value === chosen }, text));
  const select = el("select", { onchange: () => change(select.value) }, options);
  return el("label", {}, words, select);
}

function toggle(text, pressed, change, attributes = {}) {
  const button = el(
    "button",
    {
      type: "button",
      "aria-pressed": String(pressed),
      ...attributes,
      onclick: () => {
        const now = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(now));
        change(now);
      },
    },
    text,
  );
  return button;
}

function search(words, change) {
  const input = el("input", {
    type: "search",
    placeholder: words,
    "aria-label": words,
    oninput: () => change(input.value),
  });
  return input;
}

function matches(text, wanted) {
  return text.toLowerCase().includes(wanted.trim().toLowerCase());
}

// Draws again at the container's own width, so that text keeps its size on a phone.
function responsive(container, draw) {
  let last = 0;
  const again = (force) => {
    const width = Math.floor(container.clientWidth);
    if (width > 0 && (force || width !== last)) {
      last = width;
      container.replaceChildren(draw(width));
    }
  };
  new ResizeObserver(() => again(false)).observe(container);
  again(true);
  return () => again(true);
}

function linear(low, high, from, to) {
  const span = high - low || 1;
  return (value) => from + ((value - low) / span) * (to - from);
}

// About `count` round numbers that span the range.
function ticks(low, high, count = 5) {
  const rough = (high - low || 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step)
    found.push(Number(at.toFixed(10)));
  return found;
}

function tickText(value) {
  return String(Number(value.toFixed(4))).replace("-", "−");
}

function extent(values, pad = 0.06) {
  const known = values.filter((value) => value !== null && value !== undefined);
  if (!known.length) return [0, 1];
  let [low, high] = [Math.min(...known), Math.max(...known)];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  return [low - (high - low) * pad, high + (high - low) * pad];
}

// Width of a text in a figure, in pixels, whatever its script.
const RULER = document.createElement("canvas").getContext("2d");
function widthOf(text, size = 11) {
  RULER.font = `${size}px ${getComputedStyle(document.body).fontFamily}`;
  return RULER.measureText(text).width;
}

// The text, cut to `width` pixels; empty if nothing of it fits.
function fitted(text, width, size) {
  if (widthOf(text, size) <= width) return text;
  const letters = [...new Intl.Segmenter().segment(text)].map((each) => each.segment);
  while (letters.length && widthOf(`${letters.join("")}…`, size) > width) letters.pop();
  return letters.length ? `${letters.join("").trimEnd()}…` : "";
}

// A method's name, which leads to its entry in the legend.
function methodLink(label) {
  const place = DATA.methods.findIndex((method) => method.label === label);
  return place < 0 ? label : el("a", { class: "name", href: `#method-${place}`, dir: "auto" }, label);
}

// The words for a table of so few videos that nothing in it could be significant; null for a larger one.
function fewVideos(videos) {
  if (videos >= DATA.few) return null;
  return `${videos} video${videos === 1 ? "" : "s"}: too few for any conclusion (with fewer than ${DATA.few}, no test could reach p < .05).`;
}

function announce(text) {
  byId("live").textContent = text;
}

function absent(id, words) {
  byId(id).replaceChildren(el("p", { class: "undefined" }, words));
}
