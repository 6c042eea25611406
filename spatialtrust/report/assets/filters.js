// Which edges match, how many of each image, and so which images are listed.

const matches = new Uint8Array(edgeCount);
const perImage = new Uint32Array(imageCount);
let listed = [];

const plainFilter = () =>
  !reporting ||
  (!state.relation && !state.reason && state.kinds.size === head.kinds.length && state.low <= 0 && state.high >= 1);

const match = () => {
  const relation = reporting && state.relation ? head.relations.indexOf(state.relation) : -1;
  const kinds = reporting ? head.kinds.map((kind) => state.kinds.has(kind)) : [];
  const withReason = reporting && state.reason ? head.reason_sets.map((codes) => codes.includes(state.reason)) : null;
  const low = Math.round(state.low * SCALE);
  const high = Math.round(state.high * SCALE);
  const bounded = low > 0 || high < SCALE;
  const words = state.search.trim().toLowerCase();
  const filtering = !plainFilter() || state.judged !== "";
  const found = [];
  for (let image = 0; image < imageCount; image += 1) {
    let count = 0;
    const last = endEdge(image);
    for (let edge = firstEdge(image); edge < last; edge += 1) {
      let fits = !reporting || (
        (relation < 0 || edges.relation[edge] === relation) &&
        kinds[edges.kind[edge]] &&
        (withReason === null || withReason[edges.reasons[edge]]) &&
        (!bounded || (edges.p[edge] !== UNKNOWN && edges.p[edge] >= low && edges.p[edge] <= high)));
      if (fits && state.judged) fits = fitsJudged(edge);
      matches[edge] = fits ? 1 : 0;
      count += fits ? 1 : 0;
    }
    perImage[image] = count;
    const named = !words || images.id[image].toLowerCase().includes(words);
    if (named && (count > 0 || !filtering)) found.push(image);
  }
  listed = found;
};

// An edge that was just judged stays where it is until the filter is set anew.
const fitsJudged = (edge) => {
  const label = labelOf(edge);
  if (state.judged === "no") return label === null;
  if (state.judged === "yes") return label !== null;
  return label === (state.judged === "right" ? 1 : 0);
};

const option = (value, words) => make("option", { value }, words);

const setUpFilters = () => {
  if (reporting) {
    fill(byId("filter-relation"), [option("", "any"), [...head.relations].sort().map((name) => option(name, name))]);
    fill(byId("filter-reason"), [option("", "any"), Object.entries(head.reasons).map(([code, words]) => option(code, words))]);
    fill(byId("filter-kinds"), head.kinds.map((kind) =>
      make("label", {}, make("input", { type: "checkbox", value: kind, onchange: (event) => {
        const kinds = new Set(state.kinds);
        if (event.target.checked) kinds.add(kind);
        else kinds.delete(kind);
        update({ kinds });
      } }), ` ${kind}`)));
  }
  fill(byId("filter-judged"), [option("", "any"), option("no", "not yet"), option("yes", "judged"), option("right", "right"), option("wrong", "wrong")]);
  const bind = (id, key, read) => byId(id).addEventListener("input", (event) => update({ [key]: read(event.target.value) }));
  bind("filter-search", "search", (value) => value);
  bind("filter-relation", "relation", (value) => value);
  bind("filter-reason", "reason", (value) => value);
  bind("filter-judged", "judged", (value) => value);
  bind("filter-low", "low", (value) => share(value, 0));
  bind("filter-high", "high", (value) => share(value, 1));
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filter-clear").addEventListener("click", () =>
    update({ search: "", relation: "", reason: "", judged: "", low: 0, high: 1, kinds: new Set(reporting ? head.kinds : []) }));
};

const showFilters = () => {
  for (const key of ["search", "relation", "reason", "judged", "low", "high"]) {
    const field = byId(`filter-${key}`);
    if (document.activeElement !== field) field.value = state[key];
  }
  for (const box of byId("filter-kinds").querySelectorAll("input")) box.checked = state.kinds.has(box.value);
  match();
  const total = perImage.reduce((sum, count) => sum + count, 0);
  byId("filter-count").textContent = `${number(total)} ${reporting ? "edges" : "claims"} on ${number(listed.length)} images`;
};
