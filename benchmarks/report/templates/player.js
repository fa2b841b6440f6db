// One sample at a time: its video under each method's map, its annotation in time, its answer and scores.
const VIEW = { sample: 0, method: 0, divided: false, signed: false, boxes: true, cells: false, opacity: 0.75 };
const BASE = DATA.methods.filter((method) => !DATA.methods.some((other) => other.twin === method.label));
const STAGE = {}; // the player's elements
const waiting = new Map(); // samples that are being loaded, by file name

window.attribReport = { loaded: (name, body) => { waiting.get(name)?.(body); waiting.delete(name); } };

function island(id) {
  const element = byId(id);
  return element && JSON.parse(element.textContent);
}

// A sample's body: in the page, or a script beside it, for a page without a server may load nothing else.
function loadSample(entry) {
  entry.body ??= new Promise((resolve, reject) => {
    const body = island(`sample-${entry.file}`);
    if (body) return resolve(body);
    waiting.set(entry.file, resolve);
    const script = el("script", { src: `report/${encodeURIComponent(entry.file)}.js` });
    script.onerror = () => reject(new Error(`report/${entry.file}.js is missing`));
    document.head.append(script);
  });
  return entry.body;
}

function videoSource(entry) {
  if (entry.url === undefined) {
    const content = entry.video && island(`video-${entry.video}`);
    entry.url = content ? URL.createObjectURL(new Blob([bytes(content)], { type: "video/mp4" })) : entry.video && `report/${encodeURIComponent(entry.video)}`;
  }
  return entry.url;
}

function shownLabel() {
  const method = BASE[VIEW.method];
  return VIEW.divided && method.twin ? method.twin : method.label;
}

function shownMap() {
  return STAGE.body?.maps[shownLabel()];
}

function now() {
  return STAGE.video.src && Number.isFinite(STAGE.video.duration) ? STAGE.video.currentTime : STAGE.time ?? 0;
}

function seek(time) {
  const end = STAGE.body?.end ?? 0, at = Math.min(Math.max(time, 0), Math.max(end - 1e-3, 0));
  STAGE.time = at;
  if (STAGE.video.src) STAGE.video.currentTime = at;
  paint();
}

function stepFrame(by) {
  const times = STAGE.body?.times ?? [];
  if (!times.length) return;
  const place = frameAt(times, now());
  seek(by < 0 && now() - (times[place] ?? 0) > 0.02 ? times[place] : times[Math.min(Math.max(place + by, 0), times.length - 1)]);
}

function togglePlay() {
  const { video } = STAGE;
  if (!video.src) return;
  if (video.paused) {
    if (video.ended || video.currentTime >= (STAGE.body?.end ?? Infinity) - 0.02) video.currentTime = 0;
    video.play().catch(() => announce("the video cannot be played"));
  } else video.pause();
}

async function choose(place) {
  VIEW.sample = (place + DATA.samples.length) % DATA.samples.length;
  const entry = DATA.samples[VIEW.sample];
  STAGE.select.value = String(VIEW.sample);
  STAGE.video.pause();
  try {
    STAGE.body = await loadSample(entry);
  } catch (error) {
    STAGE.words.replaceChildren(el("p", { class: "undefined" }, `This sample cannot be shown: ${error.message}`));
    return;
  }
  if (entry !== DATA.samples[VIEW.sample]) return; // another was chosen meanwhile
  const source = videoSource(entry);
  STAGE.stage.classList.toggle("empty", !source);
  STAGE.time = 0;
  if (source) STAGE.video.src = source;
  else STAGE.video.removeAttribute("src");
  drawWords();
  refresh();
}

function chooseMethod(place) {
  VIEW.method = (place + BASE.length) % BASE.length;
  refresh();
  announce(`map of ${shownLabel()}`);
}

function set(name, value) {
  VIEW[name] = value;
  refresh();
}

// Everything that depends on the chosen method or view.
function refresh() {
  const twin = BASE[VIEW.method].twin;
  STAGE.divided.disabled = !twin;
  STAGE.divided.title = twin ? "" : "this run has no null-divided row of the method";
  for (const name of ["divided", "signed", "boxes", "cells"]) STAGE[name].setAttribute("aria-pressed", String(name === "divided" ? VIEW.divided && Boolean(twin) : VIEW[name]));
  STAGE.opacity.value = String(VIEW.opacity);
  STAGE.maps.querySelectorAll("button").forEach((button, place) => {
    button.setAttribute("aria-checked", String(place === VIEW.method));
    button.tabIndex = place === VIEW.method ? 0 : -1;
    button.querySelector("span").textContent = VIEW.divided && BASE[place].twin ? BASE[place].twin : BASE[place].label;
  });
  if (!STAGE.body) return;
  STAGE.again?.();
  drawRamp();
  drawScores();
  paint();
}

function sized(canvas, width, height) {
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  return canvas.getContext("2d");
}

function aspect() {
  const { video } = STAGE;
  return video.videoWidth ? video.videoHeight / video.videoWidth : 0.75;
}

