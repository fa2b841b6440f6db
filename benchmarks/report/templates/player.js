// One sample at a time: its video under each method's map, its annotation in time, its answer and scores.
const VIEW = { sample: 0, method: 0, divided: false, signed: false, boxes: true, cells: false, opacity: 0.75 };
const BASE = DATA.methods.filter((method) => !DATA.methods.some((other) => other.twin === method.label));
const STAGE = {}; // the player's elements
const waiting = new Map(); // samples that are being loaded, by file name

window.attribReport = {
  loaded: (name, body) => {
    waiting.get(name)?.(body);
    waiting.delete(name);
  },
};

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
    entry.url = content
      ? URL.createObjectURL(new Blob([bytes(content)], { type: "video/mp4" }))
      : entry.video && `report/${encodeURIComponent(entry.video)}`;
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
  return STAGE.video.src && Number.isFinite(STAGE.video.duration) ? STAGE.video.currentTime : (STAGE.time ?? 0);
}

// Time of the frame in which the shown map is strongest, and that frame's share of it; null without a map.
function peak() {
  const map = shownMap();
  if (!map || map.missing || !map.times.length) return null;
  const values = VIEW.signed ? map.signed.map(Math.abs) : map.positive,
    total = values.reduce((sum, value) => sum + value, 0);
  if (!total) return null;
  const place = values.indexOf(Math.max(...values));
  return { time: map.times[place], share: values[place] / total };
}

function toPeak() {
  const top = peak();
  if (top) seek(top.time);
}

function seek(time) {
  const end = STAGE.body?.end ?? 0,
    at = Math.min(Math.max(time, 0), Math.max(end - 1e-3, 0));
  STAGE.time = at;
  if (STAGE.video.src) STAGE.video.currentTime = at;
  paint();
}

function stepFrame(by) {
  const times = STAGE.body?.times ?? [];
  if (!times.length) return;
  const place = frameAt(times, now());
  seek(
    by < 0 && now() - (times[place] ?? 0) > 0.02
      ? times[place]
      : times[Math.min(Math.max(place + by, 0), times.length - 1)],
  );
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
    if (entry === DATA.samples[VIEW.sample]) cleared(`This sample cannot be shown: ${error.message}`);
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
  toPeak();
}

// Nothing of the sample before stays under the words.
function cleared(words) {
  STAGE.body = null;
  STAGE.video.removeAttribute("src");
  for (const canvas of byId("player").querySelectorAll("canvas")) canvas.width = 0;
  STAGE.again();
  STAGE.scores.replaceChildren();
  STAGE.words.replaceChildren(el("p", { class: "undefined" }, words));
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

function keys(event) {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches("select, input[type=search]")) return;
  const moves = key.startsWith("Arrow") && target.matches("input[type=range], [role=radio]");
  const ends = ["Home", "End"].includes(key) && target.matches("input[type=range]");
  const press = {
    " ": target.matches("button, summary") ? null : togglePlay,
    "[": () => chooseMethod(VIEW.method - 1),
    "]": () => chooseMethod(VIEW.method + 1),
    b: () => set("boxes", !VIEW.boxes),
    n: () => set("signed", !VIEW.signed),
    g: () => set("cells", !VIEW.cells),
    d: () => BASE[VIEW.method].twin && set("divided", !VIEW.divided),
    "+": () => set("opacity", Math.min(VIEW.opacity + 0.1, 1)),
    "-": () => set("opacity", Math.max(VIEW.opacity - 0.1, 0)),
    ArrowLeft: () => stepFrame(-1),
    ArrowRight: () => stepFrame(1),
    p: toPeak,
    Home: () => seek(0),
    End: () => seek(Infinity),
    ",": () => choose(VIEW.sample - 1),
    ".": () => choose(VIEW.sample + 1),
  };
  const own = moves || ends; // keys of the control itself
  const act = own
    ? null
    : /^[1-9]$/.test(key) && Number(key) <= BASE.length
      ? () => chooseMethod(Number(key) - 1)
      : press[key];
  if (!act) return;
  event.preventDefault();
  act();
}

function showSample(id, label) {
  const place = DATA.samples.findIndex((one) => one.id === id),
    method = BASE.findIndex((one) => one.label === label || one.twin === label);
  if (method >= 0) [VIEW.method, VIEW.divided] = [method, BASE[method].twin === label];
  choose(place);
  byId("samples").scrollIntoView();
  STAGE.timeline.focus({ preventScroll: true });
}
