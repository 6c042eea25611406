// Puts it together: views, theme, keys.

const fail = (words) => {
  byId("failure").textContent = words;
  byId("failure").hidden = false;
};

const settled = async () => {
  for (let turn = 0; turn < 400 && (shown === null || shown.image !== state.image); turn += 1) await new Promise((done) => setTimeout(done, 10));
};

const showView = () => {
  for (const name of ["overview", "images"]) {
    byId(name).hidden = state.view !== name;
    const link = byId(`to-${name}`);
    if (state.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (state.view === "images") { showFilters(); showImage(); }
};

const setTheme = (theme) => {
  document.documentElement.dataset.theme = theme;
  byId("theme").textContent = theme === "dark" ? "Light" : "Dark";
  byId("theme").setAttribute("aria-label", `Switch to ${theme === "dark" ? "light" : "dark"} colours`);
};

const setView = (view) => update({ view });

const KEYS = {
  1: ["overview", () => reporting && setView("overview")],
  2: ["images", () => setView("images")],
  j: ["next edge (also the arrow down)", () => stepEdge(1)],
  k: ["previous edge (also the arrow up)", () => stepEdge(-1)],
  l: ["next image (also the arrow right)", () => stepImage(1)],
  h: ["previous image (also the arrow left)", () => stepImage(-1)],
  y: ["the edge is right", () => judgeChosen(1)],
  n: ["the edge is wrong", () => judgeChosen(0)],
  u: ["clear what was judged", () => state.edge >= 0 && shown !== null && judge(state.edge, null)],
  v: ["hide or show what the model thinks", () => reporting && update({ hide: !state.hide })],
  "/": ["search images by name", () => { setView("images"); byId("filter-search").focus(); }],
  "?": ["these keys", () => byId("help").showModal()],
};
const ALSO = { ArrowDown: "j", ArrowUp: "k", ArrowRight: "l", ArrowLeft: "h" };
const ANYWHERE = new Set(["1", "2", "/", "?"]);

const onKey = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const key = ALSO[event.key] ?? event.key;
  if (!(key in KEYS) || (state.view !== "images" && !ANYWHERE.has(key))) return;
  event.preventDefault();
  KEYS[key][1]();
};

const start = () => {
  document.documentElement.classList.toggle("label-page", !reporting);
  byId("title").textContent = reporting ? head.title : `Judge: ${head.title}`;
  setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  byId("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  fill(byId("help-keys"), Object.entries(KEYS).filter(([key]) => reporting || !["1", "2", "v"].includes(key)).map(([key, [words]]) => make("tr", {}, make("td", {}, make("kbd", {}, key)), make("td", {}, words))));
  for (const [id, step] of [["image-previous", -1], ["image-next", 1]]) byId(id).addEventListener("click", () => stepImage(step));
  for (const [id, label] of [["judge-right", 1], ["judge-wrong", 0]]) byId(id).addEventListener("click", () => judgeChosen(label));
  byId("judge-skip").addEventListener("click", () => stepEdge(1));
  byId("judge-undo").addEventListener("click", () => state.edge >= 0 && judge(state.edge, null));
  byId("export").addEventListener("click", exportLabels);
  byId("hide").addEventListener("change", (event) => update({ hide: event.target.checked }));
  byId("list").addEventListener("scroll", () => requestAnimationFrame(showList));
  for (const name of ["overview", "images"]) byId(`to-${name}`).addEventListener("click", (event) => { event.preventDefault(); setView(name); });
  setUpFilters();
  when("view", showView);
  when("search relation kinds low high reason judged", () => { showFilters(); showList(); if (shown !== null && shown.image === state.image) { most = LISTED; showEdges(); } });
  when("image", () => { most = LISTED; if (state.view === "images") showImage(); });
  when("hide", () => { document.documentElement.classList.toggle("hiding", state.hide); byId("hide").checked = state.hide; if (shown !== null && state.view === "images") showEdges(); });
  if (reporting) {
    when("at", showRelations);
    readAddress();
    showOverview();
    showRelations();
  } else readAddress();
  showJudged();
  showView();
  addEventListener("hashchange", readAddress);
  addEventListener("keydown", onKey);
  document.documentElement.dataset.ready = "true";
};

start();