function paint() {
  if (!STAGE.body) return;
  STAGE.stage.style.maxWidth = `calc(72vh / ${aspect()})`; // a tall video would not fit the window
  const time = now(), map = shownMap(), ratio = Math.min(window.devicePixelRatio || 1, 2);
  const width = Math.max(Math.round(STAGE.stage.clientWidth * ratio), 1);
  const context = sized(STAGE.canvas, width, Math.max(Math.round(width * aspect()), 1));
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  if (map && !map.missing) paintMap(context, map, time, VIEW);
  if (VIEW.boxes) paintBoxes(context, STAGE.body.tracks, time);
  STAGE.canvas.setAttribute("aria-label", `${shownLabel()} over the video at ${told(time)} seconds`);
  STAGE.clock.textContent = `${told(time)} s of ${told(STAGE.body.end)} s`;
  STAGE.move?.(time);
  const line = STAGE.timeline;
  line.setAttribute("aria-valuenow", time.toFixed(2));
  line.setAttribute("aria-valuemax", String(STAGE.body.end));
  line.setAttribute("aria-valuetext", `${told(time)} seconds`);
  paintSmall(time);
}

function paintSmall(time) {
  STAGE.maps.querySelectorAll("canvas").forEach((canvas, place) => {
    const method = BASE[place], map = STAGE.body.maps[VIEW.divided && method.twin ? method.twin : method.label];
    const context = sized(canvas, 160, Math.round(160 * aspect()));
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (STAGE.video.readyState >= 2) context.drawImage(STAGE.video, 0, 0, canvas.width, canvas.height);
    if (map && !map.missing) paintMap(context, map, time, VIEW);
  });
}

function drawWords() {
  const { body } = STAGE, given = body.probabilities.length && body.options.length ? body.probabilities.indexOf(Math.max(...body.probabilities)) : -1;
  const list = body.options.map((text, place) => {
    const share = body.probabilities[place] ?? null, meter = el("i", {});
    meter.style.width = `${100 * (share ?? 0)}%`;
    const notes = [place === body.answer ? "right" : null, place === given ? "given" : null].filter(Boolean).join(", ");
    return el("li", { class: place === given ? "given" : "" }, el("span", {}, String.fromCharCode(65 + place)), el("span", {}, text), el("span", { class: "meter", "aria-hidden": "true" }, meter), el("span", {}, told(share)), el("span", { class: "tag", hidden: !notes }, notes));
  });
  const facts = [body.area && `area: ${body.area}`, body.reasoning && `reasoning: ${body.reasoning}`, body.rule && `evidence: ${body.rule}`, body.tags.length && `tags: ${body.tags.join(", ")}`, body.cut !== null && `cut at ${told(body.cut)} s`].filter(Boolean);
  STAGE.words.replaceChildren(el("p", { class: "question" }, body.question), el("ul", { class: "options" }, list), body.reply ? el("p", {}, `Free answer: ${body.reply}`) : "", facts.length ? el("p", { class: "key" }, facts.join(" · ")) : "");
}

function drawScores() {
  const label = shownLabel(), rows = STAGE.body.scores[label] ?? [], map = shownMap();
  const line = ([key, value, chance, reason]) => el("li", { "data-key": key }, el("span", { title: METRICS.get(key)?.says }, key || "map"),
    value === null ? el("span", { class: "undefined" }, "undefined") : el("b", { "data-mean": value }, told(value, 3)), el("span", { class: "key" }, chance === null ? "" : `chance ${told(chance, 3)}`), reason ? el("span", { class: "why" }, reason) : null);
  STAGE.scores.replaceChildren(el("h3", {}, badge(kindOf(label)), label, " on this sample"), map?.missing ? el("p", { class: "undefined" }, `No map to show: ${map.missing}.`) : "",
    el("ul", { class: "scores", "aria-label": `Scores of ${label}` }, rows.map(line)));
}

function drawRamp() {
  const ramp = RAMPS[VIEW.signed ? "signed" : "plain"], map = shownMap();
  const stops = [0, 64, 128, 192, 255].map((at) => `rgb(${ramp[3 * at]},${ramp[3 * at + 1]},${ramp[3 * at + 2]})`);
  STAGE.ramp.style.background = `linear-gradient(to right, ${stops.join(",")})`;
  const top = map && !map.missing && map.scale ? map.scale.toPrecision(2) : "0";
  STAGE.low.textContent = VIEW.signed ? `against −${top}` : "0";
  STAGE.high.textContent = VIEW.signed ? `${top} for` : `${top} saliency`;
}

function keys(event) {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches("select, input[type=search]")) return;
  const arrows = key.startsWith("Arrow") && target.matches("input[type=range], [role=radio]");
  const press = { " ": target.matches("button, summary") ? null : togglePlay, "[": () => chooseMethod(VIEW.method - 1), "]": () => chooseMethod(VIEW.method + 1), b: () => set("boxes", !VIEW.boxes), n: () => set("signed", !VIEW.signed), g: () => set("cells", !VIEW.cells),
    d: () => BASE[VIEW.method].twin && set("divided", !VIEW.divided), "+": () => set("opacity", Math.min(VIEW.opacity + 0.1, 1)), "-": () => set("opacity", Math.max(VIEW.opacity - 0.1, 0)), ArrowLeft: () => stepFrame(-1), ArrowRight: () => stepFrame(1), Home: () => seek(0), End: () => seek(Infinity), ",": () => choose(VIEW.sample - 1), ".": () => choose(VIEW.sample + 1) };
  const act = arrows ? null : /^[1-9]$/.test(key) && Number(key) <= BASE.length ? () => chooseMethod(Number(key) - 1) : press[key];
  if (!act) return;
  event.preventDefault();
  act();
}

function showSample(id, label) {
  const place = DATA.samples.findIndex((one) => one.id === id), method = BASE.findIndex((one) => one.label === label || one.twin === label);
  if (method >= 0) [VIEW.method, VIEW.divided] = [method, BASE[method].twin === label];
  choose(place);
  byId("samples").scrollIntoView();
  STAGE.timeline.focus({ preventScroll: true });
}
