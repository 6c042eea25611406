// What is looked at, kept in the address so that it can be linked to.

const state = {
  view: reporting ? "overview" : "images",
  at: reporting ? head.figures.at : 0,
  image: 0,
  edge: -1,
  wanted: "",
  search: "",
  relation: "",
  kinds: new Set(reporting ? head.kinds : []),
  low: 0,
  high: 1,
  reason: "",
  judged: "",
  hide: false,
};

const listeners = [];
const when = (keys, act) => listeners.push([keys.split(" "), act]);

const update = (changes, { quiet = false } = {}) => {
  const changed = Object.keys(changes).filter((key) => state[key] !== changes[key]);
  Object.assign(state, changes);
  if (!changed.length) return;
  if (!quiet) writeAddress();
  for (const [keys, act] of listeners) if (keys.some((key) => changed.includes(key))) act();
};

const address = () => {
  const found = new URLSearchParams({ view: state.view });
  if (reporting && state.at !== head.figures.at) found.set("at", head.figures.operating.points[state.at].threshold);
  if (state.view === "images" && imageCount) found.set("image", images.id[state.image]);
  if (state.view === "images" && state.wanted) found.set("edge", state.wanted);
  for (const key of ["search", "relation", "reason", "judged"]) if (state[key]) found.set(key, state[key]);
  if (reporting && state.kinds.size < head.kinds.length) found.set("kinds", [...state.kinds].join(","));
  if (state.low > 0) found.set("low", state.low);
  if (state.high < 1) found.set("high", state.high);
  if (state.hide) found.set("hide", "1");
  return `#${found}`;
};

let written = "";
const writeAddress = () => {
  written = address();
  history.replaceState(null, "", written);
};

const share = (given, otherwise) => {
  const found = Number.parseFloat(given);
  return Number.isFinite(found) ? Math.min(Math.max(found, 0), 1) : otherwise;
};

const nearestPoint = (threshold) => {
  const points = head.figures.operating.points;
  let best = 0;
  points.forEach((point, place) => {
    if (Math.abs(point.threshold - threshold) < Math.abs(points[best].threshold - threshold)) best = place;
  });
  return best;
};

const readAddress = () => {
  if (location.hash === written && written) return;
  const given = new URLSearchParams(location.hash.slice(1));
  const changes = { search: given.get("search") ?? "", judged: given.get("judged") ?? "" };
  if (reporting) {
    changes.view = given.get("view") === "images" ? "images" : "overview";
    const at = Number.parseFloat(given.get("at"));
    changes.at = Number.isFinite(at) ? nearestPoint(at) : head.figures.at;
    changes.relation = head.relations.includes(given.get("relation")) ? given.get("relation") : "";
    changes.reason = given.get("reason") in head.reasons ? given.get("reason") : "";
    const kinds = (given.get("kinds") ?? "").split(",").filter((kind) => head.kinds.includes(kind));
    changes.kinds = new Set(given.has("kinds") ? kinds : head.kinds);
    changes.low = share(given.get("low"), 0);
    changes.high = share(given.get("high"), 1);
    changes.hide = given.get("hide") === "1";
  }
  const image = images.id.indexOf(given.get("image"));
  changes.image = image < 0 ? state.image : image;
  changes.wanted = given.get("edge") ?? "";
  changes.edge = -1;
  written = location.hash;
  update(changes, { quiet: true });
};
